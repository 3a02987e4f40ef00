//! Tests of how devices reach each other: on a busy LAN, through routers of each kind, without UDP, and without public
//! servers.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, pair_by},
    lab::{Lab, Router},
    measure::{GRACE, soak},
    program::TEST_TIMEOUT,
    tree,
};

use crate::pair::Pair;

/// Longest time until restarted devices are connected, by the relay if not directly.
const BY_RELAY: Duration = Duration::from_secs(1);
/// Longest time from the relayed to the direct path, where the routers allow one.
const DIRECT: Duration = Duration::from_secs(3);
/// Time after which a relayed connection is taken to stay relayed.
const STILL_RELAYED: Duration = Duration::from_secs(9);

impl Pair {
    /// Restarts the second device's node at another address, so that no router remembers anything that would help.
    /// Returns how long it took until it was connected, and until the connection was direct.
    fn meet_again(&mut self) -> (Duration, Option<Duration>) {
        let other = self.other(1);
        self.nodes[1].running.kill();
        self.hosts[1].roam(50);
        self.nodes[1] = self.devices[1].serve();
        let begun = Instant::now();
        let connected = |line: &Value| is_connected(line, &other);
        let running = &mut self.nodes[1].running;
        let first = running.expect("the other device", TEST_TIMEOUT, connected);
        let after = begun.elapsed();
        if first["device"]["path"] == "direct" {
            return (after, Some(after));
        }
        let direct = running.find(STILL_RELAYED, |line| connected(line) && line["device"]["path"] == "direct");
        let took = begun.elapsed();
        (after, direct.map(|_| took))
    }

    /// Restarts the second node, and compares the times with the limits for these routers.
    fn meets(mut self, direct: bool) -> Self {
        let (connected, found) = self.meet_again();
        println!("FIGURE {:?}: connected after {connected:.2?}, direct after {found:.2?}", self.routers);
        assert!(connected < BY_RELAY * GRACE, "connected after {connected:?}");
        match found {
            Some(found) => assert!(direct && found - connected < DIRECT * GRACE, "direct after {found:?}"),
            None => assert!(!direct, "no direct path was found within {STILL_RELAYED:?}"),
        }
        self.expect_path(if direct { "direct" } else { "relay" }, DIRECT * GRACE);
        for n in [0, 1] {
            let ping = self.devices[n].run(["ping", &self.other(n), "-c", "3"]).expect_status(0);
            assert_eq!(ping.lines[0]["path"], if direct { "direct" } else { "relay" }, "{ping:#?}");
        }
        self
    }
}

fn is_connected(line: &Value, device_id: &str) -> bool {
    let device = &line["device"];
    line["event"] == "device" && device["device_id"] == device_id && device["state"] == "connected"
}

#[test]
fn two_home_routers_are_crossed_by_relay_first_and_directly_soon_after() {
    Pair::behind([Router::Easy, Router::Easy]).meets(true);
}

#[test]
fn a_strict_router_is_crossed_towards_a_public_address() {
    Pair::behind([Router::Open, Router::Hard]).meets(true);
}

#[test]
fn a_home_router_and_a_strict_one_leave_the_relay_and_it_is_said() {
    Pair::behind([Router::Easy, Router::Hard]).meets(false);
}

#[test]
fn two_strict_routers_leave_the_relay_and_it_is_said() {
    Pair::behind([Router::Hard, Router::Hard]).meets(false);
}

#[test]
fn without_udp_the_relay_is_reached_over_tcp() {
    let pair = Pair::behind([Router::Easy, Router::Easy]);
    pair.hosts[1].block_udp();
    let pair = pair.meets(false);
    let file = pair.devices[1].home().join("over the relay.bin");
    tree::file(&file, 2_000_000, 4);
    pair.devices[1].run(["send".as_ref(), pair.other(1).as_ref(), file.as_os_str()]).expect_status(0);
    assert_eq!(std::fs::read(pair.devices[0].downloads().join("over the relay.bin")).unwrap().len(), 2_000_000);
    pair.expect_path("relay", DIRECT);
}

#[test]
fn a_direct_transfer_goes_on_when_the_relay_stops() {
    let mut pair = Pair::behind([Router::Easy, Router::Easy]).meets(true);
    let file = pair.devices[1].home().join("large.bin");
    tree::file(&file, 24_000_000, 6);
    let id = pair.other(1);
    let mut sending =
        pair.devices[1].start(["send".as_ref(), id.as_ref(), file.as_os_str(), "--limit".as_ref(), "4M".as_ref()]);
    sending.expect("bytes on their way", TEST_TIMEOUT, |line| line["bytes"].as_u64() > Some(1_000_000));
    pair.servers.as_mut().unwrap().kill();
    sending.finish(TEST_TIMEOUT).expect_status(0);
    assert_eq!(std::fs::read(pair.devices[0].downloads().join("large.bin")).unwrap(), std::fs::read(&file).unwrap());
}

/// Returns the time of observation: ten minutes in the long form, otherwise one, which every test run can afford.
fn quiet() -> Duration {
    Duration::from_secs(if soak() { 600 } else { 60 })
}

#[test]
fn in_mode_lan_no_packet_is_for_anybody_outside() {
    let mut lab = Lab::internet();
    let server = lab.public("server", 10);
    // Servers and a way out exist, so that packets would have a destination.
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
    std::thread::sleep(quiet().saturating_sub(begun.elapsed()));
    one.run(["ping", &two_node.device_id(), "-c", "2"]).expect_status(0);

    for capture in captures {
        let pcap = capture.stop();
        let strangers: Vec<String> = pcap.frames().filter(|frame| leaves(frame)).map(told).collect();
        println!(
            "FIGURE mode lan for {:?}: {} packets, {} of them for outside",
            quiet(),
            pcap.frames().count(),
            strangers.len()
        );
        assert!(strangers.is_empty(), "{strangers:#?}");
        assert!(pcap.carried() > 3_000_000, "the file went another way");
    }

    // The method works: a packet to an outside address is noticed.
    let capture = hosts[0].capture();
    let mut ping = hosts[0].command("ping");
    // Several, because a capture that ends loses what it has not read yet.
    assert!(ping.args(["-n", "-q", "-c", "4", "-i", "0.2", "198.51.100.10"]).output().unwrap().status.success());
    assert!(capture.stop().frames().any(leaves));
}

/// Returns whether a frame has a destination outside the LAN, its broadcast, and multicast groups.
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
