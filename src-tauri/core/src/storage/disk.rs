//! The file underneath: how it is opened, made, and kept to one process.

use std::{
    fs::{self, File, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

use redb::{Builder, Database, DatabaseError, backends::FileBackend};

use super::StorageError;
use crate::datadir::{self, For};

/// Makes a database of an open file. Tests put a failing disk in between.
pub(super) trait OpenDatabase: Fn(File) -> Result<Database, DatabaseError> + Send + Sync + 'static {}
impl<T: Fn(File) -> Result<Database, DatabaseError> + Send + Sync + 'static> OpenDatabase for T {}

/// The settings that every database is opened with.
pub(super) fn builder() -> Builder {
    let mut builder = Database::builder();
    // The store is small; the default of 1 GiB is not for us.
    builder.set_cache_size(8 * 1024 * 1024);
    // A damaged file is an error, not a panic later on.
    builder.set_check_integrity_on_open(true);
    builder
}

/// On the real disk.
pub(super) fn open_database(file: File) -> Result<Database, DatabaseError> {
    builder().create_with_backend(FileBackend::new(file)?)
}

/// Calls into the database. It panics on some kinds of damage, which is an error to us like any other.
pub(super) fn guarded<T>(path: &Path, call: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(StorageError::Corrupt { path: path.into(), reason: "the database gave up on it".into() })
    })
}

/// Opens a file for the owner alone; `new`: there may be none yet.
pub(super) fn open_file(path: &Path, new: bool) -> Result<File, StorageError> {
    let purpose = if new { For::NewBoth } else { For::Both };
    let file = datadir::open(path, purpose).map_err(|error| StorageError::io(path, error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(|error| StorageError::io(path, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "others could read this file; taking the right away");
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|error| StorageError::io(path, error))?;
        }
    }
    Ok(file)
}

/// Gives a finished file its name, and flushes the folder.
pub(super) fn put_in_place(from: &Path, to: &Path) -> Result<(), StorageError> {
    datadir::rename(from, to).map_err(|error| StorageError::io(to, error))
}

/// Removes what a killed run left; that there is nothing is fine.
pub(super) fn remove_leftover(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StorageError::io(path, error)),
        _ => Ok(()),
    }
}

/// How often, and how long apart, a lock is tried that somebody holds.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);

/// Held as long as the store is open. The database locks its file too, but not while it is being created or reopened.
pub(super) struct DirLock(File);

impl DirLock {
    pub(super) fn take(data_dir: &Path) -> Result<Self, StorageError> {
        let path: PathBuf = data_dir.join("secrets.lock");
        let file = datadir::open(&path, For::Locking).map_err(|error| StorageError::io(&path, error))?;
        for _ in 0..LOOKS {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                // Somebody may only be looking whether it is held.
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
                Err(TryLockError::Error(error)) => return Err(StorageError::io(&path, error)),
            }
        }
        Err(StorageError::AlreadyRunning)
    }

    /// True while a node holds this data directory, be it starting or ending. Holds nothing itself.
    pub(super) fn is_held(data_dir: &Path) -> bool {
        let Ok(file) = datadir::open(&data_dir.join("secrets.lock"), For::Reading) else { return false };
        match file.try_lock_shared() {
            Ok(()) => {
                let _ = file.unlock();
                false
            }
            Err(error) => matches!(error, TryLockError::WouldBlock),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing would do it too, but not while a child that is being started still has the file open.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock of the data directory was not given back");
        }
    }
}
