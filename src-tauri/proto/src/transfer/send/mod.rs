//! Decisions of the sending side.
//!
//! - [`compression_policy`]: whether a file is compressed, and in chunks of which size, by what was measured.
//! - [`pace`]: how the transfer gets on, and when it is given up for now.
//!
//! Must not know `receive`.

pub mod compression_policy;
pub mod pace;
