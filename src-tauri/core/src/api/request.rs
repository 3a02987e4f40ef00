//! Requests to a node, its responses, and its events.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::doctor::{CheckView, DoctorReport};
use super::keystore::{BackupView, KeystoreStatus, SecretText};
use super::note::Survey;
use super::relay::RelayView;
use super::view::{
    ApiError, ConflictRule, DeviceAccept, DeviceView, IdentityView, KeystoreView, MessageView, OfferPage, PairingView,
    PingView, Settings, TransferOptions, TransferView, TrustLevel, Unread,
};
use crate::id::{DeviceId, TransferId};

/// A request to a node. `device` is a name, a device id, an endpoint id, or a unique prefix of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Returns everything that a window shows, and the number of the last event that it includes. Answered by
    /// `snapshot`.
    Snapshot,
    /// Returns this device. Answered by `identity`.
    Identity,
    /// Returns paired and nearby devices. Answered by `devices`.
    Devices,
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
    /// Returns the keystore of the root secret and its status, without a prompt. Answered by `keystore`.
    Keystore,
    /// Moves the root secret to another keystore; from file to file it changes the passphrase. Also rotates the storage
    /// key. A keychain may prompt to be unlocked. Answered by `keystore`.
    KeystoreMove {
        /// Target keystore.
        to: KeystoreView,
        /// Passphrase of the encrypted file, if the secret is there now.
        passphrase: Option<SecretText>,
        /// Passphrase of the encrypted file, if the secret is moved there.
        new_passphrase: Option<SecretText>,
    },
    /// Rotates the storage key, and re-encrypts all records. Answered by `done`.
    KeystoreRotate,
    /// Writes the identity and the pairings to a new file under a passphrase. Answered by `backup`. Only for callers on
    /// this machine that may name paths: the page may not.
    KeystoreBackup {
        /// Absolute path of a file that does not exist yet.
        path: PathBuf,
        /// Passphrase of the backup, at least 8 characters.
        backup_passphrase: SecretText,
        /// Passphrase of the encrypted file, if the secret is there now.
        passphrase: Option<SecretText>,
    },
    /// Returns the settings. Answered by `settings`.
    Settings,
    /// Changes one setting. Answered by `settings`.
    SetSetting {
        /// Name of the setting, a field of [`Settings`].
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
    /// Returns a preview of an offer of these paths. Answered by `survey`; nothing is offered. Only for callers on this
    /// machine that may name paths: the page may not.
    Survey {
        /// Absolute paths.
        #[serde(with = "raw_paths")]
        #[ts(type = "Array<string>")]
        paths: Vec<PathBuf>,
    },
    /// Offers files and folders to a paired device. Answered by `transfer` at once; progress is reported by events.
    /// Only for callers on this machine that may name paths: the page may not.
    Send {
        /// Receiving device.
        device: String,
        /// Absolute paths.
        #[serde(with = "raw_paths")]
        #[ts(type = "Array<string>")]
        paths: Vec<PathBuf>,
        /// Facts that the caller knows about each path, in the same order; empty if it knows none.
        #[serde(default)]
        given: Vec<Given>,
        /// Options of the transfer.
        options: TransferOptions,
    },
    /// Returns transfers, newest first, as many as fit into 512 KiB. Answered by `transfers`.
    Transfers {
        /// Include transfers that have ended.
        all: bool,
        /// Return only transfers that match all of these words, in the name of a top-level entry, a device's name, or a
        /// state. At most 200 characters are used.
        #[serde(default)]
        find: Option<String>,
        /// Number of transfers that the caller has already, to be skipped. An empty answer means that there are no
        /// more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        skip: Option<u32>,
    },
    /// Returns one transfer. Answered by `transfer`.
    Transfer {
        /// Id of the transfer.
        id: TransferId,
    },
    /// Accepts an offer. Answered by `transfer`.
    Accept {
        /// Id of the transfer.
        id: TransferId,
        /// Absolute path of an existing folder; `null` means the download folder. The page may not name one.
        into: Option<PathBuf>,
        /// Rule for names that exist already.
        conflict: ConflictRule,
        /// Entries to accept, by their numbers in `offer_entries`; a folder includes its contents. `null` means all. At
        /// most 10,000.
        #[serde(default)]
        only: Option<Vec<u32>>,
    },
    /// Returns the entries of an offer that waits for an answer, one folder at a time. Answered by `offer_entries`.
    OfferEntries {
        /// Id of the transfer.
        id: TransferId,
        /// Number of the folder; `null` means the top level.
        parent: Option<u32>,
        /// Number of entries to skip.
        skip: u32,
        /// Maximum number of entries to return, 1 to 1000.
        limit: u32,
    },
    /// Declines an offer. Answered by `transfer`.
    Decline {
        /// Id of the transfer.
        id: TransferId,
    },
    /// Cancels a transfer on both sides. Answered by `transfer`.
    Cancel {
        /// Id of the transfer.
        id: TransferId,
    },
    /// Pauses a transfer until this side resumes it, also across restarts of this node. Answered by `transfer`.
    Pause {
        /// Id of the transfer.
        id: TransferId,
    },
    /// Resumes a transfer that this side paused, or that waits for space, for its source or for a retry. Answered by
    /// `transfer`.
    Resume {
        /// Id of the transfer.
        id: TransferId,
    },
    /// Sends the missing part of an ended outgoing transfer to the same device as a new transfer: entries that failed,
    /// could not be offered or were not accepted. If nothing is missing, or nothing arrived, it sends everything.
    /// Answered by `transfer`, the new one.
    Retry {
        /// Id of the ended transfer.
        id: TransferId,
    },
    /// Moves a queued outgoing transfer to another position. Answered by `transfers`, those that have not ended.
    Reorder {
        /// Id of the transfer.
        id: TransferId,
        /// Transfer before which it is inserted; `null` means the end of the queue.
        before: Option<TransferId>,
    },
    /// Sets the rate limit of one transfer. The setting `limit` applies to all together. Answered by `transfer`.
    Limit {
        /// Id of the transfer.
        id: TransferId,
        /// Bytes a second, at least 1024; `null` means no limit for this transfer.
        #[ts(type = "number | null")]
        rate: Option<u64>,
    },
    /// Removes an ended transfer from the list. Answered by `done`.
    Forget {
        /// Id of the transfer.
        id: TransferId,
    },
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

/// Identifies a file or folder on this machine until a reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct FileId {
    /// Number of the file system.
    #[ts(type = "number")]
    pub device: u64,
    /// Number of the file in it.
    #[ts(type = "number")]
    pub inode: u64,
}

/// Facts that a caller knows about a path that it passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// File that the caller found at the path. The node refuses the path if it finds another one, as it may in another
    /// container.
    pub seen: Option<FileId>,
    /// Name in the offer; `null` means the file's own.
    pub name: Option<String>,
    /// True if the file was read from a stream into the data directory's `spool`. It is removed when the transfer has
    /// ended.
    pub spooled: bool,
    /// Whether the stream is still being read, by a process that holds an exclusive lock on the file and takes the right to
    /// write from it once it is complete. Nothing else is sent with it.
    pub growing: bool,
}

/// Serializes paths that need not be Unicode: those that are not are arrays of bytes.
mod raw_paths {
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Raw {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| match path.to_str() {
            Some(text) => Raw::Text(text.to_owned()),
            None => Raw::Bytes(path.as_os_str().as_encoded_bytes().to_vec()),
        }))
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        let raw = Vec::<Raw>::deserialize(deserializer)?;
        raw.into_iter().map(|path| path_of(path).ok_or_else(|| serde::de::Error::custom("not a path"))).collect()
    }

    fn path_of(raw: Raw) -> Option<PathBuf> {
        match raw {
            Raw::Text(text) => Some(text.into()),
            #[cfg(unix)]
            Raw::Bytes(bytes) => Some(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes).into()),
            #[cfg(not(unix))]
            Raw::Bytes(_) => None,
        }
    }
}

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
