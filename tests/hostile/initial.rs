//! First packets of connections that are never completed: a QUIC version 1 Initial packet (RFC 9000, 17.2.2; RFC 9001,
//! 5.2) with the beginning of a ClientHello. They are built without an endpoint, so they cost the sender next to
//! nothing.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use rustls::{
    Side,
    crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
    quic::{Keys, Version},
};

use crate::wire::random;

/// Minimum size of a datagram that starts a connection, in bytes (RFC 9000, 14.1).
const DATAGRAM: usize = 1200;

/// Returns a first packet with a random connection id. The node waits for the rest of the ClientHello.
pub fn packet() -> Vec<u8> {
    let destination: [u8; 8] = random();
    let source: [u8; 8] = random();
    // Long header, type Initial, packet number of four bytes.
    let mut packet = vec![0xc3, 0, 0, 0, 1, 8];
    packet.extend_from_slice(&destination);
    packet.push(8);
    packet.extend_from_slice(&source);
    // No token; then the length of the rest, as a varint of two bytes.
    packet.push(0);
    let number_at = packet.len() + 2;
    let length = DATAGRAM - number_at;
    packet.extend_from_slice(&(0x4000 | length as u16).to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    let header = packet.len();
    // CRYPTO frame at offset 0: a ClientHello (1) of 1,400 bytes, of which 200 are sent.
    packet.extend_from_slice(&[0x06, 0x00, 0x40, 200, 0x01, 0x00, 0x05, 0x78, 0x03, 0x03]);
    packet.resize(packet.len() + 194, 0x2a);
    let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite()).expect("a suite for QUIC");
    let Keys { local, .. } = suite.keys(&destination, Side::Client, Version::V1);
    // PADDING frames are zero bytes.
    packet.resize(DATAGRAM - local.packet.tag_len(), 0);
    let (head, payload) = packet.split_at_mut(header);
    let tag = local.packet.encrypt_in_place(0, head, payload).expect("it is short enough");
    packet.extend_from_slice(tag.as_ref());
    let (head, payload) = packet.split_at_mut(header);
    let (first, rest) = head.split_at_mut(1);
    let number = &mut rest[number_at - 1..];
    local.header.encrypt_in_place(&payload[..local.header.sample_len()], &mut first[0], number).expect("a sample");
    packet
}

/// Sends first packets at a steady rate.
pub struct Flood {
    sockets: Vec<UdpSocket>,
    sent: u64,
    begun: Instant,
    every: Duration,
}

impl Flood {
    /// Sends from this number of loopback addresses, the only one being `127.0.0.1`; `from` keeps several floods apart.
    pub fn new(addresses: u8, from: u8, per_second: u32) -> Self {
        let sockets = (0..addresses)
            .map(|number| {
                let at = if addresses == 1 { 1 } else { 2 + from.wrapping_mul(addresses).wrapping_add(number) % 250 };
                UdpSocket::bind((Ipv4Addr::new(127, 0, 0, at), 0)).expect("a loopback address")
            })
            .collect();
        Self { sockets, sent: 0, begun: Instant::now(), every: Duration::from_secs(1) / per_second }
    }

    /// Sends the packets that are due by now, and returns how many were sent in all.
    pub fn send_due(&mut self, to: SocketAddr) -> u64 {
        while self.begun + self.every * self.sent as u32 <= Instant::now() {
            let socket = &self.sockets[self.sent as usize % self.sockets.len()];
            // A node that is restarting has no socket, and the packet is lost.
            let _ = socket.send_to(&packet(), to);
            self.sent += 1;
        }
        self.sent
    }
}
