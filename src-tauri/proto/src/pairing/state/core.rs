//! Common parts of joiner and host: transcript, encryption, introductions, approvals, deadlines, outputs.

use std::{collections::VecDeque, time::Duration};

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{LocalDevice, NewPairing, Output, PairingEvent, PeerConnection, Timeouts};
use crate::{
    keys::{Opener, Sealer},
    pairing::{
        Entropy, PairingError,
        pake::Channel,
        transcript::{PakeKey, Side, Transcript, check_words, exchange, signed_bytes, verify},
        wire::{self, Introduction, Message, Sealed, SignatureBytes},
    },
};

/// Returns the additional data of all messages that `side` encrypts.
fn aad(side: Side) -> &'static [u8] {
    match side {
        Side::Joiner => b"pairing/1.0 joiner",
        Side::Host => b"pairing/1.0 host",
    }
}

/// State of the approvals.
pub(super) enum Approval {
    /// One side has not answered yet.
    Waiting,
    /// Both have approved.
    Both,
}

pub(super) struct Core {
    side: Side,
    pub(super) channel: Channel,
    remote: [u8; 32],
    local: LocalDevice,
    pub(super) timeouts: Timeouts,
    pub(super) transcript: Transcript,
    /// Scalar of the CPace share; taken when the share is created.
    pake_random: Option<Zeroizing<[u8; 64]>>,
    challenge: [u8; 32],
    x25519: Option<StaticSecret>,
    pub(super) pake: Option<PakeKey>,
    sealing: Option<(Sealer, Opener)>,
    pairing: Option<NewPairing>,
    approved_here: bool,
    approved_there: bool,
    deadline: Option<(Duration, &'static str)>,
    out: VecDeque<Output>,
    pub(super) finished: bool,
    /// True once the connection is closed. Records stored after that are used at the next contact.
    pub(super) closed: bool,
}

impl Core {
    pub(super) fn new(
        side: Side,
        now: Duration,
        local: LocalDevice,
        connection: PeerConnection,
        timeouts: Timeouts,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, PairingError> {
        if local.info.endpoint_id == connection.remote {
            return Err(PairingError::SameDevice);
        }
        // The test vectors depend on this order.
        let mut pake_random = Zeroizing::new([0; 64]);
        entropy.fill(pake_random.as_mut())?;
        let mut challenge = [0; 32];
        entropy.fill(&mut challenge)?;
        let mut x25519 = Zeroizing::new([0; 32]);
        entropy.fill(x25519.as_mut())?;
        let (joiner, host) = match side {
            Side::Joiner => (local.info.endpoint_id, connection.remote),
            Side::Host => (connection.remote, local.info.endpoint_id),
        };
        let channel = Channel { exporter: connection.exporter, joiner, host };
        Ok(Self {
            side,
            channel,
            remote: connection.remote,
            local,
            timeouts,
            transcript: Transcript::new(&channel),
            pake_random: Some(pake_random),
            challenge,
            x25519: Some(StaticSecret::from(*x25519)),
            pake: None,
            sealing: None,
            pairing: None,
            approved_here: false,
            approved_there: false,
            deadline: Some((now.saturating_add(timeouts.proof), "the other device did not prove the code in time")),
            out: VecDeque::new(),
            finished: false,
            closed: false,
        })
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub(super) fn event(&mut self, event: PairingEvent) {
        self.out.push_back(Output::Event(event));
    }

    pub(super) fn take_pake_random(&mut self) -> Result<Zeroizing<[u8; 64]>, PairingError> {
        self.pake_random.take().ok_or(PairingError::Violation("a share was asked for twice"))
    }

    pub(super) fn pake(&self) -> Result<&PakeKey, PairingError> {
        self.pake.as_ref().ok_or(PairingError::Violation("a message came too early"))
    }

    // ---- time

    pub(super) fn wait_until(&mut self, time: Duration, what: &'static str) {
        self.deadline = Some((time, what));
    }

    /// Stops the deadline while only this device has work to do.
    pub(super) fn wait_for_nothing(&mut self) {
        self.deadline = None;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline.map(|(time, _)| time)
    }

    /// Returns the timeout error if the deadline has passed.
    pub(super) fn overdue(&self, now: Duration) -> Option<PairingError> {
        self.deadline.filter(|(time, _)| now >= *time).map(|(_, waited_for)| PairingError::Timeout { waited_for })
    }

    // ---- unencrypted messages

    /// Sends an unencrypted message and adds it to the transcript.
    pub(super) fn send(&mut self, message: &Message<'_>) -> Result<(), PairingError> {
        let frame = message.encode()?;
        self.transcript.absorb(self.side, &frame);
        self.out.push_back(Output::Frame(frame));
        Ok(())
    }

    /// Adds the peer's unencrypted message to the transcript.
    pub(super) fn heard(&mut self, frame: &[u8]) {
        self.transcript.absorb(self.side.other(), frame);
    }

    /// Sends a frame outside the transcript, because it ends the pairing.
    pub(super) fn send_last(&mut self, frame: Vec<u8>) {
        self.out.push_back(Output::Frame(frame));
    }

    // ---- encrypted messages

    /// Starts encryption, after both sides have proven the code.
    pub(super) fn begin_sealing(&mut self) -> Result<(), PairingError> {
        let pake = self.pake()?;
        let sealer = Sealer::new(&pake.seal_key(self.side, &self.transcript));
        let opener = Opener::new(&pake.seal_key(self.side.other(), &self.transcript));
        self.sealing = Some((sealer, opener));
        Ok(())
    }

    pub(super) fn seals(&self) -> bool {
        self.sealing.is_some()
    }

    pub(super) fn seal(&mut self, message: &Sealed) -> Result<(), PairingError> {
        let (sealer, _) = self.sealing.as_mut().ok_or(PairingError::Violation("a message came too early"))?;
        let sealed = sealer
            .seal(aad(self.side), &message.encode()?)
            .map_err(|_| PairingError::Violation("our own message could not be sealed"))?;
        let frame = Message::Sealed(&sealed).encode()?;
        self.out.push_back(Output::Frame(frame));
        Ok(())
    }

    pub(super) fn open(&mut self, frame: &[u8]) -> Result<Sealed, PairingError> {
        let Message::Sealed(sealed) = Message::decode(frame)? else {
            return Err(PairingError::Violation("a message is not sealed"));
        };
        let (_, opener) = self.sealing.as_mut().ok_or(PairingError::Violation("a message came too early"))?;
        let plain = opener
            .open(aad(self.side.other()), sealed)
            .map_err(|_| PairingError::Violation("a sealed message does not open"))?;
        Sealed::decode(&plain)
    }

    // ---- identities

    /// Creates our introduction and adds it to the transcript.
    pub(super) fn introduce(&mut self) -> Result<Introduction, PairingError> {
        let secret = self.x25519.as_ref().ok_or(PairingError::Violation("a message came twice"))?;
        let public = PublicKey::from(secret).to_bytes();
        let introduction = Introduction::new(&self.local.info, &self.local.software, self.challenge, public);
        self.transcript.absorb(self.side, &wire::to_bytes(&introduction)?);
        Ok(introduction)
    }

    /// Checks the peer's introduction against its connection, and adds it to the transcript.
    pub(super) fn meet(&mut self, theirs: &Introduction) -> Result<(), PairingError> {
        theirs.check(&self.remote)?;
        if theirs.challenge == self.challenge {
            return Err(PairingError::Violation("it sent our own challenge back"));
        }
        self.transcript.absorb(self.side.other(), &wire::to_bytes(theirs)?);
        Ok(())
    }

    /// Signs the transcript and the peer's challenge, and adds the signature to the transcript.
    pub(super) fn sign(&mut self, theirs: &Introduction) -> SignatureBytes {
        let signature = (self.local.sign)(&signed_bytes(self.side, &self.transcript, &theirs.challenge));
        self.transcript.absorb(self.side, &signature);
        signature.into()
    }

    /// Verifies the peer's signature over the transcript and our challenge.
    pub(super) fn check_signature(&mut self, signature: SignatureBytes) -> Result<(), PairingError> {
        let signature = signature.to_bytes();
        let signed = signed_bytes(self.side.other(), &self.transcript, &self.challenge);
        verify(&self.remote, &signed, &signature)?;
        self.transcript.absorb(self.side.other(), &signature);
        Ok(())
    }

    /// Derives the pairing secret and asks the user, after everything is proven.
    pub(super) fn proven(&mut self, now: Duration, theirs: &Introduction) -> Result<(), PairingError> {
        let (info, software) = theirs.check(&self.remote)?;
        let secret = self.x25519.take().ok_or(PairingError::Violation("a message came twice"))?;
        let shared = exchange(&secret, &theirs.x25519)?;
        let pake = self.pake.take().ok_or(PairingError::Violation("a message came too early"))?;
        let secret = pake.pairing_secret(&shared, &self.transcript);
        let check_words = check_words(&secret, &self.transcript);
        self.event(PairingEvent::Proven {
            info: info.clone(),
            software: software.clone(),
            check_words: check_words.clone(),
        });
        self.event(PairingEvent::NeedApproval);
        let pairing_id = *self.transcript.hash();
        self.pairing = Some(NewPairing { info, software, secret, pairing_id, check_words });
        self.wait_until(now.saturating_add(self.timeouts.approval), "not both people approved in time");
        Ok(())
    }

    pub(super) fn pairing(&self) -> Result<NewPairing, PairingError> {
        self.pairing.clone().ok_or(PairingError::Violation("a message came too early"))
    }

    // ---- approvals

    /// Approves for our user. Repeated calls have no effect.
    pub(super) fn approve_here(&mut self) -> Result<Approval, PairingError> {
        if !self.approved_here {
            self.approved_here = true;
            self.seal(&Sealed::Approve)?;
            if self.approved_there {
                return Ok(Approval::Both);
            }
        }
        Ok(Approval::Waiting)
    }

    /// Handles the peer's message while approvals are awaited.
    pub(super) fn hear_approval(&mut self, message: &Sealed) -> Result<Approval, PairingError> {
        match message {
            Sealed::Approve if !self.approved_there => {
                self.approved_there = true;
                self.event(PairingEvent::PeerApproved);
                Ok(if self.approved_here { Approval::Both } else { Approval::Waiting })
            }
            other => Err(other.out_of_order()),
        }
    }

    // ---- end

    /// Tells the peer to keep nothing, if a connection and keys exist.
    pub(super) fn say_reject(&mut self) {
        if self.seals() && !self.closed {
            // If the frame cannot be encoded, the peer sees the connection close.
            let _ = self.seal(&Sealed::Reject);
        }
    }

    pub(super) fn fail(&mut self, error: PairingError) {
        self.event(PairingEvent::Failed(error));
        self.end();
    }

    pub(super) fn paired(&mut self, acknowledged: bool) {
        if let Some(pairing) = &self.pairing {
            let info = pairing.info.clone();
            self.event(PairingEvent::Paired { info, acknowledged });
        }
        self.end();
    }

    fn end(&mut self) {
        self.finished = true;
        self.deadline = None;
        // Zeroized now, however long the state itself is kept.
        self.pake_random = None;
        self.x25519 = None;
        self.pake = None;
        self.sealing = None;
        self.pairing = None;
    }
}
