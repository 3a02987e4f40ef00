//! Tests of forged mDNS records: with the name of a device that exists, with its id, and a thousand of them. Discovery
//! only gives hints; forgeries hold nobody up and cost a limited amount of memory.

use std::{fs, time::Duration};

use yonder_tests::{
    device::{Device, Node, pair_by, text},
    lab::{Host, Lab, lab_program},
    program::{Running, TEST_TIMEOUT},
    tree,
};

/// Most devices listed from one address, so that a flood from one source leaves room for others.
const LISTED: usize = 64;
const FORGED: usize = 1000;
/// Memory that a thousand forged records may cost, in bytes.
const COST: u64 = 48 << 20;

fn forge(on: &Host, name: &str, count: usize, rounds: usize, id: Option<&str>) -> Running {
    let mut command = on.command(lab_program());
    // An address at which nobody is.
    command.args(["adverts", name, &count.to_string(), "10.77.0.99:11204", &rounds.to_string()]).args(id);
    Running::start(command, "forged adverts")
}

fn resident(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.running.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn nearby(device: &Device) -> usize {
    device.devices().iter().filter(|device| device["nearby"] == true).count()
}

#[test]
fn a_thousand_forged_adverts_cost_little_and_hide_no_paired_device() {
    let lab = Lab::lan(3);
    let [h1, h2, h3] = lab.hosts() else { panic!("three hosts") };
    let (one, two) = (Device::on(h1, "one"), Device::on(h2, "two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    two.run(["rename", "Attic"]).expect_status(0);
    pair_by(&two, &one, &[]);
    one.run(["ping", "Attic", "-c", "1"]).expect_status(0);

    let before = resident(&one_node);
    let mut forger = forge(h3, "Attic", FORGED, 3, None);
    for _ in 0..3 {
        forger.expect_event("round");
    }
    let listed = one.devices();
    let nearby_now = listed.iter().filter(|device| device["nearby"] == true).count();
    assert!(nearby_now > LISTED / 2, "the forged adverts were not heard: {nearby_now} nearby");
    assert!(nearby_now <= LISTED + 1, "{nearby_now} nearby");
    let cost = resident(&one_node).saturating_sub(before);
    println!("FIGURE {FORGED} forged adverts: {nearby_now} listed, {} KiB more memory", cost / 1024);
    assert!(cost < COST, "{FORGED} forged adverts cost {cost} bytes");

    // The name belongs to the paired device, whoever else uses it.
    let pinged = one.run(["ping", "Attic", "-c", "3"]).expect_status(0);
    assert!(!pinged.lines.is_empty());
    let file = one.home().join("for the attic.bin");
    tree::file(&file, 300_000, 5);
    one.run(["send".as_ref(), "Attic".as_ref(), file.as_os_str()]).expect_status(0);
    assert_eq!(fs::read(two.downloads().join("for the attic.bin")).unwrap(), fs::read(&file).unwrap());

    // A device that starts during the flood finds it, too.
    let _forger = forge(h3, "Attic", FORGED, 1000, None);
    one_node.stop().expect_status(0);
    let mut one_node = one.serve();
    let id = two_node.device_id();
    let begun = std::time::Instant::now();
    one_node.running.expect("the paired device among the forged ones", TEST_TIMEOUT, |line| {
        line["event"] == "device"
            && line["device"]["device_id"] == id.as_str()
            && line["device"]["state"] == "connected"
    });
    println!("FIGURE a paired device among {FORGED} forged adverts: connected after {:.2?}", begun.elapsed());
    assert_eq!(one.paired_with(), [two_node.endpoint_id()]);
}

#[test]
fn a_forged_address_of_a_paired_device_does_not_hide_it() {
    let lab = Lab::lan(3);
    let [h1, h2, h3] = lab.hosts() else { panic!("three hosts") };
    let (one, two) = (Device::on(h1, "one"), Device::on(h2, "two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    pair_by(&two, &one, &[]);
    one.run(["ping", &two_node.device_id(), "-c", "1"]).expect_status(0);
    one_node.stop().expect_status(0);

    // Fifty wrong records a second, from before the node starts.
    let mut forger = forge(h3, "two", 50, 1000, Some(&two_node.endpoint_id()));
    forger.expect_event("round");
    let one_node = one.serve();
    let pinged = one.run(["ping", &two_node.device_id(), "-c", "2"]).expect_status(0);
    println!("FIGURE ping past a forged address: {:.2?}", pinged.took);
    drop(one_node);
}

#[test]
fn a_joiner_tries_three_hosts_at_most_however_many_call() {
    let lab = Lab::lan(3);
    let [h1, h2, h3] = lab.hosts() else { panic!("three hosts") };
    let (joiner, host) = (Device::on(h1, "joiner"), Device::on(h2, "host"));
    let (joiner_node, host_node) = (joiner.serve(), host.serve());
    let mut command = h3.command(lab_program());
    command.args(["hosts", "host", "8"]);
    let mut false_hosts = Running::start(command, "false hosts");
    false_hosts.expect_event("ready");
    let end = std::time::Instant::now() + TEST_TIMEOUT;
    while joiner.devices().iter().filter(|device| device["pairing"] == true).count() < 8 {
        assert!(std::time::Instant::now() < end, "eight false hosts are not seen: {:#?}", joiner.devices());
        std::thread::sleep(Duration::from_millis(50));
    }

    let joined = joiner.run(["pair", "join", "brave-lion-sunset", "--approve"]);
    joined.expect_error(3, &["code_wrong"]);
    // Three hosts were tried, and each had one guess.
    let mut heard = 0;
    while false_hosts.find(Duration::from_millis(1500), |line| line["event"] == "heard").is_some() {
        heard += 1;
    }
    assert_eq!(heard, 3, "so many hosts were given a guess");

    // When the person names the host, the joiner reaches the real one among all the false ones.
    pair_by(&host, &joiner, &["--device", &host_node.endpoint_id()]);
    assert_eq!(host.paired_with(), [joiner_node.endpoint_id()]);
    assert!(nearby(&joiner) >= 9);
    let _ = text(&host_node.ready, "device_id");
}
