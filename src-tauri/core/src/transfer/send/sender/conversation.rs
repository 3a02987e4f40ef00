//! Conversation of an attempt: the frames of both sides, and the tasks that send the data.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use n0_future::boxed::BoxFuture;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    super::{
        input,
        pace::{Pace, Pacer},
    },
    Sending, TICK, keep, lost,
    opening::Opening,
    waiting,
};
use crate::{
    api::{Amount, Note, TransferState},
    error::NetworkError,
    fs::names::escaped,
    net::Session,
    queue::{progress::RateMeter, scheduler::Turn},
    transfer::{
        TransferError,
        left_out::NOTES,
        protocol::{
            control_stream,
            frames::{FileReceived, SenderFrame, Violation},
            framing::StreamHeader,
            lifecycle::sender::{
                Reachable, SendAction as Action, SendInput as Input, SendPhase as Phase, SendShown as Shown,
            },
            reason::Reason,
            selection,
            silence::Silence,
            state::{FromReceiver, Plan},
        },
        send::attempt::{Broken, SendAttempt, proven, until},
    },
};

/// Delay before an accepted transfer is recorded for a restart. For a transfer that is over sooner the record would
/// cost more than it saves.
const KEEP_AFTER: Duration = Duration::from_millis(500);
/// Age below which a session may already belong to a restarted peer.
const JUST_NOW: Duration = Duration::from_secs(2);

/// Samples of a conversation, taken at each tick.
struct Samples {
    since: Instant,
    meter: RateMeter,
    silence: Silence,
    pacer: Pacer,
    /// True once the plan is known.
    sends: bool,
}

impl Sending {
    /// Opens a control stream, sends the first frames, and talks until the life cycle has closed the attempt.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be opened.
    pub(super) async fn converse(&mut self, opening: Opening) -> Result<(), NetworkError> {
        let Opening { session, source, machine, attempt: attempt_id, frames: first, resumes } = opening;
        let opened = tokio::select! {
            opened = session.open_sealed() => opened?,
            () = self.until_stopped() => return Ok(()),
        };
        let (sender, receiver) = opened.split();
        let frames = control_stream::read(&self.inner.tasks, receiver, self.stop.clone());
        let out = control_stream::write(&self.inner.tasks, sender, self.stop.clone());
        let suite = if self.order.terms.options.encrypt { session.keys().suite() as u8 } else { 0 };
        let header = StreamHeader { suite, transfer: *self.order.id.as_bytes(), attempt: attempt_id };
        let mut attempt = SendAttempt::new(source, header, machine, frames, out.clone());
        attempt.compress = self.order.terms.options.compress;
        attempt.input.clone_from(&self.input);
        attempt.jobs.spawn(until(&self.stop, async move {
            for frame in first {
                if !out.send(&frame).await {
                    return Err(Broken::Stream);
                }
            }
            Ok(())
        }));
        self.advance(if resumes { Input::ResumeSent } else { Input::OfferSent });
        self.talk(&session, &mut attempt).await;
        if self.error.as_ref().is_some_and(|error| Reason::from(error) == Reason::ProtocolViolation) {
            session.close(crate::net::CloseCode::Violation, "");
        }
        self.stop.cancel();
        attempt.wind_up().await;
        Ok(())
    }

    /// Handles what happens until the life cycle has closed the attempt.
    async fn talk(&mut self, session: &Session, attempt: &mut SendAttempt) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut samples = Samples {
            since: Instant::now(),
            meter: RateMeter::default(),
            silence: Silence::new(Duration::ZERO, session.datagrams_heard()),
            pacer: Pacer::default(),
            sends: false,
        };
        let mut restarted = self.inner.gone(self.order.device);
        while !self.carry_out(session, attempt).await {
            let deadline = self.life.deadline();
            tokio::select! {
                frame = attempt.frames.recv() => {
                    if let Err(error) = self.frame(attempt, &mut samples, frame) {
                        self.fail_with(session, error);
                    }
                }
                verified = proven(&mut attempt.proving) => match verified {
                    Ok((plan, invalid)) => self.verified(attempt, plan, &invalid).await,
                    Err(error) => self.fail(error),
                },
                turn = granted(&mut self.turn_request) => {
                    (self.turn, self.turn_request) = (Some(turn), None);
                    attempt.go(session, self.limits.clone(), &self.inner.budget, &self.stop);
                    self.advance(Input::SlotGranted);
                }
                Ok(()) = restarted.changed() => {
                    // A session that was opened just now may already be with the restarted node, whose hello came
                    // over another session.
                    if session.since().elapsed() >= JUST_NOW {
                        self.advance(Input::PeerRestarted);
                    }
                }
                ended = attempt.jobs.join_next(), if !attempt.jobs.is_empty() => match ended {
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(Broken::Stream))) => self.advance(Input::StreamBroken),
                    Some(Ok(Err(Broken::Descriptors))) => self.advance(Input::Failed(Reason::SenderOutOfFiles)),
                    Some(Ok(Err(Broken::Source))) => self.advance(Input::Failed(Reason::SourceGone)),
                    Some(Err(_)) | None => self.fail(TransferError::Internal("a sending task failed").into()),
                },
                command = self.commands.recv() => self.command(command),
                () = input::broken_off(&mut self.input) => self.advance(Input::InputBrokenOff),
                () = waiting::until(self.epoch, deadline) => self.advance(Input::Timer(Reachable::Maybe)),
                _ = tick.tick() => self.tick(session, attempt, &mut samples),
                () = self.inner.cancel.cancelled() => self.advance(Input::Shutdown),
            }
            if self.life.is_idle() && !attempt.waits_for_input(self.tally.bytes) {
                self.advance(Input::Idle(false));
            }
        }
    }

    /// Carries out the actions of the life cycle. Returns true once it has closed the attempt; what it wants afterwards
    /// stays queued.
    async fn carry_out(&mut self, session: &Session, attempt: &mut SendAttempt) -> bool {
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::SendManifest => attempt.send_manifest(&self.stop),
                Action::VerifyClaims => attempt.prove(&self.inner.budget.threads.of(session.device_id())),
                Action::AssumeAccepted => self.source = Some(attempt.source.clone()),
                Action::Accept => self.accept(attempt),
                Action::RequestSlot => {
                    self.turn_request = Some(Box::pin(self.inner.turns.clone().turn(self.order.id)));
                }
                Action::ReleaseSlot => (self.turn, self.turn_request) = (None, None),
                Action::Gate(open) => {
                    attempt.gate.set(open);
                    match open {
                        true => self.watch.start(self.inner.since.elapsed()),
                        false => self.watch.stop(),
                    }
                }
                Action::TellPause(true) => attempt.out.tell(&SenderFrame::Pause),
                Action::TellPause(false) => attempt.out.tell(&SenderFrame::Resume),
                Action::Show(shown) => self.show(shown),
                Action::LastWord(code) => attempt.out.farewell(&SenderFrame::Cancel { code }).await,
                Action::CloseAttempt => return true,
                other => self.between_attempts(other).await,
            }
        }
        false
    }

    fn show(&self, shown: Shown) {
        self.inner.registry.show(self.order.id, |view| match shown {
            Shown::Paused(reason) => {
                (view.state, view.reason, view.rate, view.eta) =
                    (TransferState::Paused, Some(reason.into()), 0.0, None);
            }
            Shown::Active => (view.state, view.reason) = (TransferState::Active, None),
            Shown::Queued => (view.state, view.reason) = (TransferState::Queued, None),
            Shown::Undecided if view.state == TransferState::Paused => {
                (view.state, view.reason) = (TransferState::Waiting, None);
            }
            Shown::Undecided => {}
        });
    }

    /// Ends the attempt with an error of its connection. A receiver that threw this device out has seen a violation.
    fn fail_with(&mut self, session: &Session, error: NetworkError) {
        if Reason::from(&error).is_disconnected() && control_stream::thrown_out(session) {
            let text = "the other device says that this one did".into();
            return self.fail(TransferError::Violation(Violation(text)).into());
        }
        self.fail(error);
    }

    /// Tells the receiver which claims are invalid, and makes the plan ready.
    async fn verified(&mut self, attempt: &mut SendAttempt, plan: Plan, invalid: &[u32]) {
        // A receiver that does not read must not keep people from cancelling.
        {
            let sending = attempt.send_anew(invalid);
            tokio::pin!(sending);
            while self.life.phase() == Phase::Verifying {
                tokio::select! {
                    () = &mut sending => break,
                    command = self.commands.recv() => self.command(command),
                    () = input::broken_off(&mut self.input) => self.advance(Input::InputBrokenOff),
                    () = self.inner.cancel.cancelled() => self.advance(Input::Shutdown),
                }
            }
        }
        attempt.ready(plan);
        self.advance(Input::Verified);
    }

    /// Handles a frame of the receiver, or the end of its stream.
    fn frame(
        &mut self,
        attempt: &mut SendAttempt,
        samples: &mut Samples,
        frame: Option<Result<Vec<u8>, NetworkError>>,
    ) -> Result<(), NetworkError> {
        let frame = frame.ok_or_else(lost)??;
        let meant = attempt.machine().frame(&frame).map_err(TransferError::Violation)?;
        match meant {
            FromReceiver::SendManifest => self.advance(Input::ManifestAsked),
            FromReceiver::Declined(reason) => self.advance(Input::Declined(reason)),
            FromReceiver::Accepted => {
                self.begun.get_or_insert_with(Instant::now);
                self.advance(Input::Accepted);
            }
            FromReceiver::Start(plan) => {
                samples.sends = true;
                self.planned(attempt, plan);
            }
            FromReceiver::Room { size, ended } => attempt.grant(size, ended),
            FromReceiver::Progress { bytes, files } => {
                (self.tally.bytes, self.tally.files) = (bytes, files);
                self.reports = self.reports.saturating_add(1);
                self.advance(Input::Progress { bytes });
            }
            FromReceiver::Received(list) => self.received(attempt, list),
            FromReceiver::Renamed(list) => {
                for item in list.iter().take(NOTES.saturating_sub(self.tally.notes.len())) {
                    let path = attempt.source.manifest.shown(item.entry);
                    self.tally.notes.push(Note::SavedAs { path, name: escaped(&item.name) });
                }
            }
            FromReceiver::Complete { files, bytes } => {
                (self.tally.bytes, self.tally.files) = (bytes, files);
                self.watch.sample(self.inner.since.elapsed(), bytes);
                self.advance(Input::Completed);
            }
            FromReceiver::Cancelled(reason) => self.advance(Input::CancelledThere(reason)),
            FromReceiver::Pause(reason) => self.advance(Input::PausedThere(reason)),
            FromReceiver::Resume => self.advance(Input::ResumedThere),
            FromReceiver::Noted => {}
        }
        Ok(())
    }

    /// Takes the receiver's selection and claims.
    fn planned(&mut self, attempt: &mut SendAttempt, plan: Plan) {
        let manifest = &attempt.source.manifest;
        let (files, whole, parts) = plan.held(manifest);
        let bytes = whole + parts;
        (self.tally.files, self.tally.bytes) = (files, bytes);
        self.watch.begin_at(bytes);
        self.delivered = plan.whole.clone();
        let (wanted, total) = selection::measure(manifest, &plan.selected);
        self.not_taken = u64::from(manifest.files().saturating_sub(wanted));
        let all = Amount { files: manifest.files().into(), bytes: manifest.total() };
        self.offered_in_all = (self.not_taken > 0).then_some(all);
        let (reasons, offered) = (self.reasons(), self.offered_in_all);
        self.inner.registry.show(self.order.id, |view| {
            (view.files, view.total, view.offered) = (wanted.into(), total, offered);
            (view.bytes, view.files_done) = (bytes, files.into());
            reasons.show(view);
        });
        self.show_length();
        let claims = !plan.held.is_empty();
        attempt.ready(plan);
        self.advance(Input::PlanKnown { claims });
    }

    fn received(&mut self, attempt: &SendAttempt, list: Vec<FileReceived>) {
        for item in list {
            let Some(reason) = item.failure else {
                self.delivered.insert(item.file);
                continue;
            };
            self.tally.failed += 1;
            self.tally.reasons.add(&reason, 1);
            if self.tally.notes.len() < NOTES {
                let path = attempt.source.manifest.shown(item.file);
                self.tally.notes.push(Note::Failed { path, reason: reason.code().to_owned() });
            }
            // The input may never end, so the rest would be sent for nothing.
            if attempt.source.manifest.is_growing() {
                return self.advance(Input::GrowingFileFailed(reason));
            }
            self.tally.first_failure.get_or_insert(reason);
        }
    }

    /// Takes what was offered as accepted: later attempts resume it instead of offering it again.
    fn accept(&mut self, attempt: &mut SendAttempt) {
        // After a wrong guess this still is the manifest as first offered, whatever has changed since.
        let source = self.source.clone().unwrap_or_else(|| attempt.source.clone());
        self.source = Some(source.clone());
        let (inner, id, terms, kept) = (self.inner.clone(), self.order.id, self.order.terms.clone(), self.kept.clone());
        attempt.jobs.spawn(until(&self.stop, async move {
            sleep(KEEP_AFTER).await;
            keep(&inner, id, &source, terms, &kept).await;
            Ok(())
        }));
    }

    /// Samples the progress, shows it, and looks for a receiver that takes nothing.
    fn tick(&mut self, session: &Session, attempt: &SendAttempt, samples: &mut Samples) {
        if attempt.waits_for_input(self.tally.bytes) {
            self.advance(Input::Idle(true));
        }
        if self.kept.load(Ordering::Relaxed) {
            self.advance(Input::AcceptanceKept);
        }
        let Some(begun) = self.begun.filter(|_| samples.sends) else { return };
        let now = samples.since.elapsed();
        let silent = samples.silence.is_silent(now);
        self.keep_pace(&mut samples.pacer, now, attempt, silent);
        let (bytes, files, moves) = (self.tally.bytes, self.tally.files, self.life.is_sending());
        samples.meter.sample(begun.elapsed(), bytes);
        let noticed = samples.silence.listen(samples.since.elapsed(), session.datagrams_heard());
        if noticed.ask {
            session.ask_for_sign_of_life();
        }
        self.watch.sample(self.inner.since.elapsed(), bytes);
        if self.watch.is_due(self.inner.since.elapsed()) {
            self.inner.registry.record_soon(self.order.id, &self.inner.tasks);
        }
        let (seconds, mean_rate) = (self.watch.seconds(), self.watch.mean_rate());
        self.show_length();
        let meter = &samples.meter;
        self.inner.registry.show(self.order.id, |view| {
            (view.seconds, view.mean_rate) = (seconds, mean_rate);
            (view.bytes, view.files_done) = (bytes, files.into());
            view.rate = if moves { meter.rate() } else { 0.0 };
            view.eta = meter.eta(view.total.saturating_sub(bytes)).filter(|_| moves && !view.growing);
            view.heard_nothing_for(noticed.seconds.filter(|_| moves));
        });
    }

    /// Lets the scheduler lend the slot to others while the receiver takes nothing.
    fn keep_pace(&mut self, pacer: &mut Pacer, now: Duration, attempt: &SendAttempt, silent: bool) {
        let Some(turn) = &self.turn else {
            return pacer.rest();
        };
        let (written, blocked) = attempt.written.now();
        let counts = [written, self.tally.bytes, self.tally.files.into(), self.reports];
        match pacer.sample(now, counts, blocked, !silent) {
            Pace::Moves => turn.stalls(false),
            Pace::Stalls => turn.stalls(true),
            Pace::GivenUp => self.advance(Input::Stalled),
        }
    }
}

/// Waits for the requested scheduler slot; forever if none is requested.
async fn granted(request: &mut Option<BoxFuture<Turn>>) -> Turn {
    match request {
        Some(turn) => turn.await,
        None => std::future::pending().await,
    }
}
