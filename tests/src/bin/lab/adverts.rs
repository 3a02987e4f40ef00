//! Sends many forged mDNS records.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use iroh::{EndpointId, SecretKey};
use serde_json::json;
use yonder_core::{api::DeviceType, discovery::Advert};

use crate::{dns, say};

/// Packets sent at once; more would overflow the receivers' buffers and be lost there.
const BURST: usize = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// Sends records of `count` devices that do not exist, all called `name` and all showing a code; or, with `id`, forged
/// records of the device with that id. Each round is reported.
pub fn send(name: &str, count: usize, at: SocketAddrV4, rounds: usize, id: Option<&str>) {
    let says = Advert { name: name.into(), device_type: DeviceType::Desktop, pairing: id.is_none() }.encode();
    let ids: Vec<EndpointId> = match id {
        Some(id) => vec![id.parse().expect("an endpoint id")],
        None => (0..count).map(|_| SecretKey::generate().public()).collect(),
    };
    let records: Vec<Vec<u8>> = ids.iter().map(|id| dns::record(id.as_bytes(), at, &says)).collect();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    for round in 1..=rounds {
        for (number, record) in records.iter().cycle().take(count).enumerate() {
            if number % BURST == 0 {
                std::thread::sleep(PAUSE);
            }
            socket.send_to(record, (Ipv4Addr::new(224, 0, 0, 251), 5353)).expect("multicast goes out");
        }
        say(&json!({ "event": "round", "round": round, "adverts": count }));
    }
}
