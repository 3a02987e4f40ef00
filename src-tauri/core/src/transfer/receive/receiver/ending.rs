//! The end of an attempt: either of the whole transfer, or until the sender comes back.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::timeout;

use super::{Receiving, data::Live, declined, lost, violations_only};
use crate::{
    api::{TransferState, TransferView},
    error::NetworkError,
    transfer::{
        Presence, TransferError,
        cause::Cause,
        left_out::{NOT_WANTED, ReasonCounts, add_notes, shown_count},
        protocol::{
            control_stream,
            frames::ReceiverFrame,
            lifecycle::receiver::{ReceiveAction as Action, ReceiveInput as Input, ReceiveOutcome as Outcome},
            limits::SHOWN_ROOTS,
            reason::Reason,
        },
        receive::{
            commit::worker::Committed,
            staging::{StagingDir, clean_up},
        },
        registry::{Command, End},
    },
};

/// Time that the tasks of an attempt get to end before their frames to the sender are given up.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Results of an attempt, once its tasks have ended.
pub(super) struct Finished {
    bytes: u64,
    expected: u32,
    committed: Arc<Committed>,
    staging: Arc<StagingDir>,
}

impl Receiving {
    /// Ends everything in order: no task of this transfer runs any more when the record says that it is over or waits.
    ///
    /// # Errors
    /// Returns an error only if it ends the session.
    pub(in crate::transfer) async fn end(&mut self) -> Result<(), NetworkError> {
        if !self.life.is_over() {
            self.fail(TransferError::Internal("an attempt was left before its end").into());
        }
        self.carry_out(None).await;
        self.actions.clear();
        self.machine.end();
        let paired = (self.inner.deps.presence)(self.session.device_id()) != Presence::Stranger;
        self.advance(Input::Closing { trusted: paired && !control_stream::thrown_out(&self.session) });
        while let Some(action) = self.actions.pop_front() {
            self.conclude(action).await;
        }
        self.stop.cancel();
        self.error.take().map_or(Ok(()), violations_only)
    }

    /// Carries out an action that follows the end of an attempt.
    async fn conclude(&mut self, action: Action) {
        match action {
            Action::Decline(reason) => self.out.farewell(&declined(reason)).await,
            Action::Cancel(code) => self.out.farewell(&ReceiverFrame::Cancel { code }).await,
            Action::SendComplete => {
                let Some(Finished { committed, .. }) = &self.finished else { return };
                let (files, bytes) = (committed.files.load(Ordering::Relaxed), committed.bytes.load(Ordering::Relaxed));
                self.out.farewell(&ReceiverFrame::Complete { files, bytes }).await;
            }
            Action::StopTasks => {
                let completed = self.stop_tasks().await;
                self.advance(Input::Stopped { completed });
            }
            Action::KeepStaged { full } => self.keep_staged(full).await,
            Action::RemoveStaged => self.remove_staged().await,
            Action::Hold(reason) => {
                if let Err(error) = self.inner.registry.hold(self.id, Some(reason)).await {
                    tracing::warn!(%error, "that a transfer is held could not be recorded");
                }
            }
            Action::Wait(reason) => self.record_wait(reason).await,
            Action::End(outcome) => self.record_end(outcome).await,
            // These belong into an attempt.
            Action::RecordEnding(_)
            | Action::TellPaused(_)
            | Action::TellResumed
            | Action::CheckSpace
            | Action::Gate(_)
            | Action::Show(_)
            | Action::CloseAttempt => {}
        }
    }

    /// Ends the tasks of the attempt. Returns true if every file had its result by then: the commit worker may have
    /// finished while the connection was lost.
    async fn stop_tasks(&mut self) -> bool {
        let Some(live) = self.live.take() else { return false };
        let Live { arrival, mut streams, commit_worker, committed, expected, route, stop, .. } = live;
        stop.cancel();
        drop(route);
        let (bytes, staging) = (arrival.bytes.load(Ordering::Relaxed), arrival.temp.clone());
        let ending = async move {
            while streams.join_next().await.is_some() {}
            // The last sender of the verdict channel is dropped with it, which ends the commit worker.
            drop(arrival);
            match commit_worker {
                Some(worker) => worker.await.is_ok(),
                None => true,
            }
        };
        tokio::pin!(ending);
        // They may wait for a sender that does not read, who is then told nothing more.
        let ended = match timeout(STOP_TIMEOUT, &mut ending).await {
            Ok(ended) => ended,
            Err(_) => {
                self.stop.cancel();
                ending.await
            }
        };
        if !ended {
            tracing::error!("the naming task failed");
        }
        let completed = committed.finished.load(Ordering::Relaxed);
        self.finished = Some(Finished { bytes, expected, committed, staging });
        completed
    }

    async fn keep_staged(&self, full: bool) {
        let Some(staging) = self.finished.as_ref().map(|finished| finished.staging.clone()) else { return };
        let worker = self.worker();
        let kept = worker.guarded(move || {
            if full {
                staging.give_up_reserve();
            }
            staging.journal().flush()
        });
        match kept.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "not all that has arrived is accounted for"),
            Err(_) => tracing::error!("keeping unfinished files failed"),
        }
    }

    async fn remove_staged(&mut self) {
        let worker = self.worker();
        let removed = match (&self.finished, self.destination.take()) {
            (Some(Finished { staging, .. }), _) => {
                let staging = staging.clone();
                worker.guarded(move || staging.remove()).await
            }
            (None, Some(destination)) => {
                let (ops, id) = (self.inner.ops.clone(), self.id);
                worker.guarded(move || clean_up(ops.as_ref(), &destination, &id)).await
            }
            (None, None) => return,
        };
        if removed.is_err() {
            tracing::error!("removing unfinished files failed");
        }
    }

    /// Records that the transfer waits for its sender.
    async fn record_wait(&mut self, reason: Reason) {
        self.watch.stop();
        let error = self.error.as_ref().filter(|error| Reason::from(*error) == reason);
        let mut cause = error.map_or_else(|| Cause::from(reason.clone()), Cause::from);
        if reason.is_disconnected() {
            let name = (self.inner.deps.names)(self.session.device_id());
            cause.hint = format!("It goes on by itself when {name} is there again.");
        }
        let counted = self.counted(None);
        self.inner.registry.wait(self.id, cause, counted).await;
        self.hear_late_commands().await;
    }

    /// Records the end of the transfer.
    async fn record_end(&mut self, outcome: Outcome) {
        self.watch.end(self.inner.since.elapsed());
        let end = match outcome {
            Outcome::Ran => self.ran(),
            Outcome::Declined(reason) => End { state: TransferState::Declined, cause: reason.map(Cause::from) },
            Outcome::CancelledHere => End::cancelled_here(),
            Outcome::By(reason) => End::by(reason),
            Outcome::Failed(reason) => match self.error.as_ref().filter(|error| Reason::from(*error) == reason) {
                Some(error) => End::failed(error),
                None if reason == Reason::ConnectionLost => End::failed(&lost()),
                None => End { state: TransferState::Failed, cause: Some(reason.into()) },
            },
        };
        let left_out = self.finished.as_ref().map(|finished| self.left_out(&finished.committed));
        let counted = self.counted(left_out);
        self.inner.full().remove(&self.id);
        self.inner.written().remove(&self.id);
        self.inner.without_limits(self.id);
        self.inner.registry.end(self.id, end, None, Vec::new(), counted).await;
    }

    /// Returns the change that shows what has arrived, and what is missing at the end.
    fn counted(&self, left_out: Option<ReasonCounts>) -> impl FnOnce(&mut TransferView) + use<> {
        let (seconds, mean_rate) = (self.watch.seconds(), self.watch.mean_rate());
        let done = self.finished.as_ref().map(|finished| (finished.bytes, finished.committed.clone()));
        move |view| {
            (view.seconds, view.mean_rate) = (seconds, mean_rate);
            if let Some((bytes, committed)) = done {
                (view.bytes, view.files_done) = (bytes, committed.files.load(Ordering::Relaxed).into());
                add_notes(&mut view.notes, committed.take_notes());
                for name in committed.take_landed() {
                    if view.landed.len() < SHOWN_ROOTS && !view.landed.contains(&name) {
                        view.landed.push(name);
                    }
                }
            }
            if let Some(left_out) = left_out {
                left_out.show(view);
            }
        }
    }

    /// Handles commands that arrived after the attempt had stopped listening, so that a cancellation is not lost with
    /// the channel.
    async fn hear_late_commands(&mut self) {
        self.commands.close();
        let mut stopped = false;
        while let Some(command) = self.commands.recv().await {
            stopped |= matches!(command, Command::Decline | Command::Cancel);
        }
        if stopped && let Err(error) = self.inner.registry.stop(self.id, || Command::Cancel).await {
            tracing::debug!(%error, "it ended meanwhile");
        }
    }

    /// Returns the end of a transfer in which every file has a result.
    fn ran(&mut self) -> End {
        let Some(Finished { bytes, expected, committed, .. }) = &self.finished else {
            return End::by(Reason::Internal);
        };
        let (failed, first) = committed.failures();
        let left_out = self.left_out(committed).incomplete(0, None).map(Cause::incomplete);
        self.watch.sample(self.inner.since.elapsed(), *bytes);
        End::ran(failed, *expected, first.as_ref(), committed.files.load(Ordering::Relaxed), left_out)
    }

    /// Returns what is missing of the entries that the sender named, without what was not selected here.
    fn left_out(&self, committed: &Committed) -> ReasonCounts {
        let shown = self.inner.registry.view(self.id);
        let mut left_out = committed.left_out();
        for reason in &NOT_WANTED {
            left_out.add(reason, shown.as_ref().map_or(0, |view| shown_count(view, reason)));
        }
        left_out
    }
}
