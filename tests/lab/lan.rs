//! Tests of whole devices on a LAN of the lab.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use yonder_tests::{
    device::{Device, pair_by},
    lab::Lab,
    program::TEST_TIMEOUT,
    tree,
};

/// Median time to sight that the documentation promises.
const SIGHT: Duration = Duration::from_secs(2);
/// Factor by which the limits grow on a busy test machine.
const GRACE: u32 = 3;

#[test]
fn devices_find_each_other_by_multicast_alone_within_two_seconds() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let mut times = Vec::new();
    for round in 0..10 {
        let (one, two) = (Device::on(h1, "one"), Device::on(h2, "two"));
        let (mut one_node, mut two_node) = (one.serve(), two.serve());
        let begun = Instant::now();
        let ids = (one_node.device_id(), two_node.device_id());
        for (node, other) in [(&mut one_node, &ids.1), (&mut two_node, &ids.0)] {
            let seen = node.running.expect(&format!("sight of the other in round {round}"), TEST_TIMEOUT, |line| {
                line["event"] == "device" && line["device"]["device_id"] == other.as_str()
            });
            assert_eq!((&seen["device"]["paired"], &seen["device"]["nearby"]), (&false.into(), &true.into()), "{seen}");
        }
        times.push(begun.elapsed());
        // The device list shows it, too.
        assert!(one.devices().iter().any(|device| device["device_id"] == ids.1.as_str()));
    }
    times.sort();
    let median = times[times.len() / 2];
    println!("FIGURE sight on the LAN: median {median:.2?}, slowest {:.2?} of {}", times[times.len() - 1], times.len());
    assert!(median < SIGHT * GRACE, "{times:?}");
}

#[test]
fn three_words_and_no_address_pair_and_a_thousand_files_arrive() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (host, joiner) = (Device::on(h1, "host"), Device::on(h2, "joiner"));
    let (host_node, joiner_node) = (host.serve(), joiner.serve());

    let begun = Instant::now();
    pair_by(&host, &joiner, &[]);
    println!("FIGURE pairing by three words on the LAN: {:.2?}", begun.elapsed());
    assert_eq!(host.paired_with(), [joiner_node.endpoint_id()]);
    assert_eq!(joiner.paired_with(), [host_node.endpoint_id()]);

    let folder = joiner.home().join("thousand");
    tree::folder(&folder, 1000, 200_000, 21);
    let id = host_node.device_id();
    let sent = joiner.run_within(Duration::from_secs(180), ["send".as_ref(), id.as_ref(), folder.as_os_str()]);
    let sent = sent.expect_status(0);
    let done = sent.event("done").expect("a line `done`");
    println!("FIGURE 1000 files on the LAN: {done}");
    let received = host.downloads().join("thousand");
    tree::assert_same(&folder, &received);
    tree::assert_same_by_diff(&folder, &received);
}

#[test]
fn the_joiner_is_not_confused_by_devices_that_are_not_pairing() {
    let lab = Lab::lan(4);
    let devices: Vec<Device> = lab.hosts().iter().map(|host| Device::on(host, host.name())).collect();
    let nodes: Vec<_> = devices.iter().map(Device::serve).collect();
    pair_by(&devices[2], &devices[0], &[]);
    assert_eq!(devices[0].paired_with(), [nodes[2].endpoint_id()]);
    assert!(devices[1].paired_with().is_empty() && devices[3].paired_with().is_empty());
}

#[test]
fn a_device_that_was_unpaired_while_it_was_away_is_refused_and_learns_of_it() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (host, joiner) = (Device::on(h1, "host"), Device::on(h2, "joiner"));
    let (host_node, joiner_node) = (host.serve(), joiner.serve());
    pair_by(&host, &joiner, &[]);
    joiner.run(["ping", &host_node.device_id(), "-c", "1"]).expect_status(0);
    let (host_id, joiner_id) = (host_node.device_id(), joiner_node.device_id());
    joiner_node.stop().expect_status(0);
    let before = joiner.home().join("an older data directory");
    tree::copy(joiner.data_dir(), &before);
    host.run(["unpair", &joiner_id]).expect_status(0);
    assert!(host.paired_with().is_empty());

    let mut back = joiner.serve();
    let told = back.running.expect("word of it", TEST_TIMEOUT, |line| line["error"]["code"] == "unpaired_by_peer");
    assert_eq!(told["event"], "notice", "{told}");
    assert!(joiner.paired_with().is_empty() && host.paired_with().is_empty());
    joiner.run(["ping", &host_id, "-c", "1"]).expect_error(1, &["device_not_paired", "device_unknown"]);
    back.stop().expect_status(0);

    // A device whose data directory was replaced by an older copy, from before the unpair notice, gains nothing.
    fs::remove_dir_all(joiner.data_dir()).unwrap();
    tree::copy(&before, joiner.data_dir());
    let back = joiner.serve();
    let file = joiner.home().join("file.bin");
    tree::file(&file, 1000, 3);
    let sent = joiner.run(["send".as_ref(), host_id.as_ref(), file.as_os_str()]);
    assert_ne!(sent.status, Some(0), "an unpaired device sent something: {sent:#?}");
    assert!(!host.downloads().join("file.bin").exists() && host.paired_with().is_empty());
    drop(back);
}

#[test]
fn a_full_disk_is_told_to_both_and_loses_nothing() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (sender, receiver) = (Device::on(h1, "sender"), Device::on(h2, "receiver"));
    let downloads = receiver.downloads();
    lab.small_disk(&downloads, 64);
    let (_sender_node, mut receiver_node) = (sender.serve(), receiver.serve());
    pair_by(&receiver, &sender, &[]);
    let id = receiver_node.device_id();
    let send = |path: &Path| sender.run(["send".as_ref(), id.as_ref(), path.as_os_str()]);

    let before = sender.home().join("before.bin");
    tree::file(&before, 5_000_000, 1);
    send(&before).expect_status(0);
    let large = sender.home().join("large.bin");
    tree::file(&large, 100_000_000, 2);
    let finished = send(&large);
    assert!(matches!(finished.status, Some(1 | 3)), "{finished:#?}");
    let error = finished.event("error").expect("an error is told");
    assert!(
        error["code"].as_str().unwrap().contains("full") || error["code"].as_str().unwrap().contains("space"),
        "{error}"
    );
    assert!(!error["hint"].as_str().unwrap().is_empty(), "{error}");
    receiver_node.running.expect("word of it at the receiver", TEST_TIMEOUT, |line| {
        let reason = if line["event"] == "notice" { &line["error"] } else { &line["transfer"]["reason"] };
        let code = reason["code"].as_str().unwrap_or_default();
        code.contains("full") || code.contains("space")
    });

    // No partial file, nothing lost, and room for the next transfer.
    let seen = lab.seen_inside(&downloads);
    assert!(!seen.join("large.bin").exists());
    assert_eq!(fs::read(seen.join("before.bin")).unwrap(), fs::read(&before).unwrap());
    let after = sender.home().join("after.bin");
    tree::file(&after, 5_000_000, 3);
    send(&after).expect_status(0);
    assert_eq!(fs::read(seen.join("after.bin")).unwrap(), fs::read(&after).unwrap());
    receiver_node.stop().expect_status(0);
}

#[test]
fn a_full_disk_under_the_data_directory_breaks_nothing() {
    let lab = Lab::lan(1);
    let device = Device::on(&lab.hosts()[0], "device");
    fs::create_dir(device.data_dir()).unwrap();
    lab.small_disk(device.data_dir(), 64);
    let first = device.run(["id"]).expect_status(0).lines.remove(0);
    let filler = device.data_dir().join("filler");
    let fill = format!("cat /dev/zero > '{}'", filler.display());
    let _ = lab.hosts()[0].command("sh").args(["-c", &fill]).output().unwrap();
    let renamed = device.run(["rename", "A name that does not fit on the disk"]);
    if renamed.status != Some(0) {
        renamed.expect_error(1, &["storage_full", "storage_io", "data_dir_io"]);
    }
    let removed = lab.hosts()[0].command("rm").arg(&filler).status().unwrap();
    assert!(removed.success());
    assert_eq!(device.run(["id"]).expect_status(0).lines[0]["endpoint_id"], first["endpoint_id"]);
}
