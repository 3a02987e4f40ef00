//! Segments of files on the disk, as both sides need them: where their holes are (`sparse`), and their hashes (`hash`).
//! Blocking.
//!
//! Must not know on which side it runs, nor who asks: it gets an open file and a range.

pub(in crate::transfer) mod hash;
pub(in crate::transfer) mod sparse;
