//! Pairings without an attacker: both methods, wrong words, the users' answers, timeouts.

use std::time::Duration;

use super::*;
use crate::pairing::{CODE_LIFETIME, CodeStatus};

fn wrong_words() -> JoinSecret {
    JoinSecret::Words("brave-lion-zoo".parse().unwrap())
}

fn attempt(code: &mut HostCode, seed: u64, secret: &JoinSecret) -> Outcome {
    let (mut joiner, mut host) = (joiner(seed, endpoint_id(HOST), 1, secret), host(seed, endpoint_id(JOINER), 1));
    run(&mut joiner, &mut host, code, (Some(true), Some(true)), untouched)
}

#[test]
fn both_methods_pair() {
    for secret in [JoinSecret::Words(words()), JoinSecret::Link(link_secret())] {
        let outcome = honest(1, &secret);
        assert_eq!(outcome.joiner.paired(), Some(true), "{:?}", outcome.joiner.events);
        assert_eq!(outcome.host.paired(), Some(true), "{:?}", outcome.host.events);
        let (Stored::Paired(j), Stored::Paired(h)) = (&outcome.joiner.stored, &outcome.host.stored) else {
            panic!("both sides hold the record");
        };
        assert_eq!(j.secret.as_bytes(), h.secret.as_bytes());
        assert_eq!(j.pairing_id, h.pairing_id);
        assert_eq!(j.check_words, h.check_words);
        assert_eq!(outcome.joiner.check_words(), outcome.host.check_words());
        assert_eq!(outcome.host.check_words(), Some(h.check_words.as_str()));
        assert_eq!((j.info.endpoint_id, j.info.name.as_str()), (endpoint_id(HOST), "Host"));
        assert_eq!((h.info.endpoint_id, h.info.name.as_str()), (endpoint_id(JOINER), "Joiner"));
        assert_eq!(j.software.protocols, ["message/1.0", "pairing/1.0"]);
    }
}

#[test]
fn no_two_pairings_share_anything() {
    let secret = JoinSecret::Words(words());
    let of = |seed| {
        let Stored::Paired(pairing) = honest(seed, &secret).joiner.stored else { panic!("paired") };
        (*pairing.secret.as_bytes(), pairing.pairing_id)
    };
    let (one, two) = (of(1), of(2));
    assert_ne!(one.0, two.0);
    assert_ne!(one.1, two.1);
}

#[test]
fn the_joiner_proves_first() {
    let outcome = honest(1, &JoinSecret::Words(words()));
    let order: Vec<Side> = outcome.sent.iter().map(|(side, _)| *side).collect();
    let (j, h) = (Side::Joiner, Side::Host);
    assert_eq!(order[..7], [j, h, j, h, j, h, j]);
}

#[test]
fn a_wrong_word_is_refused_and_told() {
    let mut code = shown_code();
    let outcome = attempt(&mut code, 1, &wrong_words());
    assert_eq!(outcome.joiner.failed(), Some(&PairingError::CodeWrong));
    assert_eq!(outcome.host.failed(), Some(&PairingError::CodeWrong));
    assert!(outcome.host.events.iter().any(|e| matches!(e, PairingEvent::WrongCode { attempts_left: 2 })));
    assert!(!outcome.host.events.iter().any(|e| matches!(e, PairingEvent::CodeProven)));
    assert!(!outcome.joiner.proven() && !outcome.host.proven());
    // The right words still work.
    assert_eq!(attempt(&mut code, 2, &JoinSecret::Words(words())).host.paired(), Some(true));
}

#[test]
fn after_three_wrong_ones_the_right_one_is_refused_by_words_and_by_link() {
    let mut code = shown_code();
    for seed in 0..3 {
        let outcome = attempt(&mut code, seed, &wrong_words());
        let left = 2 - seed as u8;
        assert!(
            outcome
                .host
                .events
                .iter()
                .any(|e| matches!(e, PairingEvent::WrongCode { attempts_left } if *attempts_left == left))
        );
        let error = if left == 0 { PairingError::CodeBurnt } else { PairingError::CodeWrong };
        assert_eq!(outcome.joiner.failed(), Some(&error));
    }
    assert_eq!(code.status(START), CodeStatus::Burnt);
    for secret in [JoinSecret::Words(words()), JoinSecret::Link(link_secret())] {
        let outcome = attempt(&mut code, 9, &secret);
        assert_eq!(outcome.joiner.failed(), Some(&PairingError::CodeBurnt));
        assert_eq!(outcome.host.failed(), Some(&PairingError::CodeBurnt));
        assert!(!outcome.host.proven());
    }
}

#[test]
fn words_and_link_share_their_attempts() {
    let mut code = shown_code();
    let wrong_link = JoinSecret::Link(LinkSecret::generate(&mut Seeded::new(5, "wrong")).unwrap());
    assert_eq!(attempt(&mut code, 1, &wrong_link).joiner.failed(), Some(&PairingError::CodeWrong));
    assert_eq!(attempt(&mut code, 2, &wrong_words()).joiner.failed(), Some(&PairingError::CodeWrong));
    assert_eq!(attempt(&mut code, 3, &wrong_link).joiner.failed(), Some(&PairingError::CodeBurnt));
}

#[test]
fn a_used_code_is_refused() {
    let mut code = shown_code();
    assert_eq!(attempt(&mut code, 1, &JoinSecret::Words(words())).host.paired(), Some(true));
    assert_eq!(attempt(&mut code, 2, &JoinSecret::Words(words())).joiner.failed(), Some(&PairingError::CodeUsed));
}

#[test]
fn an_expired_code_is_refused_at_hello_and_at_confirm() {
    let secret = JoinSecret::Words(words());
    let late = START + CODE_LIFETIME;
    let mut code = shown_code();
    let (mut j, mut h) = (Driven::default(), Driven::default());
    let connection = PeerConnection { remote: endpoint_id(JOINER), exporter: [1; 32] };
    let mut host =
        HostState::new(late, device(HOST, "Host"), connection, Timeouts::default(), &mut Seeded::new(1, "host"))
            .unwrap();
    let mut joiner = joiner(1, endpoint_id(HOST), 1, &secret);
    drive(&mut joiner, &mut j, START, None);
    host.on_message(late, &j.frames[0], &mut code);
    drive(&mut host, &mut h, late, None);
    assert_eq!(h.failed(), Some(&PairingError::CodeExpired));

    let (mut j, mut h) = (Driven::default(), Driven::default());
    let just = late - Duration::from_secs(1);
    let mut host =
        HostState::new(just, device(HOST, "Host"), connection, Timeouts::default(), &mut Seeded::new(1, "host"))
            .unwrap();
    let mut joiner = super::joiner(1, endpoint_id(HOST), 1, &secret);
    drive(&mut joiner, &mut j, START, None);
    host.on_message(just, &j.frames.pop_front().unwrap(), &mut code);
    drive(&mut host, &mut h, just, None);
    joiner.on_message(START, &h.frames.pop_front().unwrap());
    drive(&mut joiner, &mut j, START, None);
    host.on_message(late, &j.frames.pop_front().unwrap(), &mut code);
    drive(&mut host, &mut h, late, None);
    assert_eq!(h.failed(), Some(&PairingError::CodeExpired));
    joiner.on_message(START, &h.frames.pop_front().unwrap());
    drive(&mut joiner, &mut j, START, None);
    assert_eq!(j.failed(), Some(&PairingError::CodeExpired));
    assert_eq!(code.attempts_left(), 3);
}

#[test]
fn each_person_can_say_no() {
    let secret = JoinSecret::Words(words());
    for (approve, joiner_error, host_error) in [
        ((Some(false), None), PairingError::RejectedHere, PairingError::RejectedThere),
        ((None, Some(false)), PairingError::RejectedThere, PairingError::RejectedHere),
        ((Some(false), Some(true)), PairingError::RejectedHere, PairingError::RejectedThere),
        ((Some(true), Some(false)), PairingError::RejectedThere, PairingError::RejectedHere),
    ] {
        let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
        let outcome = run(&mut joiner, &mut host, &mut shown_code(), approve, untouched);
        assert_eq!(outcome.joiner.failed(), Some(&joiner_error), "{approve:?}");
        assert_eq!(outcome.host.failed(), Some(&host_error), "{approve:?}");
        assert!(matches!(outcome.joiner.stored, Stored::Nothing) && matches!(outcome.host.stored, Stored::Nothing));
    }
}

#[test]
fn nothing_is_stored_before_both_approve() {
    let secret = JoinSecret::Words(words());
    for approve in [(None, None), (Some(true), None), (None, Some(true))] {
        let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
        let outcome = run(&mut joiner, &mut host, &mut shown_code(), approve, untouched);
        assert!(outcome.joiner.proven() && outcome.host.proven());
        assert!(matches!(outcome.joiner.stored, Stored::Nothing) && matches!(outcome.host.stored, Stored::Nothing));
        assert!(outcome.joiner.failed().is_none() && outcome.host.failed().is_none());
        // The users' time is limited, too.
        let late = START + Timeouts::default().approval;
        assert_eq!(joiner.deadline(), Some(late));
        let (mut j, mut h) = (outcome.joiner, outcome.host);
        joiner.on_tick(late);
        host.on_tick(late - Duration::from_secs(1));
        drive(&mut joiner, &mut j, late, None);
        assert!(matches!(j.failed(), Some(PairingError::Timeout { .. })));
        host.on_message(late - Duration::from_secs(1), &j.frames.pop_front().unwrap(), &mut shown_code());
        drive(&mut host, &mut h, late, None);
        assert_eq!(h.failed(), Some(&PairingError::RejectedThere));
    }
}

#[test]
fn a_silent_peer_is_not_waited_for() {
    let timeouts = Timeouts::default();
    let mut joiner = joiner(1, endpoint_id(HOST), 1, &JoinSecret::Words(words()));
    let end = START + timeouts.proof;
    assert_eq!(joiner.deadline(), Some(end));
    joiner.on_tick(end - Duration::from_nanos(1));
    assert!(!joiner.is_finished());
    let mut j = Driven::default();
    drive(&mut joiner, &mut j, START, None);
    joiner.on_tick(end);
    drive(&mut joiner, &mut j, end, None);
    assert!(matches!(j.failed(), Some(PairingError::Timeout { .. })));
    assert!(joiner.is_finished() && joiner.deadline().is_none());

    // An unpaired peer occupies one of few slots, so it has less time for each of its first two messages.
    let hello = j.frames.pop_front().unwrap();
    let mut code = shown_code();
    for heard in [0, 1] {
        let mut host = host(1, endpoint_id(JOINER), 1);
        let end = if heard == 0 { START + timeouts.hello } else { START + timeouts.code };
        if heard == 1 {
            host.on_message(START, &hello, &mut code);
        }
        let mut h = Driven::default();
        drive(&mut host, &mut h, START, None);
        assert_eq!(host.deadline(), Some(end));
        host.on_tick(end - Duration::from_nanos(1));
        assert!(!host.is_finished());
        // A late message is ignored, even without a tick.
        host.on_message(end, &hello, &mut code);
        drive(&mut host, &mut h, end, None);
        assert!(matches!(h.failed(), Some(PairingError::Timeout { .. })));
        assert!(host.is_finished());
        // A peer that has sent nothing gets no answer.
        assert_eq!(h.frames.len(), 2 * heard, "a share and the refusal, or nothing");
    }
    assert_eq!(code.attempts_left(), crate::pairing::MAX_ATTEMPTS);
}

#[test]
fn who_has_proven_the_code_has_the_time_of_the_whole_proof() {
    let timeouts = Timeouts::default();
    let (mut joiner, mut host) =
        (joiner(1, endpoint_id(HOST), 1, &JoinSecret::Words(words())), host(1, endpoint_id(JOINER), 1));
    // The host's fourth frame, its introduction, is lost.
    run(&mut joiner, &mut host, &mut shown_code(), (None, None), |number, _, frame| {
        if number < 5 { vec![frame.to_vec()] } else { Vec::new() }
    });
    assert_eq!(host.deadline(), Some(START + timeouts.proof));
}

#[test]
fn approving_out_of_turn_or_twice_changes_nothing() {
    let secret = JoinSecret::Words(words());
    let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
    joiner.on_approve(START, true);
    host.on_approve(START, true);
    joiner.on_stored(START);
    joiner.on_committed(START);
    host.on_committed(START);
    let outcome = run(&mut joiner, &mut host, &mut shown_code(), (Some(true), None), untouched);
    assert!(matches!(outcome.joiner.stored, Stored::Nothing) && matches!(outcome.host.stored, Stored::Nothing));
    joiner.on_approve(START, true);
    assert!(joiner.poll().is_none());
    host.on_approve(START, true);
    host.on_approve(START, true);
    let outcome = run(&mut joiner, &mut host, &mut shown_code(), (None, None), untouched);
    assert_eq!((outcome.joiner.paired(), outcome.host.paired()), (Some(true), Some(true)));
}

#[test]
fn a_device_does_not_pair_with_itself() {
    let connection = PeerConnection { remote: endpoint_id(JOINER), exporter: [1; 32] };
    let mut entropy = Seeded::new(1, "self");
    let secret = JoinSecret::Words(words());
    let local = || device(JOINER, "Joiner");
    let joiner = JoinerState::new(START, local(), connection, &secret, Timeouts::default(), &mut entropy);
    assert_eq!(joiner.err(), Some(PairingError::SameDevice));
    let host = HostState::new(START, local(), connection, Timeouts::default(), &mut entropy);
    assert_eq!(host.err(), Some(PairingError::SameDevice));
}

#[test]
fn debug_of_everything_shows_no_secret() {
    let secret = JoinSecret::Words(words());
    let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
    let mut code = shown_code();
    let mut shown = format!("{secret:?} {:?} {code:?} {joiner:?} {host:?}", JoinSecret::Link(link_secret()));
    let outcome = run(&mut joiner, &mut host, &mut code, (Some(true), Some(true)), untouched);
    let Stored::Paired(pairing) = &outcome.joiner.stored else { panic!("paired") };
    let connection = PeerConnection { remote: [1; 32], exporter: [0xe7; 32] };
    shown += &format!("{:?} {:?} {joiner:?} {host:?} {code:?}", outcome.joiner.events, outcome.host.events);
    shown += &format!("{pairing:?} {connection:?} {:?}", device(1, "One"));
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let key = pairing.secret.as_bytes();
    let link = link_secret();
    for bytes in [key.as_slice(), link.as_bytes(), &[0xe7; 32]] {
        assert!(!shown.contains(&hex(bytes)) && !shown.contains(&format!("{bytes:?}")), "{shown}");
    }
    for word in words().words() {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
}
