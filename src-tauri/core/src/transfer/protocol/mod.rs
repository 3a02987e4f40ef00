//! Wire protocol of transfers: frames, listing, state machines, hash tree, cipher. Pure, except for the control stream.

pub(in crate::transfer) mod cipher;
pub(in crate::transfer) mod compression;
pub(in crate::transfer) mod control_stream;
pub mod frames;
pub(in crate::transfer) mod framing;
pub(in crate::transfer) mod hash_tree;
pub(in crate::transfer) mod index_set;
pub mod limits;
pub(in crate::transfer) mod manifest;
pub(in crate::transfer) mod reason;
pub(in crate::transfer) mod selection;
pub(in crate::transfer) mod silence;
pub(in crate::transfer) mod state;
