//! Implementation for Unix, with file descriptors of folders.

use std::os::unix::fs::MetadataExt;

use rustix::{
    fs::{Mode, OFlags, mkdirat, openat, renameat},
    process::geteuid,
};

use super::*;

const ALL_MAY_WRITE: u32 = 0o002;

impl OwnedDir {
    /// Opens a folder that must belong to the user of this process, and so must a symbolic link to it.
    ///
    /// # Errors
    /// Errors of the file system; [`is_foreign`] holds if the folder is another user's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let link = fs::symlink_metadata(path)?;
        if link.is_symlink() && link.uid() != geteuid().as_raw() && link.uid() != 0 {
            return Err(refused(FolderRefusal::Foreign));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::checked(rustix::fs::open(path, flags, Mode::empty())?.into())
    }

    fn checked(dir: File) -> io::Result<Self> {
        if dir.metadata()?.uid() != geteuid().as_raw() {
            return Err(refused(FolderRefusal::Foreign));
        }
        Ok(Self { dir })
    }

    /// Fails if every user may create files in the folder.
    ///
    /// # Errors
    /// [`is_foreign`].
    pub fn check_closed(&self) -> io::Result<()> {
        if self.dir.metadata()?.mode() & ALL_MAY_WRITE != 0 {
            Err(refused(FolderRefusal::WritableByAll))
        } else {
            Ok(())
        }
    }

    /// Opens a file in the folder.
    ///
    /// # Errors
    /// As [`super::open`].
    pub fn open_file(&self, name: &Path, purpose: For) -> io::Result<File> {
        let what = match purpose {
            For::Reading => OFlags::RDONLY,
            For::Writing => OFlags::WRONLY,
            For::Both => OFlags::RDWR,
            For::New => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
            For::NewBoth => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            For::Adding => OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND,
            For::Locking => OFlags::WRONLY | OFlags::CREATE,
        };
        // A pipe that somebody placed there must not block.
        let flags = what | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR) {
            Err(rustix::io::Errno::LOOP) => return Err(not_a_file()),
            other => File::from(other?),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file()) }
    }

    /// Renames an entry, replacing the target, and flushes the folder.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        renameat(&self.dir, from, &self.dir, to)?;
        self.dir.sync_all()
    }

    /// Creates and opens a folder in the folder.
    ///
    /// # Errors
    /// As [`super::make_folder`].
    pub fn make_folder(&self, name: &Path) -> io::Result<Self> {
        match mkdirat(&self.dir, name, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::checked(openat(&self.dir, name, flags, Mode::empty())?.into())
    }
}
