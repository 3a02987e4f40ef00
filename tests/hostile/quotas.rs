//! Attacks on rules that accept up to a size: what arrives under a rule never takes more than its limit.

use std::time::Duration;

use tokio::task::JoinSet;
use yonder_tests::tree;

use crate::{
    peer::TRANSFER,
    scene::{HOSTILES, Hostile, Scene},
    transfer::{Entry, Manifest, Offering},
    wire::Step,
};

/// Bytes per day that the rule allows.
const UP_TO: u64 = 1_000_000;
/// Bytes that an entry takes on a disk at least.
const ENTRY: u64 = 4096;
/// Longest wait for an offer to be accepted by a rule. Offers without a rule wait for a person.
const BY_RULE: Duration = Duration::from_millis(1500);

/// Returns the number of entries under a folder and their size on the disk, in bytes.
fn taken(folder: &std::path::Path) -> (usize, u64) {
    let all = tree::list(folder);
    let size = |entry: &tree::Entry| if let tree::Entry::File(size, ..) = entry { *size } else { 0 };
    (all.len(), all.values().map(|entry| size(entry) + ENTRY).sum())
}

#[test]
fn empty_files_count_against_what_a_rule_allows() {
    const FILES: u32 = 100;
    const OFFERS: u32 = 12;
    async fn attack(hostile: &Hostile) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        // All offers at once: each of them alone is within the rule.
        let mut under_way = JoinSet::new();
        for offer in 0..OFFERS {
            let session = session.clone();
            under_way.spawn(tokio::time::timeout(BY_RULE, async move {
                let names: Vec<Entry> =
                    (0..FILES).map(|file| Entry::file(0, &format!("{offer} of {file}"), 0)).collect();
                let files: Vec<(u32, &[u8])> = (0..FILES).map(|file| (file, b"".as_slice())).collect();
                Offering::accepted(&session, &Manifest::of(&names)).await?.finish(&files).await
            }));
        }
        let accepted = under_way.join_all().await.iter().filter(|ended| matches!(ended, Ok(Ok(())))).count();
        hostile.in_place(format!("{accepted} of {OFFERS} offers of {FILES} empty files were taken"));
        session.connection.closed().await;
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let (hostiles, inboxes) = scene.ruled(count, Some(UP_TO));
        scene.during(hostiles, |hostile| async move { hostile.again_and_again(|| attack(&hostile)).await });
        for inbox in &inboxes {
            let (entries, bytes) = taken(inbox);
            if bytes > UP_TO {
                scene.fault(format!(
                    "with {count}: {entries} empty files lie there, at {ENTRY} bytes each {bytes}; the rule allows {UP_TO}"
                ));
            }
        }
    }
    scene.finish();
}

#[test]
fn a_file_that_grows_after_it_was_accepted_counts_as_large_as_it_is() {
    const OFFERED: usize = 100_000;
    const GROWN: usize = 8 << 20;
    async fn attack(hostile: &Hostile, grown: &[u8]) -> Step<()> {
        let manifest = Manifest::of(&[Entry::file(0, "grows", OFFERED as u64)]);
        let session = hostile.session(TRANSFER).await?;
        let accepted = tokio::time::timeout(BY_RULE, Offering::accepted(&session, &manifest)).await;
        let offering = accepted.map_err(|_| "not accepted".to_owned())??;
        let transfer = offering.transfer;
        session.connection.close(0u32.into(), b"");
        drop(offering);
        let session = hostile.session(TRANSFER).await?;
        let again = Offering::again(&session, transfer, &manifest.hash, &[(0, grown.len() as u64)]).await?;
        again.finish(&[(0, grown)]).await?;
        hostile.in_place("a file of 100 kB came as one of 8 MiB");
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let (hostiles, inboxes) = scene.ruled(count, Some(UP_TO));
        scene.during(hostiles, |hostile| async move {
            let grown = vec![0x2a; GROWN];
            hostile.again_and_again(|| attack(&hostile, &grown)).await;
        });
        for inbox in &inboxes {
            let (_, bytes) = taken(inbox);
            if bytes > UP_TO {
                scene.fault(format!("with {count}: {bytes} bytes lie there; the rule allows {UP_TO}"));
            }
        }
    }
    scene.finish();
}
