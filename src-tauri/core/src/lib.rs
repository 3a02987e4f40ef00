//! Yonder's networking stack: it joins a person's own devices directly, peer to peer, with no account and no cloud.
//!
//! Start at [`service::NetworkingService`]. The rooms, and which may know of which, are drawn in
//! `docs/architecture.md`; every byte on the wire is in `docs/protocol.md`.
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
pub mod id;
pub mod identity;
pub mod keys;
pub mod messaging;
pub mod net;
pub mod pairing;
pub mod service;
pub mod storage;
pub mod transfer;

#[cfg(test)]
mod overheard;

/// The examples of the page about extending the core, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/extending.md")]
pub struct Extending;
