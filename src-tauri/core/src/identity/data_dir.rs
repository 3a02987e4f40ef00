//! The data directory of a device.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{IdentityError, durable};
use crate::datadir::{self, For, OwnedDir};

/// A data directory that exists, belongs to this user, and is writable.
pub(super) struct DataDir(PathBuf);

impl DataDir {
    /// Creates the directory if it is missing, and checks that it is usable.
    pub(super) fn prepare(path: &Path) -> Result<Self, IdentityError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => return Err(IdentityError::NotADirectory(path.into())),
            Ok(_) => {
                let folder = OwnedDir::open(path).map_err(|error| IdentityError::io(path, error))?;
                keep_private(path, &folder)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(IdentityError::io(path, error)),
        }
        // Tested by a write: permission bits do not tell of read-only volumes and access control lists.
        let probe = path.join(".writable");
        // A file left by a killed start, or placed by somebody else. Only the name is removed, never the target of a
        // link.
        remove_probe(path, &probe)?;
        match datadir::open(&probe, For::New) {
            // Another process that starts at the same moment was faster.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(not_creatable(path, error)),
            _ => {}
        }
        remove_probe(path, &probe)?;
        Ok(Self(path.into()))
    }

    /// Returns the path of a file in the directory.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// True if the name exists. A name that cannot be examined counts as existing.
    pub(super) fn holds(&self, name: &str) -> bool {
        !matches!(fs::symlink_metadata(self.file(name)), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Opens a directory that must exist; nothing is created or tested.
    pub(super) fn existing(path: &Path) -> Result<Self, IdentityError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => Err(IdentityError::NotADirectory(path.into())),
            Ok(_) => {
                OwnedDir::open(path).map_err(|error| IdentityError::io(path, error))?;
                Ok(Self(path.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(IdentityError::NoIdentity(path.into())),
            Err(error) => Err(IdentityError::io(path, error)),
        }
    }

    /// Returns the path of the directory.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes the lock for changes of the identity's files and record: two simultaneous first starts must not create two
    /// identities, and a file that one process is moving must not look like a leftover to another.
    pub(super) fn lock(&self) -> Result<ChangeLock, IdentityError> {
        let path = self.file("identity.lock");
        let file = datadir::open(&path, For::Locking).map_err(|error| IdentityError::io(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(ChangeLock(file)),
            Err(TryLockError::WouldBlock) => Err(IdentityError::AlreadyRunning(self.0.clone())),
            Err(TryLockError::Error(error)) => Err(IdentityError::io(&path, error)),
        }
    }
}

/// Lock for changes of the identity; released when dropped.
pub(super) struct ChangeLock(File);

impl Drop for ChangeLock {
    fn drop(&mut self) {
        // Closing the file is not enough while a child process that is being started still has it open.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the identity's lock was not given back");
        }
    }
}

fn remove_probe(dir: &Path, probe: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(probe) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(not_creatable(dir, error)),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn create(path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::DirBuilderExt;
    // Parent folders get default permissions; this one is accessible to the owner only.
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above).map_err(|error| IdentityError::io(above, error))?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(not_creatable(path, error)),
        _ => {}
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        durable::sync_folder(above).map_err(|error| IdentityError::io(above, error))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn create(path: &Path) -> Result<(), IdentityError> {
    fs::create_dir_all(path).map_err(|error| not_creatable(path, error))
}

fn not_creatable(path: &Path, error: io::Error) -> IdentityError {
    match IdentityError::io(path, error) {
        IdentityError::Io { path, source } => IdentityError::NotWritable { path, source },
        known => known,
    }
}

/// Restricts permissions to the owner if the folder is empty or already Yonder's. A folder with other contents keeps
/// its permissions, because it may be a home directory given by mistake; it is refused if every user may create links
/// in it.
#[cfg(unix)]
fn keep_private(path: &Path, folder: &OwnedDir) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let told = |error| IdentityError::io(path, error);
    let mode = fs::metadata(path).map_err(told)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let ours = path.join(super::record::FILE_NAME).exists() || fs::read_dir(path).map_err(told)?.next().is_none();
    if ours {
        // Another user's folder cannot be changed. Whether it is usable shows next.
        if let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(0o700)) {
            tracing::warn!(path = %path.display(), %error, "the data directory stays open to others");
        }
    } else {
        folder.check_closed().map_err(told)?;
        tracing::warn!(path = %path.display(), "the data directory holds other things and is open to others");
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_private(_path: &Path, _folder: &OwnedDir) -> Result<(), IdentityError> {
    Ok(())
}
