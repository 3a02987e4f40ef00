//! Test of one node with two hundred connected, paired devices: what they cost while nothing happens.
//!
//! The node is the real program. The others are endpoints in this process that were really paired with it, hold one
//! session each, and answer pings.

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
    api::{DeviceState, DeviceType, NodeRequest, PairingRequest, PairingView, Response},
    keys::{Key, Opener, SealDirection, Sealer, SessionKeys, StreamKind},
    messaging::{MAX_MESSAGE, NetworkMessage},
    net::{read_frame, write_frame},
};
use yonder_tests::{
    control_client::ControlClient,
    device::{Device, Node},
    measure::{GRACE, cpu, resident, soak, until},
};

use crate::peer::{MESSAGE, Peer, runtime};

const PEERS: usize = 200;
/// Memory that each device may cost, in bytes.
const MEMORY: u64 = 1_000_000;
/// Share of a core that the node may use while nothing happens. Builds for tests are not optimised.
const CPU: f64 = 0.02;
/// Duration of the measurement.
const IDLE: Duration = Duration::from_secs(20);
/// Wait after the last connection, in which the node finishes the work that a new connection causes.
const SETTLED: Duration = Duration::from_secs(10);

/// Raises the limit of open files, because every endpoint has its own sockets.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(65_536).min(65_536);
    if limit.current.is_some_and(|now| now < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).unwrap();
    }
}

/// Pairs a new peer with the node, and returns it with the pairing secret.
fn paired(control: &ControlClient, runtime: &tokio::runtime::Runtime, node: &Node, number: usize) -> (Peer, Key) {
    let shown = until("a code", Duration::from_secs(20), || {
        // The previous pairing may still be shown.
        match control.ask(PairingRequest::PairHost { approve: true, level: None, words: 3 }) {
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

/// Plays a device that is present: accepts the node's connections and answers its pings.
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

fn connected(control: &ControlClient) -> usize {
    match control.ask(NodeRequest::Devices) {
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
    let control = ControlClient::to(&device);
    let runtime = runtime();
    let calls = Arc::new(AtomicUsize::new(0));
    let mut peers = Vec::new();
    let mut before = 0;
    let begun = Instant::now();
    for number in 0..=PEERS {
        let (peer, secret) = paired(&control, &runtime, &node, number);
        let peer = Arc::new(peer);
        runtime.spawn(be_there(peer.clone(), secret, calls.clone()));
        peers.push(peer);
        if number == 0 {
            // One-time costs are included in the state after the first connection.
            until("the first one", Duration::from_secs(30), || (connected(&control) == 1).then_some(()));
            before = resident(pid);
        }
    }
    println!("FIGURE {PEERS} pairings: {:.1?}", begun.elapsed());
    let records = resident(pid);
    until("all to be connected", Duration::from_secs(120), || (connected(&control) == PEERS + 1).then_some(()));
    println!("FIGURE {PEERS} devices connected after {:.1?}", begun.elapsed());

    std::thread::sleep(SETTLED);
    let (time, used, dials) = (Instant::now(), cpu(pid), calls.load(Ordering::Relaxed));
    std::thread::sleep(if soak() { 15 * IDLE } else { IDLE });
    let share = (cpu(pid) - used).as_secs_f64() / time.elapsed().as_secs_f64();
    let after = resident(pid);
    assert_eq!(connected(&control), PEERS + 1, "all of them stay");
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
