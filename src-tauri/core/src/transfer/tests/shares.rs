//! Devices that take nothing, or stop in the middle: their resources are released, and other devices are served.

use std::sync::atomic::AtomicBool;

use super::{
    hostile::{HostilePeer, entry},
    *,
};
use crate::fs::ops::faulty::Faulty;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stops_one_byte_short_of_a_chunk_is_given_up() {
    let (one, two) = pair_of_nodes().await;
    let size = crate::transfer::protocol::limits::SEGMENT;
    let hand = HostilePeer::accepted_with(&one, &two, false, &[entry("file", size)]).await;
    let bytes = [hand.header().encode().to_vec(), hand.segment(0, &noise(size as usize, 1))].concat();
    let mut stream = hand.session.connection().open_uni().await.unwrap();
    stream.write_all(&bytes[..bytes.len() - 1]).await.unwrap();
    assert!(within(stream.stopped()).await.unwrap().is_some(), "it is stopped, and not left open");
    let id = TransferId::from_random(hand.offer.transfer);
    let view = shows(&two, id, |view| view.state == TransferState::Waiting).await;
    assert_eq!(view.reason.unwrap().code, "connection_lost");
    assert_eq!(two.transfers.0.streams.stream(one.id()).of_device(), 0, "and its memory is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_nothing_keeps_no_other_waiting() {
    let stuck = Arc::new(AtomicBool::new(false));
    let seen = stuck.clone();
    let disk = Faulty::new(move |step, _| {
        while step == "write_at" && seen.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    });
    let (one, two) = pair_on(Arc::new(disk)).await;
    let three = Node::new(3, Arc::new(RealFiles)).await;
    one.pair(&three).await;
    three.pair(&one).await;
    two.set_rule(AcceptRule::Paired);
    three.set_rule(AcceptRule::Paired);
    one.transfers.set_limits(None, 1);
    let (large, small) = (one.outbox("large"), one.outbox("small"));
    fs::write(&large, noise(200 << 20, 1)).unwrap();
    fs::write(&small, "small").unwrap();
    let slow = TransferOptions { limit: Some(50_000_000), ..Default::default() };
    let held = one.send(&two, vec![large], slow).await;
    shows(&one, held, |view| view.state == TransferState::Active && view.bytes > 0).await;
    stuck.store(true, Ordering::SeqCst);
    let id = one.send(&three, vec![small], TransferOptions::default()).await;
    let sent = tokio::time::timeout(Duration::from_secs(30), one.transfers.finished(id)).await;
    let still = one.transfers.get(held).unwrap();
    stuck.store(false, Ordering::SeqCst);
    assert_eq!(sent.expect("the other one is sent to").unwrap().state, TransferState::Done);
    assert!(!still.state.is_final(), "and it does not end the first one");
    one.transfers.cancel(held).await.unwrap();
}

/// Returns a view with the longest names that a peer can send.
fn longest(of: u8, number: u32) -> TransferView {
    let mut id = [of; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    let path = "\u{202e}\\".repeat(1365);
    serde_json::from_value(serde_json::json!({
        "id": TransferId::from_random(id), "direction": "receive", "device": DeviceId::of_endpoint(&[of; 32]),
        "device_name": "hostile", "state": "offered", "reason": null, "roots": vec![path.clone(); 20],
        "root_count": 20, "files": 1, "files_done": 0, "bytes": 0, "total": 1, "rate": 0.0, "eta": null,
        "started": number, "seconds": null, "into": null,
        "notes": vec![serde_json::json!({"code": "failed", "args": {"path": path, "reason": "name_refused"}}); 100],
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_hostile_devices_leave_on_record_is_bounded_also_after_a_restart() {
    const MOST: u64 = 16 << 20;
    let node = Node::new(1, Arc::new(RealFiles)).await;
    let file = node.home.path().join("data/secrets.redb");
    let size = || fs::metadata(&file).unwrap().len();
    let before = size();
    for number in 0..130 {
        for of in 11..=13 {
            let view = longest(of, number);
            let (id, (commands, _)) = (view.id, mpsc::channel(1));
            assert!(node.transfers.0.registry.add(view, commands, None, Vec::new()).await.unwrap());
            let shown = node.transfers.get(id).unwrap();
            assert!(serde_json::to_vec(&shown).unwrap().len() <= view_size::MAX_VIEW);
            node.transfers.0.registry.end(id, End::by(Reason::Declined), None, Vec::new(), |_| {}).await;
        }
    }
    assert_eq!(node.transfers.list(true).len(), 300);
    let grown = size() - before;
    println!("FIGURE three hostile devices: {grown} bytes on record");
    assert!(grown <= MOST, "{grown}");
    let snapshot = serde_json::to_vec(&node.transfers.snapshot()).unwrap().len();
    assert!(snapshot <= view_size::MAX_LIST + 4096, "{snapshot}");
    let (home, before) = (node.home.path().to_owned(), before);
    let node = node.restarted().await;
    assert_eq!((node.home.path(), node.transfers.list(true).len()), (home.as_path(), 300));
    assert!(fs::metadata(home.join("data/secrets.redb")).unwrap().len() - before <= MOST);
}
