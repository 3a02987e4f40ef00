//! Reasons with the words and arguments that people are shown.

use super::protocol::reason::Reason;
use crate::api::{ApiError, Args};

/// Reason with the words that people are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The reason.
    pub reason: Reason,
    /// Sentence that says what happened.
    pub message: String,
    /// Sentence that says what a person can do; empty if there is nothing.
    pub hint: String,
    /// Names and figures that the sentences mention.
    pub args: Args,
}

impl Cause {
    /// Returns the cause of a transfer that ran to its end and is incomplete.
    pub(super) fn incomplete(message: String) -> Self {
        Self { message, ..Reason::Incomplete.into() }
    }
}

impl From<Reason> for Cause {
    fn from(reason: Reason) -> Self {
        let text = reason.explain();
        let mut chars = text.chars();
        let message = chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default();
        let hint = reason.hint().into();
        Self { reason, message, hint, args: Args::new() }
    }
}

impl From<Cause> for ApiError {
    fn from(cause: Cause) -> Self {
        Self { args: cause.args, ..Self::new(cause.reason.code(), cause.message, cause.hint) }
    }
}

impl From<Reason> for ApiError {
    fn from(reason: Reason) -> Self {
        Cause::from(reason).into()
    }
}

impl From<&ApiError> for Reason {
    fn from(error: &ApiError) -> Self {
        Self::from_code(&error.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_a_sentence() {
        let cause = |code: &str| Cause::from(Reason::from_code(code));
        assert_eq!(cause("disk_full").message, "The receiving disk is full");
        assert_eq!(cause("disk_full").hint, Reason::DiskFull.hint());
        assert_eq!(cause("new_thing").message, "It ended with the code new_thing");
        assert_eq!((cause("new_thing").reason.code(), cause("new_thing").hint.as_str()), ("new_thing", ""));
    }
}
