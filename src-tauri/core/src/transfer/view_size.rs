//! Bounds the size of views, whatever names a peer sends. Pure.
//!
//! A view is part of every event, list and record. Its counts are complete; its names are examples, as many as fit.

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::{
    api::{Note, TransferView},
    id::DeviceId,
};

/// Most bytes of a view as JSON.
pub const MAX_VIEW: usize = 16 * 1024;
/// Most bytes of the top-level names of an offer, and of the names under which they were stored.
const NAMES: usize = 2560;
/// Most bytes of the notes.
const NOTES: usize = 5 * 1024;
/// Longest name or path in bytes; of longer ones the middle is left out.
const ONE: usize = 600;
/// JSON overhead of a string in bytes (`NOTE`: of a note).
const STRING: usize = 3;
const NOTE: usize = 64;

/// Keeps as many names and notes as fit. Stored names, which people open files by, are never shortened but left out.
pub fn bound(view: &mut TransferView) {
    view.roots.iter_mut().for_each(shorten);
    keep(&mut view.roots, NAMES, |name| STRING + in_json(name));
    keep(&mut view.landed, NAMES, |name| STRING + in_json(name));
    view.notes.iter_mut().flat_map(texts_mut).for_each(shorten);
    keep(&mut view.notes, NOTES, |note| NOTE + texts(note).map(in_json).sum::<usize>());
}

fn keep<T>(list: &mut Vec<T>, most: usize, size: impl Fn(&T) -> usize) {
    let mut left = most;
    let fits = list.iter().take_while(|item| {
        let size = size(item);
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    let count = fits.count();
    list.truncate(count);
}

/// Returns the bytes of a text in JSON.
fn in_json(text: impl AsRef<str>) -> usize {
    let of = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    };
    text.as_ref().chars().map(of).sum()
}

/// Shortens a long text to its beginning and its end, which shows the kind of file.
pub fn shorten(text: &mut String) {
    if text.len() <= ONE {
        return;
    }
    const HALF: usize = ONE / 2 - 2;
    let head = text.floor_char_boundary(HALF);
    let tail = text.ceil_char_boundary(text.len() - HALF);
    *text = format!("{}\u{2026}{}", &text[..head], &text[tail..]);
}

/// Returns the texts of a note that a peer may have chosen, by shared or mutable reference.
macro_rules! texts_of {
    ($note:expr) => {
        match $note {
            Note::Skipped { path, reason } | Note::Failed { path, reason } => (Some(path), Some(reason)),
            Note::SavedAs { path, name } => (Some(path), Some(name)),
            Note::NamedTwice { path } | Note::NotTrashed { path } => (Some(path), None),
            Note::Text { text } => (Some(text), None),
            Note::AlreadyThere { .. }
            | Note::Trashed { .. }
            | Note::SkippedThere { .. }
            | Note::NotExecutable { .. } => (None, None),
        }
    };
}

fn texts(note: &Note) -> impl Iterator<Item = &str> {
    let (one, two) = texts_of!(note);
    one.into_iter().chain(two).map(String::as_str)
}

fn texts_mut(note: &mut Note) -> impl Iterator<Item = &mut String> {
    let (one, two) = texts_of!(note);
    one.into_iter().chain(two)
}

/// Returns an upper estimate of a view's bytes as JSON.
pub fn size(view: &TransferView) -> usize {
    const NUMBERS: usize = 1024;
    let texts_of = |list: &[String]| list.iter().map(|text| STRING + in_json(text)).sum::<usize>();
    let notes: usize = view.notes.iter().map(|note| NOTE + texts(note).map(in_json).sum::<usize>()).sum();
    let reason = view.reason.as_ref().map_or(0, |why| in_json(&why.code) + in_json(&why.message) + in_json(&why.hint));
    let reasons: usize = view.reasons.keys().map(|code| in_json(code) + 24).sum();
    let own = in_json(&view.device_name) + view.into.as_deref().map_or(0, in_json);
    NUMBERS + texts_of(&view.roots) + texts_of(&view.landed) + notes + reason + reasons + own
}

/// Most bytes of the views in one answer or snapshot.
pub const MAX_LIST: usize = 512 * 1024;

/// Returns the first views that fit into one answer; at least one.
pub fn page(mut views: Vec<TransferView>) -> Vec<TransferView> {
    let mut left = MAX_LIST;
    let fits = views.iter().take_while(|view| {
        let size = size(view);
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    let count = fits.count().max(1);
    views.truncate(count);
    views
}

/// Returns as many views as fit into one answer, in their order: equally many of each device, active ones first.
pub fn fair(views: Vec<TransferView>) -> Vec<TransferView> {
    let sizes: Vec<usize> = views.iter().map(size).collect();
    let mut left = MAX_LIST;
    if sizes.iter().sum::<usize>() <= left {
        return views;
    }
    let mut queues = BTreeMap::<DeviceId, VecDeque<usize>>::new();
    for ended in [false, true] {
        for (index, view) in views.iter().enumerate().filter(|(_, view)| view.state.is_final() == ended) {
            queues.entry(view.device).or_default().push_back(index);
        }
    }
    let mut kept = HashSet::new();
    while !queues.is_empty() {
        queues.retain(|_, queue| match queue.pop_front().filter(|index| sizes[*index] <= left) {
            Some(index) => {
                left -= sizes[index];
                kept.insert(index)
            }
            None => false,
        });
    }
    views.into_iter().enumerate().filter(|(index, _)| kept.contains(index)).map(|(_, view)| view).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::TransferState;

    fn view() -> TransferView {
        serde_json::from_value(serde_json::json!({
            "id": "01234567-89ab-4def-8123-456789abcdef", "direction": "receive",
            "device": "11234567-89ab-8def-8123-456789abcdef", "device_name": "n".repeat(64), "state": "failed",
            "reason": {"code": "c".repeat(32), "message": "m".repeat(300), "hint": "h".repeat(300)},
            "roots": [], "root_count": 2, "files": u64::MAX, "files_done": u64::MAX, "bytes": u64::MAX,
            "total": u64::MAX, "rate": 0.1, "eta": 0.1, "started": u64::MAX, "seconds": 0.1, "notes": [],
            "into": "i".repeat(255), "reasons": (0..33).map(|n| (format!("{n:032}"), u64::MAX)).collect::<std::collections::BTreeMap<_, _>>(),
        }))
        .unwrap()
    }

    #[test]
    fn a_view_of_the_longest_names_fits_and_shows_their_ends() {
        let mut view = view();
        let path = format!("{}.txt", "\\".repeat(4096));
        view.roots = vec![path.clone(); 20];
        view.landed = vec!["\u{e9}".repeat(127); 20];
        view.notes = vec![Note::SavedAs { path: path.clone(), name: path }; 100];
        bound(&mut view);
        let json = serde_json::to_vec(&view).unwrap().len();
        assert!(json <= MAX_VIEW && json <= size(&view), "{json}");
        assert!(!view.roots.is_empty() && view.roots[0].ends_with(".txt") && view.roots[0].contains('\u{2026}'));
        assert!(view.landed.len() > 5 && view.landed[0] == "\u{e9}".repeat(127), "what is opened by its name is whole");
        assert!(!view.notes.is_empty());
    }

    #[test]
    fn what_people_usually_send_is_shown_whole() {
        let mut before = view();
        before.roots = (0..20).map(|n| format!("Holiday in the mountains {n}.jpg")).collect();
        before.landed.clone_from(&before.roots);
        let path = |n| format!("Holiday/mountains/{n}.jpg");
        before.notes = (0..40).map(|n| Note::Failed { path: path(n), reason: "source_changed".into() }).collect();
        let mut after = before.clone();
        bound(&mut after);
        assert_eq!(after, before);
    }

    #[test]
    fn one_device_does_not_crowd_out_the_others() {
        let of = |device: u8, n: usize, state| {
            let mut view = view();
            (view.device, view.state) = (DeviceId::from_bytes([device; 16]), state);
            view.notes = (0..60).map(|at| Note::Text { text: format!("{n} {at} {}", "x".repeat(50)) }).collect();
            bound(&mut view);
            view
        };
        let mut views: Vec<_> = (0..300).map(|n| of(1, n, TransferState::Done)).collect();
        views.extend((0..300).map(|n| of(2, n, TransferState::Failed)));
        views.push(of(3, 0, TransferState::Done));
        views.push(of(1, 300, TransferState::Active));
        let kept = fair(views.clone());
        let count = |device: u8| kept.iter().filter(|view| view.device == DeviceId::from_bytes([device; 16])).count();
        assert!(serde_json::to_vec(&kept).unwrap().len() <= MAX_LIST + kept.len());
        assert_eq!(count(3), 1);
        assert!(count(1).abs_diff(count(2)) <= 1 && count(1) > 20);
        assert_eq!(kept.last(), views.last(), "what is under way comes first");
        // All pages together contain every view.
        let (mut all, mut left) = (Vec::new(), views.clone());
        while !left.is_empty() {
            let some = page(left.clone());
            left.drain(..some.len());
            all.extend(some);
        }
        assert_eq!(all, views);
    }

    proptest! {
        #[test]
        fn no_view_is_longer_than_it_may_be(
            names in proptest::collection::vec("\\PC{0,300}|[\\x00-\\x7f]{0,600}|(\\\\|\"|\n){0,900}", 0..20),
            paths in proptest::collection::vec("\\PC{0,300}|(\\\\|\u{1}){0,2000}", 0..100),
        ) {
            let mut view = view();
            view.roots.clone_from(&names);
            view.landed = names;
            view.notes = paths.into_iter().map(|path| Note::Failed { path, reason: "x".repeat(32) }).collect();
            bound(&mut view);
            let json = serde_json::to_vec(&view).unwrap().len();
            prop_assert!(json <= MAX_VIEW && json <= size(&view), "{}", json);
            let once = view.clone();
            bound(&mut view);
            prop_assert_eq!(view, once);
        }
    }
}
