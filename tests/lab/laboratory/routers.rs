//! Tests that the laboratory's routers translate and filter like real ones of their kind, and that its cables fail like
//! real ones.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use yonder_tests::{
    lab::{Host, Lab, Router},
    program::Running,
};

/// Tells everybody who asks the source address of the question, and asks another server to contact that address.
const SERVER: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 9000))
print('{}', flush=True)
while True:
    data, (ip, port) = s.recvfrom(200)
    words = data.decode().split()
    if words[0] == 'who': s.sendto(f'{ip} {port}'.encode(), (ip, port))
    if words[0] == 'ask': s.sendto(f'poke {ip} {port}'.encode(), (words[1], 9000))
    if words[0] == 'poke': s.sendto(b'poked', (words[1], int(words[2])))
";

/// With one socket: asks the first server for its own address, lets the second server contact it unasked, and asks the
/// second server for its own address.
const CLIENT: &str = "
import json, socket, sys
one, two = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
def heard():
    try: return s.recv(200).decode()
    except TimeoutError: return None
s.sendto(b'who', (one, 9000))
first = heard()
s.sendto(f'ask {two}'.encode(), (one, 9000))
unasked = heard()
s.sendto(b'who', (two, 9000))
print(json.dumps({'first': first, 'unasked': unasked, 'second': heard()}))
";

fn serve(host: &Host) -> Running {
    let mut command = host.command("python3");
    command.args(["-c", SERVER]);
    let mut running = Running::start(command, host.name());
    running.find(Duration::from_secs(20), |_| true).expect("the server listens");
    running
}

fn asked(from: &Host, one: &Host, two: &Host) -> Value {
    let mut client = from.command("python3");
    client.args(["-c", CLIENT, &one.address().to_string(), &two.address().to_string()]);
    let output = client.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn routers_translate_and_filter_as_their_kinds_do() {
    let mut lab = Lab::internet();
    let (one, two) = (lab.public("one", 10), lab.public("two", 11));
    let _servers = (serve(&one), serve(&two));
    for (name, kind, address) in [
        ("open", Router::Open, "203.0.113.2"),
        ("easy", Router::Easy, "198.51.100.102"),
        ("hard", Router::Hard, "198.51.100.103"),
    ] {
        let host = lab.home(name, kind, 1).remove(0);
        let said = asked(&host, &one, &two);
        let (first, second) = (said["first"].as_str().unwrap_or(""), said["second"].as_str().unwrap_or(""));
        assert!(first.starts_with(address) && second.starts_with(address), "{kind:?}: {said}");
        assert_eq!(said["unasked"].is_string(), kind == Router::Open, "{kind:?}: {said}");
        // Either the same public port for both destinations, or a different one for each.
        assert_eq!(first == second, kind != Router::Hard, "{kind:?}: {said}");
    }
}

fn pings(from: &Host, to: &Host) -> bool {
    let mut ping = from.command("ping");
    ping.args(["-n", "-c", "1", "-W", "1", &to.address().to_string()]);
    ping.stdin(Stdio::null()).output().unwrap().status.success()
}

#[test]
fn homes_reach_the_internet_and_not_each_other() {
    let mut lab = Lab::internet();
    let server = lab.public("server", 10);
    let ours = lab.home("ours", Router::Easy, 2);
    let theirs = lab.home("theirs", Router::Easy, 1);
    assert!(pings(&ours[0], &server) && pings(&theirs[0], &server) && pings(&ours[0], &ours[1]));
    assert!(!pings(&ours[0], &theirs[0]) && !pings(&server, &ours[0]), "a private address was reached from outside");
    // The router does not forward multicast.
    let capture = theirs[0].capture();
    let tell =
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello home', ('224.0.0.251', 5353))";
    let status = ours[0].command("python3").args(["-c", tell]).status().unwrap();
    assert!(status.success());
    assert!(pings(&theirs[0], &server));
    let heard = capture.stop();
    assert!(heard.frames().count() > 0, "the listener heard nothing at all");
    assert!(!heard.frames().any(|frame| frame.windows(10).any(|part| part == b"hello home")));
}

#[test]
fn cables_fail_and_are_mended() {
    let mut lab = Lab::internet();
    let (one, two) = (lab.public("one", 10), lab.public("two", 11));
    let _servers = (serve(&one), serve(&two));
    let mut host = lab.home("home", Router::Easy, 1).remove(0);
    let hears = |host: &Host| asked(host, &one, &two)["first"].is_string();
    assert!(hears(&host));

    host.cut();
    assert!(!pings(&host, &one));
    let link = host.command("ip").args(["-brief", "link", "show", "eth0"]).output().unwrap();
    assert!(String::from_utf8_lossy(&link.stdout).contains("NO-CARRIER"), "a cut cable has no carrier");
    host.mend();
    assert!(hears(&host));

    host.block_udp();
    assert!(pings(&host, &one), "only UDP is blocked");
    let said = asked(&host, &one, &two);
    assert!(said["first"].is_null() && said["second"].is_null(), "UDP went through: {said}");
    host.unblock_udp();
    assert!(hears(&host));

    host.roam(77);
    let addresses = host.command("ip").args(["-4", "-brief", "addr", "show", "eth0"]).output().unwrap();
    assert!(String::from_utf8_lossy(&addresses.stdout).contains("10.1.0.77/24"));
    assert!(hears(&host));

    host.lose(50.0);
    let mut ping = host.command("ping");
    ping.args(["-n", "-q", "-c", "40", "-i", "0.01", "-W", "1", &one.address().to_string()]);
    let told = String::from_utf8_lossy(&ping.output().unwrap().stdout).into_owned();
    let lost: f64 = told.split("% packet loss").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((20.0..100.0).contains(&lost), "half of them each way, so about three in four: {told}");
    host.lose_nothing();
    assert!(hears(&host));
}
