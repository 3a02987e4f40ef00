//! Splits a stream of bytes into lines, with a maximum length.

use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroize;

/// Bytes reserved for each read.
const STEP: usize = 8 * 1024;

/// Errors of reading a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// The line exceeds the maximum length.
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads lines. [`Lines::next`] is cancel safe.
pub(super) struct Lines<R> {
    reader: R,
    cap: usize,
    buffer: Vec<u8>,
    /// Start of the next line.
    start: usize,
    /// Position up to which no line end was found.
    seen: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, cap: usize) -> Self {
        Self { reader, cap, buffer: Vec::new(), start: 0, seen: 0 }
    }

    /// Returns the next non-empty line, without its end; `None` at the end of the stream. A last line without an end
    /// counts, so that `printf` without a newline works.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        loop {
            if let Some(line) = self.buffered() {
                return if line.len() > self.cap { Err(LineError::TooLong(self.cap)) } else { Ok(Some(line)) };
            }
            // Moved to the front once for each read, not for each line, so that many short lines stay cheap.
            self.buffer.drain(..self.start);
            self.start = 0;
            self.seen = self.buffer.len();
            if self.seen > self.cap {
                return Err(LineError::TooLong(self.cap));
            }
            self.buffer.reserve(STEP);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                let rest = std::mem::take(&mut self.buffer);
                self.seen = 0;
                let line = trim(&rest);
                return Ok((!line.is_empty()).then(|| line.to_vec()));
            }
        }
    }

    /// Returns the next line, if it was read already.
    pub(super) fn buffered(&mut self) -> Option<Vec<u8>> {
        while let Some(offset) = self.buffer[self.seen..].iter().position(|&byte| byte == b'\n') {
            let end = self.seen + offset;
            let line = trim(&self.buffer[self.start..end]).to_vec();
            // The line may contain a passphrase, and the buffer outlives it.
            self.buffer[self.start..end].zeroize();
            self.start = end + 1;
            self.seen = self.start;
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

fn trim(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(input: &[u8], cap: usize) -> Result<Vec<String>, LineError> {
        let mut lines = Lines::new(input, cap);
        let mut out = Vec::new();
        while let Some(line) = lines.next().await? {
            out.push(String::from_utf8(line).unwrap());
        }
        Ok(out)
    }

    #[tokio::test]
    async fn lines_end_with_lf_crlf_or_the_stream() {
        assert_eq!(all(b"a\nbc\r\n\n\ndef", 10).await.unwrap(), ["a", "bc", "def"]);
        assert!(all(b"", 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn cap_counts_each_line_and_not_the_stream() {
        let line = vec![b'x'; 100];
        let mut input = Vec::new();
        for _ in 0..1000 {
            input.extend_from_slice(&line);
            input.push(b'\n');
        }
        assert_eq!(all(&input, 100).await.unwrap().len(), 1000);
        assert!(matches!(all(&input, 99).await, Err(LineError::TooLong(99))));
    }

    #[tokio::test]
    async fn endless_line_is_refused_without_being_held() {
        let mut lines = Lines::new(tokio::io::repeat(b'x'), 64 * 1024);
        assert!(matches!(lines.next().await, Err(LineError::TooLong(_))));
        assert!(lines.buffer.capacity() < 512 * 1024, "{}", lines.buffer.capacity());
    }

    #[tokio::test]
    async fn dropped_read_loses_nothing() {
        use tokio::io::AsyncWriteExt;
        let (mut ours, theirs) = tokio::io::duplex(64);
        let mut lines = Lines::new(theirs, 100);
        ours.write_all(b"first ").await.unwrap();
        // Polled once and dropped, as by `select!`.
        assert!(futures_util::FutureExt::now_or_never(lines.next()).is_none());
        ours.write_all(b"half\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), b"first half");
    }
}
