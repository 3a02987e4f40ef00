//! Views of the API: identities, devices, pairings, transfers and settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    args::{Arg, Args},
    grant::Grant,
    note::{Amount, Note, read_notes},
    relay::RelayChoice,
};
use crate::id::{DeviceId, DeviceType, TransferId};

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ApiError {
    /// Stable code; the only part that a program may match on.
    pub code: String,
    /// Description, one sentence in English.
    pub message: String,
    /// Hint what a person can do about it; may be empty.
    pub hint: String,
    /// Names and figures that `message` and `hint` mention, for sentences in other languages. `case` tells errors of one
    /// code apart. `os` is a stable name of an error of the system. `detail` is technical text of a library or of the
    /// system, and is shown apart.
    #[serde(default, skip_serializing_if = "Args::is_empty")]
    #[ts(as = "Option<BTreeMap<String, Arg>>", optional)]
    pub args: Args,
}

impl ApiError {
    /// Creates an error without arguments.
    pub fn new(code: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: hint.into(), args: Args::default() }
    }

    /// Adds a text as an argument.
    #[must_use]
    pub fn with(mut self, name: &str, text: impl std::fmt::Display) -> Self {
        self.args = self.args.with(name, text);
        self
    }

    /// Adds a number as an argument.
    #[must_use]
    pub fn number(mut self, name: &str, number: u64) -> Self {
        self.args = self.args.number(name, number);
        self
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for ApiError {}

/// This device, as `yonder-cli id` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct IdentityView {
    /// UUIDv8 derived from the endpoint id.
    pub device_id: DeviceId,
    /// Public key, 64 hex digits.
    pub endpoint_id: String,
    /// Name that other people see.
    pub name: String,
    /// Kind of machine.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// Bound UDP port; 0 while the network is not up.
    pub port: u16,
    /// Addresses `IP:PORT` at which it can be reached, as far as known.
    pub addresses: Vec<String>,
    /// `yonder:` link with id and addresses; it does not pair.
    pub ticket: String,
    /// Keystore of the root secret.
    pub keystore: KeystoreView,
}

/// Keystore of the root secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum KeystoreView {
    /// The system's keychain.
    Keychain,
    /// A file, encrypted under a passphrase.
    File,
    /// An unprotected file, mode 0600; only on request.
    Plain,
}

/// State of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// Seen on the LAN, not paired.
    Discovered,
    /// A pairing with it is in progress.
    Pairing,
    /// Paired; a connection is being made.
    Connecting,
    /// Paired, with a session.
    Connected,
    /// Paired, but not reachable now.
    Offline,
}

/// Path of a session's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// Directly from one device to the other.
    Direct,
    /// Through a relay, which sees only ciphertext.
    Relay,
}

/// State of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// The connection is being made.
    Connecting,
    /// The connection is open, and carried data within the last half minute.
    Connected,
    /// The connection is open, but carried only keep-alives lately.
    Idle,
    /// Another connection has replaced it; it ends within seconds.
    Closing,
}

/// One connection to a paired device. Closed ones are not listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct ConnectionView {
    /// Protocol of the connection: `message/1.0`.
    pub protocol: String,
    /// State of the connection.
    pub state: ConnectionState,
    /// Path of its packets; `null` while it is being made.
    pub path: Option<PathKind>,
    /// Destination of its packets: `IP:PORT` or a relay's URL.
    pub address: Option<String>,
    /// Round trip in milliseconds, smoothed.
    pub rtt_ms: Option<f64>,
    /// Share of packets sent from here that were lost since the connection was made, 0 to 1.
    pub loss: f64,
    /// Congestion window in bytes: how much may be in flight at once.
    #[ts(type = "number")]
    pub cwnd: u64,
    /// Path MTU in bytes, as far as known.
    pub mtu: u16,
    /// Bytes sent, including all overhead.
    #[ts(type = "number")]
    pub bytes_sent: u64,
    /// Bytes received, including all overhead.
    #[ts(type = "number")]
    pub bytes_received: u64,
    /// Unix time in seconds at which the connection was made.
    #[ts(type = "number | null")]
    pub since: Option<u64>,
}

/// Trust level of a paired device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum TrustLevel {
    /// One of the user's own devices.
    #[default]
    Own,
    /// Somebody else's device.
    Other,
    /// Refused everywhere; the record is kept so that it stays refused.
    Blocked,
}

/// Rule for offers of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum DeviceAccept {
    /// As the setting `accept` says. With it, only offers of the user's own devices are accepted without a question.
    #[default]
    Default,
    /// The user is asked.
    Ask,
    /// Offers are accepted without a question.
    Always,
}

/// Rule for offers of one device, with its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DeviceRule {
    /// Rule for its offers.
    pub accept: DeviceAccept,
    /// With `always`: maximum number of bytes a day, beyond which the user is asked.
    #[ts(type = "number | null")]
    pub up_to: Option<u64>,
    /// With `always`: target folder; `null` means the download folder.
    pub into: Option<String>,
}

/// Global rule for incoming offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum AcceptRule {
    /// The user is asked.
    #[default]
    Ask,
    /// Offers of paired devices are accepted.
    Paired,
    /// Every offer is declined.
    None,
}

/// Rule for names that exist already at the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictRule {
    /// The new entry gets another name.
    #[default]
    KeepBoth,
    /// An identical entry is not written again; others as in `keep-both`.
    Skip,
    /// The old entry is moved to the trash.
    Replace,
}

/// State of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Outgoing; the other device has not stored it yet.
    Queued,
    /// Outgoing; the other device has stored it.
    Delivered,
    /// Incoming.
    Received,
}

/// A text between people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct MessageView {
    /// Place among the texts with this device, from 1.
    #[ts(type = "number")]
    pub id: u64,
    /// Device of the conversation.
    pub device_id: DeviceId,
    /// Sent or received.
    pub direction: Direction,
    /// The text, chosen by a person. Text, never markup.
    pub text: String,
    /// Unix time in milliseconds, by the sender's clock.
    #[ts(type = "number")]
    pub sent_at: u64,
    /// State of the text.
    pub state: MessageState,
}

/// Number of unread texts of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Unread {
    /// Id of the device.
    pub device_id: DeviceId,
    /// Number of unread texts.
    pub count: u32,
}

/// A device, paired or nearby.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DeviceView {
    /// UUIDv8 derived from the endpoint id.
    pub device_id: DeviceId,
    /// Public key, 64 hex digits.
    pub endpoint_id: String,
    /// Name of the device here, chosen by its owner. No two paired devices have names that look the same. Text, never
    /// markup.
    pub name: String,
    /// Another name that it announces. It takes effect only when the user accepts it.
    #[serde(default)]
    pub announced: Option<NameProposal>,
    /// Kind of machine that it claims to be.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// State of the device.
    pub state: DeviceState,
    /// True if both sides hold a record of the other.
    pub paired: bool,
    /// True if it advertises an open pairing code on the LAN.
    pub pairing: bool,
    /// True if it was sighted on the LAN and has not left since.
    pub nearby: bool,
    /// Path of its packets, if there is a session.
    pub path: Option<PathKind>,
    /// Round trip in milliseconds, if there is a session.
    pub rtt_ms: Option<f64>,
    /// Destination of packets, if there is a session: `IP:PORT` or a relay's URL.
    pub address: Option<String>,
    /// Key exchange group of TLS, such as `X25519MLKEM768`.
    pub key_exchange: Option<String>,
    /// Every connection with it, the one for messages first; empty when it is offline.
    #[serde(default)]
    pub connections: Vec<ConnectionView>,
    /// Trust level; meaningful when paired.
    pub trust: TrustLevel,
    /// Rule for its offers; meaningful when paired.
    pub rule: DeviceRule,
    /// Unix time in seconds at which the present pairing secret became valid.
    #[ts(type = "number | null")]
    pub secret_since: Option<u64>,
    /// Unix time in seconds of the pairing.
    #[ts(type = "number | null")]
    pub paired_at: Option<u64>,
    /// Unix time in seconds of the last contact.
    #[ts(type = "number | null")]
    pub last_seen: Option<u64>,
}

/// A name that a paired device announces, but that is not used here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct NameProposal {
    /// The proposed name. Text, never markup.
    pub name: String,
    /// True if it can be accepted. A name that looks like that of another paired device cannot.
    pub is_free: bool,
}

/// Role of this device in a pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum PairingRole {
    /// Shows the code.
    Host,
    /// Enters the code.
    Joiner,
}

/// Activity of a pairing with a code of five words, or what it still lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum PairingNote {
    /// Host: it has no relay yet, so the words work on this network alone.
    NoRelayYet,
    /// Host: its record is being published.
    Publishing,
    /// Host: its record is published, so the words work everywhere.
    Findable,
    /// Host: no server takes its record. Publishing is retried.
    PublishFailing,
    /// Joiner: hosts are looked up on this network and on the internet.
    Looking,
    /// Joiner: no server answers. Looking up is retried.
    NoLookUpServer,
    /// Joiner: a host was found on the internet, and is dialled through its relay.
    FoundConnecting,
}

/// Reads a note. One that this version does not know is none: the node that runs may be of another version.
fn known_note<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PairingNote>, D::Error> {
    let note = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(note).ok())
}

/// The current pairing; there is at most one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum PairingView {
    /// No pairing is in progress.
    Idle,
    /// A code is shown, and waits for a joiner.
    Hosting {
        /// Words of the code: `brave-lion-sunset`.
        words: String,
        /// `yonder:` link with the address and its own secret; shown as the QR code.
        link: String,
        /// The link as a QR code: rows of `#` (dark) and `.` (light), without a quiet zone.
        qr: Vec<String>,
        /// Seconds until the code expires.
        expires_in: u32,
        /// Number of wrong codes that may still be tried, by all peers together.
        attempts_left: u8,
        /// With five words: whether they can be found on the internet yet.
        #[serde(default, deserialize_with = "known_note", skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        note: Option<PairingNote>,
    },
    /// The host is being searched, or the code is being proven.
    Joining {
        /// Name of the host that is being tried, once known.
        host: Option<String>,
        /// With five words: the present activity.
        #[serde(default, deserialize_with = "known_note", skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        note: Option<PairingNote>,
    },
    /// The code is proven. People compare the check words and approve on both sides.
    Confirm {
        /// Role of this device.
        role: PairingRole,
        /// Name that the other device claims.
        name: String,
        /// Name that it will have here: that of an earlier pairing, or with a number if the name looks like that of
        /// another paired device.
        #[serde(default)]
        called: String,
        /// Kind of machine that it claims to be.
        #[serde(rename = "type")]
        device_type: DeviceType,
        /// Two words that both screens show: `amber-falcon`.
        check_words: String,
        /// Permissions of the other device as one of the user's own.
        grants: Vec<Grant>,
        /// Permissions of the other device as somebody else's.
        #[serde(default)]
        grants_other: Vec<Grant>,
        /// True if this side has approved and waits for the other.
        approved: bool,
    },
    /// Both sides hold the record.
    Paired {
        /// The new device.
        device: Box<DeviceView>,
    },
    /// The pairing ended without a record.
    Failed {
        /// Reason of the failure.
        error: ApiError,
    },
}

/// Direction of a transfer, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Outgoing.
    Send,
    /// Incoming.
    Receive,
}

/// State of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum TransferState {
    /// Waits for the receiver's decision.
    Offered,
    /// Waits in the queue: others are sent first.
    Queued,
    /// Data is being transferred.
    Active,
    /// Paused. With the reason `paused_here` or `paused_there` it continues when a person resumes it; with `disk_full` or
    /// `source_gone` by itself, when there is space or the source is back.
    Paused,
    /// Waits for something that happens without a person. The reason's code is `listing` (the files), `connecting`, or
    /// an error such as `device_offline`.
    Waiting,
    /// The receiver has verified everything that was sent. If `skipped` is not 0 something is missing, and the reason's
    /// code is `incomplete`.
    Done,
    /// Ended with an error.
    Failed,
    /// The receiver declined.
    Declined,
    /// A person cancelled it. The reason's code is `cancelled_here` or `cancelled_there`.
    Cancelled,
}

impl TransferState {
    /// True if the state is final.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Declined | Self::Cancelled)
    }
}

/// Options of the sender for a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct TransferOptions {
    /// Compress chunks if a sample shows that it pays.
    pub compress: bool,
    /// Encrypt file data with keys of its own beneath TLS. Off uses TLS only.
    pub encrypt: bool,
    /// Maximum rate in bytes a second; `null` means no limit.
    #[ts(type = "number | null")]
    pub limit: Option<u64>,
    /// Wait for an offline device, also across restarts of this node. Off, the transfer fails if the device cannot be
    /// reached.
    pub wait: bool,
    /// Offer nothing if any named entry cannot be sent.
    #[ts(skip)]
    pub strict: bool,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self { compress: true, encrypt: true, limit: None, wait: false, strict: false }
    }
}

/// A transfer, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct TransferView {
    /// Id, chosen by the sender.
    pub id: TransferId,
    /// Direction of the transfer.
    pub direction: Direction,
    /// Id of the other device.
    pub device: DeviceId,
    /// Name of the other device.
    pub device_name: String,
    /// State of the transfer.
    pub state: TransferState,
    /// Reason for which it failed, waits, was declined or cancelled, or is done but incomplete.
    pub reason: Option<ApiError>,
    /// Names of the top-level entries of the offer, at most 20. Text, never markup.
    pub roots: Vec<String>,
    /// Number of top-level entries of the offer.
    pub root_count: u32,
    /// Number of files (not folders); of the accepted ones, once the receiver has decided.
    #[ts(type = "number")]
    pub files: u64,
    /// Number of files that the receiver has verified and stored under their names.
    #[ts(type = "number")]
    pub files_done: u64,
    /// Bytes that the receiver holds.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Size of all of these files in bytes; while `growing`, as much as is known so far.
    #[ts(type = "number")]
    pub total: u64,
    /// True while this is one file that is still being written, whose length is not known yet.
    #[serde(default)]
    pub growing: bool,
    /// The complete offer, if the receiver accepted only a part of it: `files` of `offered.files` were accepted. `null`
    /// if all were, or before the decision.
    #[serde(default)]
    pub offered: Option<Amount>,
    /// Number of files and folders that are left out: they could not be listed, were not accepted, or could not be
    /// transferred. Complete, unlike the notes.
    #[serde(default)]
    #[ts(type = "number")]
    pub skipped: u64,
    /// Number of left-out entries by the code of their reason. At most 33 codes; further ones count as `other`.
    #[serde(default)]
    #[ts(type = "Record<string, number>")]
    pub reasons: BTreeMap<String, u64>,
    /// Smoothed rate in bytes a second; 0 while no data is transferred.
    pub rate: f64,
    /// Remaining seconds at this rate.
    pub eta: Option<f64>,
    /// Whole seconds of silence of the other device, if it is long enough to mean trouble. Only while data should be
    /// transferred.
    #[serde(default)]
    pub silent: Option<u32>,
    /// Unix time in seconds of the offer.
    #[ts(type = "number")]
    pub started: u64,
    /// Seconds of actual transfer so far, without pauses and disconnected times. Equal on both sides, up to the delay
    /// of a packet, and up to five seconds if a side was killed.
    pub seconds: Option<f64>,
    /// Mean rate over these seconds in bytes a second. Data that the receiver already had does not count.
    #[serde(default)]
    pub mean_rate: Option<f64>,
    /// Target folder, for people to read; only for `receive`.
    pub into: Option<String>,
    /// Names in that folder under which it is stored, at most 20; they may differ from the offered ones. Empty until
    /// something is stored.
    #[serde(default)]
    pub landed: Vec<String>,
    /// Maximum rate of this transfer in bytes a second.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub limit: Option<u64>,
    /// Position among the queued and active outgoing transfers, from 1; `null` for others.
    #[serde(default)]
    pub place: Option<u32>,
    /// Notes for people: examples of left-out entries and changed names, at most 100, and at most 5 KiB.
    #[serde(deserialize_with = "read_notes")]
    pub notes: Vec<Note>,
}

impl TransferView {
    /// Shows that nothing was heard of the other device for this time; the rate is then 0.
    pub(crate) fn heard_nothing_for(&mut self, seconds: Option<u32>) {
        self.silent = seconds;
        if seconds.is_some() {
            (self.rate, self.eta) = (0.0, None);
        }
    }
}

/// A file or a folder of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct OfferEntry {
    /// Number of the entry in the offer.
    pub index: u32,
    /// Name at the sender, with escapes where it is not plain text. Text, never markup.
    pub name: String,
    /// True for a folder.
    pub folder: bool,
    /// Size in bytes of the file, or of all files in the folder.
    #[ts(type = "number")]
    pub size: u64,
    /// Number of files in the folder at any depth; 1 for a file.
    pub files: u32,
    /// Modification time, Unix time in seconds.
    #[ts(type = "number")]
    pub mtime: i64,
    /// True if the name begins with a dot, which hides it on Unix.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub hidden: bool,
    /// True if opening it starts a program, as for a launcher or a shortcut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub runs: bool,
}

/// A page of the entries of a folder in an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct OfferPage {
    /// Entries, in the order of the offer.
    pub entries: Vec<OfferEntry>,
    /// Number of all entries of the folder.
    pub total: u32,
}

/// Result of an application ping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct PingView {
    /// Each round trip in milliseconds, in order.
    pub rtt_ms: Vec<f64>,
    /// Path of the packets.
    pub path: Option<PathKind>,
    /// Minimum in milliseconds.
    pub min: f64,
    /// Median in milliseconds.
    pub median: f64,
    /// 99th percentile in milliseconds.
    pub p99: f64,
}

/// Visibility of this device on the LAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Discoverable {
    /// Every Yonder device on the LAN sees name and type.
    #[default]
    Everyone,
    /// Only paired devices; others see random bytes, except while a pairing code is open.
    Paired,
    /// No advertisement.
    Nobody,
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On.
    On,
    /// Off.
    #[default]
    Off,
}

/// Returns the default number of transfers that send at the same time.
pub const fn default_parallel() -> u8 {
    3
}

/// Settings of the user. `yonder-cli settings KEY VALUE` sets one by its name here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of this device.
    pub name: String,
    /// Kind of machine.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// Absolute path of the download folder.
    pub download_dir: String,
    /// Global rule for offers.
    pub accept: AcceptRule,
    /// Visibility of this device on the LAN.
    pub discoverable: Discoverable,
    /// Rate limit in bytes a second for all transfers together, in each direction; 0 means no limit.
    #[serde(default)]
    #[ts(type = "number")]
    pub limit: u64,
    /// Number of outgoing transfers that send at the same time, 1 to 16; others are queued.
    #[serde(default = "default_parallel")]
    pub parallel: u8,
    /// Default rule for names that exist already. The user may choose another one for an offer.
    #[serde(default)]
    pub conflict: ConflictRule,
    /// Look for paired devices, and publish this one, in the mainline DHT.
    #[serde(default)]
    pub dht: Switch,
    /// URLs of custom relays; as text, separated by spaces. Empty means only the public ones.
    #[serde(default)]
    pub relays: Vec<String>,
    /// Rule that chooses this device's home relay.
    #[serde(default)]
    pub relay_choice: RelayChoice,
    /// True if a token for custom relays is stored. The token itself is never shown; `set_relay_token` sets it.
    #[serde(default)]
    pub relay_token: bool,
    /// Settings that an option of this run overrides, by name, with that option. They cannot be changed during this
    /// run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub overridden: Option<BTreeMap<String, String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_another_version_hides_no_pairing() {
        let joining = |note: &str| {
            let line = format!(r#"{{"step":"joining","host":"Study","note":{note}}}"#);
            match serde_json::from_str(&line).unwrap() {
                PairingView::Joining { host, note } => (host.unwrap(), note),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(joining(r#""looking""#), ("Study".into(), Some(PairingNote::Looking)));
        for note in [r#""Looking on this network and on the internet…""#, r#""teleporting""#, "null", "7"] {
            assert_eq!(joining(note), ("Study".into(), None), "{note}");
        }
    }
}
