//! Shelves of the hidden folder: unfinished files lie 128 to a folder.
//!
//! In one folder of a hundred thousand, those who create files wait for those who take them out, and the file system
//! looks at many names for each that it adds or removes: with 128 to a folder the receiver was an eighth less time in the
//! kernel than with 1,024, and with 64 as long. The first ones lie in the hidden folder itself, which is all there is of most transfers.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex, PoisonError},
};

use cap_std::fs::Dir;

use crate::transfer::files::FileOps;

/// Files of one shelf.
const SHELF: u32 = 128;
/// Shelves that are kept open.
const OPEN_SHELVES: usize = 64;
const NAME: &str = "from ";

/// The folders in which the unfinished files of one transfer lie.
pub(super) struct Shelves {
    ops: Arc<dyn FileOps>,
    top: Arc<Dir>,
    open: Mutex<HashMap<u32, Arc<Dir>>>,
}

impl Shelves {
    pub fn new(ops: Arc<dyn FileOps>, top: Arc<Dir>) -> Self {
        Self { ops, top, open: Mutex::default() }
    }

    /// Where this file lies, if it is there; `make` where it is about to be put there.
    pub fn of(&self, file: u32, make: bool) -> io::Result<Arc<Dir>> {
        let first = file - file % SHELF;
        if first == 0 {
            return Ok(self.top.clone());
        }
        // Held while the shelf is made: the next one needs it too.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = open.get(&first) {
            return Ok(dir.clone());
        }
        let name = format!("{NAME}{first}");
        let dir = match self.ops.open_dir(&self.top, &name) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                self.ops.create_dir(&self.top, &name, true)?;
                self.ops.open_dir(&self.top, &name)
            }
            other => other,
        };
        let dir = Arc::new(dir?);
        if open.len() >= OPEN_SHELVES {
            open.clear();
        }
        open.insert(first, dir.clone());
        Ok(dir)
    }
}

fn is_shelf(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(is_number)
}

/// Whether this is a file's name as it is written here.
fn is_number(name: &str) -> bool {
    name.parse::<u32>().is_ok_and(|number| number.to_string() == name)
}

/// Names of the shelves that there are. A link or a file of such a name is none.
fn all(top: &Dir) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in top.entries()? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().filter(|name| is_shelf(name))
            && entry.file_type()?.is_dir()
        {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// Numbers of the unfinished files. Nothing but regular files: opening anything else might wait for ever.
///
/// # Errors
/// Whatever keeps one shelf from being listed: a file that was about to get its name and is not found is taken for named.
pub fn files_in(ops: &dyn FileOps, top: &Dir) -> io::Result<HashSet<u32>> {
    let mut found = HashSet::new();
    for name in all(top)? {
        gather(&ops.open_dir(top, &name)?, &mut found)?;
    }
    gather(top, &mut found)?;
    Ok(found)
}

fn gather(dir: &Dir, found: &mut HashSet<u32>) -> io::Result<()> {
    for entry in dir.entries()? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().filter(|name| is_number(name)).and_then(|n| n.parse().ok())
            && entry.file_type()?.is_file()
        {
            found.insert(number);
        }
    }
    Ok(())
}

/// Removes the shelves with all that is ours in them; whatever else somebody put there stays, and its shelf too.
pub(super) fn clear(ops: &dyn FileOps, top: &Dir) -> io::Result<()> {
    for name in all(top)? {
        let Ok(shelf) = ops.open_dir(top, &name) else { continue };
        for entry in shelf.entries()?.flatten() {
            if let Some(file) = entry.file_name().to_str().filter(|name| is_number(name))
                && let Err(error) = ops.remove_file(&shelf, file)
            {
                tracing::debug!(%error, "an unfinished file stays");
            }
        }
        if let Err(error) = ops.remove_dir(top, &name) {
            tracing::debug!(%error, "a folder of unfinished files stays");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::transfer::files::{RealFiles, faulty::Faulty};

    #[test]
    fn files_lie_a_hundred_and_more_to_a_shelf_are_found_and_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let hidden = folder.path().join("hidden");
        fs::create_dir_all(folder.path().join("outside")).unwrap();
        fs::create_dir(&hidden).unwrap();
        fs::write(folder.path().join("outside/256"), "not ours").unwrap();
        let ops: Arc<dyn FileOps> = Arc::new(RealFiles);
        let top = Arc::new(ops.open_root(&hidden).unwrap());
        let shelves = Shelves::new(ops.clone(), top.clone());
        for file in [0, 127, 128, 255, 5000] {
            ops.create_file(&shelves.of(file, true).unwrap(), &file.to_string()).unwrap();
        }
        for place in ["0", "127", "from 128/128", "from 128/255", "from 4992/5000"] {
            assert!(hidden.join(place).is_file(), "{place}");
        }
        assert_eq!(shelves.of(9000, false).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!hidden.join("from 8960").exists());

        fs::write(hidden.join("from 128/somebody's"), "").unwrap();
        fs::create_dir(hidden.join("from 128/150")).unwrap();
        fs::create_dir(hidden.join("from somewhere")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("outside"), hidden.join("from 256")).unwrap();
        assert_eq!(files_in(ops.as_ref(), &top).unwrap(), [0, 127, 128, 255, 5000].into());
        let closed = Faulty::from_nth("open_dir", 1, io::ErrorKind::PermissionDenied);
        assert!(files_in(&closed, &top).is_err(), "what is on a shelf that cannot be entered is not gone");
        clear(ops.as_ref(), &top).unwrap();
        assert!(!hidden.join("from 4992").exists() && !hidden.join("from 128/255").exists());
        assert!(hidden.join("from 128/somebody's").exists() && hidden.join("from somewhere").exists());
        assert!(folder.path().join("outside/256").exists(), "a link is not followed");
    }
}
