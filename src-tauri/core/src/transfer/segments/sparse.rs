//! Holes of sparse files: finding them, and cutting a segment along them.
//!
//! The file system tells where holes are. A hole is not read, and is sent as a chunk without data; both sides hash
//! its zeros from memory. Segments are cut in units of the smallest chunk.

use std::fs::File;

use crate::transfer::protocol::limits::{MIN_CHUNK, SEGMENT};

/// Units of a segment: one for each bit of a set of holes.
const UNITS: u32 = SEGMENT as u32 / MIN_CHUNK;
const _: () = assert!(UNITS == u32::BITS);

/// Part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the segment.
    pub at: u32,
    /// Length in bytes.
    pub len: u32,
    /// True if the part is a hole.
    pub hole: bool,
}

/// Cuts a segment: each run of holes is one piece, and data is cut into pieces of at most `chunk` bytes. Each piece
/// but the last is at least as long as the smallest chunk.
pub fn pieces(len: u32, holes: u32, chunk: u32) -> impl Iterator<Item = Piece> {
    let chunk = (chunk / MIN_CHUNK).max(1);
    let mut unit = 0;
    std::iter::from_fn(move || {
        let at = unit * MIN_CHUNK;
        if at >= len {
            return None;
        }
        let rest = holes >> unit;
        let hole = rest & 1 == 1;
        let alike = if hole { rest.trailing_ones() } else { rest.trailing_zeros().min(chunk) };
        unit = unit.saturating_add(alike).min(UNITS);
        Some(Piece { at, len: (unit * MIN_CHUNK).min(len) - at, hole })
    })
}

/// Adds the units that lie completely in `from..to`, in a segment of length `len`.
fn mark(holes: u32, len: u32, from: u32, to: u32) -> u32 {
    (from.div_ceil(MIN_CHUNK)..len.min(to).div_ceil(MIN_CHUNK))
        .filter(|unit| (unit + 1) * MIN_CHUNK <= to || to >= len)
        .fold(holes, |holes, unit| holes | 1 << unit)
}

/// Returns true if a file occupies less space than its length, so that holes are worth looking for.
#[cfg(unix)]
pub fn may_have(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    meta.blocks().saturating_mul(512) < meta.len()
}

/// Returns false: holes are not detected on this system, and every file is read as a whole.
#[cfg(not(unix))]
pub fn may_have(_meta: &std::fs::Metadata) -> bool {
    false
}

/// Returns the holes of a segment, one bit for each unit; 0 if the system cannot tell. Moves the file's cursor, which
/// is not used elsewhere. Blocking.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub fn of(file: &File, start: u64, len: u32) -> u32 {
    use rustix::{
        fs::{SeekFrom, seek},
        io::Errno,
    };
    let within = |place: u64| place.saturating_sub(start).min(u64::from(len)) as u32;
    let (mut holes, mut at) = (0, 0);
    while at < len {
        let data = match seek(file, SeekFrom::Data(start + u64::from(at))) {
            Ok(data) => within(data),
            // The rest of the file is a hole.
            Err(Errno::NXIO) => len,
            Err(_) => return 0,
        };
        holes = mark(holes, len, at, data);
        if data >= len {
            break;
        }
        match seek(file, SeekFrom::Hole(start + u64::from(data))) {
            Ok(hole) if within(hole) > at => at = within(hole),
            _ => break,
        }
    }
    holes
}

/// Returns 0: holes are not detected on this system.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub fn of(_file: &File, _start: u64, _len: u32) -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const U: u32 = MIN_CHUNK;

    fn cut(len: u32, holes: u32, chunk: u32) -> Vec<(u32, u32, bool)> {
        pieces(len, holes, chunk).map(|piece| (piece.at, piece.len, piece.hole)).collect()
    }

    #[test]
    fn a_segment_is_cut_along_its_holes() {
        assert_eq!(cut(0, 0, U), []);
        assert_eq!(cut(5, 0, 4 * U), [(0, 5, false)]);
        assert_eq!(cut(5, 1, 4 * U), [(0, 5, true)]);
        assert_eq!(cut(3 * U + 1, 0, 2 * U), [(0, 2 * U, false), (2 * U, U + 1, false)]);
        assert_eq!(
            cut(6 * U, 0b011010, 4 * U),
            [(0, U, false), (U, U, true), (2 * U, U, false), (3 * U, 2 * U, true), (5 * U, U, false)]
        );
        assert_eq!(cut(SEGMENT as u32, u32::MAX, U), [(0, SEGMENT as u32, true)]);
        assert_eq!(cut(SEGMENT as u32, 0, 32 * U), [(0, SEGMENT as u32, false)]);
        assert_eq!(cut(SEGMENT as u32, 1 << 31, 32 * U), [(0, 31 * U, false), (31 * U, U, true)]);
    }

    #[test]
    fn only_units_that_are_holes_as_a_whole_are_holes() {
        let len = 4 * U + 9;
        assert_eq!(mark(0, len, 0, len), 0b11111);
        assert_eq!(mark(0, len, 1, len), 0b11110);
        assert_eq!(mark(0, len, U, 3 * U - 1), 0b00010);
        assert_eq!(mark(0, len, U, 3 * U), 0b00110);
        assert_eq!(mark(0, len, 4 * U, len - 1), 0);
        assert_eq!(mark(0, len, 4 * U, len), 0b10000);
        assert_eq!(mark(0, len, 5, 5), 0);
        assert_eq!(mark(0, SEGMENT as u32, 0, SEGMENT as u32), u32::MAX);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn holes_are_found_where_they_are() {
        use std::os::unix::fs::FileExt;
        let folder = tempfile::tempdir().unwrap();
        let file = File::create_new(folder.path().join("sparse")).unwrap();
        let unit = u64::from(U);
        file.set_len(3 * SEGMENT + 100).unwrap();
        assert!(may_have(&file.metadata().unwrap()));
        file.write_all_at(&[1; 100], 2 * unit + 5).unwrap();
        file.write_all_at(&[1; 5000], 4 * unit - 2500).unwrap();
        assert_eq!(of(&file, 0, SEGMENT as u32), !0b11100);
        assert_eq!(of(&file, SEGMENT, SEGMENT as u32), u32::MAX);
        assert_eq!(of(&file, 3 * SEGMENT, 100), 1);
        file.write_all_at(&[1; 100], 3 * SEGMENT).unwrap();
        assert_eq!(of(&file, 3 * SEGMENT, 100), 0);
        let dense = File::create_new(folder.path().join("dense")).unwrap();
        dense.write_all_at(&[0; 200_000], 0).unwrap();
        assert!(!may_have(&dense.metadata().unwrap()));
        assert_eq!(of(&dense, 0, 200_000), 0, "zeros that were written are no hole");
    }

    proptest! {
        #[test]
        fn every_byte_is_in_one_piece_that_may_be_a_chunk(len in 1u32..=SEGMENT as u32, holes: u32, power in 0u32..6) {
            let chunk = U << power;
            let mut at = 0;
            for piece in pieces(len, holes, chunk) {
                prop_assert_eq!(piece.at, at);
                at += piece.len;
                prop_assert!(piece.len > 0 && (piece.len >= U || at == len));
                prop_assert!(piece.hole || piece.len <= chunk);
                for unit in piece.at / U..(piece.at + piece.len).div_ceil(U) {
                    prop_assert_eq!(holes >> unit & 1 == 1, piece.hole);
                }
            }
            prop_assert_eq!(at, len);
        }
    }
}
