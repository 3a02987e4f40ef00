//! Comparison with existing files at the destination, for the rules that skip identical files or replace old ones.
//! Blocking.
//!
//! Existing folders of the offer are reused. If a regular file of the same length has an entry's place, it is read
//! and hashed by segments; the hashes are claimed like those of an earlier attempt. Only files that existed before
//! this transfer may be replaced: two names of an offer may be equal, or equal on this file system.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cap_std::fs::Dir;

use super::journal::JournalRecord;
use crate::{
    api::ConflictRule,
    budget::{FileShare, Spare, unless_short},
    fs::{
        names::{self, Platform},
        ops::{FileOps, FileStat},
    },
    transfer::{
        protocol::{
            hash_tree::{Held, segments},
            index_set::IndexSet,
            limits::{BATCH, CHUNK},
            manifest::Manifest,
            state::Plan,
        },
        receive::staging::{DiskError, StagingDir, recovery::Unrecoverable},
        segments::hash::hash_of,
    },
};

/// Most folders kept open.
const OPEN_FOLDERS: usize = 128;

/// Result of the comparison.
#[derive(Debug, Default)]
pub struct Existing {
    /// Existing folders to use, with their names.
    pub folders: HashMap<u32, Vec<u8>>,
    /// Existing files of the same length, with their hashes.
    pub same: HashMap<u32, (FileStat, Held)>,
    /// Empty files that exist and are empty.
    pub empty: Vec<u32>,
    /// Existing files that may be replaced.
    pub old: HashMap<u32, FileStat>,
}

/// Everything that receiving starts with.
pub struct Ready {
    /// The staging directory.
    pub temp: Arc<StagingDir>,
    /// Plan: what is received, and what is held already.
    pub plan: Plan,
    /// Existing folders, with their names.
    pub folders: HashMap<u32, Vec<u8>>,
    /// Existing files that may be replaced.
    pub old: HashMap<u32, FileStat>,
    /// Number of identical empty files.
    pub same: u32,
    /// Folders that existed before this transfer.
    pub entered: HashSet<u32>,
    /// Rule for names that are taken.
    pub rule: ConflictRule,
    /// Bytes of the files that have been named.
    pub landed: u64,
}

impl Ready {
    /// Creates it without a comparison.
    pub fn new(temp: Arc<StagingDir>, plan: Plan, folders: HashMap<u32, Vec<u8>>) -> Self {
        let (old, entered) = (HashMap::new(), HashSet::new());
        Self { temp, plan, folders, old, same: 0, entered, rule: ConflictRule::KeepBoth, landed: 0 }
    }

    /// Compares existing files, if the rule asks for it.
    ///
    /// # Errors
    /// Returns an error if it was cancelled, or the result cannot be noted.
    pub fn looked(
        mut self,
        ops: &dyn FileOps,
        manifest: &Manifest,
        rule: ConflictRule,
        stop: &AtomicBool,
    ) -> Result<Self, Unrecoverable> {
        self.rule = rule;
        if rule == ConflictRule::KeepBoth {
            return Ok(self);
        }
        let found = ConflictScan::new(ops, &self.temp, manifest, &self.plan, &self.folders, stop).look(rule)?;
        self.entered = found.folders.keys().copied().collect();
        self.folders.extend(found.folders);
        for files in found.empty.chunks(BATCH) {
            // Noted like named files: no data of them is sent, now or in a later attempt.
            self.temp.journal().note(&JournalRecord::Naming(files.to_vec()), 0)?;
        }
        self.temp.journal().flush()?;
        found.empty.iter().for_each(|file| {
            self.plan.whole.insert(*file);
        });
        self.same = u32::try_from(found.empty.len()).unwrap_or(u32::MAX);
        let mut seen = HashMap::with_capacity(found.same.len());
        for (file, (standing, held)) in found.same {
            seen.insert(file, standing);
            self.plan.held.insert(file, held);
        }
        self.temp.found_same(seen);
        self.old = found.old;
        Ok(self)
    }
}

/// Folder, name, and the file's identity.
type ExistingFile = (Arc<Dir>, Vec<u8>, FileStat);

/// Returns `None` if something does not exist or is not accessible, and an error if no descriptor is free.
fn there<T>(looked: io::Result<T>) -> Result<Option<T>, Unrecoverable> {
    unless_short(looked).map_err(|error| Unrecoverable::Disk(DiskError::new("looking at what is there", error)))
}

struct ConflictScan<'a> {
    ops: &'a dyn FileOps,
    manifest: &'a Manifest,
    plan: &'a Plan,
    stop: &'a AtomicBool,
    /// Existing folders, with their names.
    names: HashMap<u32, Vec<u8>>,
    open: HashMap<u32, (Arc<Dir>, Spare)>,
    files: FileShare,
    top: Arc<Dir>,
    found: Existing,
}

impl<'a> ConflictScan<'a> {
    fn new(
        ops: &'a dyn FileOps,
        temp: &StagingDir,
        manifest: &'a Manifest,
        plan: &'a Plan,
        made: &HashMap<u32, Vec<u8>>,
        stop: &'a AtomicBool,
    ) -> Self {
        let (top, files) = (temp.dest().clone(), temp.files().clone());
        let (names, open, found) = (made.clone(), HashMap::new(), Existing::default());
        Self { ops, manifest, plan, stop, names, open, files, top, found }
    }

    fn look(mut self, rule: ConflictRule) -> Result<Existing, Unrecoverable> {
        self.folders()?;
        let ours = self.ours()?;
        for file in 0..self.manifest.len() {
            self.go_on()?;
            if self.plan.wants(self.manifest, file) && !self.plan.held.contains_key(&file) {
                self.file(file, &ours, rule)?;
            }
        }
        Ok(self.found)
    }

    fn go_on(&self) -> Result<(), Unrecoverable> {
        if self.stop.load(Ordering::Relaxed) { Err(Unrecoverable::Stopped) } else { Ok(()) }
    }

    /// Finds the folders of the offer that exist. Each is used for one entry only: if two entries would be the same
    /// folder, the second is created under another name.
    fn folders(&mut self) -> Result<(), Unrecoverable> {
        let mut taken = HashSet::new();
        let made: Vec<u32> = self.names.keys().copied().collect();
        for index in made {
            let dir = self.folder(Some(index))?;
            taken.extend(dir.and_then(|dir| FileStat::of_dir(&dir).ok()?.place()));
        }
        let needed = self.needed();
        for index in needed.iter() {
            self.go_on()?;
            let Some(entry) = self.manifest.get(index).filter(|entry| entry.size().is_none()) else { continue };
            if self.names.contains_key(&index) {
                continue;
            }
            let Ok(name) = names::on_disk(entry.name, Platform::HERE) else { continue };
            let Some(parent) = self.folder(entry.parent)? else { continue };
            let Some(dir) = there(self.ops.open_dir(&parent, &name))? else { continue };
            let place = FileStat::of_dir(&dir).ok().and_then(|standing| standing.place());
            if place.is_none_or(|place| taken.insert(place)) {
                self.names.insert(index, name.clone());
                self.found.folders.insert(index, name);
            }
        }
        Ok(())
    }

    /// Returns the selected entries and the folders above them.
    fn needed(&self) -> IndexSet {
        let mut needed = self.plan.selected.clone();
        for index in (0..self.manifest.len()).rev().filter(|index| self.plan.selected.contains(*index)) {
            let mut above = self.manifest.get(index).and_then(|entry| entry.parent);
            while let Some(parent) = above.filter(|parent| needed.insert(*parent)) {
                above = self.manifest.get(parent).and_then(|entry| entry.parent);
            }
        }
        needed
    }

    /// Returns the identities of files at the places of named files of this transfer. A file that was there before
    /// may be among them, and is then not replaced either.
    fn ours(&mut self) -> Result<HashSet<(u64, u64)>, Unrecoverable> {
        let mut ours = HashSet::new();
        for file in self.plan.whole.iter() {
            self.go_on()?;
            ours.extend(self.standing(file)?.and_then(|(_, _, standing)| standing.place()));
        }
        Ok(ours)
    }

    fn file(&mut self, file: u32, ours: &HashSet<(u64, u64)>, rule: ConflictRule) -> Result<(), Unrecoverable> {
        let Some((folder, name, standing)) = self.standing(file)? else { return Ok(()) };
        let Some(size) = self.manifest.size(file).filter(|_| standing.regular) else { return Ok(()) };
        if standing.place().is_some_and(|place| ours.contains(&place)) {
            return Ok(());
        }
        // The length of a growing file is unknown, so no file is identical to it.
        let grows = self.manifest.is_growing();
        if standing.size == size && size == 0 && !grows {
            self.found.empty.push(file);
            return Ok(());
        }
        if standing.size == size
            && !grows
            && let Some(open) = there(self.ops.open_read(&folder, &name))?
            && let Some(held) = self.hashes(&open, &standing)?
        {
            self.found.same.insert(file, (standing, held));
        }
        if rule == ConflictRule::Replace {
            self.found.old.insert(file, standing);
        }
        Ok(())
    }

    /// Hashes a file. Returns `None` if it changes meanwhile or cannot be read.
    fn hashes(&self, file: &File, standing: &FileStat) -> Result<Option<Held>, Unrecoverable> {
        let unchanged = || FileStat::of_file(file).is_ok_and(|now| now == *standing);
        if !unchanged() {
            return Ok(None);
        }
        let mut held = Held::default();
        let mut buffer = vec![0; CHUNK.min(u32::try_from(standing.size).unwrap_or(CHUNK)) as usize];
        for segment in 0..segments(standing.size) {
            self.go_on()?;
            let Ok(segment) = u32::try_from(segment) else { return Ok(None) };
            let Some(hash) = hash_of(file, standing.size, segment, &mut buffer) else { return Ok(None) };
            held.insert(segment, hash);
        }
        Ok(unchanged().then_some(held))
    }

    /// Returns the existing file at a file's destination.
    fn standing(&mut self, file: u32) -> Result<Option<ExistingFile>, Unrecoverable> {
        let Some(entry) = self.manifest.get(file) else { return Ok(None) };
        let Some(folder) = self.folder(entry.parent)? else { return Ok(None) };
        let Ok(name) = names::on_disk(entry.name, Platform::HERE) else { return Ok(None) };
        let standing = there(self.ops.stat(&folder, &name))?;
        Ok(standing.map(|standing| (folder, name, standing)))
    }

    /// Opens an existing folder.
    fn folder(&mut self, index: Option<u32>) -> Result<Option<Arc<Dir>>, Unrecoverable> {
        let Some(index) = index else { return Ok(Some(self.top.clone())) };
        if let Some((dir, _)) = self.open.get(&index) {
            return Ok(Some(dir.clone()));
        }
        let Some(name) = self.names.get(&index).cloned() else { return Ok(None) };
        let Some(entry) = self.manifest.get(index) else { return Ok(None) };
        // The manifest limits the depth.
        let Some(parent) = self.folder(entry.parent)? else { return Ok(None) };
        let Some(dir) = there(self.ops.open_dir(&parent, &name))? else { return Ok(None) };
        let dir = Arc::new(dir);
        if self.open.len() >= OPEN_FOLDERS {
            self.open.clear();
        }
        let spare = self.files.spare().or_else(|| {
            self.open.clear();
            self.files.spare()
        });
        if let Some(spare) = spare {
            self.open.insert(index, (dir.clone(), spare));
        }
        Ok(Some(dir))
    }
}

impl From<ConflictRule> for crate::transfer::protocol::frames::Conflict {
    fn from(rule: ConflictRule) -> Self {
        match rule {
            ConflictRule::KeepBoth => Self::KeepBoth,
            ConflictRule::Skip => Self::Skip,
            ConflictRule::Replace => Self::Replace,
        }
    }
}
