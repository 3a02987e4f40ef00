//! Pairing: two devices that share a short code come to hold a record of each other, and nobody else does.
//!
//! ```text
//! joiner                                   host
//!   JoinHello  ──────────────────────────▶        CPace over the code, bound to TLS exporter and both identities
//!              ◀──────────────────────────  HostShare
//!   JoinConfirm ─────────────────────────▶        an attempt is counted, then the tag is checked
//!              ◀──────────────────────────  HostConfirm (or Refused)
//!   ─────────────── sealed under the PAKE key from here ───────────────
//!   JoinInfo   ──────────────────────────▶        who I am, a challenge, an X25519 key
//!              ◀──────────────────────────  HostInfo, signed
//!   JoinProof  ──────────────────────────▶        signed; both screens show name and check words
//!   Approve    ◀─────────────────────────▶  Approve
//!   (stores pending) Prepared ───────────▶        (stores)
//!              ◀──────────────────────────  Committed
//!   (stores)   Done ─────────────────────▶
//! ```
//!
//! Invariants. Bytes, answers and times go in, frames and events come out ([`JoinerState`], [`HostState`]); the room
//! `pairing` of `yonder-core` runs them over a connection. Of the data derived from the words, only CPace
//! shares and tags are sent. An attempt is counted before it is checked, in one place for all connections
//! ([`HostCode`]). The connection proves who the peer is, and the peer's claims must match it. No record is stored
//! before both users have approved. Every byte is in `docs/protocol-pairing.md`.

mod attempts;
mod code;
mod entropy;
mod error;
mod link_secret;
mod pake;
mod state;
mod transcript;
mod wire;

#[cfg(test)]
mod tests;

pub use attempts::{Attempt, CODE_LIFETIME, CodeStatus, HostCode, HostsTried, MAX_ATTEMPTS, MAX_HOSTS_PER_CODE};
pub use code::{CODE_WORDS, FINDER_WORDS, LONG_CODE_WORDS, MAX_COMPLETIONS, PairingCode, completions};
pub use entropy::Entropy;
pub use error::{NoRendezvousReason, PairingError};
pub use link_secret::LinkSecret;
pub use pake::Method;
pub use state::{
    HostState, JoinSecret, JoinerState, LocalDevice, NewPairing, Output, PairingEvent, PeerConnection, Signer, Timeouts,
};
pub use wire::{MAX_FRAME, Refusal, Software};

/// ALPN of the protocol, which is also part of everything that is hashed.
pub const PROTOCOL: &[u8] = b"pairing/1.0";

/// Protocol version, the first byte of every frame.
pub const VERSION: u8 = 1;

/// Label for 32 bytes of the TLS exporter, with an empty context.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-yonder-pairing-1.0";
