//! Sends one transfer: from the scan to the receiver's final frame, over as many connections as needed.
//!
//! Over 800 lines because every step of an attempt works on the state of the one transfer, which is not split yet.
//!
//! - `pause`: what holds a transfer back: a pause on either side, the queue, a source disk that is gone.
//! - `growing`: a file that is still being written.
//! - `missing`: the record of what the receiver lacks, for sending it again.
//! - `cancel_notice`: tells a receiver that was offline that the transfer was stopped.
//!
//! Must not know how data is read and sealed (`send::reader`), nor how sessions are dialled: it is given a connector.

pub(in crate::transfer) mod cancel_notice;
mod growing;
mod missing;
pub(in crate::transfer) mod pause;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use n0_future::boxed::BoxFuture;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    input::{self, Input},
    pace::Pacer,
    source::{Only, Source, Whereabouts, scan},
};
pub(in crate::transfer) use crate::transfer::send::sender::cancel_notice::tell_stopped;
use crate::{
    api::{Amount, Direction, Note, TransferState, TransferView},
    clock::{jitter, random},
    error::NetworkError,
    fs::{names::escaped, private::DataDirGuard},
    id::{DeviceId, TransferId},
    net::{ALPN_TRANSFER, Session},
    queue::{
        backoff::Backoff,
        progress::{RateMeter, Stopwatch},
        rate_limit::RateLimits,
        scheduler::Turn,
    },
    transfer::{
        Inner, Presence, TransferError,
        left_out::{NOTES, ReasonCounts, add_notes, shown_count},
        protocol::{
            control_stream,
            frames::{Offer, ResumeOffer, SenderFrame, Violation},
            framing::StreamHeader,
            index_set::IndexSet,
            limits::{BATCH, VERSION},
            reason::{Cause, Reason},
            selection,
            silence::Silence,
            state::{FromReceiver, SenderMachine},
        },
        record::{Accepted, Outgoing, Terms},
        registry::{Command, End},
        send::{
            attempt::{Broken, SendAttempt, proven, until},
            sender::pause::{come, stalled_pause},
        },
    },
};

/// Wait for the receiver's reason after a stream broke.
const GRACE: Duration = Duration::from_secs(5);
/// Interval of progress updates: ten times a second.
const TICK: Duration = Duration::from_millis(100);
/// Delay before an accepted transfer is recorded for a restart. For a transfer that is over sooner the record would
/// cost more than it saves.
const KEEP_AFTER: Duration = Duration::from_millis(500);
/// Interval between checks for a source disk that was taken out.
const LOOK_FOR_DISK: Duration = Duration::from_secs(2);
/// Upper limit of the pause before a reachable receiver that was busy is asked again: a slot may be free at any
/// moment.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
/// Timeout for telling the receiver that a transfer was stopped.
const FAREWELL: Duration = Duration::from_secs(10);

/// Job of the sender: what to send, and to whom.
pub(in crate::transfer) struct Order {
    pub id: TransferId,
    pub device: DeviceId,
    pub terms: Outgoing,
    /// True if the transfer was begun in an earlier run of the node.
    pub restored: bool,
}

/// Runs a transfer to its end, or until the node shuts down.
pub(in crate::transfer) async fn run(inner: Arc<Inner>, order: Order, asked: mpsc::Receiver<Command>) {
    let there = inner.there(order.device);
    let (id, device) = (order.id, order.device);
    let met = order.restored || order.terms.options.wait;
    let shown = inner.registry.view(id);
    let watch = shown.as_ref().map(|view| Stopwatch::of(view.seconds, view.mean_rate)).unwrap_or_default();
    let not_taken = shown.as_ref().map_or(0, |view| shown_count(view, &Reason::NotTaken));
    let input = growing::input(&inner, &order.terms).await;
    let mut sending = Sending {
        inner: inner.clone(),
        input,
        restored: order.restored,
        asked,
        there,
        stop: CancellationToken::new(),
        begun: None,
        watch,
        skipped: ReasonCounts::of(&order.terms.skipped),
        not_taken,
        offered_in_all: shown.and_then(|view| view.offered),
        tally: Tally::default(),
        last: Tally::default(),
        only: None,
        delivered: IndexSet::default(),
        met,
        offering: false,
        offered: false,
        source: None,
        guessed: false,
        kept: Arc::new(AtomicBool::new(false)),
        backoff: Backoff::default(),
        busy_there: false,
        stalls: (0, 0),
        words: 0,
        gave_up: false,
        held: inner.registry.held(id).is_some(),
        held_there: None,
        turn: None,
        waiting: None,
        limits: inner.limits_of(id, Direction::Send),
        order,
    };
    let end = sending.run().await;
    sending.turn = None;
    let Some(end) = end else { return };
    sending.show_length();
    inner.turns.change(|order| order.leave(id));
    sending.watch.end(inner.since.elapsed());
    let reasons = sending.reasons();
    // Recorded so that a person can send the missing rest again.
    let (paths, rows) = sending.missing().await;
    let part = rows > 0;
    let terms = Outgoing { untold: end.untold, accepted: None, rows, part, ..sending.order.terms.clone() };
    let Tally { bytes, files, notes, .. } = sending.tally;
    inner
        .registry
        .end(id, end.end, Some(Terms::Outgoing(terms)), paths, |view| {
            (view.seconds, view.mean_rate) = (sending.watch.seconds(), sending.watch.mean_rate());
            (view.bytes, view.files_done) = (bytes, files.into());
            reasons.show(view);
            add_notes(&mut view.notes, notes);
        })
        .await;
    inner.show_places();
    remove_spooled(&inner.deps.data_dir, &sending.order.terms).await;
    if end.untold {
        inner.tasks.spawn(tell_stopped(inner.clone(), id, device));
    }
}

/// Limit of immediate retries of an offer that got no answer because its connection was already dead.
const OFFERED_AGAIN: u32 = 3;

/// Returns the paths that are never sent, as they are now.
async fn private(data_dir: PathBuf) -> Result<Arc<DataDirGuard>, NetworkError> {
    let looked = tokio::task::spawn_blocking(move || Arc::new(DataDirGuard::of(&data_dir)));
    Ok(looked.await.map_err(|_| TransferError::Internal("looking at the data directory failed"))?)
}

/// Removes the spooled input streams of a transfer. Paths outside the spool are never removed, whatever the request
/// named.
async fn remove_spooled(data_dir: &Path, terms: &Outgoing) {
    let Ok(dir) = tokio::fs::canonicalize(data_dir).await else { return };
    let spool = crate::fs::private::spool_of(&dir);
    for path in terms.spooled().filter(|path| path.parent() == Some(spool.as_path())) {
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a stream that was sent cannot be removed");
            }
            _ => {}
        }
    }
}

/// Age below which a session may already belong to a restarted peer.
const JUST_NOW: Duration = Duration::from_secs(2);

struct Sending {
    inner: Arc<Inner>,
    order: Order,
    asked: mpsc::Receiver<Command>,
    /// Changes when the device is heard.
    there: watch::Receiver<u64>,
    /// Cancels the tasks of the current attempt.
    stop: CancellationToken,
    begun: Option<Instant>,
    /// State of the input that is still being written; `None` if the transfer has no growing file.
    input: Option<watch::Receiver<Input>>,
    /// Time during which bytes moved, over all attempts.
    watch: Stopwatch,
    /// Entries that could not be offered, by reason.
    skipped: ReasonCounts,
    /// Number of files that the receiver did not select, and (`offered_in_all`) the amount that was offered then.
    not_taken: u64,
    offered_in_all: Option<Amount>,
    tally: Tally,
    /// Tally of the previous attempt.
    last: Tally,
    /// Paths to send when only a part of the named ones is sent; `None` means all.
    only: Option<Arc<Only>>,
    /// Files of `source` that the receiver has.
    delivered: IndexSet,
    /// True once the receiver has answered, or if a person wants the transfer to wait. It then does not fail while the
    /// device is offline.
    met: bool,
    restored: bool,
    /// `offering`: an offer was sent in this run. `offered`: an earlier attempt of this run sent one, too.
    offering: bool,
    offered: bool,
    /// The source as the receiver accepted it.
    source: Option<Arc<Source>>,
    /// True if `source` is only assumed to be accepted.
    guessed: bool,
    /// True once the acceptance is on record.
    kept: Arc<AtomicBool>,
    backoff: Backoff,
    /// True if the receiver was busy at the last attempt.
    busy_there: bool,
    /// Number of attempts in a row that were given up because the receiver took nothing, and the bytes it had by
    /// then.
    stalls: (u32, u64),
    /// Number of progress frames from the receiver.
    words: u64,
    /// True if the last attempt ended because the receiver took nothing.
    gave_up: bool,
    /// True while paused on this side: nothing is sent.
    held: bool,
    /// Reason while paused at the receiver.
    held_there: Option<Reason>,
    /// Slot of the scheduler; the transfer may send while it has one.
    turn: Option<Turn>,
    /// Pending request for a slot. It is kept because a new request starts behind the others.
    waiting: Option<BoxFuture<Turn>>,
    /// Rate limits: the transfer's own and the shared one.
    limits: Arc<RateLimits>,
}

/// Progress and results as reported by the receiver.
#[derive(Default)]
struct Tally {
    bytes: u64,
    files: u32,
    failed: u32,
    /// Failed files by reason.
    reasons: ReasonCounts,
    first_failure: Option<Reason>,
    notes: Vec<Note>,
}

/// End of a transfer. `untold` is true if the receiver has yet to hear of it.
struct Ended {
    end: End,
    untold: bool,
}

/// Result of a wait between attempts.
enum Waited {
    Retry,
    Over(Ended),
    Down,
}

fn lost() -> NetworkError {
    NetworkError::ConnectionLost("the other side closed the stream".into())
}

/// Returns the error that ends an attempt for this reason, so that the transfer can be resumed.
fn disconnected(reason: Reason) -> NetworkError {
    match reason {
        // The peer says that it lost the connection or was stopped. This side sees no more than a lost connection.
        Reason::ConnectionLost
        | Reason::ConnectionFailed
        | Reason::ConnectionTimeout
        | Reason::DeviceOffline
        | Reason::Interrupted => lost(),
        reason => TransferError::Stopped(reason).into(),
    }
}

impl Sending {
    /// Runs attempt after attempt. Returns `None` if the node shuts down meanwhile; the transfer then resumes at the
    /// next start.
    async fn run(&mut self) -> Option<Ended> {
        let mut first = !self.restored;
        let mut again = 0;
        loop {
            if !first {
                match self.wait().await {
                    Waited::Retry => {}
                    Waited::Over(ended) => return Some(ended),
                    Waited::Down => return None,
                }
            }
            first = false;
            self.stop = CancellationToken::new();
            let _stop = self.stop.clone().drop_guard();
            self.last = std::mem::take(&mut self.tally);
            let outcome = self.attempt().await;
            (self.turn, self.waiting, self.held_there) = (None, None, None);
            let error = match outcome {
                Ok(end) => {
                    // If this side ended it, the receiver may not know: the connection may have been dead already.
                    let cancelled = end.is_cancelled_here() && self.may_be_known();
                    return Some(Ended { end, untold: cancelled || self.is_to_be_told() });
                }
                Err(error) => error,
            };
            self.there.mark_unchanged();
            let reason = Reason::from(&error);
            self.busy_there = reason.is_busy();
            let down = self.inner.cancel.is_cancelled();
            // The device may just have restarted or moved, and this side did not know yet. An offer is retried at
            // once.
            if !self.met && !down && reason == Reason::ConnectionLost && again < OFFERED_AGAIN {
                again += 1;
                first = true;
                continue;
            }
            if !self.may_wait(&reason) {
                let end = if down { End::by(Reason::Interrupted) } else { End::failed(&error) };
                let untold = self.may_be_known() && reason != Reason::DeviceNotPaired;
                return Some(Ended { end, untold });
            }
            let certain = |_: &Arc<Source>| !self.guessed && !self.kept.load(Ordering::Relaxed);
            if let Some(source) = self.source.clone().filter(certain) {
                keep(&self.inner, self.order.id, &source, self.order.terms.clone(), &self.kept).await;
            }
            if reason == Reason::SourceGone {
                self.hold(reason).await;
            }
            let cause = if down { Reason::Interrupted.into() } else { self.cause(&error) };
            self.watch.stop();
            let (seconds, mean_rate) = (self.watch.seconds(), self.watch.mean_rate());
            let Tally { bytes, files, notes, .. } = &self.tally;
            let (bytes, files, notes) = (*bytes, *files, notes.clone());
            let shown = |view: &mut TransferView| {
                // The counts never fall: an attempt that failed early knows nothing of what the receiver has.
                (view.bytes, view.files_done) = (view.bytes.max(bytes), view.files_done.max(files.into()));
                (view.seconds, view.mean_rate) = (seconds, mean_rate);
                add_notes(&mut view.notes, notes);
            };
            self.inner.registry.wait(self.order.id, cause, shown).await;
            if down {
                return None;
            }
        }
    }

    fn cause(&self, error: &NetworkError) -> Cause {
        let mut cause = Cause::from(error);
        if cause.reason.is_disconnected() {
            let name = (self.inner.deps.names)(self.order.device);
            cause.hint = format!("It goes on by itself when {name} is there again.");
        }
        cause
    }

    /// Returns true if there is another attempt after one that ended for this reason.
    fn may_wait(&self, reason: &Reason) -> bool {
        // Descriptors become free again, so no transfer fails for want of them, not even a new one.
        reason.is_out_of_descriptors() || (self.met && reason.is_retryable())
    }

    /// Waits for the next attempt: until the device is heard, or until the backoff ends while the device seems to be
    /// reachable.
    async fn wait(&mut self) -> Waited {
        self.held = self.inner.registry.held(self.order.id).is_some();
        let mut pause = self.backoff.failed(jitter());
        if std::mem::take(&mut self.busy_there) {
            pause = pause.min(BUSY_PAUSE);
        }
        // A receiver that took nothing is not asked again just because it was heard.
        let stalled = std::mem::take(&mut self.gave_up) && self.stalls.0 > 0;
        if stalled {
            pause = pause.max(stalled_pause(self.stalls.0));
        }
        loop {
            tokio::select! {
                changed = self.there.changed(), if !self.held && !stalled => {
                    return if changed.is_ok() { Waited::Retry } else { Waited::Down };
                }
                () = sleep(pause), if !self.held => match (self.inner.deps.presence)(self.order.device) {
                    Presence::Away => {}
                    Presence::There | Presence::Stranger => return Waited::Retry,
                },
                () = sleep(LOOK_FOR_DISK), if self.held => self.look_for_source().await,
                () = input::broken_off(&mut self.input) => {
                    return Waited::Over(Ended { end: growing::early(), untold: self.is_to_be_told() });
                }
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => {}
                    Some(Command::Held) => {
                        self.held = self.inner.registry.held(self.order.id).is_some();
                        if !self.held {
                            return Waited::Retry;
                        }
                    }
                    Some(Command::Decline | Command::Cancel) | None => {
                        return Waited::Over(Ended { end: End::cancelled_here(), untold: self.may_be_known() });
                    }
                },
                () = self.inner.cancel.cancelled() => return Waited::Down,
            }
        }
    }

    /// Returns true if the receiver may have staged data of this transfer.
    fn may_be_known(&self) -> bool {
        self.source.is_some() || self.order.terms.accepted.is_some()
    }

    /// Runs one attempt over one connection.
    async fn attempt(&mut self) -> Result<End, NetworkError> {
        if (self.inner.deps.presence)(self.order.device) == Presence::Stranger {
            return Err(NetworkError::DeviceNotPaired((self.inner.deps.names)(self.order.device)));
        }
        if self.is_broken_off() {
            return Ok(growing::early());
        }
        self.show_length();
        self.restore().await?;
        let Some(accepted) = self.source.clone() else { return self.first().await };
        let Some(session) = self.connect().await? else { return self.stopped() };
        let changed = self.inner.budget.threads.of(self.order.device).look(move || {
            let there = accepted.whereabouts();
            let changes = accepted.changes()?;
            let source = accepted.with_changes(&changes);
            Ok::<_, std::io::Error>((there, accepted, changes, source))
        });
        let changed = changed.await.map_err(|_| TransferError::Internal("looking at files failed"))?;
        let (there, accepted, changes, source) = changed.map_err(|error| {
            tracing::info!(%error, "what is to be sent cannot be looked at now");
            disconnected(Reason::SenderOutOfFiles)
        })?;
        match there {
            Whereabouts::There => {}
            // No claim of the receiver could be verified, and it would discard its data.
            Whereabouts::Away => return Err(disconnected(Reason::SourceGone)),
            Whereabouts::Deleted => return Err(TransferError::Stopped(Reason::SourceDeleted).into()),
        }
        let source = Arc::new(source.map_err(TransferError::Violation)?);
        let attempt = attempt_id()?;
        let again = ResumeOffer {
            version: VERSION,
            transfer: *self.order.id.as_bytes(),
            attempt,
            manifest: hash_of(&accepted).await?,
            changed: u32::try_from(changes.len()).unwrap_or(u32::MAX),
        };
        let mut frames = vec![SenderFrame::ResumeOffer(again)];
        frames.extend(changes.chunks(BATCH).map(|changes| SenderFrame::Changed(changes.to_vec())));
        let machine = self.with_length(SenderMachine::again(source.manifest.clone()));
        self.converse(&session, source, machine, attempt, frames).await
    }

    /// Restores from the record what was accepted in an earlier run of the node.
    async fn restore(&mut self) -> Result<(), NetworkError> {
        if let (None, Some(accepted)) = (&self.source, &self.order.terms.accepted)
            && let Some(manifest) = self.inner.registry.manifest(self.order.id, accepted.pages).await?
        {
            let left_out = self.inner.registry.paths(self.order.id, self.order.terms.rows).await?.unwrap_or_default();
            let private = private(self.inner.deps.data_dir.clone()).await?;
            let source = Source::restored(manifest, accepted.roots(), accepted.pages, private);
            self.source = Some(Arc::new(source.without(left_out)));
            self.kept.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Scans and offers a transfer that the receiver has not accepted yet, as far as is known.
    async fn first(&mut self) -> Result<End, NetworkError> {
        self.show_wait(Reason::Listing.into());
        let Some(source) = self.scan().await? else { return self.stopped() };
        if self.order.terms.options.strict && source.left_out.reasons.total() > 0 {
            return Err(TransferError::LeftOut(Box::new(source.left_out.as_ref().clone())).into());
        }
        tracing::debug!(id = %self.order.id, entries = source.manifest.len(), "listed what is to be sent");
        let source = Arc::new(source);
        let manifest = source.manifest.clone();
        self.inner.registry.show(self.order.id, |view| {
            (view.files, view.total) = (manifest.files().into(), manifest.total());
            (view.roots, view.root_count) = (manifest.shown_roots(), manifest.root_count());
            view.notes.clone_from(&source.left_out.notes);
            source.left_out.reasons.show(view);
        });
        self.show_length();
        self.skipped = source.left_out.reasons.clone();
        self.order.terms.skipped = self.skipped.counts();
        self.show_wait(match (self.inner.deps.presence)(self.order.device) {
            Presence::Away => self.cause(&NetworkError::DeviceOffline((self.inner.deps.names)(self.order.device))),
            _ => Reason::Connecting.into(),
        });
        let Some(session) = self.connect().await? else { return self.stopped() };
        let attempt = attempt_id()?;
        let offer = Offer {
            version: VERSION,
            transfer: *self.order.id.as_bytes(),
            attempt,
            entries: manifest.len(),
            files: manifest.files(),
            total: manifest.total(),
            roots: manifest.roots(),
            root_count: manifest.root_count(),
            skipped: u32::try_from(self.skipped.total()).unwrap_or(u32::MAX),
            pages: source.pages,
            compress: self.order.terms.options.compress,
            encrypt: self.order.terms.options.encrypt,
        };
        self.inner.registry.show(self.order.id, |view| (view.state, view.reason) = (TransferState::Offered, None));
        let before = std::mem::replace(&mut self.offering, true);
        self.offered |= before;
        let machine = self.with_length(SenderMachine::new(manifest));
        self.converse(&session, source, machine, attempt, vec![SenderFrame::Offer(offer)]).await
    }

    /// Returns the result of an attempt that was stopped before anything was sent: by a person, by broken-off input
    /// or by a shutdown.
    fn stopped(&self) -> Result<End, NetworkError> {
        match self.inner.cancel.is_cancelled() {
            true => Err(NetworkError::ShuttingDown),
            false if self.is_broken_off() => Ok(growing::early()),
            false => Ok(End::cancelled_here()),
        }
    }

    /// Lists what is to be sent. Returns `None` if it was cancelled meanwhile.
    async fn scan(&mut self) -> Result<Option<Source>, NetworkError> {
        self.know_part().await?;
        let (named, only) = (self.order.terms.named(), self.only.clone());
        let data_dir = self.inner.deps.data_dir.clone();
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = stopped.clone();
        let mut scanning = self.inner.budget.threads.of(self.order.device).look(move || {
            scan(&named, Arc::new(DataDirGuard::of(&data_dir)), only.as_deref(), &|| seen.load(Ordering::Relaxed))
        });
        let scanned = tokio::select! {
            scanned = &mut scanning => scanned,
            () = self.told_to_stop() => {
                stopped.store(true, Ordering::Relaxed);
                let _ = scanning.await;
                return Ok(None);
            }
        };
        Ok(Some(scanned.map_err(|_| TransferError::Internal("listing files failed"))??))
    }

    async fn connect(&mut self) -> Result<Option<Session>, NetworkError> {
        let session = self.inner.deps.connector.session(self.order.device, ALPN_TRANSFER);
        tokio::select! {
            session = session => session.map(Some),
            () = self.told_to_stop() => Ok(None),
        }
    }

    /// Waits until a person cancels, the input breaks off, or the node shuts down.
    async fn told_to_stop(&mut self) {
        loop {
            tokio::select! {
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => {}
                    // The pause is checked again before anything is sent.
                    Some(Command::Held) => self.held = self.inner.registry.held(self.order.id).is_some(),
                    Some(Command::Decline | Command::Cancel) | None => return,
                },
                () = input::broken_off(&mut self.input) => return,
                () = self.inner.cancel.cancelled() => return,
            }
        }
    }

    /// Opens a control stream, sends the `first` frames, and runs the attempt to its end.
    async fn converse(
        &mut self,
        session: &Session,
        source: Arc<Source>,
        machine: SenderMachine,
        attempt: [u8; 16],
        first: Vec<SenderFrame>,
    ) -> Result<End, NetworkError> {
        let opened = tokio::select! {
            opened = session.open_sealed() => opened?,
            () = self.told_to_stop() => return self.stopped(),
        };
        let (sender, receiver) = opened.split();
        let frames = control_stream::read(&self.inner.tasks, receiver, self.stop.clone());
        let out = control_stream::write(&self.inner.tasks, sender, self.stop.clone());
        let suite = if self.order.terms.options.encrypt { session.keys().suite() as u8 } else { 0 };
        let header = StreamHeader { suite, transfer: *self.order.id.as_bytes(), attempt };
        let mut talk = SendAttempt::new(source, header, machine, frames, out.clone());
        talk.compress = self.order.terms.options.compress;
        talk.input.clone_from(&self.input);
        talk.jobs.spawn(until(&self.stop, async move {
            for frame in first {
                if !out.send(&frame).await {
                    return Err(Broken::Stream);
                }
            }
            Ok(())
        }));
        let mut end = self.talk(session, &mut talk).await;
        if end.as_ref().is_err_and(|error| Reason::from(error).is_disconnected()) && control_stream::thrown_out(session)
        {
            let text = "the other device says that this one did".into();
            end = Err(TransferError::Violation(Violation(text)).into());
        }
        if let Err(error) = &end
            && Reason::from(error) == Reason::ProtocolViolation
        {
            talk.out.farewell(&SenderFrame::Cancel { code: Reason::ProtocolViolation }).await;
            session.close(crate::net::CloseCode::Violation, "");
        }
        self.stop.cancel();
        talk.wind_up().await;
        end
    }

    async fn talk(&mut self, session: &Session, talk: &mut SendAttempt) -> Result<End, NetworkError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut meter = RateMeter::default();
        let since = Instant::now();
        let mut silence = Silence::new(Duration::ZERO, session.datagrams_heard());
        let mut sends = false;
        let mut pacer = Pacer::default();
        let mut gone = self.inner.gone(self.order.device);
        loop {
            self.wait_for_turn(talk);
            tokio::select! {
                frame = talk.frames.recv() => {
                    let frame = frame.ok_or_else(lost)??;
                    let meant = talk.machine().frame(&frame).map_err(TransferError::Violation)?;
                    self.met = true;
                    sends |= matches!(meant, FromReceiver::Start(_));
                    if let Some(end) = self.heard(talk, meant).await? {
                        return Ok(end);
                    }
                }
                proven = proven(&mut talk.proving) => {
                    let (plan, anew) = match proven {
                        Err(error) if Reason::from(&error).is_out_of_descriptors() => return Err(out_of_files(talk).await),
                        other => other?,
                    };
                    // A receiver that does not read must not keep people from cancelling.
                    tokio::select! {
                        () = talk.send_anew(&anew) => {}
                        () = self.told_to_stop() => return self.stopped(),
                    }
                    talk.ready(plan);
                    self.settle(talk);
                }
                turn = come(&mut self.waiting) => {
                    (self.turn, self.waiting) = (Some(turn), None);
                    talk.go(session, self.limits.clone(), &self.inner.budget, &self.stop);
                    self.settle(talk);
                }
                Ok(()) = gone.changed() => {
                    // A session that was opened just now may already be with the restarted node, whose hello came
                    // over another session.
                    if session.since().elapsed() >= JUST_NOW {
                        return Err(lost());
                    }
                }
                ended = talk.jobs.join_next(), if !talk.jobs.is_empty() => match ended {
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(Broken::Stream))) => return self.why_broken(talk).await,
                    Some(Ok(Err(Broken::Descriptors))) => return Err(out_of_files(talk).await),
                    Some(Ok(Err(Broken::Source))) => {
                        talk.out.farewell(&SenderFrame::Cancel { code: Reason::SourceGone }).await;
                        return Err(disconnected(Reason::SourceGone));
                    }
                    Some(Err(_)) | None => return Err(TransferError::Internal("a sending task failed").into()),
                },
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => {}
                    Some(Command::Held) => self.held_changed(talk),
                    Some(Command::Decline | Command::Cancel) | None => {
                        talk.out.farewell(&SenderFrame::Cancel { code: Reason::Cancelled }).await;
                        return Ok(End::cancelled_here());
                    }
                },
                () = input::broken_off(&mut self.input) => {
                    talk.out.farewell(&SenderFrame::Cancel { code: Reason::InputEndedEarly }).await;
                    return Ok(growing::early());
                }
                _ = tick.tick() => {
                    self.rest_without_input(talk);
                    let Some(begun) = self.begun.filter(|_| sends) else { continue };
                    self.keep_pace(&mut pacer, since.elapsed(), talk, silence.is_silent(since.elapsed()))?;
                    let (bytes, files, moves) = (self.tally.bytes, self.tally.files, self.turn.is_some());
                    meter.sample(begun.elapsed(), bytes);
                    let noticed = silence.listen(since.elapsed(), session.datagrams_heard());
                    if noticed.ask {
                        session.ask_for_sign_of_life();
                    }
                    self.watch.sample(self.inner.since.elapsed(), bytes);
                    if self.watch.is_due(self.inner.since.elapsed()) {
                        self.inner.registry.record_soon(self.order.id, &self.inner.tasks);
                    }
                    let (seconds, mean_rate) = (self.watch.seconds(), self.watch.mean_rate());
                    self.show_length();
                    self.inner.registry.show(self.order.id, |view| {
                        (view.seconds, view.mean_rate) = (seconds, mean_rate);
                        (view.bytes, view.files_done) = (bytes, files.into());
                        view.rate = if moves { meter.rate() } else { 0.0 };
                        view.eta = meter.eta(view.total.saturating_sub(bytes)).filter(|_| moves && !view.growing);
                        view.heard_nothing_for(noticed.seconds.filter(|_| moves));
                    });
                }
                () = self.inner.cancel.cancelled() => {
                    talk.out.farewell(&SenderFrame::Cancel { code: Reason::ShuttingDown }).await;
                    return Err(NetworkError::ShuttingDown);
                }
            }
        }
    }

    async fn heard(&mut self, talk: &mut SendAttempt, meant: FromReceiver) -> Result<Option<End>, NetworkError> {
        match meant {
            FromReceiver::SendManifest => talk.send_manifest(&self.stop),
            FromReceiver::Declined(reason) => return self.declined(talk, reason).map(Some),
            FromReceiver::Accepted => {
                self.begun.get_or_insert_with(Instant::now);
                self.backoff.succeeded();
                if self.source.is_none() || std::mem::take(&mut self.guessed) {
                    self.accepted(talk);
                }
            }
            FromReceiver::Start(plan) => {
                let (files, whole, parts) = plan.held(&talk.source.manifest);
                let bytes = whole + parts;
                (self.tally.files, self.tally.bytes) = (files, bytes);
                self.watch.begin_at(bytes);
                self.delivered = plan.whole.clone();
                let manifest = &talk.source.manifest;
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
                match plan.held.is_empty() {
                    true => talk.ready(plan),
                    false => talk.prove(&self.inner.budget.threads.of(self.order.device), plan),
                }
                self.settle(talk);
            }
            FromReceiver::Room { size, ended } => talk.grant(size, ended),
            FromReceiver::Progress { bytes, files } => {
                (self.tally.bytes, self.tally.files) = (bytes, files);
                self.words = self.words.saturating_add(1);
            }
            FromReceiver::Received(list) => {
                for item in list {
                    let Some(reason) = item.failure else {
                        self.delivered.insert(item.file);
                        continue;
                    };
                    self.tally.failed += 1;
                    self.tally.reasons.add(&reason, 1);
                    if self.tally.notes.len() < NOTES {
                        let path = talk.source.manifest.shown(item.file);
                        self.tally.notes.push(Note::Failed { path, reason: reason.code().to_owned() });
                    }
                    // The input may never end, so the rest would be sent for nothing.
                    if talk.source.manifest.is_growing() {
                        talk.out.farewell(&SenderFrame::Cancel { code: reason.clone() }).await;
                        return Ok(Some(End::by(reason)));
                    }
                    self.tally.first_failure.get_or_insert(reason);
                }
            }
            FromReceiver::Renamed(list) => {
                for item in list.iter().take(NOTES.saturating_sub(self.tally.notes.len())) {
                    let path = talk.source.manifest.shown(item.entry);
                    self.tally.notes.push(Note::SavedAs { path, name: escaped(&item.name) });
                }
            }
            FromReceiver::Complete { files, bytes } => {
                (self.tally.bytes, self.tally.files) = (bytes, files);
                self.watch.sample(self.inner.since.elapsed(), bytes);
                return Ok(Some(self.ran()));
            }
            FromReceiver::Cancelled(reason) if reason.is_disconnected() => return Err(disconnected(reason)),
            // The staged data stays at the receiver; the transfer resumes once there is space or a descriptor.
            FromReceiver::Cancelled(reason @ (Reason::DiskFull | Reason::ReceiverOutOfFiles))
                if self.may_be_known() =>
            {
                return Err(disconnected(reason));
            }
            FromReceiver::Cancelled(reason) => return Ok(Some(End::by(reason))),
            FromReceiver::Pause(reason) => {
                self.held_there = Some(reason);
                self.settle(talk);
            }
            FromReceiver::Resume => {
                self.held_there = None;
                self.settle(talk);
            }
            FromReceiver::Noted => {}
        }
        Ok(None)
    }

    /// Returns the number of files and bytes of the selection, as shown to people.
    fn shown(&self) -> (u32, u64) {
        let view = self.inner.registry.view(self.order.id);
        view.map_or((0, 0), |view| (u32::try_from(view.files).unwrap_or(u32::MAX), view.total))
    }

    /// Marks the transfer as accepted: later attempts resume it instead of offering it again.
    fn accepted(&mut self, talk: &mut SendAttempt) {
        // After a wrong guess this still is the manifest as first offered, whatever has changed since.
        let source = self.source.clone().unwrap_or_else(|| talk.source.clone());
        self.source = Some(source.clone());
        let (inner, id, terms, kept) = (self.inner.clone(), self.order.id, self.order.terms.clone(), self.kept.clone());
        talk.jobs.spawn(until(&self.stop, async move {
            sleep(KEEP_AFTER).await;
            keep(&inner, id, &source, terms, &kept).await;
            Ok(())
        }));
    }

    /// Handles a declined offer or a declined resume.
    fn declined(&mut self, talk: &SendAttempt, reason: Reason) -> Result<End, NetworkError> {
        let waits = self.may_be_known() || self.order.terms.options.wait;
        match reason {
            Reason::DestinationUnusable if waits => Err(disconnected(reason)),
            // The receiver has no time now; this is no answer to the offer.
            Reason::Busy | Reason::RateLimited | Reason::ShuttingDown | Reason::ReceiverOutOfFiles => {
                Err(disconnected(reason))
            }
            // The receiver knows this id. The acceptance was lost with the connection or by a kill of this node, or
            // the receiver has not noticed yet that the first attempt is over. A resume finds out which.
            Reason::DuplicateId if (self.restored || self.offered) && self.source.is_none() => {
                (self.source, self.guessed) = (Some(talk.source.clone()), true);
                Err(lost())
            }
            // A person stopped it there before an acceptance was sent.
            Reason::Cancelled => Ok(End::by(reason)),
            // The receiver never decided on it: it is offered anew.
            Reason::Forgotten if self.guessed => {
                (self.source, self.guessed, self.order.terms.accepted) = (None, false, None);
                Err(disconnected(Reason::Busy))
            }
            Reason::Complete if self.may_be_known() => {
                (self.tally.files, self.tally.bytes) = self.shown();
                self.all_delivered();
                Ok(self.ran())
            }
            // The transfer is over at the receiver. Its results of single files may have been lost with the
            // connection.
            Reason::FilesFailed if self.may_be_known() => {
                self.tally = std::mem::take(&mut self.last);
                let (files, _) = self.shown();
                if self.tally.failed == 0 {
                    self.tally.reasons.add(&reason, 1);
                    (self.tally.failed, self.tally.first_failure) = (1, Some(reason));
                }
                self.tally.files = files.saturating_sub(self.tally.failed);
                Ok(self.ran())
            }
            // The transfer was accepted once: this is how it ended at the receiver.
            reason if self.may_be_known() => Ok(End::by(reason)),
            // Nothing is to be said where a person declined.
            Reason::Declined => Ok(End { state: TransferState::Declined, cause: None }),
            reason => Ok(End { state: TransferState::Declined, cause: Some(reason.into()) }),
        }
    }

    /// Waits for the receiver's reason after a stream broke. Returns a lost connection if none comes within
    /// [`GRACE`].
    async fn why_broken(&mut self, talk: &mut SendAttempt) -> Result<End, NetworkError> {
        let waited = timeout(GRACE, async {
            loop {
                let frame = talk.frames.recv().await.ok_or_else(lost)??;
                let meant = talk.machine().frame(&frame).map_err(TransferError::Violation)?;
                if let Some(end) = self.heard(talk, meant).await? {
                    return Ok(end);
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// Records the acceptance, so that the transfer can be resumed after a restart.
async fn keep(inner: &Arc<Inner>, id: TransferId, source: &Arc<Source>, mut terms: Outgoing, kept: &AtomicBool) {
    let written = inner.registry.agreed(id, None, &source.manifest, source.left_out.clone(), |pages, rows| {
        (terms.accepted, terms.rows) = (Some(Accepted::new(source.roots(), pages)), rows);
        // From now on the rows hold the paths that could not be offered.
        terms.was_part |= std::mem::take(&mut terms.part);
        Terms::Outgoing(terms)
    });
    match written.await {
        Ok(()) => kept.store(true, Ordering::Relaxed),
        Err(error) => tracing::warn!(%error, "a transfer could not be kept for a restart"),
    }
}

/// Tells the receiver that this side is out of descriptors: staged data stays, and the transfer resumes later.
async fn out_of_files(talk: &SendAttempt) -> NetworkError {
    talk.out.farewell(&SenderFrame::Cancel { code: Reason::SenderOutOfFiles }).await;
    disconnected(Reason::SenderOutOfFiles)
}

fn attempt_id() -> Result<[u8; 16], NetworkError> {
    Ok(random().map_err(|_| TransferError::Internal("no randomness"))?)
}

/// Returns the hash of the manifest as it was offered.
async fn hash_of(source: &Arc<Source>) -> Result<[u8; 32], NetworkError> {
    let manifest = source.manifest.clone();
    let hashed = tokio::task::spawn_blocking(move || manifest.hash());
    Ok(hashed.await.map_err(|_| TransferError::Internal("hashing a list failed"))?.map_err(TransferError::Violation)?)
}

impl From<Violation> for NetworkError {
    fn from(violation: Violation) -> Self {
        TransferError::Violation(violation).into()
    }
}
