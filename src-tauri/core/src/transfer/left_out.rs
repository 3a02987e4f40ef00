//! Entries that a transfer leaves out, counted by reason. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    api::{Amount, Note, TransferView},
    transfer::protocol::reason::{Cause, Reason},
};

/// Most notes of a transfer. They are examples; the counts are complete.
pub const NOTES: usize = 100;
/// Most reasons that are counted separately, because some come from the peer. Further ones count as `other`.
const SEPARATE: usize = 32;
/// Reasons that are not the receiver's failure: the sender could not offer the entry, or nobody was asked about it (see
/// [`crate::transfer::receive::unattended`]).
pub const NOT_WANTED: [Reason; 3] = [Reason::HiddenName, Reason::RunsPrograms, Reason::SkippedThere];

/// Returns the number of entries that a view shows as left out for this reason.
pub fn shown_count(view: &TransferView, reason: &Reason) -> u64 {
    view.reasons.get(reason.code()).copied().unwrap_or(0)
}

/// Number of left-out entries by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonCounts(BTreeMap<Reason, u64>);

impl ReasonCounts {
    /// Restores counts by code, from a record or a view.
    pub fn of(counts: &BTreeMap<String, u64>) -> Self {
        let mut reasons = Self::default();
        counts.iter().for_each(|(code, count)| reasons.add(&Reason::from_code(code), *count));
        reasons
    }

    /// Adds `count` entries for a reason.
    pub fn add(&mut self, reason: &Reason, count: u64) {
        if count == 0 {
            return;
        }
        let is_separate = self.0.len() < SEPARATE || self.0.contains_key(reason);
        let counted = self.0.entry(if is_separate { reason.clone() } else { Reason::Other }).or_default();
        *counted = counted.saturating_add(count);
    }

    /// Returns the sum of both.
    pub fn and(&self, others: &Self) -> Self {
        let mut all = self.clone();
        others.0.iter().for_each(|(reason, count)| all.add(reason, *count));
        all
    }

    /// Returns the number of left-out entries.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Returns the number of entries left out for this reason.
    pub fn of_reason(&self, reason: &Reason) -> u64 {
        self.0.get(reason).copied().unwrap_or(0)
    }

    /// Returns the counts by code, for a record or a view.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(reason, count)| (reason.code().to_owned(), *count)).collect()
    }

    /// Writes the counts into the view of a transfer.
    pub fn show(&self, view: &mut TransferView) {
        view.skipped = self.total();
        view.reasons = self.counts();
    }

    /// Returns the reason why a finished transfer is incomplete; `None` if it is complete. If only a part was
    /// selected, `offered` is the offered amount and `taken` the number of selected files.
    pub fn incomplete(&self, taken: u64, offered: Option<Amount>) -> Option<Cause> {
        if self.0.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        if let Some(offered) = offered {
            parts.push(format!("{taken} of {} files taken", offered.files));
        }
        let others = self.0.iter().filter(|(reason, _)| **reason != Reason::NotTaken);
        parts.extend(others.map(|(reason, count)| format!("{count} left out: {}", reason.explain())));
        Some(Cause { message: parts.join("; "), ..Reason::Incomplete.into() })
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
    pub fn add(&mut self, path: PathBuf, reason: &Reason) {
        self.reasons.add(reason, 1);
        if self.notes.len() < NOTES {
            let path = crate::fs::names::escaped_path(&path);
            self.notes.push(Note::Skipped { path, reason: reason.code().to_owned() });
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
            left.add(format!("/a/{n}").into(), if n % 2 == 0 { &Reason::FileUnreadable } else { &Reason::LinkOutside });
        }
        assert_eq!((left.reasons.total(), left.notes.len(), left.paths.len()), (1000, NOTES, 1000));
        assert_eq!(left.reasons.of_reason(&Reason::FileUnreadable), 500);
        assert_eq!(left.reasons.counts()["file_unreadable"], 500);
    }

    #[test]
    fn codes_of_a_peer_do_not_grow_without_end() {
        let mut reasons = ReasonCounts::default();
        (0..10_000).for_each(|n| reasons.add(&Reason::from_code(&format!("code_{n}")), 1));
        assert_eq!((reasons.counts().len(), reasons.total()), (SEPARATE + 1, 10_000));
        assert_eq!(reasons.and(&reasons).total(), 20_000);
    }

    #[test]
    fn a_part_is_told_as_one() {
        let mut reasons = ReasonCounts::default();
        assert_eq!(reasons.incomplete(6, None), None);
        reasons.add(&Reason::NotTaken, 5);
        let why = reasons.incomplete(1, Some(Amount { files: 6, bytes: 60 })).unwrap();
        assert_eq!((why.reason, why.message.as_str()), (Reason::Incomplete, "1 of 6 files taken"));
        reasons.add(&Reason::FileUnreadable, 2);
        let why = reasons.incomplete(1, Some(Amount { files: 6, bytes: 60 })).unwrap();
        assert_eq!(why.message, "1 of 6 files taken; 2 left out: it may not be read");
    }
}
