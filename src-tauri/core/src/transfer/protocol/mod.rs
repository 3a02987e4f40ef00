//! Wire protocol of transfers, as `docs/protocol-transfer.md` describes it.
//!
//! - [`frames`], `framing`: the frames of the control stream, and the format of the data streams.
//! - `state`: the order of frames, on both sides, as state machines.
//! - `manifest`, `selection`, `index_set`: the list of what is sent, and what is chosen of it.
//! - `hash_tree`, `cipher`, `compression`: hashes, encryption and compression of segments and chunks.
//! - [`limits`], `reason`, `silence`: bounds for what a peer announces, reasons for an end, a peer that is silent.
//! - `control_stream`: the tasks that read and write a control stream.
//!
//! Must not know the rest of `transfer`, the disk or the clock. Pure, except for `control_stream`, which uses the
//! runtime and a session's streams.

pub(in crate::transfer) mod cipher;
pub(in crate::transfer) mod claims;
pub(in crate::transfer) mod compression;
pub(in crate::transfer) mod control_stream;
pub mod frames;
pub(in crate::transfer) mod framing;
pub(in crate::transfer) mod hash_tree;
pub(in crate::transfer) mod index_set;
pub(in crate::transfer) mod lifecycle;
pub mod limits;
pub(in crate::transfer) mod manifest;
pub(in crate::transfer) mod reason;
pub(in crate::transfer) mod selection;
pub(in crate::transfer) mod silence;
pub(in crate::transfer) mod state;
