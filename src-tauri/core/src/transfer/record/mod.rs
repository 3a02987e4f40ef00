//! Record of a transfer on disk, from which it is resumed after a stop or a kill.
//!
//! One row holds the view and the agreed terms. The manifest, which may be large, has rows of its own beside it: its
//! pages as on the wire.

mod stored;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use zeroize::Zeroizing;

use stored::{StoredConflict, StoredGiven, StoredOptions, StoredTransfer, VERSION};

use super::TransferError;
use crate::{
    api::{ConflictRule, Given, TransferOptions, TransferView},
    datadir::{ListStoredAs, StoredAs},
    error::NetworkError,
    id::TransferId,
    storage::{KeyOrder, KeyRange, Op, Store, Table},
    transfer::{
        named::{Named, Parent, Root},
        protocol::{
            frames::{Entry, SenderFrame, decode},
            limits::PAGE_BYTES,
            manifest::{Manifest, ManifestBuilder},
            reason::Reason,
        },
    },
};

/// Flag in the number of a side row that holds paths. Rows without it hold the manifest.
const PATHS: u32 = 1 << 31;
/// Most rows that are read at once.
const ROWS_AT_ONCE: usize = 1000;

/// Record of one transfer. See [`StoredTransfer`] for its form on the disk.
pub(super) struct Record {
    pub view: TransferView,
    /// Destination folder.
    pub destination: Option<PathBuf>,
    pub terms: Option<ResumeTerms>,
    /// Reason while paused on this side.
    pub held: Option<Reason>,
    /// Unix time in seconds since which the transfer waits for its peer.
    pub waits_since: Option<u64>,
}

/// Terms needed to resume a transfer, besides its view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ResumeTerms {
    /// Outgoing transfer.
    Outgoing(Outgoing),
    /// Accepted incoming transfer.
    Incoming(Incoming),
}

/// Terms of an outgoing transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outgoing {
    /// Paths that the person named, as bytes.
    pub(super) paths: Vec<Vec<u8>>,
    /// Details that are known of each path, in the same order. Missing in records of earlier versions.
    #[serde(default, with = "ListStoredAs::<StoredGiven>")]
    pub(super) given: Vec<Given>,
    #[serde(with = "StoredAs::<StoredOptions>")]
    pub options: TransferOptions,
    /// Source as accepted by the receiver. Before that, the paths are listed again at each attempt.
    pub accepted: Option<AcceptedSource>,
    /// True if the transfer was stopped on this side and the receiver does not know yet.
    #[serde(rename = "untold")]
    pub cancel_unacknowledged: bool,
    /// Rank among the outgoing transfers; the lowest is first.
    #[serde(default)]
    pub rank: u32,
    /// Number of entries that could not be offered, by reason code.
    #[serde(default)]
    pub skipped: BTreeMap<String, u64>,
    /// Number of side rows that hold paths: see [`put_paths`].
    #[serde(default)]
    pub rows: u32,
    /// Meaning of the path rows. If true, they list the part of the named paths to send; once the transfer has ended,
    /// they list what is missing. If false, they list the paths that could not be offered.
    #[serde(default)]
    pub part: bool,
    /// True if the accepted manifest is a part of the named paths, although `part` has been cleared. If nothing of it
    /// arrives, a retry sends that part and not everything.
    #[serde(default)]
    pub was_part: bool,
}

/// Locations of the entries of an accepted manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AcceptedSource {
    roots: Vec<(u32, Vec<u8>)>,
    /// Parent folders of the top-level entries.
    #[serde(default)]
    parents: Vec<(u32, Parent)>,
    pub pages: u32,
}

/// Terms of an accepted incoming transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Incoming {
    /// True if the data is sealed.
    pub encrypt: bool,
    /// True if chunks may be compressed.
    #[serde(default)]
    pub compress: bool,
    /// Bytes that were agreed on.
    pub total: u64,
    /// Entries of the manifest.
    pub entries: u32,
    /// Number of side rows that hold the manifest, if `list` is 0.
    pub pages: u32,
    /// Hash of the manifest as the sender gave it.
    pub hash: [u8; 32],
    /// Entries that a person chose; `None` means all.
    #[serde(default)]
    pub only: Option<Vec<u32>>,
    /// Rule for names that are taken.
    #[serde(default, with = "StoredAs::<StoredConflict>")]
    pub conflict: ConflictRule,
    /// Bytes that the manifest takes in memory. It lies in the staging directory then; 0 if it lies in side rows, as
    /// in earlier versions.
    #[serde(default)]
    pub list: u64,
    /// Bytes charged so far, if a rule or setting accepted the transfer. See [`crate::transfer::receive::quota`].
    #[serde(default)]
    pub charged: Option<u64>,
}

impl Incoming {
    /// Returns the bytes that the manifest takes in memory.
    pub(super) fn memory(&self) -> u64 {
        // Estimated for manifests in side rows: names are seldom longer.
        if self.list > 0 { self.list } else { u64::from(self.entries) * 56 }
    }

    /// Returns true if a rule or setting accepted the transfer.
    pub(super) fn is_unattended(&self) -> bool {
        self.charged.is_some()
    }
}

impl Outgoing {
    pub(super) fn new(named: &[Named], options: TransferOptions) -> Self {
        let paths = named.iter().map(|named| path_bytes(&named.path)).collect();
        // The device number of a volume may change at a restart.
        let given = named.iter().map(|named| Given { seen: None, ..named.given.clone() }).collect();
        Self {
            paths,
            given,
            options,
            accepted: None,
            cancel_unacknowledged: false,
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

    /// Returns the spooled stream that is still being read, if the transfer sends one.
    pub(super) fn growing(&self) -> Option<PathBuf> {
        self.named().into_iter().find(|named| named.given.growing).map(|named| named.path)
    }

    /// Returns the spooled streams of the transfer.
    pub(super) fn spooled(&self) -> impl Iterator<Item = PathBuf> {
        self.named().into_iter().filter(|named| named.given.spooled).map(|named| named.path)
    }
}

impl AcceptedSource {
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

impl ResumeTerms {
    fn pages(&self) -> u32 {
        match self {
            Self::Outgoing(terms) => terms.accepted.as_ref().map_or(0, |accepted| accepted.pages),
            Self::Incoming(terms) => terms.pages,
        }
    }

    /// Returns the number of path rows.
    pub(super) fn rows(&self) -> u32 {
        match self {
            Self::Outgoing(terms) => terms.rows,
            Self::Incoming(_) => 0,
        }
    }
}

impl Record {
    /// Decodes a record; `None` if this version cannot read it.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let stored = serde_json::from_slice::<StoredTransfer>(value).ok().filter(|stored| stored.version == VERSION)?;
        Some(Self {
            view: stored.view.into(),
            destination: stored.destination.map(path_from),
            terms: stored.terms,
            held: stored.held.map(|code| Reason::from_code(&code)),
            waits_since: stored.waits_since,
        })
    }
}

/// Encodes the row of a transfer.
pub(super) fn put(
    view: &TransferView,
    destination: Option<&Path>,
    terms: Option<&ResumeTerms>,
    held: Option<&Reason>,
    waits_since: Option<u64>,
) -> Result<Op, NetworkError> {
    let stored = StoredTransfer {
        version: VERSION,
        view: view.clone().into(),
        destination: destination.map(path_bytes),
        terms: terms.cloned(),
        held: held.map(|held| held.code().to_owned()),
        waits_since,
    };
    let value = serde_json::to_vec(&stored).map_err(|error| NetworkError::Internal(error.to_string()))?;
    Ok(Op::put(Table::Transfers, view.id.as_bytes().as_slice(), value))
}

/// Returns true if the key is that of a side row, which is longer than a transfer's key.
pub(super) fn is_page(key: &[u8]) -> bool {
    key.len() > 16
}

/// Returns the transfer that a side row belongs to.
pub(super) fn page_of(key: &[u8]) -> Option<TransferId> {
    Some(TransferId::from_random(key.get(..16)?.try_into().ok()?))
}

fn page_key(id: TransferId, index: u32) -> Vec<u8> {
    [id.as_bytes().as_slice(), &index.to_be_bytes()].concat()
}

/// First byte of a manifest page's row. Rows of the first version began with the frame itself, and had no modes.
const PAGE_FORM: u8 = 2;

/// Encodes the rows of a manifest. Returns them and their number.
pub(super) fn put_pages(id: TransferId, manifest: &Manifest) -> Result<(Vec<Op>, u32), NetworkError> {
    let mut ops = Vec::new();
    for (index, page) in (0..).zip(manifest.pages()) {
        let page = [vec![PAGE_FORM], page.map_err(TransferError::Violation)?].concat();
        ops.push(Op::put(Table::Transfers, page_key(id, index), page));
    }
    let pages = u32::try_from(ops.len()).unwrap_or(u32::MAX);
    Ok((ops, pages))
}

/// Returns the operations that delete the manifest and path rows of a transfer.
pub(super) fn drop_pages(id: TransferId, terms: Option<&ResumeTerms>) -> impl Iterator<Item = Op> {
    let (pages, rows) = (terms.map_or(0, ResumeTerms::pages), terms.map_or(0, ResumeTerms::rows));
    let keys = (0..pages).chain((0..rows).map(|row| row | PATHS));
    keys.map(move |index| Op::delete(Table::Transfers, page_key(id, index)))
}

/// Returns true if this side row holds paths that the record refers to.
pub(super) fn is_row_of(key: &[u8], terms: &ResumeTerms) -> bool {
    let index = key.get(16..).and_then(|index| index.try_into().ok()).map(u32::from_be_bytes);
    index.is_some_and(|index| index & PATHS != 0 && index & !PATHS < terms.rows())
}

/// Encodes the path rows of a transfer. There may be a million paths, so they are kept out of the transfer's own row,
/// which is written often.
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

/// Reads the paths from their rows; `None` if a row is missing.
pub(super) async fn paths(store: &Store, id: TransferId, rows: u32) -> Result<Option<Vec<PathBuf>>, NetworkError> {
    let mut paths = Vec::new();
    for row in 0..rows {
        let Some(bytes) = store.get(Table::Transfers, &page_key(id, row | PATHS)).await? else { return Ok(None) };
        let Ok(more) = postcard::from_bytes::<Vec<Vec<u8>>>(&bytes) else { return Ok(None) };
        paths.extend(more.into_iter().map(path_from));
    }
    Ok(Some(paths))
}

/// Reads the manifest from its rows; `None` if a row is missing.
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

/// Page format before entries had modes.
mod early {
    use serde::Deserialize;

    use crate::{
        fs::ops::Mtime,
        transfer::protocol::frames::{Entry, EntryKind},
    };

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

    /// Frame number, page number, entries.
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
                // Files that could be executed get the usual mode, readable and executable for all.
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

/// Reads the table of transfers: the keys of its side rows, and the records.
///
/// Every row is decrypted, a page at a time. A damaged side row is noticed at the start, where a backup helps, and not when
/// its transfer goes on: that transfer would fail, and the other side would drop what it has received.
pub(in crate::transfer) async fn read_all(
    store: &Store,
) -> Result<(Vec<Vec<u8>>, Vec<Zeroizing<Vec<u8>>>), NetworkError> {
    let (mut pages, mut records) = (Vec::new(), Vec::new());
    let mut rest = Some(KeyRange::new(..));
    while let Some(range) = rest {
        let page = store.range(Table::Transfers, range, KeyOrder::Ascending, ROWS_AT_ONCE).await?;
        rest = page.rest;
        for (key, value) in page.rows {
            if is_page(&key) {
                pages.push(key);
            } else {
                records.push(value);
            }
        }
    }
    Ok((pages, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Args, Direction, Note, TransferState},
        transfer::protocol::{
            frames::{EntryKind, encode},
            manifest::tests::{entry, file},
        },
    };

    #[test]
    fn pages_are_read_in_the_form_of_today_and_in_the_earliest() {
        let kept = [
            entry(0, "a", EntryKind::Folder),
            Entry { mode: Some(0o755), ..entry(1, "b", file(300)) },
            entry(1, "c", file(0)),
        ];
        let page = crate::transfer::protocol::frames::Page { index: 0, entries: kept.to_vec() };
        let now = [vec![PAGE_FORM], encode(&SenderFrame::Page(page)).unwrap()].concat();
        assert_eq!(entries(&now).unwrap(), kept);
        // Format of the previous version: parent, name, time, and kind with length and execute flag.
        let folder = [&[0, 1, b'a', 0, 0, 0][..]].concat();
        let files = [&[1, 1, b'b', 0, 0, 1, 0xac, 2, 1][..], &[1, 1, b'c', 0, 0, 1, 0, 0][..]].concat();
        let early = [&[1, 0, 3][..], &folder, &files].concat();
        assert_eq!(entries(&early).unwrap(), kept);
        assert_eq!(entries(b"x"), None);
    }

    /// Outgoing transfer as this version writes it, with every field.
    const OUTGOING: &str = r#"{"version":1,"view":{"id":"01234567-89ab-4def-8123-456789abcdef","direction":"send","device":"11234567-89ab-8def-8123-456789abcdef","device_name":"Living Room","state":"paused","reason":{"code":"paused_here","message":"It was paused here","hint":"Resume it."},"roots":["Urlaub","notes.txt"],"root_count":2,"files":3,"files_done":1,"bytes":1099511627776,"total":2199023255552,"growing":false,"offered":{"files":9,"bytes":4398046511104},"skipped":3,"reasons":{"link_outside":2,"not_taken":1},"rate":2500000.0,"eta":1.5,"silent":4,"started":1700000000,"seconds":12.5,"mean_rate":1000000.0,"into":null,"landed":[],"limit":4096,"place":2,"notes":[{"code":"skipped","args":{"path":"a","reason":"link_outside"}},{"code":"failed","args":{"path":"b","reason":"source_changed"}},{"code":"saved_as","args":{"path":"c","name":"c (2)"}},{"code":"named_twice","args":{"path":"d"}},{"code":"already_there","args":{"count":1}},{"code":"trashed","args":{"count":2}},{"code":"not_trashed","args":{"path":"e"}},{"code":"skipped_there","args":{"count":3}},{"code":"not_executable","args":{"count":4}},{"code":"text","args":{"text":"A sentence."}}]},"landing":null,"terms":{"outgoing":{"paths":[[47,97],[47,98]],"given":[{"seen":null,"name":null,"spooled":false,"growing":false},{"seen":null,"name":"x.tar","spooled":true,"growing":true}],"options":{"compress":false,"encrypt":true,"limit":4096,"wait":true,"strict":true},"accepted":{"roots":[[0,[47,97]]],"parents":[[0,{"volume":5,"inode":6}]],"pages":1},"untold":true,"rank":7,"skipped":{"link_outside":2},"rows":1,"part":true,"was_part":true}},"held":"paused_here","waits_since":null}"#;
    /// Accepted incoming transfer that waits for its sender.
    const INCOMING: &str = r#"{"version":1,"view":{"id":"01234567-89ab-4def-8123-456789abcdef","direction":"receive","device":"11234567-89ab-8def-8123-456789abcdef","device_name":"Living Room","state":"waiting","reason":{"code":"connection_lost","message":"The connection was lost","hint":"It goes on by itself when the devices meet again."},"roots":["Urlaub"],"root_count":1,"files":3,"files_done":1,"bytes":10,"total":20,"growing":true,"offered":null,"skipped":0,"reasons":{},"rate":0.0,"eta":null,"silent":null,"started":1700000000,"seconds":12.5,"mean_rate":null,"into":"/home/b/Downloads","landed":["Urlaub (2)"],"limit":null,"place":null,"notes":[]},"landing":[47,98],"terms":{"incoming":{"encrypt":true,"compress":true,"total":20,"entries":4,"pages":0,"hash":[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2],"only":[1,3],"conflict":"keep-both","list":224,"charged":77}},"held":null,"waits_since":1700000100}"#;
    /// Record of an early version, with the fields that it had.
    const EARLY: &str = r#"{"version":1,"view":{"id":"01234567-89ab-4def-8123-456789abcdef","direction":"receive","device":"11234567-89ab-8def-8123-456789abcdef","device_name":"B","state":"done","reason":null,"roots":["a"],"root_count":1,"files":3,"files_done":3,"bytes":10,"total":10,"rate":0.0,"eta":null,"started":0,"seconds":2.0,"into":null,"notes":["2 links were left out."]},"landing":null}"#;

    fn written_again(record: &Record) -> String {
        let (destination, terms) = (record.destination.as_deref(), record.terms.as_ref());
        let op = put(&record.view, destination, terms, record.held.as_ref(), record.waits_since).unwrap();
        let Op::Put { value, .. } = op else { panic!("a row is put") };
        String::from_utf8(value.to_vec()).unwrap()
    }

    #[test]
    fn records_of_this_version_open_and_are_written_as_they_were() {
        for text in [OUTGOING, INCOMING] {
            let record = Record::read(text.as_bytes()).unwrap();
            assert_eq!(written_again(&record), text);
        }
        for (state, text) in [
            (TransferState::Offered, "offered"),
            (TransferState::Queued, "queued"),
            (TransferState::Active, "active"),
            (TransferState::Paused, "paused"),
            (TransferState::Waiting, "waiting"),
            (TransferState::Done, "done"),
            (TransferState::Failed, "failed"),
            (TransferState::Declined, "declined"),
            (TransferState::Cancelled, "cancelled"),
        ] {
            let text = INCOMING.replace(r#""state":"waiting""#, &format!(r#""state":"{text}""#));
            let record = Record::read(text.as_bytes()).unwrap();
            assert_eq!((record.view.state, written_again(&record)), (state, text));
        }
        let told = r#"meet again.","args":{"folder":"/d","needed":5}},"#;
        let text = INCOMING.replace(r#"meet again."},"#, told);
        let record = Record::read(text.as_bytes()).unwrap();
        let args = Args::new().with("folder", "/d").number("needed", 5);
        assert_eq!((record.view.reason.as_ref().map(|reason| &reason.args), text.contains(told)), (Some(&args), true));
        assert_eq!(written_again(&record), text);
        for (rule, text) in [(ConflictRule::Skip, "skip"), (ConflictRule::Replace, "replace")] {
            let text = INCOMING.replace("keep-both", text);
            let record = Record::read(text.as_bytes()).unwrap();
            assert!(matches!(&record.terms, Some(ResumeTerms::Incoming(terms)) if terms.conflict == rule));
            assert_eq!(written_again(&record), text);
        }
    }

    #[test]
    fn a_record_says_what_it_said() {
        let record = Record::read(OUTGOING.as_bytes()).unwrap();
        let view = &record.view;
        assert_eq!((view.direction, view.state, view.notes.len()), (Direction::Send, TransferState::Paused, 10));
        assert_eq!(view.offered.map(|offered| (offered.files, offered.bytes)), Some((9, 1 << 42)));
        assert_eq!((view.started, view.seconds, view.limit), (1_700_000_000, Some(12.5), Some(4096)));
        assert_eq!(view.reason.as_ref().map(Reason::from), Some(Reason::PausedHere));
        let Some(ResumeTerms::Outgoing(terms)) = &record.terms else { panic!("it is sent from here") };
        assert!(!terms.options.compress && terms.options.wait && terms.options.strict && terms.was_part);
        assert_eq!(terms.growing(), Some("/b".into()));
        let record = Record::read(INCOMING.as_bytes()).unwrap();
        assert_eq!((record.destination, record.view.growing), (Some("/b".into()), true));
    }

    #[test]
    fn an_early_record_is_read_and_another_version_is_not() {
        let record = Record::read(EARLY.as_bytes()).unwrap();
        assert_eq!(record.view.notes, [Note::Text { text: "2 links were left out.".into() }]);
        assert_eq!((record.view.skipped, record.view.limit, record.terms), (0, None, None));
        let early = EARLY.replace(
            r#""landing":null"#,
            r#""landing":null,"terms":{"outgoing":{"paths":[[47]],"options":{},"accepted":null,"untold":false}}"#,
        );
        let Some(ResumeTerms::Outgoing(terms)) = Record::read(early.as_bytes()).unwrap().terms else {
            panic!("{early}")
        };
        assert_eq!((terms.options, terms.given.len()), (TransferOptions::default(), 0));
        let later = EARLY.replace(r#""started":0"#, r#""started":0,"of_a_later_version":1"#);
        assert!(Record::read(later.as_bytes()).is_some(), "a later version may add fields");
        for other in [EARLY.replace(r#""version":1"#, r#""version":2"#), EARLY.replace("done", "dancing")] {
            assert!(Record::read(other.as_bytes()).is_none());
        }
    }
}
