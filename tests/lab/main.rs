//! Tests in networks made of namespaces: of the laboratory itself, then of whole devices in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod adverts;
mod compression;
mod connections;
mod discovery;
mod disks;
mod doctor;
mod internet;
mod laboratory;
mod lan;
mod middle;
mod pair;
mod reach;
mod relays;
mod resume;
mod secrets;
mod sleep_inhibitor;
mod sshd;
mod texts;
mod throughput;
