//! What can go wrong, as the edge of the core tells it: a stable code, a sentence, and a hint that helps a person.
//!
//! Each room has an error enum of its own and keeps the cause; all convert into [`NetworkError`].

use std::path::PathBuf;

use crate::api::ApiError;

/// What a call of the core can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No connection to the device came about.
    #[error("could not connect to {device}: {source}")]
    ConnectionFailed {
        /// Name or id of the device.
        device: String,
        /// What the transport said.
        #[source]
        source: BoxError,
    },
    /// The device did not answer in time.
    #[error("{device} did not answer within {seconds} s")]
    ConnectionTimeout {
        /// Name or id of the device.
        device: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The connection was lost while it was in use.
    #[error("the connection to the other device was lost")]
    ConnectionLost(#[source] BoxError),
    /// The peer asked for, or does not speak, this protocol.
    #[error("unknown protocol {0:?}")]
    UnknownProtocol(String),
    /// The peer broke the protocol; the connection is closed.
    #[error("the other device broke the protocol: {0}")]
    ProtocolViolation(String),
    /// A signature does not match its key.
    #[error("a signature of the other device is not valid")]
    InvalidSignature,
    /// A sealed message does not open: it was changed, or the keys differ.
    #[error("a message could not be decrypted")]
    DecryptionFailed,
    /// The peer is not paired with this device.
    #[error("{0} is not paired with this device")]
    DeviceNotPaired(String),
    /// No device of that name is known.
    #[error("no device is called {0:?}")]
    DeviceUnknown(String),
    /// More than one device fits the name.
    #[error("{0:?} fits more than one device")]
    DeviceAmbiguous(String),
    /// The device is known, and not there.
    #[error("{0} is not reachable now")]
    DeviceOffline(String),
    /// What arrived is not what was sent.
    #[error("the contents of {0:?} do not match what was sent")]
    ChecksumMismatch(String),
    /// The other side said no.
    #[error("{0}")]
    Refused(String),
    /// The other side does not know us any more.
    #[error("the other device refused: it is not paired with this one")]
    RefusedNotPaired,
    /// The request makes no sense in the present state.
    #[error("{0}")]
    InvalidState(String),
    /// An argument is not of the form that is asked for.
    #[error("{message}")]
    InvalidInput {
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The UDP port, or the address, that was asked for cannot be bound.
    #[error("UDP port {port} cannot be bound: {source}")]
    PortUnavailable {
        /// Which one.
        port: u16,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// The node is shutting down.
    #[error("this device is shutting down")]
    ShuttingDown,
    /// A fault of our own, never the user's.
    #[error("internal fault: {0}")]
    Internal(String),
    /// A room's own error, which brings its code and hint along.
    #[error("{0}")]
    Room(Box<dyn RoomError>),
}

/// A cause of any type, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What a room's own error enum gives, so that it can cross the edge with its own code.
pub trait RoomError: std::error::Error + Send + Sync + 'static {
    /// Stable, lower-case, with dots or underscores: `keystore_locked`. Part of the surface: never reused.
    fn code(&self) -> &'static str;
    /// What a person can do about it, in one sentence; empty if there is nothing.
    fn hint(&self) -> String;
}

impl<E: RoomError> From<E> for NetworkError {
    fn from(error: E) -> Self {
        NetworkError::Room(Box::new(error))
    }
}

impl NetworkError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ConnectionFailed { .. } => "connection_failed",
            Self::ConnectionTimeout { .. } => "connection_timeout",
            Self::ConnectionLost(_) => "connection_lost",
            Self::UnknownProtocol(_) => "unknown_protocol",
            Self::ProtocolViolation(_) => "protocol_violation",
            Self::InvalidSignature => "invalid_signature",
            Self::DecryptionFailed => "decryption_failed",
            Self::DeviceNotPaired(_) => "device_not_paired",
            Self::DeviceUnknown(_) => "device_unknown",
            Self::DeviceAmbiguous(_) => "device_ambiguous",
            Self::DeviceOffline(_) => "device_offline",
            Self::ChecksumMismatch(_) => "checksum_mismatch",
            Self::Refused(_) => "refused",
            Self::RefusedNotPaired => "refused_not_paired",
            Self::InvalidState(_) => "invalid_state",
            Self::InvalidInput { .. } => "invalid_input",
            Self::File { .. } => "file",
            Self::PortUnavailable { .. } => "port_unavailable",
            Self::ShuttingDown => "shutting_down",
            Self::Internal(_) => "internal",
            Self::Room(inner) => inner.code(),
        }
    }

    /// What a person can do about it; empty if there is nothing.
    pub fn hint(&self) -> String {
        match self {
            Self::ConnectionFailed { .. } | Self::ConnectionTimeout { .. } | Self::DeviceOffline(_) => {
                "Is Yonder running on the other device, and are both on the same network? A firewall may block UDP."
                    .into()
            }
            Self::ConnectionLost(_) => "Check the network, then try again.".into(),
            Self::UnknownProtocol(_) | Self::ProtocolViolation(_) => "Update Yonder on both devices.".into(),
            Self::InvalidSignature | Self::DecryptionFailed => {
                "Someone may be tampering with the connection. If it happens again, unpair both devices and pair anew."
                    .into()
            }
            Self::DeviceNotPaired(_) => "Pair the two devices first.".into(),
            Self::RefusedNotPaired => "Unpair it here too, then pair both devices anew.".into(),
            Self::DeviceUnknown(_) => "`yonder-cli devices` lists the devices that are known.".into(),
            Self::DeviceAmbiguous(_) => "Give more of its id.".into(),
            Self::ChecksumMismatch(_) => "The file may have changed while it was sent. Send it again.".into(),
            Self::InvalidInput { hint, .. } => hint.clone(),
            Self::PortUnavailable { .. } => {
                "Another program holds it, or the address is not one of this machine's. Leave out --port or --bind."
                    .into()
            }
            Self::File { .. } => "Check that it exists and that you may use it.".into(),
            Self::Internal(_) => "This is a fault in Yonder. Please report it with the log.".into(),
            Self::Refused(_) | Self::InvalidState(_) | Self::ShuttingDown => String::new(),
            Self::Room(inner) => inner.hint(),
        }
    }
}

impl From<&NetworkError> for ApiError {
    fn from(error: &NetworkError) -> Self {
        ApiError { code: error.code().into(), message: error.to_string(), hint: error.hint() }
    }
}

impl From<NetworkError> for ApiError {
    fn from(error: NetworkError) -> Self {
        Self::from(&error)
    }
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}
