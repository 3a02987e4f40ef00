//! Atomic and durable writes of small secret files.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::datadir::{self, For};

/// Maximum number of bytes that are overwritten. Secret files are far shorter; in a longer file, overwriting the
/// beginning suffices.
const MAX_ERASED: usize = 64 * 1024;

/// Writes the file under a temporary name, flushes it, renames it and flushes the folder. Readable by the owner only.
pub(super) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    power::change();
    let temporary = temporary(path);
    // A leftover of a killed process, to which nothing refers.
    if let Err(error) = fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let written = (|| {
        let mut file = datadir::open(&temporary, For::New)?;
        file.write_all(contents)?;
        file.sync_all()?;
        datadir::rename(&temporary, path)
    })();
    if written.is_err() {
        // The first error is the one to report; a leftover is harmless.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Returns the temporary name under which a file is written. A killed process leaves a file with a secret there.
pub(super) fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// Removes a secret file. Its bytes are overwritten first, which is effective only as far as the disk and its file
/// system permit. A missing file is no error.
pub(super) fn erase(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    power::change();
    match datadir::open(path, For::Writing) {
        Ok(mut file) => {
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_ERASED).min(MAX_ERASED);
            file.write_all(&vec![0; length])?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // A symbolic link: its target is not ours to overwrite.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        Err(error) => return Err(error),
    }
    remove(path)
}

/// Removes a file. A missing file is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Flushes a file's contents and its name to the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    // Windows flushes only files that are open for writing.
    datadir::open(path, For::Writing)?.sync_all()?;
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Renames a file, replacing the target, and flushes the folder.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    power::change();
    datadir::rename(from, to)
}

/// Reads a file of at most `max` bytes. `None` if it does not exist.
pub(super) fn read(path: &Path, max: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match datadir::open(path, For::Reading) {
        Ok(file) => file,
        // A symbolic link counts as existing, even if it is dangling.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    keep_private(path, &file)?;
    // Allocated at full size: a growing vector leaves copies of the secret behind.
    let mut contents = Zeroizing::new(Vec::with_capacity(max + 1));
    file.take(max as u64 + 1).read_to_end(&mut contents)?;
    if contents.len() > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is longer than it may be"));
    }
    Ok(Some(contents))
}

/// Removes other users' permissions on a secret file. A restored backup often brings some.
#[cfg(unix)]
fn keep_private(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read this file; taking the right away");
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_private(_path: &Path, _file: &File) -> io::Result<()> {
    Ok(())
}

/// Flushes a folder, so that a rename in it survives a power loss.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Does nothing: Windows has no such call, and its file systems journal renames.
#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Simulates a power cut before one of the changes made on this thread, for tests.
#[cfg(test)]
pub(super) mod power {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    };

    thread_local! { static LEFT: Cell<Option<u32>> = const { Cell::new(None) } }

    struct Cut;

    /// Called before each change.
    pub fn change() {
        match LEFT.get() {
            Some(0) => {
                LEFT.set(None);
                resume_unwind(Box::new(Cut));
            }
            left => LEFT.set(left.map(|left| left - 1)),
        }
    }

    /// Runs `run`, and cuts it after this number of changes. True if it was cut.
    pub fn cut_after<T>(changes: u32, run: impl FnOnce() -> T) -> bool {
        LEFT.set(Some(changes));
        let ended = catch_unwind(AssertUnwindSafe(run));
        LEFT.set(None);
        match ended {
            Ok(_) => false,
            Err(cause) if cause.is::<Cut>() => true,
            Err(other) => resume_unwind(other),
        }
    }
}
