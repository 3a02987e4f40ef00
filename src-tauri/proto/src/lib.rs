//! Pure code of Yonder: formats, state machines, key derivations and decisions.
//!
//! Bytes, answers, random bytes and times go in; bytes, events and decisions come out. So a test can run both ends of a
//! protocol in one thread, at any time and over any connection, and is built in seconds. `yonder-core` drives this crate
//! over real connections and disks, and offers all of it again under the same paths: `yonder_core::keys` is
//! [`keys`](crate::keys).
//!
//! # What it must not know
//!
//! No runtime (tokio), no network (iroh), no store (redb), no file, no thread, no clock and no source of randomness. Its
//! `Cargo.toml` names no crate that brings one of them, so the compiler keeps this; `tests/src/tidy/pure.rs` keeps the
//! list, and the paths of the standard library that would break it. Time comes in as an argument: a
//! [`Duration`](std::time::Duration) since a start of the caller's choice. Random bytes come in as arguments or by
//! [`pairing::Entropy`].
//!
//! # Modules
//!
//! They have the names of the core's rooms, and may name each other as those may.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`transfer`] | the wire protocol of transfers, and the decisions of sender and receiver |
//! | [`pairing`] | both sides of a pairing as state machines; codes, messages, attempts, errors |
//! | [`keys`] | every derivation of a key, the session handshake, key renewal, sealing |
//! | [`queue`] | rates, waits between attempts, limits of the history |
//! | [`fs`] | names of files that are refused or changed, times of files |
//! | [`id`] | ids of devices and transfers, names of devices and which look alike |
//! | [`clock`] | the token bucket |
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod clock;
pub mod fs;
pub mod id;
pub mod keys;
pub mod pairing;
pub mod queue;
pub mod transfer;

/// Log capture, which the tests of both crates use.
#[cfg(test)]
#[path = "../../core/src/log_capture.rs"]
mod log_capture;
