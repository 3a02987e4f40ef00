//! Reference flows to compare Yonder with: TCP, and bare streams of the transport.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use serde_json::json;
use yonder_core::net::RawTransport;

use crate::say;

/// Interval between reports of received bytes.
const TELL: Duration = Duration::from_millis(100);

/// Accepts one TCP connection, and reports how much was received until it ends.
pub fn take_tcp(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a port");
    say(&json!({ "event": "ready" }));
    let (mut stream, _) = listener.accept().expect("a connection");
    let (begun, mut told) = (Instant::now(), Instant::now());
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        bytes += count;
        if told.elapsed() >= TELL {
            told = Instant::now();
            say(&json!({ "event": "taken", "bytes": bytes, "seconds": begun.elapsed().as_secs_f64() }));
        }
    }
    say(&json!({ "event": "over", "bytes": bytes, "seconds": begun.elapsed().as_secs_f64() }));
}

/// Sends as much as possible over TCP for this time, with this congestion control.
pub fn pour_tcp(to: SocketAddrV4, control: &str, seconds: f64) {
    let mut stream = TcpStream::connect(to).expect("somebody takes it");
    rustix::net::sockopt::set_tcp_congestion(&stream, control)
        .unwrap_or_else(|error| panic!("no congestion control {control:?} in this kernel: {error}"));
    let (begun, buffer) = (Instant::now(), vec![0x5a; 64 << 10]);
    // A receiver that hangs must not block the sender forever.
    stream.set_write_timeout(Some(Duration::from_secs(10))).expect("not zero");
    while begun.elapsed().as_secs_f64() < seconds {
        stream.write_all(&buffer).expect("the other end reads");
    }
    say(&json!({ "event": "poured" }));
}

/// Accepts bare streams at this address until it is killed.
pub async fn take_bare(at: Ipv4Addr) {
    let transport = RawTransport::bind(SocketAddr::from((at, 0))).await.expect("an address of this host");
    say(&json!({ "event": "ready", "address": transport.address() }));
    transport.serve().await;
}

/// Sends this many bytes over this many bare streams, and reports how long it took.
pub async fn push_bare(from: Ipv4Addr, to: &str, streams: u8, bytes: u64) {
    let transport = RawTransport::bind(SocketAddr::from((from, 0))).await.expect("an address of this host");
    let line = transport.dial(to).await.expect("it answers");
    let took = line.push(streams, bytes).await.expect("all arrives");
    say(&json!({ "event": "pushed", "bytes": bytes, "seconds": took.as_secs_f64() }));
    transport.close().await;
}
