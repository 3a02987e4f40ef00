//! Diagnosis: what works, and what prevents connections.
//!
//! `probe` collects facts: it sends packets, reads system tables, asks servers. `judge` turns facts into checks, each
//! with a stable name, a code, and a hint what to do. `judge` is pure and never waits; `probe` makes no decisions.
//! `letter` creates a redacted report, and `log` limits the size of the logs.
//!
//! `docs/doctor.md` lists every name and code. Probes respect the mode: in mode `lan` no packet is sent outside the
//! LAN.

pub mod facts;
pub mod judge;
mod letter;
mod line_limit;
pub mod log;
pub mod probe;

pub use letter::{Letter, masked};
