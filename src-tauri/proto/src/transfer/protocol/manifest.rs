//! Manifest: the list of what is sent, in a compact form, with all its rules. Pure.
//!
//! Sender and receiver use the same [`ManifestBuilder`], so that a sender cannot create a manifest that a receiver
//! refuses. A million entries take 32 MB and their names.

use super::{
    limits::{
        MAX_DEPTH, MAX_ENTRIES, MAX_MANIFEST_BYTES, MAX_PAGES, MAX_PATH, PAGE_BYTES, SEGMENT, SHOWN_ROOTS, VERSION,
    },
    reason::Reason,
};
use crate::{
    fs::{Mtime, names},
    id::TransferId,
    transfer::protocol::frames::{
        ChangedFile, Entry, EntryKind, Offer, Page, SenderFrame, Violation, encode, violation,
    },
};

/// Largest file in bytes: its segment numbers must fit into a `u32`.
pub const MAX_FILE: u64 = (u32::MAX as u64 - 1) * SEGMENT;

#[derive(Clone, Debug)]
struct Item {
    parent: u32,
    name: u32,
    /// Nanoseconds; the two free bits hold [`FILE`] and [`GROWING`].
    nanos: u32,
    /// Length; the ten free bits hold [`HAS_MODE`] and the mode.
    size_and_mode: u64,
    secs: i64,
    path_len: u16,
    depth: u8,
    name_len: u8,
}

/// Longest encoding of an entry without its name, in bytes.
const ENTRY_NUMBERS: usize = 40;
const FILE: u32 = 1 << 31;
/// Set beside [`FILE`] if the length is not known yet.
const GROWING: u32 = 1 << 30;
/// Mode bits that are transferred: read, write and execute for owner, group and others. Never setuid, setgid or
/// sticky.
pub const MODE_BITS: u16 = 0o777;
/// Execute permissions of a mode.
pub const RUN_BITS: u16 = 0o111;
const MODE_SHIFT: u32 = 54;
const HAS_MODE: u64 = 1 << 63;
const SIZE: u64 = (1 << MODE_SHIFT) - 1;
const _: () = assert!(MAX_FILE <= SIZE && (MODE_BITS as u64) << MODE_SHIFT < HAS_MODE);
/// Each byte costs a megabyte for a million entries.
const _: () = assert!(size_of::<Item>() == 32);

impl Item {
    fn is_file(&self) -> bool {
        self.nanos & FILE != 0
    }

    fn is_growing(&self) -> bool {
        self.nanos & GROWING != 0
    }

    fn kind(&self) -> EntryKind {
        match (self.is_file(), self.is_growing()) {
            (_, true) => EntryKind::Growing,
            (true, false) => EntryKind::File { size: self.size() },
            (false, false) => EntryKind::Folder,
        }
    }

    fn mtime(&self) -> Mtime {
        Mtime { secs: self.secs, nanos: self.nanos & !(FILE | GROWING) }
    }

    fn size(&self) -> u64 {
        self.size_and_mode & SIZE
    }

    fn mode(&self) -> Option<u16> {
        (self.size_and_mode & HAS_MODE != 0).then_some((self.size_and_mode >> MODE_SHIFT) as u16 & MODE_BITS)
    }
}

/// Borrowed entry of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// Index of its folder; `None` at the top.
    pub parent: Option<u32>,
    /// Name at the sender.
    pub name: &'a [u8],
    /// Time of the last modification.
    pub mtime: Mtime,
    /// Permission bits, if known.
    pub mode: Option<u16>,
    /// Kind of the entry.
    pub kind: EntryKind,
}

impl EntryRef<'_> {
    /// Returns the length of a file, and the longest possible length of a growing file.
    pub fn size(&self) -> Option<u64> {
        match self.kind {
            EntryKind::File { size } => Some(size),
            EntryKind::Growing => Some(MAX_FILE),
            EntryKind::Folder => None,
        }
    }

    /// Returns the agreed bytes of a file; 0 for a growing file.
    pub fn bytes(&self) -> Option<u64> {
        self.size().map(|size| if self.kind == EntryKind::Growing { 0 } else { size })
    }
}

/// Complete and checked manifest.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    items: Vec<Item>,
    names: Vec<u8>,
    files: u32,
    total: u64,
    root_count: u32,
}

impl Manifest {
    /// Returns the mode of an entry, if its sender's system has one.
    pub fn mode(&self, index: u32) -> Option<u16> {
        self.get(index).and_then(|entry| entry.mode)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> u32 {
        self.items.len() as u32
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the number of files.
    pub fn files(&self) -> u32 {
        self.files
    }

    /// Returns the sum of the file sizes in bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns the number of top-level entries.
    pub fn root_count(&self) -> u32 {
        self.root_count
    }

    /// Returns the names of the first top-level entries, at most [`SHOWN_ROOTS`].
    pub fn roots(&self) -> Vec<Vec<u8>> {
        (0..self.len())
            .filter_map(|i| self.get(i))
            .filter(|entry| entry.parent.is_none())
            .take(SHOWN_ROOTS)
            .map(|entry| entry.name.to_owned())
            .collect()
    }

    /// Returns these names as text for people.
    pub fn shown_roots(&self) -> Vec<String> {
        self.roots().into_iter().map(names::escaped).collect()
    }

    /// Returns an entry.
    pub fn get(&self, index: u32) -> Option<EntryRef<'_>> {
        let item = self.items.get(index as usize)?;
        let start = item.name as usize;
        Some(EntryRef {
            parent: item.parent.checked_sub(1),
            name: self.names.get(start..start + item.name_len as usize)?,
            mtime: item.mtime(),
            mode: item.mode(),
            kind: item.kind(),
        })
    }

    /// Returns the length of a file; `None` for folders and unknown indices. A growing file counts as long as
    /// possible: its segments are full ones until its end is known.
    pub fn size(&self, index: u32) -> Option<u64> {
        self.get(index)?.size()
    }

    /// Returns the agreed bytes of a file; 0 for a growing file.
    pub fn bytes(&self, index: u32) -> Option<u64> {
        self.get(index)?.bytes()
    }

    /// Returns true if the manifest is one file of unknown length.
    pub fn is_growing(&self) -> bool {
        self.items.first().is_some_and(Item::is_growing)
    }

    /// Returns the components of an entry's path, from the top.
    pub fn path(&self, index: u32) -> Vec<&[u8]> {
        let mut path = Vec::new();
        let mut at = Some(index);
        // Parents come before their children, so this ends.
        while let Some(entry) = at.and_then(|index| self.get(index)) {
            path.push(entry.name);
            at = entry.parent;
        }
        path.reverse();
        path
    }

    /// Returns the path for people: the sender's names, [escaped](names::escaped).
    pub fn shown(&self, index: u32) -> String {
        names::escaped(self.path(index).join(&b'/'))
    }

    /// Returns the encoded pages, one at a time.
    pub fn pages(&self) -> Pages<'_> {
        Pages { manifest: self, next: 0, index: 0 }
    }

    /// Returns the number of pages.
    pub fn page_count(&self) -> u32 {
        let (mut pages, mut next) = (0, 0);
        while next < self.len() {
            next = self.page_from(next);
            pages += 1;
        }
        pages
    }

    /// Returns the end of the page that begins at an entry.
    fn page_from(&self, first: u32) -> u32 {
        let mut bytes = 0;
        let rest = self.items.get(first as usize..).unwrap_or_default();
        let fits = rest.iter().take_while(|item| {
            bytes += usize::from(item.name_len) + ENTRY_NUMBERS;
            bytes <= PAGE_BYTES
        });
        // At least one, however long its name is.
        first + (fits.count() as u32).max(1)
    }

    /// Returns the BLAKE3 hash of the pages, as in `ManifestEnd`.
    ///
    /// # Errors
    /// Returns an error if a page does not encode, which is a bug.
    pub fn hash(&self) -> Result<[u8; 32], Violation> {
        let mut hasher = blake3::Hasher::new();
        for page in self.pages() {
            hasher.update(&page?);
        }
        Ok(*hasher.finalize().as_bytes())
    }

    /// Returns the manifest with the new lengths and times of changed files.
    ///
    /// # Errors
    /// Returns a violation if they are not files of the manifest in rising order, or exceed its limits.
    pub fn with_changes(&self, changes: &[ChangedFile]) -> Result<Self, Violation> {
        let mut changed = self.clone();
        let mut floor = 0;
        for change in changes {
            let is_fixed = |item: &&mut Item| item.is_file() && !item.is_growing();
            let Some(item) = changed.items.get_mut(change.file as usize).filter(is_fixed) else {
                return violation("a change of what is not a file, or grows");
            };
            if change.file < floor || change.size > MAX_FILE || change.mtime.nanos >= 1_000_000_000 {
                return violation("changes out of order, or beyond what can be");
            }
            floor = change.file + 1;
            let Some(total) = (changed.total - item.size()).checked_add(change.size) else {
                return violation("the sizes add up to more than a number can hold");
            };
            changed.total = total;
            item.size_and_mode = item.size_and_mode & !SIZE | change.size;
            (item.secs, item.nanos) = (change.mtime.secs, change.mtime.nanos | FILE);
        }
        Ok(changed)
    }

    /// Clears the execute permission of every file.
    pub fn make_plain(&mut self) {
        for item in self.items.iter_mut().filter(|item| item.is_file()) {
            if let Some(mode) = item.mode() {
                let cleared = item.size_and_mode & !(u64::from(MODE_BITS) << MODE_SHIFT);
                item.size_and_mode = cleared | u64::from(plain_mode(mode)) << MODE_SHIFT;
            }
        }
    }

    /// Returns the bytes that the manifest takes in memory.
    pub fn memory(&self) -> usize {
        self.items.capacity() * size_of::<Item>() + self.names.capacity()
    }

    fn entry(&self, index: u32) -> Option<Entry> {
        self.get(index).map(|entry| Entry {
            parent: entry.parent.map_or(0, |parent| parent + 1),
            name: entry.name.to_owned(),
            mtime: entry.mtime,
            mode: entry.mode,
            kind: entry.kind,
        })
    }
}

/// Encodes a manifest page by page.
pub struct Pages<'a> {
    manifest: &'a Manifest,
    next: u32,
    index: u32,
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<u8>, Violation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.manifest.len() {
            return None;
        }
        let end = self.manifest.page_from(self.next);
        let entries = (self.next..end).filter_map(|index| self.manifest.entry(index)).collect();
        self.next = end;
        let page = Page { index: self.index, entries };
        self.index += 1;
        Some(encode(&SenderFrame::Page(page)))
    }
}

/// Builds a manifest entry by entry and refuses invalid entries.
#[derive(Debug, Default)]
pub struct ManifestBuilder {
    manifest: Manifest,
    bytes: usize,
}

impl ManifestBuilder {
    /// Adds the next entry. Returns its index.
    ///
    /// # Errors
    /// Returns a violation that names the broken rule.
    pub fn push(&mut self, entry: &Entry) -> Result<u32, Violation> {
        if self.manifest.len() >= MAX_ENTRIES {
            return violation("more entries than an offer may have");
        }
        names::check(&entry.name).map_err(|error| Violation(error.to_string()))?;
        if entry.mtime.nanos >= 1_000_000_000 {
            return violation("nanoseconds past a second");
        }
        if entry.mode.is_some_and(|mode| mode > MODE_BITS) {
            return violation("a mode with more than permissions");
        }
        let bytes = self.bytes + entry.name.len() + 40;
        if bytes > MAX_MANIFEST_BYTES {
            return violation("the manifest is too large");
        }
        let (mut depth, mut path_len) = (1_u16, entry.name.len() as u32);
        if let Some(parent) = entry.parent.checked_sub(1) {
            match self.manifest.items.get(parent as usize) {
                Some(item) if !item.is_file() => {
                    depth = u16::from(item.depth) + 1;
                    path_len += u32::from(item.path_len) + 1;
                }
                _ => return violation("an entry's parent is not a folder that came before it"),
            }
        }
        if depth > MAX_DEPTH || path_len > MAX_PATH {
            return violation("a path is too deep or too long");
        }
        if self.manifest.is_growing() || (entry.kind == EntryKind::Growing && !self.manifest.is_empty()) {
            return violation("a growing file is not alone");
        }
        let (mark, size) = match entry.kind {
            EntryKind::Folder => (0, 0),
            EntryKind::File { size } => (FILE, size),
            EntryKind::Growing => (FILE | GROWING, 0),
        };
        if size > MAX_FILE {
            return violation("a file is too large");
        }
        let Some(total) = self.manifest.total.checked_add(size) else {
            return violation("the sizes add up to more than a number can hold");
        };
        self.bytes = bytes;
        let index = self.manifest.len();
        let name = self.manifest.names.len() as u32;
        self.manifest.names.extend_from_slice(&entry.name);
        self.manifest.items.push(Item {
            parent: entry.parent,
            name,
            nanos: entry.mtime.nanos | mark,
            size_and_mode: size | entry.mode.map_or(0, |mode| HAS_MODE | u64::from(mode) << MODE_SHIFT),
            secs: entry.mtime.secs,
            path_len: path_len as u16,
            depth: depth as u8,
            name_len: entry.name.len() as u8,
        });
        self.manifest.total = total;
        self.manifest.files += u32::from(mark != 0);
        self.manifest.root_count += u32::from(entry.parent == 0);
        Ok(index)
    }

    /// Returns the number of entries so far.
    pub fn len(&self) -> u32 {
        self.manifest.len()
    }

    /// Returns the bytes of memory so far.
    pub fn memory(&self) -> usize {
        self.manifest.memory()
    }

    /// Returns the number of files so far.
    pub fn files(&self) -> u32 {
        self.manifest.files()
    }

    /// Returns true if there are no entries yet.
    pub fn is_empty(&self) -> bool {
        self.manifest.is_empty()
    }

    /// Returns the manifest without comparing it with an offer.
    pub fn finish(mut self) -> Manifest {
        self.manifest.items.shrink_to_fit();
        self.manifest.names.shrink_to_fit();
        self.manifest
    }

    /// Returns the manifest, which must match the offer.
    ///
    /// # Errors
    /// Returns a violation if it does not match.
    pub fn finish_as(self, offer: &Offer) -> Result<Manifest, Violation> {
        let manifest = self.finish();
        let same = manifest.len() == offer.entries
            && manifest.files() == offer.files
            && manifest.total() == offer.total
            && manifest.root_count() == offer.root_count
            && manifest.roots() == offer.roots;
        if same { Ok(manifest) } else { violation("the manifest is not what was offered") }
    }
}

/// Checks the summary of an offer against the limits, before anything else is requested from the sender.
///
/// # Errors
/// Returns the reason for declining the offer.
pub fn check_offer(offer: &Offer) -> Result<(), Reason> {
    if offer.version != VERSION {
        return Err(Reason::VersionUnsupported);
    }
    if offer.entries > MAX_ENTRIES || offer.pages > MAX_PAGES {
        return Err(Reason::TooManyEntries);
    }
    let honest = offer.entries > 0
        && offer.pages > 0
        && offer.pages <= offer.entries
        && offer.files <= offer.entries
        && offer.root_count > 0
        && offer.root_count <= offer.entries
        && offer.roots.len() == (offer.root_count as usize).min(SHOWN_ROOTS)
        && offer.roots.iter().all(|name| names::check(name).is_ok())
        && (offer.files > 0 || offer.total == 0)
        && TransferId::from_random(offer.transfer).as_bytes() == &offer.transfer;
    if honest { Ok(()) } else { Err(Reason::OfferMalformed) }
}

/// Returns the mode of a file that nobody was asked about: without execute permissions.
pub fn plain_mode(mode: u16) -> u16 {
    mode & !RUN_BITS
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns an entry with the time of the epoch and no mode.
    pub(crate) fn entry(parent: u32, name: &str, kind: EntryKind) -> Entry {
        Entry { parent, name: name.into(), mtime: Mtime { secs: 0, nanos: 0 }, mode: None, kind }
    }

    /// Returns the kind of a file.
    pub(crate) fn file(size: u64) -> EntryKind {
        EntryKind::File { size }
    }

    /// Returns the offer that an honest sender makes for a manifest.
    pub(crate) fn offer_of(manifest: &Manifest) -> Offer {
        Offer {
            version: VERSION,
            transfer: *TransferId::from_random([1; 16]).as_bytes(),
            attempt: [2; 16],
            entries: manifest.len(),
            files: manifest.files(),
            total: manifest.total(),
            roots: manifest.roots(),
            root_count: manifest.root_count(),
            skipped: 0,
            pages: manifest.pages().count() as u32,
            compress: false,
            encrypt: true,
        }
    }

    #[test]
    fn a_tree_comes_out_as_it_went_in() {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "holiday", EntryKind::Folder)).unwrap();
        builder.push(&entry(1, "day 1", EntryKind::Folder)).unwrap();
        builder.push(&entry(2, "a.jpg", file(10))).unwrap();
        builder.push(&entry(0, "b.txt", file(5))).unwrap();
        let manifest = builder.finish();
        assert_eq!(manifest.path(2), [&b"holiday"[..], b"day 1", b"a.jpg"]);
        assert_eq!(manifest.shown(2), "holiday/day 1/a.jpg");
        assert_eq!((manifest.files(), manifest.total(), manifest.root_count()), (2, 15, 2));
        assert_eq!(manifest.roots(), [&b"holiday"[..], b"b.txt"]);
        assert_eq!(manifest.size(2), Some(10));
        assert_eq!(manifest.size(0), None);
        assert_eq!(manifest.get(4), None);
    }

    #[test]
    fn each_entry_keeps_its_size_its_mode_and_its_time() {
        let mut builder = ManifestBuilder::default();
        let mut entries = Vec::new();
        for mode in [None, Some(0), Some(0o600), Some(0o777), Some(0o500)] {
            for size in [0, 1, MAX_FILE] {
                let mtime = Mtime { secs: -5, nanos: 999_999_999 };
                entries.push(Entry { mode, mtime, ..entry(0, "file", file(size)) });
            }
            entries.push(Entry { mode, ..entry(0, "folder", EntryKind::Folder) });
        }
        entries.iter().for_each(|entry| {
            builder.push(entry).unwrap();
        });
        let manifest = builder.finish();
        assert_eq!((0..manifest.len()).filter_map(|index| manifest.entry(index)).collect::<Vec<_>>(), entries);
        let change = ChangedFile { file: 2, size: 7, mtime: Mtime { secs: 1, nanos: 1 } };
        let changed = manifest.with_changes(&[change]).unwrap().entry(2).unwrap();
        assert_eq!(changed, Entry { mtime: change.mtime, kind: file(7), ..entries[2].clone() });
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let table = [
            (entry(0, "..", file(1)), "`..`"),
            (entry(0, "a/b", file(1)), "separator"),
            (entry(7, "x", file(1)), "parent"),
            (entry(1, "x", file(1)), "parent"), // entry 0 is a file
            (entry(0, "big", file(u64::MAX)), "large"),
            (Entry { mtime: Mtime { secs: 0, nanos: 1_000_000_000 }, ..entry(0, "t", file(1)) }, "nano"),
            (Entry { mode: Some(0o4755), ..entry(0, "setuid", file(1)) }, "mode"),
            (Entry { mode: Some(0o1777), ..entry(0, "sticky", EntryKind::Folder) }, "mode"),
        ];
        for (bad, text) in table {
            let mut builder = ManifestBuilder::default();
            builder.push(&entry(0, "first", file(1))).unwrap();
            let error = builder.push(&bad).unwrap_err();
            assert!(error.0.contains(text), "{error}");
        }
    }

    #[test]
    fn a_growing_file_is_alone_and_has_no_length_to_agree_on() {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "stdin", EntryKind::Growing)).unwrap();
        assert!(builder.push(&entry(0, "b", file(1))).is_err());
        let manifest = builder.finish();
        assert_eq!((manifest.files(), manifest.total(), manifest.is_growing()), (1, 0, true));
        assert_eq!((manifest.size(0), manifest.bytes(0)), (Some(MAX_FILE), Some(0)));
        assert_eq!(
            manifest.get(0).map(|entry| (entry.mtime, entry.kind)),
            Some((Mtime { secs: 0, nanos: 0 }, EntryKind::Growing))
        );
        assert_eq!(check_offer(&offer_of(&manifest)), Ok(()));
        let change = ChangedFile { file: 0, size: 7, mtime: Mtime { secs: 0, nanos: 0 } };
        assert!(manifest.with_changes(&[change]).is_err(), "its length is told in another way");
        let mut second = ManifestBuilder::default();
        second.push(&entry(0, "a", EntryKind::Folder)).unwrap();
        assert!(second.push(&entry(1, "stdin", EntryKind::Growing)).is_err());
    }

    #[test]
    fn depth_length_and_sums_are_bounded() {
        let mut deep = ManifestBuilder::default();
        for parent in 0..u32::from(MAX_DEPTH) {
            deep.push(&entry(parent, "d", EntryKind::Folder)).unwrap();
        }
        assert!(deep.push(&entry(u32::from(MAX_DEPTH), "d", EntryKind::Folder)).is_err());

        let mut long = ManifestBuilder::default();
        let name = "n".repeat(255);
        for parent in 0..16 {
            long.push(&entry(parent, &name, EntryKind::Folder)).unwrap();
        }
        assert!(long.push(&entry(16, "x", file(0))).is_err());

        let mut sum = ManifestBuilder::default();
        let most = (0..5000).find(|_| sum.push(&entry(0, "x", file(MAX_FILE))).is_err());
        assert!(most.is_some(), "2^64 bytes were let in");
    }

    #[test]
    fn a_summary_must_fit_the_manifest() {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "a", file(3))).unwrap();
        let manifest = builder.finish();
        let offer = offer_of(&manifest);
        assert_eq!(check_offer(&offer), Ok(()));
        let again = || {
            let mut builder = ManifestBuilder::default();
            builder.push(&entry(0, "a", file(3))).unwrap();
            builder
        };
        assert!(again().finish_as(&offer).is_ok());
        assert!(again().finish_as(&Offer { total: 4, ..offer.clone() }).is_err());
        assert!(again().finish_as(&Offer { roots: vec!["b".into()], ..offer.clone() }).is_err());
        for (bad, code) in [
            (Offer { version: VERSION + 1, ..offer.clone() }, "version_unsupported"),
            (Offer { entries: 10_000_000, ..offer.clone() }, "too_many_entries"),
            (Offer { transfer: [1; 16], ..offer.clone() }, "offer_malformed"),
            (Offer { pages: u32::MAX, ..offer.clone() }, "too_many_entries"),
            (Offer { entries: 0, ..offer.clone() }, "offer_malformed"),
            (Offer { roots: vec!["../x".into()], ..offer.clone() }, "offer_malformed"),
            (Offer { roots: vec!["a".into(); 21], root_count: 21, entries: 30, ..offer.clone() }, "offer_malformed"),
        ] {
            assert_eq!(check_offer(&bad), Err(Reason::from_code(code)));
        }
    }

    #[test]
    fn the_largest_pages_fit_into_frames() {
        let mut builder = ManifestBuilder::default();
        let entry = Entry {
            parent: 0,
            name: "\u{1f30a}".repeat(63).into(),
            mtime: Mtime { secs: i64::MIN, nanos: 999_999_999 },
            mode: Some(MODE_BITS),
            kind: EntryKind::File { size: MAX_FILE / 3000 },
        };
        for _ in 0..2000 {
            builder.push(&entry).unwrap();
        }
        let mut tiny = entry.clone();
        tiny.name = "x".into();
        for _ in 0..2000 {
            builder.push(&tiny).unwrap();
        }
        let manifest = builder.finish();
        let mut entries = 0;
        assert_eq!(manifest.page_count() as usize, manifest.pages().count());
        for page in manifest.pages() {
            match crate::transfer::protocol::frames::decode::<SenderFrame>(&page.unwrap()).unwrap() {
                SenderFrame::Page(page) => entries += page.entries.len(),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(entries, 4000);
    }

    proptest! {
        #[test]
        fn no_row_of_entries_panics(
            rows in proptest::collection::vec((0u32..6, "[a-c./\\\\]{0,3}", any::<bool>(), any::<u64>()), 0..40)
        ) {
            let mut builder = ManifestBuilder::default();
            for (parent, name, folder, size) in rows {
                let kind = if folder { EntryKind::Folder } else { file(size) };
                let _ = builder.push(&entry(parent, &name, kind));
            }
            let manifest = builder.finish();
            for index in 0..manifest.len() {
                prop_assert!(!manifest.path(index).is_empty());
            }
        }
    }
}
