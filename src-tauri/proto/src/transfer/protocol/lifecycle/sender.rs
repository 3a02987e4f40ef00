//! Life of an outgoing transfer, over all its attempts. Pure.
//!
//! ```text
//!              +-----------------------------------------------------------------+
//!              v                                                                 |
//! Preparing -> Offered  -> Accepted -> Verifying -> Ready (queued, active, idle) |
//!          \-> Resuming -/                            |                          |
//!              | each of them, when the attempt fails and may be repeated        |
//!              +-> Waiting ------------------------------------------------------+
//!              +-> Ended
//! ```
//! A pause of either side is not a phase: it closes the gate in whatever phase the attempt is.

use std::time::Duration;

use super::{Moment, REASON_TIMEOUT};
use crate::{queue::backoff::Backoff, transfer::protocol::reason::Reason};

/// Number of immediate retries of an offer that got no answer because its connection was dead already.
pub(super) const IMMEDIATE_RETRIES: u32 = 3;
/// Upper limit of the wait before a reachable receiver that was busy is asked again: a slot may be free at any moment.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Interval between checks for a source disk that was taken out.
const SOURCE_CHECK: Duration = Duration::from_secs(2);
/// Half of the wait after the first attempt at which the receiver took nothing, and the longest such wait.
const STALLED_WAIT: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));

/// Point of an outgoing transfer's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SendPhase {
    /// Files are listed or compared, and the device is dialled.
    Preparing,
    /// The offer is sent; the receiver has not decided.
    Offered,
    /// An accepted transfer is to be resumed; the receiver has not answered.
    Resuming,
    /// The receiver has accepted; its selection and claims follow.
    Accepted,
    /// The receiver's claims are being verified.
    Verifying,
    /// Data may be sent, if nobody has paused it and the scheduler gives a slot.
    Ready,
    /// A data stream broke; the receiver's reason may follow.
    Broken,
    /// There is no attempt: the next one begins when the device is heard, or after a while.
    Waiting,
    /// The transfer is over, or goes on in the next run of the node.
    Ended,
}

/// Knowledge that the receiver may have of the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// The receiver has not accepted it.
    Nothing,
    /// Its acceptance is on record from an earlier run; the manifest is not read yet.
    Recorded,
    /// Its acceptance is a guess: its answer was lost.
    Guessed,
    /// Its acceptance came in this run of the node and is not on record yet.
    Accepted,
    /// Its acceptance is on record.
    Kept,
}

/// Slot of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Slot {
    None,
    Requested,
    Held,
}

/// Reachability of the receiver when a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachable {
    /// The device is offline: dialling it is pointless.
    No,
    /// The device seems to be online, or an attempt is to find out.
    Maybe,
}

/// Event in the life of an outgoing transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendInput {
    /// The transfer begins, or goes on after a restart.
    Begin,
    /// The manifest of the accepted transfer was read from the record.
    Restored,
    /// An offer was sent over a new connection.
    OfferSent,
    /// A resume offer was sent over a new connection.
    ResumeSent,
    /// The receiver asks for the manifest.
    ManifestAsked,
    /// The receiver has accepted.
    Accepted,
    /// The receiver has declined the offer or the resume.
    Declined(Reason),
    /// Selection and claims are complete.
    PlanKnown {
        /// True if there are claims to be verified.
        claims: bool,
    },
    /// The claims are verified.
    Verified,
    /// The acceptance is on record.
    AcceptanceKept,
    /// The receiver has this many bytes.
    Progress {
        /// Bytes that it holds.
        bytes: u64,
    },
    /// A file that is still being written could not be stored at the receiver.
    GrowingFileFailed(Reason),
    /// The receiver has a result for every file.
    Completed,
    /// The transfer was paused at the receiver.
    PausedThere(Reason),
    /// The pause at the receiver is over.
    ResumedThere,
    /// The receiver has cancelled it.
    CancelledThere(Reason),
    /// The scheduler gives a slot.
    SlotGranted,
    /// True: the receiver has everything that was written so far of a growing file. False: there is more to send.
    Idle(bool),
    /// A data stream broke.
    StreamBroken,
    /// The receiver took nothing for too long.
    Stalled,
    /// The attempt failed on this side, or with the connection.
    Failed(Reason),
    /// State of the pause on this side, as recorded.
    Held(Option<Reason>),
    /// A person cancels.
    Cancel,
    /// The writer of a growing file is gone, and the file is incomplete.
    InputBrokenOff,
    /// The device was heard.
    PeerHeard,
    /// The device's node was restarted: this connection is never answered.
    PeerRestarted,
    /// The time of [`SendLifecycle::deadline`] has come.
    Timer(Reachable),
    /// The node shuts down.
    Shutdown,
}

/// State of a transfer under way, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendShown {
    /// Nothing moves, for this reason.
    Paused(Reason),
    /// Data moves, or more is to be written first.
    Active,
    /// Other transfers go first.
    Queued,
    /// The receiver has not decided, or its claims are verified.
    Undecided,
}

/// End of a transfer. The driver adds the counts of what arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Every file has a result, as reported in this attempt.
    Completed,
    /// Every file has arrived, as the receiver says about an earlier attempt.
    CompletedBefore,
    /// Some files failed, as the receiver says about an earlier attempt.
    FilesFailedBefore,
    /// A person has cancelled it on this side.
    CancelledHere,
    /// The receiver has ended it, or this node has.
    By(Reason),
    /// The receiver has declined it; `None` if a person did.
    Declined(Option<Reason>),
    /// The attempt failed, and no other one may help.
    Failed(Reason),
}

/// Action that the driver carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendAction {
    /// Begin an attempt.
    Attempt,
    /// Send the manifest.
    SendManifest,
    /// Verify the receiver's claims.
    VerifyClaims,
    /// Take what is offered as accepted, because the receiver may have accepted it.
    AssumeAccepted,
    /// Take what was offered as accepted, and record that soon.
    Accept,
    /// Record now that it is accepted.
    KeepAcceptance,
    /// Forget that it was accepted: it is offered anew.
    ForgetAcceptance,
    /// Ask the scheduler for a slot.
    RequestSlot,
    /// Give the slot back, or withdraw the request.
    ReleaseSlot,
    /// Open the gate for data, or close it.
    Gate(bool),
    /// Tell the receiver that the transfer is paused here (true), or goes on.
    TellPause(bool),
    /// Show this.
    Show(SendShown),
    /// Tell the receiver why this attempt ends, as the last frame.
    LastWord(Reason),
    /// End every task of the attempt.
    CloseAttempt,
    /// Pause the transfer for a reason of the node.
    Hold(Reason),
    /// Record and show that the transfer waits.
    Wait(Reason),
    /// See whether the source is there again.
    LookForSource,
    /// End the transfer. If `unacknowledged`, the receiver is told when it can be reached.
    End {
        /// Outcome, as far as the machine knows it.
        outcome: SendOutcome,
        /// True if the receiver may not know yet.
        unacknowledged: bool,
    },
    /// Stop here: the transfer goes on in the next run of the node.
    Suspend,
}

/// State machine of an outgoing transfer.
#[derive(Clone, Debug)]
pub struct SendLifecycle {
    phase: SendPhase,
    known: Known,
    /// True once the receiver has answered, or if a person wants the transfer to wait. It then does not fail while the
    /// device is offline.
    waits_for_peer: bool,
    /// True if a person wants the transfer to wait for the receiver.
    patient: bool,
    /// True if the transfer was begun in an earlier run of the node.
    restored: bool,
    /// Number of offers sent in this run.
    offers: u32,
    paused_here: Option<Reason>,
    paused_there: Option<Reason>,
    /// Pause that the receiver was told of in this attempt.
    told_pause: bool,
    slot: Slot,
    idle: bool,
    broken_input: bool,
    backoff: Backoff,
    immediate: u32,
    /// Attempts in a row at which the receiver took nothing, and the bytes that it had by then.
    stalls: (u32, u64),
    bytes: u64,
    /// End of the wait, and its length.
    wait: Option<(Moment, Duration)>,
    /// True if the wait ends as soon as the device is heard.
    wakes: bool,
    /// Random number between 0 and 1 for the next wait.
    jitter: f64,
}

/// Actions of one input, in order.
type SendActions = Vec<SendAction>;

impl SendLifecycle {
    /// Creates the machine of a transfer.
    ///
    /// `restored` is true if it was begun in an earlier run of the node; `accepted` if it is on record as accepted;
    /// `patient` if a person wants it to wait for the receiver. `paused` is the reason if it is paused on this side.
    pub fn new(restored: bool, accepted: bool, patient: bool, paused: Option<Reason>) -> Self {
        Self {
            phase: SendPhase::Waiting,
            known: if accepted { Known::Recorded } else { Known::Nothing },
            waits_for_peer: restored || patient,
            patient,
            restored,
            offers: 0,
            paused_here: paused,
            paused_there: None,
            told_pause: false,
            slot: Slot::None,
            idle: false,
            broken_input: false,
            backoff: Backoff::default(),
            immediate: 0,
            stalls: (0, 0),
            bytes: 0,
            wait: None,
            wakes: true,
            jitter: 0.5,
        }
    }

    /// Returns the point of its life.
    pub fn phase(&self) -> SendPhase {
        self.phase
    }

    /// Returns what the receiver may know of the transfer.
    pub fn known(&self) -> Known {
        self.known
    }

    /// Returns the reason while it is paused on this side, as far as the machine was told.
    pub fn paused_here(&self) -> Option<&Reason> {
        self.paused_here.as_ref()
    }

    /// Returns true while the scheduler's slot is held.
    pub fn is_sending(&self) -> bool {
        self.slot == Slot::Held
    }

    /// Returns true while the receiver has everything that was written so far of a growing file.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Returns true if the receiver may have staged data of this transfer.
    pub fn may_be_known(&self) -> bool {
        self.known != Known::Nothing
    }

    /// Returns true if the receiver may have accepted it, even if its answer never came.
    fn may_be_accepted(&self) -> bool {
        self.may_be_known() || self.offers > 0 || self.restored
    }

    /// Returns the time at which [`SendInput::Timer`] is due; `None` if only another input can change anything.
    pub fn deadline(&self) -> Option<Moment> {
        // Nothing else may wake the driver: a deadline that nobody handles would do so without end.
        let waits = matches!(self.phase, SendPhase::Waiting | SendPhase::Broken);
        self.wait.filter(|_| waits).map(|(until, _)| until)
    }

    /// Sets the random number, between 0 and 1, that varies the next wait.
    pub fn set_jitter(&mut self, jitter: f64) {
        self.jitter = jitter;
    }

    /// Handles an input. Inputs that mean nothing in the present phase are ignored.
    pub fn handle(&mut self, now: Moment, input: SendInput) -> SendActions {
        let mut actions = SendActions::new();
        match self.phase {
            SendPhase::Ended => {}
            SendPhase::Waiting => self.waiting(now, input, &mut actions),
            _ => self.in_attempt(now, input, &mut actions),
        }
        actions
    }

    fn waiting(&mut self, now: Moment, input: SendInput, actions: &mut SendActions) {
        match input {
            SendInput::Begin if !self.restored => self.attempt(actions),
            SendInput::Begin => self.set_wait(now, Duration::ZERO, true),
            SendInput::PeerHeard if self.wakes && self.paused_here.is_none() => self.attempt(actions),
            SendInput::Timer(reachable) => {
                let Some((_, pause)) = self.wait.filter(|(until, _)| now >= *until) else {
                    return;
                };
                match &self.paused_here {
                    Some(_) => actions.push(SendAction::LookForSource),
                    None if reachable == Reachable::Maybe => return self.attempt(actions),
                    None => {}
                }
                self.wait = Some((now + pause, pause));
            }
            SendInput::Held(reason) => {
                let paused = reason.is_some();
                self.paused_here = reason;
                match paused {
                    true => self.wait_while_held(now),
                    false => self.attempt(actions),
                }
            }
            SendInput::InputBrokenOff => {
                self.broken_input = true;
                self.end(SendOutcome::By(Reason::InputEndedEarly), actions);
            }
            SendInput::Cancel => self.end(SendOutcome::CancelledHere, actions),
            SendInput::Shutdown => self.suspend(actions),
            _ => {}
        }
    }

    fn in_attempt(&mut self, now: Moment, input: SendInput, actions: &mut SendActions) {
        match input {
            SendInput::Restored if self.known == Known::Recorded => self.known = Known::Kept,
            SendInput::AcceptanceKept if self.known == Known::Accepted => self.known = Known::Kept,
            SendInput::Held(reason) => self.held(reason, actions),
            SendInput::Cancel => {
                self.last_word(Reason::Cancelled, actions);
                self.close(actions);
                self.end(SendOutcome::CancelledHere, actions);
            }
            SendInput::InputBrokenOff => {
                self.broken_input = true;
                self.last_word(Reason::InputEndedEarly, actions);
                self.close(actions);
                self.end(SendOutcome::By(Reason::InputEndedEarly), actions);
            }
            SendInput::Shutdown => self.shut_down(actions),
            SendInput::Failed(reason) => {
                if matches!(reason, Reason::SenderOutOfFiles | Reason::SourceGone | Reason::ProtocolViolation) {
                    self.last_word(reason.clone(), actions);
                }
                self.failed(now, reason, actions);
            }
            SendInput::OfferSent if self.phase == SendPhase::Preparing => {
                self.phase = SendPhase::Offered;
                self.offers = self.offers.saturating_add(1);
                self.settle(actions);
            }
            SendInput::ResumeSent if self.phase == SendPhase::Preparing => {
                self.phase = SendPhase::Resuming;
                self.tell_pause(actions);
                self.settle(actions);
            }
            SendInput::PeerRestarted if self.is_talking() => self.failed(now, Reason::ConnectionLost, actions),
            input if self.is_talking() => self.talking(now, input, actions),
            _ => {}
        }
    }

    /// Handles inputs that come of a conversation with the receiver.
    fn talking(&mut self, now: Moment, input: SendInput, actions: &mut SendActions) {
        match input {
            SendInput::ManifestAsked => {
                self.waits_for_peer = true;
                actions.push(SendAction::SendManifest);
            }
            SendInput::Accepted => self.accepted(actions),
            SendInput::Declined(reason) => {
                self.waits_for_peer = true;
                self.declined(now, reason, actions);
            }
            SendInput::PlanKnown { claims } if self.phase == SendPhase::Accepted => {
                self.phase = if claims { SendPhase::Verifying } else { SendPhase::Ready };
                if claims {
                    actions.push(SendAction::VerifyClaims);
                }
                self.settle(actions);
            }
            SendInput::Verified if self.phase == SendPhase::Verifying => {
                self.phase = SendPhase::Ready;
                self.settle(actions);
            }
            SendInput::Progress { bytes } => {
                self.bytes = bytes;
                if bytes > self.stalls.1 {
                    self.stalls = (0, bytes);
                }
            }
            SendInput::GrowingFileFailed(reason) => {
                self.last_word(reason.clone(), actions);
                self.close(actions);
                self.end(SendOutcome::By(reason), actions);
            }
            SendInput::Completed => {
                self.close(actions);
                self.end(SendOutcome::Completed, actions);
            }
            SendInput::PausedThere(reason) => {
                self.waits_for_peer = true;
                self.paused_there = Some(reason);
                self.settle(actions);
            }
            SendInput::ResumedThere => {
                self.waits_for_peer = true;
                self.paused_there = None;
                self.settle(actions);
            }
            SendInput::CancelledThere(reason) => {
                self.waits_for_peer = true;
                self.cancelled_there(now, reason, actions);
            }
            SendInput::SlotGranted if self.slot == Slot::Requested => {
                self.slot = Slot::Held;
                self.settle(actions);
            }
            SendInput::Idle(idle) if idle != self.idle => {
                self.idle = idle;
                self.settle(actions);
            }
            SendInput::StreamBroken if self.phase != SendPhase::Broken => {
                self.phase = SendPhase::Broken;
                self.wait = Some((now + REASON_TIMEOUT, REASON_TIMEOUT));
                self.settle(actions);
            }
            SendInput::Timer(_)
                if self.phase == SendPhase::Broken && self.wait.is_some_and(|(until, _)| now >= until) =>
            {
                self.failed(now, Reason::ConnectionLost, actions);
            }
            SendInput::Stalled => {
                let count = if self.bytes > self.stalls.1 { 1 } else { self.stalls.0.saturating_add(1) };
                self.stalls = (count, self.bytes);
                self.failed(now, Reason::ReceiverStalled, actions);
            }
            _ => {}
        }
    }

    /// Returns true while there is a connection with the receiver.
    fn is_talking(&self) -> bool {
        match self.phase {
            SendPhase::Offered
            | SendPhase::Resuming
            | SendPhase::Accepted
            | SendPhase::Verifying
            | SendPhase::Ready
            | SendPhase::Broken => true,
            SendPhase::Preparing | SendPhase::Waiting | SendPhase::Ended => false,
        }
    }

    fn attempt(&mut self, actions: &mut SendActions) {
        self.phase = SendPhase::Preparing;
        self.wait = None;
        self.told_pause = false;
        self.idle = false;
        actions.push(SendAction::Attempt);
    }

    fn accepted(&mut self, actions: &mut SendActions) {
        self.waits_for_peer = true;
        self.backoff.succeeded();
        // After a data stream broke, only the reason of that is waited for.
        if self.phase != SendPhase::Broken {
            self.phase = SendPhase::Accepted;
        }
        if !matches!(self.known, Known::Accepted | Known::Kept) {
            self.known = Known::Accepted;
            actions.push(SendAction::Accept);
        }
        self.tell_pause(actions);
        self.settle(actions);
    }

    fn declined(&mut self, now: Moment, reason: Reason, actions: &mut SendActions) {
        let known = self.may_be_known();
        let outcome = match reason {
            Reason::DestinationUnusable if known || self.patient => {
                return self.failed(now, reason, actions);
            }
            // The receiver has no time now; this is no answer to the offer.
            Reason::Busy | Reason::RateLimited | Reason::ShuttingDown | Reason::ReceiverOutOfFiles => {
                return self.failed(now, reason, actions);
            }
            // The receiver knows this id. Its acceptance was lost with the connection or by a kill of this node, or it
            // has not noticed yet that the first attempt is over. A resume finds out which.
            Reason::DuplicateId
                if (self.restored || self.offers > 1) && matches!(self.known, Known::Nothing | Known::Recorded) =>
            {
                self.known = Known::Guessed;
                actions.push(SendAction::AssumeAccepted);
                return self.failed(now, Reason::ConnectionLost, actions);
            }
            // The receiver never decided on it: it is offered anew.
            Reason::Forgotten if self.known == Known::Guessed => {
                self.known = Known::Nothing;
                actions.push(SendAction::ForgetAcceptance);
                return self.failed(now, Reason::Busy, actions);
            }
            // A person stopped it there before an acceptance was sent.
            Reason::Cancelled => SendOutcome::By(reason),
            Reason::Complete if known => SendOutcome::CompletedBefore,
            Reason::FilesFailed if known => SendOutcome::FilesFailedBefore,
            // It was accepted once: this is how it ended at the receiver.
            reason if known => SendOutcome::By(reason),
            Reason::Declined => SendOutcome::Declined(None),
            reason => SendOutcome::Declined(Some(reason)),
        };
        self.close(actions);
        self.end(outcome, actions);
    }

    fn cancelled_there(&mut self, now: Moment, reason: Reason, actions: &mut SendActions) {
        let kept = matches!(reason, Reason::DiskFull | Reason::ReceiverOutOfFiles) && self.may_be_known();
        // The staged data stays at the receiver: the transfer is resumed.
        if reason.is_disconnected() || kept {
            return self.failed(now, reason, actions);
        }
        self.close(actions);
        self.end(SendOutcome::By(reason), actions);
    }

    /// Applies the recorded pause of this side, and tells the receiver if that is a change for it.
    fn held(&mut self, reason: Option<Reason>, actions: &mut SendActions) {
        let resumes = reason.is_none();
        self.paused_here = reason;
        let told = self.tell_pause(actions);
        // A person who resumes may know that the receiver has space again.
        if !told && resumes && self.may_tell() && self.paused_there == Some(Reason::DiskFull) {
            actions.push(SendAction::TellPause(false));
        }
        if self.is_talking() {
            self.settle(actions);
        }
    }

    /// Returns true if the receiver may be told of a pause: it has accepted the transfer.
    fn may_tell(&self) -> bool {
        match self.phase {
            SendPhase::Resuming | SendPhase::Accepted | SendPhase::Verifying | SendPhase::Ready => true,
            SendPhase::Preparing | SendPhase::Offered | SendPhase::Broken | SendPhase::Waiting | SendPhase::Ended => {
                false
            }
        }
    }

    fn tell_pause(&mut self, actions: &mut SendActions) -> bool {
        let paused = self.paused_here.is_some();
        let tells = self.may_tell() && paused != self.told_pause;
        if tells {
            self.told_pause = paused;
            actions.push(SendAction::TellPause(paused));
        }
        tells
    }

    /// Returns why nothing moves although the devices are connected; `None` if nobody has paused the transfer.
    fn pause(&self) -> Option<Reason> {
        self.paused_here.clone().or_else(|| match &self.paused_there {
            Some(Reason::Paused) => Some(Reason::PausedThere),
            reason => reason.clone(),
        })
    }

    /// Asks for a slot or gives it back, opens or closes the gate, and shows the present state.
    fn settle(&mut self, actions: &mut SendActions) {
        let pause = self.pause();
        let wants = self.phase == SendPhase::Ready && pause.is_none() && !self.idle;
        match (wants, self.slot) {
            (true, Slot::None) => {
                self.slot = Slot::Requested;
                actions.push(SendAction::RequestSlot);
            }
            (false, Slot::Requested | Slot::Held) => {
                self.slot = Slot::None;
                actions.push(SendAction::ReleaseSlot);
            }
            _ => {}
        }
        actions.push(SendAction::Gate(self.slot == Slot::Held));
        actions.push(SendAction::Show(match pause {
            Some(reason) => SendShown::Paused(reason),
            None if self.slot == Slot::Held || (self.phase == SendPhase::Ready && self.idle) => SendShown::Active,
            None if self.phase == SendPhase::Ready => SendShown::Queued,
            None => SendShown::Undecided,
        }));
    }

    fn last_word(&mut self, reason: Reason, actions: &mut SendActions) {
        if self.is_talking() {
            actions.push(SendAction::LastWord(reason));
        }
    }

    /// Ends the attempt's tasks and gives back what it has.
    fn close(&mut self, actions: &mut SendActions) {
        if self.slot != Slot::None {
            self.slot = Slot::None;
            actions.push(SendAction::ReleaseSlot);
        }
        self.paused_there = None;
        self.wait = None;
        actions.push(SendAction::CloseAttempt);
    }

    fn end(&mut self, outcome: SendOutcome, actions: &mut SendActions) {
        // If this side ended it, the receiver may not know: the connection may have been dead already.
        let unheard = match &outcome {
            SendOutcome::Failed(reason) => *reason != Reason::DeviceNotPaired && self.may_be_accepted(),
            SendOutcome::CancelledHere | SendOutcome::By(Reason::Interrupted) => self.may_be_accepted(),
            _ => false,
        };
        // The receiver may have accepted it right before this node was killed, without a record of that here.
        let broken = self.broken_input && (self.waits_for_peer || self.may_be_accepted());
        let unacknowledged = unheard || broken;
        (self.phase, self.wait) = (SendPhase::Ended, None);
        actions.push(SendAction::End { outcome, unacknowledged });
    }

    fn suspend(&mut self, actions: &mut SendActions) {
        (self.phase, self.wait) = (SendPhase::Ended, None);
        actions.push(SendAction::Suspend);
    }

    fn shut_down(&mut self, actions: &mut SendActions) {
        self.last_word(Reason::ShuttingDown, actions);
        self.close(actions);
        if !self.waits_for_peer {
            return self.end(SendOutcome::By(Reason::Interrupted), actions);
        }
        self.keep(actions);
        actions.push(SendAction::Wait(Reason::Interrupted));
        self.suspend(actions);
    }

    fn keep(&mut self, actions: &mut SendActions) {
        if self.known == Known::Accepted {
            actions.push(SendAction::KeepAcceptance);
        }
    }

    /// Ends an attempt that failed: another one follows at once, later, or never.
    fn failed(&mut self, now: Moment, reason: Reason, actions: &mut SendActions) {
        self.close(actions);
        // The device may just have restarted or moved, and this side did not know yet.
        let at_once = !self.waits_for_peer && reason == Reason::ConnectionLost;
        if at_once && self.immediate < IMMEDIATE_RETRIES {
            self.immediate += 1;
            return self.attempt(actions);
        }
        // Descriptors become free again, so no transfer fails for want of them, not even a new one.
        if !(reason.is_out_of_descriptors() || (self.waits_for_peer && reason.is_retryable())) {
            return self.end(SendOutcome::Failed(reason), actions);
        }
        self.keep(actions);
        if reason == Reason::SourceGone {
            self.paused_here = Some(reason.clone());
            actions.push(SendAction::Hold(reason.clone()));
        }
        let mut pause = self.backoff.failed(self.jitter);
        if reason.is_busy() {
            pause = pause.min(BUSY_WAIT);
        }
        let stalled = reason == Reason::ReceiverStalled && self.stalls.0 > 0;
        if stalled {
            pause = pause.max(stalled_wait(self.stalls.0));
        }
        actions.push(SendAction::Wait(reason));
        // A receiver that took nothing is not asked again just because it was heard.
        self.set_wait(now, pause, !stalled);
    }

    fn set_wait(&mut self, now: Moment, pause: Duration, wakes: bool) {
        let first = pause.is_zero();
        let pause = if first { self.backoff.failed(self.jitter) } else { pause };
        self.phase = SendPhase::Waiting;
        self.wakes = wakes;
        self.wait = Some((now + pause, pause));
        if self.paused_here.is_some() {
            self.wait_while_held(now);
        }
    }

    /// Waits for a resume on this side. Only a source disk that is gone is looked for.
    fn wait_while_held(&mut self, now: Moment) {
        let looks = self.paused_here == Some(Reason::SourceGone);
        self.wait = looks.then_some((now + SOURCE_CHECK, SOURCE_CHECK));
    }
}

/// Returns the wait after `stalls` attempts in a row at which the receiver took nothing: 30 s after the first, doubled
/// each time, at most 10 minutes.
fn stalled_wait(stalls: u32) -> Duration {
    let (shortest, longest) = STALLED_WAIT;
    longest.min(shortest * 2_u32.saturating_pow(stalls.min(10)))
}
