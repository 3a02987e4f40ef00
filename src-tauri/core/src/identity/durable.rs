//! Writing a small secret file so that it is there whole, or not at all.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::datadir::{self, For};

/// Our secret files are shorter by far; what is longer is none of them, and its beginning will do.
const MAX_ERASED: usize = 64 * 1024;

/// Writes the file under a temporary name, flushes it, gives it its name and flushes the folder.
/// Readable by the owner alone.
pub(super) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    power::change();
    let temporary = temporary(path);
    // A leftover of a run that was killed: nobody refers to it.
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
        // The first error is the one to tell; the leftover is harmless.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Under which name a file is written first. A process that is killed leaves it there, secret and all.
pub(super) fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// Removes a secret file for good: its bytes are written over first, as far as the disk and its file system let that
/// mean anything. That there is none is fine.
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
        // A link: what it leads to is not ours to write over.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        Err(error) => return Err(error),
    }
    remove(path)
}

/// Removes a file; that there is none is fine.
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

/// Makes sure that a file is on the disk as it is read now, under the name that it has now.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    // Windows flushes only what is open for writing.
    datadir::open(path, For::Writing)?.sync_all()?;
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Gives a file another name, over whatever has it, and flushes the folder.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    power::change();
    datadir::rename(from, to)
}

/// Reads a file that may not be longer than `max` bytes; `None` if there is none.
pub(super) fn read(path: &Path, max: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match datadir::open(path, For::Reading) {
        Ok(file) => file,
        // A link is not the same as no file, wherever it leads.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    keep_private(path, &file)?;
    // All of the capacity at once: a vector that grows leaves copies of the secret behind.
    let mut contents = Zeroizing::new(Vec::with_capacity(max + 1));
    file.take(max as u64 + 1).read_to_end(&mut contents)?;
    if contents.len() > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is longer than it may be"));
    }
    Ok(Some(contents))
}

/// Takes away rights that others have to a secret file: a restored backup often brings some.
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

/// Flushes a folder, so that a rename in it survives a loss of power.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows has no such call, and its file systems journal renames.
#[cfg(not(unix))]
pub(super) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// For tests: the power goes before one of the changes that are made on this thread.
#[cfg(test)]
pub(super) mod power {
    use std::{
        cell::Cell,
        panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    };

    thread_local! { static LEFT: Cell<Option<u32>> = const { Cell::new(None) } }

    struct Cut;

    /// A change is about to be made.
    pub fn change() {
        match LEFT.get() {
            Some(0) => {
                LEFT.set(None);
                resume_unwind(Box::new(Cut));
            }
            left => LEFT.set(left.map(|left| left - 1)),
        }
    }

    /// Runs something and lets it make this many changes; nothing that would come after runs. True if it was cut.
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
