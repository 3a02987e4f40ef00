//! Tests of many strangers, false lengths and slow senders against one real node: guesses are counted over all of them,
//! no claimed length is believed, and friends still get in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::{
    EndpointAddr,
    endpoint::{Connection, ConnectionError},
};
use tokio::sync::Barrier;
use yonder_core::{
    keys::Key,
    pairing::{PairingCode, PairingError, SystemEntropy},
};
use yonder_tests::{
    device::{Device, Node},
    program::{Running, TEST_TIMEOUT as LONG},
};

use crate::peer::{
    BUSY, HANDSHAKE_FAILED, MESSAGE, NOT_PAIRING, PAIRING, Peer, REPLACED, SYNC, TEST_TIMEOUT, TRANSFER, VIOLATION,
    address, code_of, paired_peer, runtime, say, show_code,
};

const GUESSERS: usize = 50;
/// Number of strangers that are heard at once.
const PLACES: usize = 10;

/// Returns a code that differs from the one shown.
fn guess(right: &str) -> String {
    loop {
        let code = PairingCode::generate(&mut SystemEntropy).unwrap().to_string();
        if code != right {
            return code;
        }
    }
}

#[derive(Default)]
struct Told {
    wrong: AtomicUsize,
    burnt: AtomicUsize,
    nobody: AtomicUsize,
    busy: AtomicUsize,
}

/// True if the node ended a handshake for another one of the same host, which it does without a code. A slow machine has
/// more of them in progress than one host may have.
fn gave_way(reason: &ConnectionError) -> bool {
    match reason {
        ConnectionError::ApplicationClosed(close) => close.error_code == 0_u32.into(),
        ConnectionError::ConnectionClosed(_) => true,
        _ => false,
    }
}

/// Makes one guess, and tries again until the host has heard it.
async fn guesser(peer: &Peer, node: &EndpointAddr, words: &str, together: Option<Arc<Barrier>>, told: &Told) {
    loop {
        let connection = match peer.reach(node.clone(), PAIRING).await {
            Ok(connection) => connection,
            Err(_) => {
                // Refused before the connection was established: no code is open any more, or no place was free.
                if let (Some(NOT_PAIRING), _) = peer.refusal_at(node.clone(), PAIRING).await {
                    told.nobody.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                continue;
            }
        };
        let mut pairing = peer.join(connection, peer.local("Guesser"), words).await;
        // After the hello and the host's share, all peers prove at once.
        pairing.until(2).await;
        if let Some(together) = &together
            && pairing.heard.len() == 1
        {
            together.wait().await;
        }
        pairing.until(usize::MAX).await;
        let place = match &pairing.failed {
            Some(PairingError::CodeWrong) => &told.wrong,
            Some(PairingError::CodeBurnt) => &told.burnt,
            _ => match pairing.connection.close_reason() {
                Some(ConnectionError::ApplicationClosed(close)) if close.error_code == (NOT_PAIRING as u32).into() => {
                    &told.nobody
                }
                Some(reason) if together.is_none() && pairing.heard.is_empty() && gave_way(&reason) => continue,
                reason => {
                    let busy = matches!(&reason, Some(ConnectionError::ApplicationClosed(close)) if close.error_code == (BUSY as u32).into());
                    assert!(busy && together.is_none(), "{:?}, {reason:?}", pairing.failed);
                    told.busy.fetch_add(1, Ordering::Relaxed);
                    // Ten strangers are being heard; a place will be free in a moment.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        assert!(!pairing.paired && pairing.stored.secret().is_none());
        place.fetch_add(1, Ordering::Relaxed);
        return;
    }
}

#[test]
fn fifty_connections_that_guess_at_once_have_three_attempts_in_all() {
    let (host, friend) = (Device::loopback("host"), Device::loopback("friend"));
    let (node, friend_node) = (host.serve(), friend.serve());
    let runtime = runtime();
    let peers = runtime.block_on(async {
        let mut peers = Vec::new();
        for _ in 0..PLACES {
            peers.push(Arc::new(Peer::new().await));
        }
        peers
    });
    let (hosting, words) = show_code(&host);
    let told = runtime.block_on(async {
        let together = Arc::new(Barrier::new(PLACES + 1));
        let (told, node) = (Arc::new(Told::default()), address(&node));
        let mut guessers = tokio::task::JoinSet::new();
        for number in 0..GUESSERS {
            let (told, node, words) = (told.clone(), node.clone(), guess(&words));
            let peer = peers[number % PLACES].clone();
            // The first ten have all the places and prove at the same moment; the others follow as they leave.
            let first = (number < PLACES).then(|| together.clone());
            guessers.spawn(async move { guesser(&peer, &node, &words, first, &told).await });
            if number + 1 == PLACES {
                tokio::time::timeout(TEST_TIMEOUT, together.wait()).await.expect("ten are heard at once");
            }
        }
        while let Some(ended) = tokio::time::timeout(LONG, guessers.join_next()).await.expect("guessers hang") {
            ended.unwrap();
        }
        told
    });
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    let (wrong, burnt, nobody) = (count(&told.wrong), count(&told.burnt), count(&told.nobody));
    println!(
        "FIGURE guessers told: wrong {wrong}, burnt {burnt}, no code open {nobody}; found no place {} times",
        count(&told.busy)
    );
    assert_eq!(wrong, 2, "two wrong ones, and the third burnt it");
    assert!(burnt >= 1);
    assert_eq!(wrong + burnt + nobody, GUESSERS);
    let stderr = {
        let finished = hosting.finish(LONG).expect_error(3, &["code_burnt"]);
        assert!(finished.event("paired").is_none());
        finished.stderr
    };
    // Wrong codes that arrive together may be reported in one line.
    let told: Vec<usize> = ["left: 2.", "left: 1."].iter().map(|left| stderr.matches(left).count()).collect();
    assert!(told.iter().all(|count| *count <= 1) && told.contains(&1), "{told:?} {stderr}");
    // The right code comes too late.
    let at = format!("{}@127.0.0.1:{}", told_id(&host), host.port());
    friend
        .run(["pair", "join", &words, "--approve", "--device", &at])
        .expect_error(3, &["code_burnt", "pairing_not_open"]);
    assert_eq!(host.paired_with(), Vec::<String>::new());
    drop(friend_node);
}

fn told_id(device: &Device) -> String {
    yonder_tests::device::text(&device.run(["id"]).expect_status(0).lines[0], "endpoint_id")
}

/// Returns the peak resident memory of a process, in KiB.
fn high_water(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Claims 4 GiB as the length of the first frame and sends some of it. Returns how long the node took to close, and its
/// close code.
async fn claim(connection: Connection, some: &[u8]) -> (Duration, u64) {
    let begun = Instant::now();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let _ = send.write_all(&u32::MAX.to_le_bytes()).await;
    let _ = send.write_all(some).await;
    let end = tokio::time::timeout(TEST_TIMEOUT, connection.closed()).await.expect("a claim of 4 GiB is waited for");
    (begun.elapsed(), code_of(&end))
}

#[test]
fn a_claim_of_four_gibibytes_is_refused_at_once_and_costs_no_memory() {
    const TIMES: usize = 12;
    const AT_ONCE: Duration = Duration::from_secs(2);
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        // A paired peer gets as far as the session handshake, and beyond it.
        let (peer, secret) = paired_peer(&host, &node, "Claims").await;
        let (_hosting, _) = show_code(&host);
        let some = vec![0x2a; 256 << 10];
        let mut worst = Duration::ZERO;
        let mut before = 0;
        for time in 0..TIMES {
            for (alpn, expected) in [(PAIRING, 0), (MESSAGE, HANDSHAKE_FAILED), (TRANSFER, HANDSHAKE_FAILED)] {
                let (took, code) = claim(peer.dial(&node, alpn).await, &some).await;
                let name = String::from_utf8_lossy(alpn);
                assert!(took < AT_ONCE, "{name}: {took:?}");
                assert_eq!(code, expected, "{name}");
                worst = worst.max(took);
            }
            assert!(peer.try_dial(&node, SYNC).await.is_err(), "nobody speaks it");
            worst = worst.max(claim_within(&peer, &node, &secret).await);
            if time == 0 {
                // The first round is not counted: it includes one-time costs of a first connection of each kind.
                before = high_water(&node.running);
            }
        }
        let grown = high_water(&node.running).saturating_sub(before);
        println!("FIGURE 4 GiB claimed {} times: closed within {worst:?}, memory at most {grown} KiB more", TIMES * 5);
        assert!(grown < 16 << 10, "{grown} KiB more");
        // The node still answers.
        assert!(peer.session(&peer.dial(&node, MESSAGE).await, &secret).await.is_ok());
    });
}

/// Claims 4 GiB within an established session: in a message, and in a control frame of a transfer.
async fn claim_within(peer: &Peer, node: &Node, secret: &Key) -> Duration {
    let mut worst = Duration::ZERO;
    for alpn in [MESSAGE, TRANSFER] {
        let connection = peer.dial(node, alpn).await;
        peer.session(&connection, secret).await.expect("a session");
        let begun = Instant::now();
        if alpn == MESSAGE {
            let mut stream = connection.open_uni().await.unwrap();
            let _ = stream.write_all(&u32::MAX.to_le_bytes()).await;
            let end = tokio::time::timeout(TEST_TIMEOUT, connection.closed()).await.expect("it is waited for");
            assert_eq!(code_of(&end), VIOLATION);
        } else {
            let (_, code) = claim(connection, &[]).await;
            assert_eq!(code, VIOLATION);
        }
        worst = worst.max(begun.elapsed());
    }
    worst
}

/// Sends a hello at one byte a second until the node closes. Returns after how long it did.
async fn slowly(connection: Connection, begun: Instant) -> (Duration, ConnectionError) {
    let Ok((mut send, _recv)) = connection.open_bi().await else {
        return (begun.elapsed(), connection.closed().await);
    };
    let hello = [35_u32.to_le_bytes().as_slice(), &[1, 0, 1], &[0x42; 32]].concat();
    for byte in hello {
        let _ = send.write_all(&[byte]).await;
        if let Ok(end) = tokio::time::timeout(Duration::from_secs(1), connection.closed()).await {
            return (begun.elapsed(), end);
        }
    }
    panic!("a hello of 39 seconds was waited for");
}

#[test]
fn slow_words_are_not_waited_for_and_others_get_in_meanwhile() {
    /// Five seconds, and an allowance for a machine that is busy with other tests.
    const THROWN_OUT: Duration = Duration::from_millis(6_500);
    let (host, friend, newcomer) = (Device::loopback("host"), Device::loopback("friend"), Device::loopback("newcomer"));
    let (node, friend_node, _newcomer_node) = (host.serve(), friend.serve(), newcomer.serve());
    yonder_tests::device::pair(&host, &node, &friend);
    let host_id = node.device_id();
    runtime().block_on(async {
        let (hosting, words) = show_code(&host);
        // Ten strangers have all the places, and two more have none. A stranger without a proof after two seconds may
        // be replaced.
        let peer = Peer::new().await;
        let mut slow = tokio::task::JoinSet::new();
        let mut busy = 0;
        for _ in 0..PLACES + 2 {
            let connection = peer.dial(&node, PAIRING).await;
            let begun = Instant::now();
            slow.spawn(async move { slowly(connection, begun).await });
        }
        // Meanwhile a friend gets in, and so does a right pairing as soon as the first stranger has to make room.
        friend.run(["ping", &host_id, "-c", "1"]).expect_status(0);
        let begun = Instant::now();
        let waited = loop {
            let joined = newcomer.run(["pair", "join", &words, "--approve", "--device", &node.at()]);
            match joined.status {
                Some(0) => break begun.elapsed(),
                _ => drop(joined.expect_error(3, &["pairing_busy"])),
            }
            assert!(begun.elapsed() < 2 * THROWN_OUT, "slow strangers keep a right one out");
        };
        hosting.finish(LONG).expect_status(0);
        let mut worst = Duration::ZERO;
        while let Some(ended) = slow.join_next().await {
            let (after, end) = ended.unwrap();
            busy += usize::from(code_of(&end) == BUSY);
            worst = worst.max(after);
        }
        println!("FIGURE slow strangers are thrown out within {worst:?}; a right pairing waited {waited:?}");
        assert!(worst < THROWN_OUT, "{worst:?}");
        assert!((2..=4).contains(&busy), "ten at once, and one that gave way: {busy}");
    });
    assert_eq!(host.paired_with().len(), 2);
    drop(friend_node);
}

#[test]
fn slow_words_in_a_session_handshake_are_not_waited_for() {
    const THROWN_OUT: Duration = Duration::from_millis(6_500);
    let host = Device::loopback("host");
    let node = host.serve();
    runtime().block_on(async {
        let (peer, secret) = paired_peer(&host, &node, "Slow").await;
        let mut slow = tokio::task::JoinSet::new();
        for number in 0..10 {
            let connection = peer.dial(&node, if number % 2 == 0 { MESSAGE } else { TRANSFER }).await;
            let begun = Instant::now();
            slow.spawn(async move { (number % 2 == 0, slowly(connection, begun).await) });
        }
        // The same device still gets in with a prompt handshake, and replaces the connections that it began for the
        // same purpose.
        let connection = peer.dial(&node, MESSAGE).await;
        let keys = peer.session(&connection, &secret).await.expect("a session");
        say(&connection, &keys, r#"{"kind":"ping","id":7}"#).await;
        while let Some(ended) = slow.join_next().await {
            let (for_messages, (after, end)) = ended.unwrap();
            assert!(after < THROWN_OUT, "{after:?}");
            assert_eq!(code_of(&end), if for_messages { REPLACED } else { HANDSHAKE_FAILED });
        }
        assert!(connection.close_reason().is_none(), "the right one stays");
    });
}
