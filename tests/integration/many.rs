//! One node and two hundred paired devices that are all connected to it: what they cost while nothing happens.
//!
//! The node is the real program. The others are endpoints in this process that were really paired with it, hold a session
//! each, and answer when they are asked whether they are there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::endpoint::Connection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use yonder_core::{
    api::{DeviceState, DeviceType, PairingView, Request, Response},
    keys::{Key, Opener, SealDirection, Sealer, SessionKeys, StreamKind},
    messaging::{MAX_MESSAGE, NetworkMessage},
    net::{read_frame, write_frame},
};
use yonder_tests::{
    device::{Device, Node},
    measure::{GRACE, cpu, resident, soak, until},
    talk::Talk,
};

use crate::peer::{MESSAGE, Peer, runtime};

const PEERS: usize = 200;
/// Each costs less than this much memory.
const MEMORY: u64 = 1_000_000;
/// While nothing happens, the node takes at most this share of a core. What is built for tests is not optimised.
const CPU: f64 = 0.02;
/// For so long.
const IDLE: Duration = Duration::from_secs(20);
/// So long after the last connection the node has done what a new one brings.
const SETTLED: Duration = Duration::from_secs(10);

/// Every endpoint has sockets of its own.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(65_536).min(65_536);
    if limit.current.is_some_and(|now| now < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).unwrap();
    }
}

/// Pairs a fresh peer with the node; gives it and the pairing secret.
fn paired(talk: &Talk, runtime: &tokio::runtime::Runtime, node: &Node, number: usize) -> (Peer, Key) {
    let shown = until("a code", Duration::from_secs(20), || {
        // The pairing before may not be off the screen yet.
        match talk.ask(Request::PairHost { approve: true, level: None, words: 3 }) {
            Ok(Response::Pairing(PairingView::Hosting { words, .. })) => Some(words),
            Ok(other) => panic!("no code: {other:?}"),
            Err(_) => None,
        }
    });
    runtime.block_on(async {
        let peer = Peer::new().await;
        let pairing = peer.pair(node, &format!("peer {number}"), &shown).await;
        assert!(pairing.paired, "peer {number}: {:?}", pairing.failed);
        let secret = pairing.stored.secret().unwrap().clone();
        (peer, secret)
    })
}

/// A device that is there: takes the node's calls, and answers its pings.
async fn be_there(peer: Arc<Peer>, secret: Key, calls: Arc<AtomicUsize>) {
    loop {
        let Some(incoming) = peer.endpoint.accept().await else { return };
        let (peer, secret, calls) = (peer.clone(), secret.clone(), calls.clone());
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            assert_eq!(connection.alpn(), MESSAGE);
            let Some(keys) = peer.answered(&connection, &secret).await else { return };
            calls.fetch_add(1, Ordering::Relaxed);
            say(&connection, &keys, &hello()).await;
            while let Ok(mut stream) = connection.accept_uni().await {
                let key = keys.stream_key(StreamKind::UniOfInitiator, stream.id().index(), SealDirection::ToResponder);
                let Ok(Some(frame)) = read_frame(&mut stream, MAX_MESSAGE + 64).await else { continue };
                let plain = Opener::new(&key).open(&[], &frame).expect("sealed for us");
                if let Ok(NetworkMessage::Ping { id, .. }) = NetworkMessage::decode(&plain) {
                    say(&connection, &keys, &NetworkMessage::Pong { id }).await;
                }
            }
        });
    }
}

fn hello() -> NetworkMessage {
    NetworkMessage::Hello { name: "one of many".into(), device_type: DeviceType::Phone, instance: 1 }
}

async fn say(connection: &Connection, keys: &SessionKeys, message: &NetworkMessage) {
    let Ok(mut stream) = connection.open_uni().await else { return };
    let key = keys.stream_key(StreamKind::UniOfResponder, stream.id().index(), SealDirection::ToInitiator);
    let sealed = Sealer::new(&key).seal(&[], &message.encode()).unwrap();
    let _ = write_frame(&mut stream, &sealed).await;
    let _ = stream.finish();
}

fn connected(talk: &Talk) -> usize {
    match talk.ask(Request::Devices) {
        Ok(Response::Devices(devices)) => {
            devices.iter().filter(|device| device.state == DeviceState::Connected).count()
        }
        other => panic!("no devices: {other:?}"),
    }
}

#[test]
fn two_hundred_devices_cost_little() {
    allow_many_files();
    let device = Device::loopback("node");
    let node = device.serve();
    let pid = node.running.pid();
    let talk = Talk::to(&device);
    let runtime = runtime();
    let calls = Arc::new(AtomicUsize::new(0));
    let mut peers = Vec::new();
    let mut before = 0;
    let begun = Instant::now();
    for number in 0..=PEERS {
        let (peer, secret) = paired(&talk, &runtime, &node, number);
        let peer = Arc::new(peer);
        runtime.spawn(be_there(peer.clone(), secret, calls.clone()));
        peers.push(peer);
        if number == 0 {
            // Whatever is needed only once is there with the first one.
            until("the first one", Duration::from_secs(30), || (connected(&talk) == 1).then_some(()));
            before = resident(pid);
        }
    }
    println!("FIGURE {PEERS} pairings: {:.1?}", begun.elapsed());
    let records = resident(pid);
    until("all to be connected", Duration::from_secs(120), || (connected(&talk) == PEERS + 1).then_some(()));
    println!("FIGURE {PEERS} devices connected after {:.1?}", begun.elapsed());

    std::thread::sleep(SETTLED);
    let (time, used, dials) = (Instant::now(), cpu(pid), calls.load(Ordering::Relaxed));
    std::thread::sleep(if soak() { 15 * IDLE } else { IDLE });
    let share = (cpu(pid) - used).as_secs_f64() / time.elapsed().as_secs_f64();
    let after = resident(pid);
    assert_eq!(connected(&talk), PEERS + 1, "all of them stay");
    assert_eq!(calls.load(Ordering::Relaxed), dials, "nobody is dialled again");

    let each = after.saturating_sub(before) / PEERS as u64;
    println!(
        "FIGURE {PEERS} connected devices: {:.0} kB each ({:.1} MB before, {:.1} MB after the pairings, {:.1} MB in the end)",
        each as f64 / 1e3,
        before as f64 / 1e6,
        records as f64 / 1e6,
        after as f64 / 1e6,
    );
    println!("FIGURE {PEERS} connected devices, idle: {:.2} % of a core", share * 100.0);
    assert!(each < MEMORY, "{each} bytes each");
    let optimised = if cfg!(debug_assertions) { GRACE } else { 1 };
    assert!(share < CPU * f64::from(optimised), "{:.2} % of a core", share * 100.0);
    runtime.block_on(async {
        for peer in peers {
            peer.endpoint.close().await;
        }
    });
}
