//! Shelves of the hidden folder: unfinished files lie 128 to a folder.
//!
//! In one folder of a hundred thousand, those who create files wait for those who take them out, and the file system
//! looks at many names for each that it adds or removes: with 128 to a folder the receiver was an eighth less time in the
//! kernel than with 1,024, and with 64 as long. The first ones lie in the hidden folder itself, which is all there is of most
//! transfers. Those of a folder that is filled in hiding (`staged`) lie in a folder of their own.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use cap_std::fs::{Dir, DirEntry, FileType};

use super::staged::Staged;
use crate::{
    budget::{FileShare, Spare, with_descriptor},
    clock::Locked as _,
    transfer::files::{FileOps, PRIVATE_DIR},
};

/// Files of one shelf.
const SHELF: u32 = 128;
/// Shelves that are kept open.
const OPEN_SHELVES: usize = 64;
const NAME: &str = "from ";
const STAGED: &str = "folder ";

/// The folders in which the unfinished files of one transfer lie.
pub(super) struct Shelves {
    ops: Arc<dyn FileOps>,
    top: Arc<Dir>,
    staged: OnceLock<Staged>,
    files: FileShare,
    open: Mutex<HashMap<Shelf, (Arc<Dir>, Spare)>>,
}

/// Which folder in the hidden one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shelf {
    /// Files from this number on.
    From(u32),
    /// Files of this folder of the offer.
    Folder(u32),
}

impl Shelf {
    fn name(self) -> String {
        match self {
            Self::From(first) => format!("{NAME}{first}"),
            Self::Folder(folder) => format!("{STAGED}{folder}"),
        }
    }
}

impl Shelves {
    pub fn new(ops: Arc<dyn FileOps>, top: Arc<Dir>) -> Self {
        Self { ops, top, staged: OnceLock::new(), files: FileShare::alone(), open: Mutex::default() }
    }

    /// Keeps no more open than this share allows.
    pub fn sharing(self, files: FileShare) -> Self {
        // What was open was counted elsewhere.
        Self { files, open: Mutex::default(), ..self }
    }

    /// These folders are filled in hiding. Said before the first file is put anywhere; only once.
    pub fn stage(&self, staged: Staged) {
        let _ = self.staged.set(staged);
    }

    /// The folders that are filled in hiding.
    pub fn staged(&self) -> Option<&Staged> {
        self.staged.get()
    }

    /// Where this file lies, if it is there, and its name there; `make` where it is about to be put there.
    pub fn of(&self, file: u32, make: bool) -> io::Result<(Arc<Dir>, Vec<u8>)> {
        let staged = self.staged().and_then(|staged| Some((staged.of(file)?, staged.name(file)?)));
        if let Some((folder, name)) = staged {
            return Ok((self.shelf(Shelf::Folder(folder), make)?, name.to_owned()));
        }
        let dir = match file - file % SHELF {
            0 => self.top.clone(),
            first => self.shelf(Shelf::From(first), make)?,
        };
        Ok((dir, file.to_string().into_bytes()))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Shelf, (Arc<Dir>, Spare)>> {
        self.open.locked()
    }

    fn shelf(&self, shelf: Shelf, make: bool) -> io::Result<Arc<Dir>> {
        // Held while the shelf is made: the next one needs it too.
        let mut open = self.open();
        if let Some((dir, _)) = open.get(&shelf) {
            return Ok(dir.clone());
        }
        let name = shelf.name();
        let dir = match self.ops.open_dir(&self.top, name.as_bytes()) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                // One that is to be seen later is as open to others as the sender's folder and any new folder.
                let mode = match shelf {
                    Shelf::From(_) => Some(PRIVATE_DIR),
                    Shelf::Folder(folder) => self.staged().and_then(|staged| staged.mode(folder)),
                };
                self.ops.create_dir(&self.top, name.as_bytes(), mode)?;
                self.ops.open_dir(&self.top, name.as_bytes())
            }
            other => other,
        };
        let dir = Arc::new(dir?);
        if open.len() >= OPEN_SHELVES {
            open.clear();
        }
        let spare = self.files.spare().or_else(|| {
            open.clear();
            self.files.spare()
        });
        if let Some(spare) = spare {
            open.insert(shelf, (dir.clone(), spare));
        }
        Ok(dir)
    }

    /// How many things lie in a folder that is filled in hiding.
    pub fn count(&self, folder: u32) -> io::Result<usize> {
        let dir = self.shelf(Shelf::Folder(folder), false)?;
        with_descriptor(|| dir.entries())?.try_fold(0, |count, entry| entry.map(|_| count + 1))
    }

    /// Gives such a folder its name, with all that is in it. A name that is taken is never replaced.
    pub fn unveil(&self, folder: u32, to: &Dir, name: &[u8]) -> io::Result<()> {
        let shelf = Shelf::Folder(folder);
        // Held meanwhile: whatever may still come is not put where people see it.
        let mut open = self.open();
        self.ops.rename_folder(&self.top, shelf.name().as_bytes(), to, name)?;
        open.remove(&shelf);
        Ok(())
    }
}

fn is_shelf(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(is_number)
}

/// The folder of the offer that is filled here.
fn staged_in(name: &str) -> Option<u32> {
    name.strip_prefix(STAGED).filter(|number| is_number(number))?.parse().ok()
}

/// Whether this is a file's name as it is written here.
fn is_number(name: &str) -> bool {
    name.parse::<u32>().is_ok_and(|number| number.to_string() == name)
}

/// What an entry is; a link is a link. Not every file system says so in its list.
fn kind(entry: &DirEntry) -> io::Result<FileType> {
    match entry.file_type()? {
        known if known.is_file() || known.is_dir() || known.is_symlink() => Ok(known),
        _ => Ok(entry.metadata()?.file_type()),
    }
}

/// Names of the shelves that there are, of either kind. A link or a file of such a name is none.
fn all(top: &Dir) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in with_descriptor(|| top.entries())? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().filter(|name| is_shelf(name) || staged_in(name).is_some())
            && kind(&entry)?.is_dir()
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
pub fn files_in(ops: &dyn FileOps, top: &Dir, staged: &Staged) -> io::Result<HashSet<u32>> {
    let numbered = |name: &str| name.parse().ok().filter(|file| is_number(name) && staged.of(*file).is_none());
    let mut found = HashSet::new();
    for shelf in all(top)? {
        match staged_in(&shelf) {
            None => gather(&ops.open_dir(top, shelf.as_bytes())?, &mut found, numbered)?,
            Some(folder) => {
                let files = staged.by_name(folder);
                let named = |name: &str| files.get(name.to_ascii_lowercase().as_bytes()).copied();
                gather(&ops.open_dir(top, shelf.as_bytes())?, &mut found, named)?;
            }
        }
    }
    gather(top, &mut found, numbered)?;
    Ok(found)
}

fn gather(dir: &Dir, found: &mut HashSet<u32>, number: impl Fn(&str) -> Option<u32>) -> io::Result<()> {
    for entry in with_descriptor(|| dir.entries())? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(&number)
            && kind(&entry)?.is_file()
        {
            found.insert(number);
        }
    }
    Ok(())
}

/// Whether a folder that was filled in hiding is not there any more.
///
/// # Errors
/// When that cannot be seen.
pub fn is_unveiled(ops: &dyn FileOps, top: &Dir, folder: u32) -> io::Result<bool> {
    match ops.stat(top, Shelf::Folder(folder).name().as_bytes()) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Removes the shelves with all that is ours in them; whatever else somebody put there stays, and its shelf too.
pub(super) fn clear(ops: &dyn FileOps, top: &Dir, staged: Option<&Staged>) -> io::Result<()> {
    for name in all(top)? {
        let Ok(shelf) = ops.open_dir(top, name.as_bytes()) else { continue };
        let named = staged_in(&name).zip(staged).map(|(folder, staged)| staged.by_name(folder));
        let ours = |file: &str| match &named {
            Some(named) => named.contains_key(file.to_ascii_lowercase().as_bytes()),
            None => staged_in(&name).is_some() || is_number(file),
        };
        for entry in with_descriptor(|| shelf.entries())?.flatten() {
            if let Some(file) = entry.file_name().to_str().filter(|file| ours(file))
                && let Err(error) = ops.remove_file(&shelf, file.as_bytes())
            {
                tracing::debug!(%error, "an unfinished file stays");
            }
        }
        if let Err(error) = ops.remove_dir(top, name.as_bytes()) {
            tracing::debug!(%error, "a folder of unfinished files stays");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::transfer::{
        files::{RealFiles, faulty::Faulty},
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
        wire::EntryKind,
    };

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
            let (shelf, name) = shelves.of(file, true).unwrap();
            ops.create_file(&shelf, &name, None).unwrap();
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
        let none = Staged::choose(&Arc::default());
        assert_eq!(files_in(ops.as_ref(), &top, &none).unwrap(), [0, 127, 128, 255, 5000].into());
        let closed = Faulty::from_nth("open_dir", 1, io::ErrorKind::PermissionDenied);
        assert!(files_in(&closed, &top, &none).is_err(), "what is on a shelf that cannot be entered is not gone");
        clear(ops.as_ref(), &top, Some(&none)).unwrap();
        assert!(!hidden.join("from 4992").exists() && !hidden.join("from 128/255").exists());
        assert!(hidden.join("from 128/somebody's").exists() && hidden.join("from somewhere").exists());
        assert!(folder.path().join("outside/256").exists(), "a link is not followed");
    }

    #[test]
    fn what_comes_after_a_folder_has_its_name_is_hidden_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let ops: Arc<dyn FileOps> = Arc::new(RealFiles);
        let root = ops.open_root(folder.path()).unwrap();
        ops.create_dir(&root, b"hidden", Some(PRIVATE_DIR)).unwrap();
        let top = Arc::new(ops.open_dir(&root, b"hidden").unwrap());
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "day", EntryKind::Folder)).unwrap();
        for n in 0..20 {
            builder.push(&entry(1, &format!("{n:02}"), file(5))).unwrap();
        }
        let manifest = Arc::new(builder.finish());
        let shelves = Shelves::new(ops.clone(), top.clone());
        shelves.stage(Staged::choose(&manifest));
        let put = |file| {
            let (shelf, name) = shelves.of(file, true).unwrap();
            ops.create_file(&shelf, &name, None).map(drop)
        };
        (1..=20).for_each(|file| put(file).unwrap());
        // A number is no name of a file that lies with its folder.
        ops.create_file(&top, b"3", None).unwrap();
        let staged = shelves.staged().unwrap();
        assert_eq!(files_in(ops.as_ref(), &top, staged).unwrap(), (1..=20).collect());
        assert!(!is_unveiled(ops.as_ref(), &top, 0).unwrap());
        shelves.unveil(0, &root, b"day").unwrap();
        assert_eq!(fs::read_dir(folder.path().join("day")).unwrap().count(), 20);
        assert!(is_unveiled(ops.as_ref(), &top, 0).unwrap());
        assert!(files_in(ops.as_ref(), &top, staged).unwrap().is_empty());
        put(1).unwrap();
        assert!(folder.path().join("hidden/folder 0/00").exists());
    }
}
