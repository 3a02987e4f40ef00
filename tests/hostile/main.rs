//! Hostile peers of our own against a real node, at every stage of trust: an address that nobody knows, a key without a
//! pairing, a pairing under way, half a session handshake, and a paired device. Each test is one attack, named after what
//! it must not achieve. They are written against `docs/protocol*.md`; how to add one is in `docs/extending.md`.
//!
//! The measure is an honest third device ([`scene`]), and what the node takes ([`ceilings`]).
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
mod flood;
mod landing;
mod names;
mod quotas;
mod relays;
mod stored;
mod streams;
mod unpaired;
