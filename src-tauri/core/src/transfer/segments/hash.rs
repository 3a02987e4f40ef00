//! Hashes of segments, computed from the disk. Blocking.

use std::{fs::File, io};

use super::sparse::{self, pieces};
use crate::transfer::protocol::{
    hash_tree::{SegmentHasher, segment_at},
    limits::CHUNK,
    reason::Reason,
};

/// Computes the hash of a segment from the disk. Returns `None` if it cannot be read.
pub fn hash_of(file: &File, size: u64, segment: u32, buffer: &mut [u8]) -> Option<[u8; 32]> {
    let (start, len) = segment_at(size, u64::from(segment))?;
    let mut hasher = SegmentHasher::new(size, start);
    // A range past the end of the file has no hash, though it may look like a hole.
    if file.metadata().ok()?.len() < start + u64::from(len) {
        return None;
    }
    for piece in pieces(len, sparse::of(file, start, len), CHUNK) {
        if piece.hole {
            hasher.zeros(piece.len);
            continue;
        }
        let bytes = buffer.get_mut(..piece.len as usize)?;
        read_exact_at(file, bytes, start + u64::from(piece.at)).ok()?;
        hasher.update(bytes);
    }
    Some(hasher.finish().bytes())
}

/// Fills `bytes` from this offset of a file, without moving its cursor.
///
/// # Errors
/// The reason for the peer: `SourceChanged` if the file is too short, `SourceUnreadable` otherwise.
pub(in crate::transfer) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), Reason> {
    #[cfg(unix)]
    let read = std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset);
    #[cfg(windows)]
    let read = {
        let (mut bytes, mut offset) = (bytes, offset);
        loop {
            if bytes.is_empty() {
                break Ok(());
            }
            match std::os::windows::fs::FileExt::seek_read(file, bytes, offset) {
                Ok(0) => break Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(n) => (bytes, offset) = (&mut bytes[n..], offset + n as u64),
                Err(error) => break Err(error),
            }
        }
    };
    read.map_err(|error| {
        tracing::info!(%error, "a file to send cannot be read");
        if error.kind() == io::ErrorKind::UnexpectedEof { Reason::SourceChanged } else { Reason::SourceUnreadable }
    })
}
