//! Events of a node.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::doctor::CheckView;
use super::relay::RelayView;
use super::view::{ApiError, DeviceView, IdentityView, MessageView, PairingView, Settings, TransferView};
use crate::id::{DeviceId, TransferId};

/// An event of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The node is up; the first line of `serve`.
    Ready(IdentityView),
    /// The name, port or addresses of this device changed.
    Identity(IdentityView),
    /// A device appeared or changed.
    Device {
        /// Its present state.
        device: DeviceView,
    },
    /// A device left, or was unpaired and is not nearby.
    DeviceGone {
        /// Id of the device.
        device_id: DeviceId,
    },
    /// The pairing changed.
    Pairing {
        /// Its present state.
        pairing: PairingView,
    },
    /// Another device was paired.
    Paired {
        /// The new device.
        device: DeviceView,
    },
    /// Another device offers files, and the user has to decide.
    Offer {
        /// The offered transfer.
        transfer: TransferView,
    },
    /// A transfer changed; at most ten times a second.
    Transfer {
        /// Its present state.
        transfer: TransferView,
    },
    /// A transfer was removed from the list.
    TransferGone {
        /// Id of the transfer.
        id: TransferId,
    },
    /// A text was received, queued or delivered.
    Message {
        /// The text.
        message: MessageView,
    },
    /// The settings changed.
    Settings {
        /// The present settings.
        settings: Settings,
    },
    /// A check of the doctor is done. The response contains all checks again.
    DoctorCheck {
        /// Examined device; `null` for the node as a whole.
        device: Option<DeviceId>,
        /// Result of the check.
        check: CheckView,
    },
    /// The relays or their status changed.
    Relays {
        /// Present status, the home relay first.
        relays: Vec<RelayView>,
    },
    /// A notice to the user that belongs to no request.
    Notice {
        /// Code, message and hint.
        error: ApiError,
    },
    /// The node is shutting down; the last line.
    Stopping,
}

/// An event with its number. Numbers rise by one; a gap means that events were lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct NumberedEvent {
    /// Number of the event, 1 for the first one of a node's run.
    #[ts(type = "number")]
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}
