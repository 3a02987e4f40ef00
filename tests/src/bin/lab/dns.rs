//! The part of a DNS message that an mDNS record of a Yonder device needs, written by hand, because a forger would not
//! be limited by a library either.

use std::net::SocketAddrV4;

use yonder_core::discovery::SERVICE_NAME;

const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;
const A: u16 = 1;
const SECONDS: u32 = 120;

/// Encodes the record of a device at this address with this description.
pub fn record(endpoint_id: &[u8; 32], at: SocketAddrV4, says: &str) -> Vec<u8> {
    let id = data_encoding::BASE32_NOPAD.encode(endpoint_id).to_ascii_lowercase();
    let service = [format!("_{SERVICE_NAME}"), "_udp".into(), "local".into()];
    let mut own = vec![id.clone()];
    own.extend(service.clone());
    let target = [format!("{id}-{}", at.port()), "local".into()];

    // Header: an authoritative response with three answers and one additional record.
    let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 3, 0, 0, 0, 1];
    answer(&mut message, &service, PTR, &name(&own));
    let mut place = vec![0, 0, 0, 0];
    place.extend(at.port().to_be_bytes());
    place.extend(name(&target));
    answer(&mut message, &own, SRV, &place);
    let text = format!("user-data={says}");
    let mut texts = vec![u8::try_from(text.len()).expect("a TXT string has 255 bytes at most")];
    texts.extend(text.as_bytes());
    answer(&mut message, &own, TXT, &texts);
    answer(&mut message, &target, A, &at.ip().octets());
    message
}

fn answer(message: &mut Vec<u8>, about: &[String], kind: u16, data: &[u8]) {
    message.extend(name(about));
    message.extend(kind.to_be_bytes());
    message.extend(1u16.to_be_bytes());
    message.extend(SECONDS.to_be_bytes());
    message.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    message.extend(data);
}

fn name(labels: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in labels {
        assert!(label.len() < 64, "a label has 63 bytes at most: {label}");
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
