//! Staging of received files. Blocking: runs on threads of its own.
//!
//! Unfinished files lie in the staging directory, a hidden folder beside their destination on the same volume. They
//! are named by their numbers (`shards`); a folder that is renamed as a whole (`folder_groups`) holds its files under
//! their later names, inside the staging directory. The `journal` notes what is there, and the manifest lies beside it (`listing`). `recovery` checks
//! all of it before a transfer is resumed. `conflicts` compares the offer with files that exist at the destination.
//!
//! Every step goes through [`FileOps`]. Must not know the network or the order of frames. It moves no file to its
//! destination: `receive::commit` does.

pub(in crate::transfer) mod conflicts;
pub(in crate::transfer) mod folder_groups;
pub(in crate::transfer) mod journal;
pub(in crate::transfer) mod listing;
pub(in crate::transfer) mod recovery;
pub(in crate::transfer) mod shards;

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use cap_std::fs::Dir;

pub(in crate::transfer) use crate::transfer::disk_error::{DiskError, is_full};
pub(in crate::transfer) use crate::transfer::receive::staging::folder_groups::FolderGroups;
pub(in crate::transfer) use crate::transfer::receive::staging::shards::{files_in, is_renamed};
use crate::{
    budget::{FileShare, Spare, with_descriptor},
    clock::Locked as _,
    fs::{
        names::TEMP_PREFIX,
        ops::{FileOps, FileStat, PRIVATE_DIR, PRIVATE_FILE, SYNCS_VOLUMES},
    },
    id::TransferId,
    transfer::{
        protocol::{limits::MAX_STREAMS, manifest::Manifest},
        receive::staging::{
            journal::{Journal, JournalRecord, MAX_NUMBERS},
            shards::Shards,
        },
    },
};

/// File name of the disk reserve, which is removed when the disk is full.
const RESERVE: &[u8] = b"reserve";
/// Length of the disk reserve in bytes: enough for the journal notes of five thousand segments.
const RESERVE_BYTES: usize = 256 * 1024;
/// Descriptors that an incoming transfer needs at least: its two folders, its journal, and a file for each stream.
pub const DESCRIPTORS: usize = 3 + MAX_STREAMS as usize;
/// Most files kept open between their segments.
const OPEN_FILES: usize = 64;

/// Returns the name of a transfer's staging directory.
pub fn temp_name(id: &TransferId) -> String {
    format!("{TEMP_PREFIX}{id}")
}

/// Staging directory of one transfer, shared by all threads that write to it.
pub struct StagingDir {
    pub(in crate::transfer) ops: Arc<dyn FileOps>,
    pub(in crate::transfer) dest: Arc<Dir>,
    pub(in crate::transfer) dir: Arc<Dir>,
    pub(in crate::transfer) shards: Shards,
    pub(in crate::transfer) name: String,
    /// Share of the descriptors.
    pub(in crate::transfer) files: FileShare,
    pub(in crate::transfer) open: Mutex<HashMap<u32, (Arc<File>, Spare)>>,
    pub(in crate::transfer) journal: Journal,
    /// Existing files at the destination that are identical if the sender confirms their hashes.
    pub(in crate::transfer) same: Mutex<HashMap<u32, FileStat>>,
}

impl StagingDir {
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
                let (shards, files) = (Shards::new(ops.clone(), dir.clone()), FileShare::alone());
                let (open, same) = (Mutex::default(), Mutex::default());
                Ok(Self { ops, dest, dir, shards, name, files, open, journal, same })
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
        let staged = FolderGroups::choose(manifest);
        if staged.folders().is_empty() {
            return Ok(());
        }
        for folders in staged.folders().chunks(MAX_NUMBERS) {
            self.journal.note(&JournalRecord::FolderGroups(folders.to_vec()), 0)?;
        }
        self.journal.flush()?;
        self.shards.stage(staged);
        Ok(())
    }

    /// Reopens the staging directory of an earlier attempt. Its journal continues at byte `at`.
    ///
    /// # Errors
    /// Returns an error if the journal cannot be written to.
    pub(in crate::transfer) fn going_on(
        ops: Arc<dyn FileOps>,
        dest: Dir,
        dir: Dir,
        id: &TransferId,
        staged: FolderGroups,
        at: u64,
    ) -> Result<Self, DiskError> {
        let opening = |error| DiskError::new("opening a file", error);
        let file = ops.open_file(&dir, journal::NAME).map_err(opening)?;
        // Remains of a record that a kill cut off must not follow new records.
        file.set_len(at).map_err(opening)?;
        let journal = Journal::going_on(ops.clone(), file, at);
        let (name, open, same) = (temp_name(id), Mutex::default(), Mutex::default());
        let (dest, dir) = (Arc::new(dest), Arc::new(dir));
        let (shards, files) = (Shards::new(ops.clone(), dir.clone()), FileShare::alone());
        shards.stage(staged);
        Ok(Self { ops, dest, dir, shards, name, files, open, journal, same })
    }

    /// Limits the open files and folders to this share, which must have room for [`DESCRIPTORS`].
    #[must_use]
    pub fn sharing(mut self, files: FileShare) -> Self {
        self.shards = self.shards.sharing(files.clone());
        self.files = files;
        self
    }

    /// Returns the destination folder.
    pub(in crate::transfer) fn dest(&self) -> &Arc<Dir> {
        &self.dest
    }

    /// Returns the share of the descriptors.
    pub(in crate::transfer) fn files(&self) -> &FileShare {
        &self.files
    }

    /// Sets the existing files that are identical if the sender confirms it.
    pub(in crate::transfer) fn found_same(&self, files: HashMap<u32, FileStat>) {
        *self.same.locked() = files;
    }

    pub(in crate::transfer) fn same(&self, file: u32) -> Option<FileStat> {
        self.same.locked().get(&file).copied()
    }

    /// Allocates the disk reserve. It is given up when the disk is full, so that received data can still be
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

    /// Frees the disk reserve.
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
        self.journal.note(&JournalRecord::Fresh { file, size, mtime: entry.mtime }, 0)?;
        self.journal.flush()?;
        self.same.locked().remove(&file);
        self.forget(file);
        self.discard(file)
    }

    /// Removes the staged data of a file.
    pub(in crate::transfer) fn discard(&self, file: u32) -> Result<(), DiskError> {
        match self.remove_unfinished(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new("removing a file", error)),
            _ => Ok(()),
        }
    }

    pub(in crate::transfer) fn remove_unfinished(&self, file: u32) -> io::Result<()> {
        let (shard, name) = self.shards.of(file, false)?;
        self.ops.remove_file(&shard, &name)
    }

    /// Opens a staged file for reading.
    pub(in crate::transfer) fn open_read(&self, file: u32) -> io::Result<File> {
        let (shard, name) = self.shards.of(file, false)?;
        self.ops.open_read(&shard, &name)
    }

    pub(in crate::transfer) fn open(&self) -> MutexGuard<'_, HashMap<u32, (Arc<File>, Spare)>> {
        self.open.locked()
    }

    /// Creates a staged file of one segment for writing.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn create_file(&self, manifest: &Manifest, file: u32) -> Result<File, DiskError> {
        let place = self.shards.of(file, true);
        let (shard, name) = place.map_err(|error| DiskError::new("creating a folder", error))?;
        let mode = manifest.mode(file);
        let made = match self.ops.create_file(&shard, &name, mode) {
            // Left by an earlier attempt that was cut off; it was never noted as complete.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.discard(file)?;
                self.ops.create_file(&shard, &name, mode)
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
        let place = self.shards.of(file, true);
        let (shard, name) = place.map_err(|error| DiskError::new("creating a folder", error))?;
        let made = match self.ops.create_file(&shard, &name, manifest.mode(file)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.ops.open_file(&shard, &name),
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
    pub fn set_metadata(&self, manifest: &Manifest, file: u32, target: &File) -> Result<(), DiskError> {
        let Some(entry) = manifest.get(file) else { return Ok(()) };
        let set = self.ops.set_meta(target, entry.mtime, entry.mode);
        set.map_err(|error| DiskError::new("setting a file's time", error))
    }

    pub(in crate::transfer) fn forget(&self, file: u32) -> Option<Arc<File>> {
        self.open().remove(&file).map(|(file, _)| file)
    }

    /// Removes the staging directory and everything unfinished.
    pub fn remove(&self) {
        self.open().clear();
        clear(self.ops.as_ref(), (&self.dest, &self.dir), &self.name, self.shards.staged());
    }
}

/// Empties and removes a staging directory. Files of others stay, and so does the directory then. If `staged` is
/// `None`, every file in a `folder <n>` directory counts as ours.
fn clear(ops: &dyn FileOps, (dest, dir): (&Dir, &Dir), name: &str, staged: Option<&FolderGroups>) {
    if let Err(error) = crate::transfer::receive::staging::shards::clear(ops, dir, staged) {
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
    let known = [journal::NAME, crate::transfer::receive::staging::listing::NAME, RESERVE];
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
