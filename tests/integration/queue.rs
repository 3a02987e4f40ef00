//! Tests of the queue on the command line: pause, resume, limit, order and retry; and of transfers that survive any
//! interruption.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair, text},
    measure::fetched,
    program::Running,
    tree::{self, Noise},
};

const LONG: Duration = Duration::from_secs(240);
const MIB: u64 = 1 << 20;

struct Pair {
    sender: Device,
    sender_node: Node,
    receiver: Device,
    receiver_node: Node,
}

impl Pair {
    fn new() -> Self {
        let (sender, receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
        let (sender_node, receiver_node) = (sender.serve(), receiver.serve());
        pair(&receiver, &receiver_node, &sender);
        Self { sender, sender_node, receiver, receiver_node }
    }

    fn file(&self, name: &str, mib: u64) -> PathBuf {
        let path = self.sender.home().join(name);
        tree::file(&path, (mib * MIB) as usize, mib + name.len() as u64);
        path
    }

    fn send(&self, path: &Path, extra: &[&str]) -> Running {
        let id = self.receiver_node.device_id();
        let mut arguments = vec!["send".as_ref(), id.as_ref(), path.as_os_str()];
        arguments.extend(extra.iter().map(std::ffi::OsStr::new));
        self.sender.start(arguments)
    }
}

/// Waits until a node reports the transfer with this name in a fitting state, and returns it.
#[track_caller]
fn told(node: &mut Node, name: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let line = node.running.expect(what, LONG, |line| {
        line["event"] == "transfer" && line["transfer"]["roots"][0] == name && fits(&line["transfer"])
    });
    line["transfer"].clone()
}

#[track_caller]
fn moving(node: &mut Node, name: &str, bytes: u64) -> String {
    let moves = |transfer: &Value| transfer["state"] == "active" && transfer["bytes"].as_u64() > Some(bytes);
    text(&told(node, name, "that it moves", moves), "id")
}

#[track_caller]
fn paused(node: &mut Node, name: &str, code: &str) -> Value {
    told(node, name, code, |transfer| transfer["state"] == "paused" && transfer["reason"]["code"] == code)
}

#[test]
fn either_side_pauses_and_resumes_and_is_told_what_is_wrong() {
    let mut two = Pair::new();
    let path = two.file("large", 24);
    let sending = two.send(&path, &["--limit", "8MB/s"]);
    let id = moving(&mut two.sender_node, "large", MIB);
    let answer = two.sender.run(["pause", &id[..8]]).expect_status(0).lines.remove(0);
    assert_eq!((&answer["state"], &answer["reason"]["code"]), (&"paused".into(), &"paused_here".into()));
    paused(&mut two.receiver_node, "large", "paused_there");
    two.sender.run(["resume", &id]).expect_status(0);
    moving(&mut two.receiver_node, "large", 2 * MIB);
    two.receiver.run(["pause", &id]).expect_status(0);
    paused(&mut two.sender_node, "large", "paused_there");
    // A transfer paused by the other side is not resumed from here.
    two.sender.run(["resume", &id]).expect_status(0);
    let still = two.sender.run(["transfers"]).expect_status(0).lines.remove(0);
    assert_eq!(still["state"], "paused", "{still}");
    two.receiver.run(["resume", &id]).expect_status(0);
    sending.finish(LONG).expect_status(0);
    assert_eq!(fs::read(&path).unwrap(), fs::read(two.receiver.downloads().join("large")).unwrap());

    for command in ["pause", "resume"] {
        two.sender.run([command, &id]).expect_error(1, &["transfer_ended"]);
    }
    two.receiver.run(["retry", &id]).expect_error(1, &["transfer_not_ours"]);
    two.sender.run(["pause", "ffffffff"]).expect_error(1, &["transfer_unknown"]);
    assert_eq!(two.sender.run(["limit", "fast"]).status, Some(2));

    let again = two.sender.run(["retry", &id]).expect_status(0).lines.remove(0);
    assert_ne!(again["id"], id.as_str());
    told(&mut two.sender_node, "large", "the end of it", |transfer| {
        transfer["id"] == again["id"] && transfer["state"] == "done"
    });
    assert_eq!(fs::read(&path).unwrap(), fs::read(two.receiver.downloads().join("large (2)")).unwrap());
    let found = two.sender.run(["transfers", "--all", "--find", "LARGE done"]).expect_status(0).lines;
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(two.sender.run(["transfers", "--all", "--find", "nothing"]).expect_status(0).lines.is_empty());
}

#[test]
fn a_limit_for_all_holds_and_changes_while_they_run() {
    let mut two = Pair::new();
    two.sender.run(["limit", "4MB/s"]).expect_status(0);
    let sendings: Vec<_> = (0..4)
        .map(|n| {
            let path = two.file(&format!("file {n}"), 48);
            two.send(&path, &[])
        })
        .collect();
    two.sender.run(["settings", "parallel", "4"]).expect_status(0);
    for n in 0..4 {
        moving(&mut two.receiver_node, &format!("file {n}"), 0);
    }
    let bytes = |device: &Device| -> Vec<u64> {
        let lines = device.run(["transfers"]).expect_status(0).lines;
        let mut lines: Vec<_> = lines.iter().map(|line| (text(line, "id"), line["bytes"].as_u64().unwrap())).collect();
        lines.sort();
        lines.into_iter().map(|(_, bytes)| bytes).collect()
    };
    // Measures the rate over some seconds, because the limit is an average.
    let measure = |span: Duration| {
        let (at, before) = (Instant::now(), bytes(&two.receiver));
        thread::sleep(span);
        let (after, took) = (bytes(&two.receiver), at.elapsed().as_secs_f64());
        assert_eq!((before.len(), after.len()), (4, 4), "all are under way");
        let rates: Vec<f64> = before.iter().zip(&after).map(|(before, after)| (after - before) as f64 / took).collect();
        rates
    };
    let rates = measure(Duration::from_secs(10));
    let sum: f64 = rates.iter().sum();
    println!("FIGURE limit 4 MB/s, four transfers over 10 s: {:.2} MB/s in all, each {rates:.0?} B/s", sum / 1e6);
    assert!((sum / 4e6 - 1.0).abs() < 0.05, "{sum}");
    for rate in &rates {
        assert!((rate / 1e6 - 1.0).abs() < 0.3, "shared alike: {rates:?}");
    }
    two.sender.run(["limit", "12MB/s"]).expect_status(0);
    thread::sleep(Duration::from_secs(1));
    let sum: f64 = measure(Duration::from_secs(3)).iter().sum();
    println!("FIGURE limit raised to 12 MB/s, from a second later: {:.2} MB/s", sum / 1e6);
    assert!((sum / 12e6 - 1.0).abs() < 0.15, "{sum}");
    two.sender.run(["limit", "off"]).expect_status(0);
    for sending in sendings {
        sending.finish(LONG).expect_status(0);
    }
}

#[test]
fn several_devices_get_what_is_sent_to_them_and_one_that_says_no_is_told_apart() {
    let two = Pair::new();
    let third = Device::loopback("third");
    let third_node = third.serve_with(&["--accept", "none"]);
    pair(&third, &third_node, &two.sender);
    let fourth = Device::loopback("fourth");
    let fourth_node = fourth.serve();
    pair(&fourth, &fourth_node, &two.sender);
    let path = two.file("for all", 3);
    let (more, no) = (fourth_node.device_id(), third_node.device_id());
    let sent = two.send(&path, &["--also", &more]).finish(LONG).expect_status(0);
    assert_eq!(sent.lines.iter().filter(|line| line["event"] == "done").count(), 2, "{sent:#?}");
    for device in [&two.receiver, &fourth] {
        assert_eq!(fs::read(&path).unwrap(), fs::read(device.downloads().join("for all")).unwrap());
    }
    let sent = two.send(&path, &["--also", &no]).finish(LONG);
    assert_eq!(sent.status, Some(3), "{sent:#?}");
    assert!(two.receiver.downloads().join("for all (2)").exists());
}

#[test]
fn for_two_devices_that_are_sent_to_together_the_disk_is_read_once() {
    let two = Pair::new();
    let third = Device::loopback("third");
    let third_node = third.serve();
    pair(&third, &third_node, &two.sender);
    let path = two.file("for both", 192);
    // Drops the file from the page cache, so that whatever is sent comes from the disk.
    let file = fs::File::open(&path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let before = fetched(two.sender_node.running.pid());
    let sent = two.send(&path, &["--also", &third_node.device_id()]).finish(LONG).expect_status(0);
    assert_eq!(sent.lines.iter().filter(|line| line["event"] == "done").count(), 2, "{sent:#?}");
    let times = (fetched(two.sender_node.running.pid()) - before) as f64 / (192 * MIB) as f64;
    println!("FIGURE 192 MiB sent to two devices at once: read from the disk {times:.2} times");
    assert!((0.9..1.1).contains(&times), "{times} times; is the folder for temporary files on a disk?");
    for device in [&two.receiver, &third] {
        assert_eq!(fs::read(&path).unwrap(), fs::read(device.downloads().join("for both")).unwrap());
    }
}

#[test]
fn one_at_a_time_in_the_order_that_is_asked_for() {
    let mut two = Pair::new();
    two.sender.run(["settings", "parallel", "1"]).expect_status(0);
    let first = two.send(&two.file("first", 12), &["--limit", "3MB/s"]);
    let first_id = moving(&mut two.sender_node, "first", 0);
    let second = two.send(&two.file("second", 1), &[]);
    let waits = |transfer: &Value| transfer["state"] == "queued" && transfer["files"] == 1;
    told(&mut two.sender_node, "second", "that it waits", waits);
    let third = two.send(&two.file("third", 1), &[]);
    let id = text(&told(&mut two.sender_node, "third", "that it waits", waits), "id");
    let queue = two.sender.run(["order", &id]).expect_status(0).lines;
    let names: Vec<_> = queue.iter().map(|line| line["roots"][0].as_str().unwrap()).collect();
    assert_eq!(names, ["third", "first", "second"], "{queue:#?}");
    two.sender.run(["pause", &first_id]).expect_status(0);
    let end = |node: &mut Node| node.running.expect("an end", LONG, |line| line["transfer"]["state"] == "done");
    for name in ["third", "second"] {
        assert_eq!(end(&mut two.sender_node)["transfer"]["roots"][0], name);
    }
    two.sender.run(["resume", &first_id]).expect_status(0);
    for sending in [first, second, third] {
        sending.finish(LONG).expect_status(0);
    }
    two.sender.run(["order", &id]).expect_error(1, &["transfer_not_queued"]);
}

/// Returns how often the kill loop kills; `script/soak` sets more rounds.
fn rounds() -> u64 {
    if std::env::var_os("YONDER_SOAK").is_some() { 300 } else { 10 }
}

/// Creates 2 GiB in files of all sizes.
fn two_gibibytes(root: &Path) -> u64 {
    tree::folder(root, 1500, 60_000, 31);
    for (n, mib) in [(0, 700), (1, 500), (2, 300), (3, 200), (4, 120), (5, 64)] {
        tree::file(&root.join(format!("large {n}")), (mib * MIB) as usize, 40 + n);
    }
    for n in 0..60 {
        tree::file(&root.join(format!("middle {n}")), (2 * MIB + 77_777 * n) as usize, 100 + n);
    }
    let files = tree::list(root).into_values();
    files.map(|entry| if let tree::Entry::File(size, ..) = entry { size } else { 0 }).sum()
}

#[test]
fn two_gibibytes_outlive_any_number_of_kills() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("seed {seed}");
    let mut noise = Noise::new(seed);
    let Pair { sender, mut sender_node, receiver, mut receiver_node } = Pair::new();
    let folder = sender.home().join("mixed");
    let total = two_gibibytes(&folder);
    let landed = receiver.downloads().join("mixed");
    let peer = receiver_node.device_id();
    let (mut kills, mut again, mut worst, mut transfers) = (0, 0u64, 0u64, 0);
    while kills < rounds() {
        // The rate is low enough that each attempt meets several kills, and high enough that it ends.
        transfers += 1;
        let _ = fs::remove_dir_all(&landed);
        let arguments = ["send".as_ref(), peer.as_ref(), folder.as_os_str(), "--background".as_ref()];
        let id = text(&sender.run(arguments).expect_status(0).lines[0], "transfer");
        sender.run(["limit", "150MB/s", "--transfer", &id]);
        loop {
            let pause = Duration::from_millis(300 + noise.below(2200));
            thread::sleep(pause);
            let before = state_of(&receiver, &id);
            if kills >= rounds() {
                break;
            }
            match before.as_ref().and_then(|view| view["state"].as_str()) {
                Some("done") => break,
                Some("active") => {}
                // A transfer killed before it was under way has no progress to compare.
                _ => continue,
            }
            let held = before.and_then(|view| view["bytes"].as_u64()).unwrap_or(0);
            kills += 1;
            if noise.below(2) == 0 {
                sender_node.running.kill();
                tree::assert_whole(&folder, &landed);
                sender_node = sender.serve();
                // The state is the one before the kill; the transfer may have completed at that very moment.
                let how = told_of(&mut receiver_node, &id, |state| ["waiting", "failed", "done"].contains(&state));
                if how["state"] == "done" {
                    continue;
                }
            } else {
                receiver_node.running.kill();
                tree::assert_whole(&folder, &landed);
                receiver_node = receiver.serve();
                if state_of(&receiver, &id).is_some_and(|view| view["state"] == "done") {
                    // A transfer that ended before the kill is not reported after it.
                    continue;
                }
            }
            let from = told_of(&mut receiver_node, &id, |state| ["active", "done"].contains(&state));
            let lost = held.saturating_sub(from["bytes"].as_u64().unwrap());
            (again, worst) = (again + lost, worst.max(lost));
            assert!(lost <= 16 * MIB, "{lost} bytes of {held} are sent again after kill {kills}");
        }
        let end = Instant::now() + LONG;
        for device in [&sender, &receiver] {
            loop {
                let state = state_of(device, &id).map(|view| text(&view, "state")).unwrap_or_default();
                if state == "done" {
                    break;
                }
                assert!(!["failed", "cancelled", "declined"].contains(&state.as_str()), "{}: {state}", device.name());
                assert!(Instant::now() < end, "{} is {state}", device.name());
                thread::sleep(Duration::from_millis(100));
            }
        }
        tree::assert_same(&folder, &landed);
        let names: Vec<_> =
            fs::read_dir(receiver.downloads()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["mixed"]);
    }
    println!(
        "FIGURE {kills} kills in {transfers} transfers of {total} bytes: {again} bytes sent again, {worst} at most for one"
    );
    drop((sender_node, receiver_node));
}

fn state_of(device: &Device, id: &str) -> Option<Value> {
    let lines = device.run(["transfers", "--all"]).expect_status(0).lines;
    lines.into_iter().find(|line| line["id"] == id)
}

/// Waits for the node's next report of the transfer in a fitting state.
#[track_caller]
fn told_of(node: &mut Node, id: &str, fits: impl Fn(&str) -> bool) -> Value {
    let line = node.running.expect("how it stands", LONG, |line| {
        line["event"] == "transfer"
            && line["transfer"]["id"] == id
            && line["transfer"]["state"].as_str().is_some_and(&fits)
    });
    line["transfer"].clone()
}
