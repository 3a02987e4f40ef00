//! Yonder's networking core: connects a person's devices directly, peer to peer, without an account or a cloud.
//!
//! Start at [`service::NetworkingService`]. The modules and their allowed dependencies are described in
//! `docs/architecture.md`, the wire formats in `docs/protocol.md`.
//!
//! Formats, state machines and key derivations are pure and a crate of their own, `yonder-proto`. They are offered again
//! here, in the modules with the same names ([`keys`], [`id`], [`pairing`], [`transfer`] and others).
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod budget;
pub mod clock;
pub mod control;
pub mod datadir;
pub mod device;
pub mod diagnostics;
pub mod discovery;
pub mod error;
pub mod event;
pub mod fs;
pub mod id;
pub mod identity;
pub mod keys;
pub mod messaging;
pub mod net;
pub mod pairing;
pub mod queue;
pub mod service;
pub mod storage;
pub mod transfer;

#[cfg(test)]
mod log_capture;

/// Compiles the examples of `docs/extending.md` as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/extending.md")]
pub struct Extending;
