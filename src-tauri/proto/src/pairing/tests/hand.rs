//! An independent joiner, written from the specification instead of the state machine, that can cheat.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::*;
use crate::{
    keys::{Opener, Sealer},
    pairing::{
        pake::{self, Channel, Method, Password},
        transcript::{PakeKey, Transcript, signed_bytes},
        wire::{Introduction, Message, Sealed, SignatureBytes, to_bytes},
    },
};

const CHALLENGE: [u8; 32] = [0x77; 32];

/// Creates a signature, valid or not.
type Sign = fn(&[u8]) -> [u8; 64];

/// Manipulation of the joiner's introduction and signature.
pub(super) struct Cheat {
    pub(super) introduce: fn(&mut Introduction),
    pub(super) sign: Sign,
}

impl Default for Cheat {
    fn default() -> Self {
        Self { introduce: |_| {}, sign: |bytes| identity(JOINER).sign(bytes).to_bytes() }
    }
}

/// Joins with the right words up to the proof. Returns the host's outcome, and whether the host introduced itself.
pub(super) fn join(cheat: &Cheat) -> (Driven, bool) {
    let (mut host, mut code) = (host(1, endpoint_id(JOINER), 1), shown_code());
    let mut driven = Driven::default();
    let mut say = |frame: Vec<u8>| {
        host.on_message(START, &frame, &mut code);
        drive(&mut host, &mut driven, START, None);
        driven.frames.pop_front()
    };
    let channel = Channel { exporter: [1; 32], joiner: endpoint_id(JOINER), host: endpoint_id(HOST) };
    let mut transcript = Transcript::new(&channel);
    let (share, joining) =
        pake::start(&Password::of_words(&words()), &channel, Method::Words, Zeroizing::new([5; 64])).unwrap();
    let hello = Message::JoinHello { method: 1, share }.encode().unwrap();
    transcript.absorb(Side::Joiner, &hello);
    let answer = say(hello).unwrap();
    transcript.absorb(Side::Host, &answer);
    let Ok(Message::HostShare { share }) = Message::decode(&answer) else { panic!("a share") };
    let pake = PakeKey::new(&joining.finish(&share).unwrap(), &transcript);
    let confirm = Message::JoinConfirm { tag: pake.tag(Side::Joiner, &transcript) }.encode().unwrap();
    transcript.absorb(Side::Joiner, &confirm);
    let answer = say(confirm).unwrap();
    let Ok(Message::HostConfirm { tag }) = Message::decode(&answer) else { panic!("a confirmation") };
    assert!(pake.check(Side::Host, &transcript, &tag));
    transcript.absorb(Side::Host, &answer);

    let mut sealer = Sealer::new(&pake.seal_key(Side::Joiner, &transcript));
    let mut opener = Opener::new(&pake.seal_key(Side::Host, &transcript));
    let mut seal = |message: &Sealed| {
        let sealed = sealer.seal(b"pairing/1.0 joiner", &message.encode().unwrap()).unwrap();
        Message::Sealed(&sealed).encode().unwrap()
    };
    let local = device(JOINER, "Joiner");
    let public = PublicKey::from(&StaticSecret::from([9; 32])).to_bytes();
    let mut introduction = Introduction::new(&local.info, &local.software, CHALLENGE, public);
    (cheat.introduce)(&mut introduction);
    transcript.absorb(Side::Joiner, &to_bytes(&introduction).unwrap());
    let Some(answer) = say(seal(&Sealed::JoinInfo(introduction))) else {
        return (driven, false);
    };
    let Ok(Message::Sealed(sealed)) = Message::decode(&answer) else { panic!("sealed") };
    let plain = opener.open(b"pairing/1.0 host", sealed).unwrap();
    let Ok(Sealed::HostInfo(theirs, signature)) = Sealed::decode(&plain) else { return (driven, false) };
    transcript.absorb(Side::Host, &to_bytes(&theirs).unwrap());
    let expected = identity(HOST).sign(&signed_bytes(Side::Host, &transcript, &CHALLENGE)).to_bytes();
    assert_eq!(signature.to_bytes(), expected, "the host signs our challenge and the transcript");
    transcript.absorb(Side::Host, &signature.to_bytes());
    let signature: SignatureBytes = (cheat.sign)(&signed_bytes(Side::Joiner, &transcript, &theirs.challenge)).into();
    let _ = say(seal(&Sealed::JoinProof(signature)));
    (driven, true)
}

#[test]
fn a_second_client_by_the_document_is_accepted() {
    let (driven, _) = join(&Cheat::default());
    assert!(driven.proven(), "{:?}", driven.events);
}

#[test]
fn claims_and_keys_of_others_are_refused() {
    let mismatch: [fn(&mut Introduction); 4] = [
        |i| i.device_id = *crate::id::DeviceId::of_endpoint(&endpoint_id(99)).as_bytes(),
        |i| i.endpoint_id = endpoint_id(99),
        |i| {
            i.endpoint_id = endpoint_id(99);
            i.device_id = *crate::id::DeviceId::of_endpoint(&endpoint_id(99)).as_bytes();
        },
        // The host's own identity.
        |i| {
            i.endpoint_id = endpoint_id(HOST);
            i.device_id = *crate::id::DeviceId::of_endpoint(&endpoint_id(HOST)).as_bytes();
        },
    ];
    for introduce in mismatch {
        let (driven, met) = join(&Cheat { introduce, ..Cheat::default() });
        assert_eq!(driven.failed(), Some(&PairingError::IdentityMismatch));
        assert!(!met, "it is told nothing about the host");
        assert!(!driven.proven());
    }
    let violations: [fn(&mut Introduction); 4] = [
        |i| i.x25519 = [0; 32],
        |i| i.name = "x".repeat(65),
        |i| i.device_type = 200,
        |i| i.protocols = "x\u{1b}".into(),
    ];
    for introduce in violations {
        let (driven, _) = join(&Cheat { introduce, ..Cheat::default() });
        assert!(matches!(driven.failed(), Some(PairingError::Violation(_))), "{:?}", driven.events);
        assert!(!driven.proven());
    }
}

#[test]
fn names_are_cleaned_before_anybody_sees_them() {
    let (driven, _) = join(&Cheat { introduce: |i| i.name = "\u{202e}gnp.<b>\u{7}".into(), ..Cheat::default() });
    let name = driven.events.iter().find_map(|event| match event {
        PairingEvent::Proven { info, .. } => Some(info.name.clone()),
        _ => None,
    });
    assert_eq!(name.as_deref(), Some("\u{fffd}gnp.<b>\u{fffd}"));
}

#[test]
fn signatures_of_others_or_of_something_else_are_refused() {
    let signatures: [Sign; 4] = [
        |bytes| identity(99).sign(bytes).to_bytes(),
        |bytes| identity(JOINER).sign(&bytes[1..]).to_bytes(),
        |bytes| {
            let mut signature = identity(JOINER).sign(bytes).to_bytes();
            signature[63] ^= 0x20;
            signature
        },
        |_| [0; 64],
    ];
    for sign in signatures {
        let (driven, _) = join(&Cheat { sign, ..Cheat::default() });
        assert_eq!(driven.failed(), Some(&PairingError::IdentityMismatch), "{:?}", driven.events);
        assert!(!driven.proven());
    }
}
