//! A pairing that ends, while the other device still talks.

use std::time::Duration;

use serde_json::json;

use crate::{
    pairing,
    peer::{MESSAGE, open_handed},
    scene::Scene,
    wire::random,
};

#[test]
fn a_text_under_way_is_neither_stored_nor_shown_once_its_device_is_unpaired() {
    const TIMES: usize = 4;
    /// As many as are heard at once, and some that wait.
    const TEXTS: u64 = 110;
    let mut scene = Scene::new();
    let peer = scene.unpaired(1, open_handed).remove(0);
    let device = peer.device_id();
    for time in 0..TIMES {
        let shown = scene.control.must(json!({"cmd": "pair_host", "approve": true, "words": 3}));
        let words = shown["words"].as_str().expect("words").to_owned();
        let paired = scene.runtime.block_on(pairing::pair(&peer, &scene.target(), &words, "Talks"));
        let secret = paired.unwrap_or_else(|error| panic!("a hostile device pairs as any other does: {error}"));
        // Of the pairing before, nothing is there.
        let texts = scene.control.must(json!({"cmd": "messages", "device": device, "before": null, "limit": 200}));
        let left = texts.as_array().expect("a list").len();
        if left > 0 {
            scene.fault(format!("{left} texts of the pairing that has ended are shown"));
        }
        let from = scene.control.heard();
        let session = scene.runtime.block_on(async {
            let session = peer.session(&scene.target(), MESSAGE, &secret).await.expect("a session");
            let (talking, origin) = (session.clone(), u64::from_le_bytes(random()) | 1);
            tokio::spawn(async move {
                for number in 1..=TEXTS {
                    if talking.text(origin, number, "too late").await.is_err() {
                        break;
                    }
                }
            });
            session
        });
        let is_text =
            |event: &serde_json::Value| event["event"] == "message" && event["message"]["device_id"] == *device;
        scene.control.event(from, Duration::from_secs(10), is_text).expect("a first text arrives");
        // At another moment each time.
        std::thread::sleep(Duration::from_millis(15 * time as u64));
        scene.control.must(json!({"cmd": "unpair", "device": device}));
        let ended = scene.control.heard();
        if scene.control.event(ended, Duration::from_millis(700), is_text).is_some() {
            scene.fault("a text is shown although its device is unpaired");
        }
        session.connection.close(0u32.into(), b"");
    }
    scene.finish();
}
