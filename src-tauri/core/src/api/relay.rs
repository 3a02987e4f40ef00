//! Relays: the rule that chooses, and the status of each.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::view::ApiError;

/// Rule that chooses this device's home relay, at which others find it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum RelayChoice {
    /// The nearest relay that answers, custom or public.
    #[default]
    Nearest,
    /// The nearest custom relay; public ones only while none of those answers.
    OwnFirst,
    /// Only the first custom relay, and no public server of any kind.
    Fixed,
}

/// Status of a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct RelayView {
    /// URL of the relay.
    pub url: String,
    /// True for a relay of the user, false for a public one.
    pub own: bool,
    /// True if the rule allows it as the home relay now.
    pub chosen: bool,
    /// True for the home relay, at which others find this device.
    pub home: bool,
    /// True for the home relay while its connection is up.
    pub connected: bool,
    /// Round trip in milliseconds, when last measured.
    pub latency_ms: Option<u32>,
    /// Fault of the relay: `relay_refused`, `relay_unreachable`.
    pub error: Option<ApiError>,
}
