//! Which folders of an offer are filled in hiding and get their names with all that is in them.
//!
//! Of many small files the names cost as much as the contents: one rename for a folder takes the place of one for each of
//! its files, which the system does one after the other on a whole volume. Such a folder lies in the hidden folder under its
//! number, with its files under the names that they will have. So only names qualify that every file system
//! takes for what they are, and for different ones.
//!
//! The folders are chosen once, when the transfer begins, and noted in the journal: where a file lies must not depend on
//! what has changed since.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use crate::transfer::{
    bits::Bits,
    limits::SEGMENT,
    manifest::Manifest,
    names::{Platform, on_disk},
};

/// Below that it is not worth it.
const FEWEST: u32 = 16;
/// Of larger folders people want to see something before all is there.
const MOST: u32 = 4096;
/// And of those with more bytes than that.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The folders of one transfer that are filled in hiding.
#[derive(Debug)]
pub struct Staged {
    manifest: Arc<Manifest>,
    folders: HashMap<u32, Range<u32>>,
}

impl Staged {
    /// Those of an offer for which it is worth it.
    pub fn choose(manifest: &Arc<Manifest>) -> Self {
        let mut folders = sound(manifest);
        folders.retain(|_, files| {
            let small = files.clone().map(|file| manifest.size(file).filter(|size| *size <= SEGMENT));
            small.sum::<Option<u64>>().is_some_and(|bytes| bytes <= MOST_BYTES)
        });
        Self { manifest: manifest.clone(), folders }
    }

    /// Those that were chosen earlier. None where one of them never can have been: where its files are is not known then.
    pub fn noted(manifest: &Arc<Manifest>, chosen: &Bits) -> Option<Self> {
        let count = chosen.iter().count();
        let mut folders = if count > 0 { sound(manifest) } else { HashMap::new() };
        folders.retain(|folder, _| chosen.contains(*folder));
        (folders.len() == count).then(|| Self { manifest: manifest.clone(), folders })
    }

    /// Their numbers, in order.
    pub fn folders(&self) -> Vec<u32> {
        let mut folders: Vec<u32> = self.folders.keys().copied().collect();
        folders.sort_unstable();
        folders
    }

    /// The files of one of them.
    pub fn files(&self, folder: u32) -> Option<Range<u32>> {
        self.folders.get(&folder).cloned()
    }

    /// The name that a folder gets, if that is free.
    pub fn wanted(&self, folder: u32) -> Option<Vec<u8>> {
        on_disk(self.manifest.get(folder)?.name, Platform::HERE).ok()
    }

    /// What others may do in a folder.
    pub fn mode(&self, folder: u32) -> Option<u16> {
        self.manifest.get(folder)?.mode
    }

    /// The one that a file is in.
    pub fn of(&self, file: u32) -> Option<u32> {
        let parent = self.manifest.get(file)?.parent?;
        self.folders.get(&parent)?.contains(&file).then_some(parent)
    }

    /// The name of a file in one of them.
    pub fn name(&self, file: u32) -> Option<&[u8]> {
        Some(self.manifest.get(file)?.name)
    }

    /// The files of one of them, by their names in lower case: not every file system gives them back as they were given.
    pub fn by_name(&self, folder: u32) -> HashMap<Vec<u8>, u32> {
        let files = self.files(folder).unwrap_or_default();
        files.filter_map(|file| Some((self.name(file)?.to_ascii_lowercase(), file))).collect()
    }
}

/// Folders of which all entries are files that are listed in one row, not few and not many, and have plain names.
fn sound(manifest: &Manifest) -> HashMap<u32, Range<u32>> {
    let parent = |index| manifest.get(index).and_then(|entry| entry.parent);
    let (mut found, mut seen) = (HashMap::new(), Bits::none(manifest.len()));
    let mut first = 0;
    while first < manifest.len() {
        let folder = parent(first);
        let end = (first + 1..manifest.len()).find(|index| parent(*index) != folder).unwrap_or(manifest.len());
        if let Some(folder) = folder {
            if !seen.insert(folder) {
                found.remove(&folder);
            } else if (FEWEST..=MOST).contains(&(end - first)) && all_plain(manifest, first..end) {
                found.insert(folder, first..end);
            }
        }
        first = end;
    }
    found
}

fn all_plain(manifest: &Manifest, mut entries: Range<u32>) -> bool {
    let mut seen = HashSet::new();
    entries.all(|index| {
        let Some(entry) = manifest.get(index).filter(|entry| entry.size().is_some()) else { return false };
        is_plain(entry.name) && seen.insert(entry.name.to_ascii_lowercase())
    })
}

/// Whether this is its own name everywhere. A tilde may make it the short name of another file.
fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| matches!(byte, b' '..=b'}'))
        && [Platform::Unix, Platform::Windows]
            .into_iter()
            .all(|platform| on_disk(name, platform).as_deref() == Ok(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
        wire::EntryKind,
    };

    /// Folder 0 with these files, then folder `last` with what follows.
    fn chosen(files: &[(String, u64)]) -> bool {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "folder", EntryKind::Folder)).unwrap();
        for (name, size) in files {
            builder.push(&entry(1, name, file(*size))).unwrap();
        }
        let manifest = Arc::new(builder.finish());
        let staged = Staged::choose(&manifest);
        assert_eq!(staged.of(1), staged.folders().first().copied());
        staged.folders() == [0]
    }

    fn many(count: u32, size: u64) -> Vec<(String, u64)> {
        (0..count).map(|n| (format!("{n:05} - b.txt"), size)).collect()
    }

    #[test]
    fn folders_of_many_small_files_with_plain_names_are_chosen() {
        assert!(chosen(&many(FEWEST, 1000)));
        assert!(!chosen(&many(FEWEST - 1, 1000)));
        assert!(chosen(&many(MOST, 0)) && !chosen(&many(MOST + 1, 0)));
        let with = |size| [many(16, 5), vec![("large".to_owned(), size)]].concat();
        assert!(chosen(&with(SEGMENT)) && !chosen(&with(SEGMENT + 1)));
        assert!(!chosen(&many(100, MOST_BYTES / 99)));
        for bad in ["00000 - B.TXT", "gr\u{fc}n", "SHORTE~1.TXT", "dot.", "space ", "con", "a:b", "bell\u{7}", "a\\b"] {
            let mut files = many(20, 5);
            files.push((bad.to_owned(), 5));
            assert!(!chosen(&files), "{bad:?}");
        }
    }

    #[test]
    fn a_folder_with_anything_but_files_in_one_row_is_not_chosen() {
        let mut builder = ManifestBuilder::default();
        let folders = ["good", "with a folder", "in two rows"];
        for name in folders {
            builder.push(&entry(0, name, EntryKind::Folder)).unwrap();
        }
        builder.push(&entry(2, "inner", EntryKind::Folder)).unwrap();
        for (folder, count) in [(1, 20), (2, 20), (3, 20), (0, 20), (3, 1)] {
            for n in 0..count {
                builder.push(&entry(folder, &format!("{count} {n}"), file(5))).unwrap();
            }
        }
        let manifest = Arc::new(builder.finish());
        let staged = Staged::choose(&manifest);
        assert_eq!(staged.folders(), [0]);
        assert_eq!((staged.files(0), staged.files(1), staged.files(2)), (Some(4..24), None, None));
        assert_eq!(
            (staged.of(3), staged.of(4), staged.of(23), staged.of(24), staged.of(64)),
            (None, Some(0), Some(0), None, None)
        );
        let mut noted = Bits::none(manifest.len());
        assert!(Staged::noted(&manifest, &noted).unwrap().folders().is_empty());
        noted.insert(0);
        assert_eq!(Staged::noted(&manifest, &noted).unwrap().folders(), [0]);
        noted.insert(1);
        assert!(Staged::noted(&manifest, &noted).is_none(), "a folder that cannot have been chosen");
    }
}
