//! Foundation of the tests of whole devices: programs that are driven and watched, devices, folders to send, and
//! networks made of namespaces. The project's rules about sources, as tests, are in `tidy`.
//!
//! If this machine lacks something that a test needs, the test fails with a message; nothing is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

pub mod control_client;
pub mod device;
pub mod lab;
pub mod measure;
pub mod program;
pub mod servers;
pub mod tree;

#[cfg(test)]
mod tidy;
