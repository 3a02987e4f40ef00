//! Two real programs on one machine, driven as a person or a script drives them: over the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod bad_input;
mod kill;
mod pairing;
mod rendezvous;
mod strangers;
mod transfer;
