//! Attacks by hostile peers on a real node, at every stage of trust: an unknown address, a key without a pairing, a
//! pairing under way, half a session handshake, and a paired device. Each test is one attack, named after what it must
//! not achieve. The peers are written from `docs/protocol*.md`; `docs/extending.md` says how to add one.
//!
//! An attack is measured by its effect on an honest third device ([`scene`]) and by the resources that the node uses
//! ([`ceilings`]).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test, a panic is the report")]

mod ceilings;
mod control;
mod honest;
mod initial;
mod pairing;
mod peer;
mod scene;
mod transfer;
mod wire;

mod claims;
mod destinations;
mod flood;
mod names;
mod quotas;
mod relays;
mod stored;
mod streams;
mod unpaired;
