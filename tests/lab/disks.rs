//! Tests of disks that fill up or are removed in the middle of a transfer.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair_by, text},
    lab::{Host, Lab},
    program::Running,
    tree,
};

const MIB: usize = 1 << 20;
const LONG: Duration = Duration::from_secs(240);
/// Longest time until both people are told; a test allows three times as much.
const TOLD: Duration = Duration::from_secs(2);

fn send(sender: &Device, to: &Node, path: &Path, limit: &str) -> Running {
    let id = to.device_id();
    sender.start(["send".as_ref(), id.as_ref(), path.as_os_str(), "--limit".as_ref(), limit.as_ref()])
}

#[track_caller]
fn told(node: &mut Node, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let line = node.running.expect(what, LONG, |line| line["event"] == "transfer" && fits(&line["transfer"]));
    line["transfer"].clone()
}

#[track_caller]
fn moving(node: &mut Node, bytes: usize) -> String {
    let moves = |view: &Value| view["state"] == "active" && view["bytes"].as_u64() > Some(bytes as u64);
    text(&told(node, "that it moves", moves), "id")
}

#[track_caller]
fn paused(node: &mut Node, code: &str) -> Value {
    let view = told(node, code, |view| view["state"] == "paused" && view["reason"]["code"] == code);
    assert!(!text(&view["reason"], "hint").is_empty(), "{view}");
    view
}

#[track_caller]
fn sh(host: &Host, script: &str) {
    let out = host.command("sh").args(["-c", script]).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_disk_that_others_fill_holds_a_transfer_until_there_is_space() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (sender, receiver) = (Device::on(h1, "sender"), Device::on(h2, "receiver"));
    let downloads = receiver.downloads();
    lab.small_disk(&downloads, 256);
    let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve_with(&["--accept", "ask"]));
    pair_by(&receiver, &sender, &[]);

    // A transfer that cannot fit is reported before anybody accepts it.
    let too_large = sender.home().join("too large");
    tree::file(&too_large, 300 * MIB, 1);
    let sending = send(&sender, &receiver_node, &too_large, "1G");
    let offer = receiver_node.running.expect_event("offer")["transfer"].clone();
    assert_eq!(offer["reason"]["code"], "no_space", "{offer}");
    let id = text(&offer, "id");
    receiver.run(["accept", &id]).expect_error(1, &["no_space"]);
    receiver.run(["decline", &id]).expect_status(0);
    sending.finish(LONG).expect_status(3);

    let folder = sender.home().join("fits");
    tree::folder(&folder, 200, 100_000, 2);
    tree::file(&folder.join("large"), 180 * MIB, 3);
    let sending = send(&sender, &receiver_node, &folder, "40MB/s");
    let id = text(&receiver_node.running.expect_event("offer")["transfer"], "id");
    receiver.run(["accept", &id]).expect_status(0);
    moving(&mut sender_node, 60 * MIB);
    let filled = Instant::now();
    let filler = downloads.join("filler");
    let _ = h2.command("sh").args(["-c", &format!("cat /dev/zero > '{}'", filler.display())]).output().unwrap();
    let full = Instant::now();
    let held = paused(&mut receiver_node, "disk_full")["bytes"].as_u64().unwrap();
    paused(&mut sender_node, "disk_full");
    let took = full.elapsed();
    println!("FIGURE a full disk is told to both {took:.1?} after it was full (filling took {:.1?})", full - filled);
    assert!(took < 3 * TOLD, "{took:?}");
    let seen = lab.seen_inside(&downloads);
    assert!(!seen.join("fits/large").exists());
    // There is no space yet.
    receiver.run(["resume", &id]).expect_error(1, &["no_space"]);
    // A node that restarts meanwhile remembers the reason, too.
    receiver_node.stop().expect_status(0);
    let mut receiver_node = receiver.serve_with(&["--accept", "ask"]);
    paused(&mut sender_node, "disk_full");
    sh(h2, &format!("rm '{}'", filler.display()));
    // The transfer goes on without any action.
    let from = told(&mut receiver_node, "that it goes on", |view| view["state"] == "active")["bytes"].as_u64().unwrap();
    println!("FIGURE a full disk: held {held} bytes, goes on at {from}");
    assert!(from + 16 * MIB as u64 > held, "what had arrived is kept: {from} of {held}");
    sending.finish(LONG).expect_status(0);
    tree::assert_same(&folder, &seen.join("fits"));
    let names: Vec<_> = fs::read_dir(&seen).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["fits"]);
}

#[test]
fn a_source_that_is_unmounted_holds_a_transfer_until_it_is_back() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (sender, receiver) = (Device::on(h1, "sender"), Device::on(h2, "receiver"));
    let (disk, stick) = (sender.home().join("disk"), sender.home().join("stick"));
    for folder in [&disk, &stick] {
        fs::create_dir(folder).unwrap();
    }
    lab.small_disk(&disk, 256);
    // The mount is not visible from outside the lab: the files are made beside it and copied in.
    let made = sender.home().join("made");
    tree::folder(&made.join("photos"), 60, 4_000_000, 5);
    sh(
        h1,
        &format!("cp -a '{}/photos' '{}' && mount --bind '{1}' '{}'", made.display(), disk.display(), stick.display()),
    );
    let (mut sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair_by(&receiver, &sender, &[]);
    let sending = send(&sender, &receiver_node, &stick.join("photos"), "20MB/s");
    moving(&mut sender_node, 20 * MIB);
    sh(h1, &format!("umount -l '{}'", stick.display()));
    let gone = Instant::now();
    paused(&mut sender_node, "source_gone");
    let held = paused(&mut receiver_node, "source_gone")["bytes"].as_u64().unwrap();
    let took = gone.elapsed();
    println!("FIGURE a source that is gone is told to both after {took:.1?}, with {held} bytes held");
    assert!(took < 3 * TOLD, "{took:?}");
    sh(h1, &format!("mount --bind '{}' '{}'", disk.display(), stick.display()));
    // Without any action.
    let goes_on = told(&mut receiver_node, "that it goes on", |view| view["state"] == "active");
    assert!(goes_on["bytes"].as_u64().unwrap() + 16 * MIB as u64 > held, "{goes_on} of {held}");
    sending.finish(LONG).expect_status(0);
    tree::assert_same(&made.join("photos"), &receiver.downloads().join("photos"));
}
