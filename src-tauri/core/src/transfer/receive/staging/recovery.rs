//! Recovery: checks what an earlier attempt left in the staging directory before it counts. Blocking.
//!
//! After a restart every claimed byte is read from the disk and hashed, whatever the journal says: a power cut may
//! have kept the journal and lost data. Within one run of the node, written data is known to be what was hashed.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, BufReader},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cap_std::fs::Dir;

use super::journal::{self, JournalContent};
use crate::{
    budget::{unless_short, with_descriptor},
    error::is_out_of_files,
    fs::ops::FileOps,
    id::TransferId,
    transfer::{
        protocol::{
            hash_tree::Held,
            index_set::IndexSet,
            limits::{CHUNK, SEGMENT},
            manifest::Manifest,
        },
        receive::staging::{DiskError, FolderGroups, StagingDir, files_in, is_renamed, temp_name},
        segments::hash::hash_of,
    },
};

/// Reason why a transfer cannot be resumed.
#[derive(Debug)]
pub enum Unrecoverable {
    /// The destination folder is not available now; it may come back.
    Destination(io::Error),
    /// The staging directory or its journal is missing.
    Gone(io::Error),
    /// The file system refuses it.
    Disk(DiskError),
    /// The source changed so often that the journal has grown too large.
    Unsteady,
    /// The caller cancelled the check.
    Stopped,
}

impl From<DiskError> for Unrecoverable {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Verified content of the staging directory.
pub struct Recovery {
    /// The staging directory.
    pub temp: StagingDir,
    /// Created folders with their names.
    pub folders: HashMap<u32, Vec<u8>>,
    /// Files that have been named.
    pub whole: IndexSet,
    /// Bytes of these files.
    pub landed: u64,
    /// Verified segments of the other files.
    pub held: HashMap<u32, Held>,
}

/// Reopens the staging directory of a transfer and verifies its content. `accepted` is the accepted manifest, `now`
/// the manifest with the later changes. `read_again` is false if this run of the node has written all of the data.
///
/// # Errors
/// See [`Unrecoverable`].
pub fn recover(
    ops: &Arc<dyn FileOps>,
    dest: &Path,
    id: &TransferId,
    (accepted, now): (&Manifest, &Arc<Manifest>),
    read_again: bool,
    stop: &AtomicBool,
) -> Result<Recovery, Unrecoverable> {
    let dest = ops.open_root(dest).map_err(away)?;
    let dir = ops.open_dir(&dest, temp_name(id).as_bytes()).map_err(gone)?;
    let file = ops.open_read(&dir, journal::NAME).map_err(gone)?;
    let mut account = journal::read(BufReader::new(file), accepted).map_err(gone)?;
    if !now.is_growing() && account.end > longest_account(now, accepted.total().saturating_add(now.total())) {
        return Err(Unrecoverable::Unsteady);
    }
    let listing = |error| DiskError::new("listing unfinished files", error);
    let staged = FolderGroups::noted(now, &account.staged).ok_or_else(|| gone(io::ErrorKind::InvalidData.into()))?;
    let there = files_in(ops.as_ref(), &dir, &staged).map_err(listing)?;
    let mut whole = IndexSet::none(accepted.len());
    for file in account.naming.iter().filter(|file| !there.contains(file)) {
        whole.insert(file);
    }
    note_renamed(ops.as_ref(), &dir, &staged, &whole, &mut account).map_err(listing)?;
    let sizes = whole.iter().filter_map(|file| account.landed(accepted, file));
    let landed = sizes.fold(0, u64::saturating_add);
    let folders = folders(ops.as_ref(), &dest, accepted, &account.folders).map_err(listing)?;
    let temp = StagingDir::going_on(ops.clone(), dest, dir, id, staged, account.end)?;
    if now.is_growing() {
        let there = unless_short(temp.open_read(0)).map_err(away)?;
        let there = there.and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        // The file may have been named already, or be shorter after a power cut.
        let noted = account.segments.get(&0).and_then(|noted| noted.last_key_value());
        let noted = noted.map_or(0, |(last, _)| (u64::from(*last) + 1).saturating_mul(SEGMENT));
        let bytes = there.max(noted).max(account.landed(accepted, 0).unwrap_or(0));
        if account.end > longest_account(now, bytes) {
            return Err(Unrecoverable::Unsteady);
        }
    }
    let mut held = HashMap::new();
    for file in there {
        let segments = account.segments.remove(&file).unwrap_or_default();
        let size = now.size(file).filter(|_| is_same(&account, accepted, now, file));
        let found = match size {
            Some(size) if !segments.is_empty() => match unless_short(temp.open_read(file)).map_err(away)? {
                Some(open) => check(&open, size, &segments, read_again, stop)?,
                None => Held::default(),
            },
            _ => Held::default(),
        };
        if found.count() > 0 {
            held.insert(file, found);
        } else {
            temp.start_anew(now, file)?;
            if now.size(file).is_none() {
                temp.discard(file)?;
            }
        }
    }
    // Files that changed before any data came: the journal must note the version that comes now.
    for file in (0..now.len()).filter(|file| !whole.contains(*file) && !held.contains_key(file)) {
        if now.size(file).is_some() && !is_same(&account, accepted, now, file) {
            temp.start_anew(now, file)?;
        }
    }
    temp.journal().flush()?;
    Ok(Recovery { temp, folders, whole, landed, held })
}

/// Returns the longest journal that an honest transfer of `bytes` bytes needs: a few notes for each entry and each
/// segment. The limit exists because each attempt may add notes for changed files, and a peer may make any number of
/// attempts.
fn longest_account(list: &Manifest, bytes: u64) -> u64 {
    const BASE: u64 = 256 * 1024;
    const OF_ENTRY: u64 = 1024;
    const OF_SEGMENT: u64 = 256;
    let segments = bytes / SEGMENT;
    BASE.saturating_add(u64::from(list.len()) * OF_ENTRY).saturating_add(segments.saturating_mul(OF_SEGMENT))
}

/// Classifies an error: missing or foreign files are `Gone`. Other errors may be temporary, so received data stays.
fn gone(error: io::Error) -> Unrecoverable {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidData
        | io::ErrorKind::UnexpectedEof => Unrecoverable::Gone(error),
        _ => away(error),
    }
}

/// Classifies an error of something that cannot be reached now.
fn away(error: io::Error) -> Unrecoverable {
    match is_out_of_files(&error) {
        true => Unrecoverable::Disk(DiskError::new("opening unfinished files", error)),
        false => Unrecoverable::Destination(error),
    }
}

/// Creates the staging directory if it is missing.
///
/// # Errors
/// See [`Unrecoverable`].
pub fn make_sure(ops: &Arc<dyn FileOps>, dest: &Path, id: &TransferId) -> Result<(), Unrecoverable> {
    let root = ops.open_root(dest).map_err(away)?;
    match ops.open_dir(&root, temp_name(id).as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            StagingDir::create(ops.clone(), dest, id)?.journal().flush()?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Returns true if the staged data belongs to the file's present version. Not used for files that have been named.
fn is_same(account: &JournalContent, accepted: &Manifest, now: &Manifest, file: u32) -> bool {
    let wanted = now.get(file).and_then(|entry| Some((entry.size()?, entry.mtime)));
    wanted.is_some() && account.version(accepted, file) == wanted
}

/// Returns the segments whose data has the noted hash.
fn check(
    file: &File,
    size: u64,
    segments: &BTreeMap<u32, [u8; 32]>,
    read_again: bool,
    stop: &AtomicBool,
) -> Result<Held, Unrecoverable> {
    let mut held = Held::default();
    let mut buffer = if read_again { vec![0; CHUNK as usize] } else { Vec::new() };
    for (segment, hash) in segments {
        if stop.load(Ordering::Relaxed) {
            return Err(Unrecoverable::Stopped);
        }
        if !read_again || hash_of(file, size, *segment, &mut buffer) == Some(*hash) {
            held.insert(*segment, *hash);
        }
    }
    Ok(held)
}

/// Marks folders that were renamed as a whole as created, even if a kill or power cut came before that was noted:
/// their folder has left the staging directory.
fn note_renamed(
    ops: &dyn FileOps,
    dir: &Dir,
    staged: &FolderGroups,
    whole: &IndexSet,
    account: &mut JournalContent,
) -> io::Result<()> {
    for folder in staged.folders() {
        let noted = account.folders.get(&folder);
        let named = staged.files(folder).is_some_and(|mut files| files.all(|file| whole.contains(file)));
        if named && noted.is_none_or(|(_, made)| !made) && is_renamed(ops, dir, folder)? {
            let name = noted.map(|(name, _)| name.clone()).or_else(|| staged.wanted(folder));
            account.folders.extend(name.map(|name| (folder, (name, true))));
        }
    }
    Ok(())
}

/// Returns the names of the folders that this transfer created. A folder whose creation was begun but not noted as
/// done is ours if it exists and is empty.
fn folders(
    ops: &dyn FileOps,
    dest: &Dir,
    manifest: &Manifest,
    noted: &HashMap<u32, (Vec<u8>, bool)>,
) -> io::Result<HashMap<u32, Vec<u8>>> {
    let mut named: HashMap<u32, Vec<u8>> = HashMap::new();
    // Parents come before their children.
    let mut rising: Vec<_> = noted.iter().collect();
    rising.sort_unstable_by_key(|(index, _)| **index);
    for (index, (name, made)) in rising {
        let empty = || unless_short(is_empty_folder(ops, dest, manifest, &named, *index, name));
        let ours = *made || empty()?.unwrap_or(false);
        if ours {
            named.insert(*index, name.clone());
        }
    }
    Ok(named)
}

fn is_empty_folder(
    ops: &dyn FileOps,
    dest: &Dir,
    manifest: &Manifest,
    named: &HashMap<u32, Vec<u8>>,
    index: u32,
    name: &[u8],
) -> io::Result<bool> {
    let mut above = Vec::new();
    let mut at = manifest.get(index).and_then(|entry| entry.parent);
    while let Some(parent) = at {
        above.push(named.get(&parent).ok_or(io::ErrorKind::NotFound)?);
        at = manifest.get(parent).and_then(|entry| entry.parent);
    }
    let mut dir = with_descriptor(|| dest.try_clone())?;
    for name in above.into_iter().rev() {
        dir = ops.open_dir(&dir, name)?;
    }
    let dir = ops.open_dir(&dir, name)?;
    Ok(with_descriptor(|| dir.entries())?.next().is_none())
}
