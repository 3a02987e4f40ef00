//! Tests of how a command's device argument is resolved: ids, names that peers choose, and words that could be either.

use serde_json::{Value, json};
use yonder_core::keys::Key;
use yonder_tests::{
    device::{Device, Node, pair, text},
    program::Finished,
};

use crate::peer::{MESSAGE, PAIRING, Peer, paired_peer, runtime, say, show_code, wait_for};

/// Returns two running, paired devices and their nodes.
fn two() -> (Device, Node, Device, Node) {
    let (alpha, beta) = (Device::loopback("alpha"), Device::loopback("beta"));
    let (alpha_node, beta_node) = (alpha.serve(), beta.serve());
    beta.run(["rename", "beta"]).expect_status(0);
    pair(&alpha, &alpha_node, &beta);
    (alpha, alpha_node, beta, beta_node)
}

/// Returns the view that `devices` gives of the device with this endpoint id.
fn view(device: &Device, endpoint_id: &str) -> Value {
    let found = device.devices().into_iter().find(|view| view["endpoint_id"] == endpoint_id);
    found.unwrap_or_else(|| panic!("{endpoint_id} is not listed"))
}

fn hex(bytes: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Lets the peer announce this name, waits until the node has processed it, and returns the device's view.
async fn call_itself(peer: &Peer, secret: &Key, device: &Device, node: &Node, name: &str) -> Value {
    let id = hex(&peer.id());
    let connection = peer.dial(node, MESSAGE).await;
    let keys = peer.session(&connection, secret).await.unwrap();
    // A different device type each time shows that the announcement was processed.
    let device_type = if view(device, &id)["type"] == "phone" { "server" } else { "phone" };
    let hello = json!({ "kind": "hello", "name": name, "device_type": device_type, "instance": 1 });
    say(&connection, &keys, &hello.to_string()).await;
    wait_for("the hello", || view(device, &id)["type"] == device_type);
    connection.close(0u8.into(), b"");
    view(device, &id)
}

#[test]
fn a_peer_that_calls_itself_by_the_id_of_another_device_is_not_taken_for_it() {
    let (alpha, alpha_node, beta, beta_node) = two();
    let whole = beta_node.device_id();
    let digits = whole[..8].to_owned();
    let file = alpha.home().join("for beta.txt");
    std::fs::write(&file, "for beta alone").unwrap();
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&alpha, &alpha_node, "gamma").await;
        // A name is refused because it reads like an id, whether or not such a device exists.
        for name in [&digits, &digits.to_uppercase(), &whole, &beta_node.endpoint_id(), "c0ffee", "\u{3164}"] {
            let called = call_itself(&peer, &secret, &alpha, &alpha_node, name).await;
            assert_eq!((&called["name"], &called["announced"]), (&json!("gamma"), &Value::Null), "after {name:?}");
        }
    });
    for name in [&digits, &whole, &beta_node.endpoint_id()] {
        alpha.run(["send".as_ref(), name.as_ref(), file.as_os_str()]).expect_status(0);
    }
    let landed = std::fs::read_dir(beta.downloads()).unwrap().count();
    assert_eq!(landed, 3, "all of them are at beta");
    alpha.run(["trust", &digits, "--as", "other"]).expect_status(0);
    assert_eq!(view(&alpha, &beta_node.endpoint_id())["trust"], "other");
    alpha.run(["block", &digits]).expect_status(0);
    assert_eq!(view(&alpha, &beta_node.endpoint_id())["trust"], "blocked");
    alpha.run(["unpair", &digits]).expect_status(0);
    assert_eq!(alpha.paired_with().len(), 1, "gamma is left");
}

#[test]
fn a_peer_that_pairs_under_an_id_is_called_by_its_own() {
    let (alpha, alpha_node, _beta, beta_node) = two();
    let digits = beta_node.device_id()[..8].to_owned();
    runtime().block_on(async {
        let peer = Peer::new().await;
        let (hosting, words) = show_code(&alpha);
        let mut local = peer.local("gamma");
        local.info.name.clone_from(&digits);
        let mut pairing = peer.join(peer.dial(&alpha_node, PAIRING).await, local, &words).await;
        pairing.until(usize::MAX).await;
        assert!(pairing.paired, "{:?}", pairing.failed);
        hosting.finish(yonder_tests::program::TEST_TIMEOUT).expect_status(0);
        let listed = view(&alpha, &hex(&peer.id()));
        assert_eq!(listed["name"], format!("Device {}", &text(&listed, "device_id")[..8]));
    });
    let trusted = alpha.run(["trust", &digits]).expect_status(0);
    assert_eq!(trusted.lines[0]["endpoint_id"], beta_node.endpoint_id());
}

#[test]
fn what_begins_an_id_and_is_a_name_is_ambiguous_for_every_command() {
    let (alpha, alpha_node, _beta, beta_node) = two();
    let whole = beta_node.device_id();
    // Five hexadecimal digits are too few for an id and may be a name as well.
    let digits = whole[..5].to_owned();
    let file = alpha.home().join("file.txt");
    std::fs::write(&file, "contents").unwrap();
    let file = file.to_str().unwrap();
    let peer = runtime().block_on(async { paired_peer(&alpha, &alpha_node, &digits.to_uppercase()).await.0 });
    let other = text(&view(&alpha, &hex(&peer.id())), "device_id");
    let both_named = |finished: Finished| {
        let finished = finished.expect_error(1, &["device_ambiguous"]);
        let message = text(finished.event("error").unwrap(), "message");
        assert!(message.contains(&whole) && message.contains(&other), "{message}");
    };
    for command in ["trust", "block", "unblock", "unpair", "ping", "messages", "renew-keys", "doctor"] {
        both_named(alpha.run([command, &digits]));
    }
    both_named(alpha.run(["text", &digits, "hello"]));
    both_named(alpha.run(["send", &digits, file]));
    both_named(alpha.run(["send", &whole, file, "--also", &digits]));
    assert_eq!(alpha.paired_with().len(), 2, "nothing came of it");
    assert_eq!(view(&alpha, &beta_node.endpoint_id())["trust"], "own");
    // Six digits are always an id.
    let trusted = alpha.run(["trust", &whole[..6]]).expect_status(0);
    assert_eq!(trusted.lines[0]["device_id"], whole.as_str());
    alpha.run(["send", &whole, file]).expect_status(0);
}

#[test]
fn another_name_is_a_proposal_that_a_person_takes_and_a_twin_cannot_be_taken() {
    let (alpha, alpha_node, _beta, _beta_node) = two();
    // An endpoint lives only as long as the runtime that it was created on.
    let threads = runtime();
    let (peer, secret) = threads.block_on(paired_peer(&alpha, &alpha_node, "gamma"));
    let announce = |name: &str| {
        let called = threads.block_on(call_itself(&peer, &secret, &alpha, &alpha_node, name));
        assert_eq!(called["name"], "gamma", "nothing is called {name:?} by itself");
        called["announced"].clone()
    };
    for twin in ["beta", "BETA", "b\u{435}ta", "be\u{200d}ta", "be ta"] {
        let proposed = announce(twin);
        assert_eq!(proposed["is_free"], false, "{twin:?}: {proposed}");
        alpha.run(["take-name", "gamma"]).expect_error(1, &["device_name_taken"]);
    }
    assert_eq!(announce("delta"), json!({ "name": "delta", "is_free": true }));
    alpha.run(["ping", "delta", "-c", "1"]).expect_error(1, &["device_unknown"]);
    let taken = alpha.run(["take-name", "gamma"]).expect_status(0);
    assert_eq!((&taken.lines[0]["name"], &taken.lines[0]["announced"]), (&json!("delta"), &Value::Null));
    alpha.run(["take-name", "delta"]).expect_error(1, &["name_not_proposed"]);
    assert_eq!(view(&alpha, &hex(&peer.id()))["name"], "delta");
}

#[test]
fn two_devices_of_one_name_are_told_apart() {
    let alpha = Device::loopback("alpha");
    let node = alpha.serve();
    runtime().block_on(async {
        for name in ["twin", "TWIN", "tw\u{456}n", "\u{3164}"] {
            paired_peer(&alpha, &node, name).await;
        }
    });
    let mut paired: Vec<Value> = alpha.devices().into_iter().filter(|device| device["paired"] == true).collect();
    paired.sort_by_key(|device| text(device, "name"));
    let names: Vec<String> = paired.iter().map(|device| text(device, "name")).collect();
    let unseen =
        paired.iter().find(|device| text(device, "name").starts_with("Device ")).expect("the one without a name");
    let by_id = format!("Device {}", &text(unseen, "device_id")[..8]);
    assert_eq!(names, [by_id, "TWIN (2)".into(), "twin".into(), "tw\u{456}n (3)".into()]);
    // The name on each card means that device and no other.
    for (name, device) in names.iter().zip(&paired) {
        let found = alpha.run(["trust", name]).expect_status(0);
        assert_eq!(found.lines[0]["device_id"], device["device_id"], "{name}");
    }
    alpha.run(["block", "twi"]).expect_error(1, &["device_ambiguous"]);
}

#[test]
fn a_name_that_reads_as_an_id_is_refused() {
    let alpha = Device::loopback("alpha");
    let node = alpha.serve();
    let own = node.device_id();
    let base32 = "yb5ndrfg8ejkmcpqxot1uwisza345h769yb5ndrfg8ejkmcpqxot";
    for name in ["123456", "FACADE", " c0ffee ", &own, &own[..10], &node.endpoint_id(), base32] {
        alpha.run(["rename", name]).expect_error(2, &["invalid_input"]);
        alpha.run(["settings", "name", name]).expect_error(2, &["invalid_input"]);
    }
    for name in ["cafe", "2026-11-30", "coffee", "Facade 2", "01234567 Desk"] {
        let renamed = alpha.run(["rename", name]).expect_status(0);
        assert_eq!(renamed.lines[0]["value"], name);
    }
}
