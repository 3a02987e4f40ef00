//! Notes about a transfer, as codes with arguments. The page and the command line turn them into sentences.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use ts_rs::TS;

/// Preview of an offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Survey {
    /// Number of files.
    #[ts(type = "number")]
    pub files: u64,
    /// Size of the files in bytes.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Number of files and folders that would be left out.
    #[ts(type = "number")]
    pub skipped: u64,
    /// Number of left-out entries by reason, with the codes of the table in `docs/cli.md`.
    #[ts(type = "Record<string, number>")]
    pub reasons: BTreeMap<String, u64>,
}

/// A note about a transfer for people. `reason` is a code of the table in `docs/cli.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum Note {
    /// The entry was found in the listing, but was not offered.
    Skipped {
        /// Path at the sender. Text, never markup.
        path: String,
        /// Code of the reason.
        reason: String,
    },
    /// The entry was offered, but could not be transferred.
    Failed {
        /// Path in the offer. Text, never markup.
        path: String,
        /// Code of the reason.
        reason: String,
    },
    /// The receiver stored the entry under another name, because the offered one was impossible or taken by another
    /// entry. The two names differ visibly.
    SavedAs {
        /// Path in the offer, with escapes where it is not plain text. Text, never markup.
        path: String,
        /// Name on the receiver's disk. Text, never markup.
        name: String,
    },
    /// The entry was named more than once, and is sent once.
    NamedTwice {
        /// Path at the sender. Text, never markup.
        path: String,
    },
    /// Files were not sent, because the receiver already had them.
    AlreadyThere {
        /// Number of files.
        #[ts(type = "number")]
        count: u64,
    },
    /// Replaced files are in the receiver's trash.
    Trashed {
        /// Number of files.
        #[ts(type = "number")]
        count: u64,
    },
    /// The file to be replaced could not be moved to the trash, so both are kept.
    NotTrashed {
        /// Path of the new file in the offer. Text, never markup.
        path: String,
    },
    /// The sender could not offer everything.
    SkippedThere {
        /// Number of missing files and folders.
        #[ts(type = "number")]
        count: u64,
    },
    /// Files were stored without the executable permission, because a rule accepted them without a question.
    NotExecutable {
        /// Number of files.
        #[ts(type = "number")]
        count: u64,
    },
    /// A sentence from the record of an earlier version, in English.
    Text {
        /// The sentence.
        text: String,
    },
}

/// A number of files and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Amount {
    /// Number of files.
    #[ts(type = "number")]
    pub files: u64,
    /// Size in bytes.
    #[ts(type = "number")]
    pub bytes: u64,
}

/// Reads notes. Earlier versions stored sentences.
pub(super) fn read_notes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Note>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Note(Note),
        Text(String),
    }
    let kept = Vec::<Kept>::deserialize(deserializer)?;
    let note = |kept| match kept {
        Kept::Note(note) => note,
        Kept::Text(text) => Note::Text { text },
    };
    Ok(kept.into_iter().map(note).collect())
}
