//! Entries that a transfer leaves out, counted by reason code. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use super::error::{explain, reason};
use crate::api::{Amount, ApiError, Note, TransferView};

/// Most notes of a transfer. They are examples; the counts are complete.
pub const NOTES: usize = 100;
/// Most codes that are counted separately, because some come from the peer.
const CODES: usize = 32;
/// Code that further codes are counted under.
const OTHER: &str = "other";
/// Code of entries that the receiver did not select.
pub const NOT_TAKEN: &str = "not_taken";
/// Code of entries that the sender could not offer.
pub const SKIPPED_THERE: &str = "skipped_there";
/// Codes of entries that the receiver left out because nobody was asked: see [`crate::transfer::receive::unattended`].
pub const UNATTENDED: [&str; 2] =
    [crate::transfer::receive::unattended::HIDDEN, crate::transfer::receive::unattended::RUNS];
/// Code of a transfer that is done but left something out.
pub const INCOMPLETE: &str = "incomplete";

/// Number of left-out entries by reason code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonCounts(BTreeMap<String, u64>);

impl ReasonCounts {
    /// Restores counts from a record.
    pub fn of(counts: &BTreeMap<String, u64>) -> Self {
        let mut reasons = Self::default();
        counts.iter().for_each(|(code, count)| reasons.add(code, *count));
        reasons
    }

    /// Adds `count` entries for a reason.
    pub fn add(&mut self, code: &str, count: u64) {
        if count == 0 {
            return;
        }
        let code = if self.0.len() < CODES || self.0.contains_key(code) { code } else { OTHER };
        let counted = self.0.entry(code.to_owned()).or_default();
        *counted = counted.saturating_add(count);
    }

    /// Returns the sum of both.
    pub fn and(&self, others: &Self) -> Self {
        let mut all = self.clone();
        others.0.iter().for_each(|(code, count)| all.add(code, *count));
        all
    }

    /// Returns the number of left-out entries.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Returns the counts by code.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.0
    }

    /// Writes the counts into the view of a transfer.
    pub fn show(&self, view: &mut TransferView) {
        view.skipped = self.total();
        view.reasons.clone_from(&self.0);
    }

    /// Returns the reason why a finished transfer is incomplete; `None` if it is complete. If only a part was
    /// selected, `offered` is the offered amount and `taken` the number of selected files.
    pub fn incomplete(&self, taken: u64, offered: Option<Amount>) -> Option<ApiError> {
        if self.0.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        if let Some(offered) = offered {
            parts.push(format!("{taken} of {} files taken", offered.files));
        }
        let others = self.0.iter().filter(|(code, _)| code.as_str() != NOT_TAKEN);
        parts.extend(others.map(|(code, count)| format!("{count} left out: {}", explain(code))));
        Some(ApiError { message: parts.join("; "), ..reason(INCOMPLETE) })
    }
}

/// Named files and folders that cannot be offered.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// Counts by reason.
    pub reasons: ReasonCounts,
    /// Examples.
    pub notes: Vec<Note>,
    /// Paths of all of them.
    pub paths: Vec<PathBuf>,
}

impl LeftOut {
    /// Leaves out `path` for a reason.
    pub fn add(&mut self, path: PathBuf, code: &str) {
        self.reasons.add(code, 1);
        if self.notes.len() < NOTES {
            let path = crate::fs::names::escaped_path(&path);
            self.notes.push(Note::Skipped { path, reason: code.to_owned() });
        }
        self.paths.push(path);
    }
}

/// Adds notes that are not in the list yet, up to [`NOTES`].
pub fn add_notes(notes: &mut Vec<Note>, more: impl IntoIterator<Item = Note>) {
    for note in more {
        if notes.len() < NOTES && !notes.contains(&note) {
            notes.push(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_complete_and_notes_are_examples() {
        let mut left = LeftOut::default();
        for n in 0..1000 {
            left.add(format!("/a/{n}").into(), if n % 2 == 0 { "file_unreadable" } else { "link_outside" });
        }
        assert_eq!((left.reasons.total(), left.notes.len(), left.paths.len()), (1000, NOTES, 1000));
        assert_eq!(left.reasons.counts()["file_unreadable"], 500);
    }

    #[test]
    fn codes_of_a_peer_do_not_grow_without_end() {
        let mut reasons = ReasonCounts::default();
        (0..10_000).for_each(|n| reasons.add(&format!("code_{n}"), 1));
        assert_eq!((reasons.counts().len(), reasons.total()), (CODES + 1, 10_000));
        assert_eq!(reasons.and(&reasons).total(), 20_000);
    }

    #[test]
    fn a_part_is_told_as_one() {
        let mut reasons = ReasonCounts::default();
        assert_eq!(reasons.incomplete(6, None), None);
        reasons.add(NOT_TAKEN, 5);
        let why = reasons.incomplete(1, Some(Amount { files: 6, bytes: 60 })).unwrap();
        assert_eq!((why.code.as_str(), why.message.as_str()), (INCOMPLETE, "1 of 6 files taken"));
        reasons.add("file_unreadable", 2);
        let why = reasons.incomplete(1, Some(Amount { files: 6, bytes: 60 })).unwrap();
        assert_eq!(why.message, "1 of 6 files taken; 2 left out: it may not be read");
    }
}
