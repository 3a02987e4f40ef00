//! The two sides of a pairing as state machines. Times are durations since a fixed moment of one monotonic clock.

mod core;
mod host;
mod joiner;

use std::{fmt, sync::Arc, time::Duration};

pub use host::HostState;
pub use joiner::JoinerState;

use super::{LinkSecret, PairingCode, PairingError, Software};
use crate::{id::DeviceInfo, keys::Key};

/// Signs with the private key of this device's endpoint id.
pub type Signer = Arc<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// Describes this device to the peer.
#[derive(Clone)]
pub struct LocalDevice {
    /// Id, key, name and type.
    pub info: DeviceInfo,
    /// App version and protocols.
    pub software: Software,
    /// Signs with the device's key.
    pub sign: Signer,
}

impl fmt::Debug for LocalDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalDevice")
            .field("info", &self.info)
            .field("software", &self.software)
            .finish_non_exhaustive()
    }
}

/// Facts about the peer that the connection proves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PeerConnection {
    /// Endpoint id that the peer proved in the TLS handshake.
    pub remote: [u8; 32],
    /// 32 bytes of the TLS exporter under [`super::EXPORTER_LABEL`].
    pub exporter: [u8; 32],
}

impl fmt::Debug for PeerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerConnection").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// Secret with which the joiner proves the code.
#[derive(Clone, Debug)]
pub enum JoinSecret {
    /// Words that a person typed.
    Words(PairingCode),
    /// Secret of a link or QR code.
    Link(LinkSecret),
}

/// Time limits of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Time from the connection to the joiner's complete first message. Short, because an unpaired peer occupies one of
    /// few slots.
    pub hello: Duration,
    /// Time from the first message to the joiner's proof of the code, which needs no person.
    pub code: Duration,
    /// Time from the connection to both signatures.
    pub proof: Duration,
    /// Time for the approval by both users.
    pub approval: Duration,
    /// Time for each step of storing on the other side.
    pub finish: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            hello: seconds(5),
            code: seconds(10),
            proof: seconds(30),
            approval: seconds(5 * 60),
            finish: seconds(30),
        }
    }
}

/// Output of a state machine, to be processed in order.
#[derive(Debug)]
pub enum Output {
    /// Send this frame.
    Frame(Vec<u8>),
    /// Report this event.
    Event(PairingEvent),
}

/// Event of a pairing.
#[derive(Clone, Debug)]
pub enum PairingEvent {
    /// Host: a wrong code was tried. `Failed` follows, for this connection only.
    WrongCode {
        /// Number of wrong codes that may still be tried. 0 means that the code is burnt, and the user must be told.
        attempts_left: u8,
    },
    /// Host: the code is proven and used up. From here on the events belong to the pairing that the user waits for. A
    /// `Failed` before this concerns only the connection of an unpaired peer, and the code stays on the screen.
    CodeProven,
    /// The peer has proven the code and its identity.
    Proven {
        /// Id, key, name and type of the peer.
        info: DeviceInfo,
        /// App version and protocols of the peer.
        software: Software,
        /// Check words, two of them, that both screens show.
        check_words: String,
    },
    /// The user has to answer by `on_approve`.
    NeedApproval,
    /// The user of the other device has approved.
    PeerApproved,
    /// Joiner: store this durably as pending, then call `on_stored`. A pending record is valid for the session
    /// handshake, and is promoted or dropped at the next contact.
    StorePending(NewPairing),
    /// Joiner: drop the pending record.
    DropPending,
    /// Store this durably as paired (the joiner: in place of the pending one), then call `on_committed`.
    Commit(NewPairing),
    /// The record is stored on both sides, or on this one and on the other at the next contact.
    Paired {
        /// The new device.
        info: DeviceInfo,
        /// True if the other side has confirmed that it stored the record.
        acknowledged: bool,
    },
    /// The pairing ended without a record.
    Failed(PairingError),
}

/// Result of a pairing on both sides. Zeroized when dropped; `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct NewPairing {
    /// Id, key, name and type of the peer.
    pub info: DeviceInfo,
    /// App version and protocols of the peer when it was paired.
    pub software: Software,
    /// The pairing secret.
    pub secret: Key,
    /// Id of this pairing: equal on both sides and unique; not secret.
    pub pairing_id: [u8; 32],
    /// Check words, two of them, that both screens showed.
    pub check_words: String,
}
