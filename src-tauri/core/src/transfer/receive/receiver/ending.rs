//! The end of an attempt: either of the whole transfer, or until the sender comes back.

use std::sync::atomic::Ordering;

use super::{Live, Receiving, declined};
use crate::{
    api::TransferView,
    transfer::{
        Presence,
        left_out::{NOT_WANTED, ReasonCounts, add_notes, shown_count},
        protocol::{control_stream, frames::ReceiverFrame, limits::SHOWN_ROOTS, reason::Reason},
        receive::{commit::worker::Committed, staging::clean_up},
        registry::{Command, End},
    },
};

impl Receiving {
    /// Ends everything in order: no task of this transfer runs any more when the record says that it is over or
    /// waits.
    pub(super) async fn wind_up(&mut self, mut end: End) {
        self.machine.end();
        let mut completed = self.live.as_ref().is_some_and(|live| live.completed);
        let disconnected = end.failure().is_some_and(Reason::is_disconnected);
        let blocked = end.failure().is_some_and(Reason::is_blocked);
        let short = end.failure().is_some_and(Reason::is_out_of_descriptors);
        let kept = self.holds && !completed && self.is_paired() && !control_stream::thrown_out(&self.session);
        let (mut waits, full) =
            (kept && (disconnected || blocked || short), kept && end.reason() == Some(&Reason::DiskFull));
        let unknown_there = full || end.reason() == Some(&Reason::ReceiverOutOfFiles);
        self.last_word(&end, waits && !unknown_there, completed).await;
        self.stop.cancel();
        let mut done = None;
        if let Some(live) = self.live.take() {
            let Live { arrival, mut streams, settling, settled, expected, _route: route, .. } = live;
            drop(route);
            while streams.join_next().await.is_some() {}
            let bytes = arrival.bytes.load(Ordering::Relaxed);
            let temp = arrival.temp.clone();
            // The last sender of the verdict channel is dropped with it, which ends the commit task.
            drop(arrival);
            if let Some(settling) = settling
                && settling.await.is_err()
            {
                tracing::error!("the naming task failed");
            }
            // The commit task may have finished while the connection was lost; then nothing is left to resume.
            completed |= settled.finished.load(Ordering::Relaxed);
            waits &= !completed;
            let worker = self.worker();
            let cleared = worker.guarded(move || match (completed, waits) {
                (true, _) => Ok(()),
                (false, true) => {
                    if full {
                        temp.give_up_reserve();
                    }
                    temp.journal().flush()
                }
                (false, false) => {
                    temp.remove();
                    Ok(())
                }
            });
            match cleared.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "not all that has arrived is accounted for"),
                Err(_) => tracing::error!("removing unfinished files failed"),
            }
            if completed && disconnected {
                // Every file is under its final name; the sender learns of it when it comes back.
                end = self.ran(&settled, expected);
            }
            done = Some((bytes, settled));
        } else if let Some(landing) = self.landing.take().filter(|_| !waits) {
            let (ops, id) = (self.inner.ops.clone(), self.id);
            if self.worker().guarded(move || clean_up(ops.as_ref(), &landing, &id)).await.is_err() {
                tracing::error!("removing unfinished files failed");
            }
        }
        if waits {
            self.watch.stop();
        } else {
            self.watch.end(self.inner.since.elapsed());
        }
        let (seconds, mean_rate) = (self.watch.seconds(), self.watch.mean_rate());
        let left_out = done.as_ref().filter(|_| !waits).map(|(_, settled)| self.left_out(settled));
        let change = |view: &mut TransferView| {
            (view.seconds, view.mean_rate) = (seconds, mean_rate);
            if let Some((bytes, settled)) = done {
                (view.bytes, view.files_done) = (bytes, settled.files.load(Ordering::Relaxed).into());
                add_notes(&mut view.notes, settled.take_notes());
                for name in settled.take_landed() {
                    if view.landed.len() < SHOWN_ROOTS && !view.landed.contains(&name) {
                        view.landed.push(name);
                    }
                }
            }
            if let Some(left_out) = left_out {
                left_out.show(view);
            }
        };
        if waits {
            let mut cause = end.cause.unwrap_or_else(|| Reason::ConnectionLost.into());
            let name = (self.inner.deps.names)(self.session.device_id());
            if disconnected {
                cause.hint = format!("It goes on by itself when {name} is there again.");
            }
            if full && let Err(error) = self.inner.registry.hold(self.id, Some(Reason::DiskFull)).await {
                tracing::warn!(%error, "that a transfer is held could not be recorded");
            }
            self.inner.registry.wait(self.id, cause, change).await;
            return self.hear_late_commands().await;
        }
        self.inner.full().remove(&self.id);
        self.inner.written().remove(&self.id);
        self.inner.without_limits(self.id);
        self.inner.registry.end(self.id, end, None, Vec::new(), change).await;
    }

    /// Handles commands that arrived after the attempt had stopped listening, so that a cancellation is not lost with
    /// the channel.
    async fn hear_late_commands(&mut self) {
        self.asked.close();
        let mut stopped = false;
        while let Some(command) = self.asked.recv().await {
            stopped |= matches!(command, Command::Decline | Command::Cancel);
        }
        if stopped && let Err(error) = self.inner.registry.stop(self.id, || Command::Cancel).await {
            tracing::debug!(%error, "it ended meanwhile");
        }
    }

    fn is_paired(&self) -> bool {
        (self.inner.deps.presence)(self.session.device_id()) != Presence::Stranger
    }

    /// Tells the sender why the transfer ends, if the sender does not know.
    async fn last_word(&self, end: &End, waits: bool, completed: bool) {
        if let Some(reason) = end.failure()
            && !completed
            && !waits
            && !self.told
            && *reason != Reason::ConnectionLost
        {
            let frame = match self.live {
                Some(_) => ReceiverFrame::Cancel { code: reason.clone() },
                None => declined(reason.clone()),
            };
            self.out.farewell(&frame).await;
        }
    }
}

impl Receiving {
    /// Returns the end of a transfer in which every file has a result.
    pub(super) fn ran(&self, settled: &Committed, expected: u32) -> End {
        let (failed, first) = settled.failures();
        let left_out = self.left_out(settled).incomplete(0, None);
        End::ran(failed, expected, first.as_ref(), settled.files.load(Ordering::Relaxed), left_out)
    }

    /// Returns what is missing of the entries that the sender named, without what was not selected here.
    pub(super) fn left_out(&self, settled: &Committed) -> ReasonCounts {
        let shown = self.inner.registry.view(self.id);
        let mut left_out = settled.left_out();
        for reason in &NOT_WANTED {
            left_out.add(reason, shown.as_ref().map_or(0, |view| shown_count(view, reason)));
        }
        left_out
    }
}
