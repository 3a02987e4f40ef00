//! The database file: opened, created, and locked for one process.

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

/// Creates a database on an open file. Tests insert a failing disk here.
pub(super) trait OpenDatabase: Fn(File) -> Result<Database, DatabaseError> + Send + Sync + 'static {}
impl<T: Fn(File) -> Result<Database, DatabaseError> + Send + Sync + 'static> OpenDatabase for T {}

/// Returns the settings with which every database is opened.
pub(super) fn builder() -> Builder {
    let mut builder = Database::builder();
    // The store is small; the default of 1 GiB would be too much.
    builder.set_cache_size(8 * 1024 * 1024);
    // Damage must be reported on opening, not by a panic later.
    builder.set_check_integrity_on_open(true);
    builder
}

/// Opens a database on the real disk.
pub(super) fn open_database(file: File) -> Result<Database, DatabaseError> {
    builder().create_with_backend(FileBackend::new(file)?)
}

/// Calls the database. It panics on some kinds of damage, which are turned into errors.
pub(super) fn guarded<T>(path: &Path, call: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(StorageError::Corrupt { path: path.into(), reason: "the database gave up on it".into() })
    })
}

/// Opens a file with access for the owner only. With `new` it must not exist yet.
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

/// Renames a complete file to its final name, and flushes the folder.
pub(super) fn put_in_place(from: &Path, to: &Path) -> Result<(), StorageError> {
    datadir::rename(from, to).map_err(|error| StorageError::io(to, error))
}

/// Removes a file left behind by a killed process, if there is one.
pub(super) fn remove_leftover(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StorageError::io(path, error)),
        _ => Ok(()),
    }
}

/// Number and interval of attempts to take a lock that is held.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);

/// Lock that is held while the store is open. The database locks its file as well, but not while it is created or
/// reopened.
pub(super) struct DirLock(File);

impl DirLock {
    pub(super) fn take(data_dir: &Path) -> Result<Self, StorageError> {
        let path: PathBuf = data_dir.join("secrets.lock");
        let file = datadir::open(&path, For::Locking).map_err(|error| StorageError::io(&path, error))?;
        for _ in 0..LOOKS {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                // Another process may only be testing whether it is held.
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
                Err(TryLockError::Error(error)) => return Err(StorageError::io(&path, error)),
            }
        }
        Err(StorageError::AlreadyRunning)
    }

    /// True while a node holds this data directory, including its startup and shutdown. Takes no lock that lasts.
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
        // Closing the file is not enough while a child process that is being started still has it open.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock of the data directory was not given back");
        }
    }
}
