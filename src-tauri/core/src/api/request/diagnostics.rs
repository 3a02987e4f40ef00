//! Requests that measure and examine.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A request for a measurement or an examination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum DiagnosticsRequest {
    /// Measures round trips of the application. Answered by `ping`.
    Ping {
        /// Device to ping.
        device: String,
        /// Number of pings, 1 to 1000.
        count: u32,
    },
    /// Examines this node, or every path to one device. Takes at most 10 s, and reports each finished check as an
    /// event. A running examination of the same subject is joined. Answered by `doctor`.
    Doctor {
        /// A paired device; `null` examines this node as a whole.
        device: Option<String>,
    },
}
