//! Parts of a queue of transfers: which may send, how fast, with how much memory, and when a failed one is tried again.
//!
//! - `scheduler`: which outgoing transfers may send now, in the order that people see.
//! - `rate_limit`: limits for one transfer and for all, and the gate that pauses data.
//! - `memory`, `stream_memory`: memory for manifests and for data streams, divided between devices.
//! - `progress`: rates, remaining time, and the time during which bytes moved.
//! - `backoff`: waits between attempts. `history`: how much of the history is kept.
//!
//! `progress`, `backoff` and `history` are pure and in `yonder-proto`.
//!
//! Must not know the protocol, files, sessions or the store. It knows transfers and devices by their ids only.

pub(crate) mod memory;
pub(crate) mod rate_limit;
pub(crate) mod scheduler;
pub(crate) mod stream_memory;

pub(crate) use yonder_proto::queue::{backoff, history, progress};
