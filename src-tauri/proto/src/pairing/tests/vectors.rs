//! Test vectors: complete runs with fixed randomness, as JSON, for other implementations. `YONDER_BLESS=1` rewrites the
//! file; a change of it is a change of the protocol.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::{
    keys::Opener,
    pairing::{
        EXPORTER_LABEL, PROTOCOL, VERSION,
        pake::{self, Channel, Method, Password},
        transcript::{PakeKey, Transcript},
        wire::{Introduction, Message, Sealed},
    },
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pairing/vectors/pairing-1.0.json");

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn unhex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// Computes one run with all derived values, a second time from the frames alone.
pub(super) fn vector(name: &str, secret: &JoinSecret) -> Value {
    let outcome = honest(1, secret);
    let Stored::Paired(pairing) = &outcome.joiner.stored else { panic!("paired") };
    let random = |label| Seeded::new(1, label).bytes::<128>();
    let (joiner_random, host_random) = (random("joiner"), random("host"));

    let channel = Channel { exporter: [1; 32], joiner: endpoint_id(JOINER), host: endpoint_id(HOST) };
    let mut transcript = Transcript::new(&channel);
    let start_hash = *transcript.hash();
    let (method, password) = match secret {
        JoinSecret::Words(code) => (Method::Words, Password::of_words(code)),
        JoinSecret::Link(link) => (Method::Link, Password::of_link(link)),
    };
    let mut scalar = Zeroizing::new([0; 64]);
    scalar.copy_from_slice(&joiner_random[..64]);
    let (_, joining) = pake::start(&password, &channel, method, scalar).unwrap();
    for (side, frame) in &outcome.sent[..2] {
        transcript.absorb(*side, frame);
    }
    let Ok(Message::HostShare { share }) = Message::decode(&outcome.sent[1].1) else { panic!("a share") };
    let isk = joining.finish(&share).unwrap();
    let pake = PakeKey::new(&isk, &transcript);
    let shares_hash = *transcript.hash();
    for (side, frame) in &outcome.sent[2..4] {
        transcript.absorb(*side, frame);
    }
    let confirmed_hash = *transcript.hash();
    let seal = |side| pake.seal_key(side, &transcript);
    let (joiner_key, host_key) = (seal(Side::Joiner), seal(Side::Host));
    let mut openers = (Opener::new(&joiner_key), Opener::new(&host_key));
    let frames: Vec<Value> = outcome
        .sent
        .iter()
        .map(|(side, frame)| {
            let from = std::str::from_utf8(side.label()).unwrap();
            let plain = match Message::decode(frame).unwrap() {
                Message::Sealed(sealed) => {
                    let aad = [PROTOCOL, b" ", side.label()].concat();
                    let opener = if *side == Side::Joiner { &mut openers.0 } else { &mut openers.1 };
                    Some(hex(&opener.open(&aad, sealed).unwrap()))
                }
                _ => None,
            };
            json!({ "from": from, "frame": hex(frame), "plain": plain })
        })
        .collect();
    json!({
        "name": name,
        "exporter": hex(&channel.exporter),
        "method": method as u8,
        "secret": match secret {
            JoinSecret::Words(code) => code.to_string(),
            JoinSecret::Link(link) => hex(link.as_bytes()),
        },
        "joiner": { "ed25519_seed": hex(&[JOINER; 32]), "endpoint_id": hex(&channel.joiner), "random": hex(&joiner_random) },
        "host": { "ed25519_seed": hex(&[HOST; 32]), "endpoint_id": hex(&channel.host), "random": hex(&host_random) },
        "transcript_start": hex(&start_hash),
        "isk": hex(isk.as_bytes()),
        "transcript_after_shares": hex(&shares_hash),
        "pake_key": hex(pake.bytes_for_vectors()),
        "transcript_after_confirmations": hex(&confirmed_hash),
        "seal_key_joiner": hex(joiner_key.as_bytes()),
        "seal_key_host": hex(host_key.as_bytes()),
        "frames": frames,
        "pairing_id": hex(&pairing.pairing_id),
        "pairing_secret": hex(pairing.secret.as_bytes()),
        "check_words": pairing.check_words,
    })
}

/// Frames that every implementation must refuse.
fn rejected() -> Vec<Value> {
    let hello = Message::JoinHello { method: 1, share: [0xab; 32] }.encode().unwrap();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut frame = hello.clone();
        change(&mut frame);
        frame
    };
    [
        ("empty", Vec::new()),
        ("version 0", with(|f| f[0] = 0)),
        ("version 2", with(|f| f[0] = 2)),
        ("message of no known kind", with(|f| f[1] = 6)),
        ("hello cut by one byte", with(|f| f.truncate(f.len() - 1))),
        ("hello with a byte after its end", with(|f| f.push(0))),
        ("kind in two bytes", vec![1, 0x84, 0x00, 2]),
        ("length in two bytes", vec![1, 5, 0x81, 0x00, b'a']),
        ("sealed message shorter than it claims", vec![1, 5, 4, 1, 2, 3]),
        ("sealed message that claims 4 GiB", vec![1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]),
    ]
    .into_iter()
    .map(|(why, frame)| json!({ "why": why, "frame": hex(&frame) }))
    .collect()
}

fn all() -> Value {
    json!({
        "protocol": std::str::from_utf8(PROTOCOL).unwrap(),
        "version": VERSION,
        "exporter_label": std::str::from_utf8(EXPORTER_LABEL).unwrap(),
        "accept": [
            vector("words", &JoinSecret::Words(words())),
            vector("link", &JoinSecret::Link(link_secret())),
        ],
        "reject": rejected(),
    })
}

#[test]
fn the_vectors_are_reproduced() {
    let now = serde_json::to_string_pretty(&all()).unwrap() + "\n";
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(FILE, &now).unwrap();
    }
    assert!(std::fs::read_to_string(FILE).unwrap() == now, "the vectors changed: another client would not pair");
}

#[test]
fn the_rejected_frames_are_rejected() {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let rejected = file["reject"].as_array().unwrap();
    assert!(rejected.len() >= 10);
    for case in rejected {
        assert!(Message::decode(&unhex(&case["frame"])).is_err(), "{}", case["why"]);
    }
}

#[test]
fn the_frames_of_the_file_drive_both_sides() {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    for case in file["accept"].as_array().unwrap() {
        let secret = match case["method"].as_u64().unwrap() {
            1 => JoinSecret::Words(case["secret"].as_str().unwrap().parse().unwrap()),
            _ => JoinSecret::Link(link_secret()),
        };
        let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
        let (mut j, mut h) = (Driven::default(), Driven::default());
        let mut code = shown_code();
        for frame in case["frames"].as_array().unwrap() {
            drive(&mut joiner, &mut j, START, Some(true));
            drive(&mut host, &mut h, START, Some(true));
            let bytes = unhex(&frame["frame"]);
            if frame["from"] == "joiner" {
                assert_eq!(j.frames.pop_front().as_ref(), Some(&bytes));
                host.on_message(START, &bytes, &mut code);
            } else {
                assert_eq!(h.frames.pop_front().as_ref(), Some(&bytes));
                joiner.on_message(START, &bytes);
            }
        }
        drive(&mut host, &mut h, START, Some(true));
        let Stored::Paired(pairing) = &h.stored else { panic!("paired") };
        assert_eq!(hex(pairing.secret.as_bytes()), case["pairing_secret"]);
        assert_eq!(pairing.check_words, case["check_words"]);
        // Each side's description of itself is in the plaintexts.
        let info = case["frames"].as_array().unwrap().iter().find(|f| f["from"] == "joiner" && !f["plain"].is_null());
        let plain = unhex(&info.unwrap()["plain"]);
        let Ok(Sealed::JoinInfo(Introduction { name, .. })) = Sealed::decode(&plain) else { panic!("an introduction") };
        assert_eq!(name, "Joiner");
    }
}
