//! Sending side of a transfer.
//!
//! - `source`, `survey`, `input`: lists the named paths, before anything is sent; input that is still being written.
//! - `sender`: the life of one outgoing transfer, over as many attempts as it takes.
//! - `attempt`: one attempt over one session, with the tasks that carry its data.
//! - `reader`, `buffer_pool`, `compression_policy`: reads, hashes, compresses and seals segments on blocking threads.
//! - `verify_claims`: compares what the receiver holds already with the source.
//! - `pace`: how the transfer gets on, and when it is given up for now.
//!
//! `compression_policy` and `pace` are pure and in `yonder-proto`.
//!
//! Must not know `receive`. It writes no file of a person, and reads only what was named, never the data directory.

pub(in crate::transfer) mod attempt;
pub(in crate::transfer) mod buffer_pool;
pub(in crate::transfer) mod input;
pub(in crate::transfer) mod reader;
pub(in crate::transfer) mod sender;
pub(crate) mod source;
pub(in crate::transfer) mod survey;
pub(in crate::transfer) mod verify_claims;

pub(in crate::transfer) use yonder_proto::transfer::send::{compression_policy, pace};
