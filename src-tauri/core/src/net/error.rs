//! Why a session with a device did not come about, in a form that several waiting callers can share.

use iroh::endpoint::ConnectionError;

use super::CloseCode;
use crate::{error::NetworkError, keys::MAX_NOTICE};

/// Why a session with a device did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// No record of the device is held.
    #[error("the device is not paired with this one")]
    NotPaired,
    /// The other side closed the connection and said why.
    #[error("the other device refused the connection ({0:?})")]
    Refused(CloseCode),
    /// The other side says, by this notice, that it has ended the pairing; not checked yet.
    #[error("the other device says that it has unpaired this one")]
    Unpaired(Vec<u8>),
    /// Nobody answered.
    #[error("no answer within {0} s")]
    Timeout(u64),
    /// The session handshake failed: it does not hold the pairing secret, or somebody stands between.
    #[error("the other device could not prove that it is paired")]
    NotProven,
    /// The transport failed.
    #[error("{0}")]
    Transport(String),
    /// This node is going down.
    #[error("this device is shutting down")]
    ShuttingDown,
}

impl DialError {
    /// What the transport said, as a reason that people understand.
    pub(crate) fn of_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                match CloseCode::from_number(close.error_code.into_inner()) {
                    // Longer than any notice means that it is none.
                    CloseCode::NotPaired if (1..=MAX_NOTICE).contains(&close.reason.len()) => {
                        Self::Unpaired(close.reason.to_vec())
                    }
                    code => Self::Refused(code),
                }
            }
            other => Self::Transport(other.to_string()),
        }
    }

    /// The error of the surface, about the device of this name.
    pub fn about(self, device: &str) -> NetworkError {
        match self {
            Self::NotPaired => NetworkError::DeviceNotPaired(device.into()),
            Self::Unpaired(_) | Self::Refused(CloseCode::NotPaired | CloseCode::Unpaired) => {
                NetworkError::RefusedNotPaired
            }
            Self::Refused(CloseCode::UnknownProtocol) => NetworkError::UnknownProtocol(device.into()),
            Self::Refused(CloseCode::NotPairing) => {
                NetworkError::Refused(format!("{device} shows no pairing code now"))
            }
            Self::Refused(CloseCode::Busy) => NetworkError::Refused(format!("{device} is busy with other devices")),
            Self::Refused(CloseCode::ShuttingDown) => NetworkError::DeviceOffline(device.into()),
            Self::NotProven | Self::Refused(CloseCode::HandshakeFailed) => NetworkError::RefusedNotPaired,
            Self::Timeout(seconds) => NetworkError::ConnectionTimeout { device: device.into(), seconds },
            Self::ShuttingDown => NetworkError::ShuttingDown,
            other => NetworkError::ConnectionFailed { device: device.into(), source: Box::new(other) },
        }
    }
}
