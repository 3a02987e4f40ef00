//! Attack by a device that goes on sending while its pairing ends.

use std::time::Duration;

use serde_json::json;
use yonder_tests::device::Device;

use crate::{
    control::Client,
    pairing,
    peer::{MESSAGE, Peer, Target, open_handed},
    wire::random,
};

#[test]
fn a_text_under_way_is_neither_stored_nor_shown_once_its_device_is_unpaired() {
    const TIMES: usize = 8;
    /// Texts: as many as the node processes at once, and some that wait.
    const TEXTS: u64 = 110;
    let device = Device::loopback("victim");
    let node = device.serve_with(&["--accept", "ask"]);
    let (control, target) = (Client::to(&device), Target::of(&node));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let peer = runtime.block_on(Peer::new(open_handed()));
    let id = peer.device_id();
    for time in 0..TIMES {
        let shown = control.must(json!({"cmd": "pair_host", "approve": true, "words": 3}));
        let words = shown["words"].as_str().expect("words").to_owned();
        let paired = runtime.block_on(pairing::pair(&peer, &target, &words, "Talks"));
        let secret = paired.unwrap_or_else(|error| panic!("a hostile device pairs as any other does: {error}"));
        // No text of the previous pairing is stored.
        let texts = control.must(json!({"cmd": "messages", "device": id, "before": null, "limit": 200}));
        let left = texts.as_array().expect("a list").len();
        assert_eq!(left, 0, "texts of the pairing that has ended are stored, time {time}");
        let from = control.heard();
        let session = runtime.block_on(async {
            let session = peer.session(&target, MESSAGE, &secret).await.expect("a session");
            let (talking, origin) = (session.clone(), u64::from_le_bytes(random()) | 1);
            tokio::spawn(async move {
                for number in 1..=TEXTS {
                    if talking.text(origin, number, "too late").await.is_err() {
                        break;
                    }
                }
            });
            // The peer closes as soon as it hears of the unpairing, as an honest device does; the node would otherwise
            // wait for that.
            let told = session.clone();
            tokio::spawn(async move {
                while let Ok(message) = told.hear().await {
                    if message.contains(r#""kind":"unpair""#) {
                        told.connection.close(9u32.into(), b"");
                    }
                }
            });
            session
        });
        let is_text = |event: &serde_json::Value| event["event"] == "message" && event["message"]["device_id"] == *id;
        control.event(from, Duration::from_secs(10), is_text).expect("a first text arrives");
        // A different moment each time.
        std::thread::sleep(Duration::from_millis(7 * time as u64));
        control.must(json!({"cmd": "unpair", "device": id}));
        let ended = control.heard();
        let late = control.event(ended, Duration::from_millis(300), is_text);
        assert!(late.is_none(), "a text is shown although its device is unpaired, time {time}");
        session.connection.close(0u32.into(), b"");
    }
}
