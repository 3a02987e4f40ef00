//! Files that are sent while they are still being written.

use std::io::Write;

use super::*;
use crate::{
    api::{DeviceAccept, DeviceRule, Given},
    transfer::{named::Named, protocol::limits::SEGMENT},
};

/// Writes an input stream into the spool, as the CLI does.
struct Input {
    file: fs::File,
    path: PathBuf,
}

impl Input {
    fn new(node: &Node, name: &str) -> Self {
        let spool = crate::fs::private::spool_of(&fs::canonicalize(node.home.path().join("data")).unwrap());
        fs::create_dir_all(&spool).unwrap();
        let path = spool.join(name);
        let file = fs::File::create(&path).unwrap();
        file.lock().unwrap();
        Self { file, path }
    }

    fn named(&self) -> Named {
        let given = Given { name: Some("stdin".into()), spooled: true, growing: true, seen: None };
        Named { path: self.path.clone(), given }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).unwrap();
    }

    fn complete(self) {
        let mut mode = self.file.metadata().unwrap().permissions();
        mode.set_readonly(true);
        self.file.set_permissions(mode).unwrap();
    }
}

/// Waits until a transfer is known to the node and its view satisfies `fits`.
async fn shows(node: &Node, id: TransferId, fits: impl FnMut(&TransferView) -> bool) -> TransferView {
    within(async {
        while node.transfers.get(id).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    super::shows(node, id, fits).await
}

async fn send(one: &Node, two: &Node, input: &Input) -> TransferId {
    let options = TransferOptions { wait: true, ..Default::default() };
    one.transfers.send_named(two.id(), vec![input.named()], options).await.unwrap().id
}

/// Asserts that both sides are done, with these bytes.
async fn done(one: &Node, two: &Node, id: TransferId, bytes: &[u8]) {
    for view in [one.end(id).await, two.end(id).await] {
        assert_eq!((view.state, view.growing), (TransferState::Done, false), "{view:?}");
        assert_eq!((view.bytes, view.total, view.files_done), (bytes.len() as u64, bytes.len() as u64, 1), "{view:?}");
    }
    assert!(fs::read(two.downloads().join("stdin")).unwrap() == bytes, "other bytes have arrived");
    assert_eq!(names(&two.downloads()), ["stdin"]);
}

/// Asserts that both sides failed because the input broke off, and that nothing is left.
async fn broke_off(one: &Node, two: &Node, id: TransferId) {
    for (node, view) in [(one, one.end(id).await), (two, two.end(id).await)] {
        let code = view.reason.as_ref().map(|why| why.code.as_str());
        assert_eq!((view.state, code), (TransferState::Failed, Some("input_ended_early")), "{view:?}");
        assert!(!view.reason.unwrap().hint.is_empty());
        within(async {
            while fs::read_dir(node.downloads()).unwrap().next().is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_arrive_while_the_rest_is_still_to_be_written() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    let (bytes, mut input) = (noise(9_000_001, 1), Input::new(&one, "a"));
    let id = send(&one, &two, &input).await;
    shows(&two, id, |view| view.state == TransferState::Active && view.growing).await;
    input.write(&bytes[..5_000_000]);
    for node in [&one, &two] {
        let view = shows(node, id, |view| view.bytes == 2 * SEGMENT).await;
        assert!(view.growing && view.eta.is_none() && view.total >= view.bytes, "{view:?}");
    }
    assert_eq!(names(&two.downloads()).iter().filter(|name| !name.starts_with('.')).count(), 0);
    input.write(&bytes[5_000_000..]);
    shows(&two, id, |view| view.bytes == 4 * SEGMENT).await;
    input.complete();
    done(&one, &two, id, &bytes).await;
    // The spooled copy is removed after the end is shown.
    within(async {
        while fs::read_dir(one.home.path().join("data/spool")).unwrap().next().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_length_arrives_whole_and_only_the_end_says_which() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    for len in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 4 * SEGMENT, 5 * SEGMENT + 7] {
        let (bytes, mut input) = (noise(len as usize, 2), Input::new(&one, &len.to_string()));
        let id = send(&one, &two, &input).await;
        shows(&two, id, |view| view.state == TransferState::Active).await;
        input.write(&bytes);
        if len > SEGMENT {
            shows(&one, id, |view| view.bytes == len / SEGMENT * SEGMENT).await;
        }
        input.complete();
        done(&one, &two, id, &bytes).await;
        fs::remove_file(two.downloads().join("stdin")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_breaks_off_ends_it_on_both_sides_wherever_it_is() {
    // Broken off before anybody has answered.
    let (one, two) = pair_of_nodes().await;
    let mut events = two.events.subscribe();
    let input = Input::new(&one, "asked");
    let id = send(&one, &two, &input).await;
    assert!(offered(&mut events).await.total == 0);
    drop(input);
    broke_off(&one, &two, id).await;
    // Broken off in the middle.
    two.set_rule(AcceptRule::Paired);
    let mut input = Input::new(&one, "middle");
    let id = send(&one, &two, &input).await;
    input.write(&noise(5_000_000, 3));
    shows(&two, id, |view| view.bytes == 2 * SEGMENT).await;
    drop(input);
    broke_off(&one, &two, id).await;
    // Broken off while disconnected: the receiver learns of it when they meet.
    let mut input = Input::new(&one, "apart");
    let id = send(&one, &two, &input).await;
    input.write(&noise(5_000_000, 4));
    shows(&two, id, |view| view.bytes == 2 * SEGMENT).await;
    one.away.store(true, Ordering::SeqCst);
    one.net.close_device(two.id(), crate::net::CloseCode::Normal);
    two.net.close_device(one.id(), crate::net::CloseCode::Normal);
    shows(&two, id, |view| view.state == TransferState::Waiting).await;
    drop(input);
    assert_eq!(one.end(id).await.reason.unwrap().code, "input_ended_early");
    one.away.store(false, Ordering::SeqCst);
    one.transfers.device_is_there(two.id());
    broke_off(&one, &two, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_a_lost_connection_and_a_restart_of_either_node() {
    for (restarts_sender, ended) in [(false, false), (false, true), (true, true), (true, false)] {
        let (mut one, mut two) = pair_of_nodes().await;
        two.set_rule(AcceptRule::Paired);
        let (bytes, mut input) = (noise(13_000_000, 5), Input::new(&one, "a"));
        let id = send(&one, &two, &input).await;
        input.write(&bytes[..7_000_000]);
        shows(&one, id, |view| view.bytes == 3 * SEGMENT).await;
        one.net.close_device(two.id(), crate::net::CloseCode::Normal);
        shows(&one, id, |view| view.state == TransferState::Active && view.bytes == 3 * SEGMENT).await;
        one.away.store(true, Ordering::SeqCst);
        one.net.close_device(two.id(), crate::net::CloseCode::Normal);
        two.net.close_device(one.id(), crate::net::CloseCode::Normal);
        for node in [&one, &two] {
            shows(node, id, |view| view.state == TransferState::Waiting).await;
        }
        input.write(&bytes[7_000_000..]);
        let mut input = Some(input);
        if ended {
            input.take().unwrap().complete();
        }
        if restarts_sender {
            one = one.restarted().await;
        } else {
            two = two.restarted().await;
        }
        one.pair(&two).await;
        two.pair(&one).await;
        one.away.store(false, Ordering::SeqCst);
        one.transfers.device_is_there(two.id());
        if let Some(input) = input {
            let view = shows(&two, id, |view| view.bytes == 6 * SEGMENT).await;
            assert!(view.growing, "{view:?}");
            input.complete();
        }
        done(&one, &two, id, &bytes).await;
        let session = one.net.live(two.id(), crate::net::ALPN_TRANSFER).expect("a session");
        let sent = session.connection().stats().udp_tx.bytes;
        assert!(sent < 9_000_000, "{sent} bytes for the last seven million");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_with_a_limit_takes_no_more_than_that() {
    let (one, two) = pair_of_nodes().await;
    let rule = DeviceRule { accept: DeviceAccept::Always, up_to: Some(9_000_000), into: None };
    two.devices.set_rule(one.id(), rule).await.unwrap();
    let mut input = Input::new(&one, "a");
    let id = send(&one, &two, &input).await;
    input.write(&noise(5_000_000, 6));
    shows(&two, id, |view| view.bytes == 2 * SEGMENT).await;
    input.write(&noise(5_000_000, 7));
    for node in [&one, &two] {
        let view = node.end(id).await;
        assert_eq!((view.state, view.reason.unwrap().code.as_str()), (TransferState::Failed, "rule_ended"));
        assert!(view.bytes <= 9_000_000);
    }
    two.nothing_landed();
    // The charge is not refunded; the rest of the limit can still be used.
    let (bytes, mut input) = (noise(3_500_000, 8), Input::new(&one, "b"));
    let id = send(&one, &two, &input).await;
    input.write(&bytes);
    shows(&two, id, |view| view.bytes == SEGMENT).await;
    input.complete();
    done(&one, &two, id, &bytes).await;
    let input = Input::new(&one, "c");
    let id = send(&one, &two, &input).await;
    shows(&two, id, |view| view.state == TransferState::Active).await;
    (&input.file).write_all(&noise(600_000, 9)).unwrap();
    input.complete();
    assert_eq!(one.end(id).await.reason.unwrap().code, "rule_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_its_input_keeps_no_other_waiting() {
    let (one, two) = pair_of_nodes().await;
    two.set_rule(AcceptRule::Paired);
    one.transfers.set_limits(None, 1);
    let (bytes, mut input) = (noise(5_000_000, 10), Input::new(&one, "a"));
    let id = send(&one, &two, &input).await;
    input.write(&bytes[..4_500_000]);
    shows(&one, id, |view| view.bytes == 2 * SEGMENT).await;
    let file = one.outbox("file");
    fs::write(&file, noise(3_000_000, 11)).unwrap();
    let other = one.send(&two, vec![file], TransferOptions::default()).await;
    assert_eq!(one.end(other).await.state, TransferState::Done);
    let view = one.transfers.get(id).unwrap();
    assert_eq!((view.state, view.growing), (TransferState::Active, true), "{view:?}");
    fs::remove_file(two.downloads().join("file")).unwrap();
    input.write(&bytes[4_500_000..]);
    input.complete();
    done(&one, &two, id, &bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_there_is_kept_or_replaced_as_the_rule_says() {
    for (rule, there) in [(ConflictRule::Skip, ""), (ConflictRule::Skip, "old"), (ConflictRule::KeepBoth, "old")] {
        let (one, two) = pair_of_nodes().await;
        two.set_rule(AcceptRule::Paired);
        *two.conflict.lock().unwrap() = rule;
        fs::write(two.downloads().join("stdin"), there).unwrap();
        let mut input = Input::new(&one, "a");
        let id = send(&one, &two, &input).await;
        shows(&two, id, |view| view.state == TransferState::Active).await;
        input.write(b"new");
        input.complete();
        assert_eq!(one.end(id).await.state, TransferState::Done);
        assert_eq!(fs::read(two.downloads().join("stdin")).unwrap(), there.as_bytes(), "{rule:?}");
        assert_eq!(fs::read(two.downloads().join("stdin (2)")).unwrap(), b"new", "{rule:?}");
    }
}

#[tokio::test]
async fn a_growing_file_is_sent_alone_and_only_from_the_spool() {
    let (one, two) = pair_of_nodes().await;
    let input = Input::new(&one, "a");
    let file = one.outbox("file");
    fs::write(&file, "x").unwrap();
    let outside = Named { path: file.clone(), given: Given { spooled: false, ..input.named().given } };
    for named in [vec![input.named(), file.into()], vec![outside]] {
        let error = one.transfers.send_named(two.id(), named, TransferOptions::default()).await.unwrap_err();
        assert_eq!(error.code(), "path_special");
    }
}
