//! Files of the data directory, opened beneath the handle of their folder. Blocking.
//!
//! A data directory may be one that somebody else has prepared: a name in it may be a link to a file of its user, which
//! would be emptied, written or moved in its place. So a folder of another user is refused, and no link that stands for a
//! file or folder in it is followed.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// To be read.
    Reading,
    /// To be written over where it is.
    Writing,
    /// To be read and written.
    Both,
    /// A new one, for its owner alone; anything of that name is an error.
    New,
    /// The same, to be read, too.
    NewBoth,
    /// To be added to; made where it is missing.
    Adding,
    /// To be locked; made where it is missing.
    Locking,
}

/// Reason for which secrets are not kept in a folder.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It, or the link that leads to it, belongs to another user.
    #[error("it belongs to another user")]
    Foreign,
    /// Every user may put files into it.
    #[error("every user may put files into it")]
    WritableByAll,
}

/// Whether an error says that the folder is another user's.
pub fn is_foreign(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<Refused>())
}

#[cfg(unix)]
fn refused(why: Refused) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// An open folder that belongs to the user of this process.
#[derive(Debug)]
pub struct Folder {
    #[cfg(unix)]
    dir: File,
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

/// Opens a file of the data directory, whose folder is checked first. A link of that name is an error, and so is anything
/// but a regular file.
///
/// # Errors
/// Errors of the file system; [`is_foreign`] holds where the folder is another user's.
pub fn open(path: &Path, purpose: For) -> io::Result<File> {
    let (folder, name) = split(path)?;
    Folder::open(folder)?.open_file(name, purpose)
}

/// Gives a file of the data directory another name in its folder, over whatever has it, and makes that durable.
///
/// # Errors
/// As [`open`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let ((folder, from), (other, to)) = (split(from)?, split(to)?);
    if folder != other {
        return Err(io::ErrorKind::CrossesDevices.into());
    }
    Folder::open(folder)?.rename(from, to)
}

/// Makes a folder in the data directory for its owner alone, where it is not there, and opens it. One that is a link, or
/// another user's, is an error.
///
/// # Errors
/// As [`open`].
pub fn make_folder(path: &Path) -> io::Result<Folder> {
    let (above, name) = split(path)?;
    Folder::open(above)?.make_folder(name)
}

/// Whether a path is that of a folder of this user itself, and not of a link.
pub fn is_own_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) && Folder::open(path).is_ok()
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
