//! The folder that a device lives in.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{IdentityError, durable};
use crate::datadir::{self, Folder, For};

/// A data directory that is there, is ours, and can be written.
pub(super) struct DataDir(PathBuf);

impl DataDir {
    /// Creates it where it is missing, and makes sure that it can be used.
    pub(super) fn prepare(path: &Path) -> Result<Self, IdentityError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => return Err(IdentityError::NotADirectory(path.into())),
            Ok(_) => {
                let folder = Folder::open(path).map_err(|error| IdentityError::io(path, error))?;
                keep_private(path, &folder)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(IdentityError::io(path, error)),
        }
        // Asking for rights would not do: only a write tells of read-only volumes and access lists.
        let probe = path.join(".writable");
        // What a killed start left there, or somebody has put there: the name goes, and not what it may lead to.
        remove_probe(path, &probe)?;
        match datadir::open(&probe, For::New) {
            // Another process that starts at the same moment was quicker.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(not_creatable(path, error)),
            _ => {}
        }
        remove_probe(path, &probe)?;
        Ok(Self(path.into()))
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether there is anything of that name. What cannot be looked at counts as there.
    pub(super) fn holds(&self, name: &str) -> bool {
        !matches!(fs::symlink_metadata(self.file(name)), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// One that must be there already; nothing is made, and nothing is tried.
    pub(super) fn existing(path: &Path) -> Result<Self, IdentityError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => Err(IdentityError::NotADirectory(path.into())),
            Ok(_) => {
                Folder::open(path).map_err(|error| IdentityError::io(path, error))?;
                Ok(Self(path.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(IdentityError::NoIdentity(path.into())),
            Err(error) => Err(IdentityError::io(path, error)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Held while the identity's files or its record are changed: two first starts at once do not make two identities,
    /// and what one process is moving, another does not take for a leftover.
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

/// Given back when dropped.
pub(super) struct ChangeLock(File);

impl Drop for ChangeLock {
    fn drop(&mut self) {
        // Closing would do it too, but not while a child that is being started still has the file open.
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
    // Folders above it get the usual rights; this one is the owner's alone.
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

/// A folder that is empty, or already ours, is closed to others. One that holds other things keeps its rights: it may
/// be a home directory that was given by mistake. It is refused where everybody may put links into it.
#[cfg(unix)]
fn keep_private(path: &Path, folder: &Folder) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let told = |error| IdentityError::io(path, error);
    let mode = fs::metadata(path).map_err(told)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let ours = path.join(super::record::FILE_NAME).exists() || fs::read_dir(path).map_err(told)?.next().is_none();
    if ours {
        // Someone else's folder cannot be changed; whether it can be used shows next.
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
fn keep_private(_path: &Path, _folder: &Folder) -> Result<(), IdentityError> {
    Ok(())
}
