//! Pairing: two devices that share a short code come to hold a record of each other, and nobody else does.
//!
//! The two sides are pure state machines in `yonder-proto`, under the same names ([`JoinerState`], [`HostState`]), with the
//! messages and the invariants. Here is what runs them, and how a code gets from one device to the other:
//!
//! - [`driver`]: runs a state machine over a connection, and stores records.
//! - `link`: `yonder:` links, and addresses typed by hand.
//! - [`qr`], [`picture`]: QR codes, drawn and found in pictures.
//! - `entropy`: the system's randomness for both sides.

pub mod driver;
mod entropy;
mod error;
mod link;
pub mod picture;
pub mod qr;

#[cfg(test)]
mod tests;

pub use entropy::SystemEntropy;
pub use link::{Link, MAX_LINK, MAX_LINK_ADDRESSES, parse_address};
pub use yonder_proto::pairing::{
    Attempt, CODE_LIFETIME, CODE_WORDS, CodeStatus, EXPORTER_LABEL, Entropy, FINDER_WORDS, HostCode, HostState,
    HostsTried, JoinSecret, JoinerState, LONG_CODE_WORDS, LinkSecret, LocalDevice, MAX_ATTEMPTS, MAX_COMPLETIONS,
    MAX_FRAME, MAX_HOSTS_PER_CODE, Method, NewPairing, NoRendezvousReason, Output, PROTOCOL, PairingCode, PairingError,
    PairingEvent, PeerConnection, Refusal, Signer, Software, Timeouts, VERSION, completions,
};
