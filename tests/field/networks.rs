//! Tests of networks that fail in the middle of a transfer: blocked UDP, rejected routes, silent relays. They check
//! what a transfer does, how soon it goes on, and what `doctor` reports.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair_by, text},
    lab::{Host, Lab, Line, Router, Servers},
    measure::until,
    program::TEST_TIMEOUT,
    tree,
};

/// Longest time until a transfer goes on over another path after its own has failed.
const OTHER_WAY: Duration = Duration::from_secs(5);
/// Longest time until a transfer goes on over another cable to the same network.
const OTHER_CABLE: Duration = Duration::from_secs(3);
/// Longest time until a transfer goes on after its relay is cut off: both devices have to move to another relay.
const OTHER_RELAY: Duration = Duration::from_secs(12);
/// Longest time for 30 MB over a line of 8 Mbit/s with many faults.
const ROUGH: Duration = Duration::from_secs(60);
/// Factor by which the limits grow on a busy machine.
const GRACE: u32 = 2;
const SIZE: usize = 48 << 20;
/// Bytes received before the trouble starts, and bytes more before it counts as over.
const STEP: u64 = 8 << 20;

/// Two paired devices, each behind a router, and relays on the open Internet.
struct Two {
    _lab: Lab,
    hosts: [Host; 2],
    devices: [Device; 2],
    nodes: [Node; 2],
    /// The machines on which the relays run.
    relays: Vec<(Host, Servers)>,
}

impl Two {
    /// Builds devices behind routers of these kinds, with relays started with these arguments (nearest first), and
    /// pairs them by a link.
    fn behind(kinds: [Router; 2], relays: &[&[&str]]) -> Self {
        let mut lab = Lab::internet();
        let relays: Vec<(Host, Servers)> = relays
            .iter()
            .zip(10..)
            .map(|(words, last)| {
                let host = lab.public(&format!("relay{last}"), last);
                let servers = host.serve(words);
                (host, servers)
            })
            .collect();
        let hosts = [lab.home("a", kinds[0], 1).remove(0), lab.home("b", kinds[1], 1).remove(0)];
        let devices = [0, 1].map(|n| with_relays(Device::on(&hosts[n], ["one", "two"][n]), &relays));
        let nodes = [devices[0].serve(), devices[1].serve()];
        let two = Self { _lab: lab, hosts, devices, nodes, relays };
        for n in [0, 1] {
            until("a home relay", TEST_TIMEOUT, || two.home(n));
        }
        let mut hosting = two.devices[0].start(["pair", "host", "--approve"]);
        let link = text(&hosting.expect_event("code"), "link");
        two.devices[1].run(["pair", "join", &link, "--approve"]).expect_status(0);
        hosting.finish(TEST_TIMEOUT).expect_status(0);
        two
    }

    /// On one LAN, the second of them by two cables, of which the kernel takes the first one.
    fn docked() -> Self {
        let lab = Lab::lan(2);
        let hosts = [0, 1].map(|n| lab.hosts()[n].clone());
        let [a, b, c, _] = hosts[1].address().octets();
        hosts[1].plug_in(&lab, "lan", [a, b, c, 122].into());
        let devices = [0, 1].map(|n| Device::on(&hosts[n], ["one", "two"][n]));
        let nodes = [devices[0].serve(), devices[1].serve()];
        pair_by(&devices[0], &devices[1], &[]);
        Self { _lab: lab, hosts, devices, nodes, relays: Vec::new() }
    }

    /// Returns the home relay of a device, if it is connected to one.
    fn home(&self, n: usize) -> Option<String> {
        let first = self.devices[n].run(["relays"]).expect_status(0).lines.into_iter().next()?;
        (first["home"] == true && first["connected"] == true).then(|| text(&first, "url"))
    }

    /// Returns the view that one device's list gives of the other device.
    fn seen_by(&self, n: usize) -> Value {
        let devices = self.devices[n].devices();
        devices.into_iter().find(|device| device["paired"] == true).expect("a paired device")
    }

    /// Returns the checks of `doctor` on a device.
    fn doctor(&self, n: usize) -> Vec<Value> {
        let report = self.devices[n].run(["doctor"]).lines.remove(0);
        report["checks"].as_array().expect("checks").clone()
    }

    #[track_caller]
    fn expect_path(&self, path: &str, within: Duration) -> Duration {
        let begun = Instant::now();
        for n in [0, 1] {
            until(&format!("path {path}"), within, || (self.seen_by(n)["path"] == path).then_some(()));
        }
        begun.elapsed()
    }

    /// Sends a file from one device to the other, makes trouble in the middle, and runs `then` before it waits for the
    /// rest. Returns the longest time in which no byte was received.
    #[track_caller]
    fn send_through(&mut self, from: usize, trouble: impl FnOnce(&mut Self), then: impl FnOnce(&mut Self)) -> Duration {
        let file = self.devices[from].home().join("large");
        tree::file(&file, SIZE, 5);
        let id = self.nodes[1 - from].device_id();
        let mut sending = self.devices[from].start([
            "send".as_ref(),
            id.as_ref(),
            file.as_os_str(),
            "--limit".as_ref(),
            "4M".as_ref(),
        ]);
        let more =
            |least: u64| move |line: &Value| line["event"] == "progress" && line["bytes"].as_u64() >= Some(least);
        let bytes = |line: &Value| line["bytes"].as_u64().expect("a count");
        let mut before = bytes(&sending.expect("bytes on their way", TEST_TIMEOUT, more(STEP)));
        trouble(self);
        let (end, mut last, mut still) = (before + STEP, Instant::now(), Duration::ZERO);
        while before < end {
            before = bytes(&sending.expect("more bytes", 3 * TEST_TIMEOUT, more(before + 1)));
            still = still.max(last.elapsed());
            last = Instant::now();
        }
        then(self);
        sending.finish(3 * TEST_TIMEOUT).expect_status(0);
        let arrived = self.devices[1 - from].downloads().join("large");
        assert!(std::fs::read(&file).unwrap() == std::fs::read(&arrived).unwrap(), "what arrived is not what was sent");
        for path in [file, arrived] {
            std::fs::remove_file(path).unwrap();
        }
        still
    }
}

/// Returns a relay's URL without the default port.
fn plain(relay: &Servers) -> String {
    relay.relay().trim_end_matches(":443").to_owned()
}

/// Returns the code of the first check with this name, or `ok` where it has none.
fn code(checks: &[Value], name: &str) -> String {
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {checks:#?}"));
    check["code"].as_str().unwrap_or("ok").to_owned()
}

/// Makes a device use these relays from its next start.
fn with_relays(device: Device, relays: &[(Host, Servers)]) -> Device {
    let path: PathBuf = device.home().join("authorities.pem");
    let all: String = relays.iter().map(|(_, relay)| std::fs::read_to_string(relay.authority()).unwrap()).collect();
    std::fs::write(&path, all).unwrap();
    let mut ways = vec!["--relay-ca".to_owned(), path.to_string_lossy().into_owned()];
    for (_, relay) in relays {
        ways.extend(["--relay".into(), relay.relay().to_owned()]);
    }
    device.by_ways(ways)
}

#[track_caller]
fn within(what: &str, took: Duration, promised: Duration) {
    println!("FIGURE {what}: {took:.2?} (promised: {promised:?})");
    assert!(took <= promised * GRACE, "{what}: {took:?}");
}

/// Sends in one direction, `from` being the sender, while UDP is blocked at the second device's cable.
fn udp_is_blocked(from: usize) {
    let mut two = Two::behind([Router::Easy, Router::Easy], &[&["relay"]]);
    two.expect_path("direct", TEST_TIMEOUT);
    let (mut direct, mut said) = (Duration::ZERO, [Vec::new(), Vec::new()]);
    let still = two.send_through(
        from,
        |two| two.hosts[1].block_udp(),
        |two| {
            two.expect_path("relay", TEST_TIMEOUT);
            said = [two.doctor(0), two.doctor(1)];
            two.hosts[1].unblock_udp();
            direct = two.expect_path("direct", 3 * TEST_TIMEOUT);
        },
    );
    within("UDP is blocked in a transfer: it stands still for", still, OTHER_WAY);
    println!("FIGURE UDP is allowed again: direct after {direct:.2?}");
    // The device without UDP reports the cause; the other one reports what it can see of it.
    assert_eq!((code(&said[1], "udp"), code(&said[1], "device")), ("udp_blocked".into(), "device_relayed".into()));
    assert_eq!((code(&said[0], "udp"), code(&said[0], "device")), ("ok".into(), "device_relayed".into()));
}

#[test]
fn a_transfer_goes_on_by_the_relay_when_udp_is_blocked_at_its_receiver() {
    udp_is_blocked(0);
}

#[test]
fn a_transfer_goes_on_by_the_relay_when_udp_is_blocked_at_its_sender() {
    udp_is_blocked(1);
}

#[test]
fn a_transfer_goes_on_by_the_relay_when_its_route_is_rejected() {
    let mut two = Two::behind([Router::Easy, Router::Easy], &[&["relay"]]);
    two.expect_path("direct", TEST_TIMEOUT);
    let address = text(&two.seen_by(0), "address");
    let ip = address.rsplit_once(':').expect("IP:PORT").0.parse().expect("an IPv4 address");
    let mut said = Vec::new();
    let still = two.send_through(0, |two| two.hosts[0].reject_route(ip), |two| said = two.doctor(0));
    within("its route is rejected in a transfer: it stands still for", still, OTHER_WAY);
    assert_eq!(code(&said, "device"), "route_rejected", "{said:#?}");
}

/// 30 MB over 8 Mbit/s take 30 s without faults, and 43 s where nothing passes for 3 s of each 10.
#[test]
fn a_transfer_gets_through_where_packets_are_doubled_overtaken_changed_and_swallowed() {
    let line = Line {
        duplicate: 2.0,
        reorder: 5.0,
        corrupt: 0.5,
        silence: Some((Duration::from_secs(3), Duration::from_secs(10))),
        ..Line::new(8.0, Duration::from_millis(40))
    };
    let mut lab = Lab::line(&Line::new(8.0, Duration::from_millis(40)));
    let devices = [Device::on(&lab.hosts()[0], "one"), Device::on(&lab.hosts()[1], "two")];
    let nodes = [devices[0].serve(), devices[1].serve()];
    pair_by(&devices[0], &devices[1], &[]);
    let file = devices[0].home().join("large");
    tree::file(&file, 30_000_000, 8);
    lab.change_line(&line);
    let begun = Instant::now();
    let id = nodes[1].device_id();
    let mut sending = devices[0].start(["send".as_ref(), id.as_ref(), file.as_os_str()]);
    let (mut bytes, mut last, mut pauses) = (0, Instant::now(), Vec::new());
    while bytes < 30_000_000 {
        let more = |line: &Value| line["event"] == "done" || line["bytes"].as_u64() > Some(bytes);
        let line = sending.expect("more bytes", 3 * TEST_TIMEOUT, more);
        if line["event"] == "done" {
            break;
        }
        bytes = line["bytes"].as_u64().expect("a count");
        if last.elapsed() > Duration::from_secs(1) {
            pauses.push(last.elapsed());
        }
        last = Instant::now();
    }
    sending.finish(3 * TEST_TIMEOUT).expect_status(0);
    println!("FIGURE pauses of more than 1 s: {pauses:.1?}");
    within("30 MB through duplicates, disorder, changed bits and silences of 3 s", begun.elapsed(), ROUGH);
    let received = std::fs::read(devices[1].downloads().join("large")).unwrap();
    assert!(std::fs::read(&file).unwrap() == received, "what arrived is not what was sent");
}

#[test]
fn devices_on_a_network_with_link_local_ipv6_only_find_each_other_pair_and_send() {
    let lab = Lab::link_local(2);
    let devices = [Device::on(&lab.hosts()[0], "one"), Device::on(&lab.hosts()[1], "two")];
    let nodes = [devices[0].serve(), devices[1].serve()];
    let begun = Instant::now();
    let seen = until("a device nearby", TEST_TIMEOUT, || devices[1].devices().into_iter().next());
    println!("FIGURE link-local IPv6 alone: found after {:.2?}", begun.elapsed());
    assert_eq!(text(&seen, "device_id"), nodes[0].device_id());
    pair_by(&devices[0], &devices[1], &[]);
    for (from, to) in [(0, 1), (1, 0)] {
        let file = devices[from].home().join(format!("from {from}"));
        tree::file(&file, 5_000_000, 3);
        let id = nodes[to].device_id();
        devices[from].run(["send".as_ref(), id.as_ref(), file.as_os_str()]).expect_status(0);
        let received = std::fs::read(devices[to].downloads().join(format!("from {from}"))).unwrap();
        assert!(std::fs::read(&file).unwrap() == received, "what arrived is not what was sent");
        // The two devices dial at once, and one of the two connections replaces the other.
        let address =
            until("its address", TEST_TIMEOUT, || devices[from].devices()[0]["address"].as_str().map(str::to_owned));
        assert!(address.starts_with("[fe80:"), "{address}");
    }
    let report = devices[0].run(["doctor"]).lines.remove(0);
    let checks = report["checks"].as_array().expect("checks");
    for name in ["interfaces", "device", "firewall"] {
        assert_eq!(code(checks, name), "ok", "{checks:#?}");
    }
    // A device that was stopped and comes back is found again without any action.
    let [one, two] = nodes;
    two.stop().expect_status(0);
    let two = devices[1].serve();
    until("connected", TEST_TIMEOUT, || (devices[0].devices()[0]["state"] == "connected").then_some(()));
    let ping = devices[0].run(["ping", &two.device_id(), "-c", "2"]).expect_status(0);
    assert_eq!(ping.lines[0]["path"], "direct", "{ping:#?}");
    one.stop().expect_status(0);
}

/// Pulls the cable that the kernel sends through, in the middle of a transfer, and leaves its address: nobody manages the
/// network. The node chooses the other cable, and gives the choice back to the kernel when the first one is in again.
fn a_cable_is_pulled_and_keeps_its_address(from: usize) {
    let mut two = Two::docked();
    let interfaces = |two: &Two| code(&two.doctor(1), "interfaces");
    assert_eq!(interfaces(&two), "ok");
    let still = two.send_through(from, |two| two.hosts[1].cut(), |_| {});
    within("a cable is pulled whose address stays: a transfer stands still for", still, OTHER_CABLE);
    assert_eq!(interfaces(&two), "dead_cable_avoided");
    let ping = two.devices[0].run(["ping", &two.nodes[1].device_id(), "-c", "2"]).expect_status(0);
    assert_eq!(ping.lines[0]["path"], "direct", "{ping:#?}");
    two.hosts[1].mend();
    let still = two.send_through(from, |two| two.hosts[1].cut_second(), |_| {});
    within("the first cable is in again and the second one is pulled: a transfer stands still for", still, OTHER_CABLE);
}

#[test]
fn what_is_received_by_a_cable_that_is_pulled_goes_on_by_the_other_one() {
    a_cable_is_pulled_and_keeps_its_address(0);
}

#[test]
fn what_is_sent_by_a_cable_that_is_pulled_goes_on_by_the_other_one() {
    a_cable_is_pulled_and_keeps_its_address(1);
}

/// With a third interface up, such as that of a VPN, a node leaves the choice to the kernel: what is meant for the third one
/// would be lost.
#[test]
fn the_doctor_names_a_dead_cable_that_keeps_its_address() {
    let two = Two::docked();
    let found = || code(&two.doctor(1), "interfaces");
    assert_eq!(found(), "ok");
    two.hosts[1].virtual_interface_comes(1);
    two.hosts[1].cut();
    assert_eq!(found(), "dead_cable");
    two.hosts[1].mend();
    assert_eq!(found(), "ok");
    until("connected", TEST_TIMEOUT, || (two.seen_by(1)["state"] == "connected").then_some(()));
}

#[test]
fn a_transfer_goes_on_by_another_relay_when_its_own_is_cut_off() {
    let mut two = Two::behind([Router::Hard, Router::Hard], &[&["relay"], &["relay"]]);
    two.expect_path("relay", TEST_TIMEOUT);
    let used = text(&two.seen_by(0), "address").trim_end_matches('/').to_owned();
    let at = two.relays.iter().position(|(_, relay)| used == plain(relay)).expect("one of the relays");
    let mut said = Vec::new();
    let still = two.send_through(0, |two| two.relays[at].0.cut(), |two| said = two.doctor(0));
    within("its relay is cut off in a transfer: it stands still for", still, OTHER_RELAY);
    let cut =
        said.iter().find(|check| check["name"] == "relay" && text(check, "subject").trim_end_matches('/') == used);
    let cut = cut.unwrap_or_else(|| panic!("nothing about {used} in {said:#?}"));
    assert_eq!((cut["status"].as_str(), cut["code"].as_str()), (Some("failed"), Some("relay_unreachable")), "{cut}");
}

#[test]
fn the_doctor_does_not_believe_that_a_frozen_device_is_connected() {
    let lab = Lab::lan(2);
    let devices = [Device::on(&lab.hosts()[0], "one"), Device::on(&lab.hosts()[1], "two")];
    let nodes = [devices[0].serve(), devices[1].serve()];
    pair_by(&devices[0], &devices[1], &[]);
    until("connected", TEST_TIMEOUT, || (devices[0].devices()[0]["state"] == "connected").then_some(()));
    let doctor = || {
        let done = devices[0].run(["doctor"]);
        let checks = done.lines[0]["checks"].as_array().expect("checks").clone();
        (done.status, code(&checks, "device"))
    };
    assert_eq!(doctor(), (Some(0), "ok".into()));
    // The frozen node is still visible but answers nothing.
    nodes[1].running.freeze();
    let (status, found) = doctor();
    nodes[1].running.thaw();
    assert!(["device_silent", "device_offline", "device_connecting"].contains(&found.as_str()), "{found}");
    assert_eq!(status == Some(1), found == "device_silent", "{status:?} {found}");
    until("an answer", TEST_TIMEOUT, || {
        (devices[0].run(["ping", &nodes[1].device_id(), "-c", "1"]).status == Some(0)).then_some(())
    });
    until("the doctor believes it again", TEST_TIMEOUT, || (doctor() == (Some(0), "ok".into())).then_some(()));
}
