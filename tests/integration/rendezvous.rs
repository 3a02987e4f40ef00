//! Tests of pairing by five words: devices that know of each other only what real servers tell them. They run in mode
//! `relay-only`, which does not use the LAN, so a pairing without any other address proves that the servers suffice.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;
use yonder_core::discovery::{
    DhtEntry, MainlineDht, PkarrServer, RendezvousBackend,
    rendezvous::{Epoch, FinderWords, HostRecord, rendezvous_key},
};
use yonder_tests::{
    device::{Device, Node, text},
    program::TEST_TIMEOUT,
    servers::{DhtNet, Pkarr, Relay},
};

/// A URL at which nobody listens.
const CLOSED: &str = "http://127.0.0.1:9/pkarr";

fn by<'a>(relay: &'a Relay, servers: &[&'a str]) -> Vec<&'a str> {
    let authority = relay.authority.to_str().unwrap();
    let mut ways = vec!["--mode", "relay-only", "--relay", &relay.url, "--relay-ca", authority];
    ways.extend(servers);
    ways
}

fn two(ways: &[&str]) -> (Device, Node, Device, Node) {
    let host = Device::loopback("host").by_ways(ways.iter().copied());
    let joiner = Device::loopback("joiner").by_ways(ways.iter().copied());
    let (host_node, joiner_node) = (host.serve(), joiner.serve());
    assert!(joiner.devices().is_empty() && host.devices().is_empty(), "nobody is known and nobody is seen");
    (host, host_node, joiner, joiner_node)
}

/// Pairs by five words, and exchanges data both ways over the remembered relay.
#[track_caller]
fn five_words_join(what: &str, ways: &[&str]) {
    let (host, host_node, joiner, joiner_node) = two(ways);
    let begun = Instant::now();
    let mut hosting = host.start(["pair", "host", "--words", "5", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    assert_eq!(words.split('-').count(), 5, "{words}");
    // As a person types the words: their first letters, spaces, and upper case.
    let typed: Vec<String> = words.split('-').map(|word| word.chars().take(4).collect::<String>()).collect();
    let typed = if typed.iter().all(|word| word.len() == 4) { typed.join(" ").to_uppercase() } else { words.clone() };
    let joined = joiner.run(["pair", "join", &typed, "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    println!(
        "FIGURE five words by {what} on the loopback: both paired {:.2?} after the code was asked for",
        begun.elapsed()
    );
    assert!(joined.stderr.contains("on the internet"), "it says what it does\n{joined:#?}");
    assert_eq!(host.paired_with(), [joiner_node.endpoint_id()]);
    assert_eq!(joiner.paired_with(), [host_node.endpoint_id()]);
    joiner.run(["ping", &host_node.device_id(), "-c", "1"]).expect_status(0);
    host.run(["ping", &joiner_node.device_id(), "-c", "1"]).expect_status(0);
}

#[test]
fn five_words_join_by_a_pkarr_server_alone() {
    let (relay, pkarr) = (Relay::loopback(), Pkarr::loopback());
    five_words_join("a pkarr server", &by(&relay, &["--pkarr", &pkarr.url]));
    assert!(pkarr.answered() > 0);
}

#[test]
fn five_words_join_by_the_dht_alone() {
    let (relay, dht) = (Relay::loopback(), DhtNet::loopback());
    five_words_join("the DHT", &by(&relay, &["--dht-bootstrap", &dht.bootstrap]));
}

#[test]
fn of_two_ways_either_suffices() {
    let (relay, pkarr, dht) = (Relay::loopback(), Pkarr::loopback(), DhtNet::loopback());
    five_words_join("both", &by(&relay, &["--pkarr", &pkarr.url, "--dht-bootstrap", &dht.bootstrap]));
    five_words_join(
        "both, no pkarr server there",
        &by(&relay, &["--pkarr", CLOSED, "--dht-bootstrap", &dht.bootstrap]),
    );
    five_words_join("both, no DHT there", &by(&relay, &["--pkarr", &pkarr.url, "--dht-bootstrap", "127.0.0.1:9"]));
}

#[test]
fn five_words_pair_in_one_process_that_ends_with_the_command() {
    let (relay, pkarr) = (Relay::loopback(), Pkarr::loopback());
    let ways = by(&relay, &["--pkarr", &pkarr.url]);
    let host = Device::loopback("host").by_ways(ways.iter().copied());
    let joiner = Device::loopback("joiner").by_ways(ways.iter().copied());
    let mut hosting = host.start(["pair", "host", "--words", "5"]);
    let words = text(&hosting.expect_event("code"), "words");
    let mut joining = joiner.start(["pair", "join", &words]);
    let check = text(&hosting.expect_event("confirm"), "check_words");
    assert_eq!(check, text(&joining.expect_event("confirm"), "check_words"), "both people are asked, as ever");
    host.run(["approve"]).expect_status(0);
    joiner.run(["approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    joining.finish(TEST_TIMEOUT).expect_status(0);
}

#[test]
fn wrong_secret_words_cost_attempts_and_right_ones_work_until_they_are_used_up() {
    let (relay, pkarr) = (Relay::loopback(), Pkarr::loopback());
    let (host, _host_node, joiner, _joiner_node) = two(&by(&relay, &["--pkarr", &pkarr.url]));
    let mut hosting = host.start(["pair", "host", "--words", "5", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    let found: Vec<&str> = words.split('-').take(2).collect();
    let wrong = format!("{}-abandon-ability-able", found.join("-"));
    let try_with = |code: &str| joiner.run(["pair", "join", code, "--approve"]);
    try_with(&wrong).expect_error(3, &["code_wrong"]);
    try_with(&wrong).expect_error(3, &["code_wrong"]);
    try_with(&wrong).expect_error(3, &["code_wrong", "code_burnt"]);
    try_with(&words).expect_error(3, &["pairing_not_open", "code_burnt"]);
    hosting.finish(TEST_TIMEOUT).expect_error(3, &["code_burnt"]);
    assert!(host.paired_with().is_empty() && joiner.paired_with().is_empty());
}

/// Servers for a scene with false hosts: the real host shows three words, which everybody nearby knows, and attackers
/// publish records under the two finder words.
struct Left {
    pkarr: Pkarr,
    dht: DhtNet,
    relay: Relay,
    threads: tokio::runtime::Runtime,
}

impl Left {
    fn new() -> Self {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { pkarr: Pkarr::loopback(), dht: DhtNet::loopback(), relay: Relay::loopback(), threads }
    }

    fn device(&self, name: &str) -> Device {
        Device::loopback(name)
            .by_ways(by(&self.relay, &["--pkarr", &self.pkarr.url, "--dht-bootstrap", &self.dht.bootstrap]))
    }

    /// Publishes a record under the key of these two words for the epoch that is this many epochs from now. Anybody who
    /// guesses the words can do this.
    fn publish(&self, words: &str, epochs_from_now: i64, endpoint_id: &str, by_dht: bool) {
        self.publish_with(words, epochs_from_now, endpoint_id, &format!("{}/", self.relay.url), by_dht);
    }

    fn publish_with(&self, words: &str, epochs_from_now: i64, endpoint_id: &str, relay: &str, by_dht: bool) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let epoch = Epoch::of_number(Epoch::at(unix).number().checked_add_signed(epochs_from_now).unwrap());
        let key = rendezvous_key(&FinderWords::new(words.into()), epoch).unwrap();
        let record = HostRecord { endpoint_id: hex(endpoint_id), relay: relay.into() };
        let packet = record.sign(&key, unix.as_micros() as u64).unwrap();
        self.threads.block_on(async {
            if by_dht {
                MainlineDht::new(DhtEntry::Own(vec![self.dht.bootstrap.clone()])).publish(packet).await.unwrap();
            } else {
                server(&self.pkarr.url).publish(packet).await.unwrap();
            }
        });
    }
}

fn hex(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    }
    bytes
}

fn server(url: &str) -> PkarrServer {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    PkarrServer::new(url.parse().unwrap(), tls).unwrap()
}

#[test]
fn a_host_whose_clock_is_ten_minutes_off_is_found() {
    let left = Left::new();
    for (number, epochs) in [-1, 1].into_iter().enumerate() {
        let (host, joiner) = (left.device("host"), left.device("joiner"));
        let (host_node, _joiner_node) = (host.serve(), joiner.serve());
        let finder = ["amateur-fabric", "fabric-amateur"][number];
        left.publish(finder, epochs, &host_node.endpoint_id(), number == 0);
        let mut hosting = host.start(["pair", "host", "--approve"]);
        let words = text(&hosting.expect_event("code"), "words");
        joiner.run(["pair", "join", &format!("{finder}-{words}"), "--approve"]).expect_status(0);
        hosting.finish(TEST_TIMEOUT).expect_status(0);
    }
}

/// Six strangers guess the first two words, and publish records in every place where a joiner looks.
#[test]
fn of_many_false_hosts_three_are_tried_and_never_a_fourth() {
    let left = Left::new();
    let finder = "amateur-fabric";
    let false_hosts: Vec<Device> = (0..6).map(|number| left.device(&format!("false {number}"))).collect();
    let mut nodes: Vec<Node> = false_hosts.iter().map(Device::serve).collect();
    for (number, node) in nodes.iter().enumerate() {
        left.publish(finder, number as i64 % 3 - 1, &node.endpoint_id(), number >= 3);
    }
    let hosting: Vec<_> = false_hosts
        .iter()
        .map(|device| {
            let mut hosting = device.start(["pair", "host"]);
            hosting.expect_event("code");
            hosting
        })
        .collect();
    let joiner = left.device("joiner");
    let _joiner_node = joiner.serve();
    let code = format!("{finder}-brave-lion-sunset");
    let failed = joiner.run(["pair", "join", &code, "--approve"]).expect_error(3, &["too_many_hosts"]);
    assert!(failed.stderr.contains("false addresses"), "{failed:#?}");
    // A new attempt gives no other host a guess either.
    joiner.run(["pair", "join", &code, "--approve"]).expect_error(3, &["too_many_hosts"]);
    drop(hosting);
    let guessed = nodes.iter_mut().filter_map(|node| {
        node.running.find(Duration::from_millis(500), |line| {
            line["event"] == "pairing" && line["pairing"]["attempts_left"].as_u64().is_some_and(|left| left < 3)
        })
    });
    assert_eq!(guessed.count(), 3, "each of three hosts had a guess, and no other");
    assert!(joiner.paired_with().is_empty());
}

#[test]
fn where_no_server_answers_it_is_said_and_the_link_still_works() {
    let relay = Relay::loopback();
    let (host, _host_node, joiner, _joiner_node) =
        two(&by(&relay, &["--pkarr", CLOSED, "--dht-bootstrap", "127.0.0.1:9"]));
    let mut hosting = host.start(["pair", "host", "--words", "5", "--approve"]);
    let code = hosting.expect_event("code");
    let joined = joiner.run(["pair", "join", &text(&code, "words"), "--approve"]);
    let joined = joined.expect_error(4, &["rendezvous_unreachable"]);
    assert!(joined.took < Duration::from_secs(40), "a person waits {:?}", joined.took);
    joiner.run(["pair", "join", &text(&code, "link"), "--approve"]).expect_status(0);
    let hosted = hosting.finish(TEST_TIMEOUT).expect_status(0);
    assert!(hosted.stderr.contains("No server answers"), "the host's person is told\n{hosted:#?}");
}

#[test]
fn where_no_server_may_be_asked_five_words_are_refused_with_a_way_out() {
    let relay = Relay::loopback();
    let lan = Device::loopback("lan");
    let alone = Device::loopback("alone").by_ways(by(&relay, &[]));
    for device in [&lan, &alone] {
        let _node = device.serve();
        let refused = device.run(["pair", "host", "--words", "5"]).expect_error(1, &["no_rendezvous"]);
        assert!(refused.stderr.contains("three words"), "{refused:#?}");
        // The failed attempt leaves no pairing open.
        device.run(["approve"]).expect_status(1);
    }
}

#[test]
fn who_is_not_there_is_looked_for_until_the_person_has_enough() {
    let (relay, pkarr) = (Relay::loopback(), Pkarr::loopback());
    let joiner = Device::loopback("joiner").by_ways(by(&relay, &["--pkarr", &pkarr.url]));
    let mut node = joiner.serve();
    let looking = joiner.start(["pair", "join", "amateur-fabric-brave-lion-sunset"]);
    node.running.expect("look on the internet", TEST_TIMEOUT, |line| line["pairing"]["note"] == "looking");
    looking.interrupt();
    let ended = looking.finish(TEST_TIMEOUT).expect_status(1);
    assert_eq!(ended.event("error").map(|error| error["code"].clone()), Some("interrupted".into()), "{ended:#?}");
    node.running.expect("end of it", TEST_TIMEOUT, |line| line["pairing"]["step"] == "idle");
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
}

/// A pkarr server whose clock is an hour ahead, and that has no records.
#[test]
fn a_clock_that_is_too_far_off_is_said_to_be_the_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/pkarr", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked);
                let answer = "HTTP/1.1 404 Not Found\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\
                              connection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    let relay = Relay::loopback();
    let joiner = Device::loopback("joiner").by_ways(by(&relay, &["--pkarr", &url]));
    let _node = joiner.serve();
    let failed = joiner.run(["pair", "join", "amateur-fabric-brave-lion-sunset"]).expect_error(4, &["no_host_found"]);
    assert!(failed.stderr.contains("clock seems to be off"), "{failed:#?}");
}

#[test]
fn addresses_of_servers_that_are_none_are_wrong_usage() {
    let device = Device::loopback("device");
    for wrong in [
        ["--pkarr", "pkarr.example"],
        ["--pkarr", "ftp://pkarr.example"],
        ["--dht-bootstrap", "node.example"],
        ["--dht-bootstrap", "[::1]:6881"],
        ["--relay", "relay.example"],
    ] {
        device.run(["id"].iter().chain(&wrong)).expect_error(2, &["invalid_input", "usage"]);
    }
    let device = Device::loopback("other").by_ways(["--mode", "relay-only"]);
    device.run(["id", "--pkarr", "https://pkarr.example/pkarr"]).expect_error(2, &["invalid_input"]);
}

/// Both devices move to relays that the other has never heard of, and their old relay is gone. They can meet again only
/// through the records that they publish themselves.
#[track_caller]
fn paired_devices_find_each_other_anew(servers: &[&str]) -> (String, String) {
    let mut relays = vec![Relay::loopback(), Relay::loopback(), Relay::loopback()];
    let home = TempDir::new().unwrap();
    let authorities: PathBuf = home.path().join("authorities.pem");
    let all: Vec<String> = relays.iter().map(|relay| std::fs::read_to_string(&relay.authority).unwrap()).collect();
    std::fs::write(&authorities, all.concat()).unwrap();
    let on = |relay: &Relay| {
        let mut ways = vec!["--mode", "relay-only", "--relay", &relay.url, "--relay-ca", authorities.to_str().unwrap()];
        ways.extend(servers);
        ways.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let (host, joiner) =
        (Device::loopback("host").by_ways(on(&relays[0])), Device::loopback("joiner").by_ways(on(&relays[0])));
    let (host_node, joiner_node) = (host.serve(), joiner.serve());
    host.run(["rename", "Secret name"]).expect_status(0);
    let ids = (host_node.endpoint_id(), joiner_node.endpoint_id());
    let mut hosting = host.start(["pair", "host", "--words", "5", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    joiner.run(["pair", "join", &words, "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);

    host_node.stop();
    joiner_node.stop();
    let (host, joiner) = (host.by_ways(on(&relays[1])), joiner.by_ways(on(&relays[2])));
    // With the old relay still there, both would wait at it and meet.
    drop(relays.remove(0));
    let (_host_node, _joiner_node) = (host.serve(), joiner.serve());
    let end = Instant::now() + TEST_TIMEOUT;
    while joiner.run(["ping", &ids.0, "-c", "1"]).status != Some(0) {
        assert!(Instant::now() < end, "they do not find each other");
    }
    ids
}

#[test]
fn paired_devices_find_each_other_by_pkarr_and_tell_it_their_relay_alone() {
    let pkarr = Pkarr::loopback();
    let (host, _) = paired_devices_find_each_other_anew(&["--pkarr", &pkarr.url]);
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let key = iroh::PublicKey::from_bytes(&hex(&host)).unwrap();
    let looked = threads.block_on(server(&pkarr.url).look_up(key)).unwrap();
    let strings = looked.packets.first().expect("it has left a record").all_txt_records();
    assert!(strings.iter().all(|(_, text)| text.starts_with("relay=https://127.0.0.1:")), "{strings:?}");
    assert_eq!(strings.len(), 1, "no address, no name: {strings:?}");
}

/// In mode `normal` a device has direct addresses, too. They are for its paired devices only.
#[test]
fn a_devices_own_record_names_no_address_and_no_name() {
    let (relay, pkarr) = (Relay::loopback(), Pkarr::loopback());
    let mut ways = by(&relay, &["--pkarr", &pkarr.url]);
    ways[1] = "normal";
    let device = Device::loopback("device").by_ways(ways);
    device.run(["rename", "Private name"]).expect_status(0);
    let node = device.serve();
    assert!(node.ready["addresses"].as_array().is_some_and(|addresses| !addresses.is_empty()), "{}", node.ready);
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let key = iroh::PublicKey::from_bytes(&hex(&node.endpoint_id())).unwrap();
    let end = Instant::now() + TEST_TIMEOUT;
    let packet = loop {
        let looked = threads.block_on(server(&pkarr.url).look_up(key)).unwrap();
        // The first record is empty, because the relay is not known yet.
        if let Some(packet) = looked.packets.into_iter().find(|packet| !packet.all_txt_records().is_empty()) {
            break packet;
        }
        assert!(Instant::now() < end, "it leaves no record");
    };
    let strings = packet.all_txt_records();
    assert_eq!(strings.len(), 1, "{strings:?}");
    assert!(strings[0].1.starts_with("relay=https://127.0.0.1:"), "{strings:?}");
    assert!(!String::from_utf8_lossy(packet.as_bytes()).contains("Private"), "its name is there");
}

/// A record must not make a stranger's device connect without encryption to wherever a forger likes.
#[test]
fn a_relay_without_tls_that_is_not_ones_own_is_never_asked() {
    let left = Left::new();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let (host, joiner) = (left.device("host"), left.device("joiner"));
    let (host_node, _joiner_node) = (host.serve(), joiner.serve());
    let plain = format!("http://{}/", trap.local_addr().unwrap());
    let nobody = iroh::SecretKey::from_bytes(&[8; 32]).public().to_string();
    left.publish_with("amateur-fabric", 0, &nobody, &plain, false);
    left.publish("amateur-fabric", 1, &host_node.endpoint_id(), false);
    let mut hosting = host.start(["pair", "host", "--approve"]);
    let words = text(&hosting.expect_event("code"), "words");
    joiner.run(["pair", "join", &format!("amateur-fabric-{words}"), "--approve"]).expect_status(0);
    hosting.finish(TEST_TIMEOUT).expect_status(0);
    assert_eq!(trap.accept().map(|_| ()).unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "it was asked");
}

#[test]
fn paired_devices_find_each_other_by_the_dht() {
    let dht = DhtNet::loopback();
    paired_devices_find_each_other_anew(&["--dht-bootstrap", &dht.bootstrap]);
}
