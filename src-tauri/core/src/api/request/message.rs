//! Requests about texts.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A request about texts with a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum MessageRequest {
    /// Sends a text to a paired device, or queues it while the device is offline. Answered by `message`.
    SendText {
        /// Receiving device.
        device: String,
        /// At most 30 KiB, without control characters except new lines and tabs.
        text: String,
    },
    /// Returns texts with a device, newest last. Answered by `messages`.
    Messages {
        /// Device of the conversation.
        device: String,
        /// Return texts before this place; `null` means the newest.
        #[ts(type = "number | null")]
        before: Option<u64>,
        /// Maximum number of texts, 1 to 200.
        limit: u32,
    },
    /// Marks the texts of a device as seen. Answered by `done`.
    MessagesSeen {
        /// Device of the conversation.
        device: String,
    },
}
