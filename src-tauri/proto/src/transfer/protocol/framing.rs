//! Format of the data streams: segments and chunks. Pure.
//!
//! ```text
//! stream   = header segment*                       header  = version u8, suite u8, transfer [16], attempt [16]
//! segment  = file u32, start u64, len u32, flags u8, commitment [32] (sealed streams only), chunk+
//! chunk    = plain_len u32, wire_len u32, flags u8, wire_len bytes
//! ```
//! All numbers are little endian. Segment flags: 1 = the segment is the whole file. Chunk flags: 1 = compressed, 2 =
//! last of its segment, 4 = zeros; other flags are violations. A segment ends where its chunks add up to `len` plain
//! bytes, and only that chunk has the last flag. `wire_len` is the plain length, less if the chunk is compressed and
//! 0 if it is zeros; sealed chunks add the length of the tag.

use super::limits::{CHUNK, MAX_CHUNK, MIN_CHUNK, SEGMENT, TAG};
use crate::transfer::protocol::frames::{Violation, violation};

/// Version of the data stream format.
pub const STREAM_VERSION: u8 = 1;
/// Bytes of a stream header.
pub const STREAM_HEADER: usize = 34;
/// Bytes of a segment header without commitment.
pub const SEGMENT_HEADER: usize = 17;
/// Bytes of a key commitment.
pub const COMMITMENT: usize = 32;
/// Bytes of a chunk header.
pub const CHUNK_HEADER: usize = 9;

/// Segment flag: the segment is the whole file.
pub const WHOLE_FILE: u8 = 1;
/// Chunk flag: the chunk is compressed.
pub const COMPRESSED: u8 = 1;
/// Chunk flag: the chunk is the last of its segment.
pub const LAST: u8 = 2;
/// Chunk flag: the chunk is zeros, and has no bytes on the wire but its tag.
pub const ZEROS: u8 = 4;

/// Header of a data stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHeader {
    /// 0 if not sealed, else the number of a [`crate::keys::Suite`].
    pub suite: u8,
    /// Id of the transfer.
    pub transfer: [u8; 16],
    /// Id of the attempt.
    pub attempt: [u8; 16],
}

impl StreamHeader {
    /// Encodes the header.
    pub fn encode(&self) -> [u8; STREAM_HEADER] {
        let mut out = [0; STREAM_HEADER];
        out[0] = STREAM_VERSION;
        out[1] = self.suite;
        out[2..18].copy_from_slice(&self.transfer);
        out[18..].copy_from_slice(&self.attempt);
        out
    }

    /// Decodes a header.
    ///
    /// # Errors
    /// Returns a violation if the version is unknown.
    pub fn decode(bytes: &[u8; STREAM_HEADER]) -> Result<Self, Violation> {
        if bytes[0] != STREAM_VERSION {
            return violation("data stream of an unknown version");
        }
        Ok(Self { suite: bytes[1], transfer: array(&bytes[2..18]), attempt: array(&bytes[18..]) })
    }
}

/// Header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Index of the file's entry.
    pub file: u32,
    /// Offset in the file.
    pub start: u64,
    /// Plain length in bytes.
    pub len: u32,
    /// True if the segment is the whole file.
    pub whole: bool,
    /// Key commitment, on sealed streams.
    pub commitment: Option<[u8; COMMITMENT]>,
}

impl SegmentHeader {
    /// Appends the encoded header to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.file.to_le_bytes());
        out.extend(self.start.to_le_bytes());
        out.extend(self.len.to_le_bytes());
        out.push(if self.whole { WHOLE_FILE } else { 0 });
        if let Some(commitment) = &self.commitment {
            out.extend(commitment);
        }
    }
}

/// Header of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Plain length in bytes.
    pub plain_len: u32,
    /// Length on the wire in bytes.
    pub wire_len: u32,
    /// Flags: [`COMPRESSED`], [`LAST`], [`ZEROS`].
    pub flags: u8,
}

impl ChunkHeader {
    /// Encodes the header.
    pub fn encode(&self) -> [u8; CHUNK_HEADER] {
        let mut out = [0; CHUNK_HEADER];
        out[..4].copy_from_slice(&self.plain_len.to_le_bytes());
        out[4..8].copy_from_slice(&self.wire_len.to_le_bytes());
        out[8] = self.flags;
        out
    }
}

/// Decoded unit of a data stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Unit<'a> {
    /// A segment begins.
    Segment(SegmentHeader),
    /// Chunk of that segment: its header, its number in the segment, its offset in the file, and its bytes from the
    /// wire, which the receiver may change in place.
    Chunk(ChunkHeader, u64, u64, &'a mut [u8]),
}

/// Decodes a data stream after its header, however its bytes are split. Buffers at most one incomplete unit.
#[derive(Debug)]
pub struct DataDecoder {
    form: Form,
    pending: Vec<u8>,
    at: At,
}

/// Options that were agreed on for a stream.
#[derive(Clone, Copy, Debug)]
struct Form {
    sealed: bool,
    compressed: bool,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Segment,
    ChunkHead { segment: Open },
    ChunkBody { segment: Open, chunk: ChunkHeader },
}

#[derive(Clone, Copy, Debug)]
struct Open {
    offset: u64,
    left: u32,
    chunks: u64,
}

impl DataDecoder {
    /// Creates a decoder for chunks that are sealed or not, and may be compressed or not.
    pub fn new(sealed: bool, compressed: bool) -> Self {
        Self { form: Form { sealed, compressed }, pending: Vec::new(), at: At::Segment }
    }

    /// Returns the length of the next unit in bytes.
    fn wanted(&self) -> usize {
        match self.at {
            At::Segment => SEGMENT_HEADER + if self.form.sealed { COMMITMENT } else { 0 },
            At::ChunkHead { .. } => CHUNK_HEADER,
            At::ChunkBody { chunk, .. } => chunk.wire_len as usize,
        }
    }

    /// Decodes the next bytes and passes each complete unit to `sink`. Chunks that lie in `bytes` as a whole are not
    /// copied.
    ///
    /// # Errors
    /// Returns violations of the format, and errors of `sink`.
    pub fn push<E: From<Violation>>(
        &mut self,
        mut bytes: &mut [u8],
        sink: &mut impl FnMut(Unit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let wanted = self.wanted();
            if self.pending.is_empty() && bytes.len() >= wanted {
                let (unit, rest) = std::mem::take(&mut bytes).split_at_mut(wanted);
                bytes = rest;
                self.at = step(self.at, self.form, unit, sink)?;
                continue;
            }
            // The header was checked, so at most one chunk is buffered here.
            let now = (wanted - self.pending.len()).min(bytes.len());
            let (now, rest) = std::mem::take(&mut bytes).split_at_mut(now);
            // Grows by a usual chunk, which neither trusts the announced length nor doubles the buffer.
            if self.pending.capacity() < self.pending.len() + now.len() {
                let left = wanted - self.pending.len();
                self.pending.reserve_exact(left.min(now.len().max(CHUNK as usize)));
            }
            self.pending.extend_from_slice(now);
            bytes = rest;
            if self.pending.len() < wanted {
                return Ok(());
            }
            self.at = step(self.at, self.form, &mut self.pending, sink)?;
            self.pending.clear();
        }
    }

    /// Returns the bytes of the incomplete unit.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns the bytes of memory that the decoder holds.
    pub fn memory(&self) -> usize {
        self.pending.capacity()
    }

    /// Releases the memory of a chunk larger than usual.
    pub fn trim(&mut self) {
        if self.pending.capacity() > 2 * CHUNK as usize {
            self.pending.shrink_to(CHUNK as usize);
        }
    }

    /// Releases memory that is not needed now.
    pub fn shrink(&mut self) {
        self.pending.shrink_to_fit();
    }

    /// Checks that the stream ended at the end of a segment.
    ///
    /// # Errors
    /// Returns a violation if it ended inside a segment.
    pub fn finish(&self) -> Result<(), Violation> {
        match self.at {
            At::Segment if self.pending.is_empty() => Ok(()),
            _ => violation("a data stream was cut off"),
        }
    }
}

/// Handles one unit, and returns what comes next.
fn step<E: From<Violation>>(
    at: At,
    form: Form,
    unit: &mut [u8],
    sink: &mut impl FnMut(Unit<'_>) -> Result<(), E>,
) -> Result<At, E> {
    match at {
        At::Segment => {
            let header = segment_header(unit, form.sealed)?;
            sink(Unit::Segment(header))?;
            Ok(At::ChunkHead { segment: Open { offset: header.start, left: header.len, chunks: 0 } })
        }
        At::ChunkHead { segment } => {
            let chunk = chunk_header(unit, form, segment.left)?;
            Ok(At::ChunkBody { segment, chunk })
        }
        At::ChunkBody { mut segment, chunk } => {
            sink(Unit::Chunk(chunk, segment.chunks, segment.offset, unit))?;
            segment.left -= chunk.plain_len;
            segment.offset += u64::from(chunk.plain_len);
            segment.chunks += 1;
            Ok(if segment.left == 0 { At::Segment } else { At::ChunkHead { segment } })
        }
    }
}

fn segment_header(unit: &[u8], sealed: bool) -> Result<SegmentHeader, Violation> {
    let header = SegmentHeader {
        file: u32::from_le_bytes(array(&unit[..4])),
        start: u64::from_le_bytes(array(&unit[4..12])),
        len: u32::from_le_bytes(array(&unit[12..16])),
        whole: unit[16] == WHOLE_FILE,
        commitment: sealed.then(|| array(&unit[SEGMENT_HEADER..])),
    };
    if unit[16] > WHOLE_FILE {
        return violation("unknown segment flags");
    }
    if header.len == 0 || u64::from(header.len) > SEGMENT || !header.start.is_multiple_of(SEGMENT) {
        return violation("a segment of forbidden place or length");
    }
    if header.start.checked_add(u64::from(header.len)).is_none() {
        return violation("a segment past the end of all files");
    }
    Ok(header)
}

fn chunk_header(unit: &[u8], form: Form, left: u32) -> Result<ChunkHeader, Violation> {
    let chunk = ChunkHeader {
        plain_len: u32::from_le_bytes(array(&unit[..4])),
        wire_len: u32::from_le_bytes(array(&unit[4..8])),
        flags: unit[8],
    };
    let (compressed, zeros) = (chunk.flags & COMPRESSED != 0, chunk.flags & ZEROS != 0);
    if chunk.flags & !(COMPRESSED | LAST | ZEROS) != 0 || (compressed && zeros) {
        return violation("unknown chunk flags");
    }
    if compressed && !form.compressed {
        return violation("a compressed chunk, which was not agreed upon");
    }
    let last = chunk.flags & LAST != 0;
    let len_fits = chunk.plain_len > 0 && chunk.plain_len <= left.min(MAX_CHUNK);
    if !len_fits || last != (chunk.plain_len == left) || (!last && chunk.plain_len < MIN_CHUNK) {
        return violation("a chunk of forbidden length");
    }
    let fits = match chunk.wire_len.checked_sub(if form.sealed { TAG } else { 0 }) {
        None => false,
        Some(bytes) if zeros => bytes == 0,
        Some(bytes) if compressed => bytes > 0 && bytes < chunk.plain_len,
        Some(bytes) => bytes == chunk.plain_len,
    };
    if !fits {
        return violation("a chunk whose lengths do not fit");
    }
    Ok(chunk)
}

/// Converts a slice to an array, padded with zeros.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let n = bytes.len().min(N);
    out[..n].copy_from_slice(&bytes[..n]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(sealed: bool, bytes: &[u8], cuts: &[usize]) -> Result<(Vec<SegmentHeader>, Vec<u8>), Violation> {
        let mut decoder = DataDecoder::new(sealed, true);
        let (mut segments, mut plain) = (Vec::new(), Vec::new());
        let mut at = 0;
        let mut cuts = cuts.iter().cycle();
        while at < bytes.len() {
            let n = (*cuts.next().unwrap()).clamp(1, bytes.len() - at);
            let mut part = bytes[at..at + n].to_vec();
            at += n;
            decoder.push::<Violation>(&mut part, &mut |unit| {
                match unit {
                    Unit::Segment(header) => segments.push(header),
                    Unit::Chunk(chunk, _, _, bytes) => {
                        assert_eq!(bytes.len(), chunk.wire_len as usize);
                        if chunk.flags & ZEROS != 0 {
                            assert_eq!(bytes.len(), if sealed { TAG as usize } else { 0 });
                            plain.extend(vec![0; chunk.plain_len as usize]);
                        } else {
                            plain.extend_from_slice(&bytes[..chunk.plain_len as usize]);
                        }
                    }
                }
                Ok(())
            })?;
            assert!(decoder.pending.len() <= (MAX_CHUNK + TAG) as usize);
        }
        decoder.finish()?;
        Ok((segments, plain))
    }

    fn stream(sealed: bool, lens: &[u32]) -> (Vec<u8>, Vec<SegmentHeader>, Vec<u8>) {
        let (mut out, mut headers, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for (i, len) in lens.iter().enumerate() {
            let commitment = sealed.then_some([i as u8; 32]);
            let header =
                SegmentHeader { file: i as u32, start: SEGMENT * i as u64, len: *len, whole: i == 0, commitment };
            header.encode(&mut out);
            headers.push(header);
            let mut left = *len;
            let mut number = i;
            while left > 0 {
                let n = left.min(MIN_CHUNK);
                // Every third chunk is a hole.
                let zeros = number % 3 == 1;
                let sent = if zeros { 0 } else { n };
                let flags = if n == left { LAST } else { 0 } | if zeros { ZEROS } else { 0 };
                out.extend(ChunkHeader { plain_len: n, wire_len: sent + if sealed { TAG } else { 0 }, flags }.encode());
                let bytes: Vec<u8> = (0..sent).map(|b| (b % 253) as u8).collect();
                out.extend(&bytes);
                plain.extend(&bytes);
                plain.extend(vec![0; (n - sent) as usize]);
                number += 1;
                if sealed {
                    out.extend([0; TAG as usize]);
                }
                left -= n;
            }
        }
        (out, headers, plain)
    }

    #[test]
    fn however_a_stream_is_cut_it_reads_the_same() {
        for sealed in [false, true] {
            let (bytes, headers, plain) = stream(sealed, &[1, 70_000, MIN_CHUNK, 3 * MIN_CHUNK + 5]);
            for cuts in [&[1][..], &[7, 64 * 1024, 1], &[1 << 20], &[100_000, 3]] {
                let (found, bytes) = decode(sealed, &bytes, cuts).unwrap();
                assert_eq!(found, headers);
                assert!(bytes == plain, "sealed {sealed}, cuts {cuts:?}");
            }
            for kept in 1..27 {
                assert!(decode(sealed, &bytes[..kept], &[4096]).is_err(), "only {kept}");
            }
            for short in 1..200 {
                assert!(decode(sealed, &bytes[..bytes.len() - short], &[4096]).is_err(), "cut by {short}");
            }
        }
    }

    #[test]
    fn forbidden_lengths_and_flags_are_refused() {
        let segment = |start: u64, len: u32, flags: u8| {
            let mut out = Vec::new();
            SegmentHeader { file: 0, start, len, whole: false, commitment: None }.encode(&mut out);
            out[16] = flags;
            out
        };
        for bad in [segment(0, 0, 0), segment(0, SEGMENT as u32 + 1, 0), segment(5, 5, 0), segment(0, 5, 2)] {
            assert!(decode(false, &bad, &[100]).is_err());
        }
        assert!(decode(false, &segment(u64::MAX - SEGMENT + 1, SEGMENT as u32, 0), &[100]).is_err());
        let chunk = |plain_len, wire_len, flags| {
            let mut out = segment(0, SEGMENT as u32, 0);
            out.extend(ChunkHeader { plain_len, wire_len, flags }.encode());
            decode(false, &out, &[100]).unwrap_err().0
        };
        let most = SEGMENT as u32;
        let cut_off = "a data stream was cut off";
        assert_eq!(chunk(most, most, LAST), cut_off, "an honest header only lacks its bytes");
        for (plain_len, wire_len, flags) in [
            (0, 0, LAST),
            (most, most, 0),
            (most + 1, most + 1, LAST),
            (u32::MAX, u32::MAX, LAST),
            (5, 5, 0),
            (MIN_CHUNK, MIN_CHUNK, LAST),
            (MIN_CHUNK, MIN_CHUNK + 16, 0),
            (MIN_CHUNK, u32::MAX, 0),
            (MIN_CHUNK, MIN_CHUNK, COMPRESSED),
            (MIN_CHUNK, MIN_CHUNK + 1, COMPRESSED),
            (MIN_CHUNK, 0, COMPRESSED),
            (MIN_CHUNK, 0, 0),
            (MIN_CHUNK, 100, 0),
            (MIN_CHUNK, 1, ZEROS),
            (MIN_CHUNK, MIN_CHUNK, ZEROS),
            (MIN_CHUNK, TAG, ZEROS),
            (MIN_CHUNK - 1, 0, ZEROS),
            (most + 1, 0, ZEROS | LAST),
            (most, 0, ZEROS),
            (MIN_CHUNK, 0, ZEROS | LAST),
            (MIN_CHUNK, 0, ZEROS | COMPRESSED),
            (MIN_CHUNK, 100, ZEROS | COMPRESSED),
            (MIN_CHUNK, MIN_CHUNK, 8),
        ] {
            assert_ne!(chunk(plain_len, wire_len, flags), cut_off, "{plain_len} {wire_len} {flags}");
        }
        assert_eq!(chunk(MIN_CHUNK, MIN_CHUNK - 1, COMPRESSED), cut_off);
        assert_eq!(chunk(most, 1, COMPRESSED | LAST), cut_off);
        assert_eq!(chunk(MIN_CHUNK, 0, ZEROS), cut_off);
    }

    #[test]
    fn zeros_and_compressed_chunks_have_the_lengths_that_they_must_have() {
        let chunk = |sealed: bool, compressed, plain_len, wire_len, flags| {
            let mut out = Vec::new();
            let commitment = sealed.then_some([0; COMMITMENT]);
            SegmentHeader { file: 0, start: 0, len: SEGMENT as u32, whole: false, commitment }.encode(&mut out);
            out.extend(ChunkHeader { plain_len, wire_len, flags }.encode());
            DataDecoder::new(sealed, compressed).push::<Violation>(&mut out, &mut |_| Ok(()))
        };
        assert!(chunk(true, true, MIN_CHUNK, 17, COMPRESSED).is_ok());
        for wire_len in [0, 15, 16, MIN_CHUNK + 16, MIN_CHUNK + 17, u32::MAX] {
            assert!(chunk(true, true, MIN_CHUNK, wire_len, COMPRESSED).is_err(), "{wire_len}");
        }
        for sealed in [false, true] {
            assert!(chunk(sealed, false, MIN_CHUNK, 100, COMPRESSED).is_err(), "not agreed upon");
        }
        assert!(chunk(true, false, MIN_CHUNK, 16, ZEROS).is_ok());
        for wire_len in [0, 15, 17, MIN_CHUNK + 16, u32::MAX] {
            assert!(chunk(true, true, MIN_CHUNK, wire_len, ZEROS).is_err(), "{wire_len}");
        }
    }

    #[test]
    fn chunks_are_counted_within_their_segment_and_know_their_place() {
        let (mut bytes, ..) = stream(true, &[1, 3 * MIN_CHUNK + 5, MIN_CHUNK]);
        let mut found = Vec::new();
        let mut decoder = DataDecoder::new(true, true);
        decoder
            .push::<Violation>(&mut bytes, &mut |unit| {
                if let Unit::Chunk(chunk, number, offset, _) = unit {
                    found.push((chunk.plain_len, number, offset));
                }
                Ok(())
            })
            .unwrap();
        let (min, wide) = (MIN_CHUNK, u64::from(MIN_CHUNK));
        let second = [(min, 0, SEGMENT), (min, 1, SEGMENT + wide), (min, 2, SEGMENT + 2 * wide)];
        let expected = [&[(1, 0, 0)][..], &second, &[(5, 3, SEGMENT + 3 * wide), (min, 0, 2 * SEGMENT)]].concat();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_incomplete_chunk_takes_no_more_memory_than_came_and_a_usual_chunk() {
        const WIRE: usize = MAX_CHUNK as usize;
        let mut head = Vec::new();
        SegmentHeader { file: 0, start: 0, len: MAX_CHUNK, whole: true, commitment: None }.encode(&mut head);
        head.extend(ChunkHeader { plain_len: MAX_CHUNK, wire_len: MAX_CHUNK, flags: LAST }.encode());
        let mut decoder = DataDecoder::new(false, false);
        assert_eq!((decoder.pending(), decoder.memory()), (0, 0));
        let none = &mut |_: Unit<'_>| Ok::<(), Violation>(());
        decoder.push(&mut head, none).unwrap();
        assert_eq!((decoder.pending(), decoder.memory()), (0, 0), "headers that came as a whole are not copied");
        assert!(decoder.finish().is_err());
        let mut sent = 0;
        for piece in [1, 60_000].into_iter().chain(std::iter::repeat(90_000)) {
            let piece = piece.min(WIRE - 1 - sent);
            decoder.push(&mut vec![7; piece], none).unwrap();
            sent += piece;
            assert_eq!(decoder.pending(), sent);
            let held = decoder.memory();
            assert!(held >= sent && held <= (sent + CHUNK as usize).min(WIRE), "{held} for {sent}");
            if sent == WIRE - 1 {
                break;
            }
        }
        let mut whole = false;
        let end = &mut |unit: Unit<'_>| {
            whole = matches!(&unit, Unit::Chunk(_, 0, 0, bytes) if bytes.len() == WIRE);
            Ok::<(), Violation>(())
        };
        decoder.push(&mut [7], end).unwrap();
        assert!(whole && decoder.finish().is_ok());
        assert_eq!((decoder.pending(), decoder.memory()), (0, WIRE), "it is used again");
        decoder.trim();
        let usual = decoder.memory();
        assert!((CHUNK as usize..2 * CHUNK as usize).contains(&usual), "{usual}");
        decoder.trim();
        assert_eq!(decoder.memory(), usual, "a usual chunk is kept");
        decoder.shrink();
        assert_eq!(decoder.memory(), 0);
    }

    #[test]
    fn stream_headers_of_another_version_are_refused() {
        let header = StreamHeader { suite: 1, transfer: [4; 16], attempt: [5; 16] };
        let mut bytes = header.encode();
        assert_eq!(StreamHeader::decode(&bytes).unwrap(), header);
        bytes[0] = 2;
        assert!(StreamHeader::decode(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(
            sealed: bool, bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 1usize..40
        ) {
            let _ = decode(sealed, &bytes, &[cut]);
        }

        #[test]
        fn a_damaged_stream_never_panics(at in 0usize..70_000, byte: u8, cut in 1usize..70_000) {
            let (mut bytes, ..) = stream(true, &[10, 66_000]);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = decode(true, &bytes, &[cut]);
        }
    }
}
