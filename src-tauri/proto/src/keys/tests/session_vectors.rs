//! Test vectors of the session handshake, its keys and its frames with fixed randomness, as JSON, for other
//! implementations. `YONDER_BLESS=1` rewrites the file; a change of it is a change of the protocol.

use serde_json::{Value, json};

use super::file::{WEAK, bytes, hex, public, read, reproduced, shared, unhex, unhex32};
use crate::{
    id::TransferId,
    keys::{
        Context, HandshakeError, HandshakeInput, InitiatorHandshake, Key, Opener, ResponderHandshake, Role,
        SealDirection, Sealer, SessionKeys, StreamKind, derive,
    },
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/keys/vectors/session-1.0.json");

/// Inputs of one handshake.
struct Setting {
    name: &'static str,
    alpn: &'static str,
    /// `None` uses the offer of this device, else a hello with these versions and suites.
    offers: Option<(&'static [u8], &'static [u8])>,
}

const SETTINGS: [Setting; 3] = [
    Setting { name: "messages", alpn: "message/1.0", offers: None },
    Setting { name: "files", alpn: "transfer/1.0", offers: None },
    Setting { name: "an initiator that offers more", alpn: "message/1.0", offers: Some((&[9, 1], &[7, 1, 2])) },
];

/// Values that one side, or both, hold.
#[derive(Clone)]
struct Held {
    pairing_secret: Key,
    initiator: [u8; 32],
    responder: [u8; 32],
    exporter: [u8; 32],
    alpn: String,
}

impl Held {
    fn new(setting: &Setting) -> Self {
        Self {
            pairing_secret: Key::from_bytes(bytes("pairing secret")),
            initiator: bytes("initiator's endpoint id"),
            responder: bytes("responder's endpoint id"),
            exporter: bytes(setting.name),
            alpn: setting.alpn.into(),
        }
    }

    fn read(case: &Value) -> Self {
        Self {
            pairing_secret: Key::from_bytes(unhex32(&case["pairing_secret"])),
            initiator: unhex32(&case["initiator"]["endpoint_id"]),
            responder: unhex32(&case["responder"]["endpoint_id"]),
            exporter: unhex32(&case["exporter"]),
            alpn: case["alpn"].as_str().unwrap().into(),
        }
    }

    /// Applies the wrong values with which a refused case is run.
    fn with(mut self, changes: &Value) -> Self {
        for (name, value) in changes.as_object().into_iter().flatten() {
            match name.as_str() {
                "pairing_secret" => self.pairing_secret = Key::from_bytes(unhex32(value)),
                "initiator" => self.initiator = unhex32(value),
                "responder" => self.responder = unhex32(value),
                "exporter" => self.exporter = unhex32(value),
                "alpn" => self.alpn = value.as_str().unwrap().into(),
                other => panic!("{other}"),
            }
        }
        self
    }

    fn input(&self) -> HandshakeInput<'_> {
        HandshakeInput {
            pairing_secret: &self.pairing_secret,
            initiator: self.initiator,
            responder: self.responder,
            alpn: self.alpn.as_bytes(),
            exporter: self.exporter,
        }
    }
}

fn secrets(name: &str) -> ([u8; 32], [u8; 32]) {
    (bytes(&format!("{name}'s ephemeral")), bytes(&format!("{name}'s random")))
}

fn hello_with(versions: &[u8], suites: &[u8], key: &[u8; 32], random: &[u8; 32]) -> Vec<u8> {
    let counted = |list: &[u8]| [&[list.len() as u8], list].concat();
    [b"yonder-s".as_slice(), &counted(versions), &counted(suites), key, random].concat()
}

/// Computes one handshake with all its results, a second time from the description.
fn vector(setting: &Setting) -> Value {
    let held = Held::new(setting);
    let ((a, a_random), (b, b_random)) = (secrets("initiator"), secrets("responder"));
    let (initiator, own_hello) = InitiatorHandshake::start(&Key::from_bytes(a), a_random);
    let hello = match setting.offers {
        None => own_hello,
        Some((versions, suites)) => hello_with(versions, suites, &public(&a), &a_random),
    };
    let (responder, ack) = ResponderHandshake::answer(&held.input(), &hello, &Key::from_bytes(b), b_random).unwrap();

    let dh = shared(&a, &public(&b));
    let parts: [&[u8]; 8] = [
        held.pairing_secret.as_bytes(),
        &dh,
        &held.exporter,
        &held.initiator,
        &held.responder,
        held.alpn.as_bytes(),
        &hello,
        &ack[..66],
    ];
    let root = derive(Context::SessionRoot, &parts);
    let tag = |role: &[u8]| derive(Context::SessionConfirm, &[root.as_bytes(), role]);
    let (of_responder, of_initiator) = (tag(b"responder"), tag(b"initiator"));
    assert_eq!(ack[66..], of_responder.as_bytes()[..]);
    let keys = responder.finish(of_initiator.as_bytes()).unwrap();
    if setting.offers.is_none() {
        let (confirm, theirs) = initiator.finish(&held.input(), &ack).unwrap();
        assert_eq!(confirm, of_initiator.as_bytes());
        let key =
            |keys: &SessionKeys| *keys.stream_key(StreamKind::BiOfInitiator, 3, SealDirection::ToResponder).as_bytes();
        assert_eq!(key(&keys), key(&theirs));
    }
    json!({
        "name": setting.name,
        "alpn": held.alpn,
        "exporter": hex(&held.exporter),
        "pairing_secret": hex(held.pairing_secret.as_bytes()),
        "initiator": {
            "endpoint_id": hex(&held.initiator), "x25519_secret": hex(&a), "x25519_public": hex(&public(&a)),
            "random": hex(&a_random),
        },
        "responder": {
            "endpoint_id": hex(&held.responder), "x25519_secret": hex(&b), "x25519_public": hex(&public(&b)),
            "random": hex(&b_random),
        },
        "hello": hex(&hello),
        "ack": hex(&ack),
        "confirm": hex(of_initiator.as_bytes()),
        "x25519_result": hex(&dh),
        "session_root": hex(root.as_bytes()),
        "streams": streams(&keys, &root),
        "transfer_roots": transfer_roots(&keys, &root),
    })
}

const KINDS: [StreamKind; 4] =
    [StreamKind::BiOfInitiator, StreamKind::BiOfResponder, StreamKind::UniOfInitiator, StreamKind::UniOfResponder];

/// Streams of all kinds, with encrypted frames.
fn streams(keys: &SessionKeys, root: &Key) -> Vec<Value> {
    let frames: [&[u8]; 3] = [br#"{"kind":"ping","id":1}"#, b"", &[0xa5; 40]];
    let mut streams = Vec::new();
    for (at, kind) in KINDS.into_iter().enumerate() {
        let index = [1_u64, 0, 7, 0x0102_0304_0506][at];
        // Unidirectional streams have only the direction of their opener.
        let directions: &[SealDirection] = match kind {
            StreamKind::UniOfInitiator => &[SealDirection::ToResponder],
            StreamKind::UniOfResponder => &[SealDirection::ToInitiator],
            _ => &[SealDirection::ToResponder, SealDirection::ToInitiator],
        };
        for direction in directions {
            let key = keys.stream_key(kind, index, *direction);
            let (kind, direction) = ([kind as u8], [*direction as u8]);
            let again = derive(Context::SessionStream, &[root.as_bytes(), &kind, &index.to_le_bytes(), &direction]);
            assert_eq!(key.as_bytes(), again.as_bytes());
            let mut sealer = Sealer::new(&key);
            let frames: Vec<Value> = frames
                .iter()
                .map(|plain| json!({ "plain": hex(plain), "sealed": hex(&sealer.seal(b"", plain).unwrap()) }))
                .collect();
            streams.push(json!({
                "kind": kind[0], "index": index, "direction": direction[0],
                "key": hex(key.as_bytes()), "frames": frames,
            }));
        }
    }
    streams
}

fn transfer_roots(keys: &SessionKeys, root: &Key) -> Vec<Value> {
    let transfer = TransferId::from_random(bytes("transfer")[..16].try_into().unwrap());
    let attempt: [u8; 16] = bytes("attempt")[..16].try_into().unwrap();
    [SealDirection::ToResponder, SealDirection::ToInitiator]
        .into_iter()
        .map(|direction| {
            let made = keys.file_root(&transfer, &attempt, direction);
            let parts: [&[u8]; 4] = [root.as_bytes(), transfer.as_bytes(), &attempt, &[direction as u8]];
            assert_eq!(made.as_bytes(), derive(Context::TransferRoot, &parts).as_bytes());
            json!({
                "transfer": hex(transfer.as_bytes()), "attempt": hex(&attempt), "direction": direction as u8,
                "root": hex(made.as_bytes()),
            })
        })
        .collect()
}

/// Returns the name of an error in the file.
fn named(error: HandshakeError) -> &'static str {
    match error {
        HandshakeError::Malformed => "malformed",
        HandshakeError::Version => "version",
        HandshakeError::Suite => "suite",
        HandshakeError::WeakKey => "weak_key",
        HandshakeError::NotProven => "not_proven",
    }
}

/// Modified messages of the first handshake, and valid ones for a side that holds other values.
fn rejected(first: &Value) -> Vec<Value> {
    let (hello, ack, confirm) = (unhex(&first["hello"]), unhex(&first["ack"]), unhex(&first["confirm"]));
    let case = |why: &str, side: &str, message: &str, frame: &[u8], with: Value, error: &str| json!({ "why": why, "side": side, "message": message, "frame": hex(frame), "with": with, "error": error });
    let none = || json!({});
    let mut cases = Vec::new();
    let changed = |bytes: &[u8], at: usize, to: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = to;
        bytes
    };
    // Hellos that every responder refuses.
    let mut hellos: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), "malformed"),
        ("another beginning", changed(&hello, 0, b'Y'), "malformed"),
        ("cut by one byte", hello[..hello.len() - 1].to_vec(), "malformed"),
        ("one byte more", [hello.as_slice(), &[0]].concat(), "malformed"),
        ("no version", hello_with(&[], &[1], &bytes("k"), &bytes("r")), "malformed"),
        ("nine versions", hello_with(&[1; 9], &[1], &bytes("k"), &bytes("r")), "malformed"),
        ("no suite", hello_with(&[1], &[], &bytes("k"), &bytes("r")), "malformed"),
        ("nine suites", hello_with(&[1], &[1; 9], &bytes("k"), &bytes("r")), "malformed"),
        ("a count beyond the end", changed(&hello, 8, 8), "malformed"),
        ("another version alone", changed(&hello, 9, 2), "version"),
        ("another suite alone", changed(&hello, 11, 2), "suite"),
    ];
    for weak in WEAK {
        let weak: [u8; 32] = unhex32(&json!(weak));
        hellos.push(("a key of low order", hello_with(&[1], &[1], &weak, &bytes("r")), "weak_key"));
    }
    cases.extend(hellos.iter().map(|(why, frame, error)| case(why, "responder", "hello", frame, none(), error)));
    // Acks that the initiator refuses.
    let mut acks: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), "malformed"),
        ("cut by one byte", ack[..ack.len() - 1].to_vec(), "malformed"),
        ("one byte more", [ack.as_slice(), &[0]].concat(), "malformed"),
        ("a version that was not offered", changed(&ack, 0, 2), "version"),
        ("a suite that was not offered", changed(&ack, 1, 2), "suite"),
        ("another key", changed(&ack, 2, ack[2] ^ 1), "not_proven"),
        ("another random number", changed(&ack, 34, ack[34] ^ 1), "not_proven"),
        ("first bit of the tag", changed(&ack, 66, ack[66] ^ 1), "not_proven"),
        ("last bit of the tag", changed(&ack, 97, ack[97] ^ 0x80), "not_proven"),
        ("the tag of the initiator", [&ack[..66], &confirm].concat(), "not_proven"),
    ];
    for weak in WEAK {
        let weak = unhex(&json!(weak));
        acks.push(("a key of low order", [&ack[..2], &weak, &ack[34..]].concat(), "weak_key"));
    }
    for (why, heard) in [
        ("the responder heard another key", changed(&hello, 12, hello[12] ^ 1)),
        ("the responder heard another random number", changed(&hello, 44, hello[44] ^ 1)),
        (
            "the responder heard another offer",
            hello_with(
                &[1, 2],
                &[1],
                &unhex32(&first["initiator"]["x25519_public"]),
                &unhex32(&first["initiator"]["random"]),
            ),
        ),
    ] {
        acks.push((why, answer(&Held::read(first), &heard), "not_proven"));
    }
    cases.extend(acks.iter().map(|(why, frame, error)| case(why, "initiator", "ack", frame, none(), error)));
    // Confirmations that the responder refuses.
    for (why, frame) in [
        ("nothing", Vec::new()),
        ("cut by one byte", confirm[..31].to_vec()),
        ("one byte more", [confirm.as_slice(), &[0]].concat()),
        ("first bit", changed(&confirm, 0, confirm[0] ^ 1)),
        ("last bit", changed(&confirm, 31, confirm[31] ^ 0x80)),
        ("the responder's own tag", ack[66..].to_vec()),
        ("zeros", vec![0; 32]),
    ] {
        cases.push(case(why, "responder", "confirm", &frame, none(), "not_proven"));
    }
    // Valid messages, and one side that holds another value.
    let (a, b) = (first["initiator"]["endpoint_id"].clone(), first["responder"]["endpoint_id"].clone());
    for (why, with) in [
        ("another pairing secret", json!({ "pairing_secret": hex(&bytes("another")) })),
        ("another TLS connection", json!({ "exporter": hex(&bytes("another")) })),
        ("another protocol", json!({ "alpn": "transfer/1.0" })),
        ("another initiator", json!({ "initiator": hex(&bytes("another")) })),
        ("another responder", json!({ "responder": hex(&bytes("another")) })),
        ("roles changed over", json!({ "initiator": b, "responder": a })),
    ] {
        cases.push(case(why, "initiator", "ack", &ack, with.clone(), "not_proven"));
        cases.push(case(why, "responder", "confirm", &confirm, with, "not_proven"));
    }
    cases
}

/// Returns the answer of the vectors' responder to this hello.
fn answer(held: &Held, hello: &[u8]) -> Vec<u8> {
    let (b, b_random) = secrets("responder");
    ResponderHandshake::answer(&held.input(), hello, &Key::from_bytes(b), b_random).unwrap().1
}

/// Encrypted frames that do not decrypt as frame `number` under `key`.
fn rejected_frames(first: &Value) -> Vec<Value> {
    let (stream, other) = (&first["streams"][0], &first["streams"][1]);
    let sealed = |at: usize| unhex(&stream["frames"][at]["sealed"]);
    let flipped = |at: usize| {
        let mut bytes = sealed(0);
        bytes[at] ^= 1;
        bytes
    };
    let last = sealed(0).len() - 1;
    let case = |why: &str, key: &Value, number: u64, sealed: Vec<u8>| json!({ "why": why, "key": key, "number": number, "sealed": hex(&sealed) });
    vec![
        case("the first frame, as the second: played again", &stream["key"], 1, sealed(0)),
        case("the second frame, as the first: the first is lost", &stream["key"], 0, sealed(1)),
        case("a frame of the other direction", &stream["key"], 0, unhex(&other["frames"][0]["sealed"])),
        case("a frame of another stream", &first["streams"][2]["key"], 0, sealed(0)),
        case("first bit changed", &stream["key"], 0, flipped(0)),
        case("last bit of the tag changed", &stream["key"], 0, flipped(last)),
        case("cut by one byte", &stream["key"], 0, sealed(0)[..last].to_vec()),
        case("one byte more", &stream["key"], 0, [sealed(0), vec![0]].concat()),
        case("shorter than a tag", &stream["key"], 0, vec![0; 15]),
        case("nothing", &stream["key"], 0, Vec::new()),
    ]
}

fn all() -> Value {
    let accept: Vec<Value> = SETTINGS.iter().map(vector).collect();
    json!({
        "protocol": "session",
        "version": 1,
        "exporter_label": "EXPORTER-yonder-session-v1",
        "reject": rejected(&accept[0]),
        "reject_frames": rejected_frames(&accept[0]),
        "accept": accept,
    })
}

#[test]
fn the_vectors_of_the_session_handshake_are_reproduced() {
    reproduced(FILE, &all());
}

#[test]
fn the_session_messages_of_the_file_drive_both_sides() {
    for case in read(FILE)["accept"].as_array().unwrap() {
        let held = Held::read(case);
        let ephemeral = |side: &str| Key::from_bytes(unhex32(&case[side]["x25519_secret"]));
        let random = |side: &str| unhex32(&case[side]["random"]);
        let (hello, ack, confirm) = (unhex(&case["hello"]), unhex(&case["ack"]), unhex(&case["confirm"]));
        let (responder, answered) =
            ResponderHandshake::answer(&held.input(), &hello, &ephemeral("responder"), random("responder")).unwrap();
        assert_eq!(answered, ack);
        let mut ends = vec![responder.finish(&confirm).unwrap()];
        let (initiator, said) = InitiatorHandshake::start(&ephemeral("initiator"), random("initiator"));
        if said == hello {
            let (confirmed, keys) = initiator.finish(&held.input(), &ack).unwrap();
            assert_eq!(confirmed, confirm);
            ends.push(keys);
        }
        for keys in &ends {
            for stream in case["streams"].as_array().unwrap() {
                opens(keys, stream);
            }
            for row in case["transfer_roots"].as_array().unwrap() {
                let transfer = TransferId::from_random(unhex(&row["transfer"]).try_into().unwrap());
                let root = keys.file_root(&transfer, &unhex(&row["attempt"]).try_into().unwrap(), direction(row));
                assert_eq!(root.as_bytes()[..], unhex(&row["root"]));
            }
        }
    }
}

fn direction(row: &Value) -> SealDirection {
    if row["direction"] == 1 { SealDirection::ToResponder } else { SealDirection::ToInitiator }
}

fn opens(keys: &SessionKeys, stream: &Value) {
    let kind = KINDS[stream["kind"].as_u64().unwrap() as usize - 1];
    let key = keys.stream_key(kind, stream["index"].as_u64().unwrap(), direction(stream));
    assert_eq!(key.as_bytes()[..], unhex(&stream["key"]));
    let mut opener = Opener::new(&key);
    for frame in stream["frames"].as_array().unwrap() {
        assert_eq!(opener.open(b"", &unhex(&frame["sealed"])).unwrap(), unhex(&frame["plain"]));
    }
    // The encrypting side is the one from which the direction comes.
    let ours = keys.outgoing() == direction(stream);
    assert_eq!(ours, (keys.role() == Role::Initiator) == (stream["direction"] == 1));
}

#[test]
fn the_session_messages_to_be_refused_are_refused() {
    let file = read(FILE);
    let first = &file["accept"][0];
    let ephemeral = |side: &str| Key::from_bytes(unhex32(&first[side]["x25519_secret"]));
    let random = |side: &str| unhex32(&first[side]["random"]);
    for case in file["reject"].as_array().unwrap() {
        let held = Held::read(first).with(&case["with"]);
        let frame = unhex(&case["frame"]);
        let answer = |hello: &[u8]| {
            ResponderHandshake::answer(&held.input(), hello, &ephemeral("responder"), random("responder"))
        };
        let error = match case["message"].as_str().unwrap() {
            "hello" => answer(&frame).err(),
            "ack" => {
                let (initiator, _) = InitiatorHandshake::start(&ephemeral("initiator"), random("initiator"));
                initiator.finish(&held.input(), &frame).err()
            }
            _ => answer(&unhex(&first["hello"])).unwrap().0.finish(&frame).err(),
        };
        assert_eq!(error.map(named), case["error"].as_str(), "{case}");
    }
    for case in file["reject_frames"].as_array().unwrap() {
        let key = Key::from_bytes(unhex32(&case["key"]));
        let mut opener = opener_at(&key, case["number"].as_u64().unwrap());
        assert!(opener.open(b"", &unhex(&case["sealed"])).is_err(), "{case}");
    }
}

/// Creates an opener that expects frame `number`.
fn opener_at(key: &Key, number: u64) -> Opener {
    let (mut sealer, mut opener) = (Sealer::new(key), Opener::new(key));
    for _ in 0..number {
        opener.open(b"", &sealer.seal(b"", b"before").unwrap()).unwrap();
    }
    opener
}

#[test]
fn every_bit_of_every_session_message_is_covered() {
    let first = &read(FILE)["accept"][0];
    let held = Held::read(first);
    let ((a, a_random), (b, b_random)) = (secrets("initiator"), secrets("responder"));
    let (hello, ack, confirm) = (unhex(&first["hello"]), unhex(&first["ack"]), unhex(&first["confirm"]));
    let flipped = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let respond = |hello: &[u8]| ResponderHandshake::answer(&held.input(), hello, &Key::from_bytes(b), b_random);
    let (initiator, _) = InitiatorHandshake::start(&Key::from_bytes(a), a_random);
    for bit in 0..hello.len() * 8 {
        // X25519 ignores the highest bit of a key, but the transcript does not.
        if let Ok((_, ack)) = respond(&flipped(&hello, bit)) {
            assert_eq!(
                initiator.finish(&held.input(), &ack).err(),
                Some(HandshakeError::NotProven),
                "hello, bit {bit}"
            );
        }
    }
    for bit in 0..ack.len() * 8 {
        assert!(initiator.finish(&held.input(), &flipped(&ack, bit)).is_err(), "ack, bit {bit}");
    }
    for bit in 0..confirm.len() * 8 {
        assert!(respond(&hello).unwrap().0.finish(&flipped(&confirm, bit)).is_err(), "confirm, bit {bit}");
    }
}
