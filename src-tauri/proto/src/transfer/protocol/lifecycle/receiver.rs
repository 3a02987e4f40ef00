//! Life of an incoming transfer. Pure.
//!
//! ```text
//! Listing -> Offered -> Comparing -\
//!            Resuming <-> Held      +-> Accepted -> Active -> Completing
//!                  \---------------/
//!      each of them -> Closing -> Waiting (the sender may come back) or Ended
//! ```
//! A machine lives for one attempt. While the transfer waits for its sender, only the record exists, and
//! [`answer_to_resume`] decides what a sender hears that comes back.

use std::time::Duration;

use super::{Moment, REASON_TIMEOUT};
use crate::transfer::protocol::reason::Reason;

/// Interval between checks for space on a full disk.
pub(super) const SPACE_CHECK: Duration = Duration::from_secs(5);
/// Longest such interval. It doubles after each attempt that still found no room: a quota may be exhausted while the
/// disk has space.
const LONGEST_SPACE_CHECK: Duration = Duration::from_secs(600);
/// Bytes that an attempt must receive to count as one that found room.
pub(super) const SOME_ROOM: u64 = 1024 * 1024;

/// Point of an incoming transfer's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReceivePhase {
    /// The manifest of an offer is being fetched.
    Listing,
    /// A person or a rule decides.
    Offered,
    /// Accepted and on record; existing files are compared with the offer.
    Comparing,
    /// The sender has come back: the staged data is checked.
    Resuming,
    /// The sender has come back to a transfer that is paused on this side.
    Held,
    /// The decision is on its way; the sender has not begun.
    Accepted,
    /// Data may come.
    Active,
    /// A data stream broke; the sender's reason may follow.
    Broken,
    /// Every file has a result; the sender's last frame is awaited.
    Completing,
    /// The attempt is over; its tasks are being ended.
    Closing,
    /// The transfer waits for its sender. Staged data is kept.
    Waiting,
    /// The transfer is over.
    Ended,
}

/// Event in the life of an incoming transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveInput {
    /// The manifest is complete.
    Listed,
    /// There is no memory for the manifest: now, or ever.
    OutOfMemory {
        /// True if it can never fit.
        ever: bool,
    },
    /// Nobody has decided for a long time, and others need the memory of the manifest.
    Overdue,
    /// The offer is declined for this reason, by a rule or because it could not be accepted.
    Refused(Reason),
    /// The offer is accepted and on record, and its staging directory exists.
    Recorded,
    /// All changes of a resumed transfer are known.
    ChangesKnown,
    /// A resumed transfer cannot go on, now or ever.
    GivenUp(Reason),
    /// A resumed transfer cannot go on now, and may later.
    NotNow(Reason),
    /// Nothing is left of a resumed transfer, of which nothing had arrived: the sender offers it anew.
    Forgotten,
    /// The decision is being sent; everything that receives data stands.
    Started,
    /// The sender has begun.
    Begun,
    /// The sender has sent everything.
    Finished,
    /// Every file has a result.
    Committed,
    /// The receiver's rule does not allow a growing file to grow further.
    RuleEnded,
    /// A data stream broke.
    StreamBroken,
    /// The sender paused the transfer.
    PausedThere,
    /// The sender resumed it.
    ResumedThere,
    /// The sender has cancelled it.
    CancelledThere(Reason),
    /// The attempt failed on this side, or with the connection.
    Failed(Reason),
    /// State of the pause on this side, as recorded.
    Held(Option<Reason>),
    /// A person declines or cancels.
    Cancel,
    /// The sender has begun another attempt.
    Superseded,
    /// The time of [`ReceiveLifecycle::deadline`] has come.
    Timer,
    /// The node shuts down.
    Shutdown,
    /// Answer to [`ReceiveAction::CloseAttempt`].
    Closing {
        /// True if the device is still paired, and has not thrown this one out.
        trusted: bool,
    },
    /// Answer to [`ReceiveAction::StopTasks`]: no task of the attempt runs any more.
    Stopped {
        /// True if every file had its result by then.
        completed: bool,
    },
}

/// State of a transfer under way, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveShown {
    /// Nothing moves, for this reason.
    Paused(Reason),
    /// Data moves.
    Active,
    /// Other transfers of the sender go first.
    Queued,
}

/// End of an attempt. The driver adds the counts of what arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveOutcome {
    /// Every file has a result.
    Ran,
    /// The offer was declined; `None` if a person did.
    Declined(Option<Reason>),
    /// A person has cancelled it on this side.
    CancelledHere,
    /// The sender has ended it, or this node has.
    By(Reason),
    /// The attempt failed.
    Failed(Reason),
}

impl ReceiveOutcome {
    /// Returns the reason if it failed.
    fn failure(&self) -> Option<&Reason> {
        match self {
            Self::By(Reason::Cancelled) | Self::Ran | Self::Declined(_) | Self::CancelledHere => None,
            Self::By(reason) | Self::Failed(reason) => Some(reason),
        }
    }
}

/// Action that the driver carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveAction {
    /// Decline, as the last frame.
    Decline(Reason),
    /// Cancel, as the last frame.
    Cancel(Reason),
    /// Tell the sender that every file has a result, as the last frame. Follows [`Self::End`].
    SendComplete,
    /// Tell the sender that the transfer is paused here, for this reason.
    TellPaused(Reason),
    /// Tell the sender that the pause is over.
    TellResumed,
    /// See whether the full disk has space again.
    CheckSpace,
    /// Open the gate for data, or close it.
    Gate(bool),
    /// Show this.
    Show(ReceiveShown),
    /// Leave the attempt. [`ReceiveInput::Closing`] follows.
    CloseAttempt,
    /// End every task of the attempt. [`ReceiveInput::Stopped`] follows.
    StopTasks,
    /// Keep what is staged, for a resume. If `full`, the disk reserve is given up.
    KeepStaged {
        /// True if the disk is full.
        full: bool,
    },
    /// Remove what is staged.
    RemoveStaged,
    /// Record that the transfer is about to end for this reason, before its sender is told. An offer that nobody has
    /// accepted needs no such record: after a restart nothing waits for its sender.
    RecordEnding(Reason),
    /// Pause the transfer for a reason of the node.
    Hold(Reason),
    /// Record and show that the transfer waits for its sender.
    Wait(Reason),
    /// End the transfer.
    End(ReceiveOutcome),
}

/// State of the wait for space on a full disk, over the attempts of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceWait {
    bytes: u64,
    next: Duration,
}

impl SpaceWait {
    /// Returns the interval between checks. It is longer if the last check found space, but then less than [`SOME_ROOM`]
    /// arrived, as under a disk quota. `bytes` is what has arrived by now.
    pub fn interval(last: Option<Self>, bytes: u64) -> Duration {
        match last {
            Some(wait) if bytes < wait.bytes.saturating_add(SOME_ROOM) => wait.next,
            _ => SPACE_CHECK,
        }
    }

    /// Notes a check after `interval`, with `bytes` arrived.
    pub fn checked(interval: Duration, bytes: u64) -> Self {
        Self { bytes, next: (interval * 2).min(LONGEST_SPACE_CHECK) }
    }
}

/// State of a transfer as the receiver has it on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnRecord {
    /// Nothing, or a transfer of another device.
    Nothing,
    /// An offer or an attempt is under way.
    UnderWay,
    /// Accepted; waits for its sender.
    Waiting,
    /// Over, and every file arrived.
    Done,
    /// Over, and some files failed.
    FilesFailed,
    /// Failed for this reason.
    Failed(Reason),
    /// Declined or cancelled.
    Stopped,
}

/// Answer to a sender that wants to resume a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The transfer is resumed.
    Resume,
    /// An earlier attempt has not ended.
    Busy,
    /// The transfer is over, or unknown, for this reason.
    Over(Reason),
}

/// Decides about a sender that wants to resume a transfer.
pub fn answer_to_resume(record: &OnRecord) -> Answer {
    match record {
        OnRecord::Waiting => Answer::Resume,
        OnRecord::UnderWay => Answer::Busy,
        OnRecord::Done => Answer::Over(Reason::Complete),
        OnRecord::FilesFailed => Answer::Over(Reason::FilesFailed),
        // It was lost before anybody decided on it.
        OnRecord::Failed(reason) if reason.is_disconnected() => Answer::Over(Reason::Forgotten),
        OnRecord::Failed(reason) => Answer::Over(reason.clone()),
        OnRecord::Stopped => Answer::Over(Reason::Cancelled),
        OnRecord::Nothing => Answer::Over(Reason::Forgotten),
    }
}

/// Returns true if an offer with the id of this transfer is taken: there is none, or it was lost before anybody answered
/// it.
pub fn takes_offer(record: &OnRecord) -> bool {
    match record {
        OnRecord::Nothing => true,
        OnRecord::Failed(reason) => reason.is_disconnected(),
        _ => false,
    }
}

/// State machine of one attempt at a receiver.
#[derive(Clone, Debug)]
pub struct ReceiveLifecycle {
    phase: ReceivePhase,
    /// True once staged data is kept across a disconnect.
    holds: bool,
    /// True once there may be staged data.
    staged: bool,
    /// True once the decision was sent in this attempt.
    started: bool,
    /// True once the sender has begun: only then may it be told of progress.
    begun: bool,
    completed: bool,
    finished: bool,
    /// True if the sender knows how the attempt ends.
    told: bool,
    /// Frame that tells the sender of the end, once that is on record.
    word: Option<ReceiveAction>,
    paused_here: Option<Reason>,
    /// Pause that the sender was told of.
    told_pause: Option<Reason>,
    paused_there: bool,
    /// Time of the next timer.
    until: Option<Moment>,
    space_check: Duration,
    outcome: Option<ReceiveOutcome>,
    waits: bool,
}

/// Actions of one input, in order.
type ReceiveActions = Vec<ReceiveAction>;

impl ReceiveLifecycle {
    fn new(phase: ReceivePhase, holds: bool, paused_here: Option<Reason>, space_check: Duration) -> Self {
        Self {
            phase,
            holds,
            staged: holds,
            started: false,
            begun: false,
            completed: false,
            finished: false,
            told: false,
            word: None,
            paused_here,
            told_pause: None,
            paused_there: false,
            until: None,
            space_check,
            outcome: None,
            waits: false,
        }
    }

    /// Creates the machine of a new offer, whose manifest is being fetched.
    pub fn offered() -> Self {
        Self::new(ReceivePhase::Listing, false, None, SPACE_CHECK)
    }

    /// Creates the machine of an attempt to resume an accepted transfer. `paused` is the reason if it is paused on this
    /// side, `space_check` the interval of [`SpaceWait::interval`].
    pub fn resumed(paused: Option<Reason>, space_check: Duration) -> Self {
        Self::new(ReceivePhase::Resuming, true, paused, space_check)
    }

    /// Returns the point of its life.
    pub fn phase(&self) -> ReceivePhase {
        self.phase
    }

    /// Returns true once staged data is kept across a disconnect.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// Returns true once the sender has begun.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Returns true if the transfer is paused by either side.
    pub fn is_paused(&self) -> bool {
        self.paused_here.is_some() || self.paused_there
    }

    /// Returns the reason while it is paused on this side, as far as the machine was told.
    pub fn paused_here(&self) -> Option<&Reason> {
        self.paused_here.as_ref()
    }

    /// Returns true once the attempt has left its work: only [`ReceiveInput::Closing`] and [`ReceiveInput::Stopped`] may follow.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, ReceivePhase::Closing | ReceivePhase::Waiting | ReceivePhase::Ended)
    }

    /// Returns the interval between checks for space.
    pub fn space_check(&self) -> Duration {
        self.space_check
    }

    /// Returns the time at which [`ReceiveInput::Timer`] is due; `None` if only another input can change anything.
    pub fn deadline(&self) -> Option<Moment> {
        self.until
    }

    /// Handles an input. Inputs that mean nothing in the present phase are ignored.
    pub fn handle(&mut self, now: Moment, input: ReceiveInput) -> ReceiveActions {
        let mut actions = ReceiveActions::new();
        match (self.phase, input) {
            (ReceivePhase::Waiting | ReceivePhase::Ended, _) => {}
            (ReceivePhase::Closing, ReceiveInput::Closing { trusted }) => self.closing(trusted, &mut actions),
            (ReceivePhase::Closing, ReceiveInput::Stopped { completed }) => self.stopped(completed, &mut actions),
            (ReceivePhase::Closing, _) => {}
            (_, ReceiveInput::CancelledThere(reason)) => self.over(ReceiveOutcome::By(reason), &mut actions),
            (_, ReceiveInput::Failed(reason)) => self.over(ReceiveOutcome::Failed(reason), &mut actions),
            (_, ReceiveInput::Superseded) => self.over(ReceiveOutcome::Failed(Reason::ConnectionLost), &mut actions),
            (_, ReceiveInput::Cancel) => self.cancel(&mut actions),
            (_, ReceiveInput::Shutdown) => self.shut_down(&mut actions),
            (_, ReceiveInput::Held(reason)) => self.held(now, reason, &mut actions),
            (ReceivePhase::Listing | ReceivePhase::Offered, input) => self.before_consent(input, &mut actions),
            (ReceivePhase::Comparing | ReceivePhase::Resuming | ReceivePhase::Held, input) => {
                self.before_data(now, input, &mut actions)
            }
            (_, input) => self.with_data(now, input, &mut actions),
        }
        actions
    }

    fn before_consent(&mut self, input: ReceiveInput, actions: &mut ReceiveActions) {
        match input {
            ReceiveInput::Listed => self.phase = ReceivePhase::Offered,
            ReceiveInput::OutOfMemory { ever: true } => self.decline(Reason::TooManyEntries, actions),
            // The sender offers it again later.
            ReceiveInput::OutOfMemory { ever: false } | ReceiveInput::Overdue => self.not_now(Reason::Busy, actions),
            ReceiveInput::Refused(reason) => self.decline(reason, actions),
            ReceiveInput::Recorded => {
                (self.holds, self.staged) = (true, true);
                self.phase = ReceivePhase::Comparing;
            }
            _ => {}
        }
    }

    fn before_data(&mut self, now: Moment, input: ReceiveInput, actions: &mut ReceiveActions) {
        match input {
            ReceiveInput::ChangesKnown if self.phase == ReceivePhase::Resuming && self.paused_here.is_some() => {
                self.phase = ReceivePhase::Held;
                self.tell_pause(now, actions);
            }
            ReceiveInput::ResumedThere
                if self.phase == ReceivePhase::Held && self.paused_here == Some(Reason::DiskFull) =>
            {
                // A person at the sender expects that there is space now.
                self.paused_there = false;
                actions.push(ReceiveAction::CheckSpace);
            }
            ReceiveInput::Timer if self.phase == ReceivePhase::Held && self.until.is_some_and(|until| now >= until) => {
                self.until = Some(now + self.space_check);
                actions.push(ReceiveAction::CheckSpace);
            }
            ReceiveInput::PausedThere => self.paused_there = true,
            ReceiveInput::ResumedThere => self.paused_there = false,
            ReceiveInput::GivenUp(reason) => {
                let outcome = ReceiveOutcome::Failed(reason.clone());
                self.tell_end(ReceiveAction::Decline(reason.clone()), outcome, Some(reason), actions);
            }
            ReceiveInput::Refused(reason) => self.decline(reason, actions),
            ReceiveInput::NotNow(reason) => self.not_now(reason, actions),
            ReceiveInput::Forgotten => {
                let interrupted = Reason::Interrupted;
                let outcome = ReceiveOutcome::By(interrupted.clone());
                self.tell_end(ReceiveAction::Decline(Reason::Forgotten), outcome, Some(interrupted), actions);
                self.holds = false;
            }
            ReceiveInput::Started => {
                self.started = true;
                self.phase = ReceivePhase::Accepted;
                self.until = None;
                self.tell_pause(now, actions);
                self.settle(actions);
            }
            _ => {}
        }
    }

    fn with_data(&mut self, now: Moment, input: ReceiveInput, actions: &mut ReceiveActions) {
        match input {
            ReceiveInput::Begun => {
                self.begun = true;
                if self.phase == ReceivePhase::Accepted {
                    self.phase = ReceivePhase::Active;
                    self.settle(actions);
                }
            }
            ReceiveInput::PausedThere | ReceiveInput::ResumedThere => {
                self.paused_there = input == ReceiveInput::PausedThere;
                self.settle(actions);
            }
            ReceiveInput::Finished => {
                self.finished = true;
                self.complete(actions);
            }
            ReceiveInput::Committed => {
                self.completed = true;
                if self.phase != ReceivePhase::Broken {
                    self.phase = ReceivePhase::Completing;
                }
                self.complete(actions);
            }
            ReceiveInput::RuleEnded => {
                let ended = Reason::RuleEnded;
                self.tell_end(
                    ReceiveAction::Cancel(ended.clone()),
                    ReceiveOutcome::By(ended.clone()),
                    Some(ended),
                    actions,
                );
            }
            ReceiveInput::StreamBroken if matches!(self.phase, ReceivePhase::Accepted | ReceivePhase::Active) => {
                self.phase = ReceivePhase::Broken;
                self.until = Some(now + REASON_TIMEOUT);
            }
            ReceiveInput::Timer
                if self.phase == ReceivePhase::Broken && self.until.is_some_and(|until| now >= until) =>
            {
                self.over(ReceiveOutcome::Failed(Reason::ConnectionLost), actions);
            }
            _ => {}
        }
    }

    /// Ends the attempt well, once every file has a result and the sender has sent everything.
    fn complete(&mut self, actions: &mut ReceiveActions) {
        if self.completed && self.finished {
            self.word = Some(ReceiveAction::SendComplete);
            self.over(ReceiveOutcome::Ran, actions);
        }
    }

    /// Leaves the attempt with a frame that tells the sender how it ends. If that is for good, the record goes first: a
    /// sender that knows of the end never comes back, and after a kill this side would wait for it in vain.
    fn tell_end(
        &mut self,
        frame: ReceiveAction,
        outcome: ReceiveOutcome,
        for_good: Option<Reason>,
        actions: &mut ReceiveActions,
    ) {
        // Also before `Recorded`: the acceptance may be on record already.
        actions.extend(for_good.map(ReceiveAction::RecordEnding));
        self.told = true;
        actions.push(frame);
        self.over(outcome, actions);
    }

    /// Declines an offer.
    fn decline(&mut self, reason: Reason, actions: &mut ReceiveActions) {
        // Nothing is to be said where a person declined.
        let outcome = ReceiveOutcome::Declined(Some(reason.clone()).filter(|reason| *reason != Reason::Declined));
        self.tell_end(ReceiveAction::Decline(reason.clone()), outcome, Some(reason), actions);
    }

    /// Declines for now: the sender tries again.
    fn not_now(&mut self, reason: Reason, actions: &mut ReceiveActions) {
        self.tell_end(ReceiveAction::Decline(reason), ReceiveOutcome::Failed(Reason::ConnectionLost), None, actions);
    }

    fn cancel(&mut self, actions: &mut ReceiveActions) {
        let frame = match self.phase {
            ReceivePhase::Listing | ReceivePhase::Offered => return self.decline(Reason::Declined, actions),
            ReceivePhase::Comparing | ReceivePhase::Resuming | ReceivePhase::Held => {
                ReceiveAction::Decline(Reason::Cancelled)
            }
            _ => ReceiveAction::Cancel(Reason::Cancelled),
        };
        self.tell_end(frame, ReceiveOutcome::CancelledHere, Some(Reason::CancelledHere), actions);
    }

    fn shut_down(&mut self, actions: &mut ReceiveActions) {
        let interrupted = ReceiveOutcome::By(Reason::Interrupted);
        match self.phase {
            // The sender is told with the last word.
            ReceivePhase::Listing | ReceivePhase::Offered => {
                self.over(ReceiveOutcome::Failed(Reason::ShuttingDown), actions)
            }
            ReceivePhase::Comparing | ReceivePhase::Resuming | ReceivePhase::Held => {
                self.tell_end(ReceiveAction::Decline(Reason::ShuttingDown), interrupted, None, actions);
            }
            ReceivePhase::Completing => self.over(interrupted, actions),
            _ => self.tell_end(ReceiveAction::Cancel(Reason::ShuttingDown), interrupted, None, actions),
        }
    }

    fn held(&mut self, now: Moment, reason: Option<Reason>, actions: &mut ReceiveActions) {
        self.paused_here = reason;
        match self.phase {
            // The sender is told as soon as data could be paused.
            ReceivePhase::Listing | ReceivePhase::Offered | ReceivePhase::Comparing | ReceivePhase::Resuming => {}
            // Nothing is left that could be paused, but a sender that was told of a pause waits for its end.
            ReceivePhase::Completing if self.paused_here.is_some() => {}
            ReceivePhase::Completing => self.tell_pause(now, actions),
            ReceivePhase::Held => {
                self.tell_pause(now, actions);
                if self.paused_here.is_none() {
                    self.phase = ReceivePhase::Resuming;
                }
            }
            _ => {
                self.tell_pause(now, actions);
                self.settle(actions);
            }
        }
    }

    /// Tells the sender of the pause on this side if it does not know, and looks for space if the disk is full.
    fn tell_pause(&mut self, now: Moment, actions: &mut ReceiveActions) {
        if self.phase == ReceivePhase::Held {
            let full = self.paused_here == Some(Reason::DiskFull);
            self.until = full.then_some(self.until.unwrap_or(now + self.space_check));
        }
        if self.paused_here == self.told_pause {
            return;
        }
        self.told_pause.clone_from(&self.paused_here);
        actions.push(match self.paused_here.clone() {
            Some(Reason::PausedHere) => ReceiveAction::TellPaused(Reason::Paused),
            Some(reason) => ReceiveAction::TellPaused(reason),
            None => ReceiveAction::TellResumed,
        });
    }

    /// Opens or closes the gate for data, and shows the present state.
    fn settle(&mut self, actions: &mut ReceiveActions) {
        let pause = self.paused_here.clone().or(self.paused_there.then_some(Reason::PausedThere));
        // Data of a sender that does not stop waits at this gate.
        actions.push(ReceiveAction::Gate(self.paused_here.is_none()));
        actions.push(ReceiveAction::Show(match pause {
            Some(reason) => ReceiveShown::Paused(reason),
            None if self.phase == ReceivePhase::Accepted => ReceiveShown::Queued,
            None => ReceiveShown::Active,
        }));
    }

    fn over(&mut self, outcome: ReceiveOutcome, actions: &mut ReceiveActions) {
        (self.phase, self.until) = (ReceivePhase::Closing, None);
        self.outcome = Some(outcome);
        actions.push(ReceiveAction::CloseAttempt);
    }

    /// Decides whether the transfer waits for its sender, and what the sender is told at last.
    fn closing(&mut self, trusted: bool, actions: &mut ReceiveActions) {
        let failure = self.outcome.as_ref().and_then(ReceiveOutcome::failure);
        let kept = self.holds && !self.completed && trusted;
        self.waits = kept && failure.is_some_and(comes_back);
        if let Some(reason) = failure
            && !self.completed
            && !self.told
            && *reason != Reason::ConnectionLost
        {
            // A sender whose connection is lost finds out by itself; one of a full disk does not.
            let unknown_there = matches!(reason, Reason::DiskFull | Reason::ReceiverOutOfFiles);
            if !self.waits || unknown_there {
                let (reason, started) = (reason.clone(), self.started);
                self.word = Some(if started { ReceiveAction::Cancel(reason) } else { ReceiveAction::Decline(reason) });
            }
        }
        if self.waits {
            actions.extend(self.word.take());
        }
        actions.push(ReceiveAction::StopTasks);
    }

    /// Keeps or removes what is staged, and records what follows.
    fn stopped(&mut self, completed: bool, actions: &mut ReceiveActions) {
        let mut outcome = self.outcome.take().unwrap_or(ReceiveOutcome::Failed(Reason::Internal));
        let failure = outcome.failure().cloned();
        // The commit worker may have ended while the connection was lost; then nothing is left to resume.
        self.completed |= completed;
        self.waits &= !self.completed;
        let full = failure == Some(Reason::DiskFull);
        match (self.completed, self.waits) {
            (true, _) => {}
            (false, true) => actions.push(ReceiveAction::KeepStaged { full }),
            (false, false) if self.staged => actions.push(ReceiveAction::RemoveStaged),
            (false, false) => {}
        }
        if self.waits {
            self.phase = ReceivePhase::Waiting;
            if full {
                actions.push(ReceiveAction::Hold(Reason::DiskFull));
            }
            actions.push(ReceiveAction::Wait(failure.unwrap_or(Reason::ConnectionLost)));
            return;
        }
        if self.completed && failure.as_ref().is_some_and(comes_back) {
            // Every file is under its final name; the sender learns of it when it comes back.
            outcome = ReceiveOutcome::Ran;
        }
        self.phase = ReceivePhase::Ended;
        actions.push(ReceiveAction::End(outcome));
        // Only now, for the reason of `tell_end`. A sender that misses this frame comes back, and is told then.
        actions.extend(self.word.take());
    }
}

/// Returns true if the sender comes back after an attempt that ended for this reason.
fn comes_back(reason: &Reason) -> bool {
    reason.is_disconnected() || reason.is_blocked() || reason.is_out_of_descriptors()
}
