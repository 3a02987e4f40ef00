//! Tests that a peer that is not paired and knows both id and address gets nothing but a refusal.

use std::time::Duration;

use iroh::{
    SecretKey,
    endpoint::{ConnectError, ConnectingError, ConnectionError, TransportErrorCode},
};
use yonder_tests::{
    device::{Device, pair},
    tree,
};

use crate::peer::{
    HANDSHAKE_FAILED, MESSAGE, NOT_PAIRED, NOT_PAIRING, PAIRING, Peer, SYNC, TEST_TIMEOUT, TRANSFER, code_of, refused,
    runtime,
};

#[test]
fn a_stranger_is_refused_on_every_protocol() {
    let device = Device::loopback("host");
    let node = device.serve();
    runtime().block_on(async {
        let stranger = Peer::new().await;
        let mut with_code = 0;
        // Without an open code, strangers are refused for pairing, too.
        for (alpn, expected) in [(TRANSFER, NOT_PAIRED), (MESSAGE, NOT_PAIRED), (PAIRING, NOT_PAIRING)] {
            let (name, before) = (String::from_utf8_lossy(alpn), with_code);
            for _ in 0..10 {
                // A close that overtakes the end of the handshake may not carry the application's code.
                if let (Some(code), reason) = stranger.refusal(&node, alpn).await {
                    with_code += 1;
                    assert_eq!(code, expected, "{name}");
                    assert_eq!(reason, b"", "{name}: the refusal tells more than it must");
                }
            }
            assert!(with_code > before, "{name}: none of ten refusals said why");
        }
        println!("FIGURE refusals that carried their code: {with_code} of 30");
        // For a protocol that is not spoken, reserved or unknown, no connection is established: TLS has no protocol to
        // choose.
        const NO_APPLICATION_PROTOCOL: u8 = 120;
        for alpn in [SYNC, b"sync/9.9", b"other/1.0", b"pairing/1.1", b"PAIRING/1.0", b"h3"] {
            let name = String::from_utf8_lossy(alpn);
            let dialled = stranger.try_dial(&node, alpn).await;
            let Err(ConnectError::Connecting {
                source: ConnectingError::ConnectionError { source: ConnectionError::ConnectionClosed(close), .. },
                ..
            }) = dialled
            else {
                panic!("{name}: {dialled:?}")
            };
            assert_eq!(close.error_code, TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL), "{name}: {close}");
        }
        stranger.endpoint.close().await;
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
        let stranger = Peer::new().await;
        let mut open = Vec::new();
        let mut refused = 0;
        for number in 0..30 {
            let alpn = if number % 3 == 0 { TRANSFER } else { PAIRING };
            match stranger.try_dial(&host_node, alpn).await {
                Ok(connection) => open.push(connection),
                Err(_) => refused += 1,
            }
        }
        // Silent connections are closed: at most ten stay, and only for some seconds.
        let all_gone = async {
            for connection in &open {
                connection.closed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all_gone).await.expect("silent strangers may stay");
        assert_eq!(open.len() + refused, 30);
        stranger.endpoint.close().await;
    });
    let file = friend.home().join("file");
    std::fs::write(&file, "from a friend").unwrap();
    let id = host_node.device_id();
    friend.run(["send".as_ref(), id.as_ref(), file.as_os_str()]).expect_status(0);
    assert_eq!(std::fs::read(host.downloads().join("file")).unwrap(), b"from a friend");
    drop(friend_node);
}

/// Returns the endpoint key of a device, as somebody gets it who can read its files.
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

/// Returns a frame: the length, then the bytes.
fn frame(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

#[test]
fn a_stolen_endpoint_key_alone_opens_nothing() {
    const ACK: usize = 98;
    let (host, friend) = (Device::loopback("host"), Device::loopback("friend"));
    let (host_node, friend_node) = (host.serve(), friend.serve());
    pair(&host, &host_node, &friend);
    let key = stolen_key(&friend);
    assert_eq!(key.public().to_string(), friend_node.endpoint_id(), "the thief has the right key");
    friend_node.stop().expect_status(0);
    runtime().block_on(async {
        let thief = Peer::with_key(key).await;
        for alpn in [TRANSFER, MESSAGE] {
            let name = String::from_utf8_lossy(alpn);
            // TLS alone accepts the thief.
            let connection = thief.dial(&host_node, alpn).await;
            let (mut out, mut back) = connection.open_bi().await.unwrap();
            // Anybody can send this hello: one version, one suite, and a random key and number.
            let hello = [b"yonder-s\x01\x01\x01\x01".as_slice(), &[0x42; 64]].concat();
            out.write_all(&frame(&hello)).await.unwrap();
            let mut ack = [0; 4 + ACK];
            tokio::time::timeout(TEST_TIMEOUT, back.read_exact(&mut ack))
                .await
                .unwrap()
                .expect("an answer to the hello");
            assert_eq!(ack[..4], u32::try_from(ACK).unwrap().to_le_bytes());
            // Only the friend could send a valid proof.
            let _ = out.write_all(&frame(&[0x17; 32])).await;
            let end = refused(&connection).await;
            assert!(matches!(back.read_chunk(4096).await, Ok(None) | Err(_)), "more than the answer on {name}");
            assert_eq!(code_of(&end), HANDSHAKE_FAILED, "{name}");
        }
        thief.endpoint.close().await;
    });
    assert!(tree::list(&host.downloads()).is_empty());
}
