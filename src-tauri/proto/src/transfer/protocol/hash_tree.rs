//! BLAKE3 hash of a file whose segments are hashed separately and out of order. Pure.
//!
//! A segment starts at a multiple of [`SEGMENT`], which is a power of two of BLAKE3 chunks, so each segment is a
//! subtree of the file's tree. Subtrees are merged as soon as both halves are known: memory is proportional to the
//! gaps, not to the file.

use std::collections::BTreeMap;

use blake3::{
    Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

use super::limits::SEGMENT;
use crate::transfer::protocol::frames::{Span, Violation, violation};

/// Returns the number of segments of a file of this length.
pub fn segments(size: u64) -> u64 {
    size.div_ceil(SEGMENT)
}

/// Returns the offset and length of segment `index` in a file of this length.
pub fn segment_at(size: u64, index: u64) -> Option<(u64, u32)> {
    let start = index.checked_mul(SEGMENT)?;
    let len = size.checked_sub(start)?.min(SEGMENT);
    (len > 0).then_some((start, len as u32))
}

/// Hash of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentHash {
    /// BLAKE3 hash of the whole file, if it has only one segment.
    Whole([u8; 32]),
    /// Chaining value of a subtree, to be merged.
    Part(ChainingValue),
}

impl SegmentHash {
    /// Returns the hash as it is stored and sent.
    pub fn bytes(&self) -> [u8; 32] {
        match self {
            Self::Whole(bytes) => *bytes,
            Self::Part(value) => *value,
        }
    }

    /// Creates the hash of a segment of a file of this length.
    pub fn of(size: u64, bytes: [u8; 32]) -> Self {
        if size <= SEGMENT { Self::Whole(bytes) } else { Self::Part(bytes) }
    }
}

/// Hashes one segment incrementally.
#[derive(Debug)]
pub struct SegmentHasher {
    hasher: Hasher,
    whole: bool,
}

impl SegmentHasher {
    /// Creates a hasher for the segment at `start` of a file of `size` bytes. `start` must be a multiple of
    /// [`SEGMENT`] inside the file.
    pub fn new(size: u64, start: u64) -> Self {
        let whole = size <= SEGMENT;
        let mut hasher = Hasher::new();
        if !whole && start.is_multiple_of(SEGMENT) {
            hasher.set_input_offset(start);
        }
        Self { hasher, whole }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Adds zeros.
    pub fn zeros(&mut self, len: u32) {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut left = len as usize;
        while left > 0 {
            let now = left.min(ZEROS.len());
            self.hasher.update(&ZEROS[..now]);
            left -= now;
        }
    }

    /// Returns the hash, after every byte of the segment was added.
    pub fn finish(self) -> SegmentHash {
        if self.whole || self.hasher.count() == 0 {
            SegmentHash::Whole(*self.hasher.finalize().as_bytes())
        } else {
            SegmentHash::Part(self.hasher.finalize_non_root())
        }
    }
}

/// Height above the top of any file: a file has fewer than 2^32 segments.
const MAX_HEIGHT: u32 = 33;

/// Merges segment hashes into the BLAKE3 hash of a file.
#[derive(Debug)]
pub struct FileTree {
    /// Number of segments; `None` while it is unknown.
    segments: Option<u64>,
    /// One more than the highest segment seen, used while the number is unknown.
    seen: u64,
    /// Subtrees whose other half is missing, by height and place.
    open: BTreeMap<(u32, u64), ChainingValue>,
}

impl FileTree {
    /// Creates the tree of a file of this length.
    pub fn new(size: u64) -> Self {
        Self { segments: Some(segments(size)), seen: 0, open: BTreeMap::new() }
    }

    /// Creates the tree of a file whose length is set later by [`Self::end`].
    pub fn growing() -> Self {
        Self { segments: None, seen: 0, open: BTreeMap::new() }
    }

    /// Sets the length of a growing file. Returns its hash if every segment is known.
    pub fn end(&mut self, size: u64) -> Option<[u8; 32]> {
        self.segments = Some(segments(size));
        let open = std::mem::take(&mut self.open);
        open.into_iter().fold(None, |root, ((height, place), value)| self.put(height, place, value).or(root))
    }

    /// Adds segment `index`; each may be added once. Returns the file's hash after the last one.
    pub fn insert(&mut self, index: u64, hash: SegmentHash) -> Option<[u8; 32]> {
        let value = match hash {
            SegmentHash::Whole(root) => return Some(root),
            SegmentHash::Part(value) => value,
        };
        self.seen = self.seen.max(index.saturating_add(1));
        let root = self.put(0, index, value);
        self.merge_left_edge();
        root
    }

    /// Merges subtrees at the left edge that could have been the whole file, once more segments are seen.
    fn merge_left_edge(&mut self) {
        let mut height = 0;
        while self.segments.is_none() && height < MAX_HEIGHT && self.seen > 2 << height {
            if self.open.contains_key(&(height, 1))
                && let Some(left) = self.open.remove(&(height, 0))
            {
                self.put(height, 0, left);
            }
            height += 1;
        }
    }

    /// Adds a subtree and merges it with its neighbours. Returns the file's hash after the last one.
    fn put(&mut self, mut height: u32, mut place: u64, mut value: ChainingValue) -> Option<[u8; 32]> {
        loop {
            if height >= MAX_HEIGHT {
                return None;
            }
            let end = (place + 1) << height;
            if place.is_multiple_of(2) && self.segments.is_some_and(|segments| end >= segments) {
                // At the right edge the subtree has no neighbour at this height.
                (height, place) = (height + 1, place / 2);
                continue;
            }
            if self.segments.is_none() && place < 2 && self.seen <= 2 << height {
                // These two may be the whole file; the root is merged differently.
                self.open.insert((height, place), value);
                return None;
            }
            let Some(other) = self.open.remove(&(height, place ^ 1)) else {
                self.open.insert((height, place), value);
                return None;
            };
            let (left, right) = if place.is_multiple_of(2) { (value, other) } else { (other, value) };
            if self.segments.is_some_and(|segments| 1u64 << (height + 1) >= segments) {
                return Some(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes());
            }
            value = merge_subtrees_non_root(&left, &right, Mode::Hash);
            (height, place) = (height + 1, place / 2);
        }
    }

    /// Returns the number of subtrees that wait for their other half.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.open.len()
    }
}

/// Set of segment numbers, stored as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSet {
    /// First number of each range, and one past its last.
    ranges: BTreeMap<u32, u32>,
    count: u64,
}

impl SegmentSet {
    /// Creates a set from ranges of a peer: rising, not empty, not touching, below `segments`.
    ///
    /// # Errors
    /// Returns a violation for any other ranges.
    pub fn from_spans(spans: &[Span], segments: u64) -> Result<Self, Violation> {
        let mut set = Self::default();
        let mut floor = 0;
        for (i, span) in spans.iter().enumerate() {
            if span.first >= span.end || (i > 0 && span.first <= floor) || u64::from(span.end) > segments {
                return violation("segment ranges are not in order");
            }
            floor = span.end;
            set.count += u64::from(span.end - span.first);
            set.ranges.insert(span.first, span.end);
        }
        Ok(set)
    }

    /// Returns true if the set contains `index`.
    pub fn contains(&self, index: u32) -> bool {
        self.ranges.range(..=index).next_back().is_some_and(|(_, end)| index < *end)
    }

    /// Adds `index`. Returns false if it was in the set.
    pub fn insert(&mut self, index: u32) -> bool {
        if self.contains(index) || index == u32::MAX {
            return false;
        }
        let mut first = index;
        if let Some((start, end)) = self.ranges.range(..index).next_back()
            && *end == index
        {
            first = *start;
        }
        let end = self.ranges.remove(&(index + 1)).unwrap_or(index + 1);
        self.ranges.insert(first, end);
        self.count += 1;
        true
    }

    /// Returns the number of segments in the set.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the set as ranges.
    pub fn spans(&self) -> Vec<Span> {
        self.ranges.iter().map(|(first, end)| Span { first: *first, end: *end }).collect()
    }
}

/// Segments of one file that the receiver holds, with their hashes, in rising order. Kept compact, because there may
/// be one for each of a million files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(Vec<(u32, [u8; 32])>);

impl Held {
    /// Adds a segment, or replaces its hash.
    pub fn insert(&mut self, segment: u32, hash: [u8; 32]) {
        if self.0.is_empty() {
            // Most files have one segment.
            self.0.reserve_exact(1);
        }
        match self.0.binary_search_by_key(&segment, |(segment, _)| *segment) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = hash;
                }
            }
            Err(at) => self.0.insert(at, (segment, hash)),
        }
    }

    /// Adds a peer's claims on a file of `segments` segments: rising ranges that do not touch, after all earlier
    /// claims, and a hash for each segment.
    ///
    /// # Errors
    /// Returns a violation for any other claims.
    pub fn claim(&mut self, spans: &[Span], hashes: &[[u8; 32]], segments: u64) -> Result<(), Violation> {
        let claimed = SegmentSet::from_spans(spans, segments)?;
        let floor = self.0.last().map(|(last, _)| *last);
        let behind = spans.first().is_none_or(|span| floor.is_none_or(|floor| span.first > floor));
        if claimed.count() != hashes.len() as u64 || !behind {
            return violation("claims and their hashes do not fit each other");
        }
        let numbers = spans.iter().flat_map(|span| span.first..span.end);
        if self.0.is_empty() {
            self.0.reserve_exact(hashes.len());
        }
        self.0.extend(numbers.zip(hashes.iter().copied()));
        Ok(())
    }

    /// Returns the hash of a segment, if it is held.
    pub fn get(&self, segment: u32) -> Option<[u8; 32]> {
        let at = self.0.binary_search_by_key(&segment, |(segment, _)| *segment).ok()?;
        self.0.get(at).map(|(_, hash)| *hash)
    }

    /// Returns the number of held segments.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the segments with their hashes, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, [u8; 32])> + '_ {
        self.0.iter().copied()
    }

    /// Returns the bytes of the held segments, in a file of this length.
    pub fn bytes(&self, size: u64) -> u64 {
        let lengths = self.0.iter().filter_map(|(segment, _)| segment_at(size, u64::from(*segment)));
        lengths.map(|(_, len)| u64::from(len)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn root_of(data: &[u8], order: &[u64]) -> Option<[u8; 32]> {
        let size = data.len() as u64;
        let mut tree = FileTree::new(size);
        let mut root = None;
        for index in order {
            let (start, len) = segment_at(size, *index).unwrap();
            let mut hasher = SegmentHasher::new(size, start);
            for piece in data[start as usize..start as usize + len as usize].chunks(300_000) {
                hasher.update(piece);
            }
            assert_eq!(root, None, "the root came before the last segment");
            root = tree.insert(*index, hasher.finish());
        }
        assert_eq!(tree.waiting(), 0);
        root
    }

    #[test]
    fn merged_segments_are_the_ordinary_hash() {
        const S: usize = SEGMENT as usize;
        let data: Vec<u8> = (0..9 * S + 5).map(|i| (i % 251) as u8).collect();
        for size in [1, 1023, 1024, 1025, S - 1, S, S + 1, 2 * S, 2 * S + 1, 5 * 1024 * 1024, 7 * S, 8 * S, 9 * S + 5] {
            let data = &data[..size];
            let count = segments(size as u64);
            let expected = Some(*blake3::hash(data).as_bytes());
            let forward: Vec<u64> = (0..count).collect();
            let backward: Vec<u64> = (0..count).rev().collect();
            let odd_first: Vec<u64> =
                (0..count).filter(|i| i % 2 == 1).chain((0..count).filter(|i| i % 2 == 0)).collect();
            for order in [forward, backward, odd_first] {
                assert_eq!(root_of(data, &order), expected, "{size} bytes, order {order:?}");
            }
        }
        assert_eq!(SegmentHasher::new(0, 0).finish(), SegmentHash::Whole(*blake3::hash(b"").as_bytes()));
    }

    #[test]
    fn a_growing_file_has_its_ordinary_hash_whenever_its_end_is_told() {
        const S: usize = SEGMENT as usize;
        let data: Vec<u8> = (0..9 * S + 5).map(|i| (i % 251) as u8).collect();
        for size in [S + 1, 2 * S, 2 * S + 1, 3 * S, 4 * S, 5 * S, 7 * S + 9, 8 * S, 9 * S + 5] {
            let (count, length) = (segments(size as u64), size as u64);
            let expected = Some(*blake3::hash(&data[..size]).as_bytes());
            let forward: Vec<u64> = (0..count).collect();
            let backward: Vec<u64> = (0..count).rev().collect();
            for (order, told) in [(&forward, count), (&forward, 0), (&forward, count / 2), (&backward, count)] {
                let (mut tree, mut root) = (FileTree::growing(), None);
                for (number, index) in (0..).zip(order) {
                    if number == told {
                        root = tree.end(length).or(root);
                    }
                    let (start, len) = segment_at(length, *index).unwrap();
                    let mut hasher = SegmentHasher::new(length, start);
                    hasher.update(&data[start as usize..start as usize + len as usize]);
                    root = tree.insert(*index, hasher.finish()).or(root);
                }
                if told == count {
                    assert_eq!(root, None, "the root came before the end");
                    root = tree.end(length);
                }
                assert_eq!((root, tree.waiting()), (expected, 0), "{size} bytes, end told after {told}");
            }
        }
        let mut tree = FileTree::growing();
        for index in 0..100_000 {
            tree.insert(index, SegmentHash::Part([1; 32]));
            assert!(tree.waiting() <= 20);
        }
        assert_eq!(tree.end(1), None, "nothing hangs where nothing fits");
    }

    #[test]
    fn zeros_are_hashed_as_bytes_are() {
        let size = SEGMENT + 200_001;
        let data = vec![0; size as usize];
        let mut tree = FileTree::new(size);
        let mut root = None;
        for index in 0..2 {
            let (start, len) = segment_at(size, index).unwrap();
            let mut hasher = SegmentHasher::new(size, start);
            hasher.update(&[0; 5]);
            hasher.zeros(len - 5);
            root = tree.insert(index, hasher.finish());
        }
        assert_eq!(root, Some(*blake3::hash(&data).as_bytes()));
    }

    #[test]
    fn in_order_only_a_handful_of_subtrees_is_kept() {
        let size = 100_000 * SEGMENT;
        let mut tree = FileTree::new(size);
        for index in 0..segments(size) {
            tree.insert(index, SegmentHash::Part([1; 32]));
            assert!(tree.waiting() <= 18);
        }
    }

    #[test]
    fn segments_lie_inside_the_file() {
        assert_eq!(segment_at(0, 0), None);
        assert_eq!(segment_at(5, 0), Some((0, 5)));
        assert_eq!(segment_at(5, 1), None);
        assert_eq!(segment_at(SEGMENT + 1, 1), Some((SEGMENT, 1)));
        assert_eq!(segment_at(u64::MAX, u64::MAX), None);
    }

    proptest! {
        #[test]
        fn a_segment_set_is_a_set(numbers in proptest::collection::vec(0u32..60, 0..80)) {
            let mut set = SegmentSet::default();
            let mut model = std::collections::BTreeSet::new();
            for n in numbers {
                prop_assert_eq!(set.insert(n), model.insert(n));
            }
            prop_assert_eq!(set.count(), model.len() as u64);
            for n in 0..70 {
                prop_assert_eq!(set.contains(n), model.contains(&n));
            }
            prop_assert_eq!(SegmentSet::from_spans(&set.spans(), 60).unwrap(), set);
        }
    }
}
