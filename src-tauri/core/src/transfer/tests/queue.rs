//! Transfers that people pause, reorder, limit and retry, and transfers that a full or missing disk pauses.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::fs::ops::faulty::Faulty;

const MIB: u64 = 1 << 20;

/// Creates a file of `mib` MiB to send.
fn file(node: &Node, name: &str, mib: u64) -> PathBuf {
    let path = node.outbox(name);
    fs::write(&path, noise((mib * MIB) as usize, name.len() as u8)).unwrap();
    path
}

fn limited(bytes: u64) -> TransferOptions {
    TransferOptions { limit: Some(bytes), ..Default::default() }
}

/// Waits until bytes of a transfer have reached the second node.
async fn moves(one: &Node, two: &Node, id: TransferId, from: u64) {
    // The receiver knows the transfer once it was offered.
    shows(one, id, |view| view.state == TransferState::Active && view.bytes > from).await;
    shows(two, id, |view| view.state == TransferState::Active && view.bytes > from).await;
}

/// Returns two nodes, the second of which accepts on its own, and an active transfer between them.
async fn under_way(mib: u64, rate: u64) -> (Node, Node, TransferId) {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let id = one.send(&two, vec![file(&one, "large", mib)], limited(rate)).await;
    moves(&one, &two, id, MIB).await;
    (one, two, id)
}

async fn paused(node: &Node, id: TransferId, code: &str) -> TransferView {
    let view = shows(node, id, |view| {
        view.state == TransferState::Paused && view.reason.as_ref().is_some_and(|reason| reason.code == code)
    });
    let view = view.await;
    assert_eq!(view.rate, 0.0);
    assert!(!view.reason.as_ref().unwrap().hint.is_empty());
    view
}

async fn done(one: &Node, two: &Node, id: TransferId) {
    for node in [one, two] {
        let view = node.end(id).await;
        assert_eq!((view.state, view.bytes), (TransferState::Done, view.total), "{view:?}");
        assert_eq!(view.place, None);
    }
}

fn equal(one: &Node, two: &Node) {
    assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")));
}

#[tokio::test(flavor = "multi_thread")]
async fn either_side_holds_a_transfer_and_lets_it_go_on() {
    let (one, two, id) = under_way(24, 8_000_000).await;
    for (here, there) in [(&one, &two), (&two, &one), (&one, &two)] {
        let view = here.transfers.pause(id).await.unwrap();
        assert_eq!(view.state, TransferState::Paused);
        paused(here, id, "paused_here").await;
        paused(there, id, "paused_there").await;
        // Data on its way has arrived by the time others are done; after that nothing comes.
        let mut held = two.transfers.get(id).unwrap().bytes;
        for n in 0.. {
            let other = one.send(&two, vec![file(&one, "other", 1)], Default::default()).await;
            done(&one, &two, other).await;
            fs::remove_file(two.downloads().join("other")).unwrap();
            let now = two.transfers.get(id).unwrap().bytes;
            if std::mem::replace(&mut held, now) == now && n > 0 {
                break;
            }
            assert!(n < 10, "bytes move while it is held");
        }
        here.transfers.resume(id).await.unwrap();
        for node in [&one, &two] {
            shows(node, id, |view| view.state == TransferState::Active && view.bytes > held).await;
        }
    }
    done(&one, &two, id).await;
    fs::remove_file(one.outbox("other")).unwrap();
    equal(&one, &two);
    assert_eq!(one.transfers.pause(id).await.unwrap_err().code(), "transfer_ended");
    assert_eq!(two.transfers.resume(id).await.unwrap_err().code(), "transfer_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_hold_goes_on_when_both_let_it() {
    let (one, two, id) = under_way(12, 6_000_000).await;
    one.transfers.pause(id).await.unwrap();
    paused(&two, id, "paused_there").await;
    two.transfers.pause(id).await.unwrap();
    paused(&two, id, "paused_here").await;
    one.transfers.resume(id).await.unwrap();
    paused(&one, id, "paused_there").await;
    two.transfers.resume(id).await.unwrap();
    done(&one, &two, id).await;
    equal(&one, &two);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_held_over_restarts_and_lost_connections() {
    for (sender_holds, sender_restarts) in [(true, true), (true, false), (false, true), (false, false)] {
        println!("the sender holds it: {sender_holds}; the sender is started anew: {sender_restarts}");
        let (mut one, mut two, id) = under_way(10, 5_000_000).await;
        let holds = if sender_holds { &one } else { &two };
        holds.transfers.pause(id).await.unwrap();
        paused(&one, id, if sender_holds { "paused_here" } else { "paused_there" }).await;
        paused(&two, id, if sender_holds { "paused_there" } else { "paused_here" }).await;
        if sender_restarts {
            one = one.restarted().await
        } else {
            two = two.restarted().await
        }
        one.pair(&two).await;
        two.pair(&one).await;
        one.transfers.device_is_there(two.id());
        let bytes = if sender_holds {
            paused(&one, id, "paused_here").await;
            two.transfers.get(id).unwrap().bytes
        } else {
            // The sender connects, learns of the pause, and stays.
            paused(&one, id, "paused_there").await;
            paused(&two, id, "paused_here").await.bytes
        };
        assert!(bytes < 10 * MIB);
        let holds = if sender_holds { &one } else { &two };
        holds.transfers.resume(id).await.unwrap();
        done(&one, &two, id).await;
        equal(&one, &two);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_can_be_cancelled_and_an_offer_cannot_be_held() {
    for sender in [true, false] {
        let (one, two, id) = under_way(8, 3_000_000).await;
        let (here, there) = if sender { (&one, &two) } else { (&two, &one) };
        here.transfers.pause(id).await.unwrap();
        paused(there, id, "paused_there").await;
        there.transfers.cancel(id).await.unwrap();
        for node in [&one, &two] {
            assert_eq!(node.end(id).await.state, TransferState::Cancelled);
        }
        two.nothing_landed();
    }
    let (one, two) = pair_of_nodes().await;
    let mut events = two.events.subscribe();
    let id = one.send(&two, vec![file(&one, "large", 1)], Default::default()).await;
    offered(&mut events).await;
    assert_eq!(two.transfers.pause(id).await.unwrap_err().code(), "transfer_undecided");
    // The sender may pause an offer that is not answered yet.
    one.transfers.pause(id).await.unwrap();
    two.transfers.accept(id, AcceptOptions::default()).await.unwrap();
    paused(&one, id, "paused_here").await;
    one.transfers.resume(id).await.unwrap();
    done(&one, &two, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_in_the_order_that_people_want() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    one.transfers.set_limits(None, 1);
    let mut ids = Vec::new();
    for (name, rate) in [("a", 400_000), ("bb", 0), ("ccc", 0), ("dddd", 0)] {
        let options = if rate > 0 { limited(rate) } else { Default::default() };
        ids.push(one.send(&two, vec![file(&one, name, 4)], options).await);
        // The first accepted transfer is the first to send.
        shows(&one, ids[0], |view| view.state == TransferState::Active).await;
    }
    for (place, id) in (1..).zip(&ids) {
        let view = shows(&one, *id, |view| view.place == Some(place)).await;
        assert_eq!(view.place, Some(place));
        if place > 1 {
            // Accepted, so the receiver knows of it.
            shows(&one, *id, |view| view.state == TransferState::Queued && view.files > 0).await;
            shows(&two, *id, |view| view.state == TransferState::Queued).await;
        }
    }
    // Moves the last before the second, and then the second behind all.
    let open = one.transfers.reorder(ids[3], Some(ids[1])).await.unwrap();
    assert_eq!(open.len(), 4);
    one.transfers.reorder(ids[1], None).await.unwrap();
    let strange = TransferId::from_random([7; 16]);
    assert_eq!(one.transfers.reorder(strange, None).await.unwrap_err().code(), "transfer_not_queued");
    let mut ended = Vec::new();
    let mut events = one.events.subscribe();
    // A paused transfer lets others pass and keeps its place.
    one.transfers.pause(ids[0]).await.unwrap();
    while ended.len() < 3 {
        ended.push(
            event(&mut events, |event| match event {
                Event::Transfer { transfer } if transfer.state == TransferState::Done => Some(transfer.id),
                _ => None,
            })
            .await,
        );
    }
    assert_eq!(ended, [ids[3], ids[2], ids[1]]);
    assert_eq!(one.transfers.get(ids[0]).unwrap().place, Some(1));
    one.transfers.resume(ids[0]).await.unwrap();
    done(&one, &two, ids[0]).await;
    equal(&one, &two);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_kept_over_a_restart() {
    let (one, two) = pair_of_nodes().await;
    one.away.store(true, Ordering::SeqCst);
    two.net.shutdown().await;
    let waits = TransferOptions { wait: true, ..Default::default() };
    let mut ids = Vec::new();
    for name in ["a", "bb", "ccc"] {
        ids.push(one.send(&two, vec![file(&one, name, 1)], waits).await);
    }
    one.transfers.reorder(ids[2], Some(ids[0])).await.unwrap();
    let one = one.restarted().await;
    let mut open = one.transfers.list(false);
    open.sort_by_key(|view| view.place);
    let order: Vec<_> = open.iter().map(|view| view.id).collect();
    assert_eq!(order, [ids[2], ids[0], ids[1]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_sender_and_receiver_and_changes_under_way() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    one.transfers.set_limits(Some(200_000), 3);
    let id = one.send(&two, vec![file(&one, "large", 40)], Default::default()).await;
    shows(&one, id, |view| view.state == TransferState::Active).await;
    let begun = Instant::now();
    shows(&two, id, |view| view.bytes > 0).await;
    one.transfers.set_limits(Some(8_000_000), 3);
    shows(&two, id, |view| view.bytes > 12 * MIB).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "40 MiB at 200 kB/s would take minutes");
    // The receiver's limit applies, too.
    two.transfers.set_limits(Some(1_000_000), 3);
    let (from, at) = (two.transfers.get(id).unwrap().bytes, Instant::now());
    shows(&two, id, |view| view.bytes > from + 3 * MIB).await;
    let took = at.elapsed();
    assert!(took > Duration::from_millis(1500), "{took:?} for 3 MiB at 1 MB/s, less what was on its way");
    two.transfers.set_limits(None, 3);
    one.transfers.set_limits(None, 3);
    let view = one.transfers.limit(id, Some(5_000_000)).await.unwrap();
    assert_eq!(view.limit, Some(5_000_000));
    assert_eq!(one.transfers.limit(id, Some(3)).await.unwrap_err().code(), "invalid_input");
    one.transfers.limit(id, None).await.unwrap();
    done(&one, &two, id).await;
    equal(&one, &two);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_and_found_again() {
    let (one, two) = pair_of_nodes().await;
    let mut events = two.events.subscribe();
    let id = one.send(&two, vec![file(&one, "holidays", 1)], Default::default()).await;
    offered(&mut events).await;
    assert_eq!(one.transfers.retry(id).await.unwrap_err().code(), "transfer_active");
    two.transfers.decline(id).await.unwrap();
    assert_eq!(one.end(id).await.state, TransferState::Declined);
    assert_eq!(two.transfers.retry(id).await.unwrap_err().code(), "transfer_not_ours");
    let one = one.restarted().await;
    one.pair(&two).await;
    two.pair(&one).await;
    assert_eq!(one.transfers.find(true, Some("HOLI declined")).len(), 1);
    assert_eq!(one.transfers.find(true, Some("holi done")).len(), 0);
    assert_eq!(one.transfers.find(false, Some("holi")).len(), 0);
    let again = one.transfers.retry(id).await.unwrap().id;
    assert_ne!(again, id);
    offered(&mut events).await;
    two.transfers.accept(again, AcceptOptions::default()).await.unwrap();
    done(&one, &two, again).await;
    equal(&one, &two);
    fs::remove_file(one.outbox("holidays")).unwrap();
    assert_eq!(one.transfers.retry(again).await.unwrap_err().code(), "path_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_holds_a_transfer_and_loses_nothing() {
    let full = Arc::new(AtomicBool::new(false));
    let seen = full.clone();
    let disk = Faulty::new(move |step, _| {
        (step == "write_at" && seen.load(Ordering::SeqCst)).then(|| std::io::ErrorKind::StorageFull.into())
    });
    let (one, two) = pair_on(Arc::new(disk)).await;
    two.set_rule(AcceptRule::Paired);
    let id = one.send(&two, vec![file(&one, "large", 40)], limited(12_000_000)).await;
    moves(&one, &two, id, 20 * MIB).await;
    full.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    for node in [&one, &two] {
        let view = paused(node, id, "disk_full").await;
        assert!(view.reason.unwrap().hint.contains("space"));
    }
    assert!(begun.elapsed() < Duration::from_secs(6), "both know within {:?}", begun.elapsed());
    let held = two.transfers.get(id).unwrap().bytes;
    assert_eq!(names(&two.downloads()).iter().filter(|name| *name == "large").count(), 0);
    full.store(false, Ordering::SeqCst);
    // It resumes without a person.
    done(&one, &two, id).await;
    equal(&one, &two);
    let session = one.net.live(two.id(), crate::net::ALPN_TRANSFER).expect("a session");
    let sent = session.connection().stats().udp_tx.bytes;
    let most = 40 * MIB + (4 * 2 + 2) * 2 * MIB;
    println!("FIGURE a full disk at {held} bytes: {sent} bytes sent in all");
    assert!(sent < most, "{sent} bytes, of which {held} were held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_disk_is_gone_waits_for_it() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let folder = one.outbox("stick/photos");
    fs::create_dir_all(&folder).unwrap();
    for n in 0..40u8 {
        fs::write(folder.join(format!("{n}")), noise(MIB as usize, n)).unwrap();
    }
    // So slow that few files arrive in a second: these are reported at once, while most are not read yet.
    let id = one.send(&two, vec![folder], limited(5_000_000)).await;
    shows(&one, id, |view| view.files_done > 4).await;
    fs::rename(one.outbox("stick"), one.home.path().join("taken out")).unwrap();
    for node in [&one, &two] {
        paused(node, id, "source_gone").await;
    }
    let held = two.transfers.get(id).unwrap().files_done;
    assert!(held > 4 && held < 40, "{held}");
    // A retry while the disk is missing gives up nothing.
    one.transfers.resume(id).await.unwrap();
    paused(&one, id, "source_gone").await;
    fs::rename(one.home.path().join("taken out"), one.outbox("stick")).unwrap();
    done(&one, &two, id).await;
    assert_eq!(tree(&two.downloads()), tree(&one.outbox("stick")));
}
