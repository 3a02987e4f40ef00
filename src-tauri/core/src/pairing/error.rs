//! Errors of pairing as errors of the core.

use super::PairingError;
use crate::{api::Args, error::RoomError};

impl RoomError for PairingError {
    fn code(&self) -> &'static str {
        self.code()
    }

    fn hint(&self) -> String {
        self.hint()
    }

    fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::WordUnknown { word, position, suggestions } => {
                let args = args.with("word", word).number("position", *position as u64);
                if suggestions.is_empty() { args } else { args.with("suggestions", suggestions.join(", ")) }
            }
            Self::WordCount { found } => args.number("count", *found as u64),
            Self::Violation(detail) => args.with("detail", detail),
            Self::RejectedHere => args.with("case", "here"),
            Self::RejectedThere => args.with("case", "there"),
            Self::NoHostFound => args.with("case", "network"),
            Self::NoHostAnywhere { clock_off } => {
                let args = args.with("case", "internet");
                clock_off.iter().fold(args, |args, minutes| args.number("clock_off", *minutes))
            }
            Self::NoRendezvous { reason } => args.with("case", reason.case()),
            Self::LinkInvalid { .. }
            | Self::AddressInvalid { .. }
            | Self::Timeout { .. }
            | Self::CodeExpired
            | Self::CodeWrong
            | Self::CodeBurnt
            | Self::CodeUsed
            | Self::NotOpen
            | Self::Busy
            | Self::IdentityMismatch
            | Self::SameDevice
            | Self::Version
            | Self::ConnectionLost
            | Self::Unfinished
            | Self::NotStored
            | Self::TooManyHosts
            | Self::RendezvousUnreachable
            | Self::Cancelled
            | Self::NoRandomness => args,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::NetworkError;

    #[test]
    fn an_error_of_pairing_keeps_its_code_and_hint() {
        let error = NetworkError::from(PairingError::CodeBurnt);
        assert_eq!((error.code(), error.hint()), ("code_burnt", PairingError::CodeBurnt.hint()));
        assert_eq!(error.room(), Some(&PairingError::CodeBurnt));
    }
}
