//! Files of the data directory, opened relative to the handle of their folder. Blocks.
//!
//! An attacker may have prepared the data directory: a name in it may be a symbolic link to another file of the user,
//! which would be emptied, written or renamed. Folders of other users are therefore refused, and symbolic links in
//! place of a file are not followed. A link to the data directory itself is followed if it belongs to this user or to root.
//!
//! `form` helps other rooms to give what they store a form of its own.

mod form;
#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

pub(crate) use form::{ListStoredAs, StoredAs, stored_enum};

/// Purpose for which a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Reading.
    Reading,
    /// Overwriting in place.
    Writing,
    /// Reading and writing.
    Both,
    /// Creating a file for its owner only; an existing name is an error.
    New,
    /// Creating a file as with `New`, for reading and writing.
    NewBoth,
    /// Appending; the file is created if missing.
    Adding,
    /// Locking; the file is created if missing.
    Locking,
}

/// Reason for which a folder is refused for secrets.
#[derive(Debug, thiserror::Error)]
pub enum FolderRefusal {
    /// The folder, or the link to it, belongs to another user.
    #[error("it belongs to another user")]
    Foreign,
    /// Every user may create files in it.
    #[error("every user may put files into it")]
    WritableByAll,
}

/// True if an error means that the folder is refused.
pub fn is_foreign(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<FolderRefusal>())
}

#[cfg(unix)]
fn refused(why: FolderRefusal) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// An open folder that belongs to the user of this process.
#[derive(Debug)]
pub struct OwnedDir {
    #[cfg(unix)]
    dir: File,
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

/// Opens a file of the data directory, after checking its folder. A symbolic link is an error, and so is anything but a
/// regular file.
///
/// # Errors
/// Errors of the file system; [`is_foreign`] holds if the folder is another user's.
pub fn open(path: &Path, purpose: For) -> io::Result<File> {
    let (folder, name) = split(path)?;
    OwnedDir::open(folder)?.open_file(name, purpose)
}

/// Renames a file of the data directory within its folder, replacing the target, and makes that durable.
///
/// # Errors
/// As [`open`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let ((folder, from), (other, to)) = (split(from)?, split(to)?);
    if folder != other {
        return Err(io::ErrorKind::CrossesDevices.into());
    }
    OwnedDir::open(folder)?.rename(from, to)
}

/// Creates a folder in the data directory for its owner only, if it is missing, and opens it. A symbolic link or
/// another user's folder is an error.
///
/// # Errors
/// As [`open`].
pub fn make_folder(path: &Path) -> io::Result<OwnedDir> {
    let (above, name) = split(path)?;
    OwnedDir::open(above)?.make_folder(name)
}

/// True if the path is a folder of this user, and not a symbolic link.
pub fn is_own_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) && OwnedDir::open(path).is_ok()
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is a link, or no file at all, and is not followed")
}

fn split(path: &Path) -> io::Result<(&Path, &Path)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, Path::new(name)))
}

#[cfg(all(test, unix))]
mod tests;
