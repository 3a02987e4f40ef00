//! Node that cannot open files for a while, because too many are open.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::fs::ops::faulty::Faulty;

/// Returns file operations in which a step finds no descriptor `times` times.
fn without_descriptors(step: &'static str, times: u32) -> (Faulty, Arc<AtomicU32>) {
    let left = Arc::new(AtomicU32::new(times));
    let count = left.clone();
    let ops = Faulty::new(move |name, _| {
        let fails =
            name == step && count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        fails.then(|| std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error()))
    });
    (ops, left)
}

/// Sends a folder to such a node, and compares what arrived.
async fn arrives_without_descriptors_at(step: &'static str, times: u32) {
    let (ops, left) = without_descriptors(step, times);
    let (one, two) = pair_on(Arc::new(ops)).await;
    two.set_rule(AcceptRule::Paired);
    let folder = one.outbox("mixed");
    mixed_folder(&folder);
    let id = one.send(&two, vec![folder], TransferOptions::default()).await;
    let sent = one.end(id).await;
    assert_eq!(sent.state, TransferState::Done, "{step}: {:?}", sent.reason);
    assert_eq!(two.end(id).await.state, TransferState::Done, "{step}");
    assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")), "{step}");
    assert_eq!(left.load(Ordering::SeqCst), 0, "{step} was reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_without_a_descriptor_waits_for_one() {
    for step in ["open_root", "open_dir", "create_file", "create_dir", "rename_new", "sync_dir"] {
        arrives_without_descriptors_at(step, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_has_none_for_long_keeps_what_is_there_and_goes_on_later() {
    // More failures than one wait retries, so that the attempt ends in between.
    arrives_without_descriptors_at("create_file", 60).await;
}
