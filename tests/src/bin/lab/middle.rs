//! The machine in the middle: it accepts pairings as if it were the host, dials the real host, and relays every byte
//! both ways until one side closes. It records everything.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use iroh::{
    Endpoint, EndpointAddr,
    endpoint::{Connection, ConnectionError, RecvStream, SendStream, VarInt, presets},
};
use serde_json::json;
use yonder_core::{
    api::{DeviceType, Discoverable},
    discovery::{Advert, MdnsDiscovery},
    net::ALPN_PAIRING,
};

use crate::say;

type Record = Arc<Mutex<File>>;

/// Runs in front of `host` under its name, and writes what passes into `record`.
pub async fn run(name: &str, host: EndpointAddr, record: &Path) {
    let record = Arc::new(Mutex::new(File::create(record).expect("a file for the record")));
    let endpoint = Endpoint::builder(presets::Minimal).alpns(vec![ALPN_PAIRING.to_vec()]).bind().await.expect("bind");
    let (_mdns, advertiser, running) = MdnsDiscovery::start(endpoint.id(), Discoverable::Everyone).expect("mDNS");
    tokio::spawn(running);
    endpoint.address_lookup().expect("a running endpoint").add(advertiser.clone());
    advertiser.say(&Advert { name: name.into(), device_type: DeviceType::Desktop, pairing: true });
    say(&json!({ "event": "ready", "endpoint_id": endpoint.id().to_string() }));
    while let Some(incoming) = endpoint.accept().await {
        let (endpoint, host, record) = (endpoint.clone(), host.clone(), record.clone());
        tokio::spawn(async move {
            let Ok(joiner) = incoming.await else { return };
            match relay(&endpoint, &joiner, host, record).await {
                Ok((to_host, to_joiner)) => {
                    say(&json!({ "event": "relayed", "to_host": to_host, "to_joiner": to_joiner }))
                }
                Err(error) => say(&json!({ "event": "broken", "error": error.to_string() })),
            }
        });
    }
}

/// Relays one pairing, and returns how many bytes went to the host and to the joiner.
async fn relay(
    endpoint: &Endpoint,
    joiner: &Connection,
    host: EndpointAddr,
    record: Record,
) -> Result<(u64, u64), Box<dyn std::error::Error + Send + Sync>> {
    let real = endpoint.connect(host, ALPN_PAIRING).await?;
    let (to_host, from_host) = real.open_bi().await?;
    let (to_joiner, from_joiner) = joiner.accept_bi().await?;
    let forth = pass(from_joiner, to_host, record.clone());
    let back = pass(from_host, to_joiner, record);
    let both = async { tokio::join!(forth, back) };
    let hung_up = async {
        // Whichever side closes first, the other one gets the same code.
        tokio::select! {
            reason = real.closed() => joiner.close(code(&reason), b""),
            reason = joiner.closed() => real.close(code(&reason), b""),
        }
    };
    Ok(tokio::join!(both, hung_up).0)
}

async fn pass(mut from: RecvStream, mut to: SendStream, record: Record) -> u64 {
    let mut buffer = vec![0; 16384];
    let mut count = 0;
    while let Ok(Some(read)) = from.read(&mut buffer).await {
        record.lock().unwrap().write_all(&buffer[..read]).expect("the record is written");
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
        count += read as u64;
    }
    let _ = to.finish();
    count
}

fn code(reason: &ConnectionError) -> VarInt {
    match reason {
        ConnectionError::ApplicationClosed(close) => close.error_code,
        _ => VarInt::from_u32(0),
    }
}
