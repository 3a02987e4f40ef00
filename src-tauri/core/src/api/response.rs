//! Responses of a node.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::doctor::DoctorReport;
use super::keystore::{BackupView, KeystoreStatus};
use super::note::Survey;
use super::relay::RelayView;
use super::view::{
    DeviceView, IdentityView, MessageView, OfferPage, PairingView, PingView, Settings, TransferView, Unread,
};

/// A response of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "few answers live at a time, and each is moved a few times at most")]
pub enum Response {
    /// Success without a result.
    Done,
    /// State of everything that a window shows.
    Snapshot(Box<Snapshot>),
    /// This device.
    Identity(IdentityView),
    /// Paired and nearby devices.
    Devices(Vec<DeviceView>),
    /// The current pairing.
    Pairing(PairingView),
    /// Words of the list.
    Words(Vec<String>),
    /// The present settings.
    Settings(Settings),
    /// Status of the relays.
    Relays(Vec<RelayView>),
    /// A transfer.
    Transfer(TransferView),
    /// Transfers.
    Transfers(Vec<TransferView>),
    /// Preview of an offer.
    Survey(Survey),
    /// Entries of a folder of an offer.
    OfferEntries(OfferPage),
    /// A text.
    Message(MessageView),
    /// Texts of a conversation.
    Messages(Vec<MessageView>),
    /// Round trips.
    Ping(PingView),
    /// Keystore of the root secret.
    Keystore(KeystoreStatus),
    /// The written backup.
    Backup(BackupView),
    /// Results of the doctor.
    Doctor(DoctorReport),
}

/// State of everything that a window shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Snapshot {
    /// Number of the last event that is included.
    #[ts(type = "number")]
    pub seq: u64,
    /// This device.
    pub identity: IdentityView,
    /// Paired and nearby devices.
    pub devices: Vec<DeviceView>,
    /// The current pairing.
    pub pairing: PairingView,
    /// Numbers of unread texts.
    pub unread: Vec<Unread>,
    /// Transfers, newest first, including ended ones: as many as fit into 512 KiB, shared fairly among the devices. The
    /// request `transfers` returns the others.
    pub transfers: Vec<TransferView>,
    /// The settings.
    pub settings: Settings,
    /// Status of the relays, the home relay first.
    #[serde(default)]
    pub relays: Vec<RelayView>,
}
