//! Permissions of a pairing, shown to users before they approve it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Permission of a paired device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Grant {
    /// See when this device is on, and its name.
    Presence,
    /// Send texts.
    Texts,
    /// Offer files, which need the user's consent.
    OffersAsked,
    /// Send files that are accepted without a question.
    OffersAccepted {
        /// Maximum number of bytes a day; `null` means no limit.
        #[ts(type = "number | null")]
        up_to: Option<u64>,
        /// Target folder; `null` means the download folder.
        into: Option<String>,
    },
    /// Offer files, all of which are declined.
    OffersDeclined,
}
