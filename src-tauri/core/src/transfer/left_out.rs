//! Entries that a transfer leaves out: what of them is shown. They are counted in `yonder-proto`.

use std::{collections::BTreeMap, path::PathBuf};

pub use yonder_proto::transfer::left_out::{NOT_WANTED, ReasonCounts, ShowsLeftOut};

use crate::{
    api::{Note, TransferView},
    transfer::protocol::reason::Reason,
};

/// Most notes of a transfer. They are examples; the counts are complete.
pub const NOTES: usize = 100;

/// Returns the number of entries that a view shows as left out for this reason.
pub fn shown_count(view: &TransferView, reason: &Reason) -> u64 {
    view.reasons.get(reason.code()).copied().unwrap_or(0)
}

impl ShowsLeftOut for TransferView {
    fn show_left_out(&mut self, total: u64, by_code: BTreeMap<String, u64>) {
        (self.skipped, self.reasons) = (total, by_code);
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
}
