//! Tests of discovery on a LAN: who sees whom, how soon, and who must not be seen.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair_by},
    lab::{Host, Lab, Pcap},
    program::TEST_TIMEOUT,
};

/// Longest time until ten devices that start at once have all seen each other.
const SIGHT: Duration = Duration::from_secs(3);
/// Longest time until a device that leaves is no longer listed.
const GONE: Duration = Duration::from_secs(30);
/// Longest time until a killed device is shown as unreachable.
const UNREACHABLE: Duration = Duration::from_secs(20);
/// Longest time until devices are seen again after a network appears, returns, or changes.
const AGAIN: Duration = Duration::from_secs(5);
/// Factor by which the limits grow on a busy test machine.
const GRACE: u32 = 3;
/// Multicast packets that an idle device may send, per second.
const CHATTER: f64 = 0.3;

/// Waits for a matching event about this device.
#[track_caller]
fn hears(node: &mut Node, of: &str, what: &str, fits: impl Fn(&Value) -> bool) {
    node.running.expect(what, TEST_TIMEOUT, |line| {
        line["event"] == "device" && line["device"]["device_id"] == of && fits(&line["device"])
    });
}

#[track_caller]
fn sees(node: &mut Node, of: &str) {
    hears(node, of, "sight of the other", |device| device["nearby"] == true);
}

#[track_caller]
fn loses(node: &mut Node, of: &str) {
    node.running.expect("the other's leave", TEST_TIMEOUT, |line| {
        (line["event"] == "device_gone" && line["device_id"] == of)
            || (line["event"] == "device" && line["device"]["device_id"] == of && line["device"]["nearby"] == false)
    });
}

fn is_nearby(device: &Device, of: &str) -> bool {
    device.devices().iter().any(|known| known["device_id"] == of && known["nearby"] == true)
}

fn devices_on(lab: &Lab) -> Vec<Device> {
    lab.hosts().iter().map(|host| Device::on(host, host.name())).collect()
}

/// Filters the captured frames for UDP packets to an mDNS group; each item is an Ethernet frame.
fn multicast(pcap: &Pcap) -> impl Iterator<Item = &[u8]> {
    pcap.frames().filter(|frame| {
        let v4 = frame.get(12..14) == Some(&[8, 0]) && frame.get(30..34) == Some(&[224, 0, 0, 251]);
        let v6 = frame.get(12..14) == Some(&[0x86, 0xdd]) && frame.get(38..40) == Some(&[0xff, 0x02]);
        let port = if v4 { frame.get(36..38) } else { frame.get(56..58) };
        (v4 || v6) && port == Some(&5353u16.to_be_bytes())
    })
}

#[test]
fn each_of_ten_devices_on_a_lan_sees_the_nine_others_and_who_leaves_is_gone() {
    let lab = Lab::lan(10);
    let devices = devices_on(&lab);
    let mut starting: Vec<_> = devices.iter().map(|device| device.start_serve(&[])).collect();
    let mut nodes: Vec<Node> = Vec::new();
    for mut running in starting.drain(..) {
        let ready = running.expect_event("ready");
        nodes.push(Node { running, ready });
    }
    let begun = Instant::now();
    let ids: Vec<String> = nodes.iter().map(Node::device_id).collect();
    for (number, node) in nodes.iter_mut().enumerate() {
        let mut missing: Vec<&String> = ids.iter().filter(|id| **id != ids[number]).collect();
        node.running.expect("nine others", TEST_TIMEOUT, |line| {
            missing.retain(|id| line["device"]["device_id"] != id.as_str());
            missing.is_empty()
        });
    }
    let took = begun.elapsed();
    println!("FIGURE ten devices on a LAN: all saw all others after {took:.2?}");
    assert!(took < SIGHT * GRACE, "{took:?}");
    for device in &devices {
        assert_eq!(device.devices().iter().filter(|device| device["nearby"] == true).count(), 9);
    }

    // Counts the packets of idle devices.
    std::thread::sleep(Duration::from_secs(4));
    let (idle, capture) = (Duration::from_secs(24), lab.hosts()[0].capture());
    std::thread::sleep(idle);
    let pcap = capture.stop();
    let packets = multicast(&pcap).count();
    let bytes: usize = multicast(&pcap).map(<[u8]>::len).sum();
    let rate = packets as f64 / idle.as_secs_f64() / 10.0;
    println!(
        "FIGURE ten idle devices on a LAN: {rate:.3} multicast packets a second of each, {} bytes a packet",
        bytes / packets.max(1)
    );
    assert!(packets > 0 && rate < CHATTER, "{packets} packets in {idle:?}");

    // One device leaves, one is killed.
    let begun = Instant::now();
    nodes.pop().unwrap().stop().expect_status(0);
    let stopped = begun.elapsed();
    nodes.iter_mut().for_each(|node| loses(node, &ids[9]));
    let took = begun.elapsed();
    println!(
        "FIGURE one of ten leaves: gone for all {took:.2?} after it was asked to, {stopped:.2?} of which it took to stop"
    );
    assert!(took < GONE, "{took:?}");
    let begun = Instant::now();
    nodes.pop().unwrap().running.kill();
    nodes.iter_mut().for_each(|node| loses(node, &ids[8]));
    let took = begun.elapsed();
    println!("FIGURE one of ten is killed: gone for all after {took:.2?}");
    assert!(took < GONE, "{took:?}");
}

#[test]
fn a_paired_device_that_is_killed_is_shown_as_not_reachable() {
    let lab = Lab::lan(2);
    let devices = devices_on(&lab);
    let (mut one, mut two) = (devices[0].serve(), devices[1].serve());
    pair_by(&devices[0], &devices[1], &[]);
    let id = two.device_id();
    hears(&mut one, &id, "a session", |device| device["state"] == "connected");
    let begun = Instant::now();
    two.running.kill();
    // One view must show both: a session that is replaced while the devices have just met does not count.
    hears(&mut one, &id, "that it is not nearby", |device| device["nearby"] == false && device["state"] != "connected");
    let took = begun.elapsed();
    println!("FIGURE a paired device is killed: neither connected nor nearby after {took:.2?}");
    assert!(took < UNREACHABLE, "{took:?}");
}

#[test]
fn networks_come_and_go_and_addresses_change_without_a_restart() {
    let lab = Lab::lan(2);
    lab.another_lan("second");
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (mut h1, h2) = (h1.clone(), h2.clone());
    // The Wi-Fi comes up after the start.
    h1.cut();
    let (one, two) = (Device::on(&h1, "one"), Device::on(&h2, "two"));
    let (mut one_node, mut two_node) = (one.serve(), two.serve());
    let (one_id, two_id) = (one_node.device_id(), two_node.device_id());
    std::thread::sleep(Duration::from_secs(1));
    assert!(!is_nearby(&one, &two_id) && !is_nearby(&two, &one_id));
    let again = |what: &str, one_node: &mut Node, two_node: &mut Node| {
        let begun = Instant::now();
        sees(one_node, &two_id);
        sees(two_node, &one_id);
        println!("FIGURE {what}: seen on both sides after {:.2?}", begun.elapsed());
        assert!(begun.elapsed() < AGAIN * GRACE, "{what}: {:?}", begun.elapsed());
    };
    h1.mend();
    again("a cable that is put in after the start", &mut one_node, &mut two_node);

    // The cable is cut until everything is forgotten, and plugged in again.
    h1.cut();
    loses(&mut two_node, &one_id);
    loses(&mut one_node, &two_id);
    h1.mend();
    again("a cable that was out for as long as it takes to be forgotten", &mut one_node, &mut two_node);

    // After a change of address, the other device learns the new one.
    let at = |host: &Host| format!("{}:11204", host.address());
    pair_by(&one, &two, &[]);
    h1.roam(101);
    let begun = Instant::now();
    let seen = format!("{}:11204", h1.address());
    let end = begun + AGAIN * GRACE;
    while !one.run(["id"]).expect_status(0).lines[0]["addresses"].to_string().contains(&seen) {
        assert!(Instant::now() < end, "the device does not know its new address {seen}");
    }
    two.run_within(AGAIN * GRACE, ["ping", &one_id, "-c", "1"]).expect_status(0);
    println!("FIGURE another address: {} answers after {:.2?}", at(&h1), begun.elapsed());

    // Both devices join a second LAN while the first one is gone.
    h1.plug_in(&lab, "second", Ipv4Addr::new(10, 78, 0, 1));
    h2.plug_in(&lab, "second", Ipv4Addr::new(10, 78, 0, 2));
    std::thread::sleep(Duration::from_secs(3));
    h1.cut();
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(20));
    assert!(is_nearby(&one, &two_id) && is_nearby(&two, &one_id), "seen on the second LAN after {:?}", begun.elapsed());
    h1.unplug();
    loses(&mut two_node, &one_id);
    h1.plug_in(&lab, "second", Ipv4Addr::new(10, 78, 0, 1));
    again("a second LAN that comes back as a new interface", &mut one_node, &mut two_node);
}

#[test]
fn one_that_shows_itself_to_paired_devices_alone_is_nobody_to_others() {
    let lab = Lab::lan(3);
    let devices = devices_on(&lab);
    let [one, two, stranger] = devices.as_slice() else { panic!("three devices") };
    one.run(["rename", "Zanzibar-Quokka"]).expect_status(0);
    let (one_node, two_node) = (one.serve(), two.serve());
    pair_by(one, two, &[]);
    let (one_id, two_id) = (one_node.device_id(), two_node.device_id());
    let marks = marks_of(&one_node);
    let mut stranger_node = stranger.serve();
    sees(&mut stranger_node, &one_id);

    // The setting applies at once, without a restart: strangers lose sight, the paired device does not.
    let begun = Instant::now();
    one.run(["settings", "discoverable", "paired"]).expect_status(0);
    two.run(["settings", "discoverable", "paired"]).expect_status(0);
    loses(&mut stranger_node, &one_id);
    println!("FIGURE discoverable set to paired: gone for a stranger after {:.2?}", begun.elapsed());
    assert!(begun.elapsed() < AGAIN * GRACE);
    std::thread::sleep(Duration::from_secs(1));

    // From the node's start on, nothing on the wire identifies it.
    one_node.stop().expect_status(0);
    two_node.stop().expect_status(0);
    let capture = lab.hosts()[2].capture();
    let begun = Instant::now();
    let (mut one_node, mut two_node) = (one.serve(), two.serve());
    sees(&mut one_node, &two_id);
    sees(&mut two_node, &one_id);
    println!("FIGURE two that show themselves to paired devices alone: saw each other after {:.2?}", begun.elapsed());
    assert!(begun.elapsed() < SIGHT * GRACE);
    two.run(["ping", &one_id, "-c", "1"]).expect_status(0);
    // Longer than a record's lifetime, so that records from before the capture have expired, too.
    std::thread::sleep(Duration::from_secs(20));
    assert!(is_nearby(one, &two_id) && is_nearby(two, &one_id));
    assert!(!is_nearby(stranger, &one_id) && !is_nearby(stranger, &two_id), "{:#?}", stranger.devices());
    let pcap = capture.stop();
    assert!(multicast(&pcap).count() > 4, "nothing was heard at all");
    for (what, mark) in &marks {
        let found = pcap.bytes().windows(mark.len()).any(|part| part.eq_ignore_ascii_case(mark));
        assert!(!found, "{what} is on the wire");
    }

    // While a code is open, the device is visible.
    let mut hosting = one.start(["pair", "host", "--approve"]);
    hosting.expect_event("code");
    stranger_node.running.expect("the host", TEST_TIMEOUT, |line| {
        line["device"]["device_id"] == one_id.as_str() && line["device"]["pairing"] == true
    });
    hosting.interrupt();
    let _ = hosting.finish(TEST_TIMEOUT);
    loses(&mut stranger_node, &one_id);
    assert!(is_nearby(two, &one_id));
}

/// Returns the name, the endpoint id in each of its forms, and the device id.
fn marks_of(node: &Node) -> Vec<(&'static str, Vec<u8>)> {
    let id = data_encoding::HEXLOWER.decode(node.endpoint_id().as_bytes()).unwrap();
    let z32 = data_encoding::Specification {
        symbols: "ybndrfg8ejkmcpqxot1uwisza345h769".into(),
        ..data_encoding::Specification::new()
    };
    vec![
        ("its name", b"Zanzibar-Quokka".to_vec()),
        ("its endpoint id", id.clone()),
        ("its endpoint id in hex", node.endpoint_id().into_bytes()),
        ("its endpoint id in base32", data_encoding::BASE32_NOPAD.encode(&id).into_bytes()),
        ("its endpoint id in z32", z32.encoding().unwrap().encode(&id).into_bytes()),
        ("its device id", node.device_id().into_bytes()),
    ]
}

#[test]
fn one_that_shows_itself_to_nobody_says_nothing_and_still_looks() {
    let lab = Lab::lan(2);
    let devices = devices_on(&lab);
    let [one, two] = devices.as_slice() else { panic!("two devices") };
    one.run(["settings", "discoverable", "nobody"]).expect_status(0);
    let capture = lab.hosts()[0].capture();
    let (mut one_node, two_node) = (one.serve(), two.serve());
    sees(&mut one_node, &two_node.device_id());
    std::thread::sleep(Duration::from_secs(3));
    assert!(!is_nearby(two, &one_node.device_id()));
    let pcap = capture.stop();
    let id = data_encoding::HEXLOWER.decode(one_node.endpoint_id().as_bytes()).unwrap();
    let label = data_encoding::BASE32_NOPAD.encode(&id).to_ascii_lowercase();
    assert!(multicast(&pcap).all(|frame| !frame.windows(52).any(|part| part == label.as_bytes())));
    // Only questions are allowed; answers have the response bit set.
    let from_one = multicast(&pcap).filter(|frame| frame.get(26..30) == Some(&lab.hosts()[0].address().octets()));
    for frame in from_one {
        assert_eq!(frame[44] & 0x80, 0, "it said something of itself: {frame:02x?}");
    }
}
