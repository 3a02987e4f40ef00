//! The servers of `yonder_tests::servers`, on a host of a lab.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;
use yonder_tests::servers::{DhtNet, Pkarr, QAD_PORT, Relay};

use crate::say;

const DHT_PORT: u16 = 6881;
const DHT_NODES: usize = 5;

/// Runs those that are named until it is killed.
pub fn run(at: Ipv4Addr, which: &[&str]) {
    assert!(which.iter().all(|name| ["relay", "pkarr", "dht"].contains(name)), "not one of these is known: {which:?}");
    let wants = |name| which.contains(&name);
    let relay = wants("relay").then(|| Relay::on(SocketAddr::from((at, 443)), Some(QAD_PORT)));
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
