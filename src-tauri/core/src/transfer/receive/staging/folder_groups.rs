//! Folders of an offer that are filled in the staging directory and renamed as a whole.
//!
//! For many small files, naming costs as much as writing: one rename of a folder replaces one rename per file, and a
//! volume performs renames one after the other. Such a folder lies in the staging directory as `folder <n>`, with its
//! files under their final names. So it qualifies only if every file system stores its names unchanged and as
//! different names.
//!
//! The folders are chosen once, when the transfer begins, and noted in the journal: where a staged file lies must not
//! depend on later changes of the manifest.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use crate::{
    fs::names::{Platform, on_disk},
    transfer::protocol::{index_set::IndexSet, limits::SEGMENT, manifest::Manifest},
};

/// Fewest files for which this pays.
const FEWEST: u32 = 16;
/// Most files: of larger folders people want to see something before all of it is there.
const MOST: u32 = 4096;
/// Most bytes, for the same reason.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Folders of one transfer that are renamed as a whole.
#[derive(Debug)]
pub struct FolderGroups {
    manifest: Arc<Manifest>,
    folders: HashMap<u32, Range<u32>>,
}

impl FolderGroups {
    /// Chooses the folders of an offer for which this pays.
    pub fn choose(manifest: &Arc<Manifest>) -> Self {
        let mut folders = sound(manifest);
        folders.retain(|_, files| {
            let small = files.clone().map(|file| manifest.size(file).filter(|size| *size <= SEGMENT));
            small.sum::<Option<u64>>().is_some_and(|bytes| bytes <= MOST_BYTES)
        });
        Self { manifest: manifest.clone(), folders }
    }

    /// Restores an earlier choice. Returns `None` if one of the folders cannot have been chosen: then it is unknown
    /// where its files lie.
    pub fn noted(manifest: &Arc<Manifest>, chosen: &IndexSet) -> Option<Self> {
        let count = chosen.iter().count();
        let mut folders = if count > 0 { sound(manifest) } else { HashMap::new() };
        folders.retain(|folder, _| chosen.contains(*folder));
        (folders.len() == count).then(|| Self { manifest: manifest.clone(), folders })
    }

    /// Returns the numbers of the folders, in order.
    pub fn folders(&self) -> Vec<u32> {
        let mut folders: Vec<u32> = self.folders.keys().copied().collect();
        folders.sort_unstable();
        folders
    }

    /// Returns the files of a chosen folder.
    pub fn files(&self, folder: u32) -> Option<Range<u32>> {
        self.folders.get(&folder).cloned()
    }

    /// Returns the name that a folder gets unless it is taken.
    pub fn wanted(&self, folder: u32) -> Option<Vec<u8>> {
        on_disk(self.manifest.get(folder)?.name, Platform::HERE).ok()
    }

    /// Returns the mode of a folder.
    pub fn mode(&self, folder: u32) -> Option<u16> {
        self.manifest.get(folder)?.mode
    }

    /// Returns the chosen folder that contains a file.
    pub fn of(&self, file: u32) -> Option<u32> {
        let parent = self.manifest.get(file)?.parent?;
        self.folders.get(&parent)?.contains(&file).then_some(parent)
    }

    /// Returns the name of a file in its folder.
    pub fn name(&self, file: u32) -> Option<&[u8]> {
        Some(self.manifest.get(file)?.name)
    }

    /// Returns the files of a folder by their names in lower case, because some file systems return names in another
    /// case.
    pub fn by_name(&self, folder: u32) -> HashMap<Vec<u8>, u32> {
        let files = self.files(folder).unwrap_or_default();
        files.filter_map(|file| Some((self.name(file)?.to_ascii_lowercase(), file))).collect()
    }
}

/// Returns the folders that contain only files, consecutive in the manifest, between [`FEWEST`] and [`MOST`] of them,
/// with plain names.
fn sound(manifest: &Manifest) -> HashMap<u32, Range<u32>> {
    let parent = |index| manifest.get(index).and_then(|entry| entry.parent);
    let (mut found, mut seen) = (HashMap::new(), IndexSet::none(manifest.len()));
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

/// Returns true if every file system stores the name unchanged. Tildes are excluded: the name may be another file's
/// short name.
fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| matches!(byte, b' '..=b'}'))
        && [Platform::Unix, Platform::Windows]
            .into_iter()
            .all(|platform| on_disk(name, platform).as_deref() == Ok(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::protocol::{
        frames::EntryKind,
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
    };

    /// Returns true if a folder with these files is chosen.
    fn chosen(files: &[(String, u64)]) -> bool {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "folder", EntryKind::Folder)).unwrap();
        for (name, size) in files {
            builder.push(&entry(1, name, file(*size))).unwrap();
        }
        let manifest = Arc::new(builder.finish());
        let staged = FolderGroups::choose(&manifest);
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
        let staged = FolderGroups::choose(&manifest);
        assert_eq!(staged.folders(), [0]);
        assert_eq!((staged.files(0), staged.files(1), staged.files(2)), (Some(4..24), None, None));
        assert_eq!(
            (staged.of(3), staged.of(4), staged.of(23), staged.of(24), staged.of(64)),
            (None, Some(0), Some(0), None, None)
        );
        let mut noted = IndexSet::none(manifest.len());
        assert!(FolderGroups::noted(&manifest, &noted).unwrap().folders().is_empty());
        noted.insert(0);
        assert_eq!(FolderGroups::noted(&manifest, &noted).unwrap().folders(), [0]);
        noted.insert(1);
        assert!(FolderGroups::noted(&manifest, &noted).is_none(), "a folder that cannot have been chosen");
    }
}
