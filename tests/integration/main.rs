//! Tests of two real programs on one machine, driven over the command line as a person or a script does. Where one side
//! is hostile or dies at a chosen moment, the test plays it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod bad_input;
mod bench;
mod cut;
mod descriptors;
mod early;
mod fixtures;
mod flood;
mod halfway;
mod isolation;
mod kill;
mod many;
mod messages;
mod pairing;
mod peer;
mod pictures;
mod prepared;
mod queue;
mod receiving;
mod relay_files;
mod rendezvous;
mod replay;
mod secrets;
mod strangers;
mod transfer;
mod unpaired;
