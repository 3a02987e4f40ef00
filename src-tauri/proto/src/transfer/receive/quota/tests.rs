//! Model of a rule with a limit: whatever a sender does, the disk never holds more than the rule allows.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{
    fs::Mtime,
    transfer::protocol::{
        frames::{ChangedFile, EntryKind},
        manifest::{
            ManifestBuilder,
            tests::{entry, file},
        },
    },
};

/// Returns the bytes of the blocks that one entry takes.
fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(ENTRY).max(1) * ENTRY
}

/// State of one transfer at the receiver.
struct Transfer {
    accepted: Manifest,
    now: Manifest,
    charged: u64,
    whole: IndexSet,
    /// Lengths of named files as stored.
    landed: HashMap<u32, u64>,
    /// Bytes of unfinished files.
    partial: HashMap<u32, u64>,
    open: bool,
}

/// Model of the receiver in `receiver/rule.rs` and `resume.rs`.
struct Receiver {
    limit: u64,
    spent: u64,
    transfers: Vec<Transfer>,
}

impl Receiver {
    fn takes(&mut self, cost: u64) -> bool {
        let after = self.spent.saturating_add(cost);
        let fits = after <= self.limit;
        if fits {
            self.spent = after;
        }
        fits
    }

    fn offer(&mut self, sizes: &[Option<u64>]) {
        let mut builder = ManifestBuilder::default();
        for (n, size) in sizes.iter().enumerate() {
            let kind = size.map_or(EntryKind::Folder, file);
            builder.push(&entry(0, &format!("{n}"), kind)).unwrap();
        }
        let accepted = builder.finish();
        let charged = cost(accepted.total(), accepted.len().into()) + beside(accepted.memory() as u64);
        if self.takes(charged) {
            let (now, whole) = (accepted.clone(), IndexSet::none(accepted.len()));
            let (landed, partial) = (HashMap::new(), HashMap::new());
            self.transfers.push(Transfer { accepted, now, charged, whole, landed, partial, open: true });
        }
    }

    /// Resumes a transfer, some of whose files have new lengths.
    fn resume(&mut self, which: usize, changes: &[(u32, u64)]) {
        let Some(transfer) = self.transfers.get(which).filter(|transfer| transfer.open) else { return };
        let mut changes: Vec<_> = changes
            .iter()
            .filter(|(file, _)| transfer.accepted.size(*file).is_some())
            .map(|(file, size)| ChangedFile { file: *file, size: *size, mtime: Mtime { secs: 1, nanos: 1 } })
            .collect();
        changes.sort_by_key(|change| change.file);
        changes.dedup_by_key(|change| change.file);
        let now = transfer.accepted.with_changes(&changes).unwrap();
        let selected = IndexSet::all(now.len());
        let bytes = bytes_in_all(&now, &selected, &transfer.whole, transfer.landed.values().sum());
        let cost = cost(bytes, now.len().into()).saturating_add(beside(transfer.accepted.memory() as u64));
        let more = cost.saturating_sub(transfer.charged);
        let takes = self.takes(more);
        let Some(transfer) = self.transfers.get_mut(which) else { return };
        transfer.open = takes;
        if takes {
            transfer.charged += more;
            // Changed files start from the beginning; named files stay.
            let before = std::mem::replace(&mut transfer.now, now);
            transfer.partial.retain(|file, _| before.size(*file) == transfer.now.size(*file));
        } else {
            transfer.partial.clear();
        }
    }

    /// Receives bytes of a file; a complete file is named.
    fn arrive(&mut self, which: usize, file: u32, bytes: u64) {
        let Some(transfer) = self.transfers.get_mut(which).filter(|transfer| transfer.open) else { return };
        let Some(size) = transfer.now.size(file).filter(|_| !transfer.whole.contains(file)) else { return };
        let there = transfer.partial.entry(file).or_default();
        *there = there.saturating_add(bytes).min(size);
        if *there == size {
            transfer.partial.remove(&file);
            transfer.landed.insert(file, size);
            transfer.whole.insert(file);
        }
    }

    fn cancel(&mut self, which: usize) {
        if let Some(transfer) = self.transfers.get_mut(which) {
            transfer.open = false;
            transfer.partial.clear();
        }
    }

    fn on_disk(&self) -> u64 {
        let of = |transfer: &Transfer| {
            let folders = (0..transfer.now.len()).filter(|index| transfer.now.size(*index).is_none()).count() as u64;
            let files = transfer.landed.values().chain(transfer.partial.values());
            let list = if transfer.open { beside(transfer.accepted.memory() as u64) } else { 0 };
            list + folders * ENTRY + files.map(|bytes| blocks(*bytes)).sum::<u64>()
        };
        self.transfers.iter().map(of).sum()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer(Vec<Option<u64>>),
    Resume(usize, Vec<(u32, u64)>),
    Arrive(usize, u32, u64),
    Cancel(usize),
    /// A person at the sender retries the transfer: a new offer of the same files.
    Retry(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(0_u64), 1..20_000_u64, 900_000..1_100_000_u64, Just(1 << 50)];
    let changes = proptest::collection::vec((0..6_u32, size.clone()), 0..4);
    prop_oneof![
        proptest::collection::vec(proptest::option::weighted(0.9, size.clone()), 1..6).prop_map(Step::Offer),
        (0..6_usize, changes).prop_map(|(which, changes)| Step::Resume(which, changes)),
        (0..6_usize, 0..6_u32, size).prop_map(|(which, file, bytes)| Step::Arrive(which, file, bytes)),
        (0..6_usize, 0..6_u32).prop_map(|(which, file)| Step::Arrive(which, file, u64::MAX)),
        (0..6_usize).prop_map(Step::Cancel),
        (0..6_usize).prop_map(Step::Retry),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_steps_leaves_more_on_disk_than_the_rule_allows(
        limit in prop_oneof![Just(0_u64), 1..50_000_u64, 500_000..3_000_000_u64],
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut receiver = Receiver { limit, spent: 0, transfers: Vec::new() };
        for step in steps {
            match step {
                Step::Offer(sizes) => receiver.offer(&sizes),
                Step::Resume(which, changes) => receiver.resume(which, &changes),
                Step::Arrive(which, file, bytes) => receiver.arrive(which, file, bytes),
                Step::Cancel(which) => receiver.cancel(which),
                Step::Retry(which) => {
                    let sizes = receiver.transfers.get(which).map(|transfer| {
                        (0..transfer.accepted.len()).map(|index| transfer.accepted.size(index)).collect::<Vec<_>>()
                    });
                    if let Some(sizes) = sizes {
                        receiver.offer(&sizes);
                    }
                }
            }
            prop_assert!(receiver.spent <= limit);
            prop_assert!(receiver.on_disk() <= limit, "{} of {limit}", receiver.on_disk());
        }
    }
}

#[test]
fn empty_files_and_folders_cost_a_block_each() {
    assert_eq!(cost(0, 60_304), 60_304 * ENTRY);
    assert_eq!(cost(u64::MAX, 1), u64::MAX);
    let mut receiver = Receiver { limit: 1_000_000, spent: 0, transfers: Vec::new() };
    receiver.offer(&vec![Some(0); 244]);
    assert_eq!(receiver.transfers.len(), 0, "a megabyte is 244 empty files, and the list of them");
    receiver.offer(&vec![Some(0); 235]);
    assert_eq!(receiver.transfers.len(), 1);
}

#[test]
fn a_file_that_landed_counts_as_it_landed_whatever_its_source_says_later() {
    let mut receiver = Receiver { limit: 2_110_000, spent: 0, transfers: Vec::new() };
    receiver.offer(&[Some(1_000_000), Some(0), Some(0)]);
    receiver.arrive(0, 0, u64::MAX);
    receiver.resume(0, &[(0, 0), (1, 1_000_000)]);
    receiver.arrive(0, 1, u64::MAX);
    assert!(receiver.transfers[0].open, "twice as much still fits");
    receiver.resume(0, &[(0, 0), (1, 0), (2, 1_000_000)]);
    assert!(!receiver.transfers[0].open, "but not three times as much");
}
