//! First packets of nobody, and dials of strangers, in numbers: others get in meanwhile.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::endpoint::QuicTransportConfig;

use crate::{
    honest::GRACE,
    initial::Flood,
    peer::{MESSAGE, PAIRING, Peer, TRANSFER, open_handed},
    scene::{HOSTILES, Hostile, Scene},
};

/// First packets a second of one hostile machine.
const PER_SECOND: u32 = 100;

/// Runs a phase in which an honest device that is paired dials anew all the time; its sessions are held against the time
/// that they take without an attack.
fn while_sessions_begin<F: Future<Output = ()> + Send + 'static>(
    scene: &mut Scene,
    count: usize,
    attack: impl Fn(Hostile) -> F,
) {
    let (peer, secret) = scene.paired(1, open_handed as fn() -> QuicTransportConfig).remove(0);
    let (peer, target) = (Arc::new(peer), scene.target());
    let session = move |peer: Arc<Peer>| {
        let target = target.clone();
        async move {
            let begun = Instant::now();
            let session = peer.session(&target, MESSAGE, &secret).await?;
            let took = begun.elapsed();
            session.connection.close(0u32.into(), b"");
            Ok::<Duration, String>(took)
        }
    };
    let mut usual = Duration::ZERO;
    for _ in 0..3 {
        usual = usual.max(scene.runtime.block_on(session(peer.clone())).expect("a session without an attack"));
    }
    let limit = 2 * usual + GRACE;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let dialling = scene.runtime.spawn({
        let (stop, seen, session) = (stop.clone(), seen.clone(), session.clone());
        async move {
            // The first ones are on their way before the flood has filled anything.
            tokio::time::sleep(Duration::from_secs(1)).await;
            while !stop.load(Ordering::Relaxed) {
                let one = tokio::time::timeout(limit + Duration::from_secs(1), session(peer.clone())).await;
                seen.lock().expect("no panic while it is held").push(one.unwrap_or(Err("not done".into())));
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    let hostiles = scene.unpaired(count, open_handed).into_iter().map(|peer| (peer, [0; 32])).collect();
    scene.during(hostiles, attack);
    stop.store(true, Ordering::Relaxed);
    let _ = scene.runtime.block_on(dialling);
    let seen = std::mem::take(&mut *seen.lock().expect("no panic while it is held"));
    let late = seen.iter().filter(|one| !matches!(one, Ok(took) if *took <= limit)).count();
    println!("FIGURE sessions of a paired device: usual {usual:.0?}, then {seen:.0?}");
    if late > 0 || seen.is_empty() {
        let first = seen.iter().find(|one| !matches!(one, Ok(took) if *took <= limit));
        scene.fault(format!(
            "during the attack by {count}: {late} of {} sessions of a paired device did not come to stand within \
             {limit:.2?}; the first of them: {first:.2?}",
            seen.len()
        ));
    }
}

fn flooded_from(addresses: u8) {
    let mut scene = Scene::new();
    for count in HOSTILES {
        while_sessions_begin(&mut scene, count, move |hostile| async move {
            let mut flood = Flood::new(addresses, hostile.number as u8, PER_SECOND);
            let mut told = false;
            loop {
                let sent = flood.send_due(hostile.target.at);
                // More than there are places for.
                if sent >= 100 && !told {
                    hostile.in_place(format!("{sent} first packets"));
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    scene.finish();
}

#[test]
fn a_hundred_first_packets_a_second_from_one_address_keep_nobody_out() {
    flooded_from(1);
}

#[test]
fn a_hundred_first_packets_a_second_from_many_addresses_keep_nobody_out() {
    flooded_from(80);
}

#[test]
fn strangers_that_dial_all_the_time_keep_nobody_out() {
    let mut scene = Scene::new();
    for count in HOSTILES {
        while_sessions_begin(&mut scene, count, |hostile| async move {
            for number in 0_usize.. {
                // TLS comes to stand, and nothing else: they are not paired.
                let alpn = [MESSAGE, TRANSFER, PAIRING][number % 3];
                let _ = hostile.peer.dial(&hostile.target, alpn).await;
                if number == 12 {
                    hostile.in_place("twelve dials");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    scene.finish();
}
