//! Secrets of a session never leave its ends: not in a handshake message, not in a log, not in `Debug` output.

use super::file::{bytes, read, unhex, unhex32};
use crate::{
    keys::{
        HandshakeInput, InitiatorHandshake, Key, Opener, ResponderHandshake, RotationInput, RotationOffer, Sealer,
        answer_rotation, notice_key, unpair_notice,
    },
    log_capture::{LogCapture, holds},
};

const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/keys/vectors/session-1.0.json");

#[test]
fn no_key_of_a_session_is_in_a_message_a_log_or_a_debug_form() {
    let case = &read(SESSION)["accept"][0];
    let of = |side: &str, field: &str| unhex32(&case[side][field]);
    let secret = Key::from_bytes(unhex32(&case["pairing_secret"]));
    let input = HandshakeInput {
        pairing_secret: &secret,
        initiator: of("initiator", "endpoint_id"),
        responder: of("responder", "endpoint_id"),
        alpn: case["alpn"].as_str().unwrap().as_bytes(),
        exporter: unhex32(&case["exporter"]),
    };
    let log_capture = LogCapture::default();
    let (mut wire, mut shown) = (Vec::new(), String::new());
    let (a, b) = (of("initiator", "x25519_secret"), of("responder", "x25519_secret"));
    tracing::subscriber::with_default(log_capture.clone(), || {
        tracing::info!("the handshake begins");
        let (initiator, hello) = InitiatorHandshake::start(&Key::from_bytes(a), of("initiator", "random"));
        let (responder, ack) =
            ResponderHandshake::answer(&input, &hello, &Key::from_bytes(b), of("responder", "random")).unwrap();
        let (confirm, keys) = initiator.finish(&input, &ack).unwrap();
        let theirs = responder.finish(&confirm).unwrap();
        shown += &format!("{keys:?} {theirs:?} {secret:?}");
        wire.extend([hello, ack, confirm].concat());
        for stream in case["streams"].as_array().unwrap() {
            let key = Key::from_bytes(unhex32(&stream["key"]));
            let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
            for frame in stream["frames"].as_array().unwrap() {
                let sealed = sealer.seal(b"", &unhex(&frame["plain"])).unwrap();
                opener.open(b"", &sealed).unwrap();
                wire.extend(sealed);
            }
        }
        // A failure of each kind, to check the error messages.
        let wrong = Key::from_bytes(bytes("wrong"));
        let error = initiator_error(&HandshakeInput { pairing_secret: &wrong, ..input });
        shown += &format!("{error:?} {error}");
    });
    let log = log_capture.text();
    assert!(log.contains("the handshake begins") && shown.contains("SessionKeys"));
    let mut keys = vec![
        ("the pairing secret", secret.as_bytes().to_vec()),
        ("the session root", unhex(&case["session_root"])),
        ("the X25519 result", unhex(&case["x25519_result"])),
        ("the initiator's ephemeral", a.to_vec()),
        ("the responder's ephemeral", b.to_vec()),
        ("the exporter", unhex(&case["exporter"])),
    ];
    keys.extend(case["streams"].as_array().unwrap().iter().map(|stream| ("a stream's key", unhex(&stream["key"]))));
    keys.extend(
        case["transfer_roots"].as_array().unwrap().iter().map(|row| ("a transfer's root", unhex(&row["root"]))),
    );
    for (name, key) in &keys {
        for (place, bytes) in
            [("the messages", wire.as_slice()), ("the log", log.as_bytes()), ("Debug", shown.as_bytes())]
        {
            assert!(!holds(bytes, key), "{name} is in {place}");
        }
    }
}

fn initiator_error(input: &HandshakeInput<'_>) -> crate::keys::HandshakeError {
    let right = Key::from_bytes(bytes("pairing secret"));
    let other = HandshakeInput { pairing_secret: &right, alpn: input.alpn, ..*input };
    let (initiator, hello) = InitiatorHandshake::start(&Key::from_bytes([3; 32]), [4; 32]);
    let (_, ack) = ResponderHandshake::answer(&other, &hello, &Key::from_bytes([5; 32]), [6; 32]).unwrap();
    initiator.finish(input, &ack).expect_err("another secret")
}

#[test]
fn no_secret_is_in_what_a_renewal_and_a_notice_say() {
    let (old, a, b) = (Key::from_bytes(bytes("old")), bytes("a"), bytes("b"));
    let input = RotationInput { secret: &old, offerer: bytes("one"), answerer: bytes("two") };
    let (offer, offered) = RotationOffer::start(&Key::from_bytes(a));
    let (new, answered, tag) = answer_rotation(&input, &offered, &Key::from_bytes(b)).unwrap();
    let (_, done) = offer.finish(&input, &answered, &tag).unwrap();
    let key = notice_key(&new);
    let notice = unpair_notice([&key], &input.offerer, &input.answerer);
    let said = [offered.as_slice(), &answered, &tag, &done, &notice].concat();
    for secret in [old.as_bytes(), new.as_bytes(), key.as_bytes(), &a, &b] {
        assert!(!holds(&said, secret));
    }
}
