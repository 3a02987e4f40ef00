//! What a pairing allows, as people are told before they approve it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a device is allowed once it is paired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Grant {
    /// See when this device is on, and its name.
    Presence,
    /// Send texts.
    Texts,
    /// Offer files, about which the person is asked.
    OffersAsked,
    /// Send files that are accepted without a question.
    OffersAccepted {
        /// At most so many bytes a day; none means no limit.
        #[ts(type = "number | null")]
        up_to: Option<u64>,
        /// Where they go; none means the download folder.
        into: Option<String>,
    },
    /// Offer files, all of which are declined.
    OffersDeclined,
}
