//! Backup files: written completely or not at all, never over an existing file, and read as untrusted input.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::BackupError;

use crate::clock;

/// Fails if the name exists, even as a dangling symbolic link.
pub(super) fn refuse_existing(path: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(BackupError::Exists(path.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::write(path, error)),
    }
}

/// Writes a new file under a temporary name in the same folder, flushes it, renames it if the name is free, and flushes
/// the folder.
pub(super) fn write_new(path: &Path, contents: &[u8]) -> Result<(), BackupError> {
    let told = |error| BackupError::write(path, error);
    let temporary = beside(path)?;
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary).map_err(told)?;
        file.write_all(contents).and_then(|()| file.sync_all()).map_err(told)?;
        put_in_place(&temporary, path)
    })();
    // The file keeps its final name if it has one. Otherwise the first error is the one to report.
    let _ = fs::remove_file(&temporary);
    written?;
    sync_folder(path).map_err(told)
}

/// Returns a random name in the same folder.
fn beside(path: &Path) -> Result<PathBuf, BackupError> {
    let name = path.file_name().ok_or_else(|| BackupError::NotAFile(path.into()))?;
    let random = clock::random::<8>().map_err(|_| BackupError::Random)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", data_encoding::HEXLOWER.encode(&random)));
    Ok(path.with_file_name(hidden))
}

/// Gives a file its final name without replacing an existing file, as a rename would. Uses a hard link; on file systems
/// without hard links (FAT), an empty file is created first, which fails if the name exists, and is then replaced by
/// the rename.
fn put_in_place(temporary: &Path, path: &Path) -> Result<(), BackupError> {
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.into()),
        _ => BackupError::write(path, error),
    };
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {}
        other => return other.map_err(told),
    }
    OpenOptions::new().write(true).create_new(true).open(path).map_err(told)?;
    fs::rename(temporary, path).map_err(|error| {
        // The empty file is ours.
        let _ = fs::remove_file(path);
        told(error)
    })
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder)?.sync_all() {
        // Some file systems of USB sticks and network shares cannot flush a folder.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Reads a file of at most `max` bytes; a longer one allocates no memory.
pub(super) fn read(path: &Path, max: usize) -> Result<Vec<u8>, BackupError> {
    let told = |error| BackupError::read(path, error);
    // Checked before opening, because a pipe would block for ever.
    let found = fs::metadata(path).map_err(told)?;
    if !found.is_file() {
        return Err(BackupError::NotAFile(path.into()));
    }
    if found.len() > max as u64 {
        return Err(BackupError::NotOne);
    }
    let file = File::open(path).map_err(told)?;
    let mut contents = Vec::with_capacity(found.len() as usize);
    file.take(max as u64 + 1).read_to_end(&mut contents).map_err(told)?;
    if contents.len() > max { Err(BackupError::NotOne) } else { Ok(contents) }
}
