//! Attacks with names: two paired devices can be told apart, whatever one of them calls itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    pairing,
    peer::{MESSAGE, open_handed},
    scene::{HOSTILES, Hostile, Scene},
    wire::Step,
};

/// Reduces a name to what is visible: without case, spaces, and characters that are not drawn.
fn looks(name: &str) -> String {
    let unseen = |char: &char| {
        char.is_whitespace()
            || matches!(*char, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    };
    name.chars()
        .filter(|char| !unseen(char))
        .flat_map(char::to_lowercase)
        .map(|char| if char == '\u{43e}' { 'o' } else { char })
        .collect()
}

/// Describes what is wrong with the names of the paired devices on this list.
fn faults(devices: &Value) -> Vec<String> {
    let paired: Vec<&str> = devices
        .as_array()
        .expect("a list")
        .iter()
        .filter(|device| device["paired"] == true)
        .filter_map(|device| device["name"].as_str())
        .collect();
    let mut faults = Vec::new();
    for (number, name) in paired.iter().enumerate() {
        if looks(name).is_empty() {
            faults.push(format!("a device has a name that nobody sees: {name:?}"));
        }
        if let Some(twin) = paired[..number].iter().find(|twin| looks(twin) == looks(name)) {
            faults.push(format!("two paired devices look the same: {twin:?} and {name:?}"));
        }
    }
    faults
}

#[test]
fn a_device_cannot_call_itself_like_another() {
    /// The first is another device's name; the others look the same or are invisible.
    const NAMES: [&str; 6] = [
        "honest one",
        "HONEST ONE",
        "hon\u{200b}est one",
        "h\u{43e}nest \u{43e}ne",
        "\u{3164}",
        "\u{3164}honest\u{ad} one",
    ];
    async fn attack(hostile: &Hostile) -> Step<()> {
        let session = hostile.session(MESSAGE).await?;
        for number in 0.. {
            session.hello(NAMES[number % NAMES.len()]).await?;
            if number == 20 {
                hostile.in_place("twenty names were told");
            }
            // Faster than the node processes messages.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
    /// Most name changes that the node may show of a device within a phase of some seconds.
    const CHANGES: usize = 3;
    let mut scene = Scene::new();
    for count in HOSTILES {
        let hostiles = scene.paired(count, open_handed);
        let ids: Vec<String> = hostiles.iter().map(|(peer, _)| peer.device_id()).collect();
        let from = scene.control.heard();
        scene.during(hostiles, |hostile| async move { hostile.again_and_again(|| attack(&hostile)).await });
        let events = scene.control.events(from);
        for id in &ids {
            let mut names: Vec<&str> = events
                .iter()
                .filter(|event| event["event"] == "device" && event["device"]["device_id"] == **id)
                .filter_map(|event| event["device"]["name"].as_str())
                .collect();
            names.dedup();
            if names.len() > 1 + CHANGES {
                scene.fault(format!(
                    "with {count}: a device was shown under {} names in a row: {:?}",
                    names.len(),
                    &names[..4]
                ));
            }
        }
        for fault in faults(&scene.control.must(json!({"cmd": "devices"}))) {
            scene.fault(format!("with {count}: {fault}"));
        }
    }
    scene.finish();
}

#[test]
fn a_device_that_pairs_under_the_name_of_another_is_told_apart() {
    let mut scene = Scene::new();
    for name in ["honest two", "Honest\u{200b} Two", "\u{3164}"] {
        let peer = scene.unpaired(1, open_handed).remove(0);
        let shown = scene.control.must(json!({"cmd": "pair_host", "approve": true, "words": 3}));
        let words = shown["words"].as_str().expect("words");
        // The node may refuse the pairing, too.
        let paired = scene.runtime.block_on(pairing::pair(&peer, &scene.target(), words, name));
        println!("FIGURE pairing as {name:?}: {}", paired.map_or_else(|error| error, |_| "paired".into()));
        for fault in faults(&scene.control.must(json!({"cmd": "devices"}))) {
            scene.fault(format!("after pairing as {name:?}: {fault}"));
        }
    }
    scene.finish();
}
