//! Access to users' files: system calls behind one trait, rules for names, and what must never be sent.
//!
//! - `ops`: the trait `FileOps`, by which everything that is received gets to the disk, and its real implementation.
//! - `waiting`: file operations that wait for a free descriptor.
//! - [`names`]: which names are refused or changed, and which is tried next if a name is taken. Pure, and in
//!   `yonder-proto`.
//! - [`private`]: files that are never sent, such as the data directory.
//! - `trash`: moves replaced files to the user's trash.
//!
//! Must not know transfers, devices or the network: it works on open folders, names and bytes. Blocking, apart from
//! [`names`].

pub(crate) mod ops;
pub mod private;
pub(crate) mod trash;
pub(crate) mod waiting;

pub use yonder_proto::fs::{names, unsafe_names};
