//! A peer that is not paired and knows both id and address gets nothing but a refusal.

use std::{net::SocketAddr, time::Duration};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, SecretKey, TransportAddr,
    endpoint::{ConnectError, ConnectingError, Connection, ConnectionError, TransportErrorCode, presets},
};
use yonder_tests::{
    device::{Device, Node, pair},
    tree,
};

const NOT_PAIRED: u32 = 1;
const NOT_PAIRING: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn stranger() -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .clear_ip_transports()
        .bind_addr(SocketAddr::from(([127, 0, 0, 1], 0)))
        .unwrap()
        .bind()
        .await
        .unwrap()
}

fn address(node: &Node) -> EndpointAddr {
    let id: EndpointId = node.endpoint_id().parse().unwrap();
    let at = SocketAddr::from(([127, 0, 0, 1], node.ready["port"].as_u64().unwrap() as u16));
    EndpointAddr::from_parts(id, [TransportAddr::Ip(at)])
}

/// Speaks up at once, on streams of both kinds, and gives what came back: bytes, and why the connection ended.
async fn knock(connection: &Connection) -> (Vec<u8>, Option<ConnectionError>) {
    let talk = async {
        let mut heard = Vec::new();
        if let Ok(mut one_way) = connection.open_uni().await {
            let _ = one_way.write_all(&[0x20; 4096]).await;
            let _ = one_way.finish();
        }
        if let Ok((mut out, mut back)) = connection.open_bi().await {
            let _ = out.write_all(&[0x20; 4096]).await;
            let _ = out.finish();
            while let Ok(Some(chunk)) = back.read_chunk(4096).await {
                heard.extend_from_slice(&chunk);
            }
        }
        // Perhaps it speaks of itself.
        if let Ok(mut theirs) = connection.accept_uni().await {
            while let Ok(Some(chunk)) = theirs.read_chunk(4096).await {
                heard.extend_from_slice(&chunk);
            }
        }
        heard
    };
    let heard = tokio::time::timeout(PATIENCE, talk).await.expect("the connection is still open");
    (heard, connection.close_reason())
}

#[test]
fn a_stranger_is_refused_on_every_protocol() {
    let device = Device::loopback("host");
    let node = device.serve();
    runtime().block_on(async {
        let stranger = stranger().await;
        let mut with_code = 0;
        for (alpn, expected) in [
            (&b"transfer/1.0"[..], NOT_PAIRED),
            (b"message/1.0", NOT_PAIRED),
            // Without an open code, strangers have no business here either.
            (b"pairing/1.0", NOT_PAIRING),
        ] {
            for _ in 0..10 {
                let name = String::from_utf8_lossy(alpn);
                let dialled = tokio::time::timeout(PATIENCE, stranger.connect(address(&node), alpn)).await.unwrap();
                let reason = match dialled {
                    Ok(connection) => {
                        let (heard, reason) = knock(&connection).await;
                        assert_eq!(heard, b"", "a stranger was told something on {name}");
                        reason.unwrap_or_else(|| panic!("the connection on {name} is still open"))
                    }
                    Err(ConnectError::Connection { source, .. }) => source,
                    Err(ConnectError::Connecting {
                        source: ConnectingError::ConnectionError { source, .. }, ..
                    }) => source,
                    Err(error) => panic!("{name}: not a refusal: {error:#}"),
                };
                match &reason {
                    ConnectionError::ApplicationClosed(close) => {
                        with_code += 1;
                        assert_eq!(close.error_code.into_inner(), u64::from(expected), "{name}: {close}");
                        assert_eq!(close.reason.as_ref(), b"", "{name}: the refusal tells more than it must");
                    }
                    // A close that overtakes the end of the handshake may not carry the application's code: RFC 9000,
                    // section 10.2.3.
                    ConnectionError::ConnectionClosed(close) => {
                        assert_eq!(close.error_code, TransportErrorCode::APPLICATION_ERROR, "{name}: {close}")
                    }
                    other => panic!("{name}: not a refusal: {other}"),
                }
            }
        }
        println!("FIGURE refusals that carried their code: {with_code} of 30");
        // A protocol that is not spoken, be it reserved or unheard of, does not even come to stand: TLS has none to choose.
        const NO_APPLICATION_PROTOCOL: u8 = 120;
        for alpn in [&b"sync/1.0"[..], b"sync/9.9", b"other/1.0", b"pairing/1.1", b"PAIRING/1.0", b"h3"] {
            let name = String::from_utf8_lossy(alpn);
            let dialled = tokio::time::timeout(PATIENCE, stranger.connect(address(&node), alpn)).await.unwrap();
            let Err(ConnectError::Connecting {
                source: ConnectingError::ConnectionError { source: ConnectionError::ConnectionClosed(close), .. },
                ..
            }) = dialled
            else {
                panic!("{name}: {dialled:?}")
            };
            assert_eq!(close.error_code, TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL), "{name}: {close}");
        }
        stranger.close().await;
    });
    assert!(tree::list(&device.downloads()).is_empty());
    assert!(device.devices().iter().all(|device| device["paired"] == false));
}

#[test]
fn strangers_in_numbers_do_not_keep_friends_out() {
    let (host, friend) = (Device::loopback("host"), Device::loopback("friend"));
    let (host_node, friend_node) = (host.serve(), friend.serve());
    pair(&host, &host_node, &friend);
    let mut hosting = host.start(["pair", "host", "--approve"]);
    hosting.expect_event("code");
    runtime().block_on(async {
        let stranger = stranger().await;
        let mut open = Vec::new();
        let mut refused = 0;
        for number in 0..30 {
            let alpn: &[u8] = if number % 3 == 0 { b"transfer/1.0" } else { b"pairing/1.0" };
            match tokio::time::timeout(PATIENCE, stranger.connect(address(&host_node), alpn)).await.unwrap() {
                Ok(connection) => open.push(connection),
                Err(_) => refused += 1,
            }
        }
        // Silent ones are shown out: at most ten stay, and these for some seconds alone.
        let all_gone = async {
            for connection in &open {
                connection.closed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all_gone).await.expect("silent strangers may stay");
        assert_eq!(open.len() + refused, 30);
        stranger.close().await;
    });
    let file = friend.home().join("file");
    std::fs::write(&file, "from a friend").unwrap();
    let id = host_node.device_id();
    friend.run(["send".as_ref(), id.as_ref(), file.as_os_str()]).expect_status(0);
    assert_eq!(std::fs::read(host.downloads().join("file")).unwrap(), b"from a friend");
    drop(friend_node);
}

/// The network key of a device, as somebody has it who could read its files.
pub fn stolen_key(device: &Device) -> SecretKey {
    let mark = b"yonder root 1\n";
    let root = std::fs::read_dir(device.data_dir())
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
        .find_map(|bytes| bytes.strip_prefix(mark.as_slice()).map(<[u8]>::to_vec))
        .expect("the plain file with the root secret");
    let hex = String::from_utf8(root).unwrap();
    let root: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let mut seed = blake3::Hasher::new_derive_key("yonder 2026-11 network identity v1");
    seed.update(&32u64.to_le_bytes()).update(&root);
    SecretKey::from_bytes(seed.finalize().as_bytes())
}

/// A frame: its length, and so many bytes.
fn frame(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

#[test]
fn a_stolen_endpoint_key_alone_opens_nothing() {
    const HANDSHAKE_FAILED: u64 = 6;
    const ACK: usize = 98;
    let (host, friend) = (Device::loopback("host"), Device::loopback("friend"));
    let (host_node, friend_node) = (host.serve(), friend.serve());
    pair(&host, &host_node, &friend);
    let key = stolen_key(&friend);
    assert_eq!(key.public().to_string(), friend_node.endpoint_id(), "the thief has the right key");
    friend_node.stop().expect_status(0);
    runtime().block_on(async {
        let thief = Endpoint::builder(presets::Minimal)
            .secret_key(key)
            .clear_ip_transports()
            .bind_addr(SocketAddr::from(([127, 0, 0, 1], 0)))
            .unwrap()
            .bind()
            .await
            .unwrap();
        for alpn in [&b"transfer/1.0"[..], b"message/1.0"] {
            let name = String::from_utf8_lossy(alpn);
            let connection = thief.connect(address(&host_node), alpn).await.expect("TLS alone knows no better");
            let (mut out, mut back) = connection.open_bi().await.unwrap();
            // What anybody can say: one version, one suite, a key and a number of one's own.
            let hello = [b"yonder-s\x01\x01\x01\x01".as_slice(), &[0x42; 64]].concat();
            out.write_all(&frame(&hello)).await.unwrap();
            let mut ack = [0; 4 + ACK];
            tokio::time::timeout(PATIENCE, back.read_exact(&mut ack)).await.unwrap().expect("an answer to the hello");
            assert_eq!(ack[..4], u32::try_from(ACK).unwrap().to_le_bytes());
            // And what only the friend could say.
            let _ = out.write_all(&frame(&[0x17; 32])).await;
            let (heard, reason) = knock(&connection).await;
            assert_eq!(heard, b"", "a thief was told something on {name}");
            assert!(matches!(back.read_chunk(4096).await, Ok(None) | Err(_)), "more than the answer on {name}");
            match reason {
                Some(ConnectionError::ApplicationClosed(close)) => {
                    assert_eq!(close.error_code.into_inner(), HANDSHAKE_FAILED, "{name}: {close}")
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        thief.close().await;
    });
    assert!(tree::list(&host.downloads()).is_empty());
}
