//! The side that dials and enters the code.

use std::{fmt, time::Duration};

use super::{
    JoinSecret, LocalDevice, Output, PairingEvent, PeerConnection, Timeouts,
    core::{Approval, Core},
};
use crate::pairing::{
    Entropy, PairingError,
    pake::{self, Joining, Method, Password},
    transcript::{PakeKey, Side},
    wire::{Message, Refusal, Sealed},
};

enum JoinerPhase {
    /// JoinHello is sent.
    AwaitShare(Joining),
    /// JoinConfirm is sent.
    AwaitConfirm,
    /// JoinInfo is sent.
    AwaitHostInfo,
    /// JoinProof is sent; the users are asked.
    Approving,
    /// The record is being stored as pending.
    Storing,
    /// Prepared is sent: from here on the host may have stored the record, and only it knows.
    AwaitCommitted,
    /// The host has stored the record; ours is being promoted.
    Promoting,
    /// The pairing has ended.
    Finished,
}

/// The joiner's side of one pairing over one connection.
///
/// After every call, all outputs of [`JoinerState::poll`] must be processed in order: frames to send and events to
/// handle.
pub struct JoinerState {
    core: Core,
    phase: JoinerPhase,
}

impl JoinerState {
    /// Starts on a new connection; the first frame is available at once.
    ///
    /// # Errors
    /// When the peer is this device itself, or there is no randomness.
    pub fn new(
        now: Duration,
        local: LocalDevice,
        connection: PeerConnection,
        secret: &JoinSecret,
        timeouts: Timeouts,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, PairingError> {
        let mut core = Core::new(Side::Joiner, now, local, connection, timeouts, entropy)?;
        let (method, password) = match secret {
            JoinSecret::Words(code) => (Method::Words, Password::of_words(code)),
            JoinSecret::Link(link) => (Method::Link, Password::of_link(link)),
        };
        let random = core.take_pake_random()?;
        let (share, joining) = pake::start(&password, &core.channel, method, random)?;
        core.send(&Message::JoinHello { method: method as u8, share })?;
        Ok(Self { core, phase: JoinerPhase::AwaitShare(joining) })
    }

    /// Returns the next output, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        self.core.poll()
    }

    /// Returns when [`JoinerState::on_tick`] has to be called at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        self.core.deadline()
    }

    /// True if the pairing has ended: close the connection once the last frame is sent.
    pub fn is_finished(&self) -> bool {
        self.core.finished
    }

    /// Handles a frame of the host.
    pub fn on_message(&mut self, now: Duration, frame: &[u8]) {
        self.on_tick(now);
        if self.core.finished {
            return;
        }
        if let Err(error) = self.step(now, frame) {
            self.fail(error);
        }
    }

    /// Handles the user's answer. Expected after `NeedApproval`, ignored at any other time.
    pub fn on_approve(&mut self, now: Duration, approve: bool) {
        self.on_tick(now);
        if !matches!(self.phase, JoinerPhase::Approving) {
            return;
        }
        if !approve {
            self.core.say_reject();
            return self.fail(PairingError::RejectedHere);
        }
        match self.core.approve_here() {
            Ok(Approval::Both) => self.store(),
            Ok(Approval::Waiting) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Records that the record of `StorePending` is on disk.
    pub fn on_stored(&mut self, now: Duration) {
        if !matches!(self.phase, JoinerPhase::Storing) {
            return;
        }
        match self.core.seal(&Sealed::Prepared) {
            Ok(()) => {
                self.phase = JoinerPhase::AwaitCommitted;
                self.core.wait_until(
                    now.saturating_add(self.core.timeouts.finish),
                    "the other device did not store the pairing in time",
                );
            }
            Err(error) => self.fail(error),
        }
    }

    /// Records that the record of `Commit` is on disk.
    pub fn on_committed(&mut self, _now: Duration) {
        if !matches!(self.phase, JoinerPhase::Promoting) {
            return;
        }
        if !self.core.closed {
            // If it cannot be sent, the host learns of it at the next contact.
            let _ = self.core.seal(&Sealed::Done);
        }
        self.phase = JoinerPhase::Finished;
        self.core.paired(true);
    }

    /// Records that the record of `StorePending` or `Commit` could not be written.
    pub fn on_store_failed(&mut self, _now: Duration) {
        match self.phase {
            JoinerPhase::Storing => {
                self.core.say_reject();
                self.fail(PairingError::NotStored);
            }
            // The pending record exists, and is promoted at the next contact.
            JoinerPhase::Promoting => self.fail(PairingError::Unfinished),
            _ => {}
        }
    }

    /// Handles timeouts.
    pub fn on_tick(&mut self, now: Duration) {
        if let Some(error) = self.core.overdue(now) {
            // Once Prepared is sent the joiner cannot reject any more.
            if !matches!(self.phase, JoinerPhase::AwaitCommitted) {
                self.core.say_reject();
            }
            self.fail(error);
        }
    }

    /// Cancels the pairing, for the user or because the node shuts down.
    pub fn abort(&mut self, _now: Duration) {
        match self.phase {
            JoinerPhase::Finished | JoinerPhase::Promoting => {}
            JoinerPhase::AwaitCommitted => self.fail(PairingError::Unfinished),
            _ => {
                self.core.say_reject();
                self.fail(PairingError::Cancelled);
            }
        }
    }

    /// Records that the connection is closed.
    pub fn on_closed(&mut self, _now: Duration) {
        self.core.closed = true;
        match self.phase {
            JoinerPhase::Finished | JoinerPhase::Promoting => {}
            _ => self.fail(PairingError::ConnectionLost),
        }
    }

    fn step(&mut self, now: Duration, frame: &[u8]) -> Result<(), PairingError> {
        match std::mem::replace(&mut self.phase, JoinerPhase::Finished) {
            JoinerPhase::AwaitShare(joining) => match Message::decode(frame)? {
                Message::HostShare { share } => {
                    self.core.heard(frame);
                    let pake = PakeKey::new(&joining.finish(&share)?, &self.core.transcript);
                    let tag = pake.tag(Side::Joiner, &self.core.transcript);
                    self.core.pake = Some(pake);
                    self.core.send(&Message::JoinConfirm { tag })?;
                    self.phase = JoinerPhase::AwaitConfirm;
                }
                other => return Err(refused_or_out_of_order(other)),
            },
            JoinerPhase::AwaitConfirm => match Message::decode(frame)? {
                Message::HostConfirm { tag } => {
                    if !self.core.pake()?.check(Side::Host, &self.core.transcript, &tag) {
                        return Err(PairingError::Violation("it could not prove the code"));
                    }
                    self.core.heard(frame);
                    self.core.begin_sealing()?;
                    let introduction = self.core.introduce()?;
                    self.core.seal(&Sealed::JoinInfo(introduction))?;
                    self.phase = JoinerPhase::AwaitHostInfo;
                }
                other => return Err(refused_or_out_of_order(other)),
            },
            JoinerPhase::AwaitHostInfo => {
                let (theirs, signature) = match self.core.open(frame)? {
                    Sealed::HostInfo(theirs, signature) => (theirs, signature),
                    other => return Err(other.out_of_order()),
                };
                self.core.meet(&theirs)?;
                self.core.check_signature(signature)?;
                let proof = self.core.sign(&theirs);
                self.core.seal(&Sealed::JoinProof(proof))?;
                self.core.proven(now, &theirs)?;
                self.phase = JoinerPhase::Approving;
            }
            JoinerPhase::Approving => {
                let message = self.core.open(frame)?;
                self.phase = JoinerPhase::Approving;
                if let Approval::Both = self.core.hear_approval(&message)? {
                    self.store();
                }
            }
            // Until Committed arrives, the host can still reject.
            phase @ (JoinerPhase::Storing | JoinerPhase::AwaitCommitted) => {
                let waits = matches!(phase, JoinerPhase::AwaitCommitted);
                self.phase = phase;
                match self.core.open(frame)? {
                    Sealed::Committed if waits => {
                        let pairing = self.core.pairing()?;
                        self.core.wait_for_nothing();
                        self.core.event(PairingEvent::Commit(pairing));
                        self.phase = JoinerPhase::Promoting;
                    }
                    Sealed::Reject => {
                        self.core.event(PairingEvent::DropPending);
                        self.phase = JoinerPhase::Finished;
                        self.core.fail(PairingError::RejectedThere);
                    }
                    other => return Err(other.out_of_order()),
                }
            }
            // Nothing more is expected, and further frames are ignored.
            phase @ (JoinerPhase::Promoting | JoinerPhase::Finished) => self.phase = phase,
        }
        Ok(())
    }

    fn store(&mut self) {
        match self.core.pairing() {
            Ok(pairing) => {
                self.core.wait_for_nothing();
                self.core.event(PairingEvent::StorePending(pairing));
                self.phase = JoinerPhase::Storing;
            }
            Err(error) => self.fail(error),
        }
    }

    /// Ends the pairing with an error. The fate of a pending record depends on whether the host may have stored its
    /// own.
    fn fail(&mut self, error: PairingError) {
        match std::mem::replace(&mut self.phase, JoinerPhase::Finished) {
            // Prepared was not sent, so the host has stored nothing.
            JoinerPhase::Storing => {
                self.core.event(PairingEvent::DropPending);
                self.core.fail(error);
            }
            JoinerPhase::AwaitCommitted => self.core.fail(PairingError::Unfinished),
            _ => self.core.fail(error),
        }
    }
}

fn refused_or_out_of_order(message: Message<'_>) -> PairingError {
    match message {
        Message::Refused { code } => Refusal::to_error(code),
        _ => PairingError::Violation("a message came out of order"),
    }
}

impl fmt::Debug for JoinerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            JoinerPhase::AwaitShare(_) => "AwaitShare",
            JoinerPhase::AwaitConfirm => "AwaitConfirm",
            JoinerPhase::AwaitHostInfo => "AwaitHostInfo",
            JoinerPhase::Approving => "Approving",
            JoinerPhase::Storing => "Storing",
            JoinerPhase::AwaitCommitted => "AwaitCommitted",
            JoinerPhase::Promoting => "Promoting",
            JoinerPhase::Finished => "Finished",
        };
        f.debug_struct("JoinerState").field("phase", &phase).finish_non_exhaustive()
    }
}
