//! Length-prefixed frames on a stream: a length (u32, little endian), then as many bytes. The length is checked before
//! memory is allocated.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Errors of reading and writing frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length exceeds the limit.
    #[error("a frame of {0} bytes was announced, {1} are allowed")]
    TooLong(usize, usize),
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Cut,
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads a frame of at most `max` bytes. Returns `None` at a clean end of the stream.
///
/// # Errors
/// When the frame is too long or truncated, or the transport fails.
pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<Option<Vec<u8>>, FrameError> {
    let mut head = [0; 4];
    let mut have = 0;
    while have < head.len() {
        match stream.read(&mut head[have..]).await? {
            0 if have == 0 => return Ok(None),
            0 => return Err(FrameError::Cut),
            n => have += n,
        }
    }
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if length > max {
        return Err(FrameError::TooLong(length, max));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => FrameError::Cut,
        _ => FrameError::Io(error),
    })?;
    Ok(Some(frame))
}

/// Writes a frame.
///
/// # Errors
/// When the transport fails, or the frame has 4 GiB or more.
pub async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), FrameError> {
    let length = u32::try_from(frame.len()).map_err(|_| FrameError::TooLong(frame.len(), u32::MAX as usize))?;
    let mut bytes = Vec::with_capacity(4 + frame.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(frame);
    stream.write_all(&bytes).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, b"hello").await.unwrap();
        write_frame(&mut bytes, b"").await.unwrap();
        let mut stream = bytes.as_slice();
        assert_eq!(read_frame(&mut stream, 10).await.unwrap().unwrap(), b"hello");
        assert_eq!(read_frame(&mut stream, 10).await.unwrap().unwrap(), b"");
        assert!(read_frame(&mut stream, 10).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn four_gigabytes_are_refused_before_they_are_allocated() {
        let mut stream = [0xff_u8; 8].as_slice();
        assert!(matches!(read_frame(&mut stream, 8192).await, Err(FrameError::TooLong(0xffff_ffff, 8192))));
    }

    #[tokio::test]
    async fn a_cut_frame_is_an_error() {
        for cut in 1..9 {
            let mut bytes = Vec::new();
            write_frame(&mut bytes, b"hello").await.unwrap();
            bytes.truncate(cut);
            assert!(matches!(read_frame(&mut bytes.as_slice(), 10).await, Err(FrameError::Cut)), "cut at {cut}");
        }
    }
}
