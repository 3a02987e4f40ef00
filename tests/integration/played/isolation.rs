//! Tests that one device, or one unknown peer, takes nothing that belongs to others: while it does its worst, two
//! honest devices find everything as it was.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::{
    Endpoint, EndpointAddr,
    endpoint::{Connection, QuicTransportConfig, SendStream, VarInt, presets},
};
use yonder_tests::device::{Device, Node, pair};

use crate::peer::{
    MESSAGE, PAIRING, Peer, TEST_TIMEOUT, TRANSFER, address, paired_peer, runtime, say, show_code, wait_for,
};

/// Longest duration of actions that otherwise take a moment.
const SOON: Duration = Duration::from_secs(4);
/// Time without progress after which a stream or connection counts as full.
const NO_ROOM: Duration = Duration::from_millis(400);

#[test]
fn a_device_that_reads_nothing_holds_up_no_other() {
    let (host, friend) = (Device::loopback("host"), Device::loopback("friend"));
    let (node, friend_node) = (host.serve(), friend.serve());
    pair(&host, &node, &friend);
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&host, &node, "Stingy").await;
        let key = peer.secret_key();
        peer.endpoint.close().await;
        // The peer allows one stream and never reads it: the node's hello uses it up.
        let one_stream = QuicTransportConfig::builder().max_concurrent_uni_streams(VarInt::from_u32(1)).build();
        let stingy = Peer::with_transport(key, one_stream).await;
        let connection = stingy.dial(&node, MESSAGE).await;
        let keys = stingy.session(&connection, &secret).await.expect("a session");
        // Each of these asks for an answer: an acknowledgement, a step of new keys, a pong.
        let hello = r#"{"kind":"hello","name":"Stingy","device_type":"laptop","instance":7}"#;
        say(&connection, &keys, hello).await;
        for number in 1..=10 {
            let text = format!(
                r#"{{"kind":"text","origin":5,"number":{number},"base":1,"sent_at":1,"text":"Do you hear me?"}}"#
            );
            say(&connection, &keys, &text).await;
        }
        let offer = format!(r#"{{"kind":"rotate_offer","public":"{}"}}"#, "09".repeat(32));
        say(&connection, &keys, &offer).await;
        wait_for("its first text", || !texts(&host).is_empty());

        // Meanwhile texts go both ways and are acknowledged, names are announced, and new keys are agreed on.
        for (from, to) in [(&friend, &node), (&host, &friend_node)] {
            let begun = Instant::now();
            let sent = from.run(["text", &to.device_id(), "Is anybody there?"]).expect_status(0);
            assert_eq!(sent.lines[0]["state"], "delivered");
            assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        }
        host.run(["rename", "Attic"]).expect_status(0);
        wait_for("the new name", || {
            friend.run(["devices"]).expect_status(0).lines.iter().any(|line| line["announced"]["name"] == "Attic")
        });
        assert!(connection.close_reason().is_none(), "it is still there while all this goes on");
    });
}

fn texts(device: &Device) -> Vec<serde_json::Value> {
    device.run(["messages"]).expect_status(0).lines
}

#[test]
fn a_device_has_three_sessions_of_a_kind_and_bounded_bytes_unread() {
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&host, &node, "Greedy").await;
        for alpn in [MESSAGE, TRANSFER] {
            let name = String::from_utf8_lossy(alpn);
            let mut sessions = Vec::new();
            for _ in 0..20 {
                let connection = peer.dial(&node, alpn).await;
                peer.session(&connection, &secret).await.expect("a session");
                sessions.push(connection);
            }
            let open = || sessions.iter().filter(|connection| connection.close_reason().is_none()).count();
            wait_for(&format!("three sessions for {name}"), || open() <= 3);
            assert!(sessions.last().unwrap().close_reason().is_none(), "{name}: the newest one stays");
        }

        // Before the session handshake, and on a pairing connection, the limit is a few hellos.
        let (_hosting, _words) = show_code(&host);
        for alpn in [PAIRING, MESSAGE, TRANSFER] {
            let connection = peer.dial(&node, alpn).await;
            let (streams, bytes) = fill(&connection).await;
            assert_eq!((streams, bytes), (4, 64 << 10), "{}", String::from_utf8_lossy(alpn));
        }
        // After the handshake, and without consent to anything, the limit is what the protocol needs.
        let connection = peer.dial(&node, MESSAGE).await;
        peer.session(&connection, &secret).await.expect("a session");
        // The first message is begun and not finished, and the others wait for it.
        let mut first = connection.open_uni().await.unwrap();
        first.write_all(&100_u32.to_le_bytes()).await.unwrap();
        let (streams, bytes) = fill(&connection).await;
        assert!(streams <= 32 && bytes <= 512 << 10, "{streams} streams, {bytes} bytes");
    });
}

/// Opens streams and writes into them as long as there is room. Returns how many streams and bytes were accepted.
async fn fill(connection: &Connection) -> (usize, usize) {
    let mut streams: Vec<SendStream> = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(NO_ROOM, connection.open_uni()).await {
        streams.push(stream);
    }
    let mut bytes = 0;
    for stream in &mut streams {
        while let Ok(Ok(written)) = tokio::time::timeout(NO_ROOM, stream.write(&[0; 64 << 10])).await {
            bytes += written;
        }
    }
    (streams.len(), bytes)
}

/// First packets of connections that are never established, replayed from addresses at which nobody is.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    /// Starts a flood of a hundred connections a second, after a burst of as many.
    async fn of(node: &Node) -> Self {
        const CAPTURED: usize = 150;
        let packets = first_packets(node, CAPTURED).await;
        let to = SocketAddr::from(([127, 0, 0, 1], node.ready["port"].as_u64().unwrap() as u16));
        let from: Vec<_> = (1..=8)
            .map(|n| std::net::UdpSocket::bind(SocketAddr::from(([127, 0, 0, n], 0))).expect("a loopback address"))
            .collect();
        let send = move |n: usize| {
            for packet in &packets[n % packets.len()] {
                let _ = from[n % from.len()].send_to(packet, to);
            }
        };
        (0..CAPTURED).for_each(&send);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            for n in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                send(n);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns first packets to a node, by connection; they were sent to another address, where nobody answers.
async fn first_packets(node: &Node, count: usize) -> Vec<Vec<Vec<u8>>> {
    let nowhere = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::builder(presets::Minimal).clear_ip_transports().bind_addr("127.0.0.1:0").unwrap();
    let endpoint = endpoint.bind().await.unwrap();
    let address = EndpointAddr::new(address(node).id).with_ip_addr(nowhere.local_addr().unwrap());
    let mut dials = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (endpoint, address) = (endpoint.clone(), address.clone());
        dials.spawn(async move { endpoint.connect(address, MESSAGE).await.is_ok() });
    }
    let mut captured: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
    let mut buffer = [0; 2048];
    let read = async {
        // The last connection may be cut off here; it is replayed as far as it was captured.
        while captured.len() < count {
            let length = nowhere.recv(&mut buffer).await.unwrap();
            // Long header: a byte, the version, and the connection id after its length.
            let id = buffer[6..6 + usize::from(buffer[5])].to_vec();
            captured.entry(id).or_default().push(buffer[..length].to_vec());
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, read).await.expect("connections that begin");
    captured.into_values().collect()
}

#[test]
fn a_hundred_packets_a_second_keep_nobody_out_while_they_come() {
    let (host, friend, newcomer) = (Device::loopback("host"), Device::loopback("friend"), Device::loopback("newcomer"));
    let (node, friend_node, _newcomer_node) = (host.serve(), friend.serve(), newcomer.serve());
    pair(&host, &node, &friend);
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&host, &node, "Paired").await;
        let flood = Flood::of(&node).await;
        let mut worst = Duration::ZERO;
        for round in 0..6 {
            // A new session of a paired device.
            let begun = Instant::now();
            let connection = peer.dial(&node, if round % 2 == 0 { MESSAGE } else { TRANSFER }).await;
            peer.session(&connection, &secret).await.expect("a session");
            worst = worst.max(begun.elapsed());
            connection.close(0u8.into(), b"");
        }
        // A pairing.
        let (hosting, words) = show_code(&host);
        let begun = Instant::now();
        newcomer.run(["pair", "join", &words, "--approve", "--device", &node.at()]).expect_status(0);
        let paired = begun.elapsed();
        hosting.finish(TEST_TIMEOUT).expect_status(0);
        // A session that existed before the flood.
        friend.run(["text", &node.device_id(), "Still here."]).expect_status(0);
        println!(
            "FIGURE under a flood of first packets: a session after {worst:?} at worst, a pairing after {paired:?}"
        );
        assert!(worst < SOON && paired < 2 * SOON, "{worst:?}, {paired:?}");
        drop(flood);
    });
    assert_eq!(host.paired_with().len(), 3);
    drop(friend_node);
}
