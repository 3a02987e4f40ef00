//! Selection of entries when a rule or setting accepts and nobody was asked. Pure.
//!
//! Hidden names at any level, with everything beneath them, and files that start programs when opened are left out.
//! The other files lose their execute permission. So a peer cannot place files that act by themselves or out of
//! sight: an autostart entry, an `authorized_keys`, a shortcut among photos.
//!
//! They are left out and the offer is not turned into a question, because many folders contain a `.DS_Store` or a
//! `.directory`, and a rule that asks each time is of no use on a machine without a person. The sender sees how many
//! entries did not arrive, its CLI exits with status 5, and `retry` offers exactly those. If nothing would be left of
//! an offer, a person is asked.

use crate::{
    fs::{names, unsafe_names},
    transfer::{
        left_out::ReasonCounts,
        protocol::{
            index_set::IndexSet,
            manifest::{Manifest, RUN_BITS},
            reason::Reason,
        },
    },
};

/// Selection of an offer's entries.
#[derive(Clone, Debug)]
pub struct Unattended {
    /// Selected entries.
    pub selected: IndexSet,
    /// Number of other entries by reason.
    pub reasons: ReasonCounts,
    /// First of the other entries with their reasons, as examples.
    pub examples: Vec<(u32, Reason)>,
    /// Number of selected files that lose their execute permission.
    pub made_plain: u32,
}

fn objection(name: &[u8], folder: bool) -> Option<Reason> {
    // Checked as sent and as stored.
    let on_disk = names::on_disk(name, names::Platform::HERE).unwrap_or_default();
    if unsafe_names::is_hidden(name) || unsafe_names::is_hidden(&on_disk) {
        Some(Reason::HiddenName)
    } else if unsafe_names::runs(name, folder) || unsafe_names::runs(&on_disk, folder) {
        Some(Reason::RunsPrograms)
    } else {
        None
    }
}

/// Selects the entries that are accepted without a person, with at most `examples` of the others.
pub fn select(manifest: &Manifest, examples: usize) -> Unattended {
    let mut chosen = Unattended {
        selected: IndexSet::none(manifest.len()),
        reasons: ReasonCounts::default(),
        examples: Vec::new(),
        made_plain: 0,
    };
    let mut programs = IndexSet::none(manifest.len());
    for index in 0..manifest.len() {
        let Some(entry) = manifest.get(index) else { continue };
        let folder = entry.size().is_none();
        // Parents come before their children.
        let above = entry.parent.filter(|parent| !chosen.selected.contains(*parent));
        let above =
            above.map(|parent| if programs.contains(parent) { Reason::RunsPrograms } else { Reason::HiddenName });
        match above.or_else(|| objection(entry.name, folder)) {
            None => {
                chosen.selected.insert(index);
                let runs = !folder && entry.mode.is_some_and(|mode| mode & RUN_BITS != 0);
                chosen.made_plain += u32::from(runs);
            }
            Some(reason) => {
                if reason == Reason::RunsPrograms {
                    programs.insert(index);
                }
                chosen.reasons.add(&reason, 1);
                if chosen.examples.len() < examples {
                    chosen.examples.push((index, reason));
                }
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::protocol::{
        frames::{Entry, EntryKind},
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
    };

    #[test]
    fn hidden_names_are_left_out_at_every_level_with_all_beneath_them() {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "photos", EntryKind::Folder)).unwrap();
        builder.push(&entry(1, ".config", EntryKind::Folder)).unwrap();
        builder.push(&entry(2, "autostart", EntryKind::Folder)).unwrap();
        builder.push(&entry(3, "x.txt", file(1))).unwrap();
        builder.push(&entry(1, "x.desktop", file(2))).unwrap();
        builder.push(&Entry { mode: Some(0o755), ..entry(1, "run.sh", file(4)) }).unwrap();
        builder.push(&Entry { mode: Some(0o644), ..entry(1, "photo.jpg", file(8)) }).unwrap();
        builder.push(&entry(0, ".ssh", EntryKind::Folder)).unwrap();
        let manifest = builder.finish();
        let chosen = select(&manifest, 2);
        assert_eq!(chosen.selected.iter().collect::<Vec<_>>(), [0, 5, 6]);
        assert_eq!(chosen.made_plain, 1);
        let left_out = |reason| chosen.reasons.of_reason(&reason);
        assert_eq!((left_out(Reason::HiddenName), left_out(Reason::RunsPrograms)), (4, 1));
        assert_eq!(chosen.examples, [(1, Reason::HiddenName), (2, Reason::HiddenName)]);
        assert_eq!(
            (
                crate::transfer::protocol::manifest::plain_mode(0o755),
                crate::transfer::protocol::manifest::plain_mode(0o640)
            ),
            (0o644, 0o640)
        );
    }
}
