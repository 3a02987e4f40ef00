//! Figures of a queue of transfers: rates, waits between attempts, and how much of the history is kept.
//!
//! - [`progress`]: rates, remaining time, and the time during which bytes moved.
//! - [`backoff`]: waits between attempts.
//! - [`history`]: how much of the history is kept.

pub mod backoff;
pub mod history;
pub mod progress;
