//! Stored form of a transfer's record: what a row of the table `transfers` holds, as JSON.
//!
//! It has the fields of [`TransferView`], and is a type of its own all the same: what the window shows may change, and
//! records of earlier versions stay readable. A field that is added here gets `#[serde(default)]`, and is ignored by
//! earlier versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ResumeTerms;
use crate::{
    api::{Amount, ApiError, Args, ConflictRule, Direction, Given, Note, TransferOptions, TransferState, TransferView},
    datadir::stored_enum,
    id::{DeviceId, TransferId},
};

/// Version of the record format. Records of another version are left alone.
pub(super) const VERSION: u8 = 1;

/// Row of one transfer.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredTransfer {
    pub version: u8,
    pub view: StoredView,
    /// Path of the destination folder as bytes, because it need not be UTF-8.
    #[serde(rename = "landing")]
    pub destination: Option<Vec<u8>>,
    #[serde(default)]
    pub terms: Option<ResumeTerms>,
    /// Reason code while paused on this side.
    #[serde(default)]
    pub held: Option<String>,
    /// Unix time in seconds since which the transfer waits for its peer.
    #[serde(default)]
    pub waits_since: Option<u64>,
}

stored_enum! {
    /// Stored form of [`Direction`].
    StoredDirection of Direction { Send = "send", Receive = "receive" }
}

stored_enum! {
    /// Stored form of [`TransferState`].
    StoredState of TransferState {
        Offered = "offered",
        Queued = "queued",
        Active = "active",
        Paused = "paused",
        Waiting = "waiting",
        Done = "done",
        Failed = "failed",
        Declined = "declined",
        Cancelled = "cancelled",
    }
}

stored_enum! {
    /// Stored form of [`ConflictRule`].
    pub(super) StoredConflict of ConflictRule { KeepBoth = "keep-both", Skip = "skip", Replace = "replace" }
}

/// State of a transfer as it was last shown.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredView {
    id: TransferId,
    direction: StoredDirection,
    device: DeviceId,
    device_name: String,
    state: StoredState,
    reason: Option<StoredCause>,
    roots: Vec<String>,
    root_count: u32,
    files: u64,
    files_done: u64,
    bytes: u64,
    total: u64,
    #[serde(default)]
    growing: bool,
    #[serde(default)]
    offered: Option<StoredAmount>,
    #[serde(default)]
    skipped: u64,
    /// Number of left-out entries by reason code.
    #[serde(default)]
    reasons: BTreeMap<String, u64>,
    /// This and the next two fields mean nothing after a restart. They are still written because earlier versions do
    /// not read a record without them.
    rate: f64,
    eta: Option<f64>,
    #[serde(default)]
    silent: Option<u32>,
    started: u64,
    seconds: Option<f64>,
    #[serde(default)]
    mean_rate: Option<f64>,
    into: Option<String>,
    #[serde(default)]
    landed: Vec<String>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    place: Option<u32>,
    notes: Vec<StoredNote>,
}

/// Stored form of the reason of a transfer, with its words.
#[derive(Serialize, Deserialize)]
struct StoredCause {
    code: String,
    message: String,
    hint: String,
    #[serde(default, skip_serializing_if = "Args::is_empty")]
    args: Args,
}

/// Stored form of [`Amount`].
#[derive(Serialize, Deserialize)]
struct StoredAmount {
    files: u64,
    bytes: u64,
}

/// Note in the form of today, or a sentence of an earlier version.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredNote {
    Coded(CodedNote),
    Sentence(String),
}

/// Stored form of [`Note`].
#[derive(Serialize, Deserialize)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
enum CodedNote {
    Skipped { path: String, reason: String },
    Failed { path: String, reason: String },
    SavedAs { path: String, name: String },
    NamedTwice { path: String },
    AlreadyThere { count: u64 },
    Trashed { count: u64 },
    NotTrashed { path: String },
    SkippedThere { count: u64 },
    NotExecutable { count: u64 },
    Text { text: String },
}

/// Stored form of [`TransferOptions`].
#[derive(Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StoredOptions {
    compress: bool,
    encrypt: bool,
    limit: Option<u64>,
    wait: bool,
    strict: bool,
}

impl Default for StoredOptions {
    fn default() -> Self {
        Self { compress: true, encrypt: true, limit: None, wait: false, strict: false }
    }
}

/// Stored form of [`Given`].
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StoredGiven {
    /// Written as null, because the number of a volume may change at a restart.
    #[serde(skip_deserializing)]
    seen: (),
    name: Option<String>,
    spooled: bool,
    growing: bool,
}

impl From<TransferView> for StoredView {
    fn from(view: TransferView) -> Self {
        let TransferView { id, direction, device, device_name, state, reason, .. } = view;
        let TransferView { roots, root_count, files, files_done, bytes, total, growing, .. } = view;
        let TransferView { offered, skipped, reasons, rate, eta, silent, started, .. } = view;
        let TransferView { seconds, mean_rate, into, landed, limit, place, notes, .. } = view;
        Self {
            id,
            direction: direction.into(),
            device,
            device_name,
            state: state.into(),
            reason: reason.map(Into::into),
            roots,
            root_count,
            files,
            files_done,
            bytes,
            total,
            growing,
            offered: offered.map(Into::into),
            skipped,
            reasons,
            rate,
            eta,
            silent,
            started,
            seconds,
            mean_rate,
            into,
            landed,
            limit,
            place,
            notes: notes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<StoredView> for TransferView {
    fn from(stored: StoredView) -> Self {
        Self {
            id: stored.id,
            direction: stored.direction.into(),
            device: stored.device,
            device_name: stored.device_name,
            state: stored.state.into(),
            reason: stored.reason.map(Into::into),
            roots: stored.roots,
            root_count: stored.root_count,
            files: stored.files,
            files_done: stored.files_done,
            bytes: stored.bytes,
            total: stored.total,
            growing: stored.growing,
            offered: stored.offered.map(Into::into),
            skipped: stored.skipped,
            reasons: stored.reasons,
            rate: stored.rate,
            eta: stored.eta,
            silent: stored.silent,
            started: stored.started,
            seconds: stored.seconds,
            mean_rate: stored.mean_rate,
            into: stored.into,
            landed: stored.landed,
            limit: stored.limit,
            place: stored.place,
            notes: stored.notes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ApiError> for StoredCause {
    fn from(ApiError { code, message, hint, args }: ApiError) -> Self {
        Self { code, message, hint, args }
    }
}

impl From<StoredCause> for ApiError {
    fn from(StoredCause { code, message, hint, args }: StoredCause) -> Self {
        Self { code, message, hint, args }
    }
}

impl From<Amount> for StoredAmount {
    fn from(Amount { files, bytes }: Amount) -> Self {
        Self { files, bytes }
    }
}

impl From<StoredAmount> for Amount {
    fn from(StoredAmount { files, bytes }: StoredAmount) -> Self {
        Self { files, bytes }
    }
}

impl From<Note> for StoredNote {
    fn from(note: Note) -> Self {
        Self::Coded(match note {
            Note::Skipped { path, reason } => CodedNote::Skipped { path, reason },
            Note::Failed { path, reason } => CodedNote::Failed { path, reason },
            Note::SavedAs { path, name } => CodedNote::SavedAs { path, name },
            Note::NamedTwice { path } => CodedNote::NamedTwice { path },
            Note::AlreadyThere { count } => CodedNote::AlreadyThere { count },
            Note::Trashed { count } => CodedNote::Trashed { count },
            Note::NotTrashed { path } => CodedNote::NotTrashed { path },
            Note::SkippedThere { count } => CodedNote::SkippedThere { count },
            Note::NotExecutable { count } => CodedNote::NotExecutable { count },
            Note::Text { text } => CodedNote::Text { text },
        })
    }
}

impl From<StoredNote> for Note {
    fn from(stored: StoredNote) -> Self {
        let note = match stored {
            StoredNote::Coded(note) => note,
            StoredNote::Sentence(text) => return Self::Text { text },
        };
        match note {
            CodedNote::Skipped { path, reason } => Self::Skipped { path, reason },
            CodedNote::Failed { path, reason } => Self::Failed { path, reason },
            CodedNote::SavedAs { path, name } => Self::SavedAs { path, name },
            CodedNote::NamedTwice { path } => Self::NamedTwice { path },
            CodedNote::AlreadyThere { count } => Self::AlreadyThere { count },
            CodedNote::Trashed { count } => Self::Trashed { count },
            CodedNote::NotTrashed { path } => Self::NotTrashed { path },
            CodedNote::SkippedThere { count } => Self::SkippedThere { count },
            CodedNote::NotExecutable { count } => Self::NotExecutable { count },
            CodedNote::Text { text } => Self::Text { text },
        }
    }
}

impl From<TransferOptions> for StoredOptions {
    fn from(TransferOptions { compress, encrypt, limit, wait, strict }: TransferOptions) -> Self {
        Self { compress, encrypt, limit, wait, strict }
    }
}

impl From<StoredOptions> for TransferOptions {
    fn from(StoredOptions { compress, encrypt, limit, wait, strict }: StoredOptions) -> Self {
        Self { compress, encrypt, limit, wait, strict }
    }
}

impl From<Given> for StoredGiven {
    fn from(Given { seen: _, name, spooled, growing }: Given) -> Self {
        Self { seen: (), name, spooled, growing }
    }
}

impl From<StoredGiven> for Given {
    fn from(StoredGiven { seen: (), name, spooled, growing }: StoredGiven) -> Self {
        Self { seen: None, name, spooled, growing }
    }
}
