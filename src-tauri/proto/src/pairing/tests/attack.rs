//! Tests of threats listed in `docs/reliability.md`: machine in the middle, replay, reflection, swapped tags, parallel
//! guessing.

use std::sync::Mutex;

use super::*;
use crate::pairing::{CodeStatus, MAX_ATTEMPTS, wire::Message};

/// Number of seeded runs of the machine in the middle, split into parts that run in parallel.
const MITM_RUNS: u64 = 10_000;
const MITM_PARTS: u64 = 5;

const ATTACKER: u8 = 66;

/// A joiner and a host that each talk to the attacker, over two TLS connections.
struct Caught {
    joiner: JoinerState,
    host: HostState,
    code: HostCode,
    j: Driven,
    h: Driven,
}

impl Caught {
    /// `seen_as` are the peers that joiner and host see at the other end of their connections.
    fn new(seed: u64, seen_as: (u8, u8)) -> Self {
        let mut entropy = Seeded::new(seed, "code");
        let code = HostCode::generate(START, &mut entropy).unwrap();
        let secret = if seed.is_multiple_of(2) {
            JoinSecret::Words(code.code().clone())
        } else {
            JoinSecret::Link(code.link_secret().clone())
        };
        let joiner = joiner(seed, endpoint_id(seen_as.0), 1, &secret);
        let host = host(seed, endpoint_id(seen_as.1), 2);
        Self { joiner, host, code, j: Driven::default(), h: Driven::default() }
    }

    fn of_joiner(&mut self) -> Option<Vec<u8>> {
        drive(&mut self.joiner, &mut self.j, START, Some(true));
        self.j.frames.pop_front()
    }

    fn of_host(&mut self) -> Option<Vec<u8>> {
        drive(&mut self.host, &mut self.h, START, Some(true));
        self.h.frames.pop_front()
    }

    fn tell_joiner(&mut self, frame: &[u8]) {
        self.joiner.on_message(START, frame);
    }

    fn tell_host(&mut self, frame: &[u8]) {
        self.host.on_message(START, frame, &mut self.code);
    }

    /// Forwards all frames, modified by `change`, until nothing moves.
    fn relay(&mut self, mut change: impl FnMut(Side, Vec<u8>) -> Vec<u8>) {
        for _ in 0..50 {
            if let Some(frame) = self.of_joiner() {
                let frame = change(Side::Joiner, frame);
                self.tell_host(&frame);
            } else if let Some(frame) = self.of_host() {
                let frame = change(Side::Host, frame);
                self.tell_joiner(&frame);
            } else {
                return;
            }
        }
    }

    fn assert_failed(mut self, seed: u64) {
        drive(&mut self.joiner, &mut self.j, START, Some(true));
        drive(&mut self.host, &mut self.h, START, Some(true));
        for (name, side) in [("joiner", &self.j), ("host", &self.h)] {
            assert!(!side.proven(), "seed {seed}: {name} believes it");
            assert!(matches!(side.stored, Stored::Nothing), "seed {seed}: {name} stores it");
        }
        assert!(!self.h.events.iter().any(|e| matches!(e, PairingEvent::CodeProven)), "seed {seed}");
        assert_ne!(self.code.status(START), CodeStatus::Used, "seed {seed}");
    }
}

/// Draws a random code for the attacker to try.
fn guess(entropy: &mut Seeded) -> PairingCode {
    PairingCode::generate(entropy).unwrap()
}

macro_rules! parts {
    ($($name:ident: $part:literal,)*) => {
        $(#[test]
        fn $name() {
            machine_in_the_middle($part);
        })*

        #[test]
        fn the_parts_are_all_runs() {
            assert!((0..MITM_PARTS).eq([$($part),*]) && MITM_RUNS % MITM_PARTS == 0);
        }
    };
}
parts! {
    a_machine_in_the_middle_fails_every_time_part_1: 0,
    a_machine_in_the_middle_fails_every_time_part_2: 1,
    a_machine_in_the_middle_fails_every_time_part_3: 2,
    a_machine_in_the_middle_fails_every_time_part_4: 3,
    a_machine_in_the_middle_fails_every_time_part_5: 4,
}

/// Number of different attacks.
const ATTACKS: u64 = 6;

/// Runs one part: in none may a side believe that it talks to the other.
fn machine_in_the_middle(part: u64) {
    let runs = MITM_RUNS / MITM_PARTS;
    for seed in part * runs..(part + 1) * runs {
        let mut entropy = Seeded::new(seed, "attacker");
        match seed % ATTACKS {
            // Forwards everything under its own identity.
            0 => {
                let mut caught = Caught::new(seed, (ATTACKER, ATTACKER));
                caught.relay(|_, frame| frame);
                caught.assert_failed(seed);
            }
            // Forwards everything, and even holds both devices' endpoint keys: only the two TLS connections differ.
            1 => {
                let mut caught = Caught::new(seed, (HOST, JOINER));
                caught.relay(|_, frame| frame);
                caught.assert_failed(seed);
            }
            // Plays host to the joiner and joiner to the host, with guessed codes.
            2 => {
                let mut caught = Caught::new(seed, (ATTACKER, ATTACKER));
                let mut own_code =
                    HostCode::new(START, guess(&mut entropy), LinkSecret::generate(&mut entropy).unwrap());
                let at = |remote, exporter| PeerConnection { remote: endpoint_id(remote), exporter: [exporter; 32] };
                let local = || device(ATTACKER, "Host");
                let timeouts = Timeouts::default();
                let mut own_host = HostState::new(START, local(), at(JOINER, 1), timeouts, &mut entropy).unwrap();
                let secret = JoinSecret::Words(guess(&mut entropy));
                let mut own_joiner =
                    JoinerState::new(START, local(), at(HOST, 2), &secret, timeouts, &mut entropy).unwrap();
                let (mut h, mut j) = (Driven::default(), Driven::default());
                for _ in 0..20 {
                    while let Some(frame) = caught.of_joiner() {
                        own_host.on_message(START, &frame, &mut own_code);
                    }
                    drive(&mut own_host, &mut h, START, Some(true));
                    h.frames.drain(..).for_each(|frame| caught.tell_joiner(&frame));
                    drive(&mut own_joiner, &mut j, START, Some(true));
                    j.frames.drain(..).for_each(|frame| caught.tell_host(&frame));
                    while let Some(frame) = caught.of_host() {
                        own_joiner.on_message(START, &frame);
                    }
                }
                assert!(!h.proven() && !j.proven(), "seed {seed}");
                caught.assert_failed(seed);
            }
            // Forwards shares and changes every tag.
            3 => {
                let mut caught = Caught::new(seed, (ATTACKER, ATTACKER));
                caught.relay(|_, frame| match Message::decode(&frame) {
                    Ok(Message::JoinConfirm { .. }) => Message::JoinConfirm { tag: entropy.bytes() }.encode().unwrap(),
                    Ok(Message::HostConfirm { .. }) => Message::HostConfirm { tag: entropy.bytes() }.encode().unwrap(),
                    _ => frame,
                });
                caught.assert_failed(seed);
            }
            // Reflects each side's own messages, with the expected type.
            4 => {
                let mut caught = Caught::new(seed, (ATTACKER, ATTACKER));
                let Some(hello) = caught.of_joiner() else { panic!("a hello") };
                let Ok(Message::JoinHello { share, .. }) = Message::decode(&hello) else { panic!("a hello") };
                caught.tell_joiner(&Message::HostShare { share }.encode().unwrap());
                assert!(caught.of_joiner().is_none());
                caught.tell_host(&hello);
                let _ = caught.of_host();
                caught.tell_host(&Message::JoinConfirm { tag: share }.encode().unwrap());
                caught.assert_failed(seed);
            }
            // Replaces the shares with its own and forwards the rest.
            _ => {
                let mut caught = Caught::new(seed, (ATTACKER, ATTACKER));
                let mut other = Caught::new(seed + 1_000_000, (ATTACKER, ATTACKER));
                let hello = other.of_joiner().unwrap();
                let _ = caught.of_joiner();
                caught.tell_host(&hello);
                let share = caught.of_host().unwrap();
                caught.tell_joiner(&share);
                if let Some(confirm) = caught.of_joiner() {
                    caught.tell_host(&confirm);
                }
                caught.relay(|_, frame| frame);
                caught.assert_failed(seed);
            }
        }
    }
}

#[test]
fn a_recorded_pairing_played_into_another_connection_is_refused() {
    let recorded = honest(1, &JoinSecret::Words(words()));
    // Replay to a host with the same code and even the same randomness: only the TLS connection differs.
    let (mut host, mut code) = (host(1, endpoint_id(JOINER), 9), shown_code());
    for (_, frame) in recorded.sent.iter().filter(|(side, _)| *side == Side::Joiner) {
        host.on_message(START, frame, &mut code);
    }
    let mut driven = Driven::default();
    drive(&mut host, &mut driven, START, Some(true));
    assert_eq!(driven.failed(), Some(&PairingError::CodeWrong));
    assert!(!driven.proven());
    // Replay to a joiner.
    let mut joiner = joiner(1, endpoint_id(HOST), 9, &JoinSecret::Words(words()));
    for (_, frame) in recorded.sent.iter().filter(|(side, _)| *side == Side::Host) {
        joiner.on_message(START, frame);
    }
    let mut driven = Driven::default();
    drive(&mut joiner, &mut driven, START, Some(true));
    assert!(driven.failed().is_some() && !driven.proven());
}

#[test]
fn a_recorded_pairing_played_to_fresh_randomness_is_refused() {
    // Even on the same connection: a host that draws again has another share, so no old tag matches.
    let recorded = honest(1, &JoinSecret::Words(words()));
    let (mut host, mut code) = (host(2, endpoint_id(JOINER), 1), shown_code());
    for (_, frame) in recorded.sent.iter().filter(|(side, _)| *side == Side::Joiner) {
        host.on_message(START, frame, &mut code);
    }
    let mut driven = Driven::default();
    drive(&mut host, &mut driven, START, Some(true));
    assert_eq!(driven.failed(), Some(&PairingError::CodeWrong));
}

#[test]
fn what_a_side_said_is_not_taken_back_from_its_peer() {
    // Every frame that a side has sent is reflected to it, once in addition and once in place of the answer.
    for reflected in 0..12 {
        for replace in [false, true] {
            let mut last_of: [Option<Vec<u8>>; 2] = [None, None];
            let outcome = with_between(1, |number, side, frame| {
                let (own, others) = if side == Side::Joiner { (0, 1) } else { (1, 0) };
                last_of[own] = Some(frame.to_vec());
                if number != reflected {
                    return vec![frame.to_vec()];
                }
                // The receiver now gets what it sent last.
                let Some(echo) = last_of[others].clone() else { return vec![frame.to_vec()] };
                if replace { vec![echo] } else { vec![echo, frame.to_vec()] }
            });
            if reflected == 0 {
                continue;
            }
            let both = outcome.joiner.paired() == Some(true) && outcome.host.paired() == Some(true);
            assert!(!both, "the echo at {reflected} was not noticed");
            if reflected < 7 {
                assert!(!(outcome.joiner.proven() && outcome.host.proven()), "echo at {reflected}");
                assert!(matches!(outcome.host.stored, Stored::Nothing));
            }
        }
    }
}

#[test]
fn tags_do_not_stand_for_each_other() {
    // The host's answer carries the joiner's tag.
    let mut joiners = None;
    let outcome = with_between(1, |_, _, frame| {
        vec![match (Message::decode(frame), joiners) {
            (Ok(Message::JoinConfirm { tag }), _) => {
                joiners = Some(tag);
                frame.to_vec()
            }
            (Ok(Message::HostConfirm { .. }), Some(tag)) => Message::HostConfirm { tag }.encode().unwrap(),
            _ => frame.to_vec(),
        }]
    });
    assert!(matches!(outcome.joiner.failed(), Some(PairingError::Violation(_))));
    assert!(!outcome.joiner.proven() && !outcome.host.proven());
    // The joiner's tag arrives as a message of the other kind.
    let outcome = with_between(1, |_, _, frame| {
        vec![match Message::decode(frame) {
            Ok(Message::JoinConfirm { tag }) => Message::HostConfirm { tag }.encode().unwrap(),
            _ => frame.to_vec(),
        }]
    });
    assert!(matches!(outcome.host.failed(), Some(PairingError::Violation(_))));
}

#[test]
fn a_host_that_skips_the_proof_is_refused() {
    // Any confirmation is answered with noise, or with a message as if encryption had begun.
    for frame in [Message::HostConfirm { tag: [7; 32] }.encode().unwrap(), Message::Sealed(&[7; 100]).encode().unwrap()]
    {
        let mut joiner = joiner(1, endpoint_id(ATTACKER), 1, &JoinSecret::Words(words()));
        let mut driven = Driven::default();
        let mut fake = super::host(3, endpoint_id(JOINER), 1);
        let mut code = HostCode::generate(START, &mut Seeded::new(9, "fake")).unwrap();
        let mut host = Driven::default();
        drive(&mut joiner, &mut driven, START, None);
        fake.on_message(START, &driven.frames.pop_front().unwrap(), &mut code);
        drive(&mut fake, &mut host, START, None);
        joiner.on_message(START, &host.frames.pop_front().unwrap());
        drive(&mut joiner, &mut driven, START, None);
        joiner.on_message(START, &frame);
        drive(&mut joiner, &mut driven, START, None);
        assert!(matches!(driven.failed(), Some(PairingError::Violation(_))));
        // The joiner has sent its hello and its tag, and nothing about itself.
        assert_eq!(driven.frames.len(), 1);
        assert!(matches!(Message::decode(&driven.frames[0]), Ok(Message::JoinConfirm { .. })));
    }
}

#[test]
fn a_host_that_opens_early_is_refused() {
    // HostConfirm before any JoinConfirm, or in place of the share.
    let mut joiner = joiner(1, endpoint_id(HOST), 1, &JoinSecret::Words(words()));
    joiner.on_message(START, &Message::HostConfirm { tag: [0; 32] }.encode().unwrap());
    let mut driven = Driven::default();
    drive(&mut joiner, &mut driven, START, None);
    assert!(matches!(driven.failed(), Some(PairingError::Violation(_))));
}

/// Runs fifty joiners at once against one code. `right` of them know it.
fn fifty(right: usize) -> (usize, usize, usize, HostCode) {
    let code = Mutex::new(shown_code());
    let barrier = std::sync::Barrier::new(50);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..50 {
            let (code, barrier, outcomes) = (&code, &barrier, &outcomes);
            scope.spawn(move || {
                let secret = if number < right {
                    JoinSecret::Words(words())
                } else {
                    JoinSecret::Words(PairingCode::generate(&mut Seeded::new(number as u64, "guess")).unwrap())
                };
                let mut joiner = joiner(number as u64, endpoint_id(HOST), number as u8, &secret);
                let mut host = host(number as u64, endpoint_id(JOINER), number as u8);
                let (mut j, mut h) = (Driven::default(), Driven::default());
                // All exchange hello and share before any confirms, as an attacker would do it.
                drive(&mut joiner, &mut j, START, Some(true));
                host.on_message(START, &j.frames.pop_front().unwrap(), &mut code.lock().unwrap());
                drive(&mut host, &mut h, START, Some(true));
                barrier.wait();
                loop {
                    let mut moved = false;
                    for frame in h.frames.drain(..) {
                        joiner.on_message(START, &frame);
                        moved = true;
                    }
                    drive(&mut joiner, &mut j, START, Some(true));
                    for frame in j.frames.drain(..) {
                        host.on_message(START, &frame, &mut code.lock().unwrap());
                        moved = true;
                    }
                    drive(&mut host, &mut h, START, Some(true));
                    if !moved {
                        break;
                    }
                }
                outcomes.lock().unwrap().push(h);
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let count =
        |which: fn(&PairingEvent) -> bool| outcomes.iter().filter(|driven| driven.events.iter().any(which)).count();
    let wrong = count(|event| matches!(event, PairingEvent::WrongCode { .. }));
    let proven = count(|event| matches!(event, PairingEvent::CodeProven));
    let paired = count(|event| matches!(event, PairingEvent::Paired { .. }));
    (wrong, proven, paired, code.into_inner().unwrap())
}

#[test]
fn fifty_guessers_have_three_attempts_in_all() {
    let (wrong, proven, paired, code) = fifty(0);
    assert_eq!((wrong, proven, paired), (usize::from(MAX_ATTEMPTS), 0, 0));
    assert_eq!(code.status(START), CodeStatus::Burnt);
}

#[test]
fn of_fifty_that_know_the_code_one_is_taken() {
    let (wrong, proven, paired, code) = fifty(50);
    assert_eq!((wrong, proven, paired), (0, 1, 1));
    assert_eq!(code.status(START), CodeStatus::Used);
}

#[test]
fn one_that_knows_the_code_among_guessers_changes_no_count() {
    for _ in 0..5 {
        let (wrong, proven, paired, _) = fifty(1);
        assert!(proven <= 1 && paired == proven && wrong + proven <= usize::from(MAX_ATTEMPTS), "{wrong} {proven}");
    }
}

#[test]
fn hellos_alone_burn_nothing_and_tell_nothing() {
    let mut code = shown_code();
    let mut shares = Vec::new();
    for seed in 0..100 {
        let mut joiner = joiner(seed, endpoint_id(HOST), 1, &JoinSecret::Words(words()));
        let mut host = host(seed, endpoint_id(JOINER), 1);
        let (mut j, mut h) = (Driven::default(), Driven::default());
        drive(&mut joiner, &mut j, START, None);
        host.on_message(START, &j.frames[0], &mut code);
        drive(&mut host, &mut h, START, None);
        shares.push(h.frames[0].clone());
    }
    assert_eq!(code.attempts_left(), MAX_ATTEMPTS);
    shares.sort_unstable();
    shares.dedup();
    assert_eq!(shares.len(), 100, "no share is used twice");
}
