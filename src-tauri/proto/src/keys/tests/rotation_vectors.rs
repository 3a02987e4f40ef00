//! Test vectors of renewals and unpairing notices with fixed randomness, as JSON, for other implementations.
//! `YONDER_BLESS=1` rewrites the file; a change of it is a change of the protocol.

use serde_json::{Value, json};

use super::file::{WEAK, bytes, hex, public, read, reproduced, shared, unhex, unhex32};
use crate::keys::{
    Context, HandshakeError, Key, RotationInput, RotationOffer, answer_rotation, derive, done_holds, done_tag,
    notice_holds, notice_key, unpair_notice,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/keys/vectors/rotation-1.0.json");

struct Run {
    old: Key,
    offerer: [u8; 32],
    answerer: [u8; 32],
    a: [u8; 32],
    b: [u8; 32],
}

impl Run {
    fn new(number: u8) -> Self {
        let of = |what: &str| bytes(&format!("renewal {number}: {what}"));
        Self {
            old: Key::from_bytes(of("old secret")),
            offerer: of("offerer"),
            answerer: of("answerer"),
            a: of("offerer's ephemeral"),
            b: of("answerer's ephemeral"),
        }
    }

    fn read(case: &Value) -> Self {
        Self {
            old: Key::from_bytes(unhex32(&case["old_secret"])),
            offerer: unhex32(&case["offerer"]["endpoint_id"]),
            answerer: unhex32(&case["answerer"]["endpoint_id"]),
            a: unhex32(&case["offerer"]["x25519_secret"]),
            b: unhex32(&case["answerer"]["x25519_secret"]),
        }
    }

    fn with(mut self, changes: &Value) -> Self {
        for (name, value) in changes.as_object().into_iter().flatten() {
            match name.as_str() {
                "old_secret" => self.old = Key::from_bytes(unhex32(value)),
                "offerer" => self.offerer = unhex32(value),
                "answerer" => self.answerer = unhex32(value),
                other => panic!("{other}"),
            }
        }
        self
    }

    fn input(&self) -> RotationInput<'_> {
        RotationInput { secret: &self.old, offerer: self.offerer, answerer: self.answerer }
    }
}

/// Computes one renewal with all derived values, a second time from the description.
fn vector(number: u8) -> Value {
    let run = Run::new(number);
    let (offer, offered) = RotationOffer::start(&Key::from_bytes(run.a));
    let (theirs, answered, answer_tag) = answer_rotation(&run.input(), &offered, &Key::from_bytes(run.b)).unwrap();
    let (new, done) = offer.finish(&run.input(), &answered, &answer_tag).unwrap();
    let dh = shared(&run.a, &public(&run.b));
    let parts: [&[u8]; 6] = [run.old.as_bytes(), &dh, &run.offerer, &run.answerer, &public(&run.a), &public(&run.b)];
    let again = derive(Context::PairingRotation, &parts);
    let tag = |role: &[u8]| *derive(Context::RotationConfirm, &[again.as_bytes(), role]).as_bytes();
    assert_eq!((new.as_bytes(), theirs.as_bytes()), (again.as_bytes(), again.as_bytes()));
    assert_eq!((answer_tag, done), (tag(b"answerer"), tag(b"offerer")));
    assert_eq!(done, done_tag(&new));
    json!({
        "old_secret": hex(run.old.as_bytes()),
        "offerer": { "endpoint_id": hex(&run.offerer), "x25519_secret": hex(&run.a), "x25519_public": hex(&offered) },
        "answerer": { "endpoint_id": hex(&run.answerer), "x25519_secret": hex(&run.b), "x25519_public": hex(&answered) },
        "x25519_result": hex(&dh),
        "new_secret": hex(new.as_bytes()),
        "answer_tag": hex(&answer_tag),
        "done_tag": hex(&done),
    })
}

/// Values that one side of the first run must refuse, because of what it receives or holds.
fn rejected(first: &Value) -> Vec<Value> {
    let (answer_tag, done) = (unhex32(&first["answer_tag"]), unhex32(&first["done_tag"]));
    let (offered, answered) =
        (unhex32(&first["offerer"]["x25519_public"]), unhex32(&first["answerer"]["x25519_public"]));
    let flip = |bytes: [u8; 32], at: usize| {
        let mut bytes = bytes;
        bytes[at] ^= 1;
        bytes
    };
    let mut cases = Vec::new();
    let mut case =
        |why: &str, message: &str, public: Option<[u8; 32]>, tag: Option<[u8; 32]>, with: Value, error: &str| {
            let text = |bytes: Option<[u8; 32]>| bytes.map(|bytes| hex(&bytes));
            cases.push(json!({
                "why": why, "message": message, "public": text(public), "tag": text(tag), "with": with, "error": error,
            }));
        };
    for weak in WEAK {
        let weak = unhex32(&json!(weak));
        case("a key of low order", "offer", Some(weak), None, json!({}), "weak_key");
        case("a key of low order", "answer", Some(weak), Some(answer_tag), json!({}), "weak_key");
    }
    let answers = [
        ("another key", flip(answered, 0), answer_tag),
        ("first bit of the tag", answered, flip(answer_tag, 0)),
        ("last byte of the tag", answered, flip(answer_tag, 31)),
        ("the offerer's own tag", answered, done),
        ("the offerer's own key", offered, answer_tag),
        ("zeros for a tag", answered, [0; 32]),
    ];
    for (why, public, tag) in answers {
        case(why, "answer", Some(public), Some(tag), json!({}), "not_proven");
    }
    for (why, tag) in [
        ("first bit of the tag", flip(done, 0)),
        ("last byte of the tag", flip(done, 31)),
        ("the answerer's own tag", answer_tag),
        ("the tag of the old secret", done_tag(&Key::from_bytes(unhex32(&first["old_secret"])))),
        ("zeros for a tag", [0; 32]),
    ] {
        case(why, "done", None, Some(tag), json!({}), "not_proven");
    }
    let (a, b) = (first["offerer"]["endpoint_id"].clone(), first["answerer"]["endpoint_id"].clone());
    for (why, with) in [
        ("another old secret", json!({ "old_secret": hex(&bytes("another")) })),
        ("another offerer", json!({ "offerer": hex(&bytes("another")) })),
        ("another answerer", json!({ "answerer": hex(&bytes("another")) })),
        ("roles changed over", json!({ "offerer": b, "answerer": a })),
    ] {
        case(why, "answer", Some(answered), Some(answer_tag), with.clone(), "not_proven");
        case(why, "done", None, Some(done), with, "not_proven");
    }
    cases
}

fn notice(secrets: &[&str]) -> Value {
    let (by, to) = (bytes("who unpaired"), bytes("who is told"));
    let secrets: Vec<Key> = secrets.iter().map(|name| Key::from_bytes(bytes(name))).collect();
    let keys: Vec<Key> = secrets.iter().map(notice_key).collect();
    let notice = unpair_notice(&keys, &by, &to);
    let mut again = vec![1];
    for secret in &secrets {
        let key = derive(Context::UnpairNotice, &[secret.as_bytes()]);
        again.extend_from_slice(derive(Context::UnpairMac, &[key.as_bytes(), &by, &to]).as_bytes());
    }
    assert_eq!(notice, again);
    let list = |keys: &[Key]| keys.iter().map(|key| hex(key.as_bytes())).collect::<Vec<_>>();
    json!({
        "secrets": list(&secrets), "keys": list(&keys), "by": hex(&by), "to": hex(&to), "notice": hex(&notice),
    })
}

fn rejected_notices(one: &Value, four: &Value) -> Vec<Value> {
    let right = unhex(&one["notice"]);
    let case = |why: &str, notice: &[u8], secrets: &Value, by: &Value, to: &Value| json!({ "why": why, "notice": hex(notice), "secrets": secrets, "by": by, "to": to });
    let (secrets, by, to) = (&one["secrets"], &one["by"], &one["to"]);
    let changed = |at: usize| {
        let mut bytes = right.clone();
        bytes[at] ^= 1;
        bytes
    };
    let other = json!([hex(&bytes("another"))]);
    vec![
        case("nothing", &[], secrets, by, to),
        case("no MAC", &[1], secrets, by, to),
        case("another form", &changed(0), secrets, by, to),
        case("cut by one byte", &right[..32], secrets, by, to),
        case("one byte more", &[right.as_slice(), &[0]].concat(), secrets, by, to),
        case("five MACs", &[right.as_slice(), &[0; 128]].concat(), secrets, by, to),
        case("first bit of the MAC", &changed(1), secrets, by, to),
        case("last byte of the MAC", &changed(32), secrets, by, to),
        case("the key in place of the MAC", &[&[1], unhex(&one["keys"][0]).as_slice()].concat(), secrets, by, to),
        case("sent back to who made it", &right, secrets, to, by),
        case("of another device", &right, secrets, &json!(hex(&bytes("another"))), to),
        case("to another device", &right, secrets, by, &json!(hex(&bytes("another")))),
        case("another secret", &right, &other, by, to),
        case("no secret is held", &right, &json!([]), by, to),
        case("four MACs of other secrets", &unhex(&four["notice"]), &other, by, to),
    ]
}

fn all() -> Value {
    let accept = [vector(0), vector(1)];
    let notices = [notice(&["one"]), notice(&["one", "two", "three", "four"])];
    json!({
        "protocol": "renewal and notice",
        "version": 1,
        "reject": rejected(&accept[0]),
        "accept": accept,
        "reject_notices": rejected_notices(&notices[0], &notices[1]),
        "notices": notices,
    })
}

#[test]
fn the_vectors_of_new_keys_and_notices_are_reproduced() {
    reproduced(FILE, &all());
}

#[test]
fn the_renewals_of_the_file_drive_both_sides() {
    for case in read(FILE)["accept"].as_array().unwrap() {
        let run = Run::read(case);
        let (offer, offered) = RotationOffer::start(&Key::from_bytes(run.a));
        assert_eq!(offered[..], unhex(&case["offerer"]["x25519_public"]));
        let (theirs, answered, tag) = answer_rotation(&run.input(), &offered, &Key::from_bytes(run.b)).unwrap();
        assert_eq!(answered[..], unhex(&case["answerer"]["x25519_public"]));
        assert_eq!(tag[..], unhex(&case["answer_tag"]));
        let (new, done) = offer.finish(&run.input(), &answered, &tag).unwrap();
        assert_eq!(new.as_bytes()[..], unhex(&case["new_secret"]));
        assert_eq!(done[..], unhex(&case["done_tag"]));
        assert!(done_holds(&theirs, &done));
    }
}

#[test]
fn the_renewals_to_be_refused_are_refused() {
    let file = read(FILE);
    let first = &file["accept"][0];
    for case in file["reject"].as_array().unwrap() {
        let run = Run::read(first).with(&case["with"]);
        let (offer, offered) = RotationOffer::start(&Key::from_bytes(run.a));
        let answer = |public: &[u8; 32]| answer_rotation(&run.input(), public, &Key::from_bytes(run.b));
        let error = match case["message"].as_str().unwrap() {
            "offer" => answer(&unhex32(&case["public"])).err(),
            "answer" => offer.finish(&run.input(), &unhex32(&case["public"]), &unhex32(&case["tag"])).err(),
            _ => {
                let (new, ..) = answer(&offered).unwrap();
                (!done_holds(&new, &unhex32(&case["tag"]))).then_some(HandshakeError::NotProven)
            }
        };
        let expected = if case["error"] == "weak_key" { HandshakeError::WeakKey } else { HandshakeError::NotProven };
        assert_eq!(error, Some(expected), "{case}");
    }
}

#[test]
fn the_notices_of_the_file_are_believed_and_refused() {
    let file = read(FILE);
    let held = |case: &Value, secrets: &[Key]| {
        notice_holds(&unhex(&case["notice"]), secrets, &unhex32(&case["by"]), &unhex32(&case["to"]))
    };
    let secrets = |case: &Value| -> Vec<Key> {
        case["secrets"].as_array().unwrap().iter().map(|secret| Key::from_bytes(unhex32(secret))).collect()
    };
    for case in file["notices"].as_array().unwrap() {
        for secret in secrets(case) {
            assert!(held(case, std::slice::from_ref(&secret)), "{case}");
        }
        let keys: Vec<String> = secrets(case).iter().map(|secret| hex(notice_key(secret).as_bytes())).collect();
        assert_eq!(json!(keys), case["keys"]);
    }
    for case in file["reject_notices"].as_array().unwrap() {
        assert!(!held(case, &secrets(case)), "{case}");
    }
}
