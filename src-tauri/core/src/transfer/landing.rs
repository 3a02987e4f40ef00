//! Staging and naming of received files. Blocking: runs on threads of its own.
//!
//! Unfinished files lie in the staging directory, a hidden folder beside their destination on the same volume. They
//! are named by their numbers; folders that are renamed as a whole (`staged`) hold their files under plain names. A
//! file gets its final name only after its verdict, when its data is durable, and a taken name is never replaced.
//! Folders are created exclusively, each beneath the handle of its parent; links are never followed or created.

mod durable;
mod finishing;
pub(super) mod list;
mod replacing;
mod shelves;
mod staged;
mod together;
mod touched;

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use cap_std::fs::Dir;

use shelves::Shelves;
pub(super) use shelves::{files_in, is_unveiled};
pub(super) use staged::Staged;
use together::Together;
use touched::Touched;

use super::{
    bits::Bits,
    files::{FileOps, PRIVATE_DIR, PRIVATE_FILE, SYNCS_VOLUMES, Standing},
    journal::{self, Journal, Note},
    left_out::{NOTES, Reasons},
    limits::{MAX_STREAMS, SHOWN_ROOTS},
    manifest::Manifest,
    names::{self, Platform, TEMP_PREFIX},
    state::Plan,
    wire::{Code, FileReceived, Renamed},
};
use crate::{
    api::Note as ForPeople,
    budget::{FileShare, Spare, with_descriptor},
    clock::Locked as _,
    error::is_out_of_files,
    id::TransferId,
};

/// Name of the reserve file, which is removed when the disk is full.
const RESERVE: &[u8] = b"reserve";
/// Length of the reserve in bytes: enough for the journal notes of five thousand segments.
const RESERVE_BYTES: usize = 256 * 1024;
/// Descriptors that an incoming transfer needs at least: its two folders, its journal, and a file for each stream.
pub const DESCRIPTORS: usize = 3 + MAX_STREAMS as usize;
/// Most files kept open between their segments.
const OPEN_FILES: usize = 64;
/// Most folders kept open.
const OPEN_FOLDERS: usize = 128;
/// Most numbers of files or folders in one journal note.
const AT_ONCE: usize = 4096;
/// Most numbered names tried when a name is taken.
const TRIES: u32 = 1000;

/// File system error that stops the whole transfer.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct DiskError {
    /// Step that failed.
    pub doing: &'static str,
    /// Error of the system.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// Creates an error for a failed step.
    pub fn new(doing: &'static str, source: io::Error) -> Self {
        Self { doing, source }
    }

    /// Returns the reason code that the people on both sides see.
    pub fn code(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::FileTooLarge => "file_too_large",
            _ if is_full(&self.source) => "disk_full",
            _ if is_out_of_files(&self.source) => "receiver_out_of_files",
            _ => "write_failed",
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns the reason code if the error concerns one file only; `None` if the whole transfer cannot go on.
fn of_this_file(error: &io::Error) -> Option<Code> {
    let code = match error.kind() {
        io::ErrorKind::FileTooLarge => "file_too_large",
        _ if is_no_name(error) => "name_refused",
        // Somebody has replaced a folder by a link or another file.
        io::ErrorKind::NotADirectory | io::ErrorKind::NotFound => "folder_changed",
        _ if error.raw_os_error().is_some_and(is_link) => "folder_changed",
        io::ErrorKind::AlreadyExists => "name_taken",
        // An existing folder of another owner.
        io::ErrorKind::PermissionDenied => "folder_closed",
        _ => return None,
    };
    Some(Code::new(code))
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

/// Returns the name of a transfer's staging directory.
pub fn temp_name(id: &TransferId) -> String {
    format!("{TEMP_PREFIX}{id}")
}

/// Staging directory of one transfer, shared by all threads that write to it.
pub struct Temp {
    ops: Arc<dyn FileOps>,
    dest: Arc<Dir>,
    dir: Arc<Dir>,
    shelves: Shelves,
    name: String,
    /// Share of the descriptors.
    files: FileShare,
    open: Mutex<HashMap<u32, (Arc<File>, Spare)>>,
    journal: Journal,
    /// Existing files at the destination that are identical if the sender confirms their hashes.
    same: Mutex<HashMap<u32, Standing>>,
}

impl Temp {
    /// Creates the staging directory in the destination folder. The transfer must be on record by then, so that a
    /// later start can clean up.
    ///
    /// # Errors
    /// Returns an error if the folder does not exist or cannot be written to.
    pub fn create(ops: Arc<dyn FileOps>, dest: &Path, id: &TransferId) -> Result<Self, DiskError> {
        let dest = ops.open_root(dest).map_err(|error| DiskError::new("opening the folder", error))?;
        let name = temp_name(id);
        let made = ops.create_dir(&dest, name.as_bytes(), Some(PRIVATE_DIR));
        made.map_err(|error| DiskError::new("creating a folder", error))?;
        let dir = match ops.open_dir(&dest, name.as_bytes()) {
            Ok(dir) => dir,
            Err(error) => {
                // A retry must not find this directory in the way.
                let _ = ops.remove_dir(&dest, name.as_bytes());
                return Err(DiskError::new("opening a folder", error));
            }
        };
        match ops.create_file(&dir, journal::NAME, Some(PRIVATE_FILE)) {
            Ok(file) => {
                let journal = Journal::new(ops.clone(), file);
                let (dest, dir) = (Arc::new(dest), Arc::new(dir));
                let (shelves, files) = (Shelves::new(ops.clone(), dir.clone()), FileShare::alone());
                let (open, same) = (Mutex::default(), Mutex::default());
                Ok(Self { ops, dest, dir, shelves, name, files, open, journal, same })
            }
            Err(error) => {
                clear(ops.as_ref(), (&dest, &dir), &name, None);
                Err(DiskError::new("creating a file", error))
            }
        }
    }

    /// Chooses the folders that are renamed as a whole, before the first file comes.
    ///
    /// # Errors
    /// Returns an error if the choice cannot be noted in the journal.
    pub fn stage(&self, manifest: &Arc<Manifest>) -> Result<(), DiskError> {
        // Renaming whole folders pays only with volume-wide syncs.
        if !SYNCS_VOLUMES {
            return Ok(());
        }
        let staged = Staged::choose(manifest);
        if staged.folders().is_empty() {
            return Ok(());
        }
        for folders in staged.folders().chunks(AT_ONCE) {
            self.journal.note(&Note::Staged(folders.to_vec()), 0)?;
        }
        self.journal.flush()?;
        self.shelves.stage(staged);
        Ok(())
    }

    /// Reopens the staging directory of an earlier attempt. Its journal continues at byte `at`.
    ///
    /// # Errors
    /// Returns an error if the journal cannot be written to.
    pub(super) fn going_on(
        ops: Arc<dyn FileOps>,
        dest: Dir,
        dir: Dir,
        id: &TransferId,
        staged: Staged,
        at: u64,
    ) -> Result<Self, DiskError> {
        let opening = |error| DiskError::new("opening a file", error);
        let file = ops.open_file(&dir, journal::NAME).map_err(opening)?;
        // Remains of a record that a kill cut off must not follow new records.
        file.set_len(at).map_err(opening)?;
        let journal = Journal::going_on(ops.clone(), file, at);
        let (name, open, same) = (temp_name(id), Mutex::default(), Mutex::default());
        let (dest, dir) = (Arc::new(dest), Arc::new(dir));
        let (shelves, files) = (Shelves::new(ops.clone(), dir.clone()), FileShare::alone());
        shelves.stage(staged);
        Ok(Self { ops, dest, dir, shelves, name, files, open, journal, same })
    }

    /// Limits the open files and folders to this share, which must have room for [`DESCRIPTORS`].
    #[must_use]
    pub fn sharing(mut self, files: FileShare) -> Self {
        self.shelves = self.shelves.sharing(files.clone());
        self.files = files;
        self
    }

    /// Returns the destination folder.
    pub(super) fn dest(&self) -> &Arc<Dir> {
        &self.dest
    }

    /// Returns the share of the descriptors.
    pub(super) fn files(&self) -> &FileShare {
        &self.files
    }

    /// Sets the existing files that are identical if the sender confirms it.
    pub(super) fn found_same(&self, files: HashMap<u32, Standing>) {
        *self.same.locked() = files;
    }

    fn same(&self, file: u32) -> Option<Standing> {
        self.same.locked().get(&file).copied()
    }

    /// Allocates a reserve on the disk. It is given up when the disk is full, so that received data can still be
    /// noted.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn keep_reserve(&self) -> Result<(), DiskError> {
        let failed = |error| DiskError::new("keeping a reserve", error);
        match self.ops.create_file(&self.dir, RESERVE, Some(PRIVATE_FILE)) {
            Ok(file) => match self.ops.write_at(&file, &[1; RESERVE_BYTES], 0) {
                // A process limit allows only such small files.
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(()),
                other => other.map_err(failed),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Frees the reserve.
    pub fn give_up_reserve(&self) {
        if let Err(error) = self.ops.remove_file(&self.dir, RESERVE) {
            tracing::debug!(%error, "there was no reserve on the disk");
        }
    }

    /// Returns the journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Discards the staged data of a file that is received from the start.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn start_anew(&self, manifest: &Manifest, file: u32) -> Result<(), DiskError> {
        let Some((entry, size)) = manifest.get(file).and_then(|entry| Some((entry, entry.size()?))) else {
            return Ok(());
        };
        // Noted first: earlier notes must not count for the new data.
        self.journal.note(&Note::Fresh { file, size, mtime: entry.mtime }, 0)?;
        self.journal.flush()?;
        self.same.locked().remove(&file);
        self.forget(file);
        self.discard(file)
    }

    /// Removes the staged data of a file.
    pub(super) fn discard(&self, file: u32) -> Result<(), DiskError> {
        match self.remove_unfinished(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new("removing a file", error)),
            _ => Ok(()),
        }
    }

    fn remove_unfinished(&self, file: u32) -> io::Result<()> {
        let (shelf, name) = self.shelves.of(file, false)?;
        self.ops.remove_file(&shelf, &name)
    }

    /// Opens a staged file for reading.
    pub(super) fn open_read(&self, file: u32) -> io::Result<File> {
        let (shelf, name) = self.shelves.of(file, false)?;
        self.ops.open_read(&shelf, &name)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u32, (Arc<File>, Spare)>> {
        self.open.locked()
    }

    /// Creates a staged file of one segment for writing.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn create_file(&self, manifest: &Manifest, file: u32) -> Result<File, DiskError> {
        let place = self.shelves.of(file, true);
        let (shelf, name) = place.map_err(|error| DiskError::new("creating a folder", error))?;
        let mode = mode_of(manifest, file);
        let made = match self.ops.create_file(&shelf, &name, mode) {
            // Left by an earlier attempt that was cut off; it was never noted as complete.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.discard(file)?;
                self.ops.create_file(&shelf, &name, mode)
            }
            other => other,
        };
        made.map_err(|error| DiskError::new("creating a file", error))
    }

    /// Opens a staged file of several segments for writing. It is kept open between them.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn shared(&self, manifest: &Manifest, file: u32) -> Result<Arc<File>, DiskError> {
        let mut open = self.open();
        if let Some((file, _)) = open.get(&file) {
            return Ok(file.clone());
        }
        let place = self.shelves.of(file, true);
        let (shelf, name) = place.map_err(|error| DiskError::new("creating a folder", error))?;
        let made = match self.ops.create_file(&shelf, &name, mode_of(manifest, file)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.ops.open_file(&shelf, &name),
            other => other,
        };
        let made = Arc::new(made.map_err(|error| DiskError::new("creating a file", error))?);
        if open.len() >= OPEN_FILES {
            // Writers keep their own handle; the file is opened again for its next segment.
            open.clear();
        }
        let spare = self.files.spare().or_else(|| {
            open.clear();
            self.files.spare()
        });
        if let Some(spare) = spare {
            open.insert(file, (made.clone(), spare));
        }
        Ok(made)
    }

    /// Writes bytes at an offset of a file.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn write(&self, target: &File, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.ops.write_at(target, bytes, offset).map_err(|error| DiskError::new("writing", error))
    }

    /// Zeroes a range of a file: an earlier attempt may have left data there.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn clear(&self, target: &File, offset: u64, len: u32) -> Result<(), DiskError> {
        self.ops.clear(target, offset, len.into()).map_err(|error| DiskError::new("writing", error))
    }

    /// Sets the length of a file whose end is a hole.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn set_len(&self, target: &File, len: u64) -> Result<(), DiskError> {
        self.ops.set_len(target, len).map_err(|error| DiskError::new("writing", error))
    }

    /// Sets the modification time and mode of a complete file.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn dress(&self, manifest: &Manifest, file: u32, target: &File) -> Result<(), DiskError> {
        let Some(entry) = manifest.get(file) else { return Ok(()) };
        let set = self.ops.set_meta(target, entry.mtime, entry.mode);
        set.map_err(|error| DiskError::new("setting a file's time", error))
    }

    fn forget(&self, file: u32) -> Option<Arc<File>> {
        self.open().remove(&file).map(|(file, _)| file)
    }

    /// Removes the staging directory and everything unfinished.
    pub fn remove(&self) {
        self.open().clear();
        clear(self.ops.as_ref(), (&self.dest, &self.dir), &self.name, self.shelves.staged());
    }
}

fn mode_of(manifest: &Manifest, index: u32) -> Option<u16> {
    manifest.get(index).and_then(|entry| entry.mode)
}

/// Empties and removes a staging directory. Files of others stay, and so does the directory then. If `staged` is
/// `None`, every file in a `folder <n>` directory counts as ours.
fn clear(ops: &dyn FileOps, (dest, dir): (&Dir, &Dir), name: &str, staged: Option<&Staged>) {
    if let Err(error) = shelves::clear(ops, dir, staged) {
        tracing::debug!(%error, "unfinished files stay");
    }
    let entries = match with_descriptor(|| dir.entries()) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(%error, "unfinished files cannot be listed");
            return;
        }
    };
    for entry in entries.flatten() {
        // Our names are numbers and a few known ones; other files are not ours to remove.
        if let Some(name) = entry.file_name().to_str().filter(|name| is_ours(name))
            && let Err(error) = ops.remove_file(dir, name.as_bytes())
        {
            tracing::debug!(%error, "an unfinished file stays");
        }
    }
    if let Err(error) = ops.remove_dir(dest, name.as_bytes()) {
        tracing::warn!(%error, "the folder of unfinished files stays");
    }
}

fn is_ours(name: &str) -> bool {
    let known = [journal::NAME, list::NAME, RESERVE];
    known.contains(&name.as_bytes()) || name.bytes().all(|b| b.is_ascii_digit())
}

/// Removes the staging directory that an earlier run of this node left in a folder.
pub fn clean_up(ops: &dyn FileOps, dest: &Path, id: &TransferId) {
    let name = temp_name(id);
    let Ok(dest) = ops.open_root(dest) else { return };
    match ops.open_dir(&dest, name.as_bytes()) {
        Ok(dir) => clear(ops, (&dest, &dir), &name, None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "the folder of unfinished files cannot be opened"),
    }
}

/// Commits files under their final names. Owned by one thread.
pub struct Placing {
    temp: Arc<Temp>,
    manifest: Arc<Manifest>,
    plan: Plan,
    platform: Platform,
    made: Bits,
    /// Actual names of folders whose wanted name was taken.
    renamed: HashMap<u32, Vec<u8>>,
    /// Folders that existed before and keep their modes.
    entered: HashSet<u32>,
    open: HashMap<u32, (Arc<Dir>, Spare)>,
    /// Next number to try for a taken name. Without it a thousand equal names would cost a million tries.
    next_number: HashMap<(Option<u32>, Vec<u8>), u32>,
    touched: Touched,
    dest: Arc<Dir>,
    notes: Vec<ForPeople>,
    /// Folders that could not be created.
    left_out: Reasons,
    /// Entries that got other names, since the last report to the sender.
    renames: Vec<Renamed>,
    /// Names of the first top-level entries as stored.
    landed: Vec<String>,
    /// Existing files that may be replaced.
    old: HashMap<u32, Standing>,
    /// Number of identical files that existed already.
    same: u32,
    /// Number of replaced files that went to the trash.
    replaced: u32,
    /// Files that are durable but not named yet.
    ready: Vec<u32>,
    /// Durable files that are named with their folder.
    together: Together,
    /// Named files whose name may not be durable yet.
    named: Vec<FileReceived>,
    /// Files whose name is durable, or that have failed.
    settled: Vec<FileReceived>,
}

impl Placing {
    /// Creates the committer for the files of `plan`.
    pub fn new(temp: Arc<Temp>, manifest: Arc<Manifest>, plan: Plan, platform: Platform) -> Self {
        let dest = temp.dest.clone();
        let len = manifest.len();
        let together = Together::of(&temp, &manifest, &plan);
        Self {
            temp,
            manifest,
            plan,
            platform,
            made: Bits::none(len),
            renamed: HashMap::new(),
            entered: HashSet::new(),
            open: HashMap::new(),
            next_number: HashMap::new(),
            touched: Touched::default(),
            dest,
            notes: Vec::new(),
            left_out: Reasons::default(),
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

    /// Returns the folders that could not be created, by reason code.
    pub fn left_out(&self) -> &Reasons {
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

    fn failed(&mut self, index: u32, code: &Code) {
        let (path, reason) = (self.manifest.shown(index), code.as_str().to_owned());
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
        let (shelf, from) = temp.shelves.of(file, false).map_err(|error| DiskError::new("naming", error))?;
        let placed = self.place(parent, &name, false, |name| temp.ops.rename_new(&shelf, &from, &folder, name))?;
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
            let noted = temp.journal.note(&Note::Folder { index, name: name.to_owned() }, 0);
            noted.and_then(|()| temp.journal.flush()).map_err(|error| error.source)?;
            make(name)
        })?;
        self.temp.journal.note(&Note::Made(index), 0)?;
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
#[path = "landing_tests.rs"]
mod tests;
