//! Transfers that fail: declined, cancelled, broken off, or ended by the disk or by a changed file.

use std::io;

use super::*;
use crate::fs::ops::faulty::Faulty;

/// Returns a file that takes long enough to be interrupted, and options to send it slowly.
fn slow(node: &Node) -> (Vec<PathBuf>, TransferOptions) {
    let file = node.outbox("slow");
    fs::write(&file, noise(8_000_000, 1)).unwrap();
    let small = node.outbox("a small one");
    fs::write(&small, noise(10, 1)).unwrap();
    (vec![small, file], TransferOptions { limit: Some(1_000_000), ..Default::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_offer_leaves_nothing() {
    let (one, two) = pair_of_nodes().await;
    let (paths, options) = slow(&one);
    let mut events = two.events.subscribe();
    let id = one.send(&two, paths.clone(), options).await;
    offered(&mut events).await;
    assert_eq!(two.transfers.decline(id).await.unwrap().state, TransferState::Declined);
    let end = one.end(id).await;
    assert_eq!((end.state, end.reason), (TransferState::Declined, None));
    two.nothing_landed();

    two.set_rule(AcceptRule::None);
    let id = one.send(&two, paths, options).await;
    let end = one.end(id).await;
    assert_eq!(end.state, TransferState::Declined);
    assert_eq!(end.reason.unwrap().code, "declined_by_rule");
    two.nothing_landed();
}

#[tokio::test(flavor = "multi_thread")]
async fn either_side_cancels_at_any_time_and_both_know() {
    for by_sender in [true, false] {
        for while_offered in [true, false] {
            let (one, two) = pair_of_nodes().await;
            let (paths, options) = slow(&one);
            let mut events = two.events.subscribe();
            let id = one.send(&two, paths, options).await;
            offered(&mut events).await;
            if !while_offered {
                two.transfers.accept(id, AcceptOptions::default()).await.unwrap();
                shows(&one, id, |view| view.bytes > 500_000).await;
                assert!(names(&two.downloads()).iter().any(|name| name.starts_with(".yonder-")));
            }
            let (by, other) = if by_sender { (&one, &two) } else { (&two, &one) };
            within(by.transfers.cancel(id)).await.unwrap();
            let (sent, received) = (one.end(id).await, two.end(id).await);
            let what = format!("by sender {by_sender}, while offered {while_offered}");
            if while_offered && !by_sender {
                assert_eq!((sent.state, received.state), (TransferState::Declined, TransferState::Declined));
                two.nothing_landed();
                continue;
            }
            assert_eq!((sent.state, received.state), (TransferState::Cancelled, TransferState::Cancelled), "{what}");
            let told = other.transfers.get(id).unwrap().reason.map(|reason| reason.code);
            assert_eq!(told.as_deref(), Some("cancelled_there"), "{what}");
            assert_eq!(by.transfers.get(id).unwrap().reason.unwrap().code, "cancelled_here", "{what}");
            assert_eq!(by.transfers.cancel(id).await.unwrap_err().code(), "transfer_ended");
            if while_offered {
                two.nothing_landed();
            } else {
                assert_eq!(names(&two.downloads()), ["a small one"], "what was complete stays: {what}");
            }
            // The session can still be used.
            two.set_rule(AcceptRule::Paired);
            let file = one.outbox("another");
            fs::write(&file, "x").unwrap();
            let id = one.send(&two, vec![file], TransferOptions::default()).await;
            assert_eq!(one.end(id).await.state, TransferState::Done, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_is_cancelled_before_anybody_answers() {
    let (one, two) = pair_of_nodes().await;
    let (paths, options) = slow(&one);
    two.cancel.cancel();
    two.net.shutdown().await;
    let id = one.send(&two, paths, options).await;
    let end = within(one.transfers.cancel(id)).await.unwrap();
    assert_eq!(end.state, TransferState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_there_is_a_reason() {
    let (one, two) = pair_of_nodes().await;
    two.cancel.cancel();
    two.net.shutdown().await;
    let file = one.outbox("file");
    fs::write(&file, "x").unwrap();
    let id = one.send(&two, vec![file], TransferOptions::default()).await;
    let end = one.end(id).await;
    assert_eq!(end.state, TransferState::Failed);
    let reason = end.reason.unwrap();
    assert!(["connection_timeout", "connection_failed"].contains(&reason.code.as_str()), "{reason:?}");
    assert!(!reason.hint.is_empty());
}

/// Peer that takes an offer, requests the manifest, and then never reads again.
struct Deaf;
impl NetworkProtocol for Deaf {
    fn alpn(&self) -> &'static [u8] {
        crate::net::ALPN_TRANSFER
    }
    fn handle(self: Arc<Self>, session: crate::net::Session) -> n0_future::boxed::BoxFuture<Result<(), NetworkError>> {
        Box::pin(async move {
            let mut stream = session.accept_sealed().await?;
            stream.receiver.recv(crate::transfer::protocol::limits::MAX_FRAME).await?;
            stream
                .sender
                .send(
                    &crate::transfer::protocol::frames::encode(
                        &crate::transfer::protocol::frames::ReceiverFrame::NeedManifest,
                    )
                    .unwrap(),
                )
                .await?;
            session.connection().closed().await;
            drop(stream);
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_cannot_keep_a_transfer_from_ending() {
    let one = Node::new(1, Arc::new(RealFiles)).await;
    let two = Node::speaking(2, Arc::new(RealFiles), Some(Arc::new(Deaf))).await;
    one.pair(&two).await;
    two.pair(&one).await;
    // More pages than the transport buffers.
    let folder = one.outbox("folder");
    fs::create_dir(&folder).unwrap();
    for n in 0..14_000 {
        fs::File::create(folder.join(format!("{n:0>250}"))).unwrap();
    }
    let id = one.send(&two, vec![folder], TransferOptions::default()).await;
    shows(&one, id, |view| view.state == TransferState::Offered).await;
    let end = within(one.transfers.cancel(id)).await.unwrap();
    assert_eq!(end.state, TransferState::Cancelled);
    within(one.transfers.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_cannot_be_sent_are_said_at_once() {
    let (one, two) = pair_of_nodes().await;
    let gone = one.transfers.send(two.id(), vec![one.outbox("gone")], TransferOptions::default()).await.unwrap_err();
    assert_eq!(gone.code(), "path_not_found");
    assert!(gone.to_string().contains("gone") && !gone.hint().is_empty());
    assert_eq!(one.transfers.list(true), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_holds_it_on_both_sides_until_it_is_given_up() {
    // Fails early, after the manifest is stored, in the middle, and while files are named.
    for (step, nth) in [("write_at", 2), ("write_at", 7), ("create_file", 3), ("sync_file", 1), ("rename_new", 0)] {
        let (one, two) = pair_on(Arc::new(Faulty::from_nth(step, nth, io::ErrorKind::StorageFull))).await;
        two.set_rule(AcceptRule::Paired);
        let folder = one.outbox("folder");
        fs::create_dir(&folder).unwrap();
        for n in 0..6 {
            fs::write(folder.join(format!("file {n}")), noise(3_000_000, n)).unwrap();
        }
        let id = one.send(&two, vec![folder.clone()], TransferOptions::default()).await;
        for node in [&one, &two] {
            let held = shows(node, id, |view| view.state == TransferState::Paused).await;
            let reason = held.reason.unwrap();
            assert_eq!(reason.code, "disk_full", "{step} {nth}");
            assert!(!reason.hint.is_empty());
        }
        for (path, (item, _)) in tree(&two.downloads()) {
            let Item::File(hash, _) = item else { continue };
            if path.starts_with("folder") {
                let name = path.file_name().unwrap();
                assert_eq!(hash, *blake3::hash(&fs::read(folder.join(name)).unwrap()).as_bytes(), "{step} {nth}");
            }
        }
        two.transfers.cancel(id).await.unwrap();
        for node in [&one, &two] {
            assert_eq!(node.end(id).await.state, TransferState::Cancelled, "{step} {nth}");
        }
        assert!(!names(&two.downloads()).iter().any(|name| name.contains(".yonder-")), "{step} {nth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_does_not_fit_is_said_before_it_is_accepted() {
    let (one, two) =
        pair_on(Arc::new(Faulty::with_free(crate::transfer::protocol::limits::SPACE_RESERVE + 1_000_000))).await;
    let (paths, options) = slow(&one);
    let mut events = two.events.subscribe();
    let id = one.send(&two, paths.clone(), options).await;
    let offer = offered(&mut events).await;
    assert_eq!(offer.reason.unwrap().code, "no_space");
    let refused = two.transfers.accept(id, AcceptOptions::default()).await.unwrap_err();
    assert_eq!(refused.code(), "no_space");
    assert_eq!(two.transfers.get(id).unwrap().state, TransferState::Offered, "it may be tried again");
    two.transfers.decline(id).await.unwrap();
    two.nothing_landed();

    two.set_rule(AcceptRule::Paired);
    let id = one.send(&two, paths, options).await;
    let end = one.end(id).await;
    assert_eq!((end.state, end.reason.unwrap().code), (TransferState::Declined, "no_space".to_string()));
    two.nothing_landed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_is_never_delivered_wrong() {
    let (one, two) = pair_of_nodes().await;
    let folder = one.outbox("folder");
    fs::create_dir(&folder).unwrap();
    for name in ["grows", "shrinks", "is replaced", "goes", "stays"] {
        fs::write(folder.join(name), noise(5_000_000, 7)).unwrap();
    }
    date(&folder);
    let mut events = two.events.subscribe();
    let id = one.send(&two, vec![folder.clone()], TransferOptions::default()).await;
    offered(&mut events).await;
    fs::write(folder.join("grows"), noise(5_000_001, 7)).unwrap();
    fs::write(folder.join("shrinks"), noise(4_999_999, 7)).unwrap();
    fs::write(folder.join("is replaced"), noise(5_000_000, 8)).unwrap();
    fs::remove_file(folder.join("goes")).unwrap();
    two.transfers.accept(id, AcceptOptions::default()).await.unwrap();
    for end in [one.end(id).await, two.end(id).await] {
        assert_eq!((end.state, end.files_done), (TransferState::Done, 1));
        let reason = end.reason.unwrap();
        assert_eq!(reason.code, "incomplete");
        assert!(reason.message.contains("3 left out"), "{}", reason.message);
        let counted = (end.skipped, end.reasons["source_changed"], end.reasons["source_deleted"]);
        assert_eq!(counted, (4, 3, 1));
        assert_eq!(end.notes.len(), 4, "{:?}", end.notes);
    }
    assert_eq!(names(&two.downloads()), ["folder", "folder/stays"]);
    assert_eq!(fs::read(two.downloads().join("folder/stays")).unwrap(), noise(5_000_000, 7));
}
