//! Tests of what a send leaves out and how it reports that: exit status, counts by code, and sending the rest later.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use yonder_core::api::{ConflictRule, OfferEntry, Response, TransferRequest};
use yonder_tests::{
    control_client::ControlClient,
    device::{Device, Node, pair, text},
    program::{Finished, Running, TEST_TIMEOUT},
    tree,
};

/// Two paired devices.
struct Pair {
    sender: Device,
    receiver: Device,
    sender_node: Node,
    receiver_node: Node,
}

impl Pair {
    fn new(accept: &str) -> Self {
        let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
        let (sender_node, receiver_node) = (sender.serve(), receiver.serve_with(&["--accept", accept]));
        pair(&receiver, &receiver_node, &sender);
        Self { sender, receiver, sender_node, receiver_node }
    }

    /// Creates a folder with two files in the sender's home.
    fn folder(&self) -> PathBuf {
        let folder = self.sender.home().join("folder");
        fs::create_dir_all(folder.join("inner")).unwrap();
        fs::write(folder.join("first"), "first").unwrap();
        fs::write(folder.join("inner/second"), "second").unwrap();
        folder
    }

    fn send(&self, paths: &[&Path], options: &[&str]) -> Running {
        let id = self.receiver_node.device_id();
        let mut arguments: Vec<&OsStr> = vec!["send".as_ref(), id.as_ref()];
        arguments.extend(paths.iter().map(|path| path.as_os_str()));
        arguments.extend(options.iter().map(OsStr::new));
        self.sender.start(arguments)
    }

    fn sent(&self, path: &Path) -> Finished {
        self.send(&[path], &[]).finish(TEST_TIMEOUT)
    }

    /// Returns the newest transfer as a device shows it.
    fn newest(device: &Device) -> Value {
        device.run(["transfers", "--all"]).expect_status(0).lines.remove(0)
    }

    /// Returns the path at which the receiver stores the sender's folder.
    fn landed(&self) -> PathBuf {
        self.receiver.downloads().join("folder")
    }
}

fn close(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

fn open(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn all_that_is_left_out_is_counted_by_code_and_ends_with_5() {
    let pair = Pair::new("paired");
    let folder = pair.folder();
    let many = 130;
    fs::create_dir(folder.join("closed")).unwrap();
    for n in 0..many {
        fs::write(folder.join(format!("closed/{n}")), "closed").unwrap();
        close(&folder.join(format!("closed/{n}")));
    }
    fs::create_dir(folder.join("shut")).unwrap();
    fs::write(folder.join("shut/in"), "in").unwrap();
    close(&folder.join("shut"));
    // A folder whose names can be read and whose contents cannot.
    fs::create_dir(folder.join("half")).unwrap();
    fs::write(folder.join("half/in"), "in").unwrap();
    fs::set_permissions(folder.join("half"), fs::Permissions::from_mode(0o400)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("out")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("broken")).unwrap();
    std::os::unix::fs::symlink("inner", folder.join("to a folder")).unwrap();
    let _socket = UnixListener::bind(folder.join("socket")).unwrap();
    fs::write(folder.join(OsStr::from_bytes(b".yonder-x")), "reserved").unwrap();

    let finished = pair.sent(&folder).expect_status(5);
    open(&folder.join("shut"));
    open(&folder.join("half"));
    let reasons = json!({
        "file_unreadable": many, "folder_unreadable": 2, "link_outside": 1, "link_broken": 1, "link_to_folder": 1,
        "special_file": 1, "name_unsendable": 1,
    });
    let skipped = many + 7;
    let done = finished.event("done").unwrap();
    assert_eq!((&done["skipped"], &done["reasons"]), (&json!(skipped), &reasons));
    assert_eq!((&done["files"], &done["bytes"]), (&json!(2), &json!(11)));
    assert_eq!(finished.lines.last(), Some(done), "no error beside it");
    assert!(finished.stderr.contains("yonder-cli retry"), "{}", finished.stderr);
    let shown = Pair::newest(&pair.sender);
    assert_eq!((&shown["state"], &shown["skipped"], &shown["reasons"]), (&json!("done"), &json!(skipped), &reasons));
    assert_eq!(shown["reason"]["code"], "incomplete");
    let notes = shown["notes"].as_array().map_or(0, Vec::len);
    assert!((20..=100).contains(&notes), "examples alone are bounded: {notes}");
    let at_receiver = Pair::newest(&pair.receiver);
    assert_eq!(at_receiver["reasons"], json!({"skipped_there": skipped}));
    assert_eq!(at_receiver["notes"][0], json!({"code": "skipped_there", "args": {"count": skipped}}));
    let names: Vec<_> = tree::list(&pair.landed()).into_keys().collect();
    let wanted = ["closed", "first", "inner", "inner/second"].map(PathBuf::from);
    assert_eq!(names, wanted, "no folder arrives empty that is not");
    // The record on the disk says the same.
    let before = Pair::newest(&pair.sender);
    pair.sender_node.stop();
    let _again = pair.sender.serve();
    assert_eq!(Pair::newest(&pair.sender), before);
}

#[test]
fn people_read_how_much_is_missing_and_why() {
    let pair = Pair::new("paired");
    let folder = pair.folder();
    fs::write(folder.join("closed"), "closed").unwrap();
    close(&folder.join("closed"));
    let command = pair.sender.command([OsStr::new("send"), pair.receiver_node.device_id().as_ref(), folder.as_ref()]);
    let mut plain = Command::new(command.get_program());
    plain.args(command.get_args().filter(|argument| *argument != "--json")).env("HOME", pair.sender.home());
    let output = plain.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(said.contains("Sent 2 files") && said.contains("1 left out: it may not be read"), "{said}");
}

#[test]
fn strict_offers_nothing_when_something_cannot_be_sent() {
    let mut pair = Pair::new("ask");
    let folder = pair.folder();
    for name in ["a", "b", "c", "d"] {
        fs::write(folder.join(name), "closed").unwrap();
        close(&folder.join(name));
    }
    let refused = pair.send(&[&folder], &["--strict"]).finish(TEST_TIMEOUT).expect_error(1, &["left_out"]);
    let message = text(refused.event("error").unwrap(), "message");
    assert!(message.contains("folder/a: it may not be read") && message.contains("and 1 more"), "{message}");
    for name in ["a", "b", "c", "d"] {
        open(&folder.join(name));
    }
    let sending = pair.send(&[&folder], &["--strict"]);
    let offer = pair.receiver_node.running.expect_event("offer")["transfer"].clone();
    assert_eq!(offer["files"], 6, "the first offer is the one with everything: {offer}");
    pair.receiver.run(["accept", &text(&offer, "id")]).expect_status(0);
    sending.finish(TEST_TIMEOUT).expect_status(0);
}

#[test]
fn only_what_cannot_be_sent_is_an_error_and_no_offer() {
    let pair = Pair::new("paired");
    let folder = pair.sender.home().join("folder");
    fs::create_dir_all(folder.join("inner")).unwrap();
    fs::write(folder.join("inner/closed"), "closed").unwrap();
    close(&folder.join("inner/closed"));
    let refused = pair.sent(&folder).expect_error(1, &["nothing_to_send"]);
    assert!(text(refused.event("error").unwrap(), "message").contains("closed: it may not be read"));
    assert!(refused.event("done").is_none());
    assert!(pair.receiver.run(["transfers", "--all"]).expect_status(0).lines.is_empty());
    assert!(tree::list(&pair.receiver.downloads()).is_empty());
}

#[test]
fn a_file_that_fails_at_the_receiver_counts_at_the_sender_and_the_rest_arrives() {
    let mut pair = Pair::new("ask");
    let folder = pair.folder();
    tree::file(&folder.join("changes"), 1 << 20, 1);
    let sending = pair.send(&[&folder], &[]);
    let offer = pair.receiver_node.running.expect_event("offer")["transfer"].clone();
    fs::write(folder.join("changes"), "as it is now").unwrap();
    pair.receiver.run(["accept", &text(&offer, "id")]).expect_status(0);
    let finished = sending.finish(TEST_TIMEOUT).expect_status(5);
    let done = finished.event("done").unwrap();
    assert_eq!((&done["files"], &done["skipped"]), (&json!(2), &json!(1)));
    assert_eq!(done["reasons"], json!({"source_changed": 1}));
    assert_eq!(Pair::newest(&pair.receiver)["reasons"], json!({"source_changed": 1}));
    assert_eq!(fs::read(pair.landed().join("first")).unwrap(), b"first");
    assert!(!pair.landed().join("changes").exists());

    // A retry sends only what failed.
    pair.sender.run(["retry", &text(&offer, "id")]).expect_status(0);
    let again = pair.receiver_node.running.expect_event("offer")["transfer"].clone();
    assert_eq!((&again["files"], &again["total"]), (&json!(1), &json!(12)));
}

/// Returns the entries of an offer directly under this parent.
fn entries(control: &ControlClient, id: &str, parent: Option<u32>) -> Vec<OfferEntry> {
    match control.ask(TransferRequest::OfferEntries { id: id.parse().unwrap(), parent, skip: 0, limit: 1000 }) {
        Ok(Response::OfferEntries(page)) => page.entries,
        other => panic!("{other:?}"),
    }
}

/// Offers six files, of which the receiver takes one. Returns the transfer's id and how `send` ended.
fn one_of_six(pair: &mut Pair) -> (String, Finished) {
    let folder = pair.sender.home().join("folder");
    fs::create_dir(&folder).unwrap();
    for n in 0..6 {
        tree::file(&folder.join(format!("{n}")), 1000 + n, n as u64);
    }
    let sending = pair.send(&[&folder], &[]);
    let id = text(&pair.receiver_node.running.expect_event("offer")["transfer"], "id");
    let control = ControlClient::to(&pair.receiver);
    let top = entries(&control, &id, None);
    let file = entries(&control, &id, Some(top[0].index)).into_iter().find(|entry| entry.name == "3").unwrap();
    let (conflict, only) = (ConflictRule::KeepBoth, Some(vec![file.index]));
    control.ask(TransferRequest::Accept { id: id.parse().unwrap(), into: None, conflict, only }).unwrap();
    (id, sending.finish(TEST_TIMEOUT))
}

#[test]
fn who_takes_one_file_of_six_is_told_as_that_on_both_sides() {
    let mut pair = Pair::new("ask");
    let (_, finished) = one_of_six(&mut pair);
    let finished = finished.expect_status(5);
    let done = finished.event("done").unwrap();
    assert_eq!((&done["files"], &done["bytes"], &done["skipped"]), (&json!(1), &json!(1003), &json!(5)));
    assert_eq!(done["reasons"], json!({"not_taken": 5}));
    assert_eq!(done["offered"], json!({"files": 6, "bytes": 6015}));
    let shown = Pair::newest(&pair.sender);
    assert_eq!((&shown["files"], &shown["offered"]["files"]), (&json!(1), &json!(6)));
    assert_eq!(shown["reason"]["message"], "1 of 6 files taken");
    let theirs = Pair::newest(&pair.receiver);
    assert_eq!((&theirs["files"], &theirs["offered"]["files"]), (&json!(1), &json!(6)));
    assert_eq!((&theirs["skipped"], &theirs["reason"]), (&json!(0), &Value::Null), "it has all that it wanted");
}

#[test]
fn a_retry_sends_what_was_not_taken_and_in_its_folders() {
    let mut pair = Pair::new("ask");
    let (id, _) = one_of_six(&mut pair);
    pair.sender_node.stop();
    pair.sender_node = pair.sender.serve();
    pair.sender.run(["retry", &id]).expect_status(0);
    let again = pair.receiver_node.running.expect_event("offer")["transfer"].clone();
    assert_eq!((&again["files"], &again["roots"]), (&json!(5), &json!(["folder"])));
    pair.receiver.run(["accept", &text(&again, "id"), "--conflict", "skip"]).expect_status(0);
    let over = |line: &Value| line["transfer"]["id"] == again["id"] && line["transfer"]["state"] == "done";
    let ended = pair.sender_node.running.expect("the end", TEST_TIMEOUT, over)["transfer"].clone();
    assert_eq!((&ended["skipped"], &ended["files_done"]), (&json!(0), &json!(5)));
    tree::assert_same(&pair.sender.home().join("folder"), &pair.landed());
}

#[test]
fn a_retry_sends_what_was_left_out_once_that_can_be_sent() {
    let pair = Pair::new("paired");
    let folder = pair.folder();
    fs::write(folder.join("inner/closed"), "closed").unwrap();
    close(&folder.join("inner/closed"));
    fs::create_dir(folder.join("shut")).unwrap();
    fs::write(folder.join("shut/in"), "in").unwrap();
    close(&folder.join("shut"));
    pair.sent(&folder).expect_status(5);
    let id = text(&Pair::newest(&pair.sender), "id");
    let refused = pair.sender.run(["retry", &id]).expect_error(1, &["nothing_to_send"]);
    assert!(text(refused.event("error").unwrap(), "message").contains("closed"));
    open(&folder.join("inner/closed"));
    open(&folder.join("shut"));
    let again = pair.sender.run(["retry", &id]).expect_status(0).lines.remove(0);
    let mut node = pair.sender_node;
    let over = |line: &Value| line["transfer"]["id"] == again["id"] && line["transfer"]["state"] == "done";
    let ended = node.running.expect("the end", TEST_TIMEOUT, over)["transfer"].clone();
    assert_eq!((&ended["files_done"], &ended["bytes"], &ended["skipped"]), (&json!(2), &json!(8), &json!(0)));
    let second = pair.receiver.downloads().join("folder (2)");
    assert_eq!(fs::read(second.join("inner/closed")).unwrap(), b"closed");
    assert_eq!(fs::read(second.join("shut/in")).unwrap(), b"in");
    // A retry of a complete transfer sends everything again; if the source is gone, it is an error.
    let whole = text(&again, "id");
    fs::remove_dir_all(&folder).unwrap();
    pair.sender.run(["retry", &whole]).expect_error(1, &["nothing_to_send", "path_not_found"]);
}

#[test]
fn a_cancel_says_on_which_side() {
    let mut pair = Pair::new("ask");
    let folder = pair.folder();
    for (by, status) in [("sender", 1), ("receiver", 3)] {
        let file = pair.sender.home().join(by);
        tree::file(&file, 32 << 20, 1);
        let sending = pair.send(&[&folder, &file], &["--limit", "2M"]);
        let id = text(&pair.receiver_node.running.expect_event("offer")["transfer"], "id");
        pair.receiver.run(["accept", &id]).expect_status(0);
        let moves =
            |line: &Value| line["transfer"]["id"] == id.as_str() && line["transfer"]["bytes"].as_u64() > Some(0);
        pair.receiver_node.running.expect("bytes", TEST_TIMEOUT, moves);
        let (here, there) =
            if by == "sender" { (&pair.sender, &pair.receiver) } else { (&pair.receiver, &pair.sender) };
        here.run(["cancel", &id]).expect_status(0);
        let code = if status == 1 { "cancelled_here" } else { "cancelled_there" };
        let finished = sending.finish(TEST_TIMEOUT).expect_status(status);
        assert_eq!(finished.event("error").unwrap()["code"], code);
        let node = if by == "sender" { &mut pair.receiver_node } else { &mut pair.sender_node };
        let over = |line: &Value| line["transfer"]["id"] == id.as_str() && line["transfer"]["state"] == "cancelled";
        node.running.expect("the cancel", TEST_TIMEOUT, over);
        assert_eq!(Pair::newest(here)["reason"]["code"], "cancelled_here", "{by}");
        assert_eq!(Pair::newest(there)["reason"]["code"], "cancelled_there", "{by}");
    }
}

#[test]
fn one_for_a_device_that_is_away_waits_for_it_and_not_for_its_turn() {
    let mut pair = Pair::new("paired");
    let folder = pair.folder();
    let id = pair.receiver_node.device_id();
    pair.receiver_node.stop();
    let away = |line: &Value| line["event"] == "device" && line["device"]["state"] == "offline";
    pair.sender_node.running.expect("that it is away", TEST_TIMEOUT, away);
    let queued = pair.sender.run([OsStr::new("send"), id.as_ref(), folder.as_ref(), "--background".as_ref()]);
    let transfer = text(queued.expect_status(0).event("queued").unwrap(), "transfer");
    let mut seen = Vec::new();
    let found = |line: &Value| {
        let ours = line["event"] == "transfer" && line["transfer"]["id"] == transfer.as_str();
        if ours {
            seen.push((text(&line["transfer"], "state"), line["transfer"]["reason"]["code"].clone()));
        }
        ours && line["transfer"]["reason"]["code"] == "device_offline"
    };
    pair.sender_node.running.expect("why it waits", TEST_TIMEOUT, found);
    assert!(seen.iter().all(|(state, code)| state == "waiting" && !code.is_null()), "{seen:?}");
}

#[test]
fn a_receiver_that_was_killed_and_its_sender_report_about_the_same_seconds() {
    let mut pair = Pair::new("paired");
    let file = pair.sender.home().join("file");
    tree::file(&file, 20 << 20, 1);
    let sending = pair.send(&[&file], &["--limit", "1500k"]);
    // At nine seconds at least one of the records written every five seconds exists.
    let moves = |line: &Value| line["transfer"]["seconds"].as_f64() > Some(9.0);
    pair.receiver_node.running.expect("nine seconds", TEST_TIMEOUT, moves);
    pair.receiver_node.running.kill();
    pair.receiver_node = pair.receiver.serve();
    sending.finish(TEST_TIMEOUT * 2).expect_status(0);
    let of = |device| Pair::newest(device)["seconds"].as_f64().unwrap();
    let (ours, theirs) = (of(&pair.sender), of(&pair.receiver));
    println!("FIGURE 20 MiB with a kill of the receiver: {ours:.1} s at the sender, {theirs:.1} s at the receiver");
    assert!((ours - theirs).abs() < 6.5 && theirs > 5.0, "{ours} {theirs}");
}

#[test]
fn both_sides_report_the_same_seconds_and_a_rate_that_fits_them() {
    let mut pair = Pair::new("paired");
    let file = pair.sender.home().join("file");
    tree::file(&file, 8 << 20, 1);
    let sending = pair.send(&[&file], &["--limit", "4M"]);
    let moves = |line: &Value| line["transfer"]["bytes"].as_u64() > Some(2 << 20);
    let id = text(&pair.receiver_node.running.expect("bytes", TEST_TIMEOUT, moves)["transfer"], "id");
    pair.sender.run(["pause", &id]).expect_status(0);
    let held = |line: &Value| line["transfer"]["state"] == "paused";
    pair.receiver_node.running.expect("the pause", TEST_TIMEOUT, held);
    // A pause long enough to show in the duration if it were counted.
    std::thread::sleep(std::time::Duration::from_secs(4));
    pair.sender.run(["resume", &id]).expect_status(0);
    let seconds = sending.finish(TEST_TIMEOUT).expect_status(0).event("done").unwrap()["seconds"].as_f64().unwrap();
    let (ours, theirs) = (Pair::newest(&pair.sender), Pair::newest(&pair.receiver));
    let of = |view: &Value, field: &str| view[field].as_f64().unwrap_or_else(|| panic!("{field}: {view}"));
    assert_eq!(of(&ours, "seconds"), seconds);
    let differ = (seconds - of(&theirs, "seconds")).abs();
    println!("FIGURE 8 MiB at 4 MB/s with a pause of 4 s: {seconds:.2} s, the two differ by {differ:.2} s");
    assert!(differ < 2.0, "{ours} {theirs}");
    for view in [&ours, &theirs] {
        let bytes = of(view, "seconds") * of(view, "mean_rate");
        assert!((bytes / f64::from(8 << 20) - 1.0).abs() < 0.01, "{view}");
    }
}
