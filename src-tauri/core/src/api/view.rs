//! What the surface shows: identities, devices, pairings, transfers and settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    grant::Grant,
    note::{Amount, Note, read_notes},
    relay::RelayChoice,
};
use crate::id::{DeviceId, TransferId};

/// An error as it crosses the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ApiError {
    /// Stable; the only part that a program may match on.
    pub code: String,
    /// One sentence in English.
    pub message: String,
    /// What a person can do about it; may be empty.
    pub hint: String,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for ApiError {}

/// What kind of machine a device is; only for its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum DeviceType {
    /// A machine that stands.
    #[default]
    Desktop,
    /// A machine with a battery.
    Laptop,
    /// A machine without a person: a NAS, a server.
    Server,
    /// A phone or tablet.
    Phone,
}

/// This device, as `yonder-cli id` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct IdentityView {
    /// UUIDv8 made from the endpoint id.
    pub device_id: DeviceId,
    /// Public key, 64 hex digits.
    pub endpoint_id: String,
    /// What other people see.
    pub name: String,
    /// What kind of machine it is.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// UDP port that is bound; 0 while the network is not up yet.
    pub port: u16,
    /// `IP:PORT` under which it can be reached, as far as it knows.
    pub addresses: Vec<String>,
    /// `yonder:` link with id and addresses; it does not pair.
    pub ticket: String,
    /// Where the root secret is kept.
    pub keystore: KeystoreView,
}

/// Where the root secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum KeystoreView {
    /// The system's keychain.
    Keychain,
    /// A file encrypted under a passphrase.
    File,
    /// A file without passphrase, mode 0600; only when asked for.
    Plain,
}

/// How a device stands to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// Seen on the LAN, not paired.
    Discovered,
    /// A pairing with it is under way.
    Pairing,
    /// Paired; a connection is being made.
    Connecting,
    /// Paired, and a session stands.
    Connected,
    /// Paired, not there now.
    Offline,
}

/// How the packets of a session travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// Straight from one device to the other.
    Direct,
    /// Through a relay, which sees only ciphertext.
    Relay,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// It is being made.
    Connecting,
    /// It stands, and something was said over it within the last half minute.
    Connected,
    /// It stands; nothing but signs of life came lately.
    Idle,
    /// Another one has taken its place; it ends within seconds.
    Closing,
}

/// One connection to a paired device. One that is closed is not listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct ConnectionView {
    /// What is spoken over it: `message/1.0`.
    pub protocol: String,
    /// How it stands.
    pub state: ConnectionState,
    /// How packets travel; none while it is being made.
    pub path: Option<PathKind>,
    /// Where packets go: `IP:PORT` or a relay's URL.
    pub address: Option<String>,
    /// Round trip in milliseconds, smoothed.
    pub rtt_ms: Option<f64>,
    /// Share of the packets sent from here that were lost, 0 to 1, since it stands.
    pub loss: f64,
    /// Congestion window in bytes: how much may be on its way at once.
    #[ts(type = "number")]
    pub cwnd: u64,
    /// Largest packet that is known to pass, in bytes.
    pub mtu: u16,
    /// Bytes sent, everything counted.
    #[ts(type = "number")]
    pub bytes_sent: u64,
    /// Bytes received, everything counted.
    #[ts(type = "number")]
    pub bytes_received: u64,
    /// Unix time in seconds since when it stands.
    #[ts(type = "number | null")]
    pub since: Option<u64>,
}

/// What a paired device is to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum TrustLevel {
    /// One of the person's own devices.
    #[default]
    Own,
    /// Somebody else's device.
    Other,
    /// Refused everywhere; kept so that it stays refused.
    Blocked,
}

/// What happens to an offer of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum DeviceAccept {
    /// As the setting `accept` says. By itself it accepts from the person's own devices only.
    #[default]
    Default,
    /// The person is asked.
    Ask,
    /// It is accepted by itself.
    Always,
}

/// What one device may do by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DeviceRule {
    /// What happens to its offers.
    pub accept: DeviceAccept,
    /// With `always`: at most so many bytes a day; more is asked about.
    #[ts(type = "number | null")]
    pub up_to: Option<u64>,
    /// With `always`: where they go; none means the download folder.
    pub into: Option<String>,
}

/// What happens to an offer when it comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum AcceptRule {
    /// The person is asked.
    #[default]
    Ask,
    /// Offers of paired devices are accepted.
    Paired,
    /// Every offer is declined.
    None,
}

/// What happens when a name is taken already at the receiving end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictRule {
    /// The new one gets another name.
    #[default]
    KeepBoth,
    /// One that is identical is not written again; others as in `keep-both`.
    Skip,
    /// The old one goes to the trash.
    Replace,
}

/// How a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Ours; the other device has not stored it yet.
    Queued,
    /// Ours; the other device has stored it.
    Delivered,
    /// Theirs.
    Received,
}

/// A text between people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct MessageView {
    /// Its place among the texts with this device, from 1.
    #[ts(type = "number")]
    pub id: u64,
    /// With which device.
    pub device_id: DeviceId,
    /// Sent or received.
    pub direction: Direction,
    /// Chosen by a person: text, never markup.
    pub text: String,
    /// Unix time in milliseconds by the sender's clock.
    #[ts(type = "number")]
    pub sent_at: u64,
    /// How it stands.
    pub state: MessageState,
}

/// Texts of a device that the person has not seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Unread {
    /// Whose.
    pub device_id: DeviceId,
    /// How many.
    pub count: u32,
}

/// A device, paired or nearby.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct DeviceView {
    /// UUIDv8 made from the endpoint id.
    pub device_id: DeviceId,
    /// Public key, 64 hex digits.
    pub endpoint_id: String,
    /// What it is called here: its owner chose it, and no two paired devices have names that look the same. Text, never markup.
    pub name: String,
    /// Another name that it announces since; it is called so when a person takes it.
    #[serde(default)]
    pub announced: Option<NameProposal>,
    /// What kind of machine it says it is.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// How it stands to us.
    pub state: DeviceState,
    /// Both sides hold a record of the other.
    pub paired: bool,
    /// It says on the LAN that a code of its own is open.
    pub pairing: bool,
    /// It was sighted on the LAN and has not left since.
    pub nearby: bool,
    /// How packets travel, if a session stands.
    pub path: Option<PathKind>,
    /// Round trip in milliseconds, if a session stands.
    pub rtt_ms: Option<f64>,
    /// Where packets go, if a session stands: `IP:PORT` or a relay's URL.
    pub address: Option<String>,
    /// What TLS agreed on for the keys of the connection, such as `X25519MLKEM768`.
    pub key_exchange: Option<String>,
    /// Every connection with it, the one for messages first; empty when it is not there.
    #[serde(default)]
    pub connections: Vec<ConnectionView>,
    /// What it is to us; meaningful when paired.
    pub trust: TrustLevel,
    /// What it may do by itself; of meaning for paired devices.
    pub rule: DeviceRule,
    /// Unix time in seconds since when the present pairing secret holds.
    #[ts(type = "number | null")]
    pub secret_since: Option<u64>,
    /// Unix time in seconds of the pairing.
    #[ts(type = "number | null")]
    pub paired_at: Option<u64>,
    /// Unix time in seconds of the last contact.
    #[ts(type = "number | null")]
    pub last_seen: Option<u64>,
}

/// A name that a paired device announces and is not called by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct NameProposal {
    /// Text, never markup.
    pub name: String,
    /// It can be taken. One that looks like the name of another paired device cannot.
    pub is_free: bool,
}

/// Which side of a pairing this device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum PairingRole {
    /// It shows the code.
    Host,
    /// It enters the code.
    Joiner,
}

/// The pairing that is under way; there is one at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum PairingView {
    /// None.
    Idle,
    /// A code is shown, and waits for a joiner.
    Hosting {
        /// `brave-lion-sunset`.
        words: String,
        /// `yonder:` link that carries address and a secret of its own; what the QR shows.
        link: String,
        /// The link as a QR code: rows of `#` (dark) and `.` (light), without quiet zone.
        qr: Vec<String>,
        /// Seconds until the code burns.
        expires_in: u32,
        /// How many wrong codes may still be tried, by anyone.
        attempts_left: u8,
        /// What a person should know beside it, in a sentence: with five words, why they are not found on the internet yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        note: Option<String>,
    },
    /// The host is looked for, or the code is being proven.
    Joining {
        /// Name of the host that is tried now, once known.
        host: Option<String>,
        /// With five words: what is being done, in a sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        note: Option<String>,
    },
    /// The code is proven; people compare the check words and approve on both sides.
    Confirm {
        /// Which side we are.
        role: PairingRole,
        /// The other device's name, as it says.
        name: String,
        /// What it will be called here: as at an earlier pairing, or with a number if the name looks like that of another
        /// paired device.
        #[serde(default)]
        called: String,
        /// What kind of machine it says it is.
        #[serde(rename = "type")]
        device_type: DeviceType,
        /// Two words that both screens show: `amber-falcon`.
        check_words: String,
        /// What the other device will be allowed as one of the person's own.
        grants: Vec<Grant>,
        /// What it will be allowed as somebody else's.
        #[serde(default)]
        grants_other: Vec<Grant>,
        /// This side has approved and waits for the other.
        approved: bool,
    },
    /// Both sides hold the record.
    Paired {
        /// The new device.
        device: Box<DeviceView>,
    },
    /// It ended without a record.
    Failed {
        /// Why.
        error: ApiError,
    },
}

/// Which way a transfer goes, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From here.
    Send,
    /// To here.
    Receive,
}

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum TransferState {
    /// Waits for the receiver's decision.
    Offered,
    /// Waits for its turn: others are sent first.
    Queued,
    /// Bytes move.
    Active,
    /// It stands still until somebody lets it go on: a person paused it, or a disk is full or gone. The reason's code says
    /// which: `paused_here`, `paused_there`, `disk_full`, `source_gone`.
    Paused,
    /// Waits for something that comes by itself; the reason's code says what: `listing` the files, `connecting`, or an error
    /// such as `device_offline` of a device that is away.
    Waiting,
    /// The receiver has verified everything that was sent. Where `skipped` is not 0 something is missing, and the reason's
    /// code is `incomplete`.
    Done,
    /// It ended with an error.
    Failed,
    /// The receiver said no.
    Declined,
    /// A person stopped it; the reason's code says on which side: `cancelled_here`, `cancelled_there`.
    Cancelled,
}

impl TransferState {
    /// Nothing will happen any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Declined | Self::Cancelled)
    }
}

/// How the sender wants a transfer done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct TransferOptions {
    /// Compress chunks where a sample says that it pays.
    pub compress: bool,
    /// Seal file data with keys of its own beneath TLS. Off leaves TLS alone.
    pub encrypt: bool,
    /// At most this many bytes a second; none means no limit.
    #[ts(type = "number | null")]
    pub limit: Option<u64>,
    /// Wait for a device that is away, over restarts of this node too. Off, it fails when the device cannot be reached.
    pub wait: bool,
    /// Offer nothing where something that was named cannot be sent.
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
    /// Chosen by the sender.
    pub id: TransferId,
    /// Which way it goes.
    pub direction: Direction,
    /// The other device.
    pub device: DeviceId,
    /// The other device's name.
    pub device_name: String,
    /// Where it stands.
    pub state: TransferState,
    /// Why it failed, waits, was declined or cancelled, or is done without everything.
    pub reason: Option<ApiError>,
    /// Names of the files and folders at the top of the offer, 20 at most. Text, never markup.
    pub roots: Vec<String>,
    /// How many files and folders are at the top of the offer.
    pub root_count: u32,
    /// How many files (not folders); of those that the receiver took, once it has decided.
    #[ts(type = "number")]
    pub files: u64,
    /// How many of them the receiver has verified and named.
    #[ts(type = "number")]
    pub files_done: u64,
    /// Bytes that the receiver holds.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Bytes in all of these files; while `growing`, as many as are known so far.
    #[ts(type = "number")]
    pub total: u64,
    /// Whether it is one file that is still being written, whose length is not known yet.
    #[serde(default)]
    pub growing: bool,
    /// What was offered, where the receiver took only a part of it: `files` of `offered.files` were taken. None where all
    /// were, or nobody has decided.
    #[serde(default)]
    pub offered: Option<Amount>,
    /// How many files and folders are left out: they could not be listed, were not taken, or could not be transferred.
    /// Complete, unlike the notes.
    #[serde(default)]
    #[ts(type = "number")]
    pub skipped: u64,
    /// The same by the code of their reason. At most 33 codes; what is beyond counts as `other`.
    #[serde(default)]
    #[ts(type = "Record<string, number>")]
    pub reasons: BTreeMap<String, u64>,
    /// Bytes a second, smoothed; 0 when nothing moves.
    pub rate: f64,
    /// Seconds that are left at this rate.
    pub eta: Option<f64>,
    /// Whole seconds for which nothing was heard of the other device, if that is so long that something is wrong; only while
    /// bytes should move.
    #[serde(default)]
    pub silent: Option<u32>,
    /// Unix time in seconds when it was offered.
    #[ts(type = "number")]
    pub started: u64,
    /// Seconds in which bytes moved so far, without pauses and times apart; the same on both sides but for the way of a
    /// packet, and for up to five seconds where a side was killed.
    pub seconds: Option<f64>,
    /// Bytes a second over these seconds, of those bytes that moved; what was there already does not count.
    #[serde(default)]
    pub mean_rate: Option<f64>,
    /// The folder that it lands in, for people to read; only for `receive`.
    pub into: Option<String>,
    /// Names in that folder under which it is stored, 20 at most: what was offered may have got other names. Empty until
    /// something is there.
    #[serde(default)]
    pub landed: Vec<String>,
    /// At most so many bytes a second, for this transfer alone.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub limit: Option<u64>,
    /// Its place among those from here that wait for their turn or are under way, from 1; none when it is not one of them.
    #[serde(default)]
    pub place: Option<u32>,
    /// What people should know: examples of what is left out and of names that were changed, 100 at most, and no more than
    /// fit into 5 KiB.
    #[serde(deserialize_with = "read_notes")]
    pub notes: Vec<Note>,
}

impl TransferView {
    /// Shows that nothing was heard of the other device for so many seconds; then nothing moves either.
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
    /// Its number in the offer.
    pub index: u32,
    /// Its name at the sender, with what is no plain text escaped. Text, never markup.
    pub name: String,
    /// It is a folder.
    pub folder: bool,
    /// Bytes of the file, or of all files in the folder.
    #[ts(type = "number")]
    pub size: u64,
    /// Files in the folder at any depth; 1 for a file.
    pub files: u32,
    /// Unix time in seconds of its last change.
    #[ts(type = "number")]
    pub mtime: i64,
    /// Its name is hidden by the customs of Unix: it begins with a dot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub hidden: bool,
    /// It starts a program when somebody opens it, as a launcher or a shortcut does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub runs: bool,
}

/// What is in a folder of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct OfferPage {
    /// In the order of the offer.
    pub entries: Vec<OfferEntry>,
    /// How many there are in all.
    pub total: u32,
}

/// Result of an application ping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct PingView {
    /// Each round trip in milliseconds, in order.
    pub rtt_ms: Vec<f64>,
    /// How packets travel.
    pub path: Option<PathKind>,
    /// Shortest.
    pub min: f64,
    /// Middle.
    pub median: f64,
    /// 99 of 100 were not longer.
    pub p99: f64,
}

/// Who may see this device on the LAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Discoverable {
    /// Every Yonder device on the LAN sees name and type.
    #[default]
    Everyone,
    /// Paired devices alone; others see random bytes, except while a pairing code is open.
    Paired,
    /// Nothing is advertised.
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

/// Transfers that send at the same time, unless a person says otherwise.
pub const fn default_parallel() -> u8 {
    3
}

/// What a person can change. `yonder-cli settings KEY VALUE` sets one by its name here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// This device's name.
    pub name: String,
    /// What kind of machine this is.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// Absolute path of the folder that received files land in.
    pub download_dir: String,
    /// What happens to offers.
    pub accept: AcceptRule,
    /// Who may see this device on the LAN.
    pub discoverable: Discoverable,
    /// At most so many bytes a second for all transfers together, in each direction; 0 means no limit.
    #[serde(default)]
    #[ts(type = "number")]
    pub limit: u64,
    /// How many transfers from here send at the same time, 1 to 16; others wait for their turn.
    #[serde(default = "default_parallel")]
    pub parallel: u8,
    /// What is done where a name is taken, unless a person says otherwise for an offer.
    #[serde(default)]
    pub conflict: ConflictRule,
    /// Whether paired devices are looked for, and this one is left to be found, in the mainline DHT.
    #[serde(default)]
    pub dht: Switch,
    /// URLs of the person's own relays; as text, separated by spaces. Empty means the public ones alone.
    #[serde(default)]
    pub relays: Vec<String>,
    /// Which relay may be this device's home.
    #[serde(default)]
    pub relay_choice: RelayChoice,
    /// Whether a token is kept that own relays are shown. The token itself is never shown; `set_relay_token` sets it.
    #[serde(default)]
    pub relay_token: bool,
    /// Settings that an option of this run overrides, by name, and that option. They cannot be changed while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub overridden: Option<BTreeMap<String, String>>,
}
