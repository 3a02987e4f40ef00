//! Requests about single devices: the trust, rules and names of paired ones, and the name of this one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::api::{DeviceAccept, TrustLevel};

/// A request about one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum DeviceRequest {
    /// Removes a paired device and tells it. Answered by `done`.
    Unpair {
        /// Device to remove.
        device: String,
    },
    /// Refuses a paired device from now on, without telling it. Answered by `done`.
    Block {
        /// Device to block.
        device: String,
    },
    /// Unblocks a device, which is then paired as somebody else's. Answered by `done`.
    Unblock {
        /// Device to unblock.
        device: String,
    },
    /// Sets the trust level of a paired device and the rule for its offers. Answered by `devices`, with this one only.
    Trust {
        /// Device to change.
        device: String,
        /// The user's own device, or somebody else's; `null` keeps the present level.
        level: Option<TrustLevel>,
        /// Rule for the device's offers; `null` keeps the present rule.
        accept: Option<DeviceAccept>,
        /// With `always`: maximum number of bytes a day, beyond which the user is asked; `null` means no limit.
        #[ts(type = "number | null")]
        up_to: Option<u64>,
        /// With `always`: absolute path of an existing folder; `null` means the download folder. The page may not name
        /// one.
        into: Option<PathBuf>,
    },
    /// Accepts the name that a paired device announces. Answered by `devices`, with this one only.
    TakeName {
        /// Device to rename.
        device: String,
        /// Name that the user has seen. Another one is not accepted.
        name: String,
    },
    /// Renews the pairing secret with a connected device. Answered by `done`, once both sides hold it.
    RotateSecret {
        /// Device of the pairing.
        device: String,
    },
    /// Changes the name of this device. Answered by `settings`.
    Rename {
        /// 1 to 64 characters, no control characters.
        name: String,
    },
}
