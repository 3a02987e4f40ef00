//! What is on record of a transfer, so that it goes on after the node was stopped or killed.
//!
//! One row holds what people see and what both sides agreed on; the manifest, which may be long, lies in rows of its
//! own beside it, in pages as they travel.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    TransferError,
    limits::PAGE_BYTES,
    manifest::{Manifest, ManifestBuilder},
    source::{Named, Parent, Root},
    wire::{Entry, SenderFrame, decode},
};
use crate::{
    api::{ConflictRule, Given, TransferOptions, TransferView},
    error::NetworkError,
    id::TransferId,
    storage::{Op, Store, Table},
};

/// Version of the record on disk.
const RECORD: u8 = 1;
/// Numbers of rows beside that of a transfer which hold paths; those without it hold its manifest.
const PATHS: u32 = 1 << 31;

/// The row of one transfer.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    version: u8,
    pub view: TransferView,
    /// Bytes of the path in which unfinished files may lie: it need not be UTF-8.
    landing: Option<Vec<u8>>,
    #[serde(default)]
    pub terms: Option<Terms>,
    /// The code that says why it is held here, if it is.
    #[serde(default)]
    pub held: Option<String>,
    /// Unix time in seconds since when it waits for the other device, if it does.
    #[serde(default)]
    pub waits_since: Option<u64>,
}

/// What is needed to go on, besides what people see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Terms {
    /// It goes from here.
    Outgoing(Outgoing),
    /// It comes here, and was accepted.
    Incoming(Incoming),
}

/// A transfer from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outgoing {
    /// What the person named.
    pub(super) paths: Vec<Vec<u8>>,
    /// What is known of each of them, in the same order. An earlier version knew nothing.
    #[serde(default)]
    pub(super) given: Vec<Given>,
    pub options: TransferOptions,
    /// What the receiver accepted; before that, the paths are listed anew each time.
    pub accepted: Option<Accepted>,
    /// It was stopped here, and the receiver has not heard of it.
    pub untold: bool,
    /// Its place among those from here: the lowest comes first.
    #[serde(default)]
    pub rank: u32,
    /// What could not be offered, by the code of its reason.
    #[serde(default)]
    pub skipped: BTreeMap<String, u64>,
    /// In how many rows beside this one paths are kept: see [`put_paths`].
    #[serde(default)]
    pub rows: u32,
    /// These paths are all that is to be sent of what the person named; once it has ended, all that is missing of it.
    /// Otherwise they are what could not be offered.
    #[serde(default)]
    pub part: bool,
    /// The accepted list is a part of what the person named, although `part` does not say so any more. Where nothing of it
    /// arrives, sending it again sends that part and not the whole.
    #[serde(default)]
    pub was_part: bool,
}

/// Where the entries of an accepted manifest lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Accepted {
    roots: Vec<(u32, Vec<u8>)>,
    /// The folders that these lay in.
    #[serde(default)]
    parents: Vec<(u32, Parent)>,
    pub pages: u32,
}

/// A transfer that was accepted here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Incoming {
    /// Its data is sealed.
    pub encrypt: bool,
    /// Its chunks may be compressed.
    #[serde(default)]
    pub compress: bool,
    /// Bytes that were agreed to.
    pub total: u64,
    /// Entries of its manifest.
    pub entries: u32,
    /// Pages in which it is kept in rows beside this one, where `list` is 0.
    pub pages: u32,
    /// Its hash as the sender gave it.
    pub hash: [u8; 32],
    /// What a person chose of it; none means all.
    #[serde(default)]
    pub only: Option<Vec<u32>>,
    /// What is done where a name is taken.
    #[serde(default)]
    pub conflict: ConflictRule,
    /// Bytes that its list takes in memory. The list lies with the unfinished files; 0 where it is kept in rows beside this
    /// one, as by earlier versions.
    #[serde(default)]
    pub list: u64,
    /// What it was charged so far, where a rule or a setting accepted it and nobody was asked. See [`super::quota`].
    #[serde(default)]
    pub charged: Option<u64>,
}

impl Incoming {
    /// Bytes that its list takes in memory.
    pub(super) fn memory(&self) -> u64 {
        // Of one that is kept in rows it is not known, and names are seldom longer than that.
        if self.list > 0 { self.list } else { u64::from(self.entries) * 56 }
    }

    /// Nobody was asked.
    pub(super) fn is_unattended(&self) -> bool {
        self.charged.is_some()
    }
}

impl Outgoing {
    pub(super) fn new(named: &[Named], options: TransferOptions) -> Self {
        let paths = named.iter().map(|named| path_bytes(&named.path)).collect();
        // A file system may have another number after a restart.
        let given = named.iter().map(|named| Given { seen: None, ..named.given.clone() }).collect();
        Self {
            paths,
            given,
            options,
            accepted: None,
            untold: false,
            rank: 0,
            skipped: BTreeMap::new(),
            rows: 0,
            part: false,
            was_part: false,
        }
    }

    pub(super) fn named(&self) -> Vec<Named> {
        let given = self.given.iter().cloned().chain(std::iter::repeat_with(Given::default));
        let paths = self.paths.iter().cloned().map(path_from);
        paths.zip(given).map(|(path, given)| Named { path, given }).collect()
    }

    /// The stream that is still being read for it, if that is what is sent.
    pub(super) fn growing(&self) -> Option<PathBuf> {
        self.named().into_iter().find(|named| named.given.growing).map(|named| named.path)
    }

    /// Streams that were read for it.
    pub(super) fn spooled(&self) -> impl Iterator<Item = PathBuf> {
        self.named().into_iter().filter(|named| named.given.spooled).map(|named| named.path)
    }
}

impl Accepted {
    pub(super) fn new<'a>(roots: impl Iterator<Item = (u32, &'a Root)>, pages: u32) -> Self {
        let (mut paths, mut parents) = (Vec::new(), Vec::new());
        for (index, root) in roots {
            paths.push((index, path_bytes(&root.path)));
            parents.extend(root.parent.map(|parent| (index, parent)));
        }
        Self { roots: paths, parents, pages }
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = (u32, Root)> + '_ {
        self.roots.iter().map(|(index, path)| {
            let parent = self.parents.iter().find(|(of, _)| of == index).map(|(_, parent)| *parent);
            (*index, Root::kept(path_from(path.clone()), parent))
        })
    }
}

impl Terms {
    fn pages(&self) -> u32 {
        match self {
            Self::Outgoing(terms) => terms.accepted.as_ref().map_or(0, |accepted| accepted.pages),
            Self::Incoming(terms) => terms.pages,
        }
    }

    /// In how many rows paths are kept.
    pub(super) fn rows(&self) -> u32 {
        match self {
            Self::Outgoing(terms) => terms.rows,
            Self::Incoming(_) => 0,
        }
    }
}

impl Record {
    /// As it was written; none where this version cannot read it.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(value).ok().filter(|record| record.version == RECORD)
    }

    pub(super) fn landing(&self) -> Option<PathBuf> {
        self.landing.clone().map(path_from)
    }
}

/// The row as it is now.
pub(super) fn put(
    view: &TransferView,
    landing: Option<&Path>,
    terms: Option<&Terms>,
    held: Option<&str>,
    waits_since: Option<u64>,
) -> Result<Op, NetworkError> {
    let record = Record {
        version: RECORD,
        view: view.clone(),
        landing: landing.map(path_bytes),
        terms: terms.cloned(),
        held: held.map(str::to_owned),
        waits_since,
    };
    let value = serde_json::to_vec(&record).map_err(|error| NetworkError::Internal(error.to_string()))?;
    Ok(Op::put(Table::Transfers, view.id.as_bytes().as_slice(), value))
}

/// Whether this row is one of a manifest, which has a longer key than a transfer.
pub(super) fn is_page(key: &[u8]) -> bool {
    key.len() > 16
}

/// The transfer whose manifest this row is of.
pub(super) fn page_of(key: &[u8]) -> Option<TransferId> {
    Some(TransferId::from_random(key.get(..16)?.try_into().ok()?))
}

fn page_key(id: TransferId, index: u32) -> Vec<u8> {
    [id.as_bytes().as_slice(), &index.to_be_bytes()].concat()
}

/// The first byte of a page's row. The earliest ones began with the frame itself, and had no modes.
const PAGE_FORM: u8 = 2;

/// The rows of a manifest, and how many they are.
pub(super) fn put_pages(id: TransferId, manifest: &Manifest) -> Result<(Vec<Op>, u32), NetworkError> {
    let mut ops = Vec::new();
    for (index, page) in (0..).zip(manifest.pages()) {
        let page = [vec![PAGE_FORM], page.map_err(TransferError::Violation)?].concat();
        ops.push(Op::put(Table::Transfers, page_key(id, index), page));
    }
    let pages = u32::try_from(ops.len()).unwrap_or(u32::MAX);
    Ok((ops, pages))
}

/// Removes the rows of the manifest of a transfer, and those of its paths.
pub(super) fn drop_pages(id: TransferId, terms: Option<&Terms>) -> impl Iterator<Item = Op> {
    let (pages, rows) = (terms.map_or(0, Terms::pages), terms.map_or(0, Terms::rows));
    let keys = (0..pages).chain((0..rows).map(|row| row | PATHS));
    keys.map(move |index| Op::delete(Table::Transfers, page_key(id, index)))
}

/// Whether this row beside a transfer holds paths, and belongs to what is on record of it.
pub(super) fn is_row_of(key: &[u8], terms: &Terms) -> bool {
    let index = key.get(16..).and_then(|index| index.try_into().ok()).map(u32::from_be_bytes);
    index.is_some_and(|index| index & PATHS != 0 && index & !PATHS < terms.rows())
}

/// The rows of paths that belong to a transfer. There may be a million of them, so that they are not in its own row, which is
/// written often.
pub(super) fn put_paths(id: TransferId, paths: &[PathBuf]) -> Result<Vec<Op>, NetworkError> {
    let (mut ops, mut row, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut put = |row: &mut Vec<Vec<u8>>| -> Result<(), NetworkError> {
        let value = postcard::to_stdvec(&*row).map_err(|error| NetworkError::Internal(error.to_string()))?;
        let index = u32::try_from(ops.len()).unwrap_or(!PATHS) | PATHS;
        ops.push(Op::put(Table::Transfers, page_key(id, index), value));
        row.clear();
        Ok(())
    };
    for path in paths.iter().map(|path| path_bytes(path)) {
        bytes += path.len();
        row.push(path);
        if bytes > PAGE_BYTES {
            put(&mut row)?;
            bytes = 0;
        }
    }
    if !row.is_empty() {
        put(&mut row)?;
    }
    Ok(ops)
}

/// The paths from their rows; none where they are not all there.
pub(super) async fn paths(store: &Store, id: TransferId, rows: u32) -> Result<Option<Vec<PathBuf>>, NetworkError> {
    let mut paths = Vec::new();
    for row in 0..rows {
        let Some(bytes) = store.get(Table::Transfers, &page_key(id, row | PATHS)).await? else { return Ok(None) };
        let Ok(more) = postcard::from_bytes::<Vec<Vec<u8>>>(&bytes) else { return Ok(None) };
        paths.extend(more.into_iter().map(path_from));
    }
    Ok(Some(paths))
}

/// The manifest from its rows; none where they are not all there.
pub(super) async fn manifest(store: &Store, id: TransferId, pages: u32) -> Result<Option<Manifest>, NetworkError> {
    let mut builder = ManifestBuilder::default();
    for index in 0..pages {
        let Some(bytes) = store.get(Table::Transfers, &page_key(id, index)).await? else { return Ok(None) };
        let Some(entries) = entries(&bytes) else { return Ok(None) };
        for entry in &entries {
            builder.push(entry).map_err(TransferError::Violation)?;
        }
    }
    Ok(Some(builder.finish()))
}

fn entries(row: &[u8]) -> Option<Vec<Entry>> {
    match row.split_first() {
        Some((&PAGE_FORM, page)) => match decode(page) {
            Ok(SenderFrame::Page(page)) => Some(page.entries),
            _ => None,
        },
        _ => early::entries(row),
    }
}

/// Pages as they were kept before entries had modes.
mod early {
    use serde::Deserialize;

    use crate::transfer::wire::{Entry, EntryKind, Mtime};

    #[derive(Deserialize)]
    struct Early {
        parent: u32,
        name: String,
        mtime: Mtime,
        kind: Kind,
    }

    #[derive(Deserialize)]
    enum Kind {
        Folder,
        File { size: u64, executable: bool },
    }

    /// The number of the frame, the page's number, its entries.
    type Row = (u8, u32, Vec<Early>);

    pub fn entries(row: &[u8]) -> Option<Vec<Entry>> {
        let (1, _, entries) = postcard::from_bytes::<Row>(row).ok()? else { return None };
        Some(entries.into_iter().map(Entry::from).collect())
    }

    impl From<Early> for Entry {
        fn from(early: Early) -> Self {
            let Early { parent, name, mtime, kind } = early;
            let (kind, mode) = match kind {
                Kind::Folder => (EntryKind::Folder, None),
                // Who might read it might execute it.
                Kind::File { size, executable } => (EntryKind::File { size }, executable.then_some(0o755)),
            };
            Self { parent, name: name.into(), mtime, mode, kind }
        }
    }
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    let text: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    text.into()
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{
        manifest::tests::{entry, file},
        wire::{EntryKind, encode},
    };

    #[test]
    fn pages_are_read_in_the_form_of_today_and_in_the_earliest() {
        let kept = [
            entry(0, "a", EntryKind::Folder),
            Entry { mode: Some(0o755), ..entry(1, "b", file(300)) },
            entry(1, "c", file(0)),
        ];
        let page = crate::transfer::wire::Page { index: 0, entries: kept.to_vec() };
        let now = [vec![PAGE_FORM], encode(&SenderFrame::Page(page)).unwrap()].concat();
        assert_eq!(entries(&now).unwrap(), kept);
        // As it was written by the version before: parent, name, time, and kind with the length and executable.
        let folder = [&[0, 1, b'a', 0, 0, 0][..]].concat();
        let files = [&[1, 1, b'b', 0, 0, 1, 0xac, 2, 1][..], &[1, 1, b'c', 0, 0, 1, 0, 0][..]].concat();
        let early = [&[1, 0, 3][..], &folder, &files].concat();
        assert_eq!(entries(&early).unwrap(), kept);
        assert_eq!(entries(b"x"), None);
    }
}
