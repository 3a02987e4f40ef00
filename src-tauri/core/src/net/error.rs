//! Errors of opening a session, in a form that several waiting callers can share.

use iroh::endpoint::ConnectionError;

use super::CloseCode;
use crate::{
    error::{NetworkError, Unwilling},
    keys::MAX_NOTICE,
};

/// Reason for which no session with a device could be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// There is no record of the device.
    #[error("the device is not paired with this one")]
    NotPaired,
    /// The other side closed the connection with this code.
    #[error("the other device refused the connection ({0:?})")]
    Refused(CloseCode),
    /// The other side claims that it has ended the pairing. Carries its notice, which is not verified yet.
    #[error("the other device says that it has unpaired this one")]
    Unpaired(Vec<u8>),
    /// No answer; the time waited, in seconds.
    #[error("no answer within {0} s")]
    Timeout(u64),
    /// The session handshake failed: the peer does not hold the pairing secret, or there is a man in the middle.
    #[error("the other device could not prove that it is paired")]
    NotProven,
    /// The transport failed.
    #[error("{0}")]
    Transport(String),
    /// This node is shutting down.
    #[error("this device is shutting down")]
    ShuttingDown,
}

impl DialError {
    /// Converts the transport's error into a reason that people understand.
    pub(crate) fn of_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                match CloseCode::from_number(close.error_code.into_inner()) {
                    // A longer reason cannot be a notice.
                    CloseCode::NotPaired if (1..=MAX_NOTICE).contains(&close.reason.len()) => {
                        Self::Unpaired(close.reason.to_vec())
                    }
                    code => Self::Refused(code),
                }
            }
            other => Self::Transport(other.to_string()),
        }
    }

    /// Converts the error into one of the public interface, about the device of this name.
    pub fn about(self, device: &str) -> NetworkError {
        match self {
            Self::NotPaired => NetworkError::DeviceNotPaired(device.into()),
            Self::Unpaired(_) | Self::Refused(CloseCode::NotPaired | CloseCode::Unpaired) => {
                NetworkError::RefusedNotPaired
            }
            Self::Refused(CloseCode::UnknownProtocol) => NetworkError::UnknownProtocol(device.into()),
            Self::Refused(CloseCode::NotPairing) => {
                NetworkError::Refused { device: device.into(), why: Unwilling::NotPairing }
            }
            Self::Refused(CloseCode::Busy) => NetworkError::Refused { device: device.into(), why: Unwilling::Busy },
            Self::Refused(CloseCode::ShuttingDown) => NetworkError::DeviceOffline(device.into()),
            Self::NotProven | Self::Refused(CloseCode::HandshakeFailed) => NetworkError::RefusedNotPaired,
            Self::Timeout(seconds) => NetworkError::ConnectionTimeout { device: Some(device.into()), seconds },
            Self::ShuttingDown => NetworkError::ShuttingDown,
            other => NetworkError::ConnectionFailed { device: device.into(), source: Box::new(other) },
        }
    }
}
