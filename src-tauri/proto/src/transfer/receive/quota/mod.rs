//! Cost of a transfer for rules with a daily byte limit. Pure.
//!
//! The limit bounds the disk usage, not what a peer claims: names, empty files and folders take blocks too, and a
//! source may grow while it is sent. A transfer is charged before it is accepted and again before it grows. Nothing
//! is refunded when it is cancelled or fails, because complete files stay.

use crate::transfer::protocol::{index_set::IndexSet, manifest::Manifest};

/// Bytes that an entry costs beside its content: a block of most file systems, for an empty file, a folder or the
/// last part of a file.
pub const ENTRY: u64 = 4096;

/// Returns the cost of `bytes` bytes in `entries` files and folders.
pub fn cost(bytes: u64, entries: u64) -> u64 {
    bytes.saturating_add(entries.saturating_mul(ENTRY))
}

/// Returns the cost of what is stored beside the files until the transfer ends: the manifest of the whole offer, and
/// the journal.
pub fn beside(list: u64) -> u64 {
    list.saturating_add(ENTRY)
}

/// Returns the bytes that the selected files will occupy. Named files count with `landed`, their sum as stored. The
/// others count as in the present manifest; a growing file counts 0, because it is charged as it grows.
///
/// A source that later reports a named file as empty gains no room by that.
pub fn bytes_in_all(now: &Manifest, selected: &IndexSet, whole: &IndexSet, landed: u64) -> u64 {
    let to_come = selected.iter().filter(|index| !whole.contains(*index)).filter_map(|index| now.bytes(index));
    to_come.fold(landed, u64::saturating_add)
}

#[cfg(test)]
mod tests;
