//! Attacks with many first packets from nobody, and with many dials of strangers; others still get in.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    honest::GRACE,
    initial::Flood,
    peer::{MESSAGE, PAIRING, Peer, TRANSFER, Target, open_handed},
    scene::{HOSTILES, Hostile, Scene},
    wire::Step,
};

/// First packets per second of one hostile machine.
const PER_SECOND: u32 = 100;

/// A paired device that dials anew all the time. The duration of its sessions is compared with the duration without an
/// attack.
struct Dialler {
    peer: Arc<Peer>,
    secret: [u8; 32],
    target: Target,
    usual: Duration,
}

impl Dialler {
    /// Pairs the dialler and measures its usual time. This happens before any attack, because the remains of one would
    /// distort the measurement.
    fn new(scene: &Scene) -> Self {
        let (peer, secret) = scene.paired(1, open_handed).remove(0);
        let mut dialler = Self { peer: Arc::new(peer), secret, target: scene.target(), usual: Duration::ZERO };
        for _ in 0..3 {
            let took = scene.runtime.block_on(session(&dialler.peer, &dialler.target, &dialler.secret));
            dialler.usual = dialler.usual.max(took.expect("a session without an attack"));
        }
        dialler
    }

    /// Runs a phase of the attack while the dialler dials.
    fn during<F: Future<Output = ()> + Send + 'static>(
        &self,
        scene: &mut Scene,
        count: usize,
        attack: impl Fn(Hostile) -> F,
    ) {
        let limit = 2 * self.usual + GRACE;
        let stop = Arc::new(AtomicBool::new(false));
        let seen: Arc<Mutex<Vec<Step<Duration>>>> = Arc::default();
        let dialling = scene.runtime.spawn({
            let (stop, seen) = (stop.clone(), seen.clone());
            let (peer, target, secret) = (self.peer.clone(), self.target.clone(), self.secret);
            async move {
                // The flood takes a moment to begin. On a fast machine the whole phase takes little more than a second.
                tokio::time::sleep(Duration::from_millis(500)).await;
                while !stop.load(Ordering::Relaxed) {
                    let one =
                        tokio::time::timeout(limit + Duration::from_secs(1), session(&peer, &target, &secret)).await;
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
        let late = |one: &&Step<Duration>| !matches!(one, Ok(took) if *took <= limit);
        let count_late = seen.iter().filter(late).count();
        println!("FIGURE sessions of a paired device: usual {:.0?}, then {seen:.0?}", self.usual);
        if count_late > 0 || seen.is_empty() {
            scene.fault(format!(
                "during the attack by {count}: {count_late} of {} sessions of a paired device did not come to stand \
                 within {limit:.2?}; the first of them: {:.2?}",
                seen.len(),
                seen.iter().find(late)
            ));
        }
    }
}

/// Returns how long one session takes to be established.
async fn session(peer: &Peer, target: &Target, secret: &[u8; 32]) -> Step<Duration> {
    let begun = Instant::now();
    let session = peer.session(target, MESSAGE, secret).await?;
    let took = begun.elapsed();
    session.connection.close(0u32.into(), b"");
    Ok(took)
}

fn flooded_from(addresses: u8) {
    let mut scene = Scene::new();
    let dialler = Dialler::new(&scene);
    for count in HOSTILES {
        dialler.during(&mut scene, count, move |hostile| async move {
            let mut flood = Flood::new(addresses, hostile.number as u8, PER_SECOND);
            let mut told = false;
            loop {
                let sent = flood.send_due(hostile.target.at);
                // More packets than the node has places for.
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
    let dialler = Dialler::new(&scene);
    for count in HOSTILES {
        dialler.during(&mut scene, count, |hostile| async move {
            for number in 0_usize.. {
                // Only TLS is established, because the peer is not paired.
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
