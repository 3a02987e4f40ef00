//! Offers that a rule accepts without a person.

use std::os::unix::fs::PermissionsExt;

use super::{
    hostile::{HostilePeer, entry},
    *,
};
use crate::{
    api::{DeviceAccept, DeviceRule},
    fs::ops::Mtime,
    net::ALPN_TRANSFER,
    transfer::protocol::frames::{ChangedFile, Decision, ReceiverFrame, ResumeOffer, SenderFrame, decode, encode},
};

/// Lets a node accept `up_to` bytes a day from a device on its own.
async fn rule(node: &Node, device: &Node, up_to: u64) {
    let rule = DeviceRule { accept: DeviceAccept::Always, up_to: Some(up_to), into: None };
    node.devices.set_rule(device.id(), rule).await.unwrap();
}

/// Creates a folder of `count` empty files.
fn empties(node: &Node, name: &str, count: usize) -> PathBuf {
    let folder = node.outbox(name);
    fs::create_dir_all(&folder).unwrap();
    (0..count).for_each(|n| fs::write(folder.join(format!("{n}")), "").unwrap());
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_names_and_programs_are_left_out_and_offered_again_to_a_person() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let folder = one.outbox("folder");
    fs::create_dir_all(folder.join(".config/autostart")).unwrap();
    for name in [".config/autostart/x", "x.desktop", "photo.jpg", "run.sh"] {
        fs::write(folder.join(name), name).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let id = one.send(&two, vec![folder], TransferOptions::default()).await;
    let (sent, received) = (one.end(id).await, two.end(id).await);
    assert_eq!(names(&two.downloads()), ["folder", "folder/photo.jpg", "folder/run.sh"]);
    let mode = fs::metadata(two.downloads().join("folder/run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0, "{mode:o}");
    assert_eq!(sent.reasons, BTreeMap::from([("not_taken".to_owned(), 2)]));
    let reasons = BTreeMap::from([("hidden_name".to_owned(), 3), ("runs_programs".to_owned(), 1)]);
    assert_eq!((received.state, received.skipped, &received.reasons), (TransferState::Done, 4, &reasons));
    assert_eq!(received.reason.unwrap().code, "incomplete");
    assert!(received.notes.contains(&Note::NotExecutable { count: 2 }), "{:?}", received.notes);
    let hidden = Note::Failed { path: "folder/.config".into(), reason: "hidden_name".into() };
    assert!(received.notes.contains(&hidden), "{:?}", received.notes);
    // The missing files are offered alone. The rule would accept none of them, so a person is asked.
    let mut events = two.events.subscribe();
    let again = one.transfers.retry(id).await.unwrap().id;
    let offer = offered(&mut events).await;
    assert_eq!((offer.id, offer.files), (again, 2));
    let top = two.transfers.offer_entries(again, Some(0), 0, 9).await.unwrap().entries;
    let marks: Vec<_> = top.iter().map(|entry| (entry.name.as_str(), entry.hidden, entry.runs)).collect();
    assert_eq!(marks, [(".config", true, false), ("x.desktop", false, true)]);
    two.transfers.accept(again, AcceptOptions::default()).await.unwrap();
    assert_eq!(two.end(again).await.state, TransferState::Done);
    let program = two.downloads().join("folder (2)/x.desktop");
    assert_eq!(fs::metadata(program).unwrap().permissions().mode() & 0o100, 0o100, "a person accepted it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_left_out_stays_left_out_when_it_goes_on() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let folder = one.outbox("folder");
    fs::create_dir_all(folder.join(".hidden")).unwrap();
    for name in [".hidden/a", "large", "program"] {
        fs::write(folder.join(name), noise(8 << 20, name.len() as u8)).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let id = one.send(&two, vec![folder], TransferOptions { limit: Some(6_000_000), ..Default::default() }).await;
    shows(&one, id, |view| view.bytes > 3 << 20).await;
    let two = two.restarted().await;
    one.pair(&two).await;
    two.pair(&one).await;
    one.transfers.device_is_there(two.id());
    let (sent, received) = (one.end(id).await, two.end(id).await);
    assert_eq!((sent.state, received.state), (TransferState::Done, TransferState::Done), "{sent:?} {received:?}");
    assert_eq!(names(&two.downloads()), ["folder", "folder/large", "folder/program"]);
    assert_eq!(received.reasons, BTreeMap::from([("hidden_name".to_owned(), 2)]));
    let mode = fs::metadata(two.downloads().join("folder/program")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0, "{mode:o}");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_files_use_up_a_rule_and_nothing_is_given_back() {
    let (one, two) = pair_of_nodes().await;
    rule(&two, &one, 1_000_000).await;
    let mut events = two.events.subscribe();
    // A megabyte is 244 blocks; the folder takes one and the manifest a few.
    let id = one.send(&two, vec![empties(&one, "many", 244)], TransferOptions::default()).await;
    offered(&mut events).await;
    two.transfers.decline(id).await.unwrap();
    let id = one.send(&two, vec![empties(&one, "some", 200)], TransferOptions::default()).await;
    assert_eq!(one.end(id).await.state, TransferState::Done);
    let id = one.send(&two, vec![empties(&one, "few", 40)], TransferOptions::default()).await;
    offered(&mut events).await;
    two.transfers.decline(id).await.unwrap();
    let id = one.send(&two, vec![empties(&one, "fewer", 34)], TransferOptions::default()).await;
    assert_eq!(one.end(id).await.state, TransferState::Done);
}

/// Resumes a transfer by hand with a changed file. Returns the code with which it is declined.
async fn again_with(one: &Node, two: &Node, hand: &HostilePeer, manifest: [u8; 32], change: ChangedFile) -> String {
    let session = Connector::session(&one.net, two.id(), ALPN_TRANSFER).await.unwrap();
    let (mut to, mut from) = session.open_sealed().await.unwrap().split();
    let transfer = hand.offer.transfer;
    let again = ResumeOffer {
        version: crate::transfer::protocol::limits::VERSION,
        transfer,
        attempt: [9; 16],
        manifest,
        changed: 1,
    };
    for frame in [SenderFrame::ResumeOffer(again), SenderFrame::Changed(vec![change])] {
        to.send(&encode(&frame).unwrap()).await.unwrap();
    }
    loop {
        let frame = within(from.recv(crate::transfer::protocol::limits::MAX_FRAME)).await.unwrap().expect("an answer");
        match decode(&frame).unwrap() {
            ReceiverFrame::Decision(Decision::Declined { code }) => return code.code().to_owned(),
            ReceiverFrame::Decision(Decision::Accepted { .. }) => return "accepted".into(),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_grows_beyond_the_rule_is_not_taken_up() {
    for (left, wanted) in [(6000, "accepted"), (4000, "rule_ended")] {
        let (one, two) = pair_of_nodes().await;
        let entries = [entry("a", 11), entry("b", 10)];
        let mut builder = crate::transfer::protocol::manifest::ManifestBuilder::default();
        for entry in &entries {
            builder.push(entry).unwrap();
        }
        let list = builder.finish();
        let hash = list.hash().unwrap();
        rule(
            &two,
            &one,
            crate::transfer::receive::quota::cost(21, 2)
                + crate::transfer::receive::quota::beside(list.memory() as u64)
                + left,
        )
        .await;
        let hand = HostilePeer::accepted_with(&one, &two, false, &entries).await;
        let change = ChangedFile { file: 1, size: 5000, mtime: Mtime { secs: 9, nanos: 9 } };
        assert_eq!(again_with(&one, &two, &hand, hash, change).await, wanted);
        if wanted == "rule_ended" {
            let end = two.end(TransferId::from_random(hand.offer.transfer)).await;
            assert_eq!((end.state, end.reason.unwrap().code), (TransferState::Failed, "rule_ended".into()));
            two.nothing_landed();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_sent_again_stays_a_part_over_a_restart() {
    let (one, two) = pair_of_nodes().await;
    let mut events = two.events.subscribe();
    let folder = one.outbox("folder");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("small"), "small").unwrap();
    fs::write(folder.join("large"), noise(24 << 20, 1)).unwrap();
    let options = TransferOptions { limit: Some(4_000_000), ..Default::default() };
    let id = one.send(&two, vec![folder], options).await;
    offered(&mut events).await;
    let page = two.transfers.offer_entries(id, Some(0), 0, 9).await.unwrap();
    let small = page.entries.iter().find(|entry| entry.name == "small").unwrap().index;
    two.transfers.accept(id, AcceptOptions { only: Some(vec![small]), ..AcceptOptions::default() }).await.unwrap();
    one.end(id).await;
    let part = one.transfers.retry(id).await.unwrap().id;
    assert_eq!(offered(&mut events).await.files, 1);
    two.transfers.accept(part, AcceptOptions::default()).await.unwrap();
    // By now the acceptance is on record.
    shows(&one, part, |view| view.bytes > 4 << 20).await;
    let one = one.restarted().await;
    one.transfers.cancel(part).await.unwrap();
    one.pair(&two).await;
    two.pair(&one).await;
    let again = one.transfers.retry(part).await.unwrap().id;
    let offer = offered(&mut events).await;
    assert_eq!((offer.id, offer.files, offer.total), (again, 1, 24 << 20), "the whole was not asked for");
}
