//! Tests of two real programs on one machine, driven over the command line as a person or a script does. Where one side
//! is hostile or dies at a chosen moment, the test plays it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod bad_input;
mod bench;
mod descriptors;
mod fixtures;
mod kill;
mod many;
mod messages;
mod pairing;
mod peer;
mod pictures;
mod played;
mod prepared;
mod queue;
mod receiving;
mod relay_files;
mod rendezvous;
mod secrets;
mod transfer;
