//! Turns facts into checks. Pure.

pub mod device;
#[cfg(test)]
pub(crate) mod examples;
pub mod lan;
pub mod place;
pub mod port;
pub mod servers;
pub mod transfer;

use std::collections::BTreeMap;

pub(super) use crate::error::size;

use crate::{
    api::{CheckStatus, CheckView},
    diagnostics::facts::Denial,
};

/// Creates a check that passed.
pub fn ok(name: &str, detail: impl Into<String>) -> CheckView {
    CheckView {
        name: name.into(),
        subject: None,
        status: CheckStatus::Ok,
        code: None,
        detail: detail.into(),
        hint: String::new(),
        args: BTreeMap::new(),
    }
}

/// Creates a check that did not pass.
pub fn not_ok(
    status: CheckStatus,
    name: &str,
    code: &str,
    detail: impl Into<String>,
    hint: impl Into<String>,
) -> CheckView {
    CheckView { status, code: Some(code.into()), hint: hint.into(), ..ok(name, detail) }
}

impl CheckView {
    /// Adds what the system said: its words, and their stable name if there is one.
    #[must_use]
    fn refused(self, denial: &Denial) -> Self {
        let check = self.with("reason", denial);
        denial.os.into_iter().fold(check, |check, os| check.with("os", os))
    }
}

/// Creates a check that only informs.
pub fn info(name: &str, code: &str, detail: impl Into<String>, hint: impl Into<String>) -> CheckView {
    not_ok(CheckStatus::Info, name, code, detail, hint)
}

/// Creates a check that warns.
pub fn warning(name: &str, code: &str, detail: impl Into<String>, hint: impl Into<String>) -> CheckView {
    not_ok(CheckStatus::Warning, name, code, detail, hint)
}

/// Creates a check that failed.
pub fn failed(name: &str, code: &str, detail: impl Into<String>, hint: impl Into<String>) -> CheckView {
    not_ok(CheckStatus::Failed, name, code, detail, hint)
}

/// Adds a subject to a check, for one of several devices or servers.
pub fn about(subject: impl Into<String>, check: CheckView) -> CheckView {
    CheckView { subject: Some(subject.into()), ..check }
}

/// Joins names for people, with `and` before the last.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Formats a time span for people.
pub(super) fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_short() {
        assert_eq!(span(1), "1 second");
        assert_eq!(span(119), "119 seconds");
        assert_eq!(span(7199), "119 minutes");
        assert_eq!(span(86_400), "24 hours");
        assert_eq!(span(200_000), "2 days");
        assert_eq!((size(999), size(1500), size(2_500_000_000)), ("999 B".into(), "1.5 kB".into(), "2.5 GB".into()));
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
