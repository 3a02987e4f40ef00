//! Reasons that hold an outgoing transfer back: a pause on either side, the queue, or a source disk that is gone.

use std::time::Duration;

use n0_future::boxed::BoxFuture;

use super::{
    super::{
        pace::{Pace, Pacer},
        source::Whereabouts,
    },
    Sending, disconnected,
};
use crate::{
    api::TransferState,
    error::NetworkError,
    queue::scheduler::Turn,
    transfer::{
        protocol::{
            frames::SenderFrame,
            reason::{Cause, Reason},
        },
        send::attempt::SendAttempt,
    },
};

/// Returns the pause after `stalls` attempts in a row at which the receiver took nothing: 30 s after the first,
/// doubled each time, at most 10 minutes.
pub(super) fn stalled_pause(stalls: u32) -> Duration {
    Duration::from_secs(600).min(Duration::from_secs(15) * 2_u32.saturating_pow(stalls.min(10)))
}

impl Sending {
    /// Shows the reason of a wait, as long as the receiver has not heard of the transfer.
    pub(super) fn show_wait(&self, cause: Cause) {
        let why = cause.into();
        self.inner.registry.show(self.order.id, |view| {
            if matches!(view.state, TransferState::Queued | TransferState::Waiting) {
                (view.state, view.reason) = (TransferState::Waiting, Some(why));
            }
        });
    }

    /// Requests a scheduler slot while there is data to send and nobody has paused the transfer.
    pub(super) fn wait_for_turn(&mut self, talk: &SendAttempt) {
        let idle = talk.waits_for_input(self.tally.bytes);
        let wants = self.turn.is_none() && !self.held && self.held_there.is_none() && talk.may_send() && !idle;
        if !wants {
            self.waiting = None;
        } else if self.waiting.is_none() {
            self.waiting = Some(Box::pin(self.inner.turns.clone().turn(self.order.id)));
        }
    }

    /// Opens or closes the gate for data according to the present state, and shows that state.
    pub(super) fn settle(&mut self, talk: &SendAttempt) {
        let why = match &self.held_there {
            _ if self.held => self.inner.registry.held(self.order.id),
            Some(Reason::Paused) => Some(Reason::PausedThere),
            reason => reason.clone(),
        };
        if why.is_some() {
            self.turn = None;
        }
        talk.gate.set(self.turn.is_some());
        let (moves, starts) = (self.turn.is_some(), talk.may_send());
        let idle = talk.waits_for_input(self.tally.bytes);
        if moves {
            self.watch.start(self.inner.since.elapsed());
        } else {
            self.watch.stop();
        }
        self.inner.registry.show(self.order.id, |view| match why {
            Some(reason) => {
                (view.state, view.reason, view.rate, view.eta) =
                    (TransferState::Paused, Some(reason.into()), 0.0, None);
            }
            None if moves || idle => (view.state, view.reason) = (TransferState::Active, None),
            None if starts => (view.state, view.reason) = (TransferState::Queued, None),
            // Claims are being verified, or the receiver has not decided yet.
            None if view.state == TransferState::Paused => {
                (view.state, view.reason) = (TransferState::Waiting, None);
            }
            None => {}
        });
    }

    /// Applies a pause or resume on this side, and tells the receiver.
    pub(super) fn held_changed(&mut self, talk: &SendAttempt) {
        let held = self.inner.registry.held(self.order.id).is_some();
        let full = self.held_there == Some(Reason::DiskFull);
        // A person who resumes may know that the receiver has space again.
        if (held != self.held || (full && !held)) && self.source.is_some() {
            talk.out.tell(&if held { SenderFrame::Pause } else { SenderFrame::Resume });
        }
        self.held = held;
        self.settle(talk);
    }

    /// Lets the scheduler lend the slot to others while the receiver takes nothing.
    ///
    /// # Errors
    /// Returns `receiver_stalled` when the attempt is to be given up for now.
    pub(super) fn keep_pace(
        &mut self,
        pacer: &mut Pacer,
        now: Duration,
        talk: &SendAttempt,
        silent: bool,
    ) -> Result<(), NetworkError> {
        let Some(turn) = &self.turn else {
            pacer.rest();
            return Ok(());
        };
        let (written, blocked) = talk.written.now();
        match pacer.sample(now, [written, self.tally.bytes, self.tally.files.into(), self.words], blocked, !silent) {
            Pace::Moves => turn.stalls(false),
            Pace::Stalls => turn.stalls(true),
            Pace::GivenUp => {
                let (stalls, before) = self.stalls;
                let again = if self.tally.bytes > before { 1 } else { stalls.saturating_add(1) };
                self.stalls = (again, self.tally.bytes);
                self.gave_up = true;
                return Err(disconnected(Reason::ReceiverStalled));
            }
        }
        if self.tally.bytes > self.stalls.1 {
            self.stalls = (0, self.tally.bytes);
        }
        Ok(())
    }

    /// Pauses the transfer for a reason of the node, not of a person.
    pub(super) async fn hold(&mut self, reason: Reason) {
        match self.inner.registry.hold(self.order.id, Some(reason)).await {
            Ok(()) => self.held = true,
            Err(error) => tracing::warn!(%error, "that a transfer is held could not be recorded"),
        }
    }

    /// Resumes a transfer whose source disk was taken out, once the disk is back.
    pub(super) async fn look_for_source(&mut self) {
        let Some(source) = self.source.clone() else { return };
        if self.inner.registry.held(self.order.id) != Some(Reason::SourceGone) {
            return;
        }
        let there = tokio::task::spawn_blocking(move || source.whereabouts()).await;
        // A deleted source does not come back: the next attempt reports it.
        if there.is_ok_and(|there| there != Whereabouts::Away) {
            // The registry sends `Command::Held` for this.
            if let Err(error) = self.inner.registry.hold(self.order.id, None).await {
                tracing::warn!(%error, "that a transfer is not held any more could not be recorded");
            }
        }
    }
}

/// Waits for the requested scheduler slot; forever if none is requested.
pub(super) async fn come(waiting: &mut Option<BoxFuture<Turn>>) -> Turn {
    match waiting {
        Some(turn) => turn.await,
        None => std::future::pending().await,
    }
}
