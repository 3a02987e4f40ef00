//! Files of the data directory, opened beneath the handle of their folder. Blocking.
//!
//! A data directory may be one that somebody else has prepared: a name in it may be a link to a file of its user, which
//! would be emptied, written or moved in its place. So a folder of another user is refused, and no link that stands for a
//! file or folder in it is followed.

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

/// Why a folder is not one to keep secrets in.
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
/// Those of the file system; [`is_foreign`] where the folder is another user's.
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

#[cfg(unix)]
mod platform {
    use std::os::unix::fs::MetadataExt;

    use rustix::{
        fs::{Mode, OFlags, mkdirat, openat, renameat},
        process::geteuid,
    };

    use super::*;

    const ALL_MAY_WRITE: u32 = 0o002;

    impl Folder {
        /// Opens a folder that must belong to the user of this process; a link to it, too.
        ///
        /// # Errors
        /// Those of the file system; [`is_foreign`].
        pub fn open(path: &Path) -> io::Result<Self> {
            let link = fs::symlink_metadata(path)?;
            if link.is_symlink() && link.uid() != geteuid().as_raw() && link.uid() != 0 {
                return Err(refused(Refused::Foreign));
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Self::checked(rustix::fs::open(path, flags, Mode::empty())?.into())
        }

        fn checked(dir: File) -> io::Result<Self> {
            if dir.metadata()?.uid() != geteuid().as_raw() {
                return Err(refused(Refused::Foreign));
            }
            Ok(Self { dir })
        }

        /// Says so where every user may put files into it.
        ///
        /// # Errors
        /// [`is_foreign`].
        pub fn check_closed(&self) -> io::Result<()> {
            if self.dir.metadata()?.mode() & ALL_MAY_WRITE != 0 { Err(refused(Refused::WritableByAll)) } else { Ok(()) }
        }

        /// Opens a file in it.
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
            // A pipe that somebody put there is not waited for.
            let flags = what | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = match openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR) {
                Err(rustix::io::Errno::LOOP) => return Err(not_a_file()),
                other => File::from(other?),
            };
            if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file()) }
        }

        /// Renames what is in it, over whatever has the name, and flushes it.
        ///
        /// # Errors
        /// Those of the file system.
        pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            renameat(&self.dir, from, &self.dir, to)?;
            self.dir.sync_all()
        }

        /// Makes and opens a folder in it.
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
}

/// Elsewhere the rights of the folder that the data directory lies in keep others out.
#[cfg(not(unix))]
mod platform {
    use super::*;

    impl Folder {
        /// Opens a folder.
        ///
        /// # Errors
        /// Those of the file system.
        pub fn open(path: &Path) -> io::Result<Self> {
            if fs::metadata(path)?.is_dir() {
                Ok(Self { path: path.into() })
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }

        /// Nothing to check.
        ///
        /// # Errors
        /// None.
        pub fn check_closed(&self) -> io::Result<()> {
            Ok(())
        }

        /// Opens a file in it.
        ///
        /// # Errors
        /// As [`super::open`].
        pub fn open_file(&self, name: &Path, purpose: For) -> io::Result<File> {
            let path = self.path.join(name);
            if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file()) {
                return Err(not_a_file());
            }
            let mut options = File::options();
            match purpose {
                For::Reading => options.read(true),
                For::Writing => options.write(true),
                For::Both => options.read(true).write(true),
                For::New => options.write(true).create_new(true),
                For::NewBoth => options.read(true).write(true).create_new(true),
                For::Adding => options.append(true).create(true),
                For::Locking => options.write(true).create(true).truncate(false),
            };
            options.open(path)
        }

        /// Renames what is in it, over whatever has the name.
        ///
        /// # Errors
        /// Those of the file system.
        pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            fs::rename(self.path.join(from), self.path.join(to))
        }

        /// Makes and opens a folder in it.
        ///
        /// # Errors
        /// As [`super::make_folder`].
        pub fn make_folder(&self, name: &Path) -> io::Result<Self> {
            let path = self.path.join(name);
            match fs::create_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => Self::open(&path),
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        io::Write,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    const ALL: [For; 7] = [For::Reading, For::Writing, For::Both, For::New, For::NewBoth, For::Adding, For::Locking];

    #[test]
    fn no_link_is_followed_and_nothing_but_a_file_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let (data, precious) = (root.path().join("data"), root.path().join("precious"));
        fs::create_dir(&data).unwrap();
        fs::write(&precious, "precious").unwrap();
        fs::create_dir(root.path().join("elsewhere")).unwrap();
        symlink(&precious, data.join("to a file")).unwrap();
        symlink(root.path().join("nothing"), data.join("to nothing")).unwrap();
        symlink(root.path().join("elsewhere"), data.join("to a folder")).unwrap();
        fs::create_dir(data.join("folder")).unwrap();
        for purpose in ALL {
            for name in ["to a file", "to nothing", "to a folder", "folder"] {
                assert!(open(&data.join(name), purpose).is_err(), "{purpose:?} {name}");
            }
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert!(!root.path().join("nothing").exists());
        assert!(make_folder(&data.join("to a folder")).is_err() && !is_own_folder(&data.join("to a folder")));
        make_folder(&data.join("folder")).unwrap();
        make_folder(&data.join("new")).unwrap();
        assert_eq!(fs::metadata(data.join("new")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn files_are_their_owners_alone_and_a_new_one_replaces_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        open(&path, For::New).unwrap().write_all(b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(open(&path, For::New).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        open(&path, For::Adding).unwrap().write_all(b" two").unwrap();
        open(&path, For::Locking).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one two");
        rename(&path, &root.path().join("other")).unwrap();
        assert!(!path.exists() && root.path().join("other").exists());
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        // Of root, for everybody else; as root, one is made that is somebody's.
        let root = tempfile::tempdir().unwrap();
        let theirs = if rustix::process::geteuid().is_root() {
            let theirs = root.path().join("theirs");
            fs::create_dir(&theirs).unwrap();
            std::os::unix::fs::chown(&theirs, Some(12345), None).unwrap();
            theirs
        } else {
            Path::new("/usr").to_owned()
        };
        assert!(is_foreign(&Folder::open(&theirs).unwrap_err()));
        assert!(is_foreign(&open(&theirs.join("secrets.lock"), For::Locking).unwrap_err()));
        assert!(!theirs.join("secrets.lock").exists());
    }

    #[test]
    fn a_folder_that_all_may_write_to_is_known() {
        let root = tempfile::tempdir().unwrap();
        Folder::open(root.path()).unwrap().check_closed().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(is_foreign(&Folder::open(root.path()).unwrap().check_closed().unwrap_err()));
    }
}
