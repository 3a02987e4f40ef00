//! Tests of recorded and reflected pairing messages over real connections: they are of no use, neither to the host nor
//! to the joiner.

use iroh::endpoint::Connection;
use yonder_core::{
    net::{read_frame, write_frame},
    pairing::{HostCode, MAX_FRAME, PairingError, Refusal, SystemEntropy},
};
use yonder_tests::{
    device::Device,
    program::{Running, TEST_TIMEOUT as LONG},
};

use super::strangers::stolen_key;
use crate::peer::{MESSAGE, NOT_PAIRING, PAIRING, Peer, TEST_TIMEOUT, runtime, show_code, wait_for};

/// Sends these frames whatever the answers are, and returns the answers.
async fn play(connection: &Connection, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    for frame in frames {
        // The other side may have closed already.
        let _ = write_frame(&mut send, frame).await;
    }
    let _ = send.finish();
    rest(&mut recv).await
}

async fn rest(recv: &mut iroh::endpoint::RecvStream) -> Vec<Vec<u8>> {
    let mut heard = Vec::new();
    let all = async {
        while let Ok(Some(frame)) = read_frame(recv, MAX_FRAME).await {
            heard.push(frame);
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, all).await.expect("the other side goes on");
    heard
}

/// Waits until the host reports that a wrong code was tried.
#[track_caller]
fn told(hosting: &Running, left: u8) {
    let text = format!("Attempts left: {left}.");
    wait_for(&text, || hosting.stderr().contains(&text));
}

#[test]
fn a_recorded_pairing_played_to_its_host_is_counted_as_a_wrong_code() {
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        let peer = Peer::new().await;
        let (hosting, words) = show_code(&host);
        let recorded = peer.pair(&node, "Recorded", &words).await;
        assert!(recorded.paired);
        hosting.finish(LONG).expect_status(0);
        assert_eq!((recorded.said.len(), recorded.heard.len()), (7, 5));
        let before = host.devices();

        // The replaying peer even has the endpoint key of the recorded one. Without an open code it is refused at once.
        let (code, _) = peer.told_refusal(&node, PAIRING).await;
        assert_eq!(code, NOT_PAIRING);

        // While another code is open, each replay costs an attempt and reveals nothing else.
        let (hosting, words) = show_code(&host);
        for left in [2, 1, 0] {
            let heard = play(&peer.dial(&node, PAIRING).await, &recorded.said).await;
            assert_eq!(heard.len(), 2, "a share, and the refusal");
            assert_ne!(heard[0], recorded.heard[0], "no share is used twice");
            let refusal = if left > 0 { Refusal::CodeWrong } else { Refusal::CodeBurnt };
            assert_eq!(heard[1], refusal.frame());
            if left > 0 {
                told(&hosting, left);
            }
        }
        hosting.finish(LONG).expect_error(3, &["code_burnt"]);
        let late = Peer::new().await.pair(&node, "Late", &words).await;
        assert_eq!(late.failed, Some(PairingError::CodeBurnt), "the right code is refused, too");

        // The recorded device keeps its record and its pairing secret.
        assert_eq!(record(&host.devices()[0]), record(&before[0]));
        let connection = peer.dial(&node, MESSAGE).await;
        assert!(peer.session(&connection, recorded.stored.secret().unwrap()).await.is_ok());
    });
    assert_eq!(host.paired_with().len(), 1);
}

/// Returns the fields that identify a device, without those that change from moment to moment.
fn record(device: &serde_json::Value) -> [String; 4] {
    ["device_id", "endpoint_id", "name", "paired"].map(|field| device[field].to_string())
}

#[test]
fn a_recorded_pairing_played_to_its_joiner_is_refused() {
    let (joiner, host) = (Device::loopback("joiner"), Device::loopback("host"));
    let host_node = host.serve();
    let recorded = runtime().block_on(async {
        let (hosting, words) = show_code(&host);
        let recorded = Peer::new().await.pair(&host_node, "Recorded", &words).await;
        hosting.finish(LONG).expect_status(0);
        (recorded.heard, words)
    });
    // The thief has the host's endpoint key, the host's frames, and its place on the network.
    let (key, port) = (stolen_key(&host), host.port());
    host_node.stop().expect_status(0);
    let (frames, words) = recorded;
    let _node = joiner.serve();
    runtime().block_on(async {
        let thief = Peer::at(key, ([127, 0, 0, 1], port).into()).await;
        let joining = joiner.start(["pair", "join", &words, "--approve", "--device", &thief.address()]);
        let connection = thief.accept().await;
        let (mut send, mut recv) = connection.accept_bi().await.unwrap();
        let mut heard = Vec::new();
        for frame in &frames {
            // In their order: each frame after the one that it answered.
            if let Ok(Some(said)) = read_frame(&mut recv, MAX_FRAME).await {
                heard.push(said);
            }
            let _ = write_frame(&mut send, frame).await;
        }
        heard.extend(rest(&mut recv).await);
        // The joiner sends its hello and its proof, and nothing about itself.
        let kinds: Vec<u8> = heard.iter().map(|frame| frame[1]).collect();
        assert_eq!(kinds, [0, 2]);
        drop((send, recv, connection));
        joining.finish(LONG).expect_error(1, &["pairing_violation"]);
    });
    assert_eq!(joiner.paired_with(), Vec::<String>::new());
}

#[test]
fn a_hosts_own_messages_are_not_taken_back_by_it() {
    let host = Device::loopback("host");
    let node = host.serve();
    let (hosting, words) = show_code(&host);
    runtime().block_on(async {
        let peer = Peer::new().await;
        // The node's share from another connection: sent as the hello of this one, and then as its proof.
        let other = peer.dial(&node, PAIRING).await;
        let mut pairing = peer.join(other, peer.local("Mirror"), "abandon-ability-able").await;
        pairing.until(2).await;
        let share = pairing.heard[0].clone();
        assert_eq!(share[..2], [1, 1], "a share of the host");
        let hello = [&[1, 0, 1], &share[2..]].concat();
        let heard = play(&peer.dial(&node, PAIRING).await, &[hello, share.clone()]).await;
        assert_eq!(heard[0][..2], [1, 1]);
        assert_ne!(heard[0], share);
        assert_eq!(heard[1..], [Refusal::Violation.frame()]);

        // The node's own message on this connection, first word for word, then with the number of the message that is
        // due.
        for due in [false, true] {
            let connection = peer.dial(&node, PAIRING).await;
            let mut pairing = peer.join(connection, peer.local("Mirror"), "abandon-ability-able").await;
            pairing.until(2).await;
            let share = &pairing.heard[0];
            let echo = if due { [&[1, 2], &share[2..]].concat() } else { share.clone() };
            pairing.say_raw(&echo).await;
            let refusal = if due { Refusal::CodeWrong } else { Refusal::Violation };
            assert_eq!(pairing.hear_raw().await, Some(refusal.frame()), "said as what is due: {due}");
        }

        // An echo that is no proof costs no attempt; the one in the form of a proof was counted.
        told(&hosting, 2);
        let right = peer.pair(&node, "Friend", &words).await;
        assert!(right.paired, "{:?}", right.failed);
    });
    let finished = hosting.finish(LONG).expect_status(0);
    assert!(!finished.stderr.contains("Attempts left: 1."), "{finished:#?}");
}

#[test]
fn a_joiners_own_messages_are_not_taken_back_by_it() {
    let joiner = Device::loopback("joiner");
    let _node = joiner.serve();
    for as_due in [false, true] {
        runtime().block_on(async {
            let mirror = Peer::new().await;
            let address = mirror.address();
            let joining = joiner.start(["pair", "join", "abandon-ability-able", "--approve", "--device", &address]);
            let connection = mirror.accept().await;
            let (mut send, mut recv) = connection.accept_bi().await.unwrap();
            let hello = read_frame(&mut recv, MAX_FRAME).await.unwrap().unwrap();
            assert_eq!(hello[..3], [1, 0, 1]);
            // The joiner's hello, unchanged or in the form of the answer: with its own share, both sides would have the
            // same key.
            let echo = if as_due { [&[1, 1], &hello[3..]].concat() } else { hello };
            write_frame(&mut send, &echo).await.unwrap();
            let more = rest(&mut recv).await;
            assert_eq!(more, Vec::<Vec<u8>>::new(), "it proves nothing to its own share");
            drop((send, recv, connection));
            joining.finish(LONG).expect_error(1, &["pairing_violation"]);
        });
    }
    // The joiner's proof, in the form of the host's, to a joiner that received another share.
    runtime().block_on(async {
        let mirror = Peer::new().await;
        let address = mirror.address();
        let joining = joiner.start(["pair", "join", "abandon-ability-able", "--approve", "--device", &address]);
        let connection = mirror.accept().await;
        let code = HostCode::generate(Default::default(), &mut SystemEntropy);
        let code = std::sync::Arc::new(std::sync::Mutex::new(code.unwrap()));
        let mut pairing = mirror.host(connection, "Mirror", code).await;
        pairing.until(2).await;
        let proof = pairing.hear_raw().await.unwrap();
        assert_eq!(proof[..2], [1, 2]);
        pairing.say_raw(&[&[1, 3], &proof[2..]].concat()).await;
        assert_eq!(pairing.hear_raw().await, None, "it goes on after its own tag");
        drop(pairing);
        joining.finish(LONG).expect_error(1, &["pairing_violation"]);
    });
    assert_eq!(joiner.paired_with(), Vec::<String>::new());
}
