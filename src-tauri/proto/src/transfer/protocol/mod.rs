//! Wire protocol of transfers, as `docs/protocol-transfer.md` describes it.
//!
//! - [`frames`], [`framing`]: the frames of the control stream, and the format of the data streams.
//! - [`state`]: the order of frames, on both sides, as state machines.
//! - [`manifest`], [`selection`], [`index_set`]: the list of what is sent, and what is chosen of it.
//! - [`claims`]: what a receiver tells of the data that it holds already.
//! - [`lifecycle`]: the life of a transfer at both ends, over all attempts.
//! - [`hash_tree`], [`cipher`], [`compression`]: hashes, encryption and compression of segments and chunks.
//! - [`limits`], [`reason`], [`silence`]: bounds for what a peer announces, reasons for an end, a peer that is silent.
//!
//! Must not know the rest of `transfer`.

pub mod cipher;
pub mod claims;
pub mod compression;
pub mod frames;
pub mod framing;
pub mod hash_tree;
pub mod index_set;
pub mod lifecycle;
pub mod limits;
pub mod manifest;
pub mod reason;
pub mod selection;
pub mod silence;
pub mod state;

#[cfg(test)]
pub(crate) mod repeats;
