//! Shards of the staging directory: unfinished files lie 128 to a folder.
//!
//! In a folder of a hundred thousand files, threads that create files wait for those that remove them, and each
//! change makes the file system look at many names. Measured kernel time of the receiver was an eighth lower with 128
//! files a folder than with 1,024, and the same with 64. The first 128 files lie in the staging directory itself,
//! which is enough for most transfers. The files of a folder that is renamed as a whole (`folder_groups`) have a folder of
//! their own.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use cap_std::fs::{Dir, DirEntry, FileType};

use crate::{
    budget::{FileShare, Spare, with_descriptor},
    clock::Locked as _,
    fs::ops::{FileOps, PRIVATE_DIR},
    transfer::receive::staging::folder_groups::FolderGroups,
};

/// Files per shard.
const SHELF: u32 = 128;
/// Most shards kept open.
const OPEN_SHELVES: usize = 64;
const NAME: &str = "from ";
const STAGED: &str = "folder ";

/// Folders that hold the unfinished files of one transfer.
pub(in crate::transfer) struct Shards {
    ops: Arc<dyn FileOps>,
    top: Arc<Dir>,
    staged: OnceLock<FolderGroups>,
    files: FileShare,
    open: Mutex<HashMap<Shard, (Arc<Dir>, Spare)>>,
}

/// Identifies a folder in the staging directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shard {
    /// Files from this number on.
    From(u32),
    /// Files of this folder of the offer.
    Folder(u32),
}

impl Shard {
    fn name(self) -> String {
        match self {
            Self::From(first) => format!("{NAME}{first}"),
            Self::Folder(folder) => format!("{STAGED}{folder}"),
        }
    }
}

impl Shards {
    pub fn new(ops: Arc<dyn FileOps>, top: Arc<Dir>) -> Self {
        Self { ops, top, staged: OnceLock::new(), files: FileShare::alone(), open: Mutex::default() }
    }

    /// Limits the open shards to this share.
    pub fn sharing(self, files: FileShare) -> Self {
        // Shards that were open are counted in another share.
        Self { files, open: Mutex::default(), ..self }
    }

    /// Sets the folders that are renamed as a whole. Must be called before the first file is created; only the first
    /// call counts.
    pub fn stage(&self, staged: FolderGroups) {
        let _ = self.staged.set(staged);
    }

    /// Returns the folders that are renamed as a whole.
    pub fn staged(&self) -> Option<&FolderGroups> {
        self.staged.get()
    }

    /// Returns the folder and the name of a staged file. With `make` the folder is created if it is missing.
    pub fn of(&self, file: u32, make: bool) -> io::Result<(Arc<Dir>, Vec<u8>)> {
        let staged = self.staged().and_then(|staged| Some((staged.of(file)?, staged.name(file)?)));
        if let Some((folder, name)) = staged {
            return Ok((self.shard(Shard::Folder(folder), make)?, name.to_owned()));
        }
        let dir = match file - file % SHELF {
            0 => self.top.clone(),
            first => self.shard(Shard::From(first), make)?,
        };
        Ok((dir, file.to_string().into_bytes()))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Shard, (Arc<Dir>, Spare)>> {
        self.open.locked()
    }

    fn shard(&self, shard: Shard, make: bool) -> io::Result<Arc<Dir>> {
        // Locked while the folder is created: concurrent callers need it too.
        let mut open = self.open();
        if let Some((dir, _)) = open.get(&shard) {
            return Ok(dir.clone());
        }
        let name = shard.name();
        let dir = match self.ops.open_dir(&self.top, name.as_bytes()) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                // A folder that people see later gets the mode of the sender's folder.
                let mode = match shard {
                    Shard::From(_) => Some(PRIVATE_DIR),
                    Shard::Folder(folder) => self.staged().and_then(|staged| staged.mode(folder)),
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
            open.insert(shard, (dir.clone(), spare));
        }
        Ok(dir)
    }

    /// Counts the entries of a folder that is renamed as a whole.
    pub fn count(&self, folder: u32) -> io::Result<usize> {
        let dir = self.shard(Shard::Folder(folder), false)?;
        with_descriptor(|| dir.entries())?.try_fold(0, |count, entry| entry.map(|_| count + 1))
    }

    /// Renames such a folder to its final name, with all its files. A taken name is never replaced.
    pub fn rename_folder(&self, folder: u32, to: &Dir, name: &[u8]) -> io::Result<()> {
        let shard = Shard::Folder(folder);
        // Locked meanwhile, so that no late file is put into the folder after people see it.
        let mut open = self.open();
        self.ops.rename_folder(&self.top, shard.name().as_bytes(), to, name)?;
        open.remove(&shard);
        Ok(())
    }
}

fn is_shelf(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(is_number)
}

/// Returns the folder of the offer that a shard name stands for.
fn staged_in(name: &str) -> Option<u32> {
    name.strip_prefix(STAGED).filter(|number| is_number(number))?.parse().ok()
}

/// Returns true if this is a number as it is written here, without leading zeros.
fn is_number(name: &str) -> bool {
    name.parse::<u32>().is_ok_and(|number| number.to_string() == name)
}

/// Returns the type of an entry without following links. Some file systems do not list it, so it is looked up then.
fn kind(entry: &DirEntry) -> io::Result<FileType> {
    match entry.file_type()? {
        known if known.is_file() || known.is_dir() || known.is_symlink() => Ok(known),
        _ => Ok(entry.metadata()?.file_type()),
    }
}

/// Returns the names of the existing shards of both kinds. Links and files of such a name are ignored.
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

/// Returns the numbers of the unfinished files. Only regular files count: opening anything else might block forever.
///
/// # Errors
/// Returns an error if any shard cannot be listed: a file noted as `Naming` that is not found would count as named.
pub fn files_in(ops: &dyn FileOps, top: &Dir, staged: &FolderGroups) -> io::Result<HashSet<u32>> {
    let numbered = |name: &str| name.parse().ok().filter(|file| is_number(name) && staged.of(*file).is_none());
    let mut found = HashSet::new();
    for shard in all(top)? {
        match staged_in(&shard) {
            None => gather(&ops.open_dir(top, shard.as_bytes())?, &mut found, numbered)?,
            Some(folder) => {
                let files = staged.by_name(folder);
                let named = |name: &str| files.get(name.to_ascii_lowercase().as_bytes()).copied();
                gather(&ops.open_dir(top, shard.as_bytes())?, &mut found, named)?;
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

/// Returns true if a folder that is renamed as a whole has left the staging directory.
///
/// # Errors
/// Returns an error if that cannot be determined.
pub fn is_renamed(ops: &dyn FileOps, top: &Dir, folder: u32) -> io::Result<bool> {
    match ops.stat(top, Shard::Folder(folder).name().as_bytes()) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Removes the shards and our files in them. Files of others stay, and their shard too.
pub(super) fn clear(ops: &dyn FileOps, top: &Dir, staged: Option<&FolderGroups>) -> io::Result<()> {
    for name in all(top)? {
        let Ok(shard) = ops.open_dir(top, name.as_bytes()) else { continue };
        let named = staged_in(&name).zip(staged).map(|(folder, staged)| staged.by_name(folder));
        let ours = |file: &str| match &named {
            Some(named) => named.contains_key(file.to_ascii_lowercase().as_bytes()),
            None => staged_in(&name).is_some() || is_number(file),
        };
        for entry in with_descriptor(|| shard.entries())?.flatten() {
            if let Some(file) = entry.file_name().to_str().filter(|file| ours(file))
                && let Err(error) = ops.remove_file(&shard, file.as_bytes())
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
    use crate::{
        fs::ops::{RealFiles, faulty::Faulty},
        transfer::protocol::{
            frames::EntryKind,
            manifest::{
                ManifestBuilder,
                tests::{entry, file},
            },
        },
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
        let shards = Shards::new(ops.clone(), top.clone());
        for file in [0, 127, 128, 255, 5000] {
            let (shard, name) = shards.of(file, true).unwrap();
            ops.create_file(&shard, &name, None).unwrap();
        }
        for place in ["0", "127", "from 128/128", "from 128/255", "from 4992/5000"] {
            assert!(hidden.join(place).is_file(), "{place}");
        }
        assert_eq!(shards.of(9000, false).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!hidden.join("from 8960").exists());

        fs::write(hidden.join("from 128/somebody's"), "").unwrap();
        fs::create_dir(hidden.join("from 128/150")).unwrap();
        fs::create_dir(hidden.join("from somewhere")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("outside"), hidden.join("from 256")).unwrap();
        let none = FolderGroups::choose(&Arc::default());
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
        let shards = Shards::new(ops.clone(), top.clone());
        shards.stage(FolderGroups::choose(&manifest));
        let put = |file| {
            let (shard, name) = shards.of(file, true).unwrap();
            ops.create_file(&shard, &name, None).map(drop)
        };
        (1..=20).for_each(|file| put(file).unwrap());
        // A numbered file is not counted if the file belongs to a folder that is renamed as a whole.
        ops.create_file(&top, b"3", None).unwrap();
        let staged = shards.staged().unwrap();
        assert_eq!(files_in(ops.as_ref(), &top, staged).unwrap(), (1..=20).collect());
        assert!(!is_renamed(ops.as_ref(), &top, 0).unwrap());
        shards.rename_folder(0, &root, b"day").unwrap();
        assert_eq!(fs::read_dir(folder.path().join("day")).unwrap().count(), 20);
        assert!(is_renamed(ops.as_ref(), &top, 0).unwrap());
        assert!(files_in(ops.as_ref(), &top, staged).unwrap().is_empty());
        put(1).unwrap();
        assert!(folder.path().join("hidden/folder 0/00").exists());
    }
}
