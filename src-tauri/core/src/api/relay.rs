//! Relays: which may be used, and how each of them stands.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::view::ApiError;

/// Which relay may be this device's home: the one at which others find it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum RelayChoice {
    /// The nearest that answers, own or public.
    #[default]
    Nearest,
    /// The nearest of the own ones; public ones only while none of them answers.
    OwnFirst,
    /// The first of the own ones alone, and no public server of any kind.
    Fixed,
}

/// How a relay stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct RelayView {
    /// Where it is.
    pub url: String,
    /// One of the person's own; a public one otherwise.
    pub own: bool,
    /// By the choice that is made, it may be the home now.
    pub chosen: bool,
    /// It is the home: others find this device there.
    pub home: bool,
    /// It is the home, and the connection to it stands.
    pub connected: bool,
    /// Round trip in milliseconds, when it was last measured.
    pub latency_ms: Option<u32>,
    /// What is the matter with it: `relay_refused`, `relay_unreachable`.
    pub error: Option<ApiError>,
}
