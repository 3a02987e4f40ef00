//! Requests about the settings, and about the relays that they choose.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::api::SecretText;

/// A request about the settings or the relays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum SettingsRequest {
    /// Returns the settings. Answered by `settings`.
    Settings,
    /// Changes one setting. Answered by `settings`.
    SetSetting {
        /// Name of the setting, a field of `Settings`.
        key: String,
        /// New value, as text.
        value: String,
    },
    /// Stores or deletes the token for custom relays. Answered by `settings`.
    SetRelayToken {
        /// Token of at most 512 characters that an HTTP header permits; `null` deletes the stored one.
        token: Option<SecretText>,
    },
    /// Returns the relays, the home relay first. Answered by `relays`.
    Relays {
        /// Measure the permitted relays first, which takes at most 3 s.
        probe: bool,
    },
}
