//! What people should know about a transfer, as codes with arguments: the page and the command line put them into words.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use ts_rs::TS;

/// What sending some paths would offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Survey {
    /// Files.
    #[ts(type = "number")]
    pub files: u64,
    /// Their bytes.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Files and folders that would be left out.
    #[ts(type = "number")]
    pub skipped: u64,
    /// How many of them for which reason, by codes of the table in `docs/cli.md`.
    #[ts(type = "Record<string, number>")]
    pub reasons: BTreeMap<String, u64>,
}

/// Something that people should know about a transfer. `reason` is a code of the table in `docs/cli.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "code", content = "args", rename_all = "snake_case")]
pub enum Note {
    /// It was found when the files were listed, and was not offered.
    Skipped {
        /// Where it lies. Text, never markup.
        path: String,
        /// Why.
        reason: String,
    },
    /// It was offered, and could not be transferred.
    Failed {
        /// Its path in the offer. Text, never markup.
        path: String,
        /// Why.
        reason: String,
    },
    /// The receiver could not give it the name that it was offered under, or another one that was named has that name. The
    /// two differ as they are shown.
    SavedAs {
        /// Its path in the offer, escaped where it is no plain text. Text, never markup.
        path: String,
        /// Its name on the receiver's disk. Text, never markup.
        name: String,
    },
    /// It was named more than once by the same name, and is sent once.
    NamedTwice {
        /// Where it lies. Text, never markup.
        path: String,
    },
    /// Files were not sent, because the receiver had them already.
    AlreadyThere {
        /// How many.
        #[ts(type = "number")]
        count: u64,
    },
    /// Files that were replaced are in the receiver's trash.
    Trashed {
        /// How many.
        #[ts(type = "number")]
        count: u64,
    },
    /// The file that was to be replaced could not be put into the trash, and both are kept.
    NotTrashed {
        /// Path in the offer of the new one. Text, never markup.
        path: String,
    },
    /// The sender could not offer everything that was named there.
    SkippedThere {
        /// How many files and folders are missing.
        #[ts(type = "number")]
        count: u64,
    },
    /// Files may not be run as programs, because a rule accepted them and nobody was asked.
    NotExecutable {
        /// How many.
        #[ts(type = "number")]
        count: u64,
    },
    /// A sentence from the record of an earlier version, in English.
    Text {
        /// The sentence.
        text: String,
    },
}

/// Files, and the bytes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Amount {
    /// How many files.
    #[ts(type = "number")]
    pub files: u64,
    /// How many bytes in all.
    #[ts(type = "number")]
    pub bytes: u64,
}

/// Reads notes; those of earlier versions were sentences.
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
