//! Selection of an offer's entries by a person. Pure.

use super::{limits::BATCH, manifest::Manifest};
use crate::transfer::protocol::{frames::Span, index_set::IndexSet};

/// Returns the selected entries: the chosen ones, and everything beneath chosen folders; `None` selects all. Folders
/// above them are not included; they are created when something is put into them.
///
/// # Errors
/// Returns what is wrong if a chosen entry does not exist, or nothing was chosen.
pub fn select(manifest: &Manifest, only: Option<&[u32]>) -> Result<IndexSet, &'static str> {
    let Some(only) = only else { return Ok(IndexSet::all(manifest.len())) };
    let mut selected = IndexSet::none(manifest.len());
    for index in only {
        if *index >= manifest.len() {
            return Err("there is no such entry in the offer");
        }
        selected.insert(*index);
    }
    // Parents come before their children.
    for index in 0..manifest.len() {
        if manifest.get(index).and_then(|entry| entry.parent).is_some_and(|parent| selected.contains(parent)) {
            selected.insert(index);
        }
    }
    if selected.iter().next().is_none() {
        return Err("nothing was chosen");
    }
    Ok(selected)
}

/// Returns the number of selected files, and their bytes.
pub fn measure(manifest: &Manifest, selected: &IndexSet) -> (u32, u64) {
    // The sum of all sizes was checked to fit.
    selected.iter().filter_map(|index| manifest.bytes(index)).fold((0, 0), |(n, sum), size| (n + 1, sum + size))
}

/// Returns the selection as ranges, split into frames; no frames if everything is selected.
pub fn frames(selected: &IndexSet) -> Vec<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    for index in selected.iter() {
        match spans.last_mut() {
            Some(span) if span.end == index => span.end += 1,
            _ => spans.push(Span { first: index, end: index + 1 }),
        }
    }
    if matches!(spans.as_slice(), [all] if all.first == 0 && all.end == selected.len()) {
        return Vec::new();
    }
    spans.chunks(BATCH).map(<[Span]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{
            manifest::{
                ManifestBuilder,
                tests::{entry, file},
            },
            state::{FromReceiver, SenderMachine},
        },
        *,
    };
    use crate::transfer::protocol::frames::{Conflict, Decision, EntryKind, ReceiverFrame, encode};

    fn tree() -> Manifest {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "a", EntryKind::Folder)).unwrap();
        builder.push(&entry(1, "b", EntryKind::Folder)).unwrap();
        builder.push(&entry(0, "top", file(1))).unwrap();
        builder.push(&entry(2, "deep", file(10))).unwrap();
        builder.push(&entry(1, "beside", file(100))).unwrap();
        builder.finish()
    }

    #[test]
    fn a_folder_stands_for_all_beneath_it_and_nothing_for_its_parents() {
        let manifest = tree();
        let chosen = |only: &[u32]| select(&manifest, Some(only)).unwrap().iter().collect::<Vec<_>>();
        assert_eq!(chosen(&[0]), [0, 1, 3, 4]);
        assert_eq!(chosen(&[1]), [1, 3]);
        assert_eq!(chosen(&[3, 2, 3]), [2, 3]);
        assert_eq!(select(&manifest, None).unwrap(), IndexSet::all(5));
        assert_eq!(measure(&manifest, &select(&manifest, Some(&[1, 2])).unwrap()), (2, 11));
        for bad in [&[5][..], &[0, u32::MAX], &[]] {
            select(&manifest, Some(bad)).unwrap_err();
        }
    }

    #[test]
    fn a_selection_comes_out_at_the_sender_as_it_went_in() {
        let mut builder = ManifestBuilder::default();
        for n in 0..5000 {
            builder.push(&entry(0, &format!("{n}"), file(1))).unwrap();
        }
        let manifest = Arc::new(builder.finish());
        let only: Vec<u32> = (0..5000).filter(|n| n % 2 == 1).collect();
        let selected = select(&manifest, Some(&only)).unwrap();
        let mut machine = SenderMachine::again(manifest.clone());
        let accepted = Decision::Accepted { all: false, conflict: Conflict::KeepBoth };
        machine.frame(&encode(&ReceiverFrame::Decision(accepted)).unwrap()).unwrap();
        assert_eq!(frames(&selected).len(), 3);
        for spans in frames(&selected) {
            machine.frame(&encode(&ReceiverFrame::Select(spans)).unwrap()).unwrap();
        }
        match machine.frame(&encode(&ReceiverFrame::Start).unwrap()).unwrap() {
            FromReceiver::Start(plan) => assert_eq!(plan.selected, selected),
            other => panic!("{other:?}"),
        }
        assert!(frames(&IndexSet::all(5000)).is_empty());
    }
}
