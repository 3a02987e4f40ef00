//! Requests about the state of the node as a whole.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A request for the state of the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum NodeRequest {
    /// Returns everything that a window shows, and the number of the last event that it includes. Answered by
    /// `snapshot`.
    Snapshot,
    /// Returns this device. Answered by `identity`.
    Identity,
    /// Returns paired and nearby devices. Answered by `devices`.
    Devices,
}
