//! What can be asked of a node, what it answers, and what it tells unasked.

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

/// Everything that can be asked of a node. `device` is a name, a device id, an endpoint id, or a unique prefix of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// All that a window shows, and the number of the last event that it covers. Answered by `snapshot`.
    Snapshot,
    /// This device. Answered by `identity`.
    Identity,
    /// Paired and nearby devices. Answered by `devices`.
    Devices,
    /// Shows a pairing code for five minutes. Answered by `pairing`.
    PairHost {
        /// Approve without asking, once the code is proven. Not for the page.
        approve: bool,
        /// With `approve`: whose device it is; none means one of the person's own.
        #[serde(default)]
        level: Option<TrustLevel>,
        /// Three words for a device on the same network; five for one that is anywhere.
        words: u8,
    },
    /// Joins a host by its code. Answered by `pairing`, at once; the rest comes as events.
    PairJoin {
        /// Three or five words, or a `yonder:` link.
        code: String,
        /// A nearby device, or `ENDPOINT_ID@IP:PORT`; none tries those that say they are pairing, three at most.
        device: Option<String>,
        /// Approve without asking, once the code is proven. Not for the page.
        approve: bool,
        /// With `approve`: whose device it is; none means one of the person's own.
        #[serde(default)]
        level: Option<TrustLevel>,
    },
    /// Approves or rejects the pairing that waits. Answered by `pairing`.
    PairAnswer {
        /// The person's word. The page may only reject: it asks the shell to have the person approve.
        approve: bool,
        /// With `approve`: whose device it is; none means one of the person's own.
        #[serde(default)]
        level: Option<TrustLevel>,
        /// The check words that the person has seen: a pairing with others is not answered. None answers the one that waits.
        #[serde(default)]
        check_words: Option<String>,
    },
    /// Ends the pairing that is under way; also takes a finished one off the screen. Answered by `done`.
    PairCancel,
    /// Words of the list that begin so, eight at most. Answered by `words`.
    CompleteWord {
        /// What has been typed of one word.
        prefix: String,
    },
    /// Forgets a paired device and tells it. Answered by `done`.
    Unpair {
        /// Which.
        device: String,
    },
    /// Refuses a paired device from now on, without telling it. Answered by `done`.
    Block {
        /// Which.
        device: String,
    },
    /// Takes a block back: the device is paired as before, as somebody else's. Answered by `done`.
    Unblock {
        /// Which.
        device: String,
    },
    /// Says what a paired device is to us and what it may do by itself. Answered by `devices`, with this one alone.
    Trust {
        /// Which.
        device: String,
        /// One of the person's own, or somebody else's; none leaves it as it is.
        level: Option<TrustLevel>,
        /// Another rule for what it offers; none leaves it as it is.
        accept: Option<DeviceAccept>,
        /// With `always`: at most so many bytes a day, more is asked about; none means no limit.
        #[ts(type = "number | null")]
        up_to: Option<u64>,
        /// With `always`: absolute path of an existing folder; none means the download folder. The page may not name one.
        into: Option<PathBuf>,
    },
    /// Calls a paired device by the name that it announces. Answered by `devices`, with this one alone.
    TakeName {
        /// Which.
        device: String,
        /// The name that the person has seen: another one is not taken.
        name: String,
    },
    /// Agrees on a new pairing secret with a connected device. Answered by `done`, once both hold it.
    RotateSecret {
        /// Which.
        device: String,
    },
    /// Gives this device another name. Answered by `settings`.
    Rename {
        /// 1 to 64 characters, no control characters.
        name: String,
    },
    /// Where the root secret is kept, and how that stands; asks nobody. Answered by `keystore`.
    Keystore,
    /// Moves the root secret; from file to file it changes the passphrase. The storage key is renewed along with it. A
    /// keychain may ask to be unlocked. Answered by `keystore`.
    KeystoreMove {
        /// Where to.
        to: KeystoreView,
        /// Of the encrypted file, if the secret is there now.
        passphrase: Option<SecretText>,
        /// Of the encrypted file, if the secret goes there.
        new_passphrase: Option<SecretText>,
    },
    /// Makes a new storage key, and seals everything that is remembered with it. Answered by `done`.
    KeystoreRotate,
    /// Writes the identity and the pairings to a file under a passphrase; never over one that is there. Answered by
    /// `backup`. Only for callers on this machine that may name paths: the page may not.
    KeystoreBackup {
        /// Absolute path of a file that is not there yet.
        path: PathBuf,
        /// What the file is to be opened with: 8 characters at least.
        backup_passphrase: SecretText,
        /// Of the encrypted file, if the secret is there now.
        passphrase: Option<SecretText>,
    },
    /// The settings. Answered by `settings`.
    Settings,
    /// Changes one setting. Answered by `settings`.
    SetSetting {
        /// A field of [`Settings`].
        key: String,
        /// The new value, as text.
        value: String,
    },
    /// Keeps a token that own relays are shown, or forgets it. Answered by `settings`.
    SetRelayToken {
        /// Of at most 512 characters that can stand in a line of HTTP; none forgets the one that is kept.
        token: Option<SecretText>,
    },
    /// The relays, the home first. Answered by `relays`.
    Relays {
        /// Those that may be used are asked first, which takes 3 s at most.
        probe: bool,
    },
    /// What sending these paths would offer. Answered by `survey`; nothing is offered.
    /// Only for callers on this machine that may name paths: the page may not.
    Survey {
        /// Absolute paths.
        #[serde(with = "raw_paths")]
        #[ts(type = "Array<string>")]
        paths: Vec<PathBuf>,
    },
    /// Offers files and folders to a paired device. Answered by `transfer`, at once; the rest comes as events.
    /// Only for callers on this machine that may name paths: the page may not.
    Send {
        /// To whom.
        device: String,
        /// Absolute paths.
        #[serde(with = "raw_paths")]
        #[ts(type = "Array<string>")]
        paths: Vec<PathBuf>,
        /// What the caller knows of each of them, in the same order; empty where it knows nothing.
        #[serde(default)]
        given: Vec<Given>,
        /// How.
        options: TransferOptions,
    },
    /// Transfers, newest first, as many as fit into 512 KiB. Answered by `transfers`.
    Transfers {
        /// With those that have ended, too.
        all: bool,
        /// Only those in which every one of these words is found: in a name at the top, a device's name, or a state. At
        /// most 200 characters count.
        #[serde(default)]
        find: Option<String>,
        /// How many of them the caller has already: those come after. None are left where the answer is empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        skip: Option<u32>,
    },
    /// One transfer. Answered by `transfer`.
    Transfer {
        /// Which.
        id: TransferId,
    },
    /// Accepts an offer. Answered by `transfer`.
    Accept {
        /// Which.
        id: TransferId,
        /// Absolute path of an existing folder; none means the download folder. The page may not name one.
        into: Option<PathBuf>,
        /// What to do where a name is taken.
        conflict: ConflictRule,
        /// Which entries, by their numbers in `offer_entries`; a folder stands for all that is in it. None means all.
        /// At most 10,000.
        #[serde(default)]
        only: Option<Vec<u32>>,
    },
    /// What is in an offer that waits for an answer, one folder at a time. Answered by `offer_entries`.
    OfferEntries {
        /// Which.
        id: TransferId,
        /// Number of a folder; none means the top.
        parent: Option<u32>,
        /// How many entries of it are passed over.
        skip: u32,
        /// How many are wanted, 1 to 1000.
        limit: u32,
    },
    /// Declines an offer. Answered by `transfer`.
    Decline {
        /// Which.
        id: TransferId,
    },
    /// Stops a transfer, on both sides. Answered by `transfer`.
    Cancel {
        /// Which.
        id: TransferId,
    },
    /// Holds a transfer until this side lets it go on, over restarts of this node too. Answered by `transfer`.
    Pause {
        /// Which.
        id: TransferId,
    },
    /// Lets a transfer go on that this side paused, or that waits for space, for its source or for another try. Answered by
    /// `transfer`.
    Resume {
        /// Which.
        id: TransferId,
    },
    /// Sends what is missing of a transfer from here that has ended, to the same device, as a new transfer: what failed,
    /// could not be offered or was not taken. If nothing is missing, or nothing arrived, all of it. Answered by `transfer`,
    /// the new one.
    Retry {
        /// Which.
        id: TransferId,
    },
    /// Gives a transfer from here that waits for its turn another place. Answered by `transfers`, those that have not ended.
    Reorder {
        /// Which.
        id: TransferId,
        /// The one before which it comes; none means the last place.
        before: Option<TransferId>,
    },
    /// At most so many bytes a second for one transfer, from now on. For all together there is the setting `limit`.
    /// Answered by `transfer`.
    Limit {
        /// Which.
        id: TransferId,
        /// At least 1024; none means no limit of its own.
        #[ts(type = "number | null")]
        rate: Option<u64>,
    },
    /// Takes a transfer that has ended off the list. Answered by `done`.
    Forget {
        /// Which.
        id: TransferId,
    },
    /// Sends a text to a paired device; it waits for one that is away. Answered by `message`.
    SendText {
        /// To whom.
        device: String,
        /// At most 30 KiB; no control characters but new lines and tabs.
        text: String,
    },
    /// Texts with a device, newest last. Answered by `messages`.
    Messages {
        /// With which.
        device: String,
        /// Those before this place; none means the newest.
        #[ts(type = "number | null")]
        before: Option<u64>,
        /// How many, 1 to 200.
        limit: u32,
    },
    /// The person has seen the texts of a device. Answered by `done`.
    MessagesSeen {
        /// Which.
        device: String,
    },
    /// Application round trips. Answered by `ping`.
    Ping {
        /// Whom.
        device: String,
        /// How many, 1 to 1000.
        count: u32,
    },
    /// Looks at everything that may be in the way, or at every way to one device. Takes 10 s at most, and tells each check
    /// as an event when it is done; one that runs already is joined. Answered by `doctor`.
    Doctor {
        /// A paired device; none looks at this one and at all.
        device: Option<String>,
    },
}

/// Identifies a file or folder on this machine, until it is started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct FileId {
    /// The file system's number.
    #[ts(type = "number")]
    pub device: u64,
    /// Its number there.
    #[ts(type = "number")]
    pub inode: u64,
}

/// What a caller knows of a path that it gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// What it found there. The node refuses the path if it finds something else, as it does in another container.
    pub seen: Option<FileId>,
    /// The name under which it arrives; none means its own.
    pub name: Option<String>,
    /// It was read from a stream into the data directory's `spool`, and is removed when the transfer has ended.
    pub spooled: bool,
    /// Whether the stream is still being read, by a process that holds an exclusive lock on the file and takes the right to
    /// write from it once it is complete. Nothing else is sent with it.
    pub growing: bool,
}

/// Paths need not be text: those that are not stand as an array of bytes.
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

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "few answers live at a time, and each is moved a few times at most")]
pub enum Response {
    /// It was done; there is nothing to show.
    Done,
    /// All that a window shows.
    Snapshot(Box<Snapshot>),
    /// This device.
    Identity(IdentityView),
    /// Devices.
    Devices(Vec<DeviceView>),
    /// The pairing.
    Pairing(PairingView),
    /// Words.
    Words(Vec<String>),
    /// The settings as they are now.
    Settings(Settings),
    /// Relays.
    Relays(Vec<RelayView>),
    /// A transfer.
    Transfer(TransferView),
    /// Transfers.
    Transfers(Vec<TransferView>),
    /// What sending would offer.
    Survey(Survey),
    /// What is in a folder of an offer.
    OfferEntries(OfferPage),
    /// A text.
    Message(MessageView),
    /// Texts.
    Messages(Vec<MessageView>),
    /// Round trips.
    Ping(PingView),
    /// Where the root secret is kept.
    Keystore(KeystoreStatus),
    /// The backup that was written.
    Backup(BackupView),
    /// What the doctor found.
    Doctor(DoctorReport),
}

/// All that a window shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Snapshot {
    /// Number of the last event that is contained in this.
    #[ts(type = "number")]
    pub seq: u64,
    /// This device.
    pub identity: IdentityView,
    /// Paired and nearby devices.
    pub devices: Vec<DeviceView>,
    /// The pairing.
    pub pairing: PairingView,
    /// Texts that the person has not seen.
    pub unread: Vec<Unread>,
    /// Transfers, newest first, those that ended too: as many as fit into 512 KiB, of each device alike. The request
    /// `transfers` gives the others.
    pub transfers: Vec<TransferView>,
    /// The settings.
    pub settings: Settings,
    /// The relays, the home first.
    #[serde(default)]
    pub relays: Vec<RelayView>,
}

/// What a node tells unasked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The node is up; the first line of `serve`.
    Ready(IdentityView),
    /// This device changed: its name, its port, its addresses.
    Identity(IdentityView),
    /// A device came, or changed.
    Device {
        /// As it is now.
        device: DeviceView,
    },
    /// A device left, or was unpaired and is not nearby.
    DeviceGone {
        /// Which.
        device_id: DeviceId,
    },
    /// The pairing changed.
    Pairing {
        /// As it is now.
        pairing: PairingView,
    },
    /// Another device became paired.
    Paired {
        /// Which.
        device: DeviceView,
    },
    /// Another device offers something, and a person has to decide.
    Offer {
        /// What.
        transfer: TransferView,
    },
    /// A transfer changed; ten times a second at most.
    Transfer {
        /// As it is now.
        transfer: TransferView,
    },
    /// A transfer was taken off the list.
    TransferGone {
        /// Which.
        id: TransferId,
    },
    /// A text came, was sent, or was delivered.
    Message {
        /// As it is now.
        message: MessageView,
    },
    /// The settings changed.
    Settings {
        /// As they are now.
        settings: Settings,
    },
    /// A check of the doctor is done; all of them come again with the answer.
    DoctorCheck {
        /// The device that was asked about; none means all.
        device: Option<DeviceId>,
        /// What was found.
        check: CheckView,
    },
    /// The relays, or how they stand, changed.
    Relays {
        /// As they are now, the home first.
        relays: Vec<RelayView>,
    },
    /// Something that a person should know, and that belongs to no call.
    Notice {
        /// What.
        error: ApiError,
    },
    /// The node is going down; the last line.
    Stopping,
}

/// An event with its number. Numbers rise by one; a gap means that events were missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct NumberedEvent {
    /// 1 for the first event of a node's life.
    #[ts(type = "number")]
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
