//! What works and what is in the way.
//!
//! `probe` finds facts: it sends packets, reads tables of the system, asks servers. `judge` is pure: facts go in, checks
//! come out, each with a stable name and code and a hint that says what to do. Nothing in `judge` waits, and nothing in
//! `probe` decides. `letter` makes a report that can be shown to others, and `log` keeps the logs small.
//!
//! Every name and code stands in `docs/doctor.md`. What the mode forbids is not asked: in mode `lan` no packet is meant
//! for anybody outside the LAN.

pub mod facts;
pub mod judge;
mod letter;
mod line_limit;
pub mod log;
pub mod probe;

pub use letter::{Letter, masked};
