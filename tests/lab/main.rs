//! Networks made of namespaces: first that the laboratory itself is one, then whole devices in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod adverts;
mod internet;
mod laboratory;
mod lan;
mod middle;
mod reach;
mod routers;
mod secrets;
