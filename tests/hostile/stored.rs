//! Attacks that make the node store and show data: notes, waiting offers, history.

use std::time::Duration;

use serde_json::json;

use crate::{
    peer::{TRANSFER, open_handed},
    scene::{HOSTILES, Hostile, Scene},
    transfer::{Entry, Manifest, Offering},
    wire::Step,
};

#[test]
fn notes_with_long_paths_stay_out_of_what_is_shown() {
    const DEEP: u32 = 15;
    const FILES: u32 = 100;
    /// Number of backslashes: they are doubled where they are shown, and again in JSON.
    const LONG: usize = 250;
    async fn attack(hostile: &Hostile, manifest: &Manifest) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        for number in 0.. {
            Offering::accepted(&session, manifest).await?.fail(DEEP..DEEP + FILES).await?;
            if number == 2 {
                hostile.in_place("three transfers with a hundred notes each");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }
    let mut entries: Vec<Entry> = (0..DEEP).map(|depth| Entry::folder(depth, &"\\".repeat(LONG))).collect();
    entries.extend((0..FILES).map(|file| Entry::file(DEEP, &format!("{file:0100}"), 10)));
    let manifest = Manifest::of(&entries);
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        for (peer, _) in &hostiles {
            scene.trust(peer, None, None);
        }
        let manifest = manifest.clone();
        scene.during(hostiles, move |hostile| {
            let manifest = manifest.clone();
            async move { hostile.again_and_again(|| attack(&hostile, &manifest)).await }
        });
    }
    scene.finish();
}

#[test]
fn offers_that_wait_for_an_answer_take_little() {
    const OFFERS: usize = 28;
    const ENTRIES: usize = 8_000;
    async fn attack(hostile: &Hostile, manifest: &Manifest, offers: usize) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        let (mut waiting, mut refused) = (Vec::new(), None);
        // A node built without optimisation reads them slowly, and uses as much memory for fewer.
        let end = tokio::time::Instant::now() + Duration::from_secs(6);
        while waiting.len() < offers && refused.is_none() {
            match tokio::time::timeout_at(end, Offering::offer(&session, manifest)).await {
                Ok(Ok(offering)) => waiting.push(offering),
                Ok(Err(error)) => refused = Some(error),
                Err(_) => refused = Some("it takes too long".into()),
            }
        }
        hostile.in_place(format!("{} offers of {ENTRIES} long names wait, then {refused:?}", waiting.len()));
        session.connection.closed().await;
        Ok(())
    }
    let names: Vec<Entry> = (0..ENTRIES).map(|number| Entry::file(0, &format!("{number:0250}"), 1)).collect();
    let manifest = Manifest::of(&names);
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        let manifest = manifest.clone();
        scene.during(hostiles, move |hostile| {
            let manifest = manifest.clone();
            async move { hostile.again_and_again(|| attack(&hostile, &manifest, OFFERS / count)).await }
        });
    }
    scene.finish();
}

#[test]
fn one_device_does_not_push_others_out_of_the_history() {
    /// More transfers than the history has places for, over all devices.
    const TRANSFERS: usize = 520;
    const AT_ONCE: usize = 8;
    async fn attack(hostile: &Hostile, count: usize) -> Step<()> {
        let session = hostile.session(TRANSFER).await?;
        let manifest = Manifest::of(&[Entry::file(0, "empty", 0)]);
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (session, manifest) = (session.clone(), manifest.clone());
            workers.spawn(async move {
                for _ in 0..count / AT_ONCE {
                    Offering::accepted(&session, &manifest).await?.finish(&[(0, b"")]).await?;
                }
                Step::Ok(())
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        hostile.in_place(format!("{count} transfers came"));
        session.connection.closed().await;
        Ok(())
    }
    let mut scene = Scene::new();
    let of_honest = |scene: &Scene| -> Vec<String> {
        let honest: Vec<&str> = scene.honest.iter().map(|honest| honest.device_id.as_str()).collect();
        let all = scene.control.must(json!({"cmd": "transfers", "all": true}));
        let all = all.as_array().expect("a list").iter();
        let of = all.filter(|view| view["device"].as_str().is_some_and(|device| honest.contains(&device)));
        of.map(|view| view["id"].as_str().expect("an id").to_owned()).collect()
    };
    let before = of_honest(&scene);
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        for (peer, _) in &hostiles {
            scene.trust(peer, None, None);
        }
        // The first phase only probes; the second one is meant to fill the list.
        let each = if count == 1 { TRANSFERS / 4 } else { TRANSFERS / count };
        scene.during(hostiles, move |hostile| async move { hostile.again_and_again(|| attack(&hostile, each)).await });
        let now = of_honest(&scene);
        let gone = before.iter().filter(|id| !now.contains(id)).count();
        if gone > 0 {
            scene.fault(format!("with {count}: {gone} of {} honest transfers are gone from the history", before.len()));
        }
    }
    scene.finish();
}
