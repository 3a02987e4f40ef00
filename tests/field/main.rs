//! Tests of faults that ordinary users meet with file transfer programs, each against real processes: what is sent and
//! what is not, where it is stored, what the commands report, and how fast a connection comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod commands;
mod naming;
mod networks;
#[path = "../lab/pair.rs"]
#[allow(dead_code, reason = "the laboratory's own tests use the rest of it")]
mod pair;
#[path = "../integration/peer.rs"]
#[allow(dead_code, reason = "the integration tests use all of it")]
mod peer;
mod presence;
mod reach;
mod receiving;
mod sending;
mod skipped;
mod stdin;
