//! What a transfer costs a rule that limits bytes a day. Pure.
//!
//! The limit bounds what lies on the disk and not what a peer claims: names, empty files and folders take blocks too, and a
//! source may grow while it is being sent. A transfer is charged before it is accepted, and charged again before it grows.
//! Nothing is given back when it is cancelled or fails, because files that were complete stay.

use super::{bits::Bits, manifest::Manifest};

/// Bytes that an entry costs beside its contents: a block of most file systems, which an empty file, a folder, or the last
/// piece of a file takes.
pub const ENTRY: u64 = 4096;

/// The cost of so many bytes in so many files and folders.
pub fn cost(bytes: u64, entries: u64) -> u64 {
    bytes.saturating_add(entries.saturating_mul(ENTRY))
}

/// What is kept beside the files until the transfer ends: its list, which has every entry of the offer, and its account.
pub fn beside(list: u64) -> u64 {
    list.saturating_add(ENTRY)
}

/// Bytes that the selected files will take together: those that have their names already as they landed, the others as
/// the manifest has them now, and nothing of a growing one, which is charged as it grows. `landed` is the sum of the former.
///
/// What landed counts as it landed. A source that says afterwards that such a file is empty gets no room for another one.
pub fn bytes_in_all(now: &Manifest, selected: &Bits, whole: &Bits, landed: u64) -> u64 {
    let to_come = selected.iter().filter(|index| !whole.contains(*index)).filter_map(|index| now.bytes(index));
    to_come.fold(landed, u64::saturating_add)
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
