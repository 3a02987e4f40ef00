//! Tests of two complete sides in one thread, connected by a vector of frames.

mod attack;
mod crash;
mod entry;
mod hand;
mod honest;
mod hostile;
mod secrets;
mod vectors;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ed25519_dalek::{Signer as _, SigningKey};

use super::{
    Entropy, HostCode, HostState, JoinSecret, JoinerState, LinkSecret, LocalDevice, NewPairing, Output, PairingCode,
    PairingError, PairingEvent, PeerConnection, Software, Timeouts, transcript::Side,
};
use crate::id::{DeviceInfo, DeviceType};

pub(super) const START: Duration = Duration::from_secs(1_000_000);
pub(super) const WORDS: &str = "brave-lion-sunset";

/// Deterministic bytes from a seed.
pub(super) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("yonder test entropy");
        hasher.update(&seed.to_le_bytes());
        hasher.update(label.as_bytes());
        Self(hasher.finalize_xof())
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill(&mut out);
        out
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), PairingError> {
        self.0.fill(out);
        Ok(())
    }
}

pub(super) fn identity(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub(super) fn endpoint_id(number: u8) -> [u8; 32] {
    identity(number).verifying_key().to_bytes()
}

pub(super) fn device(number: u8, name: &str) -> LocalDevice {
    let key = identity(number);
    LocalDevice {
        info: DeviceInfo::new(endpoint_id(number), name, DeviceType::Laptop),
        software: Software { app_version: "0.1.0".into(), protocols: vec!["message/1.0".into(), "pairing/1.0".into()] },
        sign: Arc::new(move |bytes| key.sign(bytes).to_bytes()),
    }
}

/// Seeds of the honest devices.
pub(super) const JOINER: u8 = 11;
pub(super) const HOST: u8 = 22;

pub(super) fn words() -> PairingCode {
    WORDS.parse().unwrap()
}

pub(super) fn link_secret() -> LinkSecret {
    LinkSecret::generate(&mut Seeded::new(0, "link")).unwrap()
}

pub(super) fn shown_code() -> HostCode {
    HostCode::new(START, words(), link_secret())
}

pub(super) fn joiner(seed: u64, remote: [u8; 32], exporter: u8, secret: &JoinSecret) -> JoinerState {
    let connection = PeerConnection { remote, exporter: [exporter; 32] };
    let mut entropy = Seeded::new(seed, "joiner");
    JoinerState::new(START, device(JOINER, "Joiner"), connection, secret, Timeouts::default(), &mut entropy).unwrap()
}

pub(super) fn host(seed: u64, remote: [u8; 32], exporter: u8) -> HostState {
    let connection = PeerConnection { remote, exporter: [exporter; 32] };
    let mut entropy = Seeded::new(seed, "host");
    HostState::new(START, device(HOST, "Host"), connection, Timeouts::default(), &mut entropy).unwrap()
}

/// State that a side has stored about the peer.
#[derive(Clone, Debug, Default)]
pub(super) enum Stored {
    #[default]
    Nothing,
    Pending(NewPairing),
    Paired(NewPairing),
}

/// One side with a driver that executes all outputs at once.
#[derive(Default)]
pub(super) struct Driven {
    pub(super) frames: VecDeque<Vec<u8>>,
    pub(super) events: Vec<PairingEvent>,
    pub(super) stored: Stored,
}

impl Driven {
    pub(super) fn failed(&self) -> Option<&PairingError> {
        self.events.iter().find_map(|event| match event {
            PairingEvent::Failed(error) => Some(error),
            _ => None,
        })
    }

    pub(super) fn paired(&self) -> Option<bool> {
        self.events.iter().find_map(|event| match event {
            PairingEvent::Paired { acknowledged, .. } => Some(*acknowledged),
            _ => None,
        })
    }

    pub(super) fn check_words(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            PairingEvent::Proven { check_words, .. } => Some(check_words.as_str()),
            _ => None,
        })
    }

    pub(super) fn proven(&self) -> bool {
        self.check_words().is_some()
    }
}

/// Calls that differ between the two sides.
pub(super) trait Machine {
    fn next(&mut self) -> Option<Output>;
    fn approve(&mut self, now: Duration, yes: bool);
    fn stored(&mut self, now: Duration);
    fn committed(&mut self, now: Duration);
}

macro_rules! machine {
    ($name:ty, $stored:expr) => {
        impl Machine for $name {
            fn next(&mut self) -> Option<Output> {
                self.poll()
            }
            fn approve(&mut self, now: Duration, yes: bool) {
                self.on_approve(now, yes);
            }
            fn stored(&mut self, now: Duration) {
                $stored(self, now);
            }
            fn committed(&mut self, now: Duration) {
                self.on_committed(now);
            }
        }
    };
}
machine!(JoinerState, |state: &mut JoinerState, now| state.on_stored(now));
machine!(HostState, |_: &mut HostState, _| unreachable!("a host stores nothing pending"));

/// Executes all outputs of a side.
pub(super) fn drive(machine: &mut dyn Machine, driven: &mut Driven, now: Duration, approve: Option<bool>) {
    while let Some(output) = machine.next() {
        let event = match output {
            Output::Frame(frame) => {
                assert!(frame.len() <= super::MAX_FRAME);
                driven.frames.push_back(frame);
                continue;
            }
            Output::Event(event) => event,
        };
        driven.events.push(event.clone());
        match event {
            PairingEvent::NeedApproval => {
                if let Some(yes) = approve {
                    machine.approve(now, yes);
                }
            }
            PairingEvent::StorePending(pairing) => {
                driven.stored = Stored::Pending(pairing);
                machine.stored(now);
            }
            PairingEvent::DropPending => driven.stored = Stored::Nothing,
            PairingEvent::Commit(pairing) => {
                driven.stored = Stored::Paired(pairing);
                machine.committed(now);
            }
            _ => {}
        }
    }
}

/// Result of a run.
pub(super) struct Outcome {
    pub(super) joiner: Driven,
    pub(super) host: Driven,
    /// All sent frames, in order.
    pub(super) sent: Vec<(Side, Vec<u8>)>,
}

/// Runs both sides until nothing moves. `between` receives each frame's number, sender and bytes, and returns the
/// frames that arrive.
pub(super) fn run(
    joiner: &mut JoinerState,
    host: &mut HostState,
    code: &mut HostCode,
    approve: (Option<bool>, Option<bool>),
    mut between: impl FnMut(usize, Side, &[u8]) -> Vec<Vec<u8>>,
) -> Outcome {
    let (mut j, mut h) = (Driven::default(), Driven::default());
    let mut sent = Vec::new();
    loop {
        drive(joiner, &mut j, START, approve.0);
        drive(host, &mut h, START, approve.1);
        if let Some(frame) = j.frames.pop_front() {
            for frame in between(sent.len(), Side::Joiner, &frame) {
                host.on_message(START, &frame, code);
            }
            sent.push((Side::Joiner, frame));
        } else if let Some(frame) = h.frames.pop_front() {
            for frame in between(sent.len(), Side::Host, &frame) {
                joiner.on_message(START, &frame);
            }
            sent.push((Side::Host, frame));
        } else {
            return Outcome { joiner: j, host: h, sent };
        }
        assert!(sent.len() < 100, "the sides never come to an end");
    }
}

pub(super) fn untouched(_: usize, _: Side, frame: &[u8]) -> Vec<Vec<u8>> {
    vec![frame.to_vec()]
}

/// Runs an honest pairing with the right secret.
pub(super) fn honest(seed: u64, secret: &JoinSecret) -> Outcome {
    let (mut joiner, mut host) = (joiner(seed, endpoint_id(HOST), 1, secret), host(seed, endpoint_id(JOINER), 1));
    run(&mut joiner, &mut host, &mut shown_code(), (Some(true), Some(true)), untouched)
}

/// Runs a pairing by words with an attacker in between.
pub(super) fn with_between(seed: u64, between: impl FnMut(usize, Side, &[u8]) -> Vec<Vec<u8>>) -> Outcome {
    let secret = JoinSecret::Words(words());
    let (mut joiner, mut host) = (joiner(seed, endpoint_id(HOST), 1, &secret), host(seed, endpoint_id(JOINER), 1));
    run(&mut joiner, &mut host, &mut shown_code(), (Some(true), Some(true)), between)
}
