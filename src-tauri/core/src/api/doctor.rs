//! What the doctor finds: checks, each with what to do about it, and the connections that stand.
//!
//! `docs/doctor.md` lists every name and code. Programs match on `name`, `status` and `code`; the sentences are for people.

use std::{collections::BTreeMap, fmt::Display};

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::view::ConnectionView;
use crate::id::DeviceId;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Nothing is wrong; something is worth knowing, or could not be found out.
    Info,
    /// It works, and not as well as it could.
    Warning,
    /// It does not work. The command ends with status 1.
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct CheckView {
    /// What was looked at; stable: `port`, `relay`, `device`. Several checks may have the same name, each with a subject.
    pub name: String,
    /// Which one, where there are several: a relay's URL, a device's name, an address. Text, never markup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub subject: Option<String>,
    /// How it came out.
    pub status: CheckStatus,
    /// What is the matter; stable, and there for everything that is not `ok`: `port_taken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub code: Option<String>,
    /// What was found, in a sentence.
    pub detail: String,
    /// What a person can do about it; empty where there is nothing to do.
    pub hint: String,
    /// Names and figures in `detail` and `hint`, for those who say both in another language. Text, never markup.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

impl CheckView {
    /// Names something that `detail` or `hint` speaks of.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.args.insert(name.into(), value.to_string());
        self
    }
}

/// A connection that stands, with the device at its other end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DoctorConnection {
    /// The device at the other end.
    pub device_id: DeviceId,
    /// Its name. Chosen by its owner: text, never markup.
    pub device: String,
    /// How it is doing.
    #[serde(flatten)]
    #[ts(flatten)]
    pub connection: ConnectionView,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DoctorReport {
    /// What was looked at, in an order that people can read.
    pub checks: Vec<CheckView>,
    /// The connections that stand.
    pub connections: Vec<DoctorConnection>,
    /// The whole as text for a clipboard or a letter: without secrets, names of people, whole addresses or ids.
    pub report: String,
    /// The folder that the logs are in.
    pub logs: String,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
}

impl DoctorReport {
    /// The worst of all checks.
    pub fn worst(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok)
    }
}
