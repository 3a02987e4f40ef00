//! Networks that fail in the middle: UDP that is blocked, routes that are rejected, relays that go silent. What a transfer
//! does meanwhile, how soon it goes on, and what the doctor says.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, pair_by, text},
    lab::{Host, Lab, Line, Router, Servers},
    measure::until,
    program::PATIENCE,
    tree,
};

/// A transfer goes on by another way so soon after its own is gone.
const OTHER_WAY: Duration = Duration::from_secs(5);
/// The same, where it is another cable to the same network.
const OTHER_CABLE: Duration = Duration::from_secs(3);
/// The same, where the relay that it goes through is cut off: both devices have to move to another one.
const OTHER_RELAY: Duration = Duration::from_secs(12);
/// 30 MB over a line of 8 Mbit/s on which much goes wrong.
const ROUGH: Duration = Duration::from_secs(60);
/// A busy machine is granted so much more.
const GRACE: u32 = 2;
const SIZE: usize = 48 << 20;
/// There is trouble once so much was received, and it is over once so much more was.
const STEP: u64 = 8 << 20;

/// Two paired devices, each behind a router, and relays in the open.
struct Two {
    _lab: Lab,
    hosts: [Host; 2],
    devices: [Device; 2],
    nodes: [Node; 2],
    /// The machines that the relays run on.
    relays: Vec<(Host, Servers)>,
}

impl Two {
    /// Behind routers of these kinds, with relays of these words, the nearest first; paired by a link.
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
            until("a home relay", PATIENCE, || two.home(n));
        }
        let mut hosting = two.devices[0].start(["pair", "host", "--approve"]);
        let link = text(&hosting.expect_event("code"), "link");
        two.devices[1].run(["pair", "join", &link, "--approve"]).expect_status(0);
        hosting.finish(PATIENCE).expect_status(0);
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

    /// The relay at which this one can be found, if there is one now.
    fn home(&self, n: usize) -> Option<String> {
        let first = self.devices[n].run(["relays"]).expect_status(0).lines.into_iter().next()?;
        (first["home"] == true && first["connected"] == true).then(|| text(&first, "url"))
    }

    /// What this one's list says of the other one.
    fn seen_by(&self, n: usize) -> Value {
        let devices = self.devices[n].devices();
        devices.into_iter().find(|device| device["paired"] == true).expect("a paired device")
    }

    /// What the doctor finds on this one.
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

    /// Sends a file from the one to the other, and makes trouble in the middle. Gives the longest time that nothing more was
    /// received, and runs `then` before the rest is waited for.
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
        let mut before = bytes(&sending.expect("bytes on their way", PATIENCE, more(STEP)));
        trouble(self);
        let (end, mut last, mut still) = (before + STEP, Instant::now(), Duration::ZERO);
        while before < end {
            before = bytes(&sending.expect("more bytes", 3 * PATIENCE, more(before + 1)));
            still = still.max(last.elapsed());
            last = Instant::now();
        }
        then(self);
        sending.finish(3 * PATIENCE).expect_status(0);
        let received = std::fs::read(self.devices[1 - from].downloads().join("large")).unwrap();
        assert!(std::fs::read(&file).unwrap() == received, "what arrived is not what was sent");
        still
    }
}

/// A relay's URL without the usual port.
fn plain(relay: &Servers) -> String {
    relay.relay().trim_end_matches(":443").to_owned()
}

/// The code of the first check of this name, and `ok` where there is none.
fn code(checks: &[Value], name: &str) -> String {
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {checks:#?}"));
    check["code"].as_str().unwrap_or("ok").to_owned()
}

/// A device that is given these relays when it starts.
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

/// Sends from the one or the other while UDP is blocked at the second one's cable.
fn udp_is_blocked(from: usize) {
    let mut two = Two::behind([Router::Easy, Router::Easy], &[&["relay"]]);
    two.expect_path("direct", PATIENCE);
    let (mut direct, mut said) = (Duration::ZERO, [Vec::new(), Vec::new()]);
    let still = two.send_through(
        from,
        |two| two.hosts[1].block_udp(),
        |two| {
            two.expect_path("relay", PATIENCE);
            said = [two.doctor(0), two.doctor(1)];
            two.hosts[1].unblock_udp();
            direct = two.expect_path("direct", 3 * PATIENCE);
        },
    );
    within("UDP is blocked in a transfer: it stands still for", still, OTHER_WAY);
    println!("FIGURE UDP is allowed again: direct after {direct:.2?}");
    // The one that is cut off from UDP says so; the other one says what it sees of it.
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
    two.expect_path("direct", PATIENCE);
    let address = text(&two.seen_by(0), "address");
    let ip = address.rsplit_once(':').expect("IP:PORT").0.parse().expect("an IPv4 address");
    let mut said = Vec::new();
    let still = two.send_through(0, |two| two.hosts[0].reject_route(ip), |two| said = two.doctor(0));
    within("its route is rejected in a transfer: it stands still for", still, OTHER_WAY);
    assert_eq!(code(&said, "device"), "route_rejected", "{said:#?}");
}

/// 30 MB over 8 Mbit/s take 30 s where nothing goes wrong, and 43 s where nothing comes through for 3 s of each 10.
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
        let line = sending.expect("more bytes", 3 * PATIENCE, more);
        if line["event"] == "done" {
            break;
        }
        bytes = line["bytes"].as_u64().expect("a count");
        if last.elapsed() > Duration::from_secs(1) {
            pauses.push(last.elapsed());
        }
        last = Instant::now();
    }
    sending.finish(3 * PATIENCE).expect_status(0);
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
    let seen = until("a device nearby", PATIENCE, || devices[1].devices().into_iter().next());
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
        // Of the two connections that they make at once, one takes the other's place.
        let address =
            until("its address", PATIENCE, || devices[from].devices()[0]["address"].as_str().map(str::to_owned));
        assert!(address.starts_with("[fe80:"), "{address}");
    }
    let report = devices[0].run(["doctor"]).lines.remove(0);
    let checks = report["checks"].as_array().expect("checks");
    for name in ["interfaces", "device", "firewall"] {
        assert_eq!(code(checks, name), "ok", "{checks:#?}");
    }
    // One that was stopped and comes back is found again by itself.
    let [one, two] = nodes;
    two.stop().expect_status(0);
    let two = devices[1].serve();
    until("connected", PATIENCE, || (devices[0].devices()[0]["state"] == "connected").then_some(()));
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
    assert_eq!(interfaces(&two), "dead_cable");
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

/// With a VPN up beside the second cable, a node leaves the choice to the kernel: what goes through the VPN would be lost.
#[test]
fn the_doctor_names_a_dead_cable_that_keeps_its_address() {
    let two = Two::docked();
    let found = || code(&two.doctor(1), "interfaces");
    assert_eq!(found(), "ok");
    two.hosts[1].tunnel_comes();
    two.hosts[1].cut();
    assert_eq!(found(), "dead_cable");
    two.hosts[1].mend();
    assert_eq!(found(), "ok");
    until("connected", PATIENCE, || (two.seen_by(1)["state"] == "connected").then_some(()));
}

#[test]
fn a_transfer_goes_on_by_another_relay_when_its_own_is_cut_off() {
    let mut two = Two::behind([Router::Hard, Router::Hard], &[&["relay"], &["relay"]]);
    two.expect_path("relay", PATIENCE);
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
    until("connected", PATIENCE, || (devices[0].devices()[0]["state"] == "connected").then_some(()));
    let doctor = || {
        let done = devices[0].run(["doctor"]);
        let checks = done.lines[0]["checks"].as_array().expect("checks").clone();
        (done.status, code(&checks, "device"))
    };
    assert_eq!(doctor(), (Some(0), "ok".into()));
    // It is there, as far as anybody can see, and answers nothing.
    nodes[1].running.freeze();
    let (status, found) = doctor();
    nodes[1].running.thaw();
    assert!(["device_silent", "device_offline", "device_connecting"].contains(&found.as_str()), "{found}");
    assert_eq!(status == Some(1), found == "device_silent", "{status:?} {found}");
    until("an answer", PATIENCE, || {
        (devices[0].run(["ping", &nodes[1].device_id(), "-c", "1"]).status == Some(0)).then_some(())
    });
    until("the doctor believes it again", PATIENCE, || (doctor() == (Some(0), "ok".into())).then_some(()));
}
