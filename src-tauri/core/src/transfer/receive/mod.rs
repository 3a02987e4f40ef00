//! Receiving side of a transfer.
//!
//! - `receiver`: the life of one incoming transfer: the offer, consent, data, the end.
//! - `resume`: a later attempt at a transfer that was accepted before.
//! - `unattended`, `rule_target`, `quota`: what a rule may accept without a person.
//! - `stream_router`, `data_stream`: brings data streams to their transfers, and their data into the staging directory.
//! - `assembly`: what has arrived of each file, and whether it is good.
//! - `staging`: unfinished files on the disk. `commit`: their final names.
//!
//! `assembly`, `quota` and `unattended` are pure and in `yonder-proto`.
//!
//! Must not know `send`. Nothing is written before the offer was accepted and the acceptance is on record.

pub(in crate::transfer) mod commit;
pub(in crate::transfer) mod data_stream;
pub(in crate::transfer) mod receiver;
pub(in crate::transfer) mod resume;
pub(crate) mod rule_target;
pub(in crate::transfer) mod staging;
pub(in crate::transfer) mod stream_router;

pub(in crate::transfer) use yonder_proto::transfer::receive::{assembly, quota, unattended};
