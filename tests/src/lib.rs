//! What the tests of whole devices stand on: programs that are driven and watched, devices, folders to send, and
//! networks made of namespaces. The rules of the house, as tests, are in `tidy`.
//!
//! A thing that a test needs and this machine lacks is a failure with a message; nothing is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

pub mod device;
pub mod lab;
pub mod measure;
pub mod program;
pub mod servers;
pub mod talk;
pub mod tree;

#[cfg(test)]
mod tidy;
