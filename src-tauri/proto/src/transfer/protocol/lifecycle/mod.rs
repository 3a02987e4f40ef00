//! Lives of a transfer at both ends: pure state machines from the first attempt to the end.
//!
//! - [`sender`]: one machine for the whole life of an outgoing transfer, over all its attempts.
//! - [`receiver`]: one machine for each attempt that reaches a receiver, and the rule by which it answers a sender that
//!   comes back ([`receiver::answer_to_resume`]). Between attempts a receiver runs nothing: the record is its state.
//!
//! A machine takes an input and the time, and returns actions in the order in which they are to be carried out. It
//! knows no files, no connection and no clock. `transfer::send::sender` and `transfer::receive::receiver` of `yonder-core` carry out its
//! actions; the simulation in `tests/simulation` runs both ends against each other without either.
//!
//! Frames are checked for their order by [`super::state`], before their meaning gets here.
//! `docs/transfer-lifecycle.md` has every transition. It is written by a test from these machines.

pub mod receiver;
pub mod sender;
#[cfg(test)]
mod tests;

use std::time::Duration;

/// Point in time, as the span since a fixed start.
pub type Moment = Duration;

/// Wait for the other side's reason after a data stream broke.
pub const REASON_TIMEOUT: Duration = Duration::from_secs(5);
