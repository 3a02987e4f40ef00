//! Segments of files on the disk: their holes and their hashes.

pub(in crate::transfer) mod hash;
pub(in crate::transfer) mod sparse;
