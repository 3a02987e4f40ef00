//! Implementation for other systems, on which the permissions of the parent folder keep others out.

use super::*;

impl OwnedDir {
    /// Opens a folder.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            Ok(Self { path: path.into() })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Checks nothing on these systems.
    ///
    /// # Errors
    /// None.
    pub fn check_closed(&self) -> io::Result<()> {
        Ok(())
    }

    /// Opens a file in the folder.
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

    /// Renames an entry, replacing the target.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Creates and opens a folder in the folder.
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
