//! Attacks with connections and streams: peers that read nothing, that open more than they need, and that stop halfway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    pairing,
    peer::{Load, MESSAGE, MUCH, PAIRING, TRANSFER, fill, open_handed, tight_fisted},
    scene::{HOSTILES, Hostile, Scene},
    wire::{Step, random},
};

/// Load where nobody reads: 160 MiB if nothing limits it.
const UNREAD: Load = Load { streams: 40, bi: MUCH, uni: MUCH };
/// Bytes of a frame that never ends: most of one.
const PART: usize = 60_000;

#[test]
fn a_peer_that_grants_one_stream_and_reads_nothing_holds_up_nobody() {
    async fn attack(hostile: &Hostile) -> Step<()> {
        let session = hostile.session(MESSAGE).await?;
        let origin = u64::from_le_bytes(random()) | 1;
        for number in 1.. {
            // Each text asks for an answer, for which there is no stream.
            session.text(origin, number, "answer this").await?;
            if number == 5 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                hostile.in_place("five texts want an answer");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.paired(count, tight_fisted);
        scene.during(hostiles, |hostile| async move { hostile.again_and_again(|| attack(&hostile)).await });
    }
    scene.finish();
}

#[test]
fn streams_that_nobody_reads_take_no_memory() {
    async fn attack(hostile: &Hostile) -> Step<()> {
        let messages = hostile.session(MESSAGE).await?;
        let transfers = hostile.session(TRANSFER).await?;
        // Messages arrive on unidirectional streams, which do not wait for each other. Transfers read a first frame,
        // which never ends.
        let unread = fill(&messages.connection, Load { uni: PART, ..UNREAD }, b"").await;
        let begun = fill(&transfers.connection, Load { streams: 128, bi: PART, uni: 0 }, b"").await;
        hostile.in_place(format!("{} and {} bytes were taken in", unread.bytes, begun.bytes));
        messages.connection.closed().await;
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        scene.during(hostiles, |hostile| async move { hostile.again_and_again(|| attack(&hostile)).await });
    }
    scene.finish();
}

#[test]
fn one_device_keeps_three_sessions_of_a_protocol_at_most() {
    const SESSIONS: usize = 40;
    const KEPT: usize = 3;
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        let most = Arc::new(AtomicUsize::new(0));
        let seen = most.clone();
        scene.during(hostiles, move |hostile| {
            let seen = seen.clone();
            async move {
                let mut sessions = Vec::new();
                for _ in 0..SESSIONS {
                    for alpn in [MESSAGE, TRANSFER] {
                        sessions.extend(hostile.session(alpn).await.ok().map(|session| (alpn, session)));
                    }
                }
                // The node gets time to close connections that others have replaced.
                tokio::time::sleep(Duration::from_millis(2500)).await;
                for alpn in [MESSAGE, TRANSFER] {
                    let open = sessions.iter().filter(|(of, session)| *of == alpn && session.is_open()).count();
                    seen.fetch_max(open, Ordering::Relaxed);
                }
                hostile.in_place(format!("{} sessions, of which {} are open", sessions.len(), {
                    sessions.iter().filter(|(_, session)| session.is_open()).count()
                }));
                std::future::pending::<()>().await;
            }
        });
        let open = most.load(Ordering::Relaxed);
        if open > KEPT {
            scene.fault(format!("with {count}: {open} sessions of one device and protocol stay open; {KEPT} may"));
        }
    }
    scene.finish();
}

#[test]
fn strangers_take_no_memory_while_a_code_is_shown() {
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.unpaired(count, open_handed).into_iter().map(|peer| (peer, [0; 32])).collect();
        scene.during_pairing(hostiles, |mut hostile| async move {
            let mut grip = None;
            while hostile.words.changed().await.is_ok() {
                drop(grip.take());
                let attack = async {
                    let connection = hostile.peer.dial(&hostile.target, PAIRING).await?;
                    // A valid beginning, so that the host waits for more.
                    let hello = pairing::hello(&hostile.peer, &connection, "abandon-ability-able")?;
                    let grip = fill(&connection, UNREAD, &hello).await;
                    Step::Ok((connection, grip))
                };
                let held = attack.await;
                hostile.in_place(match &held {
                    Ok((_, grip)) => format!("{} bytes were taken in", grip.bytes),
                    Err(error) => error.clone(),
                });
                // The streams stay open until the next code.
                grip = held.ok();
            }
        });
    }
    scene.finish();
}

#[test]
fn half_a_session_handshake_takes_no_memory() {
    async fn attack(hostile: &Hostile) -> Step<()> {
        let mut grips = Vec::new();
        let mut taken = 0;
        for alpn in [MESSAGE, TRANSFER] {
            let connection = hostile.peer.dial(&hostile.target, alpn).await?;
            // A valid hello, after which the proof never comes.
            let hello = [b"\x4c\0\0\0yonder-s\x01\x01\x01\x01".as_slice(), &[0x42; 64]].concat();
            let grip = fill(&connection, UNREAD, &hello).await;
            taken += grip.bytes;
            grips.push((connection, grip));
        }
        hostile.in_place(format!("{taken} bytes were taken in"));
        for (connection, _) in &grips {
            connection.closed().await;
        }
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        scene.during(hostiles, |hostile| async move { hostile.again_and_again(|| attack(&hostile)).await });
    }
    scene.finish();
}
