//! Sends one transfer: from the scan to the receiver's final frame, over as many connections as needed.
//!
//! [`SendLifecycle`] decides what happens; this module carries it out. Every event becomes one of its inputs
//! ([`Sending::advance`]), and its actions are carried out in order.
//!
//! - `waiting`: between attempts.
//! - `opening`: an attempt up to the first frame: scan or comparison, and the connection.
//! - `conversation`: the frames of an attempt, and the tasks that send its data.
//! - `growing`: a file that is still being written.
//! - `missing`: the record of what the receiver lacks, for sending it again.
//! - `cancel_notice`: tells a receiver that was offline that the transfer was stopped.
//!
//! Must not know how data is read and sealed (`send::reader`), nor how sessions are dialled: it is given a connector.

pub(in crate::transfer) mod cancel_notice;
mod conversation;
mod growing;
mod missing;
mod opening;
mod waiting;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use n0_future::boxed::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    input::Input as GrowingInput,
    source::{Only, Source},
};
pub(in crate::transfer) use crate::transfer::send::sender::cancel_notice::tell_stopped;
use crate::{
    api::{Amount, Direction, Note, TransferState, TransferView},
    clock::{jitter, random},
    error::NetworkError,
    fs::private::DataDirGuard,
    id::{DeviceId, TransferId},
    queue::{progress::Stopwatch, rate_limit::RateLimits, scheduler::Turn},
    transfer::{
        Inner, TransferError,
        cause::Cause,
        left_out::{ReasonCounts, add_notes, shown_count},
        protocol::{
            frames::Violation,
            index_set::IndexSet,
            lifecycle::{
                Moment,
                sender::{
                    SendAction as Action, SendInput as Input, SendLifecycle, SendOutcome as Outcome, SendPhase as Phase,
                },
            },
            reason::Reason,
        },
        record::{AcceptedSource, Outgoing, ResumeTerms},
        registry::{Command, End},
    },
};

/// Job of the sender: what to send, and to whom.
pub(in crate::transfer) struct Order {
    pub id: TransferId,
    pub device: DeviceId,
    pub terms: Outgoing,
    /// True if the transfer was begun in an earlier run of the node.
    pub restored: bool,
}

/// Runs a transfer to its end, or until the node shuts down.
pub(in crate::transfer) async fn run(inner: Arc<Inner>, order: Order, commands: mpsc::Receiver<Command>) {
    let (id, device) = (order.id, order.device);
    let mut sending = Sending::new(inner.clone(), order, commands).await;
    let Some((end, unacknowledged)) = sending.run().await else { return };
    sending.turn = None;
    sending.show_length();
    inner.turns.change(|order| order.leave(id));
    sending.watch.end(inner.since.elapsed());
    let reasons = sending.reasons();
    // Recorded so that a person can send the missing rest again.
    let (paths, rows) = sending.missing().await;
    let part = rows > 0;
    let terms =
        Outgoing { cancel_unacknowledged: unacknowledged, accepted: None, rows, part, ..sending.order.terms.clone() };
    let Tally { bytes, files, notes, .. } = sending.tally;
    inner
        .registry
        .end(id, end, Some(ResumeTerms::Outgoing(terms)), paths, |view| {
            (view.seconds, view.mean_rate) = (sending.watch.seconds(), sending.watch.mean_rate());
            (view.bytes, view.files_done) = (bytes, files.into());
            reasons.show(view);
            add_notes(&mut view.notes, notes);
        })
        .await;
    inner.show_places();
    remove_spooled(&inner.deps.data_dir, &sending.order.terms).await;
    if unacknowledged {
        inner.tasks.spawn(tell_stopped(inner.clone(), id, device));
    }
}

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

struct Sending {
    inner: Arc<Inner>,
    order: Order,
    life: SendLifecycle,
    /// Start of the life cycle's time.
    epoch: tokio::time::Instant,
    /// Actions that are still to be carried out.
    actions: VecDeque<Action>,
    /// Error of the last attempt; the life cycle knows its reason only.
    error: Option<NetworkError>,
    commands: mpsc::Receiver<Command>,
    /// Changes when the device is heard.
    heard: watch::Receiver<u64>,
    /// Cancels the tasks of the current attempt.
    stop: CancellationToken,
    /// Time of the first acceptance in this run.
    begun: Option<Instant>,
    /// State of the input that is still being written; `None` if the transfer has no growing file.
    input: Option<watch::Receiver<GrowingInput>>,
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
    /// The source as the receiver accepted it, or is assumed to have.
    source: Option<Arc<Source>>,
    /// True once the acceptance is on record.
    kept: Arc<AtomicBool>,
    /// Number of progress frames from the receiver.
    reports: u64,
    /// Slot of the scheduler; the transfer may send while it has one.
    turn: Option<Turn>,
    /// Pending request for a slot. It is kept because a new request starts behind the others.
    turn_request: Option<BoxFuture<Turn>>,
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

fn lost() -> NetworkError {
    NetworkError::ConnectionLost("the other side closed the stream".into())
}

/// Returns the error of an attempt that ended for this reason and may be repeated.
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
    async fn new(inner: Arc<Inner>, order: Order, commands: mpsc::Receiver<Command>) -> Self {
        let shown = inner.registry.view(order.id);
        let input = growing::input(&inner, &order.terms).await;
        let accepted = order.terms.accepted.is_some();
        let held = inner.registry.held(order.id);
        Self {
            life: SendLifecycle::new(order.restored, accepted, order.terms.options.wait, held),
            epoch: tokio::time::Instant::now(),
            actions: VecDeque::new(),
            error: None,
            commands,
            heard: inner.there(order.device),
            stop: CancellationToken::new(),
            begun: None,
            input,
            watch: shown.as_ref().map(|view| Stopwatch::of(view.seconds, view.mean_rate)).unwrap_or_default(),
            skipped: ReasonCounts::of(&order.terms.skipped),
            not_taken: shown.as_ref().map_or(0, |view| shown_count(view, &Reason::NotTaken)),
            offered_in_all: shown.and_then(|view| view.offered),
            tally: Tally::default(),
            last: Tally::default(),
            only: None,
            delivered: IndexSet::default(),
            source: None,
            kept: Arc::new(AtomicBool::new(false)),
            reports: 0,
            turn: None,
            turn_request: None,
            limits: inner.limits_of(order.id, Direction::Send),
            inner,
            order,
        }
    }

    /// Returns the present time of the life cycle.
    fn now(&self) -> Moment {
        self.epoch.elapsed()
    }

    /// Hands an input to the life cycle. Its actions are carried out afterwards, by the caller.
    fn advance(&mut self, input: Input) {
        let before = self.life.phase();
        tracing::trace!(id = %self.order.id, phase = ?before, known = ?self.life.known(), ?input, "a transfer goes on");
        if !matches!(input, Input::Progress { .. } | Input::Idle(_) | Input::AcceptanceKept) {
            self.life.set_jitter(jitter());
        }
        self.actions.extend(self.life.handle(self.now(), input));
    }

    /// Ends the attempt with an error.
    fn fail(&mut self, error: NetworkError) {
        if self.inner.cancel.is_cancelled() {
            return self.advance(Input::Shutdown);
        }
        let reason = Reason::from(&error);
        self.error = Some(error);
        self.advance(Input::Failed(reason));
    }

    /// Runs attempt after attempt. Returns how it ended, and whether the receiver has yet to hear of that; `None` if the
    /// node shuts down meanwhile: the transfer then goes on at the next start.
    async fn run(&mut self) -> Option<(End, bool)> {
        self.advance(Input::Begin);
        loop {
            let Some(action) = self.actions.pop_front() else {
                debug_assert_eq!(self.life.phase(), Phase::Waiting);
                self.wait().await;
                continue;
            };
            match action {
                Action::Attempt => self.attempt().await,
                Action::End { outcome, unacknowledged } => return Some((self.end_of(outcome), unacknowledged)),
                Action::Suspend => return None,
                other => self.between_attempts(other).await,
            }
        }
    }

    /// Carries out an action while there is no conversation.
    async fn between_attempts(&mut self, action: Action) {
        match action {
            Action::KeepAcceptance => {
                if let Some(source) = self.source.clone().filter(|_| !self.kept.load(Ordering::Relaxed)) {
                    keep(&self.inner, self.order.id, &source, self.order.terms.clone(), &self.kept).await;
                }
            }
            Action::ForgetAcceptance => (self.source, self.order.terms.accepted) = (None, None),
            Action::Hold(reason) => {
                if let Err(error) = self.inner.registry.hold(self.order.id, Some(reason)).await {
                    tracing::warn!(%error, "that a transfer is held could not be recorded");
                }
            }
            Action::Wait(reason) => self.record_wait(reason).await,
            Action::LookForSource => self.look_for_source().await,
            Action::ReleaseSlot => (self.turn, self.turn_request) = (None, None),
            // These concern a conversation, which is over.
            Action::SendManifest
            | Action::VerifyClaims
            | Action::AssumeAccepted
            | Action::Accept
            | Action::RequestSlot
            | Action::Gate(_)
            | Action::TellPause(_)
            | Action::Show(_)
            | Action::LastWord(_)
            | Action::CloseAttempt => {}
            // The loop of `run` carries them out.
            Action::Attempt | Action::End { .. } | Action::Suspend => {}
        }
    }

    /// Records and shows that the transfer waits for its next attempt.
    async fn record_wait(&mut self, reason: Reason) {
        let error = self.error.take().filter(|error| Reason::from(error) == reason);
        let cause = match reason {
            Reason::Interrupted => reason.into(),
            reason => self.cause(&error.unwrap_or_else(|| disconnected(reason))),
        };
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
    }

    fn cause(&self, error: &NetworkError) -> Cause {
        let mut cause = Cause::from(error);
        if cause.reason.is_disconnected() {
            let name = (self.inner.deps.names)(self.order.device);
            cause.hint = format!("It goes on by itself when {name} is there again.");
        }
        cause
    }

    /// Returns the end of the transfer, with the counts of what arrived.
    fn end_of(&mut self, outcome: Outcome) -> End {
        match outcome {
            Outcome::Completed => self.ran(),
            Outcome::CompletedBefore => {
                (self.tally.files, self.tally.bytes) = self.shown();
                self.all_delivered();
                self.ran()
            }
            // Its results of single files may have been lost with the connection.
            Outcome::FilesFailedBefore => {
                self.tally = std::mem::take(&mut self.last);
                let (files, _) = self.shown();
                if self.tally.failed == 0 {
                    self.tally.reasons.add(&Reason::FilesFailed, 1);
                    (self.tally.failed, self.tally.first_failure) = (1, Some(Reason::FilesFailed));
                }
                self.tally.files = files.saturating_sub(self.tally.failed);
                self.ran()
            }
            Outcome::CancelledHere => End::cancelled_here(),
            Outcome::By(reason) => End::by(reason),
            Outcome::Declined(reason) => End { state: TransferState::Declined, cause: reason.map(Cause::from) },
            Outcome::Failed(reason) => match self.error.take() {
                Some(error) => End::failed(&error),
                None => End::failed(&disconnected(reason)),
            },
        }
    }

    /// Returns the number of files and bytes of the selection, as shown to people.
    fn shown(&self) -> (u32, u64) {
        let view = self.inner.registry.view(self.order.id);
        view.map_or((0, 0), |view| (u32::try_from(view.files).unwrap_or(u32::MAX), view.total))
    }

    /// Hands a command of a person to the life cycle.
    fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
            Some(Command::Superseded) => {}
            Some(Command::Held) => self.advance(Input::Held(self.inner.registry.held(self.order.id))),
            Some(Command::Decline | Command::Cancel) | None => self.advance(Input::Cancel),
        }
    }
}

/// Records the acceptance, so that the transfer can be resumed after a restart.
async fn keep(inner: &Arc<Inner>, id: TransferId, source: &Arc<Source>, mut terms: Outgoing, kept: &AtomicBool) {
    let written = inner.registry.agreed(id, None, &source.manifest, source.left_out.clone(), |pages, rows| {
        (terms.accepted, terms.rows) = (Some(AcceptedSource::new(source.roots(), pages)), rows);
        // From now on the rows hold the paths that could not be offered.
        terms.was_part |= std::mem::take(&mut terms.part);
        ResumeTerms::Outgoing(terms)
    });
    match written.await {
        Ok(()) => kept.store(true, Ordering::Relaxed),
        Err(error) => tracing::warn!(%error, "a transfer could not be kept for a restart"),
    }
}

fn attempt_id() -> Result<[u8; 16], NetworkError> {
    Ok(random().map_err(|_| TransferError::Internal("no randomness"))?)
}

impl From<Violation> for NetworkError {
    fn from(violation: Violation) -> Self {
        TransferError::Violation(violation).into()
    }
}

/// Interval of progress updates: ten times a second.
const TICK: Duration = Duration::from_millis(100);
