//! Preview of an offer's entries, for the person who answers it.
//!
//! Uses the manifest that is in memory for the offer. Folder sums are computed on first use, and a page is found by
//! scanning the manifest: a few milliseconds for a million entries.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use super::{TransferError, view_size};
use crate::{
    api::{OfferEntry, OfferPage},
    clock::Locked as _,
    fs::{names, unsafe_names},
    id::TransferId,
    transfer::protocol::manifest::Manifest,
};

/// Most entries in one answer.
const PAGE: u32 = 1000;

/// Offers that wait for an answer.
#[derive(Clone, Default)]
pub(super) struct Previews(Arc<Mutex<HashMap<TransferId, Arc<Preview>>>>);

/// Guard of a preview, which is removed when this is dropped.
pub(super) struct Shown {
    previews: Previews,
    id: TransferId,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.previews.0.locked().remove(&self.id);
    }
}

impl Previews {
    /// Makes an offer browsable until the returned guard is dropped.
    pub(super) fn show(&self, id: TransferId, manifest: Arc<Manifest>) -> Shown {
        let preview = Arc::new(Preview { manifest, sums: OnceLock::new() });
        self.0.locked().insert(id, preview);
        Shown { previews: self.clone(), id }
    }

    /// Returns the preview of an offer that waits for an answer.
    pub(super) fn of(&self, id: TransferId) -> Option<Arc<Preview>> {
        self.0.locked().get(&id).cloned()
    }
}

/// Preview of one offer.
pub(super) struct Preview {
    manifest: Arc<Manifest>,
    sums: OnceLock<Sums>,
}

/// Number of files and bytes beneath each folder.
struct Sums(HashMap<u32, (u32, u64)>);

impl Sums {
    fn new(manifest: &Manifest) -> Self {
        let mut folders = HashMap::new();
        // Children come after their parents, so in reverse order each folder is complete before it is added to its
        // parent.
        for index in (0..manifest.len()).rev() {
            let Some(entry) = manifest.get(index) else { continue };
            let (files, bytes) = match entry.bytes() {
                Some(size) => (1, size),
                None => folders.get(&index).copied().unwrap_or_default(),
            };
            if let Some(parent) = entry.parent {
                let above: &mut (u32, u64) = folders.entry(parent).or_default();
                // The sum of all sizes was checked to fit.
                *above = (above.0 + files, above.1 + bytes);
            }
        }
        Self(folders)
    }
}

impl Preview {
    /// Returns entries of a folder of the offer, at most 1000. Scans the whole manifest.
    ///
    /// # Errors
    /// Returns an error if there is no such folder.
    pub(super) fn page(&self, parent: Option<u32>, skip: u32, limit: u32) -> Result<OfferPage, TransferError> {
        let manifest = &self.manifest;
        let is_folder = |index| manifest.get(index).is_some_and(|entry| entry.size().is_none());
        if parent.is_some_and(|parent| !is_folder(parent)) {
            return Err(TransferError::Selection("there is no such folder in the offer"));
        }
        let sums = self.sums.get_or_init(|| Sums::new(manifest));
        let (from, to) = (skip, skip.saturating_add(limit.clamp(1, PAGE)));
        let mut page = OfferPage { entries: Vec::new(), total: 0 };
        for index in 0..manifest.len() {
            let Some(entry) = manifest.get(index).filter(|entry| entry.parent == parent) else { continue };
            if (from..to).contains(&page.total) {
                let beneath = || sums.0.get(&index).copied().unwrap_or_default();
                let (files, size) = entry.bytes().map_or_else(beneath, |size| (1, size));
                let mut name = names::escaped(entry.name);
                // A thousand of the longest names fit into one answer.
                view_size::shorten(&mut name);
                let folder = entry.size().is_none();
                let (hidden, runs) = (unsafe_names::is_hidden(entry.name), unsafe_names::runs(entry.name, folder));
                let mtime = entry.mtime.secs;
                page.entries.push(OfferEntry { index, name, folder, size, files, mtime, hidden, runs });
            }
            page.total += 1;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::protocol::{
        frames::EntryKind,
        limits::MAX_ENTRIES,
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
    };

    fn preview(builder: ManifestBuilder) -> Preview {
        Preview { manifest: Arc::new(builder.finish()), sums: OnceLock::new() }
    }

    #[test]
    fn folders_are_summed_and_names_are_escaped() {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "a", EntryKind::Folder)).unwrap();
        builder.push(&entry(1, "b\u{202e}", EntryKind::Folder)).unwrap();
        builder.push(&entry(0, "top", file(1))).unwrap();
        builder.push(&entry(2, "deep", file(10))).unwrap();
        builder.push(&entry(1, "beside", file(100))).unwrap();
        let preview = preview(builder);
        let shown = |parent, skip, limit| {
            let page = preview.page(parent, skip, limit).unwrap();
            let entries = page.entries.into_iter().map(|e| (e.index, e.name, e.folder, e.files, e.size));
            (entries.collect::<Vec<_>>(), page.total)
        };
        assert_eq!(shown(None, 0, 1000), (vec![(0, "a".into(), true, 2, 110), (2, "top".into(), false, 1, 1)], 2));
        let inner = vec![(1, "b\\u{202e}".into(), true, 1, 10), (4, "beside".into(), false, 1, 100)];
        assert_eq!(shown(Some(0), 0, 1000), (inner.clone(), 2));
        assert_eq!(shown(Some(0), 1, 1), (inner[1..].to_vec(), 2));
        assert_eq!(shown(Some(0), 7, u32::MAX), (vec![], 2));
        for bad in [2, 5, u32::MAX] {
            let error = preview.page(Some(bad), 0, 10).unwrap_err();
            assert_eq!(crate::error::RoomError::code(&error), "selection_invalid");
        }
    }

    #[test]
    fn a_million_entries_are_looked_into_at_once() {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "d", EntryKind::Folder)).unwrap();
        for n in 1..MAX_ENTRIES {
            builder.push(&entry(1, &format!("{n}"), file(1))).unwrap();
        }
        let preview = preview(builder);
        let begun = std::time::Instant::now();
        let top = preview.page(None, 0, 1).unwrap();
        assert_eq!((top.entries[0].files, top.entries[0].size), (MAX_ENTRIES - 1, u64::from(MAX_ENTRIES) - 1));
        let first = begun.elapsed();
        let page = preview.page(Some(0), MAX_ENTRIES - 10, u32::MAX).unwrap();
        assert_eq!((page.entries.len(), page.total), (9, MAX_ENTRIES - 1));
        assert_eq!(preview.page(Some(0), 0, u32::MAX).unwrap().entries.len(), 1000);
        println!("FIGURE a million entries: first look {first:.1?}, three looks {:.1?}", begun.elapsed());
        // A generous limit, which a quadratic algorithm would exceed by far.
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    }
}
