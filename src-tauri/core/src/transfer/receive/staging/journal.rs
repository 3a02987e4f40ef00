//! Journal of a transfer's staging directory, written as data comes, so that the transfer can be resumed after a
//! kill. Blocking.
//!
//! Records are only appended. Each has its length and a checksum; the first one that does not match, and all after
//! it, were cut off by a kill. The journal is not trusted: anybody who can write to the folder may have written it.
//! Each number is checked against the manifest, and each hash against the data.
//!
//! ```text
//! journal = magic record*          record = length u16, check [8], postcard of a Note
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard},
};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Locked as _,
    fs::{
        names::MAX_NAME,
        ops::{FileOps, Mtime},
    },
    transfer::{
        protocol::{hash_tree::segments, index_set::IndexSet, limits::SEGMENT, manifest::Manifest},
        receive::staging::DiskError,
    },
};

/// Most numbers of files or folders in one note.
pub const MAX_NUMBERS: usize = 4096;
/// File name in the staging directory, beside files whose names are numbers.
pub const NAME: &[u8] = b"journal";
const MAGIC: &[u8; 16] = b"yonder journal 1";
const HEAD: usize = 10;
/// Bytes of file data whose notes a kill may lose.
const WEIGHT: u64 = 1024 * 1024;
/// Most bytes of buffered notes.
const BUFFER: usize = 16 * 1024;

/// Record of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalRecord {
    /// A segment of a file is written, with this hash.
    Segment {
        /// Index of the file's entry.
        file: u32,
        /// Number of the segment in the file.
        segment: u32,
        /// Hash of the segment.
        hash: [u8; 32],
    },
    /// The file has this length and time from here on, and no data of it is staged.
    Fresh {
        /// Index of the file's entry.
        file: u32,
        /// Length in bytes.
        size: u64,
        /// Modification time.
        mtime: Mtime,
    },
    /// Files that are complete and durable, and are about to be named. One that is no longer staged has its name.
    Naming(Vec<u32>),
    /// A file could not be named, and is discarded.
    Unnamed(u32),
    /// A folder is about to be created under this name.
    Folder {
        /// Index of the folder's entry.
        index: u32,
        /// Name of the folder.
        name: Vec<u8>,
    },
    /// The folder was created.
    Made(u32),
    /// Folders that are filled in the staging directory and renamed as a whole.
    FolderGroups(Vec<u32>),
    /// The growing file is complete, with this length.
    Length {
        /// Index of the file's entry.
        file: u32,
        /// Length in bytes.
        size: u64,
    },
}

/// Journal of one transfer, shared by all threads that write.
pub struct Journal {
    ops: Arc<dyn FileOps>,
    file: File,
    state: Mutex<State>,
}

struct State {
    waiting: Vec<u8>,
    weight: u64,
    at: u64,
}

impl Journal {
    /// Creates a journal in an empty file.
    pub fn new(ops: Arc<dyn FileOps>, file: File) -> Self {
        let state = State { waiting: MAGIC.to_vec(), weight: 0, at: 0 };
        Self { ops, file, state: Mutex::new(state) }
    }

    /// Continues a journal at byte `at`.
    pub fn going_on(ops: Arc<dyn FileOps>, file: File, at: u64) -> Self {
        let waiting = if at == 0 { MAGIC.to_vec() } else { Vec::new() };
        Self { ops, file, state: Mutex::new(State { waiting, weight: 0, at }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.locked()
    }

    /// Adds a note that stands for `bytes` bytes of data. It is buffered until the notes stand for `WEIGHT` bytes.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn note(&self, note: &JournalRecord, bytes: u64) -> Result<(), DiskError> {
        let mut state = self.state();
        put(&mut state.waiting, note);
        state.weight += bytes;
        if state.weight >= WEIGHT || state.waiting.len() >= BUFFER { self.write(&mut state) } else { Ok(()) }
    }

    /// Writes the buffered notes.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn flush(&self) -> Result<(), DiskError> {
        self.write(&mut self.state())
    }

    fn write(&self, state: &mut State) -> Result<(), DiskError> {
        if !state.waiting.is_empty() {
            let written = self.ops.write_at(&self.file, &state.waiting, state.at);
            written.map_err(|error| DiskError::new("keeping account of what has arrived", error))?;
            state.at += state.waiting.len() as u64;
            state.waiting.clear();
        }
        state.weight = 0;
        Ok(())
    }

    /// Makes the written notes durable.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn sync(&self) -> Result<(), DiskError> {
        self.ops.sync_file(&self.file).map_err(|error| DiskError::new("keeping account of what has arrived", error))
    }
}

fn put(out: &mut Vec<u8>, note: &JournalRecord) {
    // Our own notes are short and always encode.
    let Ok(bytes) = postcard::to_stdvec(note) else { return };
    let Ok(len) = u16::try_from(bytes.len()) else { return };
    out.extend(len.to_le_bytes());
    out.extend(check(&bytes));
    out.extend(bytes);
}

fn check(bytes: &[u8]) -> [u8; 8] {
    let mut check = [0; 8];
    check.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    check
}

/// Content of a journal, as far as the manifest permits it.
#[derive(Debug)]
pub struct JournalContent {
    /// Segments that were written, with their hashes, by file.
    pub segments: HashMap<u32, BTreeMap<u32, [u8; 32]>>,
    /// Length and time of files that differ from the manifest.
    pub versions: HashMap<u32, (u64, Mtime)>,
    /// Lengths of growing files that are complete.
    pub lengths: HashMap<u32, u64>,
    /// Files that were about to be named.
    pub naming: IndexSet,
    /// Names of folders, and whether their creation is noted as done.
    pub folders: HashMap<u32, (Vec<u8>, bool)>,
    /// Folders that are renamed as a whole.
    pub staged: IndexSet,
    /// Offset of the next record.
    pub end: u64,
}

/// Reads a journal up to where it was cut off. `manifest` is the accepted one.
///
/// # Errors
/// Returns an error if the file cannot be read or is not a journal.
pub fn read(mut from: impl Read, manifest: &Manifest) -> io::Result<JournalContent> {
    let mut account = JournalContent {
        segments: HashMap::new(),
        versions: HashMap::new(),
        lengths: HashMap::new(),
        naming: IndexSet::none(manifest.len()),
        folders: HashMap::new(),
        staged: IndexSet::none(manifest.len()),
        end: 0,
    };
    let mut magic = Vec::new();
    from.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic.len() < MAGIC.len() && MAGIC.starts_with(&magic) {
        // Killed before the first note was written.
        return Ok(account);
    }
    if magic != MAGIC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    account.end = MAGIC.len() as u64;
    loop {
        let mut head = [0; HEAD];
        if !filled(&mut from, &mut head)? {
            return Ok(account);
        }
        let [low, high, ..] = head;
        let mut bytes = vec![0; usize::from(u16::from_le_bytes([low, high]))];
        if !filled(&mut from, &mut bytes)? || head[2..] != check(&bytes) {
            return Ok(account);
        }
        let Ok(note) = postcard::from_bytes::<JournalRecord>(&bytes) else { return Ok(account) };
        account.end += (HEAD + bytes.len()) as u64;
        account.take(note, manifest);
    }
}

/// Fills the buffer. Returns false at the end of the file.
fn filled(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl JournalContent {
    /// Returns the last known length and time of a file.
    pub fn version(&self, manifest: &Manifest, file: u32) -> Option<(u64, Mtime)> {
        let listed = || manifest.get(file).and_then(|entry| Some((entry.size()?, entry.mtime)));
        self.versions.get(&file).copied().or_else(listed)
    }

    /// Returns the length of a file that has been named.
    pub fn landed(&self, manifest: &Manifest, file: u32) -> Option<u64> {
        match manifest.is_growing() {
            true => self.lengths.get(&file).copied(),
            false => self.version(manifest, file).map(|(size, _)| size),
        }
    }

    fn take(&mut self, note: JournalRecord, manifest: &Manifest) {
        let is_folder = |index| manifest.get(index).is_some_and(|entry| entry.size().is_none());
        match note {
            JournalRecord::Segment { file, segment, hash } => {
                let inside = |(size, _)| u64::from(segment) < segments(size);
                if self.version(manifest, file).is_some_and(inside) {
                    self.segments.entry(file).or_default().insert(segment, hash);
                }
            }
            JournalRecord::Fresh { file, size, mtime } => {
                if manifest.size(file).is_some() && size.div_ceil(SEGMENT) < u64::from(u32::MAX) {
                    self.versions.insert(file, (size, mtime));
                    self.segments.remove(&file);
                    self.naming.remove(file);
                }
            }
            JournalRecord::Length { file, size } => {
                if manifest.size(file).is_some() {
                    self.lengths.insert(file, size);
                }
            }
            JournalRecord::Naming(files) => {
                files.into_iter().filter(|file| manifest.size(*file).is_some()).for_each(|file| {
                    self.naming.insert(file);
                })
            }
            JournalRecord::Unnamed(file) => {
                self.naming.remove(file);
                self.segments.remove(&file);
            }
            JournalRecord::Folder { index, name } => {
                if is_folder(index) && !name.is_empty() && name.len() <= 2 * MAX_NAME {
                    self.folders.insert(index, (name, false));
                }
            }
            JournalRecord::Made(index) => {
                if let Some((_, made)) = self.folders.get_mut(&index) {
                    *made = true;
                }
            }
            JournalRecord::FolderGroups(folders) => {
                folders.into_iter().filter(|index| is_folder(*index)).for_each(|index| {
                    self.staged.insert(index);
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fs::ops::RealFiles,
        transfer::protocol::{
            frames::EntryKind,
            manifest::{
                ManifestBuilder,
                tests::{entry, file},
            },
        },
    };

    fn manifest() -> Manifest {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "d", EntryKind::Folder)).unwrap();
        builder.push(&entry(1, "small", file(5))).unwrap();
        builder.push(&entry(1, "big", file(2 * SEGMENT + 10))).unwrap();
        builder.finish()
    }

    fn bytes_of(notes: &[JournalRecord]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        notes.iter().for_each(|note| put(&mut bytes, note));
        bytes
    }

    fn notes() -> Vec<JournalRecord> {
        vec![
            JournalRecord::Folder { index: 0, name: "d (2)".into() },
            JournalRecord::Made(0),
            JournalRecord::Segment { file: 2, segment: 0, hash: [1; 32] },
            JournalRecord::Segment { file: 2, segment: 2, hash: [2; 32] },
            JournalRecord::Naming(vec![1]),
        ]
    }

    #[test]
    fn what_is_noted_is_read_again_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = Journal::new(Arc::new(RealFiles), File::create(&path).unwrap());
        for note in notes() {
            journal.note(&note, 1).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"", "few bytes are gathered");
        journal.flush().unwrap();
        let account = read(File::open(&path).unwrap(), &manifest()).unwrap();
        assert_eq!(account.folders[&0], (b"d (2)".to_vec(), true));
        assert_eq!(account.segments[&2].keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert!(account.naming.contains(1));
        assert_eq!(account.end, std::fs::metadata(&path).unwrap().len());

        let file = File::options().write(true).open(&path).unwrap();
        let more = Journal::going_on(Arc::new(RealFiles), file, account.end);
        more.note(&JournalRecord::Unnamed(1), 0).unwrap();
        more.note(&JournalRecord::Fresh { file: 2, size: 7, mtime: Mtime { secs: 1, nanos: 2 } }, WEIGHT).unwrap();
        let account = read(File::open(&path).unwrap(), &manifest()).unwrap();
        assert!(!account.naming.contains(1) && account.segments.is_empty());
        assert_eq!(account.version(&manifest(), 2), Some((7, Mtime { secs: 1, nanos: 2 })));
    }

    #[test]
    fn a_cut_at_any_byte_leaves_what_came_before() {
        let whole = bytes_of(&notes());
        let mut counts = Vec::new();
        for cut in 0..=whole.len() {
            match read(&whole[..cut], &manifest()) {
                Ok(account) => {
                    assert!(account.end <= cut as u64);
                    counts.push(account.segments.get(&2).map_or(0, BTreeMap::len));
                }
                Err(error) => panic!("cut at {cut}: {error}"),
            }
        }
        assert!(counts.is_sorted() && counts.last() == Some(&2));
        for at in MAGIC.len()..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(read(damaged.as_slice(), &manifest()).unwrap().end <= at as u64, "byte {at}");
        }
    }

    #[test]
    fn what_the_manifest_does_not_hold_is_not_believed() {
        let forged = bytes_of(&[
            JournalRecord::Segment { file: 0, segment: 0, hash: [0; 32] },
            JournalRecord::Segment { file: 2, segment: 3, hash: [0; 32] },
            JournalRecord::Segment { file: 9, segment: 0, hash: [0; 32] },
            JournalRecord::Naming(vec![0, 9, u32::MAX]),
            JournalRecord::Folder { index: 1, name: "x".into() },
            JournalRecord::Made(77),
            JournalRecord::Fresh { file: 2, size: u64::MAX, mtime: Mtime { secs: 0, nanos: 0 } },
        ]);
        let account = read(forged.as_slice(), &manifest()).unwrap();
        assert!(account.segments.is_empty() && account.folders.is_empty() && account.versions.is_empty());
        assert_eq!(account.naming.iter().count(), 0);
        assert!(read(&b"something else entirely"[..], &manifest()).is_err());
    }
}
