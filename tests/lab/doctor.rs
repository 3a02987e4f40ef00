//! Tests that `doctor` names the cause of each fault made here, with the real program and the real fault.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, pair_by, text},
    lab::{Host, Lab, Router, Servers},
    measure::until,
    program::{Finished, Running, TEST_TIMEOUT, cli},
};

/// Longest duration of a whole examination.
const WHOLE: Duration = Duration::from_secs(10);
const GRACE: u32 = 3;

/// Result of one examination.
struct Said {
    report: Value,
    status: i32,
}

impl Said {
    #[track_caller]
    fn of(finished: Finished) -> Self {
        assert_eq!(finished.lines.len(), 1, "one object and no more\n{finished:#?}");
        let status = finished.status.expect("an exit status");
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        let report = finished.lines[0].clone();
        let took = Duration::from_millis(report["took_ms"].as_u64().expect("a time"));
        println!("FIGURE doctor: {took:.2?} of itself, {:.2?} with the command", finished.took);
        assert!(took < WHOLE * GRACE, "{took:?}");
        let said = Self { report, status };
        let failed = said.checks().iter().any(|check| check["status"] == "failed");
        assert_eq!(said.status, i32::from(failed), "{:#}", said.report);
        for check in said.checks() {
            assert!(check["status"] == "ok" || check["code"].is_string(), "no code: {check}");
            let grave = check["status"] == "failed" || check["status"] == "warning";
            assert!(!grave || check["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint: {check}");
        }
        said
    }

    fn checks(&self) -> &Vec<Value> {
        self.report["checks"].as_array().expect("checks")
    }

    /// Returns the check with this name.
    #[track_caller]
    fn check(&self, name: &str) -> &Value {
        let found = self.checks().iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no check {name} in {:#}", self.report))
    }

    /// Asserts the status and code of the check with this name, and returns it.
    #[track_caller]
    fn expect(&self, name: &str, status: &str, code: &str) -> &Value {
        let check = self.check(name);
        assert_eq!((check["status"].as_str(), check["code"].as_str()), (Some(status), Some(code)), "{:#}", self.report);
        check
    }

    /// Asserts that the check with this name is `ok`.
    #[track_caller]
    fn expect_ok(&self, name: &str) {
        assert_eq!(self.check(name)["status"], "ok", "{:#}", self.report);
    }
}

#[track_caller]
fn doctor(device: &Device) -> Said {
    Said::of(device.run(["doctor"]))
}

#[track_caller]
fn run(command: Command, what: &str) -> Finished {
    Running::start(command, what).finish(TEST_TIMEOUT)
}

/// Starts a program that holds the default port on this host.
fn hold_port(host: &Host) -> Running {
    let mut python = host.command("python3");
    python.args([
        "-c",
        "import socket, time; s = socket.socket(2, 2); s.bind(('', 11204)); print('{}', flush=True); time.sleep(600)",
    ]);
    let mut running = Running::start(python, "whoever holds the port");
    running.find(TEST_TIMEOUT, |_| true).expect("it holds the port");
    running
}

/// Runs a system program on this host.
#[track_caller]
fn system(host: &Host, program: &str, arguments: &[&str]) {
    let output = host.command(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Builds a host behind a home router, and public servers.
fn home_and_servers(which: &[&str]) -> (Lab, Host, Servers, Device) {
    let mut lab = Lab::internet();
    let server = lab.public("server", 10);
    let servers = server.serve(which);
    let host = lab.home("a", Router::Easy, 1).remove(0);
    let device = Device::on(&host, "device").by_ways(servers.ways());
    (lab, host, servers, device)
}

#[test]
fn where_nothing_is_wrong_nothing_failed() {
    let (_lab, _host, _servers, device) = home_and_servers(&["relay", "pkarr"]);
    let _node = device.serve();
    let said = doctor(&device);
    for name in ["port", "interfaces", "vpn", "route", "firewall", "udp", "relay", "pkarr", "clock", "data"] {
        said.expect_ok(name);
    }
    said.expect("multicast", "info", "multicast_unanswered");
    assert_eq!(said.status, 0);
    // Without a running node, `doctor` starts its own and finds the same; the human-readable output is a list with
    // marks.
    let with_json = device.command(["doctor"]);
    let mut command = Command::new(with_json.get_program());
    command.args(with_json.get_args().filter(|argument| *argument != "--json"));
    let path = with_json.get_envs().find_map(|(name, value)| value.filter(|_| name == "PATH"));
    command.env("PATH", path.expect("where `ip` is")).env("HOME", device.home());
    let told = run(command, "doctor for people").expect_status(0);
    let lines: Vec<&str> = told.lines.iter().filter_map(Value::as_str).collect();
    assert!(lines.iter().any(|line| line.starts_with("✓ relay https://198.51.100.10")), "{lines:#?}");
}

#[test]
fn a_port_that_is_taken_is_named_and_by_whom() {
    let lab = Lab::lan(1);
    let host = &lab.hosts()[0];
    let device = Device::on(host, "device");
    let _holder = hold_port(host);
    // No node can start: every check that needs none still runs.
    let said = doctor(&device);
    let port = said.expect("port", "failed", "port_taken");
    assert!(port["detail"].as_str().unwrap().contains("python3"), "{port}");
    said.expect("start", "failed", "port_unavailable");
    said.expect_ok("interfaces");
    said.expect_ok("data");
    // Without --port, a node uses another port.
    let mut command = host.command(cli());
    command.arg("--data-dir").arg(device.data_dir()).args(["--json", "--keystore", "plain", "--mode", "lan", "doctor"]);
    command.env("HOME", device.home());
    let said = Said::of(run(command, "doctor without --port"));
    let port = said.expect("port", "warning", "port_taken");
    assert!(port["detail"].as_str().unwrap().contains("python3"), "{port}");
}

#[test]
fn multicast_that_the_network_drops_is_named() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    h1.drop_mdns();
    let (one, two) = (Device::on(h1, "one"), Device::on(h2, "two"));
    let (one_node, _two_node) = (one.serve(), two.serve());
    let at = format!("{}@{}:11204", one_node.endpoint_id(), h1.address());
    pair_by(&one, &two, &["--device", &at]);
    until("connected", TEST_TIMEOUT, || (two.devices()[0]["state"] == "connected").then_some(()));
    let said = doctor(&two);
    let check = said.expect("multicast", "warning", "multicast_dropped");
    assert!(check["hint"].as_str().unwrap().contains("isolation"), "{check}");
    said.expect_ok("firewall");
    said.expect_ok("device");
}

#[test]
fn multicast_that_this_machine_drops_is_another_thing() {
    let lab = Lab::lan(1);
    let host = &lab.hosts()[0];
    system(
        host,
        "nft",
        &["table inet mine { chain in { type filter hook input priority 0; udp dport 5353 drop; }; };"],
    );
    let said = doctor(&Device::on(host, "device"));
    said.expect("multicast", "failed", "multicast_not_heard");
    said.expect_ok("firewall");
}

/// Firewall rules common on many machines: unsolicited packets are dropped.
const WALL: &str = "table inet filter { chain input { type filter hook input priority 0; policy drop;
    ct state established,related accept; iifname lo accept; }; };";

#[test]
fn inbound_udp_that_is_blocked_is_named_with_the_command_that_opens_it() {
    let lab = Lab::lan(1);
    let host = &lab.hosts()[0];
    let device = Device::on(host, "device");
    system(host, "nft", &[WALL]);
    let said = doctor(&device);
    let check = said.expect("firewall", "failed", "firewall_blocks_udp");
    let hint = check["hint"].as_str().unwrap();
    // The command in the hint solves the problem.
    let command = hint.split('`').find(|part| part.starts_with("sudo nft ")).expect("a command of nftables");
    let words: Vec<&str> = command.trim_start_matches("sudo nft ").split(' ').collect();
    system(host, "nft", &words);
    doctor(&device).expect_ok("firewall");
}

#[test]
fn inbound_udp_that_is_blocked_is_seen_without_the_right_to_read_the_rules() {
    let lab = Lab::lan(1);
    let host = &lab.hosts()[0];
    let device = Device::on(host, "device");
    system(host, "nft", &[WALL]);
    let mut command = host.command("setpriv");
    command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"]).arg(cli());
    command.arg("--data-dir").arg(device.data_dir()).args(["--json", "--keystore", "plain", "--mode", "lan", "doctor"]);
    command.env("HOME", device.home());
    let said = Said::of(run(command, "doctor without rights"));
    let check = said.expect("firewall", "failed", "firewall_blocks_udp");
    assert!(check["detail"].as_str().unwrap().contains("administrator"), "{check}");
    assert!(check["hint"].as_str().unwrap().contains("ufw allow 11204/udp"), "{check}");
}

#[test]
fn a_machine_without_a_way_out_is_told_so() {
    let (_lab, host, _servers, device) = home_and_servers(&["relay", "pkarr"]);
    system(&host, "ip", &["route", "del", "default"]);
    let said = doctor(&device);
    said.expect("route", "failed", "no_route");
    said.expect_ok("interfaces");
    let relay = said.expect("relay", "failed", "relay_unreachable");
    assert!(relay["hint"].as_str().unwrap().contains("route"), "{relay}");
}

#[test]
fn a_relay_that_is_away_is_named() {
    let (_lab, _host, mut servers, device) = home_and_servers(&["relay", "pkarr"]);
    servers.kill();
    let said = doctor(&device);
    let relay = said.expect("relay", "failed", "relay_unreachable");
    assert!(relay["subject"].as_str().unwrap().contains("198.51.100.10"), "{relay}");
    said.expect("pkarr", "failed", "pkarr_unreachable");
    said.expect_ok("route");
    said.expect("clock", "info", "clock_unknown");
}

#[test]
fn a_relay_that_refuses_the_token_is_named_and_the_token_is_told_to_nobody() {
    const WRONG: &str = "WrongTokenThatIsSecret7351";
    let (_lab, _host, _servers, device) = home_and_servers(&["relay=TheRightOne", "pkarr"]);
    let mut command = device.command(["doctor", "--report"]);
    command.env("YONDER_RELAY_TOKEN", WRONG);
    let finished = run(command, "doctor with a wrong token");
    for line in &finished.lines {
        assert!(!line.to_string().contains(WRONG), "the token is told: {line}");
    }
    assert!(!finished.stderr.contains(WRONG));
    let said = Said::of(finished);
    said.expect("relay", "failed", "relay_refused");
    said.expect_ok("udp");
    let mut command = device.command(["doctor"]);
    command.env("YONDER_RELAY_TOKEN", "TheRightOne");
    Said::of(run(command, "doctor with the right token")).expect_ok("relay");
}

#[test]
fn a_clock_that_is_off_by_a_day_is_told_by_how_much() {
    let (_lab, _host, _servers, device) = home_and_servers(&["relay", "pkarr"]);
    doctor(&device).expect_ok("clock");
    for (shift, way) in [("+1d", "ahead"), ("-1d", "behind")] {
        let mut command = device.command(["doctor"]);
        // The program sees another time of day; the monotonic clock is unchanged.
        command.env("LD_PRELOAD", faketime()).env("FAKETIME", shift).env("DONT_FAKE_MONOTONIC", "1");
        let said = Said::of(run(command, "doctor with another clock"));
        let clock = said.expect("clock", "failed", "clock_wrong");
        let detail = clock["detail"].as_str().unwrap();
        assert!(detail.contains(way) && (detail.contains("24 hours") || detail.contains("23 hours")), "{clock}");
    }
}

fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.find(|path| path.is_file()).expect("the package faketime: script/setup test")
}

#[test]
fn the_other_side_not_running_is_told_apart_from_its_machine_being_away() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (one, two) = (Device::on(h1, "one"), Device::on(h2, "two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    pair_by(&one, &two, &[]);
    let other = two_node.device_id();
    let stands = || one.devices()[0]["connections"].as_array().is_some_and(|all| !all.is_empty());
    until("a connection", TEST_TIMEOUT, || stands().then_some(()));
    let there = Said::of(one.run(["doctor", &other]));
    there.expect_ok("device");
    there.expect_ok("ping");
    there.expect_ok("way_address");
    assert!(!there.report["connections"].as_array().unwrap().is_empty(), "{:#}", there.report);

    two_node.stop().expect_status(0);
    let stopped = Said::of(one.run(["doctor", &other]));
    stopped.expect("device", "failed", "device_not_running");
    stopped.expect("way_address", "info", "nothing_listens");

    h2.link_down();
    // The kernel keeps a machine in its neighbour table for up to half a minute after it was last seen.
    system(h1, "ip", &["neigh", "flush", "all"]);
    let away = Said::of(one.run(["doctor", &other]));
    away.expect("device", "failed", "device_away");
    drop(one_node);
}

#[test]
fn a_network_without_udp_is_named_and_why_a_device_is_relayed() {
    let mut lab = Lab::internet();
    let server = lab.public("server", 10);
    let servers = server.serve(&["relay", "pkarr"]);
    let (a, b) = (lab.home("a", Router::Easy, 1).remove(0), lab.home("b", Router::Easy, 1).remove(0));
    let (one, two) = (Device::on(&a, "one").by_ways(servers.ways()), Device::on(&b, "two").by_ways(servers.ways()));
    a.block_udp();
    let (one_node, _two_node) = (one.serve(), two.serve());
    let mut hosting = one.start(["pair", "host", "--words", "5", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    two.run(["pair", "join", &words, "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    until("connected", TEST_TIMEOUT, || (one.devices()[0]["state"] == "connected").then_some(()));
    let said = doctor(&one);
    said.expect("udp", "failed", "udp_blocked");
    said.expect_ok("relay");
    let device = said.expect("device", "info", "device_relayed");
    assert!(device["detail"].as_str().unwrap().contains("no UDP"), "{device}");
    drop(one_node);
}

#[test]
fn in_mode_lan_nothing_is_asked_of_anybody_elsewhere() {
    let mut lab = Lab::internet();
    let _server = lab.public("server", 10).serve(&["relay", "pkarr"]);
    let homes = lab.home("a", Router::Easy, 2);
    let (one, two) = (Device::on(&homes[0], "one"), Device::on(&homes[1], "two"));
    let capture = homes[0].capture();
    let (_one_node, two_node) = (one.serve(), two.serve());
    pair_by(&one, &two, &[]);
    let said = doctor(&one);
    said.expect("relay", "info", "lan_only");
    said.expect("clock", "info", "clock_unknown");
    said.expect_ok("multicast");
    Said::of(one.run(["doctor", &two_node.device_id()])).expect_ok("device");
    let heard = capture.stop();
    let mut inside = 0;
    for frame in heard.frames() {
        // IPv4 only: destinations other than the network 10.1.0.0/24, its multicast and its broadcast are outside.
        if frame.get(12..14) != Some(&[8, 0]) {
            continue;
        }
        let (from, to) = (&frame[26..30], &frame[30..34]);
        let local = |ip: &[u8]| ip[..3] == [10, 1, 0] || ip[..3] == [224, 0, 0] || ip == [255; 4] || ip == [0; 4];
        assert!(local(from) && local(to), "a packet from {from:?} to {to:?}");
        inside += 1;
    }
    println!("FIGURE doctor in mode lan: {inside} packets on the LAN, none elsewhere");
    assert!(inside > 0, "nothing was heard at all");
}

#[test]
fn a_report_names_no_device_no_whole_id_and_where_the_logs_are() {
    let lab = Lab::lan(2);
    let [h1, h2] = lab.hosts() else { panic!("two hosts") };
    let (one, two) = (Device::on(h1, "one"), Device::on(h2, "two"));
    let (one_node, two_node) = (one.serve(), two.serve());
    two.run(["rename", "Marias Rechner"]).expect_status(0);
    pair_by(&one, &two, &[]);
    let finished = one.run(["doctor", "--report"]).expect_status(0);
    let report = text(&finished.lines[0], "report");
    for secret in [
        "Marias",
        &two_node.endpoint_id(),
        &one_node.endpoint_id(),
        &two_node.device_id(),
        &one.home().to_string_lossy(),
    ] {
        assert!(!report.contains(secret), "{secret} is in\n{report}");
    }
    assert!(report.contains("~/data/logs") && report.contains("ok      device device "), "{report}");
    // The node has kept a log there, readable only by its owner.
    let log = one.data_dir().join("logs").join("yonder.log");
    let metadata = std::fs::metadata(&log).unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(&log).unwrap();
    assert!(kept.contains("INFO") && kept.contains("the program starts"), "{kept}");
    println!("FIGURE log of a start and a pairing: {} bytes", kept.len());
}

#[test]
fn where_the_data_directory_cannot_be_used_the_rest_is_looked_at() {
    let lab = Lab::lan(1);
    let mut device = Device::on(&lab.hosts()[0], "device");
    let file = device.home().join("a file");
    std::fs::write(&file, "in the way").unwrap();
    device.set_data_dir(file);
    let said = doctor(&device);
    said.expect("data", "failed", "data_not_writable");
    assert_eq!(said.check("start")["status"], "failed", "{:#}", said.report);
    for name in ["port", "interfaces", "route", "firewall"] {
        said.expect_ok(name);
    }
}

#[test]
fn two_that_ask_the_same_are_answered_by_one_and_ctrl_c_ends_the_command_alone() {
    let lab = Lab::lan(1);
    let device = Device::on(&lab.hosts()[0], "device");
    let mut node = device.serve();
    let (one, two) = (device.start(["doctor"]), device.start(["doctor"]));
    let (one, two) = (one.finish(TEST_TIMEOUT), two.finish(TEST_TIMEOUT));
    assert_eq!(Said::of(one).report["checks"], Said::of(two).report["checks"]);
    // Each check was reported once while it ran.
    node.running.expect("the last check", TEST_TIMEOUT, |line| line["check"]["name"] == "multicast");
    let ports = node.running.seen().iter().filter(|line| line["check"]["name"] == "port").count();
    assert_eq!(ports, 1, "{:#?}", node.running.seen());

    let stopped = device.start(["doctor"]);
    node.running.expect("its beginning", TEST_TIMEOUT, |line| line["check"]["name"] == "port");
    stopped.interrupt();
    let stopped = stopped.finish(TEST_TIMEOUT);
    assert_eq!(
        (stopped.status, stopped.event("error").map(|error| error["code"] == "interrupted")),
        (Some(1), Some(true))
    );
    device.run(["id"]).expect_status(0);
}
