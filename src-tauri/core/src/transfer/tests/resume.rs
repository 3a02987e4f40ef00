//! Transfers that lose their connection, or one of the two nodes, and resume.

use std::collections::HashSet;

use super::*;
use crate::transfer::{
    protocol::frames::{ChangedFile, Decision, ReceiverFrame, ResumeOffer, SenderFrame, decode, encode},
    receive::staging::recovery,
};

const MIB: usize = 1 << 20;

/// Disconnects two nodes, and makes them count as offline so that neither reconnects.
fn cut(one: &Node, two: &Node) {
    one.away.store(true, Ordering::SeqCst);
    one.net.close_device(two.id(), crate::net::CloseCode::Normal);
    two.net.close_device(one.id(), crate::net::CloseCode::Normal);
}

/// Lets two disconnected nodes meet again.
fn mend(one: &Node, two: &Node) {
    one.away.store(false, Ordering::SeqCst);
    one.transfers.device_is_there(two.id());
}

async fn waits(node: &Node, id: TransferId) -> TransferView {
    shows(node, id, |view| view.state == TransferState::Waiting).await
}

/// Creates a folder of one large file and many small ones.
fn folder(node: &Node, large: usize) -> PathBuf {
    let folder = node.outbox("folder");
    fs::create_dir_all(folder.join("below/empty")).unwrap();
    fs::write(folder.join("large"), noise(large, 1)).unwrap();
    for n in 0..200 {
        fs::write(folder.join("below").join(format!("small {n:03}")), noise(n * 40, n as u8)).unwrap();
    }
    fs::write(folder.join("segment"), noise(2 * MIB, 9)).unwrap();
    date(&folder);
    folder
}

fn limited(bytes: u64) -> TransferOptions {
    TransferOptions { limit: Some(bytes), ..Default::default() }
}

/// Returns the bytes that a node has sent to another since they connected last.
fn sent(one: &Node, two: &Node) -> u64 {
    let session = one.net.live(two.id(), crate::net::ALPN_TRANSFER).expect("a session");
    session.connection().stats().udp_tx.bytes
}

/// Asserts that both sides are done, and that the received files equal the sent ones.
async fn both_done(one: &Node, two: &Node, id: TransferId) {
    let (there, here) = (one.end(id).await, two.end(id).await);
    for view in [&there, &here] {
        assert_eq!(view.state, TransferState::Done, "{view:?}");
        assert_eq!((view.bytes, view.files_done), (view.total, view.files), "{view:?}");
    }
    assert_eq!(tree(&two.downloads()), tree(&one.home.path().join("outbox")));
    for node in [one, two] {
        // Nothing but the history stays on record.
        within(async {
            while node.store.list(crate::storage::Table::Transfers).await.unwrap().len() > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_again_and_again_costs_nothing_but_time() {
    let (one, two) = pair_of_nodes().await;
    let folder = folder(&one, 12 * MIB);
    let mut offers = two.events.subscribe();
    let id = one.send(&two, vec![folder], limited(8_000_000)).await;
    offered(&mut offers).await;
    two.transfers.accept(id, AcceptOptions::default()).await.unwrap();
    let mut again = 0;
    for at in [1, 3, 6, 10] {
        shows(&one, id, |view| view.state == TransferState::Active && view.bytes >= (at * MIB) as u64).await;
        cut(&one, &two);
        for node in [&one, &two] {
            let view = waits(node, id).await;
            let reason = view.reason.unwrap();
            assert_eq!(reason.code, "connection_lost");
            assert!(reason.hint.contains("by itself"), "{}", reason.hint);
        }
        let held = two.transfers.get(id).unwrap().bytes;
        mend(&one, &two);
        let view = shows(&one, id, |view| view.state == TransferState::Active && view.bytes > 0).await;
        assert!(view.bytes + (2 * MIB as u64) * 5 > held, "{} of {held} bytes count again", view.bytes);
        again = held;
    }
    both_done(&one, &two, id).await;
    let rest = one.transfers.get(id).unwrap().total - again;
    let over_the_wire = sent(&one, &two);
    println!("FIGURE sent after the last of four cuts: {over_the_wire} bytes, {rest} were missing");
    assert!(over_the_wire < rest + (4 * 2 * MIB) as u64, "{over_the_wire} bytes for {rest}");
    while let Ok(told) = offers.try_recv() {
        assert!(!matches!(told.event, Event::Offer { .. }), "nobody is asked twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn either_node_may_be_started_anew() {
    for sender in [true, false] {
        let (mut one, mut two) = pair_of_nodes().await;
        two.set_rule(AcceptRule::Paired);
        let folder = folder(&one, 10 * MIB);
        let id = one.send(&two, vec![folder], limited(6_000_000)).await;
        shows(&one, id, |view| view.bytes > 5 * MIB as u64).await;
        let held = if sender {
            one = one.restarted().await;
            waits(&two, id).await.bytes
        } else {
            two = two.restarted().await;
            let view = waits(&two, id).await;
            assert_eq!(view.reason.unwrap().code, "interrupted");
            view.bytes
        };
        // Its port has changed.
        one.pair(&two).await;
        two.pair(&one).await;
        one.transfers.device_is_there(two.id());
        both_done(&one, &two, id).await;
        let (rest, over_the_wire) = (one.transfers.get(id).unwrap().total - held, sent(&one, &two));
        println!("FIGURE sent after a restart (of the sender: {sender}): {over_the_wire} bytes, {rest} were missing");
        assert!(over_the_wire < rest + (4 * 2 * MIB) as u64, "{over_the_wire} bytes for {rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_a_kill_cut_short_is_made_up_for_at_the_next_start() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let folder = folder(&one, 10 * MIB);
    let id = one.send(&two, vec![folder], limited(6_000_000)).await;
    shows(&one, id, |view| view.bytes > MIB as u64).await;
    cut(&one, &two);
    waits(&two, id).await;
    // As far as the receiver gets before it tells the sender: the kill comes right afterwards.
    two.transfers.0.registry.will_end(id, Reason::CancelledHere).await;
    let two = two.restarted().await;
    let view = two.transfers.get(id).unwrap();
    assert_eq!((view.state, view.reason.unwrap().code.as_str()), (TransferState::Cancelled, "cancelled_here"));
    let staged = tree(&two.downloads()).into_keys().filter(|path| path.to_string_lossy().contains(".yonder-")).count();
    assert_eq!(staged, 0, "what is not complete is removed");
    one.pair(&two).await;
    two.pair(&one).await;
    mend(&one, &two);
    let view = one.end(id).await;
    assert_eq!((view.state, view.reason.unwrap().code.as_str()), (TransferState::Cancelled, "cancelled_there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changed_meanwhile_is_sent_anew_and_never_mixed() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let folder = folder(&one, 12 * MIB);
    let id = one.send(&two, vec![folder.clone()], limited(6_000_000)).await;
    shows(&one, id, |view| view.bytes > 6 * MIB as u64).await;
    cut(&one, &two);
    waits(&one, id).await;
    waits(&two, id).await;
    // A file with another time and length, and one that was not begun.
    fs::write(folder.join("large"), noise(13 * MIB, 77)).unwrap();
    fs::write(folder.join("segment"), noise(2 * MIB + 5, 78)).unwrap();
    date(&folder);
    mend(&one, &two);
    both_done(&one, &two, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_hides_its_change_is_found_out() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("large");
    fs::write(&file, noise(12 * MIB, 1)).unwrap();
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let id = one.send(&two, vec![file.clone()], limited(6_000_000)).await;
    shows(&one, id, |view| view.bytes > 6 * MIB as u64).await;
    cut(&one, &two);
    waits(&one, id).await;
    waits(&two, id).await;
    // The same length and an old time: only the content differs.
    fs::write(&file, noise(12 * MIB, 2)).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    mend(&one, &two);
    both_done(&one, &two, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_grew_beyond_what_was_agreed_to_ends_it() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("large");
    fs::write(&file, noise(8 * MIB, 1)).unwrap();
    let id = one.send(&two, vec![file.clone()], limited(4_000_000)).await;
    shows(&one, id, |view| view.bytes > 3 * MIB as u64).await;
    cut(&one, &two);
    waits(&one, id).await;
    waits(&two, id).await;
    // The content differs, too, because a log that only grew would be sent as listed.
    fs::write(&file, noise(1000, 2)).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    mend(&one, &two);
    for node in [&one, &two] {
        let end = node.end(id).await;
        assert_eq!((end.state, end.reason.unwrap().code.as_str()), (TransferState::Failed, "source_changed"));
    }
    two.nothing_landed();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_lost_is_sent_again_after_a_restart() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("large");
    fs::write(&file, noise(12 * MIB, 1)).unwrap();
    let id = one.send(&two, vec![file], limited(6_000_000)).await;
    shows(&one, id, |view| view.bytes > 7 * MIB as u64).await;
    let hidden = two.downloads().join(crate::transfer::receive::staging::temp_name(&id)).join("0");
    let two = two.restarted().await;
    // As after a power cut: noted as written but lost on the disk.
    let half = fs::File::options().write(true).open(&hidden).unwrap();
    half.set_len(3 * MIB as u64).unwrap();
    half.set_len(12 * MIB as u64).unwrap();
    one.pair(&two).await;
    two.pair(&one).await;
    one.transfers.device_is_there(two.id());
    both_done(&one, &two, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_attempt_left_where_a_hole_is_goes() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("large");
    let written = [(0, noise(16 * MIB, 1)), (20 * MIB as u64, noise(MIB, 2))];
    super::data::sparse(&file, 24 * MIB as u64 + 99, &written);
    let id = one.send(&two, vec![file], limited(5_000_000)).await;
    // More than four streams can have in progress, so some segments are held, and the file is not restarted.
    shows(&one, id, |view| view.bytes > 9 * MIB as u64).await;
    cut(&one, &two);
    waits(&one, id).await;
    waits(&two, id).await;
    // As left by a source that changed under its old time, and a kill before that was noted.
    let hidden = two.downloads().join(crate::transfer::receive::staging::temp_name(&id)).join("0");
    let half = fs::File::options().write(true).open(&hidden).unwrap();
    for at in [16 * MIB, 17 * MIB + 5, 21 * MIB, 23 * MIB + 99] {
        std::os::unix::fs::FileExt::write_all_at(&half, &noise(MIB, 9), at as u64).unwrap();
    }
    mend(&one, &two);
    both_done(&one, &two, id).await;
    let meta = fs::metadata(two.downloads().join("large")).unwrap();
    let room = std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
    assert!(room < 19 * MIB as u64, "{room} bytes for 17 MiB that are written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_file_goes_on_after_a_restart_of_its_receiver() {
    let (one, mut two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("large");
    let (begin, end) = (noise(4 * MIB, 1), noise(4 * MIB, 2));
    super::data::sparse(&file, 64 * MIB as u64, &[(0, begin), (40 * MIB as u64, end)]);
    let id = one.send(&two, vec![file], limited(2_000_000)).await;
    shows(&one, id, |view| view.bytes > 30 * MIB as u64).await;
    two = two.restarted().await;
    assert!(waits(&two, id).await.bytes > 30 * MIB as u64);
    one.pair(&two).await;
    two.pair(&one).await;
    one.transfers.device_is_there(two.id());
    both_done(&one, &two, id).await;
    let over_the_wire = sent(&one, &two);
    assert!(over_the_wire < 7 * MIB as u64, "{over_the_wire} bytes: what was held came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_agreed_on_compression_holds_after_a_restart() {
    for sender in [true, false] {
        let (mut one, mut two) = pair_of_nodes().await;
        two.set_rule(AcceptRule::Paired);
        let file = one.outbox("text");
        fs::write(&file, super::data::prose(32 * MIB)).unwrap();
        let id = one.send(&two, vec![file], limited(4_000_000)).await;
        let held = shows(&one, id, |view| view.bytes > 5 * MIB as u64).await.bytes;
        if sender {
            one = one.restarted().await;
        } else {
            two = two.restarted().await;
        }
        one.pair(&two).await;
        two.pair(&one).await;
        one.transfers.device_is_there(two.id());
        both_done(&one, &two, id).await;
        let (rest, over_the_wire) = (32 * MIB as u64 - held, sent(&one, &two));
        assert!(over_the_wire < rest * 3 / 4, "{over_the_wire} bytes for {rest} of text");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_said_while_apart_is_told_at_the_next_contact_and_wins() {
    for by_sender in [true, false] {
        for restart in [false, true] {
            let (mut one, mut two) = pair_of_nodes().await;
            two.set_rule(AcceptRule::Paired);
            let folder = folder(&one, 8 * MIB);
            let id = one.send(&two, vec![folder], limited(4_000_000)).await;
            shows(&one, id, |view| view.bytes > 2 * MIB as u64).await;
            cut(&one, &two);
            waits(&one, id).await;
            waits(&two, id).await;
            let by = if by_sender { &one } else { &two };
            assert_eq!(within(by.transfers.cancel(id)).await.unwrap().state, TransferState::Cancelled);
            if restart {
                if by_sender {
                    one = one.restarted().await;
                } else {
                    two = two.restarted().await;
                }
                one.pair(&two).await;
                two.pair(&one).await;
            }
            let other = if by_sender { &two } else { &one };
            assert_eq!(other.transfers.get(id).unwrap().state, TransferState::Waiting);
            mend(&one, &two);
            let told = other.end(id).await;
            let what = format!("by sender {by_sender}, restarted {restart}");
            assert_eq!(
                (told.state, told.reason.unwrap().code.as_str()),
                (TransferState::Cancelled, "cancelled_there"),
                "{what}"
            );
            let left = names(&two.downloads());
            assert!(!left.iter().any(|name| name.contains(".yonder-")), "{what}: {left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaired_device_cannot_go_on_and_leaves_nothing_behind() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let folder = folder(&one, 8 * MIB);
    let id = one.send(&two, vec![folder], limited(4_000_000)).await;
    shows(&one, id, |view| view.bytes > 2 * MIB as u64).await;
    cut(&one, &two);
    waits(&one, id).await;
    waits(&two, id).await;
    for (node, other) in [(&one, &two), (&two, &one)] {
        node.devices.unpair(other.id(), false).await.unwrap();
        node.transfers.drop_unpaired().await;
        assert_eq!(node.end(id).await.reason.unwrap().code, "device_not_paired");
    }
    assert!(!names(&two.downloads()).iter().any(|name| name.contains(".yonder-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_away_is_waited_for_when_asked_to() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let two = {
        one.away.store(true, Ordering::SeqCst);
        within(two.net.shutdown()).await;
        two
    };
    let file = one.outbox("file");
    fs::write(&file, "while you were out").unwrap();
    let id = one.send(&two, vec![file], TransferOptions { wait: true, ..Default::default() }).await;
    let away = |view: &TransferView| {
        let code = view.reason.as_ref().map_or("", |reason| reason.code.as_str());
        view.state == TransferState::Waiting && ["device_offline", "connection_failed"].contains(&code)
    };
    shows(&one, id, away).await;
    let (one, two) = (one.restarted().await, two.restarted().await);
    one.pair(&two).await;
    two.pair(&one).await;
    mend(&one, &two);
    both_done(&one, &two, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_got_lost_is_made_again() {
    let (one, two) = pair_of_nodes().await;
    let file = one.outbox("file");
    fs::write(&file, "hello").unwrap();
    let mut offers = two.events.subscribe();
    let id = one.send(&two, vec![file], TransferOptions::default()).await;
    offered(&mut offers).await;
    cut(&one, &two);
    waits(&one, id).await;
    assert_eq!(two.end(id).await.reason.unwrap().code, "connection_lost");
    mend(&one, &two);
    assert_eq!(offered(&mut offers).await.id, id);
    two.transfers.accept(id, AcceptOptions::default()).await.unwrap();
    both_done(&one, &two, id).await;
}

/// Returns a node's answer to frames on a new control stream.
async fn answer(from: &Node, to: &Node, frames: &[SenderFrame]) -> Option<ReceiverFrame> {
    let session = Connector::session(&from.net, to.id(), crate::net::ALPN_TRANSFER).await.unwrap();
    let (mut out, mut back) = session.open_sealed().await.unwrap().split();
    for frame in frames {
        let _ = out.send(&encode(frame).unwrap()).await;
    }
    let heard = within(back.recv(crate::transfer::protocol::limits::MAX_FRAME)).await.ok()??;
    Some(decode(&heard).unwrap())
}

fn again(id: TransferId, manifest: [u8; 32], changed: u32) -> SenderFrame {
    SenderFrame::ResumeOffer(ResumeOffer {
        version: crate::transfer::protocol::limits::VERSION,
        transfer: *id.as_bytes(),
        attempt: [5; 16],
        manifest,
        changed,
    })
}

fn declined_with(answer: Option<ReceiverFrame>) -> String {
    match answer {
        Some(ReceiverFrame::Decision(Decision::Declined { code })) => code.code().to_owned(),
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_device_that_offered_it_takes_a_transfer_up_and_only_as_it_was_agreed() {
    let (one, two) = pair_of_nodes().await;
    let three = Node::new(3, Arc::new(RealFiles)).await;
    three.pair(&two).await;
    two.pair(&three).await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("large");
    fs::write(&file, noise(8 * MIB, 1)).unwrap();
    let id = one.send(&two, vec![file], limited(4_000_000)).await;
    shows(&one, id, |view| view.bytes > 3 * MIB as u64).await;
    cut(&one, &two);
    waits(&one, id).await;
    waits(&two, id).await;
    let hash = one.transfers.0.registry.manifest(id, 1).await.unwrap().unwrap().hash().unwrap();

    // Another paired device, and an unknown id.
    assert_eq!(declined_with(answer(&three, &two, &[again(id, hash, 0)]).await), "forgotten");
    assert_eq!(
        declined_with(answer(&one, &two, &[again(TransferId::from_random([1; 16]), hash, 0)]).await),
        "forgotten"
    );
    assert_eq!(two.transfers.get(id).unwrap().state, TransferState::Waiting);
    // A transfer in the other direction, which cannot be resumed from this side.
    let back = two.outbox("back");
    fs::write(&back, "x").unwrap();
    let other_way = two.send(&one, vec![back], TransferOptions::default()).await;
    shows(&two, other_way, |view| view.state == TransferState::Offered).await;
    assert_eq!(declined_with(answer(&one, &two, &[again(other_way, hash, 0)]).await), "forgotten");

    // Invalid changes violate the protocol and end the transfer.
    let mtime = crate::transfer::protocol::frames::Mtime { secs: 0, nanos: 0 };
    let changed = |file, size| SenderFrame::Changed(vec![ChangedFile { file, size, mtime }]);
    let bad = answer(&one, &two, &[again(id, hash, 1), changed(9, 1)]).await;
    assert!(!matches!(bad, Some(ReceiverFrame::Decision(Decision::Accepted { .. }))), "{bad:?}");
    assert_eq!(two.end(id).await.reason.unwrap().code, "protocol_violation");
    two.nothing_landed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_was_never_agreed_to_is_not_taken_up() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let file = one.outbox("large");
    fs::write(&file, noise(8 * MIB, 1)).unwrap();
    let id = one.send(&two, vec![file], limited(4_000_000)).await;
    shows(&one, id, |view| view.bytes > 3 * MIB as u64).await;
    cut(&one, &two);
    waits(&one, id).await;
    waits(&two, id).await;
    assert_eq!(declined_with(answer(&one, &two, &[again(id, [9; 32], 0)]).await), "source_changed");
    assert_eq!(two.end(id).await.state, TransferState::Failed);
    two.nothing_landed();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_cut_of_naming_leaves_each_file_once() {
    // The commit thread stops after each of its steps, as a kill would stop it. What a resume finds is checked.
    let mut seen = HashSet::new();
    for stop_at in 0..60 {
        let home = tempfile::tempdir().unwrap();
        let id = TransferId::from_random([stop_at as u8; 16]);
        let manifest = Arc::new(
            crate::transfer::send::source::scan(
                &[{
                    let folder = home.path().join("source");
                    fs::create_dir_all(folder.join("inner")).unwrap();
                    for n in 0..3 {
                        fs::write(folder.join(format!("f{n}")), noise(100, n)).unwrap();
                    }
                    fs::write(folder.join("inner/g"), noise(100, 9)).unwrap();
                    folder.into()
                }],
                Arc::default(),
                None,
                &|| false,
            )
            .unwrap()
            .manifest
            .as_ref()
            .clone(),
        );
        let dest = home.path().join("downloads");
        fs::create_dir(&dest).unwrap();
        // A folder of somebody else with that name, which must not change.
        fs::create_dir(dest.join("source")).unwrap();
        fs::write(dest.join("source/mine"), "mine").unwrap();
        let steps = std::sync::atomic::AtomicU64::new(0);
        let ops: Arc<dyn FileOps> = Arc::new(crate::fs::ops::faulty::Faulty::new(move |_, _| {
            (steps.fetch_add(1, Ordering::SeqCst) >= stop_at).then(|| std::io::ErrorKind::Other.into())
        }));
        let files: Vec<u32> = (0..manifest.len()).filter(|index| manifest.size(*index).is_some()).collect();
        let all = || -> Result<(), crate::transfer::receive::staging::DiskError> {
            let temp = Arc::new(crate::transfer::receive::staging::StagingDir::create(ops.clone(), &dest, &id)?);
            let mut committer = crate::transfer::receive::commit::Committer::new(
                temp.clone(),
                manifest.clone(),
                crate::transfer::protocol::state::Plan::all(&manifest),
                crate::fs::names::Platform::Unix,
            );
            for file in &files {
                let bytes = noise(100, *file as u8);
                temp.write(&temp.create_file(&manifest, *file)?, &bytes, 0)?;
                let note = crate::transfer::receive::staging::journal::JournalRecord::Segment {
                    file: *file,
                    segment: 0,
                    hash: *blake3::hash(&bytes).as_bytes(),
                };
                temp.journal().note(&note, 1 << 20)?;
            }
            for file in &files {
                committer.settle_now(vec![crate::transfer::receive::assembly::Verdict::Good(*file)])?;
            }
            Ok(())
        };
        let whole_way = all().is_ok();
        let real: Arc<dyn FileOps> = Arc::new(RealFiles);
        let stop = AtomicBool::new(false);
        let Ok(found) = recovery::recover(&real, &dest, &id, (&manifest, &manifest), true, &stop) else {
            assert!(stop_at < 6, "the journal is there from the beginning on");
            continue;
        };
        let (held, whole) = (found.held.clone(), found.whole.clone());
        seen.insert((held.len(), whole.iter().count()));
        let temp = Arc::new(found.temp);
        let plan = crate::transfer::protocol::state::Plan {
            whole: whole.clone(),
            ..crate::transfer::protocol::state::Plan::all(&manifest)
        };
        let mut committer = crate::transfer::receive::commit::Committer::new(
            temp.clone(),
            manifest.clone(),
            plan,
            crate::fs::names::Platform::Unix,
        )
        .with_folders(found.folders);
        for file in files.iter().filter(|file| !whole.contains(**file)) {
            if !held.contains_key(file) {
                temp.write(&temp.create_file(&manifest, *file).unwrap(), &noise(100, *file as u8), 0).unwrap();
            }
            committer.settle_now(vec![crate::transfer::receive::assembly::Verdict::Good(*file)]).unwrap();
        }
        committer.finish().unwrap();
        let mut there = names(&dest);
        there.retain(|name| !name.starts_with("source/") && name != "source");
        let wanted =
            ["source (2)", "source (2)/f0", "source (2)/f1", "source (2)/f2", "source (2)/inner", "source (2)/inner/g"];
        assert_eq!(there, wanted, "after {stop_at} steps");
        for file in &files {
            let name = manifest.shown(*file).replacen("source", "source (2)", 1);
            assert_eq!(fs::read(dest.join(name)).unwrap(), noise(100, *file as u8), "{stop_at} steps");
        }
        if whole_way {
            assert!(seen.len() > 5, "{seen:?}");
            return;
        }
    }
    panic!("it never came to its end");
}
