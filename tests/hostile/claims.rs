//! Attacks by peers that announce data, or agree to receive it, and then do nothing.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;
use yonder_tests::tree;

use crate::{
    peer::{MESSAGE, TRANSFER, open_handed},
    scene::{HOSTILES, Hostile, Scene},
    transfer::{Entry, Manifest, Offering, SEGMENT, accept_and_read_nothing, segment_header},
    wire::Step,
};

#[test]
fn an_offer_that_claims_much_keeps_no_other_offer_out() {
    async fn attack(hostile: &Hostile) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        let mut claims = Vec::new();
        for _ in 0..4 {
            claims.push(Offering::claim(&session, 2048, 1_000_000, 1 << 40).await?);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        hostile.in_place("four offers of 2,048 pages, of which none comes");
        session.connection.closed().await;
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
fn receivers_that_accept_and_never_read_hold_no_turn() {
    const EACH: usize = 3;
    const FILE: usize = 8 << 20;
    async fn attack(hostile: &Hostile, file: &Arc<PathBuf>) -> Step<()> {
        let _messages = hostile.session(MESSAGE).await?;
        let session = hostile.session(TRANSFER).await?;
        let (victim, device, file) = (hostile.victim.clone(), hostile.peer.device_id(), file.clone());
        let send = move || {
            for _ in 0..EACH {
                victim.ask(json!({"cmd": "send", "device": device, "paths": [*file], "given": [], "options": {}}))?;
            }
            Step::Ok(())
        };
        tokio::task::spawn_blocking(send).await.map_err(|error| error.to_string())??;
        let mut taken = Vec::new();
        while taken.len() < EACH {
            taken.push(accept_and_read_nothing(&session).await?);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        hostile.in_place(format!("{EACH} transfers were accepted, and none is read"));
        session.connection.closed().await;
        Ok(())
    }
    let mut scene = Scene::new();
    let file = Arc::new(scene.victim.home().join("bulk"));
    tree::file(&file, FILE, 3);
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        let file = file.clone();
        scene.during(hostiles, move |hostile| {
            let file = file.clone();
            async move { hostile.again_and_again(|| attack(&hostile, &file)).await }
        });
    }
    scene.finish();
}

#[test]
fn inputs_that_never_end_and_only_say_that_they_grow_take_nothing() {
    const TRANSFERS: usize = 12;
    const WORDS: u64 = 2000;
    async fn attack(hostile: &Hostile, transfers: usize) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        let manifest = Manifest::of(&[Entry::growing("input")]);
        let mut held = Vec::new();
        let mut said = 0;
        for _ in 0..transfers {
            let Some(mut offering) = Offering::soon_accepted(&session, &manifest).await else { break };
            for segment in 1..=WORDS {
                // Nobody reads the answers: the node stops listening at some point.
                let word = offering.grown(segment * SEGMENT as u64 + 1);
                match tokio::time::timeout(Duration::from_millis(200), word).await {
                    Ok(Ok(())) => said += 1,
                    _ => break,
                }
            }
            held.push(offering);
        }
        hostile.in_place(format!("{} inputs grew {said} times, and nothing of them comes", held.len()));
        session.connection.closed().await;
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.trusted(count);
        let each = TRANSFERS / count;
        scene.during(hostiles, move |hostile| async move { hostile.again_and_again(|| attack(&hostile, each)).await });
    }
    scene.finish();
}

#[test]
fn a_sender_that_stops_one_byte_short_of_a_chunk_holds_nothing() {
    const FILES: u32 = 8;
    const TRANSFERS: usize = 12;
    async fn attack(hostile: &Hostile, transfers: usize) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        let files: Vec<Entry> = (0..FILES).map(|file| Entry::file(0, &format!("{file}"), SEGMENT as u64)).collect();
        let manifest = Manifest::of(&files);
        let mut held = Vec::new();
        let mut streams = 0;
        for _ in 0..transfers {
            let Some(mut offering) = Offering::soon_accepted(&session, &manifest).await else { break };
            for file in 0..FILES {
                let mut bytes = segment_header(file, 0, SEGMENT as u32, 1);
                bytes.resize(bytes.len() + SEGMENT - 1, 0x33);
                // Where a connection has its own flow-control window, the window is full before the last stream.
                let sent = tokio::time::timeout(Duration::from_millis(500), offering.data(&bytes)).await;
                streams += usize::from(matches!(sent, Ok(Ok(()))));
            }
            held.push(offering);
        }
        hostile.in_place(format!("{streams} streams of {} transfers stop one byte short", held.len()));
        session.connection.closed().await;
        Ok(())
    }
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.trusted(count);
        let each = TRANSFERS / count;
        scene.during(hostiles, move |hostile| async move { hostile.again_and_again(|| attack(&hostile, each)).await });
    }
    scene.finish();
}
