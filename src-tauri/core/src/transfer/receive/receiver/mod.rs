//! Receives one transfer: from the offer to the last committed file.
//!
//! [`ReceiveLifecycle`] decides what happens; this room carries it out. Every event becomes one of its inputs
//! ([`Receiving::advance`]), and its actions are carried out in order.
//!
//! - `accept`, `rule`, `space`: from the answer of a person or a rule to the first byte; the free space.
//! - `data`: from the decision to the last committed file.
//! - `progress`, `growing`: what the sender is told: counts, room for a growing file.
//! - `held`, `ending`: a paused transfer whose sender comes back, and the end of an attempt.
//!
//! Must not know where a file lies or how it gets its name: `receive::staging` and `receive::commit` do.

pub(in crate::transfer) mod accept;
mod data;
mod ending;
mod growing;
mod held;
mod progress;
pub(in crate::transfer) mod rule;
pub(in crate::transfer) mod space;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{data::Live, ending::Finished, rule::Ruled};
use crate::{
    api::{Direction, Note, TransferState, TransferView},
    budget::{FileShare, Worker},
    clock::unix_now,
    device::OfferPolicy,
    error::NetworkError,
    fs::names::escaped,
    id::TransferId,
    net::{SealedStream, Session},
    queue::{
        memory::{ALONE, MemoryPermit},
        progress::{RateMeter, Stopwatch},
    },
    transfer::{
        AcceptOptions, Inner, TransferError,
        left_out::ReasonCounts,
        protocol::{
            control_stream::{self, FrameSender},
            frames::{Decision, Offer, ReceiverFrame},
            lifecycle::{
                Moment,
                receiver::{
                    ReceiveAction as Action, ReceiveInput as Input, ReceiveLifecycle, ReceivePhase as Phase, SpaceWait,
                },
            },
            limits::{MAX_LISTS, MAX_OPEN_PER_DEVICE},
            reason::Reason,
            silence::Silence,
            state::{FromSender, ReceiverMachine},
        },
        receive::{receiver::space::room_to_begin, resume, stream_router::Routes},
        registry::Command,
    },
};

/// Timeout for the offer, and for each page of its manifest.
pub(in crate::transfer) const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// Wait for an earlier attempt at the same transfer to end.
pub(in crate::transfer) const SUPERSEDED: Duration = Duration::from_secs(10);
/// Wait of an offer with a large manifest for a person, while manifests of other devices have no room.
const UNDECIDED: Duration = Duration::from_secs(600);
/// Longest pause before a retry after running out of descriptors.
const BACKS_OFF: Duration = Duration::from_secs(5);
/// Interval of progress updates: ten times a second.
const TICK: Duration = Duration::from_millis(100);

pub(in crate::transfer) type Frames = mpsc::Receiver<Result<Vec<u8>, NetworkError>>;

/// Serves one control stream of a peer. An error ends the session.
pub(in crate::transfer) async fn serve(
    inner: Arc<Inner>,
    session: Session,
    routes: Arc<Routes>,
    stream: SealedStream,
) -> Result<(), NetworkError> {
    let (sender, receiver) = stream.split();
    // A token of its own: at shutdown the peer is told before the streams stop.
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let frames = control_stream::read(&inner.tasks, receiver, stop.clone());
    let out = control_stream::write(&inner.tasks, sender, stop.clone());
    let mut machine = ReceiverMachine::default();
    let mut frames = frames;
    let offer = match timeout(FRAME_TIMEOUT, next(&mut frames, &mut machine)).await {
        Ok(Ok(FromSender::Offered(offer))) => offer,
        Ok(Ok(FromSender::ResumeOffer(again))) => {
            let stream = Stream { session, routes, machine, frames, out, stop };
            return resume::serve(inner, stream, again).await;
        }
        Ok(Ok(FromSender::Unacceptable(reason))) => {
            // What is refused counts like an offer, so that nobody tries ids of requests, or anything else, without limit.
            let reason = if inner.may_offer(session.device_id()) { reason } else { Reason::RateLimited };
            out.farewell(&declined(reason)).await;
            return Ok(());
        }
        Ok(Ok(_)) | Err(_) => return Ok(()),
        Ok(Err(error)) => return violations_only(error),
    };
    let id = TransferId::from_random(offer.transfer);
    let device = session.device_id();
    let refused = if inner.cancel.is_cancelled() {
        Some(Reason::ShuttingDown)
    } else if (inner.deps.offer_policy)(device, 0).await? == OfferPolicy::Refuse {
        Some(Reason::DeclinedByRule)
    } else if inner.registry.open_from(device) >= MAX_OPEN_PER_DEVICE || inner.registry.lists_from(device) >= MAX_LISTS
    {
        Some(Reason::Busy)
    } else if !inner.may_offer(device) {
        Some(Reason::RateLimited)
    } else {
        None
    };
    if let Some(reason) = refused {
        out.farewell(&declined(reason)).await;
        return Ok(());
    }
    let (commands, asked) = mpsc::channel(4);
    if !inner.registry.add(view(&inner, &session, id, &offer), commands, None, Vec::new()).await? {
        // State is kept by id, so a second transfer with the same id is refused.
        out.farewell(&declined(Reason::DuplicateId)).await;
        return Ok(());
    }
    let terms = Terms {
        transfer: offer.transfer,
        attempt: offer.attempt,
        encrypt: offer.encrypt,
        compress: offer.compress,
        total: offer.total,
        entries: offer.entries,
    };
    let stream = Stream { session, routes, machine, frames, out, stop };
    let mut receiving = Receiving::new(inner, stream, asked, terms, ReceiveLifecycle::offered());
    if let Err(error) = receiving.run().await {
        receiving.fail(error);
    }
    receiving.end().await
}

/// Passes on only errors that end the session (violations). Other errors concern this transfer alone.
pub(in crate::transfer) fn violations_only(error: NetworkError) -> Result<(), NetworkError> {
    match Reason::from(&error) {
        Reason::ProtocolViolation => Err(NetworkError::ProtocolViolation(error.to_string())),
        Reason::DecryptionFailed => Err(error),
        _ => Ok(()),
    }
}

pub(in crate::transfer) fn declined(code: Reason) -> ReceiverFrame {
    ReceiverFrame::Decision(Decision::Declined { code })
}

fn view(inner: &Inner, session: &Session, id: TransferId, offer: &Offer) -> TransferView {
    let mut left_out = ReasonCounts::default();
    left_out.add(&Reason::SkippedThere, offer.skipped.into());
    let notes = if offer.skipped > 0 { vec![Note::SkippedThere { count: offer.skipped.into() }] } else { Vec::new() };
    TransferView {
        id,
        direction: Direction::Receive,
        device: session.device_id(),
        device_name: (inner.deps.names)(session.device_id()),
        state: TransferState::Offered,
        reason: None,
        roots: offer.roots.iter().map(escaped).collect(),
        root_count: offer.root_count,
        files: offer.files.into(),
        files_done: 0,
        bytes: 0,
        total: offer.total,
        growing: false,
        offered: None,
        skipped: left_out.total(),
        reasons: left_out.counts(),
        rate: 0.0,
        eta: None,
        silent: None,
        started: unix_now(),
        seconds: None,
        mean_rate: None,
        into: None,
        landed: Vec::new(),
        limit: None,
        place: None,
        notes,
    }
}

pub(in crate::transfer) async fn next(
    frames: &mut Frames,
    machine: &mut ReceiverMachine,
) -> Result<FromSender, NetworkError> {
    match frames.recv().await {
        Some(frame) => Ok(machine.frame(&frame?).map_err(TransferError::Violation)?),
        None => Err(lost()),
    }
}

pub(in crate::transfer) fn lost() -> NetworkError {
    NetworkError::ConnectionLost("the other side closed the stream".into())
}

/// Control stream of a peer whose first frame was read.
pub(in crate::transfer) struct Stream {
    pub session: Session,
    pub routes: Arc<Routes>,
    pub machine: ReceiverMachine,
    pub frames: Frames,
    pub out: FrameSender,
    pub stop: CancellationToken,
}

/// Terms of the offer that receiving needs.
pub(in crate::transfer) struct Terms {
    pub transfer: [u8; 16],
    pub attempt: [u8; 16],
    pub encrypt: bool,
    pub compress: bool,
    pub total: u64,
    pub entries: u32,
}

pub(in crate::transfer) use crate::transfer::receive::receiver::accept::{blocking, recorded};
pub(in crate::transfer) use crate::transfer::receive::receiver::space::room_for;

pub(in crate::transfer) struct Receiving {
    pub(in crate::transfer) inner: Arc<Inner>,
    session: Session,
    routes: Arc<Routes>,
    pub(in crate::transfer) id: TransferId,
    terms: Terms,
    pub(in crate::transfer) life: ReceiveLifecycle,
    /// Start of the life cycle's time.
    epoch: tokio::time::Instant,
    /// Actions that are still to be carried out.
    actions: VecDeque<Action>,
    /// Error of the attempt; the life cycle knows its reason only.
    error: Option<NetworkError>,
    pub(in crate::transfer) machine: ReceiverMachine,
    pub(in crate::transfer) frames: Frames,
    pub(in crate::transfer) commands: mpsc::Receiver<Command>,
    pub(in crate::transfer) out: FrameSender,
    stop: CancellationToken,
    begun: Option<Instant>,
    live: Option<Live>,
    /// Results of `live`, once its tasks have ended.
    finished: Option<Finished>,
    /// The accepted offer, while existing files are compared with it.
    accepted: Option<accept::Accepted>,
    /// Blocking threads for this transfer.
    worker: Worker,
    /// Pause before the next retry after running out of descriptors.
    backs_off: Duration,
    /// Destination folder whose staging directory holds data of this transfer.
    pub(in crate::transfer) destination: Option<PathBuf>,
    /// Share of the descriptors, taken before the first file is opened.
    pub(in crate::transfer) files: Option<FileShare>,
    /// Memory permit for the manifest.
    pub(in crate::transfer) share: MemoryPermit,
    meter: RateMeter,
    silence: Silence,
    /// Time during which bytes moved, over all attempts.
    pub(in crate::transfer) watch: Stopwatch,
}

/// Event that may happen at any time beside frames of the sender.
pub(in crate::transfer) enum Interruption {
    /// Command of a person; `None` if the registry has dropped the transfer.
    Command(Option<Command>),
    /// The node shuts down.
    Shutdown,
    /// The life cycle's deadline has come.
    Timer,
}

/// Waits for the next interruption. Cancel-safe.
pub(in crate::transfer) async fn interruption(
    commands: &mut mpsc::Receiver<Command>,
    shutdown: &CancellationToken,
    deadline: Option<tokio::time::Instant>,
) -> Interruption {
    let timer = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // A command that is there already counts before a shutdown.
        biased;
        command = commands.recv() => Interruption::Command(command),
        () = shutdown.cancelled() => Interruption::Shutdown,
        () = timer => Interruption::Timer,
    }
}

impl Receiving {
    pub(in crate::transfer) fn new(
        inner: Arc<Inner>,
        stream: Stream,
        commands: mpsc::Receiver<Command>,
        terms: Terms,
        life: ReceiveLifecycle,
    ) -> Self {
        let Stream { session, routes, machine, frames, out, stop } = stream;
        let id = TransferId::from_random(terms.transfer);
        let share = inner.lists.share(session.device_id());
        let worker = inner.budget.threads.of(session.device_id()).of_transfer();
        let watch = inner.registry.view(id).map(|view| Stopwatch::of(view.seconds, view.mean_rate)).unwrap_or_default();
        Self {
            inner,
            session,
            routes,
            id,
            terms,
            life,
            epoch: tokio::time::Instant::now(),
            actions: VecDeque::new(),
            error: None,
            machine,
            frames,
            commands,
            out,
            stop,
            begun: None,
            live: None,
            finished: None,
            accepted: None,
            destination: None,
            files: None,
            worker,
            backs_off: TICK,
            share,
            meter: RateMeter::default(),
            silence: Silence::new(Duration::ZERO, 0),
            watch,
        }
    }

    /// Returns the present time of the life cycle.
    fn now(&self) -> Moment {
        self.epoch.elapsed()
    }

    /// Hands an input to the life cycle. Its actions are carried out afterwards, by the caller.
    pub(in crate::transfer) fn advance(&mut self, input: Input) {
        let before = self.life.phase();
        tracing::trace!(id = %self.id, phase = ?before, ?input, "a transfer goes on");
        self.actions.extend(self.life.handle(self.now(), input));
    }

    /// Ends the attempt with an error.
    pub(in crate::transfer) fn fail(&mut self, error: NetworkError) {
        if self.life.is_over() {
            tracing::debug!(%error, "an attempt that was over failed");
            return;
        }
        let reason = Reason::from(&error);
        self.error = Some(error);
        self.advance(Input::Failed(reason));
    }

    /// Hands the meaning of a frame to the life cycle, if it concerns the life of the transfer.
    pub(in crate::transfer) fn heard(&mut self, meant: &FromSender) {
        match meant {
            FromSender::Pause => self.advance(Input::PausedThere),
            FromSender::Resume => self.advance(Input::ResumedThere),
            FromSender::Cancelled(reason) => self.advance(Input::CancelledThere(reason.clone())),
            FromSender::Offered(_)
            | FromSender::Unacceptable(_)
            | FromSender::ResumeOffer(_)
            | FromSender::Changes
            | FromSender::Noted
            | FromSender::Manifest(_)
            | FromSender::Begin
            | FromSender::Grown { .. }
            | FromSender::FilesDone(_)
            | FromSender::Finished(_) => {}
        }
    }

    /// Hands an interruption to the life cycle. An offer cannot be accepted here: only [`Self::choose`] does that.
    pub(in crate::transfer) fn interrupted(&mut self, interruption: Interruption) {
        match interruption {
            Interruption::Command(Some(Command::Accept { reply, .. })) => {
                drop(reply.send(Err(TransferError::NotOffered.into())));
            }
            Interruption::Command(Some(Command::Superseded)) => self.advance(Input::Superseded),
            Interruption::Command(Some(Command::Held)) => {
                self.advance(Input::Held(self.inner.registry.held(self.id)));
            }
            Interruption::Command(Some(Command::Decline | Command::Cancel) | None) => self.advance(Input::Cancel),
            Interruption::Shutdown => self.advance(Input::Shutdown),
            Interruption::Timer => {
                if self.life.phase() == Phase::Held {
                    let checked = SpaceWait::checked(self.life.space_check(), self.bytes_so_far());
                    self.inner.full().insert(self.id, checked);
                }
                self.advance(Input::Timer);
            }
        }
    }

    /// Returns the time at which the life cycle wants to be woken.
    pub(in crate::transfer) fn deadline(&self) -> Option<tokio::time::Instant> {
        self.life.deadline().map(|deadline| self.epoch + deadline)
    }

    /// Returns the bytes that had arrived when the last attempt ended.
    pub(in crate::transfer) fn bytes_so_far(&self) -> u64 {
        self.inner.registry.view(self.id).map_or(0, |view| view.bytes)
    }

    /// Carries out the queued actions. Returns true once the attempt is to be left.
    pub(in crate::transfer) async fn carry_out(&mut self, live: Option<&Live>) -> bool {
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::RecordEnding(reason) => self.inner.registry.will_end(self.id, reason).await,
                Action::Decline(reason) => self.out.farewell(&declined(reason)).await,
                Action::Cancel(code) => self.out.farewell(&ReceiverFrame::Cancel { code }).await,
                Action::TellPaused(code) => self.out.tell(&ReceiverFrame::Pause { code }),
                Action::TellResumed => self.out.tell(&ReceiverFrame::Resume),
                Action::CheckSpace => self.go_on_if_there_is_room().await,
                Action::Gate(open) => self.set_gate(live, open),
                Action::Show(shown) => self.show(shown),
                Action::CloseAttempt => return true,
                // These follow the end of the attempt.
                Action::SendComplete
                | Action::StopTasks
                | Action::KeepStaged { .. }
                | Action::RemoveStaged
                | Action::Hold(_)
                | Action::Wait(_)
                | Action::End(_) => {}
            }
        }
        self.life.is_over()
    }

    async fn run(&mut self) -> Result<(), NetworkError> {
        self.list().await?;
        if self.life.phase() == Phase::Offered {
            self.choose().await?;
        }
        if self.life.is_over() {
            return Ok(());
        }
        self.inner.offer_was_welcome(self.session.device_id());
        self.compare().await?;
        self.receive().await
    }

    /// Fetches the manifest.
    async fn list(&mut self) -> Result<(), NetworkError> {
        if !self.machine.ask_manifest() || !self.out.send(&ReceiverFrame::NeedManifest).await {
            return Err(lost());
        }
        while self.life.phase() == Phase::Listing {
            let deadline = self.deadline();
            tokio::select! {
                frame = timeout(FRAME_TIMEOUT, next(&mut self.frames, &mut self.machine)) => {
                    let meant = frame.map_err(|_| lost())??;
                    self.heard(&meant);
                    if !self.life.is_over() {
                        self.listed(&meant);
                    }
                }
                // Entries cannot be chosen before the manifest is complete, so accepting fails until then.
                it = interruption(&mut self.commands, &self.inner.cancel, deadline) => self.interrupted(it),
            }
            self.carry_out(None).await;
        }
        Ok(())
    }

    /// Takes memory for what has come of the manifest.
    fn listed(&mut self, meant: &FromSender) {
        if !self.share.hold(self.machine.memory()) {
            // A manifest that can never fit is declined for good.
            let ever = self.machine.memory() > ALONE;
            return self.advance(Input::OutOfMemory { ever });
        }
        if let FromSender::Manifest(manifest) = meant {
            tracing::debug!(id = %self.id, "the list is there");
            let growing = manifest.is_growing();
            self.inner.registry.show(self.id, |view| view.growing = growing);
            self.advance(Input::Listed);
        }
    }

    /// Waits for a person's decision, or applies a rule.
    async fn choose(&mut self) -> Result<(), NetworkError> {
        let folder = (self.inner.deps.download_dir)();
        let space = self.fits_whole(folder.clone()).await;
        match self.by_rule(&folder).await? {
            Ruled::Ask => {}
            Ruled::Over | Ruled::Begun => return Ok(()),
        }
        let why = space.err().map(|error| (&error).into());
        self.inner.registry.show(self.id, |view| {
            view.reason = why;
            view.into = Some(folder.display().to_string());
        });
        let _shown = self.inner.previews.show(self.id, self.machine.manifest());
        self.inner.registry.announce(self.id);
        let undecided = tokio::time::Instant::now() + UNDECIDED;
        while self.life.phase() == Phase::Offered {
            let deadline = self.deadline();
            tokio::select! {
                // Others wait for memory, and this offer had its time for an answer. Its sender offers it again.
                () = async {
                    sleep_until(undecided).await;
                    self.share.is_missed().await;
                } => self.advance(Input::Overdue),
                frame = next(&mut self.frames, &mut self.machine) => self.heard(&frame?),
                it = interruption(&mut self.commands, &self.inner.cancel, deadline) => match it {
                    Interruption::Command(Some(Command::Accept { into, conflict, only, reply })) => {
                        let may = self.may_open_files().await?;
                        let begun = match may {
                            true => self.begin(into, AcceptOptions { conflict, only, into: None }, None).await,
                            false => Err(TransferError::NotOffered.into()),
                        };
                        if begun.is_err() {
                            // Others may use the descriptors while the person decides again.
                            self.files = None;
                        }
                        let _ = reply.send(begun);
                    }
                    other => self.interrupted(other),
                },
            }
            self.carry_out(None).await;
        }
        Ok(())
    }
}
