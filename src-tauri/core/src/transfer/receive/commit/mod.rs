//! Commits received files: makes them durable and gives them their final names. Blocking: runs on threads of its own.
//!
//! - `worker`: the commit worker, a task that collects verdicts and has a blocking thread commit each batch.
//! - `durability`: the order in which files become durable and get their names.
//! - `bulk_rename`, `replace`, `finish`: folders that are renamed as a whole, existing files, the end of a transfer.
//! - `dirty_dirs`: folders whose new names a power cut might still undo.
//!
//! A file gets its final name only after its verdict, when its data is durable, and a taken name is never replaced.
//! Folders are created exclusively, each beneath the handle of its parent; links are never followed or created. Must
//! not know connections or the order of frames, nor how the hashes of a file were compared: `worker` reports what it has
//! named through a [`FrameSender`](crate::transfer::protocol::control_stream::FrameSender), and knows nothing else of the peer.

pub(in crate::transfer) mod bulk_rename;
pub(in crate::transfer) mod dirty_dirs;
pub(in crate::transfer) mod durability;
pub(in crate::transfer) mod finish;
pub(in crate::transfer) mod replace;
pub(in crate::transfer) mod worker;

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
};

use cap_std::fs::Dir;

use crate::{
    api::Note as ForPeople,
    budget::Spare,
    fs::{
        names::{self, Platform},
        ops::FileStat,
    },
    transfer::{
        left_out::{NOTES, ReasonCounts},
        protocol::{
            frames::{FileReceived, Renamed},
            index_set::IndexSet,
            limits::SHOWN_ROOTS,
            manifest::Manifest,
            reason::Reason,
            state::Plan,
        },
        receive::{
            commit::{bulk_rename::BulkRename, dirty_dirs::DirtyDirs},
            staging::{
                DiskError, StagingDir, is_full,
                journal::{JournalRecord, MAX_NUMBERS},
            },
        },
    },
};

/// Most folders kept open.
const OPEN_FOLDERS: usize = 128;
/// Most numbered names tried when a name is taken.
const TRIES: u32 = 1000;

/// Returns the reason if the error concerns one file only; `None` if the whole transfer cannot go on.
fn of_this_file(error: &io::Error) -> Option<Reason> {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Some(Reason::FileTooLarge),
        _ if is_no_name(error) => Some(Reason::NameRefused),
        // Somebody has replaced a folder by a link or another file.
        io::ErrorKind::NotADirectory | io::ErrorKind::NotFound => Some(Reason::FolderChanged),
        _ if error.raw_os_error().is_some_and(is_link) => Some(Reason::FolderChanged),
        io::ErrorKind::AlreadyExists => Some(Reason::NameTaken),
        // An existing folder of another owner.
        io::ErrorKind::PermissionDenied => Some(Reason::FolderClosed),
        _ => None,
    }
}

/// Returns true if the file system cannot store the name.
fn is_no_name(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput) || is_bad_text(error)
}

#[cfg(unix)]
fn is_bad_text(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::ILSEQ.raw_os_error())
}

#[cfg(not(unix))]
fn is_bad_text(_error: &io::Error) -> bool {
    false
}

#[cfg(unix)]
fn is_link(number: i32) -> bool {
    number == rustix::io::Errno::LOOP.raw_os_error()
}

#[cfg(not(unix))]
fn is_link(_number: i32) -> bool {
    false
}

/// Commits files under their final names. Owned by one thread.
pub struct Committer {
    temp: Arc<StagingDir>,
    manifest: Arc<Manifest>,
    plan: Plan,
    platform: Platform,
    made: IndexSet,
    /// Actual names of folders whose wanted name was taken.
    renamed: HashMap<u32, Vec<u8>>,
    /// Folders that existed before and keep their modes.
    entered: HashSet<u32>,
    open: HashMap<u32, (Arc<Dir>, Spare)>,
    /// Next number to try for a taken name. Without it a thousand equal names would cost a million tries.
    next_number: HashMap<(Option<u32>, Vec<u8>), u32>,
    touched: DirtyDirs,
    dest: Arc<Dir>,
    notes: Vec<ForPeople>,
    /// Folders that could not be created.
    left_out: ReasonCounts,
    /// Entries that got other names, since the last report to the sender.
    renames: Vec<Renamed>,
    /// Names of the first top-level entries as stored.
    landed: Vec<String>,
    /// Existing files that may be replaced.
    old: HashMap<u32, FileStat>,
    /// Number of identical files that existed already.
    same: u32,
    /// Number of replaced files that went to the trash.
    replaced: u32,
    /// Files that are durable but not named yet.
    ready: Vec<u32>,
    /// Durable files that are named with their folder.
    together: BulkRename,
    /// Named files whose name may not be durable yet.
    named: Vec<FileReceived>,
    /// Files whose name is durable, or that have failed.
    settled: Vec<FileReceived>,
}

impl Committer {
    /// Creates the committer for the files of `plan`.
    pub fn new(temp: Arc<StagingDir>, manifest: Arc<Manifest>, plan: Plan, platform: Platform) -> Self {
        let dest = temp.dest.clone();
        let len = manifest.len();
        let together = BulkRename::of(&temp, &manifest, &plan);
        Self {
            temp,
            manifest,
            plan,
            platform,
            made: IndexSet::none(len),
            renamed: HashMap::new(),
            entered: HashSet::new(),
            open: HashMap::new(),
            next_number: HashMap::new(),
            touched: DirtyDirs::default(),
            dest,
            notes: Vec::new(),
            left_out: ReasonCounts::default(),
            renames: Vec::new(),
            landed: Vec::new(),
            old: HashMap::new(),
            same: 0,
            replaced: 0,
            ready: Vec::new(),
            together,
            named: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Takes over the folders of an earlier attempt, with their names.
    pub fn with_folders(mut self, folders: HashMap<u32, Vec<u8>>) -> Self {
        for (index, name) in folders {
            let Some(entry) = self.manifest.get(index) else { continue };
            let (at_top, is_renamed) = (entry.parent.is_none(), name != entry.name);
            self.made.insert(index);
            if at_top {
                self.landed(&name);
            }
            if is_renamed {
                // The attempt that created it was cut off, so the sender may not know of the name.
                self.renames.push(Renamed { entry: index, name: name.clone() });
                self.renamed.insert(index, name);
            }
        }
        self
    }

    /// Returns the folders that could not be created, by reason.
    pub fn left_out(&self) -> &ReasonCounts {
        &self.left_out
    }

    /// Returns the stored names of top-level entries, at most [`SHOWN_ROOTS`], for a file manager to select. Names
    /// that are not UTF-8 are omitted.
    pub fn stored_as(&self) -> &[String] {
        &self.landed
    }

    /// Remembers a top-level name.
    fn landed(&mut self, name: &[u8]) {
        let Ok(name) = std::str::from_utf8(name) else { return };
        if self.landed.len() < SHOWN_ROOTS && !self.landed.iter().any(|known| known == name) {
            self.landed.push(name.to_owned());
        }
    }

    fn note(&mut self, note: ForPeople) {
        if self.notes.len() < NOTES {
            self.notes.push(note);
        }
    }

    fn failed(&mut self, index: u32, reason: &Reason) {
        let (path, reason) = (self.manifest.shown(index), reason.code().to_owned());
        self.note(ForPeople::Failed { path, reason });
    }

    fn name_file(&mut self, file: u32) -> Result<(), DiskError> {
        let Some(entry) = self.manifest.get(file) else { return Ok(()) };
        let (parent, name) = (entry.parent, entry.name.to_owned());
        let is_new = parent.is_some_and(|parent| !self.made.contains(parent));
        let folder = self.folder(parent)?;
        if is_new {
            // Normal folders are created before the data of their files is made durable. This folder was meant to be
            // renamed as a whole, so its note is made durable first: after a power cut a folder must not exist
            // without the note that it is ours.
            self.temp.journal.sync()?;
        }
        self.make_room(file, &folder, &name);
        let temp = self.temp.clone();
        let (shard, from) = temp.shards.of(file, false).map_err(|error| DiskError::new("naming", error))?;
        let placed = self.place(parent, &name, false, |name| temp.ops.rename_new(&shard, &from, &folder, name))?;
        self.placed(file, parent, &name, &placed);
        self.touch(parent, folder)
    }

    /// Returns the permit to keep one more folder open. If there is none, the folders that can be reopened are closed
    /// first.
    fn spare(&mut self) -> Option<Spare> {
        self.temp.files.spare().or_else(|| {
            self.open.clear();
            self.temp.files.spare()
        })
    }

    fn touch(&mut self, index: Option<u32>, dir: Arc<Dir>) -> Result<(), DiskError> {
        if self.touched.has(index) {
            return Ok(());
        }
        let spare = self.spare();
        let added = self.touched.add(self.temp.ops.as_ref(), index, dir, spare);
        added.map_err(|error| DiskError::new("making a folder durable", error))
    }

    fn placed(&mut self, index: u32, parent: Option<u32>, name: &[u8], placed: &[u8]) {
        if parent.is_none() {
            self.landed(placed);
        }
        if placed != name {
            let path = self.manifest.shown(index);
            self.note(ForPeople::SavedAs { path, name: names::escaped(placed) });
            self.renames.push(Renamed { entry: index, name: placed.to_owned() });
        }
    }

    /// Returns the entries that got other names since the last call.
    pub fn take_renames(&mut self) -> Vec<Renamed> {
        std::mem::take(&mut self.renames)
    }

    /// Tries the wanted name and then numbered ones until `make` succeeds. If the file system cannot store the name,
    /// it is adapted by the rules for Windows, which such file systems share.
    fn place(
        &mut self,
        parent: Option<u32>,
        name: &[u8],
        folder: bool,
        mut make: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Vec<u8>, DiskError> {
        let on_disk = |platform| {
            let name = names::on_disk(name, platform);
            name.map_err(|error| DiskError::new("naming", io::Error::new(io::ErrorKind::InvalidFilename, error)))
        };
        let wanted = on_disk(self.platform)?;
        match self.place_as(parent, wanted.clone(), folder, &mut make) {
            Err(error) if is_no_name(&error.source) => {
                let other = on_disk(Platform::Windows)?;
                if other == wanted { Err(error) } else { self.place_as(parent, other, folder, &mut make) }
            }
            other => other,
        }
    }

    fn place_as(
        &mut self,
        parent: Option<u32>,
        wanted: Vec<u8>,
        folder: bool,
        make: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Vec<u8>, DiskError> {
        let key = (parent, wanted);
        let first = self.next_number.get(&key).copied().unwrap_or(1);
        for number in first..first.saturating_add(TRIES) {
            let candidate = if number == 1 { key.1.clone() } else { names::numbered(&key.1, number, folder) };
            match make(&candidate) {
                Ok(()) => {
                    if number > 1 {
                        self.next_number.insert(key, number + 1);
                    }
                    return Ok(candidate);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(DiskError::new("naming", error)),
            }
        }
        Err(DiskError::new("naming", io::ErrorKind::AlreadyExists.into()))
    }

    /// Returns the open folder of an entry, and creates it if necessary.
    fn folder(&mut self, index: Option<u32>) -> Result<Arc<Dir>, DiskError> {
        let Some(index) = index else { return Ok(self.dest.clone()) };
        if let Some((dir, _)) = self.open.get(&index) {
            return Ok(dir.clone());
        }
        let Some(entry) = self.manifest.get(index) else {
            return Err(DiskError::new("naming", io::ErrorKind::NotFound.into()));
        };
        let (parent_index, name, mode) = (entry.parent, entry.name.to_owned(), entry.mode);
        // The manifest limits the depth.
        let parent = self.folder(parent_index)?;
        let ops = self.temp.ops.clone();
        let placed = if self.made.contains(index) {
            match self.renamed.get(&index) {
                Some(renamed) => renamed.clone(),
                None => name,
            }
        } else {
            self.make_folder(index, &parent, |name| ops.create_dir(&parent, name, mode))?
        };
        let dir = Arc::new(ops.open_dir(&parent, &placed).map_err(|error| DiskError::new("opening a folder", error))?);
        if self.open.len() >= OPEN_FOLDERS {
            self.open.clear();
        }
        if let Some(spare) = self.spare() {
            self.open.insert(index, (dir.clone(), spare));
        }
        Ok(dir)
    }

    /// Creates a folder under a free name with `make`, and notes it in the journal. Returns the name.
    fn make_folder(
        &mut self,
        index: u32,
        parent: &Arc<Dir>,
        mut make: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Vec<u8>, DiskError> {
        let Some(entry) = self.manifest.get(index) else {
            return Err(DiskError::new("naming", io::ErrorKind::NotFound.into()));
        };
        let (parent_index, name) = (entry.parent, entry.name.to_owned());
        let temp = self.temp.clone();
        let placed = self.place(parent_index, &name, true, |name| {
            // Noted before and after. A kill in between leaves an empty folder of this name, which counts as ours.
            let noted = temp.journal.note(&JournalRecord::Folder { index, name: name.to_owned() }, 0);
            noted.and_then(|()| temp.journal.flush()).map_err(|error| error.source)?;
            make(name)
        })?;
        self.temp.journal.note(&JournalRecord::Made(index), 0)?;
        self.temp.journal.flush()?;
        self.placed(index, parent_index, &name, &placed);
        self.made.insert(index);
        if placed != name {
            self.renamed.insert(index, placed.clone());
        }
        self.touch(parent_index, parent.clone())?;
        Ok(placed)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
