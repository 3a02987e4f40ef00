//! Names and times of files. Nothing here opens a file.
//!
//! - [`names`]: which names are refused or changed, and which is tried next if a name is taken.
//! - [`unsafe_names`]: which names hide a file, or start a program when it is opened.

pub mod names;
pub mod unsafe_names;

use serde::{Deserialize, Serialize};

/// Modification time, in the resolution that file systems keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtime {
    /// Seconds since 1970-01-01 UTC, negative before.
    pub secs: i64,
    /// Nanoseconds, below 10^9.
    pub nanos: u32,
}
