//! The side that shows the code.

use std::{fmt, time::Duration};

use super::{
    LocalDevice, Output, PairingEvent, PeerConnection, Timeouts,
    core::{Approval, Core},
};
use crate::pairing::{
    Entropy, HostCode, PairingError,
    pake::{self, Method},
    transcript::{PakeKey, Side},
    wire::{Introduction, Message, Refusal, Sealed},
};

const NOT_PROVEN: &str = "the other device did not prove the code in time";

enum HostPhase {
    /// Nothing has been received.
    AwaitHello,
    /// HostShare is sent.
    AwaitConfirm,
    /// HostConfirm is sent; the code is used up.
    AwaitJoinInfo,
    /// HostInfo is sent.
    AwaitProof(Box<Introduction>),
    /// The users are asked.
    Approving,
    /// Both users have approved.
    AwaitPrepared,
    /// The joiner holds a pending record; ours is being stored.
    Committing,
    /// Committed is sent.
    AwaitDone,
    /// The pairing has ended.
    Finished,
}

/// The host's side of one connection that may become a pairing.
///
/// Each incoming connection gets one while a code is shown. All share one [`HostCode`], which is passed to
/// [`HostState::on_message`] under its lock. After every call, all outputs of [`HostState::poll`] must be processed.
pub struct HostState {
    core: Core,
    phase: HostPhase,
    /// Deadline for the joiner's complete proof.
    proof_by: Duration,
}

impl HostState {
    /// Starts on a new connection; the joiner sends first.
    ///
    /// # Errors
    /// When the peer is this device itself, or there is no randomness.
    pub fn new(
        now: Duration,
        local: LocalDevice,
        connection: PeerConnection,
        timeouts: Timeouts,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, PairingError> {
        let mut core = Core::new(Side::Host, now, local, connection, timeouts, entropy)?;
        core.wait_until(now.saturating_add(timeouts.hello), "the other device said nothing in time");
        Ok(Self { core, phase: HostPhase::AwaitHello, proof_by: now.saturating_add(timeouts.proof) })
    }

    /// Returns the next output, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        self.core.poll()
    }

    /// Returns when [`HostState::on_tick`] has to be called at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        self.core.deadline()
    }

    /// True if the pairing has ended: close the connection once the last frame is sent.
    pub fn is_finished(&self) -> bool {
        self.core.finished
    }

    /// Handles a frame of the joiner. `code` is the shown code, shared by all connections; hold its lock only for this
    /// call.
    pub fn on_message(&mut self, now: Duration, frame: &[u8], code: &mut HostCode) {
        self.on_tick(now);
        if self.core.finished {
            return;
        }
        if let Err(error) = self.step(now, frame, code) {
            self.fail(error);
        }
    }

    /// Handles the user's answer. Expected after `NeedApproval`, ignored at any other time.
    pub fn on_approve(&mut self, now: Duration, approve: bool) {
        self.on_tick(now);
        if !matches!(self.phase, HostPhase::Approving) {
            return;
        }
        if !approve {
            self.core.say_reject();
            return self.fail(PairingError::RejectedHere);
        }
        match self.core.approve_here() {
            Ok(Approval::Both) => self.await_prepared(now),
            Ok(Approval::Waiting) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Records that the record of `Commit` is on disk: this side is paired.
    pub fn on_committed(&mut self, now: Duration) {
        if !matches!(self.phase, HostPhase::Committing) {
            return;
        }
        if self.core.closed || self.core.seal(&Sealed::Committed).is_err() {
            return self.paired(false);
        }
        self.phase = HostPhase::AwaitDone;
        self.core.wait_until(now.saturating_add(self.core.timeouts.finish), "");
    }

    /// Records that the record of `Commit` could not be written.
    pub fn on_store_failed(&mut self, _now: Duration) {
        if matches!(self.phase, HostPhase::Committing) {
            self.core.say_reject();
            self.fail(PairingError::NotStored);
        }
    }

    /// Handles timeouts.
    pub fn on_tick(&mut self, now: Duration) {
        if let Some(error) = self.core.overdue(now) {
            match self.phase {
                // Our record is stored; the joiner promotes its own at the next contact.
                HostPhase::AwaitDone => self.paired(false),
                // The peer has sent nothing, so it gets no answer, and its slot is free at once.
                HostPhase::AwaitHello => {
                    self.phase = HostPhase::Finished;
                    self.core.fail(error);
                }
                _ => {
                    self.core.say_reject();
                    self.fail(error);
                }
            }
        }
    }

    /// Cancels the pairing, for the user or because the node shuts down.
    pub fn abort(&mut self, _now: Duration) {
        match self.phase {
            // A write in progress decides the result.
            HostPhase::Finished | HostPhase::Committing => {}
            HostPhase::AwaitDone => self.paired(false),
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
            HostPhase::Finished | HostPhase::Committing => {}
            HostPhase::AwaitDone => self.paired(false),
            _ => self.fail(PairingError::ConnectionLost),
        }
    }

    fn step(&mut self, now: Duration, frame: &[u8], code: &mut HostCode) -> Result<(), PairingError> {
        match std::mem::replace(&mut self.phase, HostPhase::Finished) {
            HostPhase::AwaitHello => {
                let Message::JoinHello { method, share } = Message::decode(frame)? else {
                    return Err(PairingError::Violation("a message came out of order"));
                };
                let method =
                    Method::from_number(method).ok_or(PairingError::Violation("its method is not known here"))?;
                code.check_open(now)?;
                self.core.heard(frame);
                let random = self.core.take_pake_random()?;
                let (own, isk) = pake::respond(&share, &code.password(method), &self.core.channel, method, random)?;
                self.core.send(&Message::HostShare { share: own })?;
                self.core.pake = Some(PakeKey::new(&isk, &self.core.transcript));
                self.core.wait_until(now.saturating_add(self.core.timeouts.code), NOT_PROVEN);
                self.phase = HostPhase::AwaitConfirm;
            }
            HostPhase::AwaitConfirm => {
                let Message::JoinConfirm { tag } = Message::decode(frame)? else {
                    return Err(PairingError::Violation("a message came out of order"));
                };
                // Counted before it is checked: nothing that happens later returns the attempt.
                let attempt = code.take_attempt(now)?;
                let right = self.core.pake()?.check(Side::Joiner, &self.core.transcript, &tag);
                if let Err(error) = code.settle(attempt, right) {
                    if !right {
                        self.core.event(PairingEvent::WrongCode { attempts_left: code.attempts_left() });
                    }
                    return Err(error);
                }
                self.core.heard(frame);
                let tag = self.core.pake()?.tag(Side::Host, &self.core.transcript);
                self.core.wait_until(self.proof_by, NOT_PROVEN);
                self.core.event(PairingEvent::CodeProven);
                self.core.send(&Message::HostConfirm { tag })?;
                self.core.begin_sealing()?;
                self.phase = HostPhase::AwaitJoinInfo;
            }
            HostPhase::AwaitJoinInfo => {
                let theirs = match self.core.open(frame)? {
                    Sealed::JoinInfo(theirs) => theirs,
                    other => return Err(other.out_of_order()),
                };
                self.core.meet(&theirs)?;
                let introduction = self.core.introduce()?;
                let signature = self.core.sign(&theirs);
                self.core.seal(&Sealed::HostInfo(introduction, signature))?;
                self.phase = HostPhase::AwaitProof(Box::new(theirs));
            }
            HostPhase::AwaitProof(theirs) => {
                let signature = match self.core.open(frame)? {
                    Sealed::JoinProof(signature) => signature,
                    other => return Err(other.out_of_order()),
                };
                self.core.check_signature(signature)?;
                self.core.proven(now, &theirs)?;
                self.phase = HostPhase::Approving;
            }
            HostPhase::Approving => {
                let message = self.core.open(frame)?;
                self.phase = HostPhase::Approving;
                if let Approval::Both = self.core.hear_approval(&message)? {
                    self.await_prepared(now);
                }
            }
            HostPhase::AwaitPrepared => match self.core.open(frame)? {
                Sealed::Prepared => {
                    let pairing = self.core.pairing()?;
                    self.core.wait_for_nothing();
                    self.core.event(PairingEvent::Commit(pairing));
                    self.phase = HostPhase::Committing;
                }
                other => return Err(other.out_of_order()),
            },
            HostPhase::AwaitDone => {
                // Our record is stored in any case; only `Done` confirms that the other side's is, too.
                let acknowledged = matches!(self.core.open(frame), Ok(Sealed::Done));
                self.paired(acknowledged);
            }
            // The joiner waits for our message now; what it sends before that is ignored.
            phase @ (HostPhase::Committing | HostPhase::Finished) => self.phase = phase,
        }
        Ok(())
    }

    fn await_prepared(&mut self, now: Duration) {
        self.phase = HostPhase::AwaitPrepared;
        self.core.wait_until(
            now.saturating_add(self.core.timeouts.finish),
            "the other device did not store the pairing in time",
        );
    }

    fn paired(&mut self, acknowledged: bool) {
        self.phase = HostPhase::Finished;
        self.core.paired(acknowledged);
    }

    fn fail(&mut self, error: PairingError) {
        self.phase = HostPhase::Finished;
        if !self.core.seals() && !self.core.closed {
            self.core.send_last(Refusal::of(&error).frame());
        }
        self.core.fail(error);
    }
}

impl fmt::Debug for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            HostPhase::AwaitHello => "AwaitHello",
            HostPhase::AwaitConfirm => "AwaitConfirm",
            HostPhase::AwaitJoinInfo => "AwaitJoinInfo",
            HostPhase::AwaitProof(_) => "AwaitProof",
            HostPhase::Approving => "Approving",
            HostPhase::AwaitPrepared => "AwaitPrepared",
            HostPhase::Committing => "Committing",
            HostPhase::AwaitDone => "AwaitDone",
            HostPhase::Finished => "Finished",
        };
        f.debug_struct("HostState").field("phase", &phase).finish_non_exhaustive()
    }
}
