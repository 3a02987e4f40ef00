//! Requests about the current pairing.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::api::TrustLevel;

/// A request about the current pairing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum PairingRequest {
    /// Shows a pairing code for five minutes. Answered by `pairing`.
    PairHost {
        /// Approve without asking, once the code is proven. Not for the page.
        approve: bool,
        /// With `approve`: trust level of the device; `null` means one of the user's own.
        #[serde(default)]
        level: Option<TrustLevel>,
        /// Number of words: three for a device on the same network, five for one anywhere.
        words: u8,
    },
    /// Joins a host by its code. Answered by `pairing` at once; progress is reported by events.
    PairJoin {
        /// Three or five words, or a `yonder:` link.
        code: String,
        /// A nearby device, or `ENDPOINT_ID@IP:PORT`; `null` tries devices that advertise pairing, at most three.
        device: Option<String>,
        /// Approve without asking, once the code is proven. Not for the page.
        approve: bool,
        /// With `approve`: trust level of the device; `null` means one of the user's own.
        #[serde(default)]
        level: Option<TrustLevel>,
    },
    /// Approves or rejects the pairing that waits for an answer. Answered by `pairing`.
    PairAnswer {
        /// The user's answer. The page may only reject; for approval it asks the shell.
        approve: bool,
        /// With `approve`: trust level of the device; `null` means one of the user's own.
        #[serde(default)]
        level: Option<TrustLevel>,
        /// Check words that the user has seen: the answer applies only to a pairing with these. `null` applies to any.
        #[serde(default)]
        check_words: Option<String>,
    },
    /// Cancels the current pairing, or clears a finished one from the screen. Answered by `done`.
    PairCancel,
    /// Returns words of the list that begin with the prefix, at most eight. Answered by `words`.
    CompleteWord {
        /// The letters typed so far.
        prefix: String,
    },
}
