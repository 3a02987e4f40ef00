//! Wire protocol of transfers. It is pure and in `yonder-proto`, which describes these modules; here are the tasks that
//! read and write a control stream.
//!
//! - [`frames`], `framing`, `state`, `manifest`, `selection`, `index_set`, `hash_tree`, `cipher`, `compression`,
//!   [`limits`], `reason`, `silence`, `claims`, `lifecycle`: from `yonder-proto`.
//! - `control_stream`: uses the runtime and a session's streams.
//!
//! Must not know the rest of `transfer`, the disk or the clock.

pub(in crate::transfer) mod control_stream;
pub(in crate::transfer) mod manifest;

/// Compressed data made by hand, for tests.
#[cfg(test)]
#[path = "../../../../proto/src/transfer/protocol/repeats.rs"]
pub(in crate::transfer) mod repeats;

pub(in crate::transfer) use yonder_proto::transfer::protocol::{
    cipher, claims, compression, framing, hash_tree, index_set, lifecycle, reason, selection, silence, state,
};
pub use yonder_proto::transfer::protocol::{frames, limits};
