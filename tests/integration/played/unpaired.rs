//! Tests of devices that are no longer paired, blocked devices, and devices that claim to be another.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use yonder_core::{
    id::DeviceId,
    keys::{notice_holds, notice_key, random_key, unpair_notice},
    pairing::PairingError,
};
use yonder_tests::{
    device::{Device, pair, text},
    program::TEST_TIMEOUT as LONG,
    tree,
};

use crate::peer::{
    MESSAGE, NOT_PAIRED, NOT_PAIRING, PAIRING, Peer, SYNC, TEST_TIMEOUT, TRANSFER, VIOLATION, address, code_of,
    fresh_key, pair_with, paired_peer, runtime, say, show_code, wait_for,
};

#[test]
fn a_device_that_was_unpaired_is_refused_everywhere_and_learns_why() {
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&host, &node, "Gone").await;
        assert!(peer.session(&peer.dial(&node, MESSAGE).await, &secret).await.is_ok());
        host.run(["unpair", "Gone"]).expect_status(0);
        assert_eq!(host.paired_with(), Vec::<String>::new());
        let own: [u8; 32] = *address(&node).id.as_bytes();
        for alpn in [MESSAGE, TRANSFER] {
            for _ in 0..3 {
                let (code, notice) = peer.told_refusal(&node, alpn).await;
                assert_eq!(code, NOT_PAIRED);
                assert!(
                    notice_holds(&notice, std::slice::from_ref(&secret), &own, &peer.id()),
                    "the notice proves itself"
                );
                let other = random_key().unwrap();
                assert!(!notice_holds(&notice, &[other], &own, &peer.id()), "and to nobody else");
            }
        }
        assert_eq!(peer.told_refusal(&node, PAIRING).await.0, NOT_PAIRING);
        assert!(peer.try_dial(&node, SYNC).await.is_err());
        // A stranger learns nothing of the former pairing.
        let stranger = Peer::new().await;
        assert_eq!(stranger.told_refusal(&node, MESSAGE).await, (NOT_PAIRED, Vec::new()));
        // The device can pair again with a code, like anybody, which also clears the notice.
        let anew = pair_with(&peer, &host, &node, "Gone").await;
        assert_ne!(anew.as_bytes(), secret.as_bytes());
        assert!(peer.session(&peer.dial(&node, MESSAGE).await, &anew).await.is_ok());
    });
    assert!(tree::list(&host.downloads()).is_empty());
}

#[test]
fn a_real_device_that_was_away_when_it_was_unpaired_forgets_too() {
    let (host, away) = (Device::loopback("host"), Device::loopback("away"));
    let (node, away_node) = (host.serve(), away.serve());
    pair(&host, &node, &away);
    let away_id = away_node.device_id();
    away_node.stop().expect_status(0);
    host.run(["unpair", &away_id]).expect_status(0);
    let mut away_node = away.serve();
    let told = away_node.running.expect("the word that it was unpaired", LONG, |line| {
        line["event"] == "notice" && line["error"]["code"] == "unpaired_by_peer"
    });
    assert!(told["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{told}");
    assert_eq!(away.paired_with(), Vec::<String>::new());
    // Nothing from this device gets through afterwards.
    let file = away.home().join("file");
    std::fs::write(&file, "x").unwrap();
    let sent = away.run(["send".as_ref(), node.device_id().as_ref(), file.as_os_str()]);
    assert_ne!(sent.status, Some(0), "{sent:#?}");
    assert!(tree::list(&host.downloads()).is_empty());
}

#[test]
fn a_blocked_device_is_refused_everywhere_and_not_told() {
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&host, &node, "Blocked").await;
        let live = peer.dial(&node, MESSAGE).await;
        peer.session(&live, &secret).await.expect("a session");
        host.run(["block", "Blocked"]).expect_status(0);
        let end = tokio::time::timeout(TEST_TIMEOUT, live.closed()).await.expect("its session stays");
        assert_ne!(code_of(&end), NOT_PAIRED, "it looks as if the device went away");
        let (mut hosting, words) = show_code(&host);
        for alpn in [MESSAGE, TRANSFER] {
            assert_eq!(peer.told_refusal(&node, alpn).await, (NOT_PAIRED, Vec::new()), "as a stranger");
        }
        assert!(peer.try_dial(&node, SYNC).await.is_err());
        // A code is open, but not for this device, even if it knows the code.
        assert_eq!(peer.told_refusal(&node, PAIRING).await, (NOT_PAIRING, Vec::new()));
        let stranger = Peer::new().await;
        assert!(stranger.pair(&node, "Stranger", &words).await.paired);
        hosting.expect_event("paired");
        hosting.finish(LONG).expect_status(0);

        host.run(["unblock", "Blocked"]).expect_status(0);
        assert!(peer.session(&peer.dial(&node, MESSAGE).await, &secret).await.is_ok(), "its secret is kept meanwhile");
    });
}

/// Returns the fields of a device's record that must not change.
fn record(host: &Device, endpoint_id: &str) -> serde_json::Value {
    let device = host.devices().into_iter().find(|device| device["endpoint_id"] == endpoint_id).expect("the record");
    serde_json::json!([device["device_id"], device["endpoint_id"], device["name"], device["type"], device["paired"]])
}

#[test]
fn whatever_identity_is_claimed_in_a_pairing_no_other_record_changes() {
    let (host, victim) = (Device::loopback("host"), Device::loopback("victim"));
    let (node, victim_node) = (host.serve(), victim.serve());
    victim.run(["rename", "Victim"]).expect_status(0);
    pair(&host, &node, &victim);
    let (id, device_id) = (victim_node.endpoint_id(), victim_node.device_id());
    let before = record(&host, &id);
    let key = iroh::EndpointId::from_bytes(&unhex(&id)).unwrap();
    runtime().block_on(async {
        // The attacker knows the right code, and claims the victim's device id, its endpoint id, or both.
        for (claims_device, claims_endpoint) in [(true, false), (false, true), (true, true)] {
            let (hosting, words) = show_code(&host);
            let attacker = Peer::new().await;
            let mut local = attacker.local("Victim");
            if claims_device {
                local.info.device_id = device_id.parse().unwrap();
            }
            if claims_endpoint {
                local.info.endpoint_id = *key.as_bytes();
            }
            let connection = attacker.dial(&node, PAIRING).await;
            let mut pairing = attacker.join(connection, local, &words).await;
            pairing.until(usize::MAX).await;
            assert!(!pairing.paired && pairing.stored.secret().is_none(), "{:?}", pairing.failed);
            assert!(pairing.heard.len() < 3, "it is told nothing about the host");
            if claims_endpoint {
                // The proof of the code includes the key that TLS has proven: with another key, the right code counts
                // as wrong.
                assert_eq!(pairing.failed, Some(PairingError::CodeWrong));
                hosting.interrupt();
                hosting.finish(LONG);
            } else {
                hosting.finish(LONG).expect_error(1, &["identity_mismatch"]);
            }
            assert_eq!(record(&host, &id), before);
        }
        // With its own identity and the victim's name, it is another device, and its shown name tells it apart.
        let attacker = Peer::new().await;
        pair_with(&attacker, &host, &node, "Victim").await;
        assert_eq!(record(&host, &id), before);
        let own = DeviceId::of_endpoint(&attacker.id()).to_string();
        let devices = host.devices();
        let other = devices.iter().find(|device| text(device, "device_id") == own).expect("the other device");
        assert_eq!(text(other, "name"), "Victim (2)");
    });
    assert_eq!(host.paired_with().len(), 2);
    host.run(["ping", &device_id, "-c", "1"]).expect_status(0);
}

#[test]
fn whatever_is_claimed_in_messages_no_other_record_changes() {
    let (host, victim) = (Device::loopback("host"), Device::loopback("victim"));
    let (node, victim_node) = (host.serve(), victim.serve());
    victim.run(["rename", "Victim"]).expect_status(0);
    pair(&host, &node, &victim);
    let (id, device_id) = (victim_node.endpoint_id(), victim_node.device_id());
    let before = record(&host, &id);
    runtime().block_on(async {
        let (attacker, secret) = paired_peer(&host, &node, "Attacker").await;
        let own = DeviceId::of_endpoint(&attacker.id());
        let mine = attacker.local("Attacker").info;
        // No message has fields that claim an identity: the session ends.
        let claims = [
            format!(
                r#"{{"kind":"hello","name":"Victim","device_type":"phone","instance":1,"device_id":"{device_id}"}}"#
            ),
            format!(r#"{{"kind":"hello","name":"Victim","device_type":"phone","instance":1,"endpoint_id":"{id}"}}"#),
            format!(r#"{{"kind":"unpair","device_id":"{device_id}","notice":""}}"#),
            format!(r#"{{"kind":"rotate_kept","device_id":"{device_id}"}}"#),
        ];
        for claim in claims {
            let connection = attacker.dial(&node, MESSAGE).await;
            let keys = attacker.session(&connection, &secret).await.expect("a session");
            say(&connection, &keys, &claim).await;
            let end = tokio::time::timeout(TEST_TIMEOUT, connection.closed()).await.expect("it is heeded");
            assert_eq!(code_of(&end), VIOLATION, "{claim}");
            assert_eq!(record(&host, &id), before, "{claim}");
        }
        // An unpair notice and key renewal steps always concern the session on which they arrive, whatever device they
        // name.
        let connection = attacker.dial(&node, MESSAGE).await;
        let keys = attacker.session(&connection, &secret).await.expect("a session");
        let hex = "11".repeat(32);
        let notice = unpair_notice(&[notice_key(&secret)], &unhex(&id), address(&node).id.as_bytes());
        let notice = data_encoding::HEXLOWER.encode(&notice);
        for message in [
            format!(r#"{{"kind":"unpair","notice":"{notice}"}}"#),
            format!(r#"{{"kind":"rotate_done","tag":"{hex}"}}"#),
            format!(r#"{{"kind":"rotate_answer","public":"{hex}","tag":"{hex}"}}"#),
            r#"{"kind":"rotate_kept"}"#.to_owned(),
            r#"{"kind":"hello","name":"Victim","device_type":"phone","instance":5}"#.to_owned(),
        ] {
            say(&connection, &keys, &message).await;
        }
        // The last message changes the sender's own type, which shows that all were read. A name is only a proposal.
        wait_for("the new type", || record(&host, &hex_of(&mine.endpoint_id))[3] == "phone");
        assert_eq!(record(&host, &hex_of(&mine.endpoint_id))[2], "Attacker");
        assert_eq!(record(&host, &hex_of(&mine.endpoint_id))[0], own.to_string());
        assert!(connection.close_reason().is_none());
    });
    assert_eq!(record(&host, &id), before);
    assert_eq!(host.paired_with().len(), 2);
    host.run(["ping", &device_id, "-c", "1"]).expect_status(0);
}

fn unhex(text: &str) -> [u8; 32] {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

fn hex_of(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[test]
fn a_pairing_secret_without_the_endpoint_key_opens_nothing() {
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        let key = fresh_key();
        let friend = Peer::with_key(key.clone()).await;
        let secret = pair_with(&friend, &host, &node, "Friend").await;
        let place = SocketAddr::from(([127, 0, 0, 1], friend.port()));

        // Dialling with its own key, the thief is a stranger.
        let thief = Peer::new().await;
        for alpn in [MESSAGE, TRANSFER] {
            assert_eq!(thief.told_refusal(&node, alpn).await, (NOT_PAIRED, Vec::new()));
        }
        // At the friend's address, waiting to be dialled: TLS is not established, and the node sends nothing.
        friend.endpoint.close().await;
        drop(friend);
        let thief = Peer::at(fresh_key(), place).await;
        let (knocks, stood) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let answering = {
            let (knocks, stood, secret) = (knocks.clone(), stood.clone(), secret.clone());
            tokio::spawn(async move {
                while let Some(incoming) = thief.endpoint.accept().await {
                    knocks.fetch_add(1, Ordering::Relaxed);
                    if let Ok(connection) = incoming.await {
                        stood.fetch_add(1, Ordering::Relaxed);
                        thief.answer(&connection, &secret).await;
                    }
                }
            })
        };
        host.run(["ping", "Friend", "-c", "1"]).expect_status(4);
        answering.abort();
        let _ = answering.await;
        assert!(knocks.load(Ordering::Relaxed) > 0, "nobody came to the friend's place");
        assert_eq!(stood.load(Ordering::Relaxed), 0, "a connection stood under another key");

        // With the right key at that address, the same secret opens the session: only the key was missing.
        let friend = Peer::at(key, place).await;
        assert!(friend.session(&friend.dial(&node, MESSAGE).await, &secret).await.is_ok());
    });
}
