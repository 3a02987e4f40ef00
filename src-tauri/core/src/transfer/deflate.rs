//! Chunks made smaller, each on its own, by DEFLATE (RFC 1951): gzip without its header and its checksum, which would say
//! nothing here, since every chunk is authenticated and every file hashed. Pure.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{
    limits::{CHUNK, MAX_CHUNK},
    wire::{Violation, violation},
};

/// Of the levels of crate `flate2` the best that still makes 180 MB of text a second smaller: docs/performance.md.
const LEVEL: u32 = 3;
/// Bytes from the middle of a chunk by which is judged whether the rest is worth the time.
const SAMPLE: usize = 8 * 1024;
/// Shorter chunks are sent as they are: what they would save is less than their headers.
const SHORT: usize = 256;

/// What is left of `len` bytes has to be less than this, nine tenths, or it does not pay.
const fn worth(len: usize) -> usize {
    len - len.div_ceil(10)
}

fn compressor() -> Compress {
    Compress::new(Compression::new(LEVEL), false)
}

/// Makes chunks smaller.
#[derive(Debug)]
pub struct Squeezer {
    inner: Compress,
    out: Vec<u8>,
    /// Bytes that went in, for whoever measures.
    pub taken: u64,
}

impl Default for Squeezer {
    fn default() -> Self {
        Self { inner: compressor(), out: Vec::new(), taken: 0 }
    }
}

impl Squeezer {
    /// The chunk made smaller. None where that does not pay, which a sample of it tells, so that what is compressed
    /// already costs next to nothing.
    pub fn squeeze(&mut self, plain: &[u8]) -> Option<&[u8]> {
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

    /// So many bytes of what was made last.
    pub fn squeezed(&self, len: usize) -> Option<&[u8]> {
        self.out.get(..len)
    }

    fn run(&mut self, plain: &[u8]) -> Option<usize> {
        // Room for whatever comes of it, so that each run comes to its end.
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
            // `zlib-rs` 0.6.8 does not quite forget a run that was cut off, and panics some runs later.
            self.inner = compressor();
        }
        let pays = matches!(done, Ok(Status::StreamEnd)) && given <= worth(plain.len());
        pays.then_some(given)
    }
}

/// Opens what [`Squeezer`] made, or whoever else says to have made it.
#[derive(Debug)]
pub struct Inflater {
    inner: Decompress,
    out: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { inner: Decompress::new(false), out: Vec::new() }
    }
}

impl Inflater {
    /// Bytes of memory that it holds for what it makes.
    pub fn memory(&self) -> usize {
        self.out.capacity()
    }

    /// Gives back what a chunk larger than usual took.
    pub fn trim(&mut self) {
        if self.out.len() > CHUNK as usize + 1 {
            self.out.truncate(CHUNK as usize + 1);
            self.out.shrink_to_fit();
        }
    }

    /// The plain bytes of a chunk, which must be exactly as many as were announced. Whatever the bytes say, not more than
    /// that is written anywhere.
    ///
    /// # Errors
    /// When they are fewer or more, when anything follows them, or when it is not DEFLATE.
    pub fn inflate(&mut self, bytes: &[u8], plain_len: u32) -> Result<&[u8], Violation> {
        if plain_len > MAX_CHUNK {
            return violation("a chunk of forbidden length");
        }
        let plain_len = plain_len as usize;
        // One more than announced, so that what is longer shows.
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
#[path = "deflate_tests.rs"]
pub(super) mod tests;
