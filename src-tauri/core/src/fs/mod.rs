//! Access to users' files: system calls behind one trait, names, sparse files, the trash.

pub mod names;
pub(crate) mod ops;
pub mod private;
pub(crate) mod trash;
pub(crate) mod waiting;
