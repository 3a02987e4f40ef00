//! False hosts: devices that announce a code, and answer every joiner that its words are wrong. After that answer a
//! joiner goes on to the next host, so without a limit it would give each of them a guess.

use iroh::{Endpoint, endpoint::presets};
use serde_json::json;
use yonder_core::{
    api::{DeviceType, Discoverable},
    discovery::{Advert, MdnsDiscovery},
    net::ALPN_PAIRING,
};

use crate::say;

/// `Refused`, wrong code, as a frame with its length prefix.
const WRONG: [u8; 7] = [3, 0, 0, 0, 1, 4, 1];

/// Runs this many hosts, all with the same name.
pub async fn run(name: &str, count: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=count {
        let endpoint =
            Endpoint::builder(presets::Minimal).alpns(vec![ALPN_PAIRING.to_vec()]).bind().await.expect("bind");
        let advert = Advert { name: name.into(), device_type: DeviceType::Laptop, pairing: true };
        tasks.spawn(host(endpoint, advert, number));
    }
    say(&json!({ "event": "ready", "hosts": count }));
    tasks.join_all().await;
}

async fn host(endpoint: Endpoint, advert: Advert, number: usize) {
    let (_mdns, advertiser, running) = MdnsDiscovery::start(endpoint.id(), Discoverable::Everyone).expect("mDNS");
    tokio::spawn(running);
    endpoint.address_lookup().expect("a running endpoint").add(advertiser.clone());
    advertiser.say(&advert);
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.await else { continue };
        say(&json!({ "event": "dialled", "host": number }));
        let Ok((mut send, mut recv)) = connection.accept_bi().await else { continue };
        let mut hello = [0; 64];
        let heard = recv.read(&mut hello).await.ok().flatten().unwrap_or(0);
        say(&json!({ "event": "heard", "host": number, "bytes": heard }));
        let _ = send.write_all(&WRONG).await;
        let _ = send.finish();
        connection.closed().await;
    }
}
