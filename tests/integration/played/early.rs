//! Tests of early data (0-RTT). TLS could accept it, and anybody who recorded it could replay it, so it must never have
//! an effect.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use iroh::{
    Endpoint, EndpointAddr, TransportAddr,
    endpoint::{ConnectOptions, RecvStream, ZeroRttStatus, presets},
};
use tokio::net::UdpSocket;
use yonder_core::{
    keys::{InitiatorHandshake, random_key},
    net::{read_frame, write_frame},
};
use yonder_tests::device::{Device, Node};

use crate::peer::{MESSAGE, PAIRING, Peer, TEST_TIMEOUT, code_of, fresh_key, pair_with, runtime, show_code};

/// The only path between a client on the IPv6 loopback and the node on the IPv4 loopback. It can be closed to all but
/// early packets: then the client's end of the TLS handshake never arrives, as with a replayed recording.
struct Wire {
    address: SocketAddr,
    early_alone: Arc<AtomicBool>,
    /// Number of datagrams with early data that have passed.
    early: Arc<AtomicUsize>,
    tasks: tokio::task::JoinSet<()>,
}

impl Wire {
    async fn to(node: &Node) -> Self {
        let near = Arc::new(UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap());
        let far = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).await.unwrap());
        far.connect(("127.0.0.1", node.ready["port"].as_u64().unwrap() as u16)).await.unwrap();
        let address = near.local_addr().unwrap();
        let (early_alone, early) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (client_told, client) = tokio::sync::watch::channel(None);
        let mut tasks = tokio::task::JoinSet::new();
        let (from, to, closed, count) = (near.clone(), far.clone(), early_alone.clone(), early.clone());
        tasks.spawn(async move {
            let mut buffer = [0; 65_536];
            while let Ok((length, who)) = from.recv_from(&mut buffer).await {
                client_told.send_replace(Some(who));
                let kinds = kinds(&buffer[..length]);
                if closed.load(Ordering::SeqCst) && !kinds.iter().all(|kind| [INITIAL, ZERO_RTT].contains(kind)) {
                    continue;
                }
                count.fetch_add(usize::from(kinds.contains(&ZERO_RTT)), Ordering::SeqCst);
                let _ = to.send(&buffer[..length]).await;
            }
        });
        let (closed, count) = (early_alone.clone(), early.clone());
        tasks.spawn(async move {
            let mut buffer = [0; 65_536];
            while let Ok(length) = far.recv(&mut buffer).await {
                // The node's answer would end the client's time for early data, so it is held back until some was sent.
                while closed.load(Ordering::SeqCst) && count.load(Ordering::SeqCst) == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let who = *client.borrow();
                if let Some(who) = who {
                    let _ = near.send_to(&buffer[..length], who).await;
                }
            }
        });
        Self { address, early_alone, early, tasks }
    }

    fn early_alone(&self, so: bool) {
        self.early_alone.store(so, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

const INITIAL: u8 = 0;
const ZERO_RTT: u8 = 1;
const LATER: u8 = 9;

/// Returns the kinds of the packets in a datagram (RFC 9000, section 17); everything after the first flight is `LATER`.
fn kinds(mut datagram: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some(&first) = datagram.first() {
        let kind = if first & 0x80 == 0 { LATER } else { first >> 4 & 3 };
        if kind != INITIAL && kind != ZERO_RTT {
            kinds.push(LATER);
            break;
        }
        kinds.push(kind);
        let mut at = 5;
        for _ in 0..2 {
            at += 1 + usize::from(datagram[at]);
        }
        if kind == INITIAL {
            let token = number(datagram, &mut at);
            at += token;
        }
        let length = number(datagram, &mut at);
        datagram = &datagram[at + length..];
    }
    kinds
}

/// Reads a QUIC variable-length integer.
fn number(datagram: &[u8], at: &mut usize) -> usize {
    let bytes = 1 << (datagram[*at] >> 6);
    let first = usize::from(datagram[*at] & 0x3f);
    let value = datagram[*at + 1..*at + bytes].iter().fold(first, |sum, byte| sum << 8 | usize::from(*byte));
    *at += bytes;
    value
}

/// Returns a hello of the session handshake, as a frame.
fn hello() -> Vec<u8> {
    let (_, hello) = InitiatorHandshake::start(&random_key().unwrap(), [7; 32]);
    [&u32::try_from(hello.len()).unwrap().to_le_bytes(), hello.as_slice()].concat()
}

async fn ack(recv: &mut RecvStream) -> usize {
    let frame = tokio::time::timeout(TEST_TIMEOUT, read_frame(recv, 8192)).await.expect("no answer");
    frame.unwrap().expect("an answer").len()
}

#[test]
fn nothing_that_was_said_early_is_acted_upon_before_the_handshake_is_through() {
    /// Time in which the node must stay silent; a wrong answer would come within a millisecond.
    const SILENCE: Duration = Duration::from_secs(2);
    const ACK: usize = 98;
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        // The device is paired, and known to the node from now on.
        let key = fresh_key();
        let friend = Peer::with_key(key.clone()).await;
        pair_with(&friend, &host, &node, "Early").await;
        friend.endpoint.close().await;

        let wire = Wire::to(&node).await;
        let client = Endpoint::builder(presets::Minimal)
            .secret_key(key)
            .clear_ip_transports()
            .bind_addr(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)))
            .unwrap()
            .bind()
            .await
            .unwrap();
        let id = node.endpoint_id().parse().unwrap();
        let address = EndpointAddr::from_parts(id, [TransportAddr::Ip(wire.address)]);
        let dial = || client.connect_with_opts(address.clone(), MESSAGE, ConnectOptions::new());

        // The first connection has nothing to resume. It waits for an answer, so that session tickets have arrived.
        let connecting = dial().await.unwrap();
        let connection = connecting.into_0rtt().expect_err("early data on the first connection").await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&hello()).await.unwrap();
        assert_eq!(ack(&mut recv).await, ACK);
        connection.close(0u8.into(), b"");

        // The second connection sends its hello early. All of that arrives, and nothing after it.
        wire.early_alone(true);
        let Ok(early) = dial().await.unwrap().into_0rtt() else {
            println!("FIGURE early data: no ticket that would allow it");
            return;
        };
        let (mut send, mut recv) = early.open_bi().await.unwrap();
        send.write_all(&hello()).await.unwrap();
        let mut byte = [0; 1];
        let heard = tokio::time::timeout(SILENCE, recv.read(&mut byte)).await;
        assert!(wire.early.load(Ordering::SeqCst) > 0, "no early data arrived");
        assert!(heard.is_err(), "the node acted upon early data: {heard:?}");

        // Only the handshake was missing: when the client's end of it arrives, the same hello is answered.
        wire.early_alone(false);
        let status = tokio::time::timeout(TEST_TIMEOUT, early.handshake_completed()).await.unwrap().unwrap();
        let (status, length) = match status {
            ZeroRttStatus::Accepted(_) => ("kept until then", ack(&mut recv).await),
            ZeroRttStatus::Rejected(connection) => {
                let (mut send, mut recv) = connection.open_bi().await.unwrap();
                send.write_all(&hello()).await.unwrap();
                ("refused", ack(&mut recv).await)
            }
        };
        println!("FIGURE early data is not heard before the handshake is through, then it is {status}");
        assert_eq!(length, ACK);
        client.close().await;
    });
}

#[test]
fn all_that_can_be_said_early_opens_no_session_and_proves_no_code() {
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        let key = fresh_key();
        let friend = Peer::with_key(key.clone()).await;
        let secret = pair_with(&friend, &host, &node, "Early").await;
        // A whole session is recorded, as its owner sent it.
        let connection = friend.dial(&node, MESSAGE).await;
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        let said = hello();
        send.write_all(&said).await.unwrap();
        assert_eq!(ack(&mut recv).await, 98);
        connection.close(0u8.into(), b"");
        // The recording is replayed early in one go, with a guess at the part that follows the answer.
        for alpn in [MESSAGE, PAIRING] {
            let (_hosting, _) = show_code(&host);
            // A connection of this protocol that was answered has a session ticket.
            let first = friend.dial(&node, alpn).await;
            if alpn == MESSAGE {
                friend.session(&first, &secret).await.expect("a session");
            } else {
                let mut guess = friend.join(first.clone(), friend.local("Early"), "abandon-ability-able").await;
                guess.until(2).await;
            }
            first.close(0u8.into(), b"");
            let address = crate::peer::address(&node);
            let connecting = friend.endpoint.connect_with_opts(address, alpn, ConnectOptions::new()).await.unwrap();
            let Ok(early) = connecting.into_0rtt() else { continue };
            let (mut send, _recv) = early.open_bi().await.unwrap();
            if alpn == MESSAGE {
                let _ = send.write_all(&said).await;
                let _ = write_frame(&mut send, &[0x17; 32]).await;
            } else {
                let _ = write_frame(&mut send, &[&[1, 0, 1], &[0x42; 32][..]].concat()).await;
                let _ = write_frame(&mut send, &[&[1, 2], &[0x17; 32][..]].concat()).await;
            }
            let status = tokio::time::timeout(TEST_TIMEOUT, early.handshake_completed()).await.unwrap().unwrap();
            let (connection, fate) = match status {
                ZeroRttStatus::Accepted(connection) => (connection, "heard after the handshake"),
                ZeroRttStatus::Rejected(connection) => (connection, "thrown away"),
            };
            let end = tokio::time::timeout(TEST_TIMEOUT, connection.closed()).await.expect("it stays open");
            println!("FIGURE said early on {}: {fate}, closed with {}", String::from_utf8_lossy(alpn), code_of(&end));
        }
        // The valid messages succeed when they are not early.
        assert!(friend.session(&friend.dial(&node, MESSAGE).await, &secret).await.is_ok());
    });
    assert_eq!(host.paired_with().len(), 1);
}

#[test]
fn yonder_itself_never_speaks_early() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut open = vec![top.join("src-tauri/core/src"), top.join("src-tauri/app"), top.join("src-tauri/cli/src")];
    let mut read = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("into_0rtt"), "{} asks for early data", path.display());
            read += 1;
        }
    }
    assert!(read > 50);
}
