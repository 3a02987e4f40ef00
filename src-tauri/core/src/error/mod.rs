//! Errors of the core's public interface: a stable code, a sentence, a hint that helps a person, and the arguments from
//! which the page makes sentences in other languages.
//!
//! Each module has its own error enum, which keeps the cause. All convert into [`NetworkError`].

#[cfg(test)]
pub(crate) mod examples;
mod input;
mod os;

use std::{io, path::PathBuf};

pub use input::{InputError, StateError, Unwilling};
pub(crate) use os::is_out_of_files;
pub use os::os_kind;

use crate::api::{ApiError, Args};

/// Errors of the core's calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No connection to the device could be made.
    #[error("could not connect to {device}: {source}")]
    ConnectionFailed {
        /// Name or id of the device.
        device: String,
        /// Error of the transport.
        #[source]
        source: BoxError,
    },
    /// The device did not answer in time.
    #[error("{} did not answer within {seconds} s", device.as_deref().unwrap_or("the device"))]
    ConnectionTimeout {
        /// Name or id of the device, if it is known.
        device: Option<String>,
        /// Time waited, in seconds.
        seconds: u64,
    },
    /// The connection was lost while it was in use.
    #[error("the connection to the other device was lost")]
    ConnectionLost(#[source] BoxError),
    /// The peer requested an unknown protocol, or does not support this one.
    #[error("unknown protocol {0:?}")]
    UnknownProtocol(String),
    /// The peer broke the protocol; the connection is closed.
    #[error("the other device broke the protocol: {0}")]
    ProtocolViolation(String),
    /// A signature does not match its key.
    #[error("a signature of the other device is not valid")]
    InvalidSignature,
    /// An encrypted message does not decrypt: it was changed, or the keys differ.
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
    /// The device is known, but offline.
    #[error("{0} is not reachable now")]
    DeviceOffline(String),
    /// The received contents differ from what was sent.
    #[error("the contents of {0:?} do not match what was sent")]
    ChecksumMismatch(String),
    /// The other side refused.
    #[error("{device} {}", why.clause())]
    Refused {
        /// Name or id of the device.
        device: String,
        /// Reason of the refusal.
        why: Unwilling,
    },
    /// The other side is no longer paired with this device.
    #[error("the other device refused: it is not paired with this one")]
    RefusedNotPaired,
    /// The request is not possible in the present state.
    #[error("{0}")]
    InvalidState(StateError),
    /// An argument is malformed.
    #[error("{0}")]
    InvalidInput(InputError),
    /// The setting has no effect in this run, because an option overrides it.
    #[error("the setting {setting} cannot be changed now: this Yonder was started with {option}")]
    SettingOverridden {
        /// Name of the setting.
        setting: String,
        /// Option that overrides it.
        option: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The requested UDP port or address cannot be bound.
    #[error("UDP port {port} cannot be bound: {source}")]
    PortUnavailable {
        /// Number of the port.
        port: u16,
        /// Error of the system.
        #[source]
        source: BoxError,
    },
    /// The node is shutting down.
    #[error("this device is shutting down")]
    ShuttingDown,
    /// A bug in Yonder, never the user's mistake.
    #[error("internal fault: {0}")]
    Internal(String),
    /// A module's own error, with its own code and hint.
    #[error("{0}")]
    Room(Box<dyn RoomError>),
}

/// A cause of any type, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Trait of the modules' error enums, which gives each error its code.
pub trait RoomError: std::error::Error + Send + Sync + 'static {
    /// Returns the stable code: lower case with underscores, as `keystore_locked`. Part of the API; never reused.
    fn code(&self) -> &'static str;
    /// Returns what a person can do about it, in one sentence; empty if there is nothing.
    fn hint(&self) -> String;
    /// Returns the names and figures that the sentence and the hint mention. Names of arguments are stable, as codes are.
    fn args(&self) -> Args;
}

impl<E: RoomError> From<E> for NetworkError {
    fn from(error: E) -> Self {
        NetworkError::Room(Box::new(error))
    }
}

impl From<InputError> for NetworkError {
    fn from(error: InputError) -> Self {
        Self::InvalidInput(error)
    }
}

impl From<StateError> for NetworkError {
    fn from(error: StateError) -> Self {
        Self::InvalidState(error)
    }
}

impl NetworkError {
    /// Returns the stable code.
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
            Self::Refused { .. } => "refused",
            Self::RefusedNotPaired => "refused_not_paired",
            Self::InvalidState(_) => "invalid_state",
            Self::InvalidInput(_) => "invalid_input",
            Self::SettingOverridden { .. } => "setting_overridden",
            Self::File { .. } => "file",
            Self::PortUnavailable { .. } => "port_unavailable",
            Self::ShuttingDown => "shutting_down",
            Self::Internal(_) => "internal",
            Self::Room(inner) => inner.code(),
        }
    }

    /// Returns the module's own error if it is of this type.
    pub fn room<E: RoomError>(&self) -> Option<&E> {
        let Self::Room(room) = self else { return None };
        let room: &(dyn std::error::Error + 'static) = &**room;
        room.downcast_ref()
    }

    /// Returns what a person can do about it; empty if there is nothing.
    pub fn hint(&self) -> String {
        let cause: &(dyn std::error::Error + 'static) = match self {
            Self::Room(inner) => &**inner,
            other => other,
        };
        if let Some(hint) = hint_of_cause(cause) {
            return hint.into();
        }
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
            Self::InvalidInput(error) => error.hint(),
            Self::SettingOverridden { option, .. } => {
                format!("End it and start it without {option}; then the setting counts and can be changed.")
            }
            Self::PortUnavailable { source, .. } => match io_cause(source.as_ref()).map(io::Error::kind) {
                Some(io::ErrorKind::PermissionDenied) => {
                    "The system does not let you use this port. Leave out --port, or give one above 1023.".into()
                }
                Some(io::ErrorKind::AddrNotAvailable) => {
                    "The address is not one of this machine's. Leave out --bind.".into()
                }
                _ => {
                    "Another program holds it, or the address is not one of this machine's. Leave out --port or --bind."
                        .into()
                }
            },
            Self::File { .. } => "Check that it exists and that you may use it.".into(),
            Self::Internal(_) => "This is a fault in Yonder. Please report it with the log.".into(),
            Self::Refused { .. } | Self::InvalidState(_) | Self::ShuttingDown => String::new(),
            Self::Room(inner) => inner.hint(),
        }
    }

    /// Returns the names and figures that the sentence and the hint mention.
    pub fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::ConnectionFailed { device, source } => args.with("device", device).caused_by(source.as_ref()),
            Self::ConnectionTimeout { device, seconds } => {
                let args = args.number("seconds", *seconds);
                device.iter().fold(args, |args, device| args.with("device", device))
            }
            Self::ConnectionLost(source) => args.caused_by(source.as_ref()),
            Self::UnknownProtocol(protocol) => args.with("protocol", protocol),
            Self::ProtocolViolation(detail) | Self::Internal(detail) => args.with("detail", detail),
            Self::DeviceNotPaired(device) | Self::DeviceOffline(device) => args.with("device", device),
            Self::DeviceUnknown(text) | Self::DeviceAmbiguous(text) => args.with("text", text),
            Self::ChecksumMismatch(path) => args.with("path", path),
            Self::Refused { device, why } => args.with("case", why.case()).with("device", device),
            Self::InvalidState(error) => error.args(),
            Self::InvalidInput(error) => error.args(),
            Self::SettingOverridden { setting, option } => args.with("setting", setting).with("option", option),
            Self::File { path, source } => args.with("path", path.display()).caused_by(source),
            Self::PortUnavailable { port, source } => args.number("port", (*port).into()).caused_by(source.as_ref()),
            Self::InvalidSignature | Self::DecryptionFailed | Self::RefusedNotPaired | Self::ShuttingDown => args,
            Self::Room(inner) => inner.args(),
        }
    }
}

/// Returns the hint for a root cause that does not depend on the operation: too many open files. A hint about the path
/// or the port would be wrong then.
pub fn hint_of_cause(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    io_cause(error).is_some_and(is_out_of_files).then_some(
        "Yonder has as many files open as the system lets it. Raise the limit (`ulimit -n`) and start it anew, or close \
         other programs.",
    )
}

/// Finds the system's error in the chain of causes. An error that wraps another one has no number, and its cause says
/// more.
fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    os::io_causes(error).find(|error| error.raw_os_error().is_some())
}

impl From<&NetworkError> for ApiError {
    fn from(error: &NetworkError) -> Self {
        ApiError { args: error.args(), ..ApiError::new(error.code(), error.to_string(), error.hint()) }
    }
}

impl From<NetworkError> for ApiError {
    fn from(error: NetworkError) -> Self {
        Self::from(&error)
    }
}

/// Formats a size for people.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    #[cfg(unix)]
    fn no_more_open_files_is_told_wherever_it_happens() {
        let full = || io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        let path = || PathBuf::from("/x");
        let errors: [NetworkError; 5] = [
            NetworkError::File { path: path(), source: full() },
            NetworkError::PortUnavailable { port: 1, source: Box::new(full()) },
            crate::transfer::TransferError::Source { path: path(), source: full() }.into(),
            crate::control::ControlError::Socket { path: path(), source: full() }.into(),
            crate::storage::StorageError::Io(Arc::new(full())).into(),
        ];
        for error in errors {
            assert!(error.hint().contains("ulimit -n"), "{error}: {}", error.hint());
        }
        let other = NetworkError::File { path: path(), source: io::ErrorKind::NotFound.into() };
        assert!(other.hint().contains("exists"));
    }
}
