//! Tests of relays: which one becomes the home, what happens when it goes and comes back, and how it refuses a wrong
//! token.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, Node, text},
    lab::{Host, Lab, Router, Servers},
    measure::{GRACE, until},
    program::TEST_TIMEOUT,
};

/// Longest time until both devices are back after a relay is; a test allows three times as much.
const BACK: Duration = Duration::from_secs(15);
/// Longest time until a device uses another relay after its own has gone.
const TURNS: Duration = Duration::from_secs(10);

/// Returns the relays as `relays` lists them, the home first.
#[track_caller]
fn relays(device: &Device) -> Vec<Value> {
    device.run(["relays"]).expect_status(0).lines
}

/// Returns the home relay's URL if it is connected.
fn home(device: &Device) -> Option<String> {
    let first = relays(device).into_iter().next()?;
    (first["home"] == true && first["connected"] == true).then(|| text(&first, "url"))
}

/// Returns a relay's URL in the normal form that devices use.
fn plain(relay: &str) -> String {
    format!("{}/", relay.strip_suffix(":443").unwrap_or(relay))
}

/// Waits until this relay is the home, and returns how long that took.
#[track_caller]
fn expect_home(device: &Device, relay: &str, within: Duration) -> Duration {
    let begun = Instant::now();
    let wanted = plain(relay);
    until(&format!("home at {relay}"), within, || (home(device).as_deref() == Some(&wanted)).then_some(()));
    begun.elapsed()
}

/// Writes a file with the certificate authorities of all these relays.
fn authorities(device: &Device, servers: &[&Servers]) -> PathBuf {
    let path = device.home().join("authorities.pem");
    let all: String = servers.iter().map(|servers| std::fs::read_to_string(servers.authority()).unwrap()).collect();
    std::fs::write(&path, all).unwrap();
    path
}

/// Creates a device that uses these relays from its start.
fn given(host: &Host, name: &str, servers: &[&Servers], more: &[&str]) -> Device {
    let device = Device::on(host, name);
    let mut ways: Vec<String> = more.iter().map(ToString::to_string).collect();
    ways.extend(["--relay-ca".into(), authorities(&device, servers).to_string_lossy().into_owned()]);
    for servers in servers {
        ways.extend(["--relay".into(), servers.relay().to_owned()]);
    }
    device.by_ways(ways)
}

/// Pairs by the link that the first device shows, which carries the relay.
#[track_caller]
fn pair(one: &Device, two: &Device) {
    let mut hosting = one.start(["pair", "host", "--approve"]);
    let link = text(&hosting.expect_event("code"), "link");
    two.run(["pair", "join", &link, "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
}

/// Sets the token through stdin.
#[track_caller]
fn set_token(device: &Device, token: &str) -> Vec<Value> {
    use std::io::Write;
    let mut command = device.command(["settings", "relay_token", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{token}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn connected(line: &Value) -> bool {
    line["event"] == "device" && line["device"]["state"] == "connected"
}

/// Waits until a ping is answered.
#[track_caller]
fn expect_ping(device: &Device, other: &Node) {
    until("an answer", TEST_TIMEOUT, || {
        (device.run(["ping", &other.device_id(), "-c", "2"]).status == Some(0)).then_some(())
    });
}

#[test]
fn when_the_only_relay_is_started_anew_both_are_back_without_a_click() {
    let mut lab = Lab::internet();
    let mut servers = lab.public("server", 10).serve(&["relay"]);
    let hosts = [lab.home("a", Router::Hard, 1).remove(0), lab.home("b", Router::Hard, 1).remove(0)];
    let one = given(&hosts[0], "one", &[&servers], &[]);
    let two = given(&hosts[1], "two", &[&servers], &["--mode", "relay-only"]);
    let (one_node, mut two_node) = (one.serve(), two.serve());
    expect_home(&one, servers.relay(), TEST_TIMEOUT);
    pair(&one, &two);
    two_node.running.expect("a connection", TEST_TIMEOUT, connected);

    // With no gap, the connection survives. After 25 s the connection has died, and it is made again.
    for gone in [Duration::ZERO, Duration::from_secs(25)] {
        let begun = Instant::now();
        servers.kill();
        if gone > Duration::ZERO {
            let offline = |line: &Value| line["event"] == "device" && line["device"]["state"] != "connected";
            two_node.running.expect("the other one offline", TEST_TIMEOUT, offline);
            std::thread::sleep(gone.saturating_sub(begun.elapsed()));
        }
        servers.start_again(None);
        let back = Instant::now();
        let took = [&one, &two].map(|device| expect_home(device, servers.relay(), BACK * GRACE));
        if gone > Duration::ZERO {
            two_node.running.expect("a connection", BACK * GRACE, connected);
        }
        expect_ping(&one, &two_node);
        println!(
            "FIGURE relay gone for {gone:.0?}: home again after {took:.1?}, an answer through it after {:.1?}",
            back.elapsed()
        );
        assert!(back.elapsed() < BACK * GRACE);
    }
    one_node.stop().expect_status(0);
}

#[test]
fn when_the_home_goes_both_move_to_the_other_relay() {
    let mut lab = Lab::internet();
    let mut near = lab.public("near", 10).serve(&["relay"]);
    let far = lab.public("far", 11).serve(&["relay", "slow=60"]);
    let hosts = [lab.home("a", Router::Hard, 1).remove(0), lab.home("b", Router::Hard, 1).remove(0)];
    let [one, two] = [0, 1].map(|n| given(&hosts[n], ["one", "two"][n], &[&near, &far], &[]));
    let (_one_node, mut two_node) = (one.serve(), two.serve());
    for device in [&one, &two] {
        expect_home(device, near.relay(), TEST_TIMEOUT);
    }
    pair(&one, &two);
    two_node.running.expect("a connection", TEST_TIMEOUT, connected);

    let begun = Instant::now();
    near.kill();
    let moved = [&one, &two].map(|device| expect_home(device, far.relay(), TURNS * GRACE));
    // No server tells them of the other's move: each looks for the other at its own relays.
    expect_ping(&one, &two_node);
    println!(
        "FIGURE home relay gone: at the other after {moved:.1?}, an answer through it after {:.1?}",
        begun.elapsed()
    );
    assert!(begun.elapsed() < (TURNS + BACK) * GRACE);

    near.start_again(None);
    let took = expect_home(&one, near.relay(), BACK * GRACE * 2);
    println!("FIGURE the nearer relay is there again: home after {took:.1?}");
    expect_ping(&one, &two_node);
}

#[test]
fn the_choice_decides_and_holds_at_once() {
    let mut lab = Lab::internet();
    let near = lab.public("near", 10).serve(&["relay"]);
    let far = lab.public("far", 11).serve(&["relay", "slow=60"]);
    let host = lab.home("a", Router::Easy, 1).remove(0);
    let device = given(&host, "one", &[&far, &near], &[]);
    let node = device.serve();
    let begun = Instant::now();
    expect_home(&device, near.relay(), TURNS * GRACE);
    println!("FIGURE nearest of two relays: home after {:.1?}", begun.elapsed());
    let listed = device.run(["relays", "--probe"]).expect_status(0).lines;
    let latency = |relay: &str| {
        let found = listed.iter().find(|line| text(line, "url") == plain(relay));
        found
            .and_then(|line| line["latency_ms"].as_u64())
            .unwrap_or_else(|| panic!("no latency of {relay}: {listed:#?}"))
    };
    println!("FIGURE measured: near {} ms, far {} ms", latency(near.relay()), latency(far.relay()));
    assert!(latency(near.relay()) < 60 && latency(far.relay()) >= 120);

    // The first relay of the list, although it is far away; then back to the nearest.
    device.run(["settings", "relay_choice", "fixed"]).expect_status(0);
    let fixed = expect_home(&device, far.relay(), TURNS * GRACE);
    assert_eq!(relays(&device).len(), 1, "no other one is known any more");
    device.run(["settings", "relay_choice", "nearest"]).expect_status(0);
    let nearest = expect_home(&device, near.relay(), TURNS * GRACE);
    println!("FIGURE another choice holds after {fixed:.1?} and {nearest:.1?}");
    device.run(["settings", "relay_choice", "farthest"]).expect_error(2, &["invalid_input"]);
    node.stop().expect_status(0);
}

#[test]
fn relays_of_the_settings_are_used_at_once_and_a_silent_one_is_passed_over() {
    let mut lab = Lab::internet();
    let mut one = lab.public("first", 10).serve(&["relay"]);
    let mut two = lab.public("second", 11).serve(&["relay"]);
    let host = lab.home("a", Router::Easy, 1).remove(0);
    let device = Device::on(&host, "one");
    let ca = authorities(&device, &[&one, &two]).to_string_lossy().into_owned();
    // With its own pkarr server, the device asks no public relay, and none can be reached here in any case.
    let device = device.by_ways(["--relay-ca", &ca, "--pkarr", "http://198.51.100.10:8080/pkarr"]);
    let mut node = device.serve();
    assert!(relays(&device).is_empty());
    device.run(["settings", "relays", &format!("{} {}", one.relay(), two.relay())]).expect_status(0);
    let begun = Instant::now();
    let first = until("a home", TEST_TIMEOUT, || home(&device));
    println!("FIGURE relays of the settings: home after {:.1?}", begun.elapsed());

    device.run(["settings", "relay_choice", "own-first"]).expect_status(0);
    if first == plain(two.relay()) {
        std::mem::swap(&mut one, &mut two);
    }
    one.kill();
    expect_home(&device, two.relay(), TURNS * GRACE);
    let silent = |line: &Value| {
        let relays = line["relays"].as_array().map(Vec::as_slice).unwrap_or_default();
        relays.iter().any(|relay| relay["error"]["code"] == "relay_unreachable")
    };
    node.running.expect("word of the silent relay", TEST_TIMEOUT, |line| line["event"] == "relays" && silent(line));

    // The setting is kept over a restart; in a single run, arguments take precedence.
    node.stop().expect_status(0);
    node = device.serve();
    expect_home(&device, two.relay(), TURNS * GRACE);
    device.run(["settings", "relays", ""]).expect_status(0);
    until("no relay", TEST_TIMEOUT, || relays(&device).is_empty().then_some(()));
    node.stop().expect_status(0);
}

#[test]
fn a_relay_asks_for_its_token_and_the_right_one_opens_it_at_once() {
    const TOKEN: &str = "open-sesame-4711";
    let mut lab = Lab::internet();
    let mut servers = lab.public("server", 10).serve(&["relay=open-sesame-4711"]);
    let host = lab.home("a", Router::Easy, 1).remove(0);
    let mut device = given(&host, "one", &[&servers], &[]);
    let log = device.home().join("everything.log");
    device.log_all_to(&log);
    let mut node = device.serve();
    let refused = |line: &Value| line["event"] == "notice" && line["error"]["code"] == "relay_refused";
    let notice = node.running.expect("a refusal", TEST_TIMEOUT, refused);
    assert!(text(&notice["error"], "hint").contains("relay_token"), "{notice}");
    assert_eq!(relays(&device)[0]["error"]["code"], "relay_refused");

    set_token(&device, "another-word-0815");
    node.running.expect("another refusal", TEST_TIMEOUT, refused);
    let begun = Instant::now();
    assert_eq!(set_token(&device, TOKEN), [serde_json::json!({ "key": "relay_token", "value": true })]);
    expect_home(&device, servers.relay(), TURNS * GRACE);
    println!("FIGURE the right token: home after {:.1?}", begun.elapsed());

    // The token is kept for the next run. A relay that now expects another token refuses the device until that token is
    // set.
    node.stop().expect_status(0);
    node = device.serve();
    expect_home(&device, servers.relay(), TURNS * GRACE);
    servers.restart(Some(&["relay=tomorrow-1234"]));
    node.running.expect("a refusal", TEST_TIMEOUT, refused);
    set_token(&device, "tomorrow-1234");
    expect_home(&device, servers.relay(), TURNS * GRACE);

    device.run(["settings", "relay_token", "in-the-arguments"]).expect_error(2, &["usage"]);
    let shown = device.run(["settings"]).expect_status(0);
    let told = format!("{:?}{:?}{:?}", shown.lines, shown.stderr, node.running.seen());
    node.stop().expect_status(0);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains("relay"), "the log is empty");
    for secret in [TOKEN, "another-word-0815", "tomorrow-1234"] {
        assert!(!told.contains(secret), "the token is shown: {told}");
        if let Some(line) = logged.lines().find(|line| line.contains(secret)) {
            panic!("the token is logged: {line}");
        }
        for file in walk(device.data_dir()) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "it lies open in {file:?}");
        }
    }
}

/// Returns all files under a folder.
fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_token_of_the_environment_is_for_this_run() {
    let mut lab = Lab::internet();
    let servers = lab.public("server", 10).serve(&["relay=open-sesame-4711"]);
    let host = lab.home("a", Router::Easy, 1).remove(0);
    let device = given(&host, "one", &[&servers], &[]);
    let mut command = device.command(["serve"]);
    command.env("YONDER_RELAY_TOKEN", "open-sesame-4711");
    let mut running = yonder_tests::program::Running::start(command, "one: yonder-cli serve");
    running.expect_event("ready");
    expect_home(&device, servers.relay(), TURNS * GRACE);
    let shown = device.run(["settings", "relay_token"]).expect_status(0);
    assert_eq!(shown.lines[0]["value"], false, "it is not kept");
}
