//! How devices reach each other: on a LAN of many, past routers of each kind, without UDP, and without anybody's server.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair_by, text},
    lab::{Host, Lab, Router, Servers},
    program::PATIENCE,
    tree,
};

/// A direct path is found so soon after the relayed one, where the routers allow one.
const DIRECT: Duration = Duration::from_secs(3);
/// So long a connection stays relayed before it is taken to stay so.
const STILL_RELAYED: Duration = Duration::from_secs(6);
/// Each of ten devices on a LAN sees all others so soon. Three seconds would be better: all answer each other's
/// questions in turn, at a pace that is set for two.
const SIGHT: Duration = Duration::from_secs(15);

/// Two devices behind two routers, paired.
struct Pair {
    _lab: Lab,
    hosts: [Host; 2],
    servers: Servers,
    one: Device,
    two: Device,
}

impl Pair {
    fn new(kinds: [Router; 2]) -> (Self, Node, Node) {
        let mut lab = Lab::internet();
        let server = lab.public("server", 10);
        let servers = server.serve(&["relay", "pkarr"]);
        let hosts = [lab.home("a", kinds[0], 1).remove(0), lab.home("b", kinds[1], 1).remove(0)];
        let one = Device::on(&hosts[0], "one").by_ways(servers.ways());
        let two = Device::on(&hosts[1], "two").by_ways(servers.ways());
        let (one_node, two_node) = (one.serve(), two.serve());
        let mut hosting = one.start(["pair", "host", "--words", "5", "--approve"]);
        let words = text(&hosting.expect_event("code"), "words");
        two.run(["pair", "join", &words, "--approve"]).expect_status(0);
        hosting.finish(PATIENCE).expect_status(0);
        (Self { _lab: lab, hosts, servers, one, two }, one_node, two_node)
    }

    /// Starts the second one's node anew, and tells how long it took until it was connected, and until that was direct.
    /// It has moved, so that no router remembers anything that would help.
    fn meet_again(&mut self, two_node: Node, other: &str) -> (Node, Duration, Option<Duration>) {
        two_node.stop().expect_status(0);
        self.hosts[1].roam(50);
        let mut node = self.two.serve();
        let begun = Instant::now();
        let connected = |line: &Value| is_connected(line, other);
        let first = node.running.expect("the other device", PATIENCE, connected);
        let after = begun.elapsed();
        if first["device"]["path"] == "direct" {
            return (node, after, Some(after));
        }
        let direct = node.running.find(STILL_RELAYED, |line| connected(line) && line["device"]["path"] == "direct");
        let took = begun.elapsed();
        (node, after, direct.map(|_| took))
    }
}

fn is_connected(line: &Value, device_id: &str) -> bool {
    let device = &line["device"];
    line["event"] == "device" && device["device_id"] == device_id && device["state"] == "connected"
}

/// What `devices` says of the way to the only paired device.
fn path(device: &Device) -> Value {
    let devices = device.devices();
    devices.iter().find(|device| device["paired"] == true).expect("a paired device")["path"].clone()
}

#[test]
fn two_home_routers_are_crossed_by_relay_first_and_directly_soon_after() {
    let (mut pair, one_node, two_node) = Pair::new([Router::Easy, Router::Easy]);
    let (_two_node, connected, direct) = pair.meet_again(two_node, &one_node.device_id());
    let direct = direct.expect("a direct path");
    println!("FIGURE easy against easy: connected after {connected:.2?}, direct after {direct:.2?}");
    assert!(direct - connected < DIRECT, "connected after {connected:?}, direct after {direct:?}");
    assert_eq!(path(&pair.two), "direct");
}

#[test]
fn a_strict_router_is_crossed_towards_a_public_address() {
    let (mut pair, one_node, two_node) = Pair::new([Router::Open, Router::Hard]);
    let (_two_node, connected, direct) = pair.meet_again(two_node, &one_node.device_id());
    println!("FIGURE open against hard: connected after {connected:.2?}, direct after {direct:.2?}");
    assert!(direct.is_some_and(|direct| direct - connected < DIRECT), "direct after {direct:?}");
}

#[test]
fn two_strict_routers_leave_the_relay_and_it_is_said() {
    let (mut pair, one_node, two_node) = Pair::new([Router::Hard, Router::Hard]);
    let (_two_node, connected, direct) = pair.meet_again(two_node, &one_node.device_id());
    println!("FIGURE hard against hard: connected by relay after {connected:.2?}");
    assert_eq!(direct, None, "two strict routers cannot be crossed");
    assert_eq!((path(&pair.one), path(&pair.two)), ("relay".into(), "relay".into()));
    pair.two.run(["ping", &one_node.device_id(), "-c", "3"]).expect_status(0);
}

#[test]
fn without_udp_the_relay_is_reached_over_tcp() {
    let (mut pair, one_node, two_node) = Pair::new([Router::Easy, Router::Easy]);
    pair.hosts[1].block_udp();
    let (_two_node, connected, direct) = pair.meet_again(two_node, &one_node.device_id());
    println!("FIGURE no UDP on one side: connected by relay after {connected:.2?}");
    assert_eq!(direct, None);
    let file = pair.two.home().join("over the relay.bin");
    tree::file(&file, 2_000_000, 4);
    pair.two.run(["send".as_ref(), one_node.device_id().as_ref(), file.as_os_str()]).expect_status(0);
    assert_eq!(path(&pair.two), "relay");
}

#[test]
fn a_direct_transfer_goes_on_when_the_relay_stops() {
    let (mut pair, one_node, two_node) = Pair::new([Router::Easy, Router::Easy]);
    let (_two_node, _, direct) = pair.meet_again(two_node, &one_node.device_id());
    assert!(direct.is_some());
    let file = pair.two.home().join("large.bin");
    tree::file(&file, 24_000_000, 6);
    let id = one_node.device_id();
    let mut sending =
        pair.two.start(["send".as_ref(), id.as_ref(), file.as_os_str(), "--limit".as_ref(), "4M".as_ref()]);
    sending.expect("bytes on their way", PATIENCE, |line| line["bytes"].as_u64() > Some(1_000_000));
    pair.servers.kill();
    sending.finish(PATIENCE).expect_status(0);
    assert_eq!(std::fs::read(pair.one.downloads().join("large.bin")).unwrap(), std::fs::read(&file).unwrap());
}

#[test]
fn each_of_ten_devices_on_a_lan_sees_the_nine_others() {
    let lab = Lab::lan(10);
    let devices: Vec<Device> = lab.hosts().iter().map(|host| Device::on(host, host.name())).collect();
    let mut nodes: Vec<Node> = devices.iter().map(Device::serve).collect();
    let begun = Instant::now();
    let ids: Vec<String> = nodes.iter().map(Node::device_id).collect();
    for (number, node) in nodes.iter_mut().enumerate() {
        let mut missing: Vec<&String> = ids.iter().filter(|id| **id != ids[number]).collect();
        node.running.expect("nine others", PATIENCE, |line| {
            missing.retain(|id| line["device"]["device_id"] != id.as_str());
            missing.is_empty()
        });
    }
    let took = begun.elapsed();
    println!("FIGURE ten devices on a LAN: all saw all others after {took:.2?}");
    assert!(took < SIGHT, "{took:?}");
    for device in &devices {
        assert_eq!(device.devices().iter().filter(|device| device["nearby"] == true).count(), 9);
    }
}

/// Ten minutes are asked for; one is what every run of the tests can spare.
const QUIET: Duration = Duration::from_secs(60);

#[test]
fn in_mode_lan_no_packet_is_for_anybody_outside() {
    let mut lab = Lab::internet();
    let server = lab.public("server", 10);
    // There would be somebody to ask, and a way out.
    let _servers = server.serve(&["relay", "pkarr", "dht"]);
    let hosts = lab.home("home", Router::Easy, 2);
    let begun = Instant::now();
    let captures = [hosts[0].capture(), hosts[1].capture()];
    let (one, two) = (Device::on(&hosts[0], "one"), Device::on(&hosts[1], "two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    pair_by(&one, &two, &[]);
    let file = two.home().join("file.bin");
    tree::file(&file, 3_000_000, 8);
    two.run(["send".as_ref(), one_node.device_id().as_ref(), file.as_os_str()]).expect_status(0);
    std::thread::sleep(QUIET.saturating_sub(begun.elapsed()));
    one.run(["ping", &two_node.device_id(), "-c", "2"]).expect_status(0);

    for capture in captures {
        let pcap = capture.stop();
        let strangers: Vec<String> = pcap.frames().filter(|frame| leaves(frame)).map(told).collect();
        println!(
            "FIGURE mode lan for {QUIET:?}: {} packets, {} of them for outside",
            pcap.frames().count(),
            strangers.len()
        );
        assert!(strangers.is_empty(), "{strangers:#?}");
        assert!(pcap.carried() > 3_000_000, "the file went another way");
    }

    // The count counts: a question to somebody outside is seen.
    let capture = hosts[0].capture();
    let mut ping = hosts[0].command("ping");
    assert!(ping.args(["-n", "-q", "-c", "1", "198.51.100.10"]).output().unwrap().status.success());
    assert!(capture.stop().frames().any(leaves));
}

/// Whether a frame is for anybody but the LAN, all of the LAN, or a multicast group.
fn leaves(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(30..34).is_none_or(|to| {
            let to = Ipv4Addr::new(to[0], to[1], to[2], to[3]);
            !(to.is_multicast() || to.is_broadcast() || to.octets()[..3] == [10, 1, 0])
        }),
        // Link-local or multicast.
        Some([0x86, 0xdd]) => {
            frame.get(38..40).is_none_or(|to| to[0] != 0xff && !(to[0] == 0xfe && to[1] & 0xc0 == 0x80))
        }
        // ARP.
        Some([0x08, 0x06]) => false,
        _ => true,
    }
}

fn told(frame: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&frame[..frame.len().min(64)])
}
