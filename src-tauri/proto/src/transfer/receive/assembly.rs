//! Assembly: what the receiver has of each file, and when a file is complete. Pure.
//!
//! Data comes over several streams and the sender's `FileEnd` over the control stream, in any order. A file is good
//! when every segment is there and the resulting root hash equals the one that the sender gave.

use std::{collections::HashMap, sync::Arc};

use crate::transfer::protocol::{
    frames::{FileEnd, SourceOutcome, Violation, violation},
    framing::SegmentHeader,
    hash_tree::{FileTree, Held, SegmentHash, SegmentHasher, SegmentSet, segment_at, segments},
    index_set::IndexSet,
    limits::SEGMENT,
    manifest::{MAX_FILE, Manifest},
    reason::Reason,
    state::Plan,
};

/// Result of a file at the receiver, given once for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every byte is written and the hashes agree: it may be named.
    Good(u32),
    /// The file is discarded for this reason.
    Bad(u32, Reason),
}

/// Answer to an announced segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Length of the file in bytes.
    pub size: u64,
    /// True if the file has failed already: the segment is read and dropped.
    pub discard: bool,
}

#[derive(Debug)]
struct Progressing {
    claimed: SegmentSet,
    tree: FileTree,
    root: Option<[u8; 32]>,
    said: Option<[u8; 32]>,
}

impl Progressing {
    /// Counts held segments as received in this attempt, so that sending one of them is a violation.
    fn new(size: u64, grows: bool, held: Option<Held>) -> Self {
        let tree = if grows { FileTree::growing() } else { FileTree::new(size) };
        let mut new = Self { claimed: SegmentSet::default(), tree, root: None, said: None };
        for (segment, hash) in held.iter().flat_map(Held::iter) {
            new.claimed.insert(segment);
            new.root = new.tree.insert(segment.into(), SegmentHash::of(size, hash)).or(new.root);
        }
        new
    }
}

/// Assembly state of all files of one attempt.
#[derive(Debug)]
pub struct Assembly {
    manifest: Arc<Manifest>,
    plan: Plan,
    files: HashMap<u32, Progressing>,
    good: IndexSet,
    bad: IndexSet,
    left: u32,
    /// Length up to which the growing file may come, and whether it is complete then.
    grown: (u64, bool),
}

impl Assembly {
    /// Starts with nothing but the held segments of the plan.
    pub fn new(manifest: Arc<Manifest>, plan: Plan) -> Self {
        let (left, _) = plan.measure(&manifest);
        let len = manifest.len();
        let (good, bad) = (IndexSet::none(len), IndexSet::none(len));
        Self { manifest, plan, files: HashMap::new(), good, bad, left, grown: (0, false) }
    }

    /// Lets the growing file come up to `size`. If `ended`, that is its full length. Allocates nothing for data that
    /// has not come.
    ///
    /// # Errors
    /// Returns a violation if more of it has come already.
    pub fn grow(&mut self, size: u64, ended: bool) -> Result<(), Violation> {
        if ended && !self.bad.contains(0) && !self.good.contains(0) {
            let (progressing, _) = self.file(0)?;
            let last = progressing.claimed.spans().last().map(|span| span.end);
            if last.is_some_and(|last| size <= SEGMENT || u64::from(last) > segments(size)) {
                return violation("a file ends before what is there of it");
            }
            progressing.root = progressing.tree.end(size).or(progressing.root);
        }
        self.grown = (size, ended);
        Ok(())
    }

    /// Returns the number of files without a verdict.
    pub fn left(&self) -> u32 {
        self.left
    }

    fn file(&mut self, file: u32) -> Result<(&mut Progressing, u64), Violation> {
        let wanted = self.manifest.size(file).filter(|_| self.plan.wants(&self.manifest, file));
        let Some(mut size) = wanted else { return violation("data of a file that was not accepted") };
        let grows = self.manifest.is_growing() && !self.grown.1;
        if self.manifest.is_growing() {
            size = if grows { MAX_FILE } else { self.grown.0 };
        }
        let held = &mut self.plan.held;
        let progressing = self.files.entry(file).or_insert_with(|| Progressing::new(size, grows, held.remove(&file)));
        Ok((progressing, size))
    }

    /// Registers a segment that begins on a stream. Each may come once in an attempt.
    ///
    /// # Errors
    /// Returns a violation if the file was not accepted, the range is not a segment of it, or it came before.
    pub fn claim(&mut self, header: &SegmentHeader) -> Result<Claim, Violation> {
        if self.good.contains(header.file) {
            return violation("data of a file that is complete");
        }
        let discard = self.bad.contains(header.file);
        let (progressing, size) = self.file(header.file)?;
        let index = header.start / SEGMENT;
        if segment_at(size, index) != Some((header.start, header.len)) || header.whole != (segments(size) == 1) {
            return violation("a segment that is not one of its file");
        }
        if !progressing.claimed.insert(index as u32) {
            return violation("a segment came twice");
        }
        if self.manifest.is_growing() && header.start + u64::from(header.len) > self.grown.0 {
            return violation("more of a growing file than was agreed on");
        }
        Ok(Claim { size, discard })
    }

    /// Records that a registered segment is written. Returns the verdict if that completes the file.
    pub fn written(&mut self, file: u32, start: u64, hash: SegmentHash) -> Option<Verdict> {
        if self.bad.contains(file) {
            return None;
        }
        let (progressing, _) = self.file(file).ok()?;
        if let Some(root) = progressing.tree.insert(start / SEGMENT, hash) {
            progressing.root = Some(root);
        }
        self.verdict(file)
    }

    /// Handles the sender's `FileEnd`. The state machine has checked that it comes once, and only for accepted files.
    pub fn ended(&mut self, end: &FileEnd) -> Option<Verdict> {
        if self.bad.contains(end.file) {
            return None;
        }
        match &end.outcome {
            SourceOutcome::Failed { code } => self.fail(end.file, code.clone()),
            SourceOutcome::Sent { root, .. } => {
                let (progressing, size) = self.file(end.file).ok()?;
                progressing.said = Some(*root);
                if size == 0
                    && let SegmentHash::Whole(empty) = SegmentHasher::new(0, 0).finish()
                {
                    progressing.root = Some(empty);
                }
                self.verdict(end.file)
            }
        }
    }

    /// Fails a file that cannot be kept. Returns `None` if it has its verdict already.
    pub fn fail(&mut self, file: u32, reason: Reason) -> Option<Verdict> {
        if self.good.contains(file) || !self.plan.wants(&self.manifest, file) || !self.bad.insert(file) {
            return None;
        }
        // The segment set stays, so that a duplicate segment is still detected.
        self.left = self.left.saturating_sub(1);
        Some(Verdict::Bad(file, reason))
    }

    fn verdict(&mut self, file: u32) -> Option<Verdict> {
        let progressing = self.files.get(&file)?;
        let (root, said) = (progressing.root?, progressing.said?);
        if root != said {
            return self.fail(file, Reason::ChecksumMismatch);
        }
        self.files.remove(&file);
        self.good.insert(file);
        self.left = self.left.saturating_sub(1);
        Some(Verdict::Good(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::protocol::{
        frames::EntryKind,
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
    };

    const BIG: u64 = 2 * SEGMENT + 10;

    fn assembly() -> Assembly {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "d", EntryKind::Folder)).unwrap();
        builder.push(&entry(1, "small", file(5))).unwrap();
        builder.push(&entry(1, "big", file(BIG))).unwrap();
        builder.push(&entry(1, "empty", file(0))).unwrap();
        builder.push(&entry(1, "not wanted", file(5))).unwrap();
        let manifest = Arc::new(builder.finish());
        let mut plan = Plan::all(&manifest);
        plan.selected = IndexSet::none(5);
        for index in 0..4 {
            plan.selected.insert(index);
        }
        Assembly::new(manifest, plan)
    }

    fn header(file: u32, start: u64, len: u32, whole: bool) -> SegmentHeader {
        SegmentHeader { file, start, len, whole, commitment: None }
    }

    fn sent(file: u32, size: u64, root: [u8; 32]) -> FileEnd {
        FileEnd { file, outcome: SourceOutcome::Sent { root, size } }
    }

    #[test]
    fn data_and_word_meet_in_any_order() {
        let hash = *blake3::hash(b"hello").as_bytes();
        let mut one = assembly();
        assert_eq!(one.left(), 3);
        assert_eq!(one.claim(&header(1, 0, 5, true)), Ok(Claim { size: 5, discard: false }));
        assert_eq!(one.written(1, 0, SegmentHash::Whole(hash)), None);
        assert_eq!(one.ended(&sent(1, 5, hash)), Some(Verdict::Good(1)));
        let mut two = assembly();
        assert_eq!(two.ended(&sent(1, 5, hash)), None);
        two.claim(&header(1, 0, 5, true)).unwrap();
        assert_eq!(two.written(1, 0, SegmentHash::Whole(hash)), Some(Verdict::Good(1)));
        assert_eq!(two.left(), 2);
        assert!(two.claim(&header(1, 0, 5, true)).is_err(), "a file that is complete takes nothing more");
    }

    #[test]
    fn a_wrong_hash_is_bad_once() {
        let mut assembly = assembly();
        assembly.claim(&header(1, 0, 5, true)).unwrap();
        assert_eq!(assembly.written(1, 0, SegmentHash::Whole([1; 32])), None);
        assert_eq!(assembly.ended(&sent(1, 5, [2; 32])), Some(Verdict::Bad(1, Reason::ChecksumMismatch)));
        assert_eq!(assembly.fail(1, Reason::from_code("x")), None);
        assert_eq!(assembly.left(), 2);
    }

    #[test]
    fn an_empty_file_needs_the_hash_of_nothing() {
        let empty = *blake3::hash(b"").as_bytes();
        assert_eq!(assembly().ended(&sent(3, 0, empty)), Some(Verdict::Good(3)));
        assert!(matches!(assembly().ended(&sent(3, 0, [0; 32])), Some(Verdict::Bad(3, _))));
        assert!(assembly().claim(&header(3, 0, 1, true)).is_err());
    }

    #[test]
    fn what_is_not_a_segment_of_an_accepted_file_is_refused() {
        for bad in [
            header(0, 0, 5, true),                   // a folder
            header(4, 0, 5, true),                   // not accepted
            header(9, 0, 5, true),                   // no such entry
            header(1, 0, 4, true),                   // not all of it
            header(1, 0, 5, false),                  // wrong flag
            header(1, SEGMENT, 5, true),             // past the end
            header(2, 2 * SEGMENT, 11, false),       // past the end
            header(2, 0, SEGMENT as u32 - 1, false), // too short
        ] {
            assert!(assembly().claim(&bad).is_err(), "{bad:?}");
        }
        let mut assembly = assembly();
        assembly.claim(&header(2, 0, SEGMENT as u32, false)).unwrap();
        assert!(assembly.claim(&header(2, 0, SEGMENT as u32, false)).is_err(), "twice");
        assembly.claim(&header(2, 2 * SEGMENT, 10, false)).unwrap();
    }

    fn growing() -> Assembly {
        let mut builder = ManifestBuilder::default();
        builder.push(&entry(0, "stdin", EntryKind::Growing)).unwrap();
        let manifest = Arc::new(builder.finish());
        let plan = Plan::all(&manifest);
        Assembly::new(manifest, plan)
    }

    #[test]
    fn a_growing_file_comes_as_far_as_was_agreed_on_and_is_judged_at_its_end() {
        const S: u32 = SEGMENT as u32;
        let data: Vec<u8> = (0..2 * SEGMENT).map(|i| (i % 251) as u8).collect();
        let hash = |index: u64| {
            let mut hasher = SegmentHasher::new(MAX_FILE, index * SEGMENT);
            hasher.update(&data[(index * SEGMENT) as usize..((index + 1) * SEGMENT) as usize]);
            hasher.finish()
        };
        let mut assembly = growing();
        assert!(growing().claim(&header(0, 0, S, false)).is_err(), "nothing was agreed on");
        assert_eq!(assembly.grow(SEGMENT + 1, false), Ok(()));
        assert!(assembly.claim(&header(0, 0, 7, true)).is_err(), "a part, and the end is not known");
        assembly.claim(&header(0, 0, S, false)).unwrap();
        assert_eq!(assembly.written(0, 0, hash(0)), None);
        assert!(assembly.claim(&header(0, SEGMENT, S, false)).is_err(), "further than was agreed on");
        let mut short = growing();
        short.grow(2 * SEGMENT, false).unwrap();
        short.claim(&header(0, 0, S, false)).unwrap();
        assert!(short.grow(SEGMENT, true).is_err(), "shorter than what is there");

        let mut assembly = growing();
        assembly.grow(2 * SEGMENT, false).unwrap();
        for index in [1, 0] {
            assembly.claim(&header(0, index * SEGMENT, S, false)).unwrap();
            assert_eq!(assembly.written(0, index * SEGMENT, hash(index)), None);
        }
        assert_eq!(assembly.grow(2 * SEGMENT, true), Ok(()));
        let root = *blake3::hash(&data).as_bytes();
        assert_eq!(assembly.ended(&sent(0, 2 * SEGMENT, root)), Some(Verdict::Good(0)));

        for (len, good) in [(0, true), (5, true), (SEGMENT, true), (5, false)] {
            let mut small = growing();
            assert_eq!(small.grow(len, true), Ok(()));
            if len > 0 {
                small.claim(&header(0, 0, len as u32, true)).unwrap();
                small.written(0, 0, SegmentHash::Whole(*blake3::hash(&data[..len as usize]).as_bytes()));
            }
            let said = if good { *blake3::hash(&data[..len as usize]).as_bytes() } else { [1; 32] };
            let verdict = small.ended(&sent(0, len, said));
            assert_eq!(matches!(verdict, Some(Verdict::Good(0))), good, "{len}");
        }
    }

    #[test]
    fn a_failed_file_is_read_and_dropped() {
        let mut assembly = assembly();
        let failed = FileEnd { file: 2, outcome: SourceOutcome::Failed { code: Reason::SourceChanged } };
        assert_eq!(assembly.ended(&failed), Some(Verdict::Bad(2, Reason::SourceChanged)));
        assert!(assembly.claim(&header(2, 0, SEGMENT as u32, false)).unwrap().discard);
        assert_eq!(assembly.written(2, 0, SegmentHash::Part([0; 32])), None);
        assert!(assembly.claim(&header(2, 0, SEGMENT as u32, false)).is_err(), "twice is a violation all the same");
    }
}
