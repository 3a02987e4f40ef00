//! Compression of single chunks by DEFLATE (RFC 1951). The header and checksum of gzip are not needed, since every
//! chunk is authenticated and every file hashed. Pure.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::limits::{CHUNK, MAX_CHUNK};
use crate::transfer::protocol::frames::{Violation, violation};

/// Compression level of `flate2`: the best that still compresses 180 MB of text a second, see docs/performance.md.
const LEVEL: u32 = 3;
/// Bytes from the middle of a chunk that are compressed as a sample.
const SAMPLE: usize = 8 * 1024;
/// Shorter chunks are sent uncompressed: they would save less than their headers take.
const SHORT: usize = 256;

/// Returns the most compressed bytes of a chunk of `len` bytes for which compression pays: nine tenths.
const fn worth(len: usize) -> usize {
    len - len.div_ceil(10)
}

fn compressor() -> Compress {
    Compress::new(Compression::new(LEVEL), false)
}

/// Compresses chunks.
#[derive(Debug)]
pub struct Compressor {
    inner: Compress,
    out: Vec<u8>,
    /// Bytes that were compressed so far, for measurements.
    pub taken: u64,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { inner: compressor(), out: Vec::new(), taken: 0 }
    }
}

impl Compressor {
    /// Compresses a chunk. Returns `None` if that does not pay. A sample is tried first, so that compressed data
    /// costs next to nothing.
    pub fn compress(&mut self, plain: &[u8]) -> Option<&[u8]> {
        if plain.len() < SHORT {
            return None;
        }
        if plain.len() >= 2 * SAMPLE {
            let middle = (plain.len() - SAMPLE) / 2;
            self.run(plain.get(middle..middle + SAMPLE)?)?;
        }
        let len = self.run(plain)?;
        self.out.get(..len)
    }

    /// Returns the first `len` bytes of the last result.
    pub fn compressed(&self, len: usize) -> Option<&[u8]> {
        self.out.get(..len)
    }

    fn run(&mut self, plain: &[u8]) -> Option<usize> {
        // Room for any result, so that each run completes.
        let most = plain.len() + plain.len() / 8 + 64;
        if self.out.len() < most {
            self.out.resize(most, 0);
        }
        let done = self.inner.compress(plain, &mut self.out, FlushCompress::Finish);
        let (taken, given) = (self.inner.total_in(), self.inner.total_out() as usize);
        self.taken += taken;
        if matches!(done, Ok(Status::StreamEnd)) {
            self.inner.reset();
        } else {
            // `zlib-rs` 0.6.8 does not fully reset a run that was cut off, and panics some runs later.
            self.inner = compressor();
        }
        let pays = matches!(done, Ok(Status::StreamEnd)) && given <= worth(plain.len());
        pays.then_some(given)
    }
}

/// Decompresses chunks of a peer, which may be malicious.
#[derive(Debug)]
pub struct Decompressor {
    inner: Decompress,
    out: Vec<u8>,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self { inner: Decompress::new(false), out: Vec::new() }
    }
}

impl Decompressor {
    /// Returns the bytes of memory held for results.
    pub fn memory(&self) -> usize {
        self.out.capacity()
    }

    /// Releases the memory of a chunk larger than usual.
    pub fn trim(&mut self) {
        if self.out.len() > CHUNK as usize + 1 {
            self.out.truncate(CHUNK as usize + 1);
            self.out.shrink_to_fit();
        }
    }

    /// Decompresses a chunk. Never writes more than the announced length.
    ///
    /// # Errors
    /// Returns a violation if the length differs from `plain_len`, bytes follow, or the data is not DEFLATE.
    pub fn inflate(&mut self, bytes: &[u8], plain_len: u32) -> Result<&[u8], Violation> {
        if plain_len > MAX_CHUNK {
            return violation("a chunk of forbidden length");
        }
        let plain_len = plain_len as usize;
        // One byte more than announced, to detect longer data.
        if self.out.len() <= plain_len {
            self.out.resize(plain_len + 1, 0);
        }
        self.inner.reset(false);
        let Some(room) = self.out.get_mut(..=plain_len) else { return violation("a chunk of forbidden length") };
        let done = self.inner.decompress(bytes, room, FlushDecompress::Finish);
        let (taken, given) = (self.inner.total_in(), self.inner.total_out());
        match done {
            Ok(Status::StreamEnd) if given != plain_len as u64 => violation("a compressed chunk of another length"),
            Ok(Status::StreamEnd) if taken != bytes.len() as u64 => violation("bytes behind a compressed chunk"),
            Ok(Status::StreamEnd) => self.out.get(..plain_len).ok_or(Violation("a chunk of forbidden length".into())),
            Ok(_) => violation("a compressed chunk that is longer than announced, or cut off"),
            Err(_) => violation("a compressed chunk that is damaged"),
        }
    }
}

#[cfg(test)]
mod tests;
