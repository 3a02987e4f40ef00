//! Diagnosis: what works, and what prevents connections.
//!
//! `probe` collects facts: it sends packets, reads system tables, asks servers. `checks` turns facts into checks, each
//! with a stable name, a code, and a hint what to do. `checks` is pure and never waits; `probe` makes no decisions.
//! `redacted_report` creates a redacted report, and `log` limits the size of the logs.
//!
//! `docs/doctor.md` lists every name and code. Probes respect the mode: in mode `lan` no packet is sent outside the
//! LAN.

pub mod checks;
pub mod facts;
mod line_limit;
pub mod log;
pub mod probe;
mod redacted_report;

pub use redacted_report::{RedactedReport, masked};
