//! How a command fails: the error that it shows, and the status that it ends with.

use yonder_core::{api::ApiError, control::ControlError, error::NetworkError};

/// It was tried and did not work.
pub const FAILED: u8 = 1;
/// The arguments make no sense.
pub const USAGE: u8 = 2;
/// The other side said no.
pub const REFUSED: u8 = 3;
/// The other side is not there.
pub const UNREACHABLE: u8 = 4;
/// It is done, but something was left out.
pub const INCOMPLETE: u8 = 5;

/// Why a command ends without having done what it was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub error: ApiError,
    pub status: u8,
}

impl Failure {
    /// A failure of the command line's own.
    pub fn failed(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { error: ApiError { code: code.into(), message: message.into(), hint: hint.into() }, status: FAILED }
    }

    /// Arguments that only turn out to be wrong while they are used.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: USAGE, ..Self::failed("usage", message, hint) }
    }

    /// The person pressed Ctrl-C, or the system asked us to end.
    pub fn interrupted() -> Self {
        Self::failed("interrupted", "interrupted", "")
    }

    /// It failed, and everything about it has been said.
    pub fn told() -> Self {
        Self::failed("", "", "")
    }

    /// It is done, something was left out, and that has been said.
    pub fn incomplete() -> Self {
        Self { status: INCOMPLETE, ..Self::told() }
    }

    /// Whether everything about it has been said.
    pub fn is_told(&self) -> bool {
        self.error.code.is_empty()
    }

    /// A command that only makes sense while a node runs.
    pub fn not_running() -> Self {
        Self::failed(
            "not_running",
            "Yonder does not run on this data directory",
            "Start the app, or `yonder-cli serve`, or give the --data-dir that it runs on.",
        )
    }

    /// An answer of another kind than was asked for.
    pub fn strange_answer() -> Self {
        ControlError::BadAnswer("it is of another kind than was asked for".into()).into()
    }

    /// The node went away, or the connection to it.
    pub fn lost() -> Self {
        ControlError::Lost.into()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self { status: status_of(&error.code), error }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        ApiError::from(error).into()
    }
}

/// The exit status that belongs to an error's code. What is not named here just failed.
pub fn status_of(code: &str) -> u8 {
    match code {
        "usage" | "invalid_input" | "code_word_unknown" | "code_word_count" | "link_invalid" | "address_invalid" => {
            USAGE
        }
        "too_many_hosts" | "refused" | "refused_not_paired" | "declined" | "declined_by_rule" | "busy"
        | "code_wrong" | "code_burnt" | "code_used" | "code_expired" | "pairing_not_open" | "pairing_busy"
        | "pairing_rejected" | "cancelled_there" => REFUSED,
        "connection_failed"
        | "connection_timeout"
        | "connection_lost"
        | "device_offline"
        | "no_host_found"
        | "rendezvous_unreachable"
        | "pairing_connection_lost" => UNREACHABLE,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_statuses() {
        for (code, status) in [
            ("internal", FAILED),
            ("never heard of", FAILED),
            ("already_running", FAILED),
            ("device_unknown", FAILED),
            ("device_not_paired", FAILED),
            ("file", FAILED),
            ("interrupted", FAILED),
            ("usage", USAGE),
            ("invalid_input", USAGE),
            ("code_word_count", USAGE),
            ("declined", REFUSED),
            ("declined_by_rule", REFUSED),
            ("busy", REFUSED),
            ("code_wrong", REFUSED),
            ("code_burnt", REFUSED),
            ("pairing_rejected", REFUSED),
            ("refused_not_paired", REFUSED),
            ("device_offline", UNREACHABLE),
            ("connection_failed", UNREACHABLE),
            ("connection_timeout", UNREACHABLE),
            ("no_host_found", UNREACHABLE),
            ("rendezvous_unreachable", UNREACHABLE),
            ("too_many_hosts", REFUSED),
            ("no_rendezvous", FAILED),
        ] {
            assert_eq!(status_of(code), status, "{code}");
        }
    }

    #[test]
    fn errors_of_the_core_bring_their_status() {
        assert_eq!(Failure::from(NetworkError::DeviceOffline("x".into())).status, UNREACHABLE);
        assert_eq!(Failure::from(NetworkError::RefusedNotPaired).status, REFUSED);
        assert_eq!(Failure::from(NetworkError::DeviceUnknown("x".into())).status, FAILED);
        assert_eq!(Failure::usage("x", "").status, USAGE);
    }
}
