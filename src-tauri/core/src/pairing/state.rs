//! The two sides of a pairing as state machines. Times are durations since any fixed moment of one monotonic clock.

mod core;
mod host;
mod joiner;

use std::{fmt, sync::Arc, time::Duration};

pub use host::HostState;
pub use joiner::JoinerState;

use super::{LinkSecret, PairingCode, PairingError, Software};
use crate::{id::DeviceInfo, keys::Key};

/// Signs with the key behind this device's endpoint id.
pub type Signer = Arc<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// This device, as it introduces itself.
#[derive(Clone)]
pub struct LocalDevice {
    /// Who it is.
    pub info: DeviceInfo,
    /// What it runs.
    pub software: Software,
    /// Its key.
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

/// What is known of the connection from the connection itself.
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

/// How the joiner came by the host's secret.
#[derive(Clone, Debug)]
pub enum JoinSecret {
    /// A person typed the words.
    Words(PairingCode),
    /// A link or QR carried it.
    Link(LinkSecret),
}

/// How long each part may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the connection to the joiner's first message, whole: a stranger takes up one of few places.
    pub hello: Duration,
    /// From that to the joiner's proof of the code, for which nobody is asked.
    pub code: Duration,
    /// From the connection to both signatures.
    pub proof: Duration,
    /// For the two people.
    pub approval: Duration,
    /// For each step of storing on the other side.
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

/// What a side wants done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Send this frame.
    Frame(Vec<u8>),
    /// Something happened.
    Event(PairingEvent),
}

/// What happened in a pairing.
#[derive(Clone, Debug)]
pub enum PairingEvent {
    /// Host: a wrong code was tried. `Failed` follows, for this connection alone.
    WrongCode {
        /// How many may still be tried; none means that the code is burnt, and the person must be told.
        attempts_left: u8,
    },
    /// Host: the code is proven and used up. From here on what happens is the pairing that the person waits for;
    /// a `Failed` before concerns a stranger's connection, and the code stays on the screen.
    CodeProven,
    /// The peer has proven the code and its identity.
    Proven {
        /// Who it is.
        info: DeviceInfo,
        /// What it runs.
        software: Software,
        /// Two words that both screens show.
        check_words: String,
    },
    /// The person has to answer by `on_approve`.
    NeedApproval,
    /// The other person has approved.
    PeerApproved,
    /// Joiner: store this durably as pending, then call `on_stored`. A pending record serves in the session
    /// handshake, and becomes a full one, or goes, at the next contact.
    StorePending(NewPairing),
    /// Joiner: the pending record is not to be kept.
    DropPending,
    /// Store this durably as paired (the joiner: in place of the pending one), then call `on_committed`.
    Commit(NewPairing),
    /// Both sides hold the record, or this one does and the other will at the next contact.
    Paired {
        /// The new device.
        info: DeviceInfo,
        /// The other side said that it holds the record too.
        acknowledged: bool,
    },
    /// It ended without a record.
    Failed(PairingError),
}

/// What both sides come to hold. Wiped when dropped; `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct NewPairing {
    /// Who the peer is.
    pub info: DeviceInfo,
    /// What it ran when it was paired.
    pub software: Software,
    /// The pairing secret.
    pub secret: Key,
    /// Equal on both sides and for no other pairing; not secret.
    pub pairing_id: [u8; 32],
    /// Two words that both screens showed.
    pub check_words: String,
}
