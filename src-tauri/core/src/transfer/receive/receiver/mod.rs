//! Receives one transfer: from the offer to the last committed file.
//!
//! - `accept`, `rule`, `space`: from the answer of a person or a rule to the first byte; the free space.
//! - `claims`, `progress`, `growing`: what the sender is told: data that is here, counts, room for a growing file.
//! - `pause`, `ending`: a paused transfer, and the end of an attempt.
//!
//! Must not know where a file lies or how it gets its name: `receive::staging` and `receive::commit` do.

pub(in crate::transfer) mod accept;
mod claims;
mod ending;
mod growing;
pub(in crate::transfer) mod pause;
mod progress;
pub(in crate::transfer) mod rule;
pub(in crate::transfer) mod space;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::endpoint::RecvStream;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Direction, Note, TransferState, TransferView},
    budget::{FileShare, Worker},
    clock::unix_now,
    device::Welcome,
    error::NetworkError,
    fs::names::escaped,
    id::TransferId,
    net::{SealedStream, Session},
    queue::{
        memory::{ALONE, Share},
        progress::{RateMeter, Stopwatch},
        rate_limit::PauseGate,
    },
    transfer::{
        AcceptOptions, Inner, TransferError,
        left_out::ReasonCounts,
        offer_listing,
        protocol::{
            control_stream::{self, Outgoing},
            frames::{Decision, Offer, ReceiverFrame},
            framing::StreamHeader,
            limits::{MAX_LISTS, MAX_OPEN_PER_DEVICE, MAX_STREAMS},
            reason::{Cause, Reason},
            selection,
            silence::Silence,
            state::{FromSender, ReceiverMachine},
        },
        receive::{
            assembly::{Assembly, Verdict},
            commit::worker::{self, CommitWorker, Committed},
            data_stream::{self, Arrival, StreamEnd},
            receiver::{rule::Ruled, space::room_to_begin},
            resume,
            staging::{DiskError, conflicts::Ready},
            stream_router::{Route, Routes},
        },
        registry::{Command, End},
    },
};

/// Timeout for the offer, and for each page of its manifest.
pub(in crate::transfer) const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// Wait for an earlier attempt at the same transfer to end.
pub(in crate::transfer) const SUPERSEDED: Duration = Duration::from_secs(10);
/// Wait of an offer with a large manifest for a person, while manifests of other devices have no room.
const UNDECIDED: Duration = Duration::from_secs(600);
/// Wait for the sender's reason after a data stream broke.
const GRACE: Duration = Duration::from_secs(5);
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
    } else if (inner.deps.welcome)(device, 0).await? == Welcome::Refuse {
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
    let mut receiving = Receiving::new(inner, stream, asked, terms);
    let outcome = receiving.run().await;
    receiving.over(outcome).await
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
    pub out: Outgoing,
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
pub(in crate::transfer) use crate::transfer::receive::receiver::pause::SpaceWait;
pub(in crate::transfer) use crate::transfer::receive::receiver::space::room_for;
use progress::Said;

pub(in crate::transfer) struct Receiving {
    pub(in crate::transfer) inner: Arc<Inner>,
    session: Session,
    routes: Arc<Routes>,
    pub(in crate::transfer) id: TransferId,
    terms: Terms,
    pub(in crate::transfer) machine: ReceiverMachine,
    pub(in crate::transfer) frames: Frames,
    pub(in crate::transfer) asked: mpsc::Receiver<Command>,
    pub(in crate::transfer) out: Outgoing,
    stop: CancellationToken,
    begun: Option<Instant>,
    live: Option<Live>,
    /// The accepted offer, while existing files are compared with it.
    accepted: Option<crate::transfer::receive::receiver::accept::Accepted>,
    /// Blocking threads for this transfer.
    worker: Worker,
    /// Pause before the next retry after running out of descriptors.
    backs_off: Duration,
    /// True once staged data is kept across a disconnect.
    pub(in crate::transfer) holds: bool,
    /// Destination folder whose staging directory holds data of this transfer.
    pub(in crate::transfer) landing: Option<PathBuf>,
    /// True if the sender already knows how the transfer ends.
    pub(in crate::transfer) told: bool,
    /// Share of the descriptors, taken before the first file is opened.
    pub(in crate::transfer) files: Option<FileShare>,
    /// Memory permit for the manifest.
    pub(in crate::transfer) share: Share,
    meter: RateMeter,
    silence: Silence,
    /// Time during which bytes moved, over all attempts.
    pub(in crate::transfer) watch: Stopwatch,
    /// True while paused at the sender.
    held_there: bool,
}

/// State from the decision to the end.
struct Live {
    /// Files of which segments were claimed.
    claimed: Vec<u32>,
    arrival: Arc<Arrival>,
    _route: Route,
    arrivals: mpsc::Receiver<RecvStream>,
    streams: JoinSet<Result<StreamEnd, TransferError>>,
    opened: u8,
    closed: u8,
    /// Number of data streams that the sender announced in `Finished`.
    announced: Option<u8>,
    settling: Option<JoinHandle<Result<(), DiskError>>>,
    /// True once the commit task has ended: nothing is left to finish.
    completed: bool,
    settled: Arc<Committed>,
    backlog: VecDeque<Verdict>,
    /// Pending `Room` answer for a growing file.
    answering: Option<JoinHandle<()>>,
    expected: u32,
}

impl Receiving {
    pub(in crate::transfer) fn new(
        inner: Arc<Inner>,
        stream: Stream,
        asked: mpsc::Receiver<Command>,
        terms: Terms,
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
            machine,
            frames,
            asked,
            out,
            stop,
            begun: None,
            live: None,
            accepted: None,
            holds: false,
            landing: None,
            told: false,
            files: None,
            worker,
            backs_off: TICK,
            share,
            meter: RateMeter::default(),
            silence: Silence::new(Duration::ZERO, 0),
            watch,
            held_there: false,
        }
    }

    /// Winds up after an attempt. Returns an error only if it ends the session.
    pub(in crate::transfer) async fn over(&mut self, outcome: Result<End, NetworkError>) -> Result<(), NetworkError> {
        let (result, end) = match outcome {
            Ok(end) => (Ok(()), end),
            Err(error) => {
                let end = End::failed(&error);
                (violations_only(error), end)
            }
        };
        self.wind_up(end).await;
        result
    }

    async fn run(&mut self) -> Result<End, NetworkError> {
        if let Some(end) = self.list().await? {
            return Ok(end);
        }
        if let Some(end) = self.decide().await? {
            return Ok(end);
        }
        self.inner.offer_was_welcome(self.session.device_id());
        if let Some(end) = self.compare().await? {
            return Ok(end);
        }
        self.receive().await
    }

    /// Fetches the manifest.
    async fn list(&mut self) -> Result<Option<End>, NetworkError> {
        if !self.machine.ask_manifest() || !self.out.send(&ReceiverFrame::NeedManifest).await {
            return Err(lost());
        }
        loop {
            tokio::select! {
                frame = timeout(FRAME_TIMEOUT, next(&mut self.frames, &mut self.machine)) => match frame {
                    Ok(frame) => match frame? {
                        FromSender::Manifest(manifest) => {
                            tracing::debug!(id = %self.id, "the list is there");
                            let growing = manifest.is_growing();
                            self.inner.registry.show(self.id, |view| view.growing = growing);
                            return if self.share.hold(self.machine.memory()) { Ok(None) } else { self.no_room().await };
                        }
                        FromSender::Cancelled(reason) => return Ok(Some(End::by(reason))),
                        _ if self.share.hold(self.machine.memory()) => {}
                        _ => return self.no_room().await,
                    },
                    Err(_) => return Err(lost()),
                },
                command = self.asked.recv() => match command {
                    // Entries cannot be chosen before the manifest is complete, so accepting fails until then.
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Decline) => return Ok(Some(self.decline(Reason::Declined).await)),
                    Some(Command::Cancel) | None => return Ok(Some(self.decline(Reason::Declined).await)),
                    Some(Command::Superseded) => return Err(lost()),
                    Some(Command::Held) => {}
                },
                () = self.inner.cancel.cancelled() => return Err(NetworkError::ShuttingDown),
            }
        }
    }

    /// Ends the attempt because there is no memory for the manifest. The sender offers it again later; a manifest
    /// that can never fit is declined.
    async fn no_room(&mut self) -> Result<Option<End>, NetworkError> {
        if self.machine.memory() > ALONE {
            return Ok(Some(self.decline(Reason::TooManyEntries).await));
        }
        self.machine.end();
        self.out.farewell(&declined(Reason::Busy)).await;
        Err(lost())
    }

    async fn decline(&mut self, reason: Reason) -> End {
        self.machine.end();
        self.out.farewell(&declined(reason.clone())).await;
        // Nothing is to be said where a person declined.
        let cause = Some(reason).filter(|reason| *reason != Reason::Declined).map(Cause::from);
        End { state: TransferState::Declined, cause }
    }

    /// Waits for a person's decision, or applies a rule.
    async fn decide(&mut self) -> Result<Option<End>, NetworkError> {
        let folder = (self.inner.deps.download_dir)();
        let space = self.fits_whole(folder.clone()).await;
        match self.by_rule(&folder).await? {
            Ruled::Ended(end) => return Ok(Some(end)),
            Ruled::Begun => return Ok(None),
            Ruled::Ask => {}
        }
        let why = space.err().map(|error| (&error).into());
        self.inner.registry.show(self.id, |view| {
            view.reason = why;
            view.into = Some(folder.display().to_string());
        });
        let _shown = offer_listing::show(&self.inner, self.id, self.machine.manifest());
        self.inner.registry.announce(self.id);
        let undecided = tokio::time::Instant::now() + UNDECIDED;
        loop {
            tokio::select! {
                // Others wait for memory, and this offer had its time for an answer. Its sender offers it again.
                () = async {
                    sleep_until(undecided).await;
                    self.share.is_missed().await;
                } => {
                    self.machine.end();
                    self.out.farewell(&declined(Reason::Busy)).await;
                    return Err(lost());
                }
                frame = next(&mut self.frames, &mut self.machine) => {
                    if let FromSender::Cancelled(reason) = frame? {
                        return Ok(Some(End::by(reason)));
                    }
                }
                command = self.asked.recv() => match command {
                    Some(Command::Accept { into, conflict, only, reply }) => {
                        if let Some(end) = self.may_open_files().await? {
                            let _ = reply.send(Err(TransferError::NotOffered.into()));
                            return Ok(Some(end));
                        }
                        let begun = self.begin(into, AcceptOptions { conflict, only, into: None }, None).await;
                        let ok = begun.is_ok();
                        let _ = reply.send(begun);
                        if ok {
                            return Ok(None);
                        }
                        // Others may use the descriptors while the person decides again.
                        self.files = None;
                    }
                    Some(Command::Superseded) => return Err(lost()),
                    Some(Command::Held) => {}
                    Some(Command::Decline | Command::Cancel) | None => {
                        return Ok(Some(self.decline(Reason::Declined).await));
                    }
                },
                () = self.inner.cancel.cancelled() => return Err(NetworkError::ShuttingDown),
            }
        }
    }

    /// Sets up everything that receives data, then sends the decision, the selection and the claims.
    pub(in crate::transfer) async fn start(&mut self, ready: Ready) -> Result<(), NetworkError> {
        let Ready { temp, plan, folders, old, same, entered, rule, landed } = ready;
        let manifest = self.machine.manifest();
        if !self.machine.accept(plan.clone()) {
            temp.remove();
            return Err(TransferError::NotOffered.into());
        }
        let (expected, _) = plan.measure(&manifest);
        let (whole, mut whole_bytes, held_bytes) = plan.held(&manifest);
        if manifest.is_growing() {
            whole_bytes = landed;
        }
        let (claims, chosen) = (claims::claims(&plan), selection::frames(&plan.selected));
        let claimed = plan.held.keys().copied().collect();
        let keys = self.session.keys();
        let root = self.terms.encrypt.then(|| keys.file_root(&self.id, &self.terms.attempt, keys.incoming()));
        let header = StreamHeader {
            suite: if self.terms.encrypt { keys.suite() as u8 } else { 0 },
            transfer: self.terms.transfer,
            attempt: self.terms.attempt,
        };
        let (route, arrivals) = self.routes.register(header);
        let (verdicts, judged) = mpsc::channel(worker::AT_ONCE);
        let settled = Arc::new(Committed::default());
        settled.files.store(whole, Ordering::Relaxed);
        settled.bytes.store(whole_bytes, Ordering::Relaxed);
        let arrival = Arc::new(Arrival {
            manifest: manifest.clone(),
            assembly: Mutex::new(Assembly::new(manifest.clone(), plan.clone())),
            worker: self.worker(),
            temp: temp.clone(),
            root,
            compress: self.terms.compress,
            bytes: AtomicU64::new(whole_bytes + held_bytes),
            verdicts,
            gate: PauseGate::new(true),
            limits: self.inner.limits_of(self.id, Direction::Receive),
            paused: AtomicBool::new(false),
            read: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            memory: self.inner.streams.clone(),
        });
        let out = self.out.clone();
        let (told, worker) = (settled.clone(), self.worker());
        let committer = CommitWorker { worker, temp, manifest, plan, folders, entered, out, told, expected, old, same };
        let settling = tokio::spawn(committer.run(judged));
        self.live = Some(Live {
            claimed,
            arrival,
            _route: route,
            arrivals,
            streams: JoinSet::new(),
            opened: 0,
            closed: 0,
            announced: None,
            settling: Some(settling),
            completed: false,
            settled,
            backlog: VecDeque::new(),
            answering: None,
            expected,
        });
        self.holds = true;
        self.begun = Some(Instant::now());
        self.meter.sample(Duration::ZERO, whole_bytes + held_bytes);
        self.watch.begin_at(whole_bytes + held_bytes);
        self.inner.registry.show(self.id, |view| {
            (view.state, view.reason) = (TransferState::Queued, None);
            (view.bytes, view.files_done) = (whole_bytes + held_bytes, whole.into());
        });
        tracing::debug!(id = %self.id, "accepted");
        let accepted = Decision::Accepted { all: chosen.is_empty(), conflict: rule.into() };
        // Runs in a task of its own: a sender that does not read must not keep people from cancelling. Nothing else
        // is sent before the sender has begun, which it does in answer to this.
        let (out, stop) = (self.out.clone(), self.stop.clone());
        self.inner.tasks.spawn(async move {
            let telling = async {
                let mut told = out.send(&ReceiverFrame::Decision(accepted)).await;
                for spans in chosen {
                    told = told && out.send(&ReceiverFrame::Select(spans)).await;
                }
                for claims in claims {
                    told = told && out.send(&ReceiverFrame::Have(claims)).await;
                }
                let _ = told && out.send(&ReceiverFrame::Start).await;
            };
            tokio::select! {
                () = telling => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(())
    }

    pub(in crate::transfer) async fn receive(&mut self) -> Result<End, NetworkError> {
        let Some(mut live) = self.live.take() else { return Err(TransferError::NotOffered.into()) };
        // After consent the session's flow control window is widened for data.
        let receiving = self.session.receiving();
        let end = self.receive_into(&mut live).await;
        drop(receiving);
        self.live = Some(live);
        end
    }

    async fn receive_into(&mut self, live: &mut Live) -> Result<End, NetworkError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let verdicts = live.arrival.verdicts.clone();
        let mut begun = false;
        let mut said = Said::default();
        if self.inner.registry.held(self.id).is_some() {
            // The pause may have changed since the last check.
            self.held_changed(live, begun);
        }
        loop {
            // Data streams that open before `Begin` wait in the transport.
            let streams_may_come = begun && live.opened < MAX_STREAMS;
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine), if live.backlog.is_empty() && live.answering.is_none() => match frame? {
                    FromSender::Begin => {
                        self.without_disproved(live).await?;
                        tracing::debug!(id = %self.id, "bytes may come");
                        begun = true;
                        self.settle(live, begun);
                    }
                    FromSender::Grown { size, ended } => {
                        if let Some(end) = self.grow(live, size, ended).await? {
                            return Ok(end);
                        }
                    }
                    FromSender::FilesDone(ends) => {
                        let mut assembly = live.arrival.assembly();
                        live.backlog.extend(ends.iter().filter_map(|end| assembly.ended(end)));
                    }
                    FromSender::Finished(streams) => {
                        live.announced = Some(streams);
                        self.all_there(live)?;
                    }
                    FromSender::Cancelled(reason) => return Ok(End::by(reason)),
                    meant @ (FromSender::Pause | FromSender::Resume) => {
                        self.held_there = matches!(meant, FromSender::Pause);
                        self.settle(live, begun);
                    }
                    _ => {}
                },
                () = growing::answered(&mut live.answering) => {}
                room = verdicts.reserve(), if !live.backlog.is_empty() => match room {
                    Ok(room) => {
                        let mut next = Some(room);
                        while let Some(room) = next.take()
                            && let Some(verdict) = live.backlog.pop_front()
                        {
                            room.send(verdict);
                            next = verdicts.try_reserve().ok();
                        }
                    }
                    // The commit task is gone; its own branch reports the reason.
                    Err(_) => live.backlog.clear(),
                },
                stream = live.arrivals.recv(), if streams_may_come => {
                    if let Some(stream) = stream {
                        live.opened += 1;
                        let stop = self.stop.child_token();
                        live.streams.spawn(data_stream::serve(live.arrival.clone(), self.session.clone(), stream, stop));
                    }
                }
                ended = live.streams.join_next(), if !live.streams.is_empty() => {
                    match ended {
                        Some(Ok(Ok(StreamEnd::Clean))) => {
                            live.closed += 1;
                            self.all_there(live)?;
                        }
                        Some(Ok(Ok(StreamEnd::Lost | StreamEnd::Stopped))) => return self.why_lost().await,
                        Some(Ok(Err(error))) => return Err(error.into()),
                        Some(Err(_)) | None => return Err(TransferError::Internal("a data stream's task failed").into()),
                    }
                }
                settled = worker::wait(&mut live.settling) => {
                    live.settling = None;
                    settled?;
                    live.completed = true;
                    return self.complete(live).await;
                }
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => return Err(lost()),
                    Some(Command::Held) => self.held_changed(live, begun),
                    Some(Command::Decline | Command::Cancel) | None => {
                        self.out.farewell(&ReceiverFrame::Cancel { code: Reason::Cancelled }).await;
                        return Ok(End::cancelled_here());
                    }
                },
                // Not before `Begin`: until then a claim may be invalidated, and progress must never fall.
                _ = tick.tick(), if begun => self.progress(live, &mut said),
                () = self.inner.cancel.cancelled() => {
                    self.out.farewell(&ReceiverFrame::Cancel { code: Reason::ShuttingDown }).await;
                    return Ok(End::by(Reason::Interrupted));
                }
            }
        }
    }

    /// Opens or closes the gate for data according to the present state, and shows that state.
    fn settle(&mut self, live: &Live, begun: bool) {
        let held = self.inner.registry.held(self.id);
        // Data of a sender that does not stop waits at this gate.
        live.arrival.gate.set(held.is_none());
        let paused = held.is_some() || self.held_there;
        live.arrival.paused.store(paused, Ordering::Relaxed);
        if paused {
            // The next data clears it: a sender that resumes may have to wait for its own slot first.
            live.arrival.quiet.store(true, Ordering::Relaxed);
        }
        let why = held.or_else(|| self.held_there.then_some(Reason::PausedThere));
        if begun && why.is_none() {
            self.watch.start(self.inner.since.elapsed());
        } else {
            self.watch.stop();
        }
        self.inner.registry.show(self.id, |view| match why {
            Some(reason) => {
                (view.state, view.reason, view.rate, view.eta) =
                    (TransferState::Paused, Some(reason.into()), 0.0, None);
            }
            None if begun => (view.state, view.reason) = (TransferState::Active, None),
            // Other transfers of the sender go first.
            None => (view.state, view.reason) = (TransferState::Queued, None),
        });
    }

    /// Applies a pause or resume on this side, and tells the sender.
    fn held_changed(&mut self, live: &Live, begun: bool) {
        self.out.tell(&match self.inner.registry.held(self.id) {
            Some(_) => ReceiverFrame::Pause { code: Reason::Paused },
            None => ReceiverFrame::Resume,
        });
        self.settle(live, begun);
    }

    /// Drops the claims that the sender has invalidated, and the staged data of these files.
    async fn without_disproved(&mut self, live: &mut Live) -> Result<(), NetworkError> {
        let (manifest, plan) = (self.machine.manifest(), self.machine.plan().clone());
        let anew: Vec<u32> = live.claimed.iter().copied().filter(|file| !plan.held.contains_key(file)).collect();
        if anew.is_empty() {
            return Ok(());
        }
        let (_, whole, parts) = plan.held(&manifest);
        live.arrival.bytes.store(whole + parts, Ordering::Relaxed);
        *live.arrival.assembly() = Assembly::new(manifest.clone(), plan);
        let temp = live.arrival.temp.clone();
        let worker = self.worker();
        let removed = worker.guarded(move || anew.into_iter().try_for_each(|file| temp.start_anew(&manifest, file)));
        let removed = removed.await.map_err(|_| TransferError::Internal("removing files failed"))?;
        Ok(removed.map_err(TransferError::Disk)?)
    }

    /// Checks that no file lacks data once every stream has ended and the sender has reported every file.
    fn all_there(&self, live: &Live) -> Result<(), NetworkError> {
        let over = live.announced.is_some_and(|announced| live.closed >= announced);
        if over {
            tracing::debug!(id = %self.id, "every stream has ended");
        }
        if over && live.backlog.is_empty() && live.arrival.assembly().left() > 0 {
            let text =
                crate::transfer::protocol::frames::Violation("the streams ended before every byte was there".into());
            return Err(TransferError::Violation(text).into());
        }
        Ok(())
    }

    /// Waits for the sender's reason after a data stream broke. Returns a lost connection if none comes within
    /// [`GRACE`].
    async fn why_lost(&mut self) -> Result<End, NetworkError> {
        let waited = timeout(GRACE, async {
            loop {
                if let FromSender::Cancelled(reason) = next(&mut self.frames, &mut self.machine).await? {
                    return Ok(End::by(reason));
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Sends `Complete` after every file has a result and the folders are done.
    async fn complete(&mut self, live: &mut Live) -> Result<End, NetworkError> {
        while live.announced.is_none() {
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine) => match frame? {
                    FromSender::Finished(streams) => live.announced = Some(streams),
                    FromSender::Cancelled(reason) => return Ok(End::by(reason)),
                    _ => {}
                },
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Superseded) => return Err(lost()),
                    // Nothing is left that could be paused.
                    Some(Command::Held) => {}
                    Some(Command::Decline | Command::Cancel) | None => {
                        self.out.farewell(&ReceiverFrame::Cancel { code: Reason::Cancelled }).await;
                        return Ok(End::cancelled_here());
                    }
                },
                () = self.inner.cancel.cancelled() => return Ok(End::by(Reason::Interrupted)),
            }
        }
        let (files, bytes) = (live.settled.files.load(Ordering::Relaxed), live.settled.bytes.load(Ordering::Relaxed));
        // A sender that misses this frame resumes, and is told then.
        self.out.farewell(&ReceiverFrame::Complete { files, bytes }).await;
        self.watch.sample(self.inner.since.elapsed(), live.arrival.bytes.load(Ordering::Relaxed));
        Ok(self.ran(&live.settled, live.expected))
    }
}
