//! Requests about transfers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{
    api::{ConflictRule, TransferOptions},
    id::TransferId,
};

/// A request about transfers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum TransferRequest {
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
    /// True while the stream is still being read, by a process that holds an exclusive lock on the file and takes the right to
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
