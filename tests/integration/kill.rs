//! Tests of a power cut, simulated by `kill -9` at a random moment: the files on the disk open afterwards, and every
//! file with a final name is complete.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair, text},
    program::TEST_TIMEOUT,
    tree::{self, Noise},
};

const ROUNDS: u64 = 8;
const LONG: Duration = Duration::from_secs(240);

/// Returns a random seed, and prints it for the report.
fn seed() -> u64 {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("seed {seed}");
    seed
}

/// Returns a random moment within this span or up to a tenth after it.
fn moment(noise: &mut Noise, span: Duration) -> Duration {
    Duration::from_micros(noise.below(span.as_micros() as u64 * 11 / 10 + 1))
}

fn send(sender: &Device, to: &Node, path: &Path) -> yonder_tests::program::Running {
    let id = to.device_id();
    sender.start(["send".as_ref(), id.as_ref(), path.as_os_str()])
}

/// Waits until something can be sent. A session with a node that was just killed counts as alive until it times out,
/// and data sent over it is lost.
#[track_caller]
fn meet(sender: &Device, receiver: &Node) {
    let greeting = sender.home().join("greeting");
    fs::write(&greeting, "hello").unwrap();
    let end = Instant::now() + TEST_TIMEOUT;
    loop {
        let sent = send(sender, receiver, &greeting).finish(LONG);
        match sent.status {
            Some(0) => return,
            Some(4) if Instant::now() < end => (),
            _ => panic!("they do not find together again: {sent:#?}"),
        }
    }
}

/// Returns a device's view of the transfer with this name, if it has one.
fn transfer(device: &Device, name: &str) -> Option<Value> {
    let lines = device.run(["transfers", "--all"]).expect_status(0).lines;
    lines.into_iter().find(|line| line["roots"][0] == name)
}

/// Waits until the transfer is in this final state on both sides.
#[track_caller]
fn ends(sender: &Device, receiver: &Device, name: &str, state: &str) {
    for device in [sender, receiver] {
        let end = Instant::now() + LONG;
        loop {
            let found = transfer(device, name);
            let now = found.as_ref().and_then(|found| found["state"].as_str()).unwrap_or("unknown");
            if now == state {
                break;
            }
            let over = ["done", "failed", "declined", "cancelled"].contains(&now);
            assert!(!over && Instant::now() < end, "{}: {name} is {now}: {found:#?}", device.name());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Asserts that no unfinished file is left in the download folder.
#[track_caller]
fn nothing_hidden(receiver: &Device) {
    let names: Vec<_> = fs::read_dir(receiver.downloads()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with(".yonder-")), "{names:?}");
}

#[test]
fn either_node_may_die_at_any_moment_of_a_transfer_and_it_goes_on() {
    let mut noise = Noise::new(seed());
    let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let mut folder = sender.home().join("folder");
    tree::folder(&folder, 150, 2_500_000, 11);

    let begun = Instant::now();
    send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
    let span = begun.elapsed();
    tree::assert_same(&folder, &receiver.downloads().join("folder"));

    let mut named = Vec::new();
    for round in 0..ROUNDS {
        meet(&sender, &receiver_node);
        fs::remove_dir_all(receiver.downloads()).unwrap();
        fs::create_dir(receiver.downloads()).unwrap();
        let name = format!("folder {round}");
        let renamed = folder.with_file_name(&name);
        fs::rename(&folder, &renamed).unwrap();
        folder = renamed;
        let landed = receiver.downloads().join(&name);
        let sending = send(&sender, &receiver_node, &folder);
        let ids = (sender_node.endpoint_id(), receiver_node.endpoint_id());
        let after = moment(&mut noise, span);
        thread::sleep(after);
        let dies = if round % 2 == 0 { &mut sender_node } else { &mut receiver_node };
        dies.running.kill();
        // Checked before any restart: this is the state of the disk after a power cut.
        named.push(tree::assert_whole(&folder, &landed));
        if round % 2 == 0 {
            // The command is killed too: one that began just after its node died has become a node itself.
            drop(sending);
            sender_node = sender.serve();
            if transfer(&sender, &name).is_none() {
                // The kill came before the node had recorded the transfer.
                send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
            }
        } else {
            receiver_node = receiver.serve();
            // The command waits until the transfer is complete; one that had not reached the receiver yet may give up.
            let sent = sending.finish(LONG);
            if sent.status == Some(4) {
                meet(&sender, &receiver_node);
                send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
            } else {
                sent.expect_status(0);
            }
        }
        assert_eq!(ids, (sender_node.endpoint_id(), receiver_node.endpoint_id()), "a new identity after {after:?}");
        ends(&sender, &receiver, &name, "done");
        tree::assert_same(&folder, &landed);
        nothing_hidden(&receiver);
    }
    eprintln!("whole files at the moments of death: {named:?} of 150");
    assert!(named.iter().any(|count| *count < 150), "every kill came too late to find anything");
}

/// Creates a folder with a large file and many small ones, and returns its path and size in bytes.
fn mixed(sender: &Device, name: &str) -> (PathBuf, u64) {
    let folder = sender.home().join(name);
    tree::folder(&folder, 400, 4000, 21);
    tree::file(&folder.join("large"), 40 << 20, 22);
    let bytes = tree::list(&folder).into_values();
    let bytes = bytes.map(|entry| if let tree::Entry::File(size, ..) = entry { size } else { 0 }).sum();
    (folder, bytes)
}

/// Most bytes that are sent again: eight streams, each with an incomplete segment.
const WINDOW: u64 = 16 << 20;

/// Waits until this many bytes of the transfer have arrived, and returns the node's view of it.
#[track_caller]
fn half(node: &mut Node, name: &str, bytes: u64) -> Value {
    let line = node.running.expect("the middle", LONG, |line| {
        line["event"] == "transfer"
            && line["transfer"]["roots"][0] == name
            && line["transfer"]["state"] == "active"
            && line["transfer"]["bytes"].as_u64() > Some(bytes)
    });
    line["transfer"].clone()
}

/// Returns how many bytes already count when the transfer goes on.
#[track_caller]
fn counted_again(node: &mut Node, name: &str) -> u64 {
    half(node, name, 0)["bytes"].as_u64().unwrap()
}

#[test]
fn a_receiver_that_was_killed_gets_the_rest_and_the_command_stands_by() {
    let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let (folder, total) = mixed(&sender, "mixed");
    let id = receiver_node.device_id();
    let sending = sender.start(["send".as_ref(), id.as_ref(), folder.as_os_str(), "--limit".as_ref(), "10M".as_ref()]);
    let before = half(&mut sender_node, "mixed", 24 << 20)["bytes"].as_u64().unwrap();
    receiver_node.running.kill();
    tree::assert_whole(&folder, &receiver.downloads().join("mixed"));
    let begun = Instant::now();
    receiver_node = receiver.serve();
    let waited = sender_node
        .running
        .expect("that it waits", LONG, |line| line["event"] == "transfer" && line["transfer"]["state"] == "waiting");
    assert_eq!(waited["transfer"]["reason"]["code"], "connection_lost", "{waited}");
    let after = counted_again(&mut sender_node, "mixed");
    let took = begun.elapsed();
    println!("FIGURE receiver killed at {before} of {total} bytes: goes on at {after}, {took:.1?} after its start");
    assert!(after + WINDOW > before, "{} bytes are sent again", before - after);
    sending.finish(LONG).expect_status(0);
    ends(&sender, &receiver, "mixed", "done");
    tree::assert_same(&folder, &receiver.downloads().join("mixed"));
    nothing_hidden(&receiver);
    drop(receiver_node);
}

#[test]
fn a_sender_that_was_killed_sends_the_rest_of_what_has_not_changed() {
    let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let (folder, total) = mixed(&sender, "mixed");
    let id = receiver_node.device_id();
    let sending = sender.start(["send".as_ref(), id.as_ref(), folder.as_os_str(), "--limit".as_ref(), "10M".as_ref()]);
    let before = half(&mut receiver_node, "mixed", 24 << 20)["bytes"].as_u64().unwrap();
    sender_node.running.kill();
    drop(sending);
    // A file that has not arrived yet is now changed.
    let landed = receiver.downloads().join("mixed");
    let missing = tree::list(&folder).into_iter().find(|(path, entry)| {
        matches!(entry, tree::Entry::File(size, ..) if *size > 0)
            && !path.ends_with("large")
            && !landed.join(path).exists()
    });
    let (missing, _) = missing.expect("all small files have arrived already");
    fs::write(folder.join(missing), "changed while they were apart").unwrap();
    let begun = Instant::now();
    sender_node = sender.serve();
    let after = counted_again(&mut sender_node, "mixed");
    let took = begun.elapsed();
    println!("FIGURE sender killed at {before} of {total} bytes: goes on at {after}, {took:.1?} after its start");
    assert!(after + WINDOW > before, "{} bytes are sent again", before - after);
    ends(&sender, &receiver, "mixed", "done");
    tree::assert_same(&folder, &receiver.downloads().join("mixed"));
    nothing_hidden(&receiver);
}

#[test]
fn what_is_cancelled_while_the_other_is_dead_ends_there_too() {
    for by_sender in [true, false] {
        let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
        let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
        pair(&receiver, &receiver_node, &sender);
        let (folder, _) = mixed(&sender, "mixed");
        let id = receiver_node.device_id();
        let sending =
            sender.start(["send".as_ref(), id.as_ref(), folder.as_os_str(), "--limit".as_ref(), "10M".as_ref()]);
        let transfer = text(&half(&mut sender_node, "mixed", 8 << 20), "id");
        let (dies, lives) = if by_sender { (&receiver, &sender) } else { (&sender, &receiver) };
        if by_sender {
            receiver_node.running.kill()
        } else {
            sender_node.running.kill()
        }
        lives.run(["cancel", &transfer]).expect_status(0);
        drop(sending);
        let _again = dies.serve();
        ends(&sender, &receiver, "mixed", "cancelled");
        nothing_hidden(&receiver);
        tree::assert_whole(&folder, &receiver.downloads().join("mixed"));
    }
}

#[test]
fn what_is_sent_to_a_device_that_is_away_is_delivered_when_it_comes() {
    let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let (sender_node, receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let id = receiver_node.device_id();
    receiver_node.stop().expect_status(0);
    let folder = sender.home().join("folder");
    tree::folder(&folder, 5, 10_000, 13);
    // A command that waits for the end reports that the transfer cannot go on.
    let refused = sender.run_within(LONG, ["send".as_ref(), id.as_ref(), folder.as_os_str()]);
    assert_eq!(refused.status, Some(4), "{refused:#?}");
    let queued =
        sender.run(["send".as_ref(), id.as_ref(), folder.as_os_str(), "--background".as_ref()]).expect_status(0);
    assert!(queued.event("queued").is_some(), "{queued:#?}");
    // The sender's machine is switched off and on meanwhile.
    sender_node.stop().expect_status(0);
    let _sender_node = sender.serve();
    let _receiver_node = receiver.serve();
    ends(&sender, &receiver, "folder", "done");
    tree::assert_same(&folder, &receiver.downloads().join("folder"));
}

#[test]
fn a_node_that_died_and_is_back_is_sent_to_at_once() {
    let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    let (sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    let folder = sender.home().join("folder");
    tree::folder(&folder, 5, 10_000, 13);
    send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
    fs::remove_dir_all(receiver.downloads().join("folder")).unwrap();

    receiver_node.running.kill();
    receiver_node = receiver.serve();
    // The ping makes the receiver say hello as a new instance, so that older connections are not waited for.
    receiver.run(["ping", &sender_node.device_id(), "-c", "1"]).expect_status(0);
    send(&sender, &receiver_node, &folder).finish(LONG).expect_status(0);
    tree::assert_same(&folder, &receiver.downloads().join("folder"));
}

#[test]
fn either_node_may_die_at_any_moment_of_a_pairing() {
    let mut noise = Noise::new(seed());
    // Measures how long a pairing takes, from the join until both report it.
    let span = {
        let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
        let (host_node, _joiner_node) = (host.serve(), joiner.serve());
        let begun = Instant::now();
        pair(&host, &host_node, &joiner);
        begun.elapsed()
    };
    let (mut both, mut neither, mut mended) = (0, 0, 0);
    for round in 0..ROUNDS {
        let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
        let (mut host_node, mut joiner_node) = (host.serve(), joiner.serve());
        let mut hosting = host.start(["pair", "host", "--approve"]);
        let words = text(&hosting.expect_event("code"), "words");
        let joining = joiner.start(["pair", "join", &words, "--approve", "--device", &host_node.at()]);
        let after = moment(&mut noise, span);
        thread::sleep(after);
        if round % 2 == 0 {
            host_node.running.kill()
        } else {
            joiner_node.running.kill()
        }
        // The commands are killed too: one that began just after its node died has become a node itself.
        drop((hosting, joining));
        if round % 2 == 0 {
            host_node = host.serve()
        } else {
            joiner_node = joiner.serve()
        }

        // Both sides are paired or neither is; a difference lasts at most until they meet again.
        let state = || (host.paired_with().len(), joiner.paired_with().len());
        if state().0 != state().1 {
            mended += 1;
            let end = Instant::now() + TEST_TIMEOUT;
            while state().0 != state().1 {
                assert!(Instant::now() < end, "killed after {after:?}, round {round}: {:?} stays", state());
                // A contact from either side.
                host.run(["ping", &joiner_node.device_id(), "-c", "1"]);
                joiner.run(["ping", &host_node.device_id(), "-c", "1"]);
            }
        }
        match state() {
            (1, 1) => {
                both += 1;
                // A session with the killed node counts as alive until it times out.
                let end = Instant::now() + TEST_TIMEOUT;
                loop {
                    let pinged = joiner.run(["ping", &host_node.device_id(), "-c", "1"]);
                    if pinged.status == Some(0) {
                        break;
                    }
                    assert!(Instant::now() < end, "they are paired and do not meet: {pinged:#?}");
                }
            }
            (0, 0) => {
                neither += 1;
                // A person tries again with a new code. A side that was killed in the middle of a pairing keeps the
                // other one busy until the connection times out.
                let end = Instant::now() + TEST_TIMEOUT;
                loop {
                    let mut hosting = host.start(["pair", "host", "--approve"]);
                    let code = hosting.find(TEST_TIMEOUT, |line| line["event"] == "code" || line["event"] == "error");
                    let Some(words) = code.as_ref().and_then(|code| code["words"].as_str()) else {
                        assert!(Instant::now() < end, "the host stays busy: {:#?}", hosting.finish(TEST_TIMEOUT));
                        continue;
                    };
                    let joined = joiner.run(["pair", "join", words, "--approve", "--device", &host_node.at()]);
                    if joined.status == Some(0) {
                        hosting.finish(TEST_TIMEOUT).expect_status(0);
                        break;
                    }
                    assert!(Instant::now() < end, "they cannot pair any more: {joined:#?}");
                    hosting.interrupt();
                    hosting.finish(TEST_TIMEOUT);
                }
            }
            other => panic!("{other:?}"),
        }
    }
    eprintln!("{both} paired, {neither} not, {mended} of them mended at the next contact");
}
