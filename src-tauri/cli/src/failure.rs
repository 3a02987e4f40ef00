//! Failures of commands: the error that is shown, and the exit status.

use yonder_core::{
    api::ApiError,
    control::ControlError,
    error::{NetworkError, hint_of_cause},
};

/// Exit status: the command failed.
pub const FAILED: u8 = 1;
/// Exit status: the arguments are invalid.
pub const USAGE: u8 = 2;
/// Exit status: the other side refused.
pub const REFUSED: u8 = 3;
/// Exit status: the other side cannot be reached.
pub const UNREACHABLE: u8 = 4;
/// Exit status: done, but something was left out.
pub const INCOMPLETE: u8 = 5;

/// Reason for which a command did not do what was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub error: ApiError,
    pub status: u8,
}

impl Failure {
    /// Creates a failure of the command line program.
    pub fn failed(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { error: ApiError::new(code, message, hint), status: FAILED }
    }

    /// Creates a failure for arguments that prove to be invalid only when they are used.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: USAGE, ..Self::failed("usage", message, hint) }
    }

    /// Creates the failure for Ctrl-C, or for the system's request to end.
    pub fn interrupted() -> Self {
        Self::failed("interrupted", "interrupted", "")
    }

    /// Creates a failure for a system call that every program needs.
    pub fn system(what: &str, error: &std::io::Error) -> Self {
        let hint = hint_of_cause(error).unwrap_or("The system refused something that every program needs. Try again.");
        Self::failed("internal", format!("{what}: {error}"), hint)
    }

    /// Creates a failure that has already been reported.
    pub fn reported() -> Self {
        Self::failed("", "", "")
    }

    /// Creates the result "done, but incomplete", which has already been reported.
    pub fn incomplete() -> Self {
        Self::reported_as(INCOMPLETE)
    }

    /// Creates a failure that has already been reported, with this status.
    pub fn reported_as(status: u8) -> Self {
        Self { status, ..Self::reported() }
    }

    /// True if the failure has already been reported.
    pub fn is_reported(&self) -> bool {
        self.error.code.is_empty()
    }

    /// Creates the failure for a command that needs a running node.
    pub fn not_running() -> Self {
        Self::failed(
            "not_running",
            "Yonder does not run on this data directory",
            "Start the app, or `yonder-cli serve`, or give the --data-dir that it runs on.",
        )
    }

    /// Creates the failure for a response of the wrong kind.
    pub fn strange_answer() -> Self {
        ControlError::BadAnswer("it is of another kind than was asked for".into()).into()
    }

    /// Creates the failure for a lost connection to the node.
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

/// Codes with a status of their own, as `docs/cli.md` lists them.
const STATUSES: [(u8, &[&str]); 3] = [
    (USAGE, &["usage", "invalid_input", "code_word_unknown", "code_word_count", "link_invalid", "address_invalid"]),
    (
        REFUSED,
        &[
            "declined",
            "declined_by_rule",
            "refused",
            "refused_not_paired",
            "busy",
            "code_wrong",
            "code_burnt",
            "code_used",
            "code_expired",
            "pairing_not_open",
            "pairing_busy",
            "pairing_rejected",
            "too_many_hosts",
            "cancelled_there",
        ],
    ),
    (
        UNREACHABLE,
        &[
            "device_offline",
            "connection_failed",
            "connection_timeout",
            "connection_lost",
            "no_host_found",
            "rendezvous_unreachable",
            "pairing_connection_lost",
        ],
    ),
];

/// Returns the exit status of an error code. Codes that are not listed mean [`FAILED`].
pub fn status_of(code: &str) -> u8 {
    STATUSES.iter().find(|(_, codes)| codes.contains(&code)).map_or(FAILED, |(status, _)| *status)
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
    fn every_status_and_its_codes_are_documented() {
        let page = include_str!("../../../docs/cli.md");
        let (_, section) = page.split_once("\n## Exit status\n").unwrap();
        let rows: Vec<_> = section.lines().skip_while(|line| !line.starts_with("| 0 ")).collect();
        let rows = rows.iter().take_while(|line| line.starts_with("| "));
        let mut seen = Vec::new();
        for row in rows {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let status: u8 = cells[1].parse().unwrap();
            seen.push(status);
            let told: Vec<_> = cells[3].split('`').skip(1).step_by(2).collect();
            let known = STATUSES.iter().find(|(number, _)| *number == status).map(|(_, codes)| codes.to_vec());
            if status != FAILED {
                assert_eq!(told, known.unwrap_or_default(), "the codes of status {status}, in their order");
            }
            assert!(told.iter().all(|code| status_of(code) == status), "{row}");
        }
        assert!(seen.iter().copied().eq(0..seen.len() as u8) && seen.contains(&UNREACHABLE), "{seen:?}");
    }

    #[test]
    fn errors_of_the_core_bring_their_status() {
        assert_eq!(Failure::from(NetworkError::DeviceOffline("x".into())).status, UNREACHABLE);
        assert_eq!(Failure::from(NetworkError::RefusedNotPaired).status, REFUSED);
        assert_eq!(Failure::from(NetworkError::DeviceUnknown("x".into())).status, FAILED);
        assert_eq!(Failure::usage("x", "").status, USAGE);
    }
}
