//! The servers of `yonder_tests::servers`, on a host of a lab.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde_json::json;
use yonder_tests::servers::{DhtNet, Pkarr, QAD_PORT, Relay, RelaySetup};

use crate::say;

const DHT_PORT: u16 = 6881;
const DHT_NODES: usize = 5;

/// Runs the named servers until it is killed. The relay may have a token, `relay=TOKEN`, or a delay of
/// `slow=MILLISECONDS` each way, which excludes address discovery.
pub fn run(at: Ipv4Addr, which: &[&str]) {
    let known = |word: &&str| {
        ["relay", "pkarr", "dht"].contains(word) || word.starts_with("relay=") || word.starts_with("slow=")
    };
    assert!(which.iter().all(known), "not one of these is known: {which:?}");
    let wants = |name| which.contains(&name);
    let after = |head: &str| which.iter().find_map(|word| word.strip_prefix(head));
    let token = after("relay=").map(str::to_owned);
    let relay = (wants("relay") || token.is_some()).then(|| {
        let delay = after("slow=").map_or(0, |text| text.parse().expect("milliseconds"));
        let home = std::env::temp_dir().join("relay");
        std::fs::create_dir_all(&home).expect("a folder");
        Relay::start(RelaySetup {
            at: SocketAddr::from((at, 443)),
            qad: (delay == 0).then_some(QAD_PORT),
            token,
            delay: Duration::from_millis(delay),
            rate: None,
            // Restarted in the same folder, the relay has the same certificate.
            home: Some(home),
        })
    });
    let pkarr = wants("pkarr").then(|| Pkarr::on(SocketAddr::from((at, 8080))));
    let dht = wants("dht").then(|| DhtNet::on(at, DHT_PORT, DHT_NODES));
    say(&json!({
        "event": "ready",
        "relay": relay.as_ref().map(|relay| &relay.url),
        "authority": relay.as_ref().map(|relay| &relay.authority),
        "pkarr": pkarr.as_ref().map(|pkarr| &pkarr.url),
        "dht": dht.as_ref().map(|dht| &dht.bootstrap),
    }));
    loop {
        std::thread::park();
    }
}
