//! Tests of a node that dies after any one message of a pairing: after a restart and a contact, both sides are paired
//! or neither is.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use yonder_core::{
    identity::{KeystoreChoice, NoPassphrase, unlock},
    pairing::{HostCode, SystemEntropy},
    storage::{Store, Table},
};
use yonder_tests::device::{Device, Node};

use crate::peer::{MESSAGE, NOT_PAIRED, PAIRING, Peer, Stored, TEST_TIMEOUT, code_of, runtime, show_code, wait_for};

/// Moment of death: after this many messages have been received by either side, at once or after the node has sent one
/// more, which is lost. This covers a death after each message received and after each message sent.
type Cut = (usize, bool);

const HOST: [Cut; 13] = [
    (0, false),
    (1, false),
    (1, true),
    (3, false),
    (3, true),
    (5, false),
    (5, true),
    (7, false),
    (8, false),
    (8, true),
    (10, false),
    (10, true),
    (12, false),
];

const JOINER: [Cut; 12] = [
    (0, true),
    (2, false),
    (2, true),
    (4, false),
    (4, true),
    (6, false),
    (6, true),
    (8, false),
    (8, true),
    (9, true),
    (11, false),
    (11, true),
];

#[test]
fn the_host_may_die_after_any_message() {
    let mut ends = Vec::new();
    for (heard, lost) in HOST {
        let at = format!("after {heard}, one more lost: {lost}");
        let host = Device::loopback("host");
        let mut node = host.serve();
        let (hosting, words) = show_code(&host);
        runtime().block_on(async {
            let peer = Peer::new().await;
            let mut joining = peer.join(peer.dial(&node, PAIRING).await, peer.local("Joiner"), &words).await;
            joining.until(heard).await;
            if lost {
                joining.lose_next().await;
            }
            node.running.kill();
            drop(hosting);
            assert_eq!(joining.said.len() + joining.heard.len(), heard, "{at}");
            node = host.serve();
            // The devices meet: the joiner dials with the secret that it holds.
            let paired = match joining.stored.secret() {
                None => false,
                Some(secret) => match peer.session(&peer.dial(&node, MESSAGE).await, secret).await {
                    Ok(_) => true,
                    // The host never stored the pairing, so the joiner drops its pending record.
                    Err(end) => {
                        assert_eq!(code_of(&end), NOT_PAIRED, "{at}");
                        assert!(matches!(joining.stored, Stored::Pending(_)), "{at}: the host had said Committed");
                        false
                    }
                },
            };
            assert_eq!(host.paired_with().len(), usize::from(paired), "{at}, joiner {:?}", joining.stored);
            ends.push(((heard, lost), paired));
        });
    }
    report("host", &ends);
    // The pairing survives where one side could have stored it in time, and must survive where both have.
    assert!(ends.iter().all(|((heard, _), paired)| *heard >= 10 || !paired));
    assert!(ends.contains(&((10, true), true)) && ends.contains(&((12, false), true)));
}

fn report(who: &str, ends: &[(Cut, bool)]) {
    let paired: Vec<&Cut> = ends.iter().filter(|(_, paired)| *paired).map(|(cut, _)| cut).collect();
    println!(
        "FIGURE {who} killed at {} places of a pairing: both paired after {paired:?}, both not after the rest",
        ends.len()
    );
}

#[test]
fn the_joiner_may_die_after_any_message() {
    let mut ends = Vec::new();
    for (heard, lost) in JOINER {
        let at = format!("after {heard}, one more lost: {lost}");
        let joiner = Device::loopback("joiner");
        let mut node = joiner.serve();
        let code = HostCode::generate(Default::default(), &mut SystemEntropy).unwrap();
        let words = code.code().to_string();
        let code = Arc::new(Mutex::new(code));
        runtime().block_on(async {
            let peer = Arc::new(Peer::new().await);
            let joining = joiner.start(["pair", "join", &words, "--approve", "--device", &peer.address()]);
            let mut hosting = peer.host(peer.accept().await, "Host", code).await;
            hosting.until(heard).await;
            if lost {
                hosting.lose_next().await;
            }
            node.running.kill();
            drop(joining);
            assert_eq!(hosting.said.len() + hosting.heard.len(), heard, "{at}");
            let held = hosting.stored.secret().cloned();
            drop(hosting);
            node = joiner.serve();
            match &held {
                Some(secret) => {
                    let session = peer.session(&peer.dial(&node, MESSAGE).await, secret).await;
                    assert!(session.is_ok(), "{at}: {:?}", session.err());
                    let id = peer.endpoint.id().to_string();
                    wait_for("the joiner to know that it is paired", || joiner.paired_with() == [id.clone()]);
                }
                None => {
                    let dialled = refuse(&peer, &node).await;
                    assert!(dialled || (heard, lost) != (9, true), "{at}: what is pending is not asked about");
                    assert_eq!(joiner.paired_with(), Vec::<String>::new(), "{at}");
                }
            }
            ends.push(((heard, lost), held.is_some()));
        });
        node.stop().expect_status(0);
        assert_eq!(pending(&joiner), 0, "{at}: what was pending is settled");
    }
    report("joiner", &ends);
    assert!(ends.iter().all(|((heard, _), paired)| *paired == (*heard >= 11)));
}

/// Asserts that the device that holds nothing refuses the other, whichever of them dials. Returns whether the joiner
/// dialled.
async fn refuse(peer: &Arc<Peer>, node: &Node) -> bool {
    let dialled = Arc::new(AtomicBool::new(false));
    let answering = {
        let (peer, dialled) = (peer.clone(), dialled.clone());
        tokio::spawn(async move {
            while let Some(incoming) = peer.endpoint.accept().await {
                if let Ok(connection) = incoming.await {
                    dialled.store(true, Ordering::SeqCst);
                    connection.close((NOT_PAIRED as u32).into(), b"");
                }
            }
        })
    };
    let end = Instant::now() + TEST_TIMEOUT;
    while peer.refusal(node, MESSAGE).await.0 != Some(NOT_PAIRED) {
        assert!(Instant::now() < end, "it lets in whom the host does not know");
    }
    answering.abort();
    dialled.load(Ordering::SeqCst)
}

/// Counts the pending pairings on a device's disk.
fn pending(device: &Device) -> usize {
    let unlocked = unlock(device.data_dir(), KeystoreChoice::Plain, &NoPassphrase).unwrap();
    let store = Store::open(device.data_dir(), &unlocked.root).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rows = store.list(Table::PendingPairings).await.unwrap().len();
        store.close().await;
        rows
    })
}
