//! Secrets of a pairing never leave the device: not in a frame, not in a log at any level, not in `Debug` output.

use serde_json::Value;

use super::{vectors::vector, *};
use crate::log_capture::{LogCapture, holds};

fn unhex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn no_key_of_a_pairing_is_in_a_frame_a_log_or_a_debug_form() {
    for secret in [JoinSecret::Words(words()), JoinSecret::Link(link_secret())] {
        // The same run as a vector, with every value known.
        let known = vector("known", &secret);
        let log_capture = LogCapture::default();
        let mut shown = String::new();
        let outcome = tracing::subscriber::with_default(log_capture.clone(), || {
            tracing::info!("the run begins");
            let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
            let mut code = shown_code();
            let outcome =
                run(&mut joiner, &mut host, &mut code, (Some(true), Some(true)), |_, _, frame| vec![frame.to_vec()]);
            shown += &format!("{joiner:?} {host:?} {code:?} {secret:?} {:?}", Timeouts::default());
            outcome
        });
        assert_eq!((outcome.joiner.paired(), outcome.host.paired()), (Some(true), Some(true)));
        shown += &format!("{:?} {:?} {:?}", outcome.joiner.events, outcome.host.events, outcome.joiner.stored);
        let log = log_capture.text();
        assert!(log.contains("the run begins"));
        let wire: Vec<u8> = outcome.sent.iter().flat_map(|(_, frame)| frame.clone()).collect();
        assert!(wire.len() > 700 && shown.contains("JoinerState"));

        let mut keys: Vec<(String, Vec<u8>)> =
            ["isk", "pake_key", "seal_key_joiner", "seal_key_host", "pairing_secret"]
                .iter()
                .map(|name| ((*name).to_owned(), unhex(&known[*name])))
                .collect();
        for side in ["joiner", "host"] {
            // The scalar of CPace and the X25519 secret. The challenge between them is public.
            let random = unhex(&known[side]["random"]);
            keys.push((format!("{side}'s scalar"), random[..64].to_vec()));
            keys.push((format!("{side}'s X25519 secret"), random[96..].to_vec()));
        }
        if let JoinSecret::Link(link) = &secret {
            keys.push(("the link's secret".into(), link.as_bytes().to_vec()));
        }
        for (name, key) in &keys {
            for (place, bytes) in
                [("frames", wire.as_slice()), ("the log", log.as_bytes()), ("Debug", shown.as_bytes())]
            {
                assert!(!holds(bytes, key), "{name} is in {place}");
            }
        }
        for text in [WORDS.to_owned(), WORDS.replace('-', " "), WORDS.replace('-', "")] {
            let bytes = text.as_bytes();
            let everything = [wire.as_slice(), log.as_bytes(), shown.as_bytes()].concat();
            assert!(!holds(&everything, bytes) && !everything.windows(bytes.len()).any(|part| part == bytes), "{text}");
        }
        // The plaintexts of encrypted messages are not on the wire, either.
        let said = known["frames"].as_array().unwrap().iter().filter_map(|frame| frame["plain"].as_str());
        for plain in said.filter(|plain| plain.len() >= 64) {
            let plain = data_encoding::HEXLOWER.decode(plain.as_bytes()).unwrap();
            assert!(!holds(&wire, &plain[..32]), "an introduction or a signature travels in the clear");
        }
    }
}
