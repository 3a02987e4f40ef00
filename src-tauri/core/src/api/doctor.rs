//! Results of the doctor: checks with hints, and the open connections.
//!
//! `docs/doctor.md` lists every name and code. Programs match on `name`, `status` and `code`; the sentences are for
//! people.

use std::{collections::BTreeMap, fmt::Display};

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::view::ConnectionView;
use crate::id::DeviceId;

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// The check passed.
    Ok,
    /// Nothing is wrong, but something is worth knowing or could not be determined.
    Info,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work. The command ends with status 1.
    Failed,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct CheckView {
    /// Stable name of the check: `port`, `relay`, `device`. Several checks may have one name, each with a subject.
    pub name: String,
    /// Subject, if there are several checks of the name: a relay's URL, a device's name, an address. Text, never
    /// markup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub subject: Option<String>,
    /// Result of the check.
    pub status: CheckStatus,
    /// Stable code of the result, present unless it is `ok`: `port_taken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub code: Option<String>,
    /// Description of the result, in a sentence.
    pub detail: String,
    /// Hint what a person can do about it; empty if there is nothing to do.
    pub hint: String,
    /// Names and figures in `detail` and `hint`, for translations of both. Text, never markup.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

impl CheckView {
    /// Adds an argument that `detail` or `hint` mentions.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.args.insert(name.into(), value.to_string());
        self
    }
}

/// An open connection and its device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DoctorConnection {
    /// Id of the device at the other end.
    pub device_id: DeviceId,
    /// Name of the device, chosen by its owner. Text, never markup.
    pub device: String,
    /// State of the connection.
    #[serde(flatten)]
    #[ts(flatten)]
    pub connection: ConnectionView,
}

/// Complete result of the doctor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DoctorReport {
    /// Checks, in a readable order.
    pub checks: Vec<CheckView>,
    /// Open connections.
    pub connections: Vec<DoctorConnection>,
    /// Redacted report as text, to be copied or sent: without secrets, names of people, complete addresses or ids.
    pub report: String,
    /// Folder of the logs.
    pub logs: String,
    /// Duration in milliseconds.
    pub took_ms: u32,
}

impl DoctorReport {
    /// Returns the worst status of all checks.
    pub fn worst(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok)
    }
}
