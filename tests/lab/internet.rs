//! Tests of devices that share no network: each behind its own router, with real servers of the test's own (a relay, a
//! pkarr server and a DHT) on the public side.

use std::time::{Duration, Instant};

use yonder_tests::{
    device::{Device, text},
    lab::{Lab, Router, Servers},
    program::TEST_TIMEOUT,
    tree,
};

/// Longest time for joining that the documentation promises.
const JOINED: Duration = Duration::from_secs(30);

/// Builds an internet with a relay and one way to find a device.
fn internet(finder: &str) -> (Lab, Servers) {
    let mut lab = Lab::internet();
    let server = lab.public("server", 10);
    let servers = server.serve(&["relay", finder]);
    (lab, servers)
}

fn five_words_join(one: Router, two: Router, finder: &str) {
    let (mut lab, servers) = internet(finder);
    let (a, b) = (lab.home("a", one, 1).remove(0), lab.home("b", two, 1).remove(0));
    let (host, joiner) =
        (Device::on(&a, "host").by_ways(servers.ways()), Device::on(&b, "joiner").by_ways(servers.ways()));
    let (host_node, joiner_node) = (host.serve(), joiner.serve());

    let begun = Instant::now();
    let mut hosting = host.start(["pair", "host", "--words", "5", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    assert_eq!(words.split('-').count(), 5, "{words}");
    joiner.run(["pair", "join", &words, "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    let joined = begun.elapsed();
    println!("FIGURE five words, {one:?} against {two:?}, by {finder} alone: paired after {joined:.2?}");
    assert!(joined < JOINED, "{joined:?}");
    assert_eq!(host.paired_with(), [joiner_node.endpoint_id()]);
    assert_eq!(joiner.paired_with(), [host_node.endpoint_id()]);

    let folder = joiner.home().join("folder");
    tree::folder(&folder, 60, 400_000, 9);
    let id = host_node.device_id();
    joiner.run_within(2 * TEST_TIMEOUT, ["send".as_ref(), id.as_ref(), folder.as_os_str()]).expect_status(0);
    tree::assert_same_by_diff(&folder, &host.downloads().join("folder"));
}

#[test]
fn five_words_join_two_hosts_behind_two_home_routers_by_pkarr_alone() {
    five_words_join(Router::Easy, Router::Easy, "pkarr");
}

#[test]
fn five_words_join_two_hosts_behind_two_home_routers_by_the_dht_alone() {
    five_words_join(Router::Easy, Router::Easy, "dht");
}

#[test]
fn five_words_join_a_home_router_and_a_strict_one_by_pkarr_alone() {
    five_words_join(Router::Easy, Router::Hard, "pkarr");
}

#[test]
fn five_words_join_a_home_router_and_a_strict_one_by_the_dht_alone() {
    five_words_join(Router::Easy, Router::Hard, "dht");
}
