//! Receives one transfer: from the offer to the last name.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::endpoint::RecvStream;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inner, TransferError,
    book::{Command, End, unix_now},
    control::{self, Outgoing},
    data_in::{self, Arrival, StreamEnd},
    error::{explain, reason, told_as},
    framing::StreamHeader,
    intake::{Intake, Verdict},
    landing::{DiskError, Temp},
    limits::{MAX_FRAME, MAX_OPEN_PER_DEVICE, MAX_STREAMS, SPACE_RESERVE},
    names::visible,
    rate::RateMeter,
    routes::{Route, Routes},
    settling::{self, Settled, Settling},
    state::{FromSender, Plan, ReceiverMachine},
    wire::{Code, Conflict, Decision, Offer, ReceiverFrame},
};
use crate::{
    api::{ConflictRule, Direction, TransferState, TransferView},
    device::Welcome,
    error::NetworkError,
    id::TransferId,
    net::{SealedStream, Session},
};

/// The offer, and each page of its manifest, has to come within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the sender's reason is waited for after a data stream broke.
const GRACE: Duration = Duration::from_secs(5);
/// Ten times a second.
const TICK: Duration = Duration::from_millis(100);
/// Verdicts that wait for their names.
const VERDICTS: usize = 4096;

type Frames = mpsc::Receiver<Result<Vec<u8>, NetworkError>>;

/// Serves one bidirectional stream of a peer. Its errors end the session.
pub(super) async fn serve(
    inner: Arc<Inner>,
    session: Session,
    routes: Arc<Routes>,
    stream: SealedStream,
) -> Result<(), NetworkError> {
    let (sender, receiver) = stream.split();
    // Of its own: when the node goes down, the other side is told before the streams stop.
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let frames = control::read(&inner.tasks, receiver, stop.clone());
    let out = control::write(&inner.tasks, sender, stop.clone());
    let mut machine = ReceiverMachine::default();
    let mut frames = frames;
    let offer = match timeout(PATIENCE, next(&mut frames, &mut machine)).await {
        Ok(Ok(FromSender::Offered(offer))) => offer,
        Ok(Ok(FromSender::Unacceptable(_, code))) => {
            out.farewell(&declined(code.as_str())).await;
            return Ok(());
        }
        Ok(Ok(_)) | Err(_) => return Ok(()),
        Ok(Err(error)) => return violations_only(error),
    };
    let id = TransferId::from_random(offer.transfer);
    let device = session.device_id();
    let refused = if inner.cancel.is_cancelled() {
        Some("shutting_down")
    } else if (inner.deps.welcome)(device, 0).await? == Welcome::Refuse {
        Some("declined_by_rule")
    } else if inner.book.open_from(device) >= MAX_OPEN_PER_DEVICE || !inner.may_offer(device) {
        Some("busy")
    } else {
        None
    };
    let Some(_kept) = inner.budget(offer.pages as usize * MAX_FRAME) else {
        out.farewell(&declined("busy")).await;
        return Ok(());
    };
    if let Some(code) = refused {
        out.farewell(&declined(code)).await;
        return Ok(());
    }
    let (commands, asked) = mpsc::channel(4);
    if !inner.book.add(view(&inner, &session, id, &offer), commands).await? {
        // State is kept by id: a second transfer of the same one is not taken.
        out.farewell(&declined("duplicate_id")).await;
        return Ok(());
    }
    let mut receiving = Receiving {
        inner: inner.clone(),
        session,
        routes,
        id,
        offer,
        machine,
        frames,
        asked,
        out,
        stop,
        begun: None,
        live: None,
        meter: RateMeter::default(),
    };
    let (result, end) = match receiving.run().await {
        Ok(end) => (Ok(()), end),
        Err(error) => {
            let end = End::failed(&error);
            (violations_only(error), end)
        }
    };
    receiving.wind_up(end).await;
    result
}

/// A violation ends the session; everything else is the matter of this transfer alone.
fn violations_only(error: NetworkError) -> Result<(), NetworkError> {
    match error.code() {
        "protocol_violation" => Err(NetworkError::ProtocolViolation(error.to_string())),
        "decryption_failed" => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn declined(code: &str) -> ReceiverFrame {
    ReceiverFrame::Decision(Decision::Declined { code: Code::new(code) })
}

fn view(inner: &Inner, session: &Session, id: TransferId, offer: &Offer) -> TransferView {
    let mut notes = Vec::new();
    if offer.skipped > 0 {
        notes.push(format!("{} things are left out by the sender", offer.skipped));
    }
    TransferView {
        id,
        direction: Direction::Receive,
        device: session.device_id(),
        device_name: (inner.deps.names)(session.device_id()),
        state: TransferState::Offered,
        reason: None,
        roots: offer.roots.iter().map(|name| visible(name)).collect(),
        root_count: offer.root_count,
        files: offer.files.into(),
        files_done: 0,
        bytes: 0,
        total: offer.total,
        rate: 0.0,
        eta: None,
        started: unix_now(),
        seconds: None,
        into: None,
        notes,
    }
}

async fn next(frames: &mut Frames, machine: &mut ReceiverMachine) -> Result<FromSender, NetworkError> {
    match frames.recv().await {
        Some(frame) => Ok(machine.frame(&frame?).map_err(TransferError::Violation)?),
        None => Err(lost()),
    }
}

fn lost() -> NetworkError {
    NetworkError::ConnectionLost("the other side closed the stream".into())
}

struct Receiving {
    inner: Arc<Inner>,
    session: Session,
    routes: Arc<Routes>,
    id: TransferId,
    offer: Offer,
    machine: ReceiverMachine,
    frames: Frames,
    asked: mpsc::Receiver<Command>,
    out: Outgoing,
    stop: CancellationToken,
    begun: Option<Instant>,
    live: Option<Live>,
    meter: RateMeter,
}

/// What exists from the decision on.
struct Live {
    arrival: Arc<Arrival>,
    _route: Route,
    arrivals: mpsc::Receiver<RecvStream>,
    streams: JoinSet<Result<StreamEnd, TransferError>>,
    opened: u8,
    closed: u8,
    /// How many the sender said that there are.
    announced: Option<u8>,
    settling: Option<JoinHandle<Result<(), DiskError>>>,
    /// The naming thread came to its end: nothing is unfinished.
    completed: bool,
    settled: Arc<Settled>,
    backlog: VecDeque<Verdict>,
    expected: u32,
}

impl Receiving {
    async fn run(&mut self) -> Result<End, NetworkError> {
        if let Some(end) = self.list().await? {
            return Ok(end);
        }
        if let Some(end) = self.decide().await? {
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
                frame = timeout(PATIENCE, next(&mut self.frames, &mut self.machine)) => match frame {
                    Ok(frame) => match frame? {
                        FromSender::Manifest(_) => return Ok(None),
                        FromSender::Cancelled(code) => return Ok(Some(End::by_code(code.as_str()))),
                        _ => {}
                    },
                    Err(_) => return Err(lost()),
                },
                command = self.asked.recv() => match command {
                    // Nobody accepts what is not listed yet; the answer comes once it is.
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Decline) => return Ok(Some(self.decline("declined").await)),
                    Some(Command::Cancel) | None => return Ok(Some(self.decline("declined").await)),
                },
                () = self.inner.cancel.cancelled() => return Err(NetworkError::ShuttingDown),
            }
        }
    }

    async fn decline(&mut self, code: &str) -> End {
        self.machine.end();
        self.out.farewell(&declined(code)).await;
        let why = (code != "declined").then(|| reason(code));
        End { state: TransferState::Declined, reason: why }
    }

    /// Waits for a person, or follows a rule.
    async fn decide(&mut self) -> Result<Option<End>, NetworkError> {
        let folder = (self.inner.deps.download_dir)();
        let space = self.space(folder.clone()).await;
        match (self.inner.deps.welcome)(self.session.device_id(), self.offer.total).await? {
            Welcome::Refuse => return Ok(Some(self.decline("declined_by_rule").await)),
            Welcome::Accept { into } => {
                let space = match &into {
                    Some(into) => self.space(into.clone()).await,
                    None => space,
                };
                let begun = match space {
                    Ok(()) => self.begin(into.unwrap_or(folder), ConflictRule::KeepBoth).await,
                    Err(error) => Err(error),
                };
                return match begun {
                    Ok(()) => Ok(None),
                    Err(error) => {
                        tracing::info!(%error, "an offer could not be accepted");
                        Ok(Some(self.decline(told_as(&error)).await))
                    }
                };
            }
            Welcome::Ask => {
                let why = space.err().map(|error| (&error).into());
                self.inner.book.show(self.id, |view| {
                    view.reason = why;
                    view.into = Some(folder.display().to_string());
                });
                self.inner.book.announce(self.id);
            }
        }
        loop {
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine) => {
                    if let FromSender::Cancelled(code) = frame? {
                        return Ok(Some(End::by_code(code.as_str())));
                    }
                }
                command = self.asked.recv() => match command {
                    Some(Command::Accept { into, conflict, reply }) => {
                        let begun = match self.space(into.clone()).await {
                            Ok(()) => self.begin(into, conflict).await,
                            Err(error) => Err(error),
                        };
                        let ok = begun.is_ok();
                        let _ = reply.send(begun);
                        if ok {
                            return Ok(None);
                        }
                    }
                    Some(Command::Decline | Command::Cancel) | None => {
                        return Ok(Some(self.decline("declined").await));
                    }
                },
                () = self.inner.cancel.cancelled() => return Err(NetworkError::ShuttingDown),
            }
        }
    }

    /// Whether the offer fits.
    async fn space(&self, folder: PathBuf) -> Result<(), NetworkError> {
        let ops = self.inner.ops.clone();
        let (total, entries) = (self.offer.total, u64::from(self.offer.entries));
        let asked = tokio::task::spawn_blocking(move || {
            let unusable = |source| TransferError::Destination { path: folder.clone(), source };
            let free = ops.free_space(&ops.open_root(&folder).map_err(unusable)?).map_err(unusable)?;
            // Half a block is lost at the end of each file, on average.
            let needed = total.saturating_add(entries * 2048).saturating_add(SPACE_RESERVE);
            if needed > free { Err(TransferError::NoSpace { folder, needed, free }) } else { Ok(()) }
        });
        Ok(asked.await.map_err(|_| TransferError::Internal("asking for free space failed"))??)
    }

    /// The offer is accepted: everything that receives is set up, then the sender is told.
    async fn begin(&mut self, folder: PathBuf, conflict: ConflictRule) -> Result<(), NetworkError> {
        if conflict != ConflictRule::KeepBoth {
            return Err(TransferError::ConflictRuleUnsupported.into());
        }
        if !self.machine.is_deciding() {
            return Err(TransferError::NotOffered.into());
        }
        // On record before the first byte on disk: after a crash the next start knows what to remove.
        let shown = folder.display().to_string();
        self.inner.book.change(self.id, Some(&folder), |view| view.into = Some(shown)).await?;
        let (ops, id, at) = (self.inner.ops.clone(), self.id, folder.clone());
        let temp = tokio::task::spawn_blocking(move || Temp::create(ops, &at, &id))
            .await
            .map_err(|_| TransferError::Internal("creating a folder failed"))?
            .map_err(|error| match error.code() {
                "disk_full" => TransferError::Disk(error),
                _ => TransferError::Destination { path: folder, source: error.source },
            })?;
        let temp = Arc::new(temp);
        let manifest = self.machine.manifest();
        let plan = Plan::all(&manifest);
        if !self.machine.accept(plan.clone()) {
            temp.remove();
            return Err(TransferError::NotOffered.into());
        }
        let (expected, _) = plan.measure(&manifest);
        let keys = self.session.keys();
        let root = self.offer.encrypt.then(|| keys.file_root(&self.id, &self.offer.attempt, keys.incoming()));
        let header = StreamHeader {
            suite: if self.offer.encrypt { keys.suite() as u8 } else { 0 },
            transfer: self.offer.transfer,
            attempt: self.offer.attempt,
        };
        let (route, arrivals) = self.routes.register(header);
        let (verdicts, judged) = mpsc::channel(VERDICTS);
        let settled = Arc::new(Settled::default());
        let arrival = Arc::new(Arrival {
            manifest: manifest.clone(),
            intake: Mutex::new(Intake::new(manifest.clone(), plan.clone())),
            temp: temp.clone(),
            root,
            bytes: AtomicU64::new(0),
            verdicts,
        });
        let placing = Settling { temp, manifest, plan, out: self.out.clone(), told: settled.clone(), expected };
        let settling = tokio::task::spawn_blocking(move || placing.run(judged));
        self.live = Some(Live {
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
            expected,
        });
        self.begun = Some(Instant::now());
        self.meter.sample(Duration::ZERO, 0);
        self.inner.book.show(self.id, |view| (view.state, view.reason) = (TransferState::Active, None));
        let accepted = Decision::Accepted { all: true, conflict: Conflict::KeepBoth };
        let told =
            self.out.send(&ReceiverFrame::Decision(accepted)).await && self.out.send(&ReceiverFrame::Start).await;
        if told { Ok(()) } else { Err(lost()) }
    }

    async fn receive(&mut self) -> Result<End, NetworkError> {
        let Some(mut live) = self.live.take() else { return Err(TransferError::NotOffered.into()) };
        let end = self.receive_into(&mut live).await;
        self.live = Some(live);
        end
    }

    async fn receive_into(&mut self, live: &mut Live) -> Result<End, NetworkError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let verdicts = live.arrival.verdicts.clone();
        let mut begun = false;
        let mut said = (0, 0);
        loop {
            // Data that comes before `Begin` waits in the transport.
            let streams_may_come = begun && live.opened < MAX_STREAMS;
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine), if live.backlog.is_empty() => match frame? {
                    FromSender::Begin => begun = true,
                    FromSender::FilesDone(ends) => {
                        let mut intake = live.arrival.intake();
                        live.backlog.extend(ends.iter().filter_map(|end| intake.ended(end)));
                    }
                    FromSender::Finished(streams) => {
                        live.announced = Some(streams);
                        self.all_there(live)?;
                    }
                    FromSender::Cancelled(code) => return Ok(End::by_code(code.as_str())),
                    _ => {}
                },
                room = verdicts.reserve(), if !live.backlog.is_empty() => match room {
                    Ok(room) => {
                        if let Some(verdict) = live.backlog.pop_front() {
                            room.send(verdict);
                        }
                    }
                    // The naming thread is gone; its own branch says why.
                    Err(_) => live.backlog.clear(),
                },
                stream = live.arrivals.recv(), if streams_may_come => {
                    if let Some(stream) = stream {
                        live.opened += 1;
                        live.streams.spawn(data_in::serve(live.arrival.clone(), stream, self.stop.child_token()));
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
                settled = settling::wait(&mut live.settling) => {
                    live.settling = None;
                    settled?;
                    live.completed = true;
                    return self.complete(live).await;
                }
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Decline | Command::Cancel) | None => {
                        self.out.farewell(&ReceiverFrame::Cancel { code: Code::new("cancelled") }).await;
                        return Ok(End { state: TransferState::Cancelled, reason: None });
                    }
                },
                _ = tick.tick() => self.progress(live, &mut said),
                () = self.inner.cancel.cancelled() => {
                    self.out.farewell(&ReceiverFrame::Cancel { code: Code::new("shutting_down") }).await;
                    return Ok(End::by_code("interrupted"));
                }
            }
        }
    }

    /// Once every stream has ended and there was word on every file, no file may lack anything.
    fn all_there(&self, live: &Live) -> Result<(), NetworkError> {
        let over = live.announced.is_some_and(|announced| live.closed >= announced);
        if over && live.backlog.is_empty() && live.arrival.intake().left() > 0 {
            let text = super::wire::Violation("the streams ended before every byte was there".into());
            return Err(TransferError::Violation(text).into());
        }
        Ok(())
    }

    /// A data stream broke: the control stream says why, or the connection is gone.
    async fn why_lost(&mut self) -> Result<End, NetworkError> {
        let waited = timeout(GRACE, async {
            loop {
                if let FromSender::Cancelled(code) = next(&mut self.frames, &mut self.machine).await? {
                    return Ok(End::by_code(code.as_str()));
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(lost()))
    }

    fn progress(&mut self, live: &Live, said: &mut (u64, u32)) {
        let bytes = live.arrival.bytes.load(Ordering::Relaxed);
        let files = live.settled.files.load(Ordering::Relaxed);
        if (bytes, files) != *said {
            *said = (bytes, files);
            self.out.offer(&ReceiverFrame::Progress { bytes, files });
        }
        self.meter.sample(self.begun.map_or(Duration::ZERO, |begun| begun.elapsed()), bytes);
        let meter = &self.meter;
        self.inner.book.show(self.id, |view| {
            (view.bytes, view.files_done) = (bytes, files.into());
            view.rate = meter.rate();
            view.eta = meter.eta(view.total.saturating_sub(bytes));
        });
    }

    /// Every file has its name or its failure, and the folders are done.
    async fn complete(&mut self, live: &mut Live) -> Result<End, NetworkError> {
        while live.announced.is_none() {
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine) => match frame? {
                    FromSender::Finished(streams) => live.announced = Some(streams),
                    FromSender::Cancelled(code) => return Ok(End::by_code(code.as_str())),
                    _ => {}
                },
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Decline | Command::Cancel) | None => {
                        self.out.farewell(&ReceiverFrame::Cancel { code: Code::new("cancelled") }).await;
                        return Ok(End { state: TransferState::Cancelled, reason: None });
                    }
                },
                () = self.inner.cancel.cancelled() => return Ok(End::by_code("interrupted")),
            }
        }
        let (files, bytes) = (live.settled.files.load(Ordering::Relaxed), live.settled.bytes.load(Ordering::Relaxed));
        if !self.out.send(&ReceiverFrame::Complete { files, bytes }).await {
            tracing::debug!("the sender was gone before it heard that all is there");
        }
        let (failed, first) = live.settled.failures();
        Ok(end_of(failed, live.expected, first.as_ref()))
    }

    /// Ends everything in its order: no task of this transfer is left when the record says that it is over.
    async fn wind_up(&mut self, end: End) {
        self.machine.end();
        if end.state == TransferState::Failed
            && let Some(code) = end.reason.as_ref().map(|reason| reason.code.as_str())
            && self.live.as_ref().is_none_or(|live| !live.completed)
            && code != "connection_lost"
        {
            let frame = match self.live {
                Some(_) => ReceiverFrame::Cancel { code: Code::new(code) },
                None => declined(code),
            };
            self.out.farewell(&frame).await;
        }
        self.stop.cancel();
        let mut done = None;
        if let Some(live) = self.live.take() {
            let Live { arrival, mut streams, settling, completed, settled, _route: route, .. } = live;
            drop(route);
            while streams.join_next().await.is_some() {}
            let bytes = arrival.bytes.load(Ordering::Relaxed);
            let temp = arrival.temp.clone();
            // The last handle of the verdicts goes with it, and so the naming thread ends.
            drop(arrival);
            if let Some(settling) = settling
                && settling.await.is_err()
            {
                tracing::error!("the naming thread failed");
            }
            if !completed && tokio::task::spawn_blocking(move || temp.remove()).await.is_err() {
                tracing::error!("removing unfinished files failed");
            }
            done = Some((bytes, settled));
        }
        let seconds = self.begun.map(|begun| begun.elapsed().as_secs_f64());
        self.inner
            .book
            .end(self.id, end, |view| {
                view.seconds = seconds;
                if let Some((bytes, settled)) = done {
                    (view.bytes, view.files_done) = (bytes, settled.files.load(Ordering::Relaxed).into());
                    view.notes.extend(settled.take_notes());
                    view.notes.truncate(super::landing::NOTES);
                }
            })
            .await;
    }
}

/// How it ended when it ran to its end: with or without files that failed.
pub(super) fn end_of(failed: u32, of: u32, first: Option<&Code>) -> End {
    let Some(first) = first.filter(|_| failed > 0) else {
        return End { state: TransferState::Done, reason: None };
    };
    let mut why = reason(first.as_str());
    why.message = format!("{failed} of {of} files could not be transferred: {}", explain(first.as_str()));
    End { state: TransferState::Failed, reason: Some(why) }
}
