//! Sends one transfer: from the scan to the receiver's last word.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use iroh::endpoint::{SendStream, VarInt};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inner, TransferError,
    book::{Command, End},
    control::{self, Outgoing},
    error::{explain, reason},
    feed::{Feed, Pool},
    framing::StreamHeader,
    landing::NOTES,
    limits::{BATCH, MAX_STREAMS, STREAMS, VERSION},
    rate::{RateMeter, TokenBucket},
    receiving::end_of,
    source::{Source, scan},
    state::{FromReceiver, Plan, SenderMachine},
    wire::{Code, FileEnd, Offer, SenderFrame, SourceOutcome, Violation},
};
use crate::{
    api::{TransferOptions, TransferState},
    error::NetworkError,
    id::{DeviceId, TransferId},
    net::{ALPN_TRANSFER, Session},
};

/// Wire buffers for each data stream: one is filled, one is waiting, the others are with the transport.
const BUFFERS: usize = 4;
/// Beyond this round trip one stream's window does not fill the link, and all streams are opened.
const LONG_WAY: Duration = Duration::from_millis(10);
/// Bytes that go at once under a limit.
const SLICE: usize = 32 * 1024;
/// How long the receiver's reason is waited for after a stream broke.
const GRACE: Duration = Duration::from_secs(5);
/// Ten times a second.
const TICK: Duration = Duration::from_millis(100);
/// With which a data stream is reset: the control stream says why.
const GIVEN_UP: VarInt = VarInt::from_u32(1);
/// Ends of files that wait to be told.
const ENDS: usize = 4096;

/// What is to be sent.
pub(super) struct Order {
    pub id: TransferId,
    pub device: DeviceId,
    pub paths: Vec<PathBuf>,
    pub options: TransferOptions,
}

/// Runs a transfer to its end.
pub(super) async fn run(inner: Arc<Inner>, order: Order, asked: mpsc::Receiver<Command>) {
    // Of its own: when the node goes down, the other side is told before the streams stop.
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let id = order.id;
    let mut sending = Sending { inner: inner.clone(), order, asked, stop, begun: None, tally: Tally::default() };
    let end = match sending.run().await {
        Ok(end) => end,
        Err(error) => End::failed(&error),
    };
    let seconds = sending.begun.map(|begun| begun.elapsed().as_secs_f64());
    let Tally { bytes, files, notes, .. } = sending.tally;
    inner
        .book
        .end(id, end, |view| {
            view.seconds = seconds;
            (view.bytes, view.files_done) = (bytes, files.into());
            view.notes.extend(notes);
            view.notes.truncate(NOTES);
        })
        .await;
}

struct Sending {
    inner: Arc<Inner>,
    order: Order,
    asked: mpsc::Receiver<Command>,
    stop: CancellationToken,
    begun: Option<Instant>,
    tally: Tally,
}

/// The receiver's word on how far it is.
#[derive(Default)]
struct Tally {
    bytes: u64,
    files: u32,
    failed: u32,
    first_failure: Option<Code>,
    notes: Vec<String>,
}

fn cancelled() -> End {
    End { state: TransferState::Cancelled, reason: None }
}

fn lost() -> NetworkError {
    NetworkError::ConnectionLost("the other side closed the stream".into())
}

impl Sending {
    async fn run(&mut self) -> Result<End, NetworkError> {
        let Some(source) = self.scan().await? else { return Ok(cancelled()) };
        let source = Arc::new(source);
        let manifest = source.manifest.clone();
        self.inner.book.show(self.order.id, |view| {
            (view.files, view.total) = (manifest.files().into(), manifest.total());
            (view.roots, view.root_count) = (manifest.roots(), manifest.root_count());
            view.notes.clone_from(&source.notes);
        });
        let Some(session) = self.connect().await? else { return Ok(cancelled()) };
        let mut talk = self.offer(&session, source).await?;
        let end = self.talk(&session, &mut talk).await;
        let end = match end {
            Ok(end) => end,
            Err(error) => {
                if error.code() == "protocol_violation" {
                    talk.out.farewell(&SenderFrame::Cancel { code: Code::new("protocol_violation") }).await;
                    session.close(crate::net::CloseCode::Violation, "");
                }
                End::failed(&error)
            }
        };
        self.stop.cancel();
        talk.wind_up().await;
        Ok(end)
    }

    /// Lists what is to be sent. None if it was cancelled meanwhile.
    async fn scan(&mut self) -> Result<Option<Source>, NetworkError> {
        let paths = std::mem::take(&mut self.order.paths);
        let stopped = Arc::new(AtomicBool::new(false));
        let seen = stopped.clone();
        let mut scanning = tokio::task::spawn_blocking(move || scan(&paths, &|| seen.load(Ordering::Relaxed)));
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

    /// Waits until a person cancels, or the node goes down.
    async fn told_to_stop(&mut self) {
        loop {
            tokio::select! {
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Decline | Command::Cancel) | None => return,
                },
                () = self.inner.cancel.cancelled() => return,
            }
        }
    }

    async fn offer(&mut self, session: &Session, source: Arc<Source>) -> Result<Talk, NetworkError> {
        let mut attempt = [0; 16];
        getrandom::fill(&mut attempt).map_err(|_| TransferError::Internal("no randomness"))?;
        let manifest = source.manifest.clone();
        let offer = Offer {
            version: VERSION,
            transfer: *self.order.id.as_bytes(),
            attempt,
            entries: manifest.len(),
            files: manifest.files(),
            total: manifest.total(),
            roots: manifest.roots(),
            root_count: manifest.root_count(),
            skipped: source.skipped,
            pages: source.pages,
            compress: false,
            encrypt: self.order.options.encrypt,
        };
        let (sender, receiver) = session.open_sealed().await?.split();
        let frames = control::read(&self.inner.tasks, receiver, self.stop.clone());
        let out = control::write(&self.inner.tasks, sender, self.stop.clone());
        let keys = session.keys();
        let talk = Talk {
            header: StreamHeader {
                suite: if offer.encrypt { keys.suite() as u8 } else { 0 },
                transfer: offer.transfer,
                attempt,
            },
            machine: Arc::new(Mutex::new(SenderMachine::new(manifest))),
            source,
            frames,
            out,
            jobs: JoinSet::new(),
            pool: None,
        };
        self.inner.book.show(self.order.id, |view| view.state = TransferState::Offered);
        if talk.out.send(&SenderFrame::Offer(offer)).await { Ok(talk) } else { Err(lost()) }
    }

    async fn talk(&mut self, session: &Session, talk: &mut Talk) -> Result<End, NetworkError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut meter = RateMeter::default();
        loop {
            tokio::select! {
                frame = talk.frames.recv() => {
                    let frame = frame.ok_or_else(lost)??;
                    let meant = talk.machine().frame(&frame).map_err(TransferError::Violation)?;
                    if let Some(end) = self.heard(session, talk, meant).await? {
                        return Ok(end);
                    }
                }
                ended = talk.jobs.join_next(), if !talk.jobs.is_empty() => match ended {
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(Broken))) => return self.why_broken(session, talk).await,
                    Some(Err(_)) | None => return Err(TransferError::Internal("a sending task failed").into()),
                },
                command = self.asked.recv() => match command {
                    Some(Command::Accept { reply, .. }) => drop(reply.send(Err(TransferError::NotOffered.into()))),
                    Some(Command::Decline | Command::Cancel) | None => {
                        talk.out.farewell(&SenderFrame::Cancel { code: Code::new("cancelled") }).await;
                        return Ok(cancelled());
                    }
                },
                _ = tick.tick() => {
                    let Some(begun) = self.begun else { continue };
                    let (bytes, files) = (self.tally.bytes, self.tally.files);
                    meter.sample(begun.elapsed(), bytes);
                    self.inner.book.show(self.order.id, |view| {
                        (view.bytes, view.files_done) = (bytes, files.into());
                        view.rate = meter.rate();
                        view.eta = meter.eta(view.total.saturating_sub(bytes));
                    });
                }
                () = self.inner.cancel.cancelled() => {
                    talk.out.farewell(&SenderFrame::Cancel { code: Code::new("shutting_down") }).await;
                    return Ok(End::by_code("interrupted"));
                }
            }
        }
    }

    async fn heard(
        &mut self,
        session: &Session,
        talk: &mut Talk,
        meant: FromReceiver,
    ) -> Result<Option<End>, NetworkError> {
        match meant {
            FromReceiver::SendManifest => talk.send_manifest(&self.stop),
            FromReceiver::Declined(code) => {
                let why = (code.as_str() != "declined").then(|| reason(code.as_str()));
                return Ok(Some(End { state: TransferState::Declined, reason: why }));
            }
            FromReceiver::Accepted(_) => {
                self.begun = Some(Instant::now());
                self.inner.book.show(self.order.id, |view| view.state = TransferState::Active);
            }
            FromReceiver::Start(plan) => talk.send_data(session, plan, self.order.options.limit, &self.stop),
            FromReceiver::Progress { bytes, files } => (self.tally.bytes, self.tally.files) = (bytes, files),
            FromReceiver::Received(list) => {
                for item in list {
                    let Some(code) = item.failure else { continue };
                    self.tally.failed += 1;
                    if self.tally.notes.len() < NOTES {
                        let path = talk.source.manifest.shown(item.file);
                        self.tally.notes.push(format!("{path}: {}", explain(code.as_str())));
                    }
                    self.tally.first_failure.get_or_insert(code);
                }
            }
            FromReceiver::Complete { files, bytes } => {
                (self.tally.bytes, self.tally.files) = (bytes, files);
                let of = talk.source.manifest.files();
                return Ok(Some(end_of(self.tally.failed, of, self.tally.first_failure.as_ref())));
            }
            FromReceiver::Cancelled(code) => return Ok(Some(End::by_code(code.as_str()))),
            FromReceiver::Noted | FromReceiver::Pause | FromReceiver::Resume => {}
        }
        Ok(None)
    }

    /// A stream broke: the receiver has said why on the control stream, or the connection is gone.
    async fn why_broken(&mut self, session: &Session, talk: &mut Talk) -> Result<End, NetworkError> {
        let waited = timeout(GRACE, async {
            loop {
                let frame = talk.frames.recv().await.ok_or_else(lost)??;
                let meant = talk.machine().frame(&frame).map_err(TransferError::Violation)?;
                if let Some(end) = self.heard(session, talk, meant).await? {
                    return Ok(end);
                }
            }
        });
        waited.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// A stream of ours is gone.
struct Broken;

/// The conversation about one attempt.
struct Talk {
    source: Arc<Source>,
    header: StreamHeader,
    machine: Arc<Mutex<SenderMachine>>,
    frames: mpsc::Receiver<Result<Vec<u8>, NetworkError>>,
    out: Outgoing,
    jobs: JoinSet<Result<(), Broken>>,
    pool: Option<Arc<Pool>>,
}

fn lock(machine: &Mutex<SenderMachine>) -> MutexGuard<'_, SenderMachine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Talk {
    fn machine(&self) -> MutexGuard<'_, SenderMachine> {
        lock(&self.machine)
    }

    /// Sends the pages, on a task of its own so that a cancel is heard meanwhile.
    fn send_manifest(&mut self, stop: &CancellationToken) {
        let (source, out) = (self.source.clone(), self.out.clone());
        self.jobs.spawn(until(stop, async move {
            let mut hasher = blake3::Hasher::new();
            for page in source.manifest.pages() {
                let Ok(bytes) = page else { return Err(Broken) };
                hasher.update(&bytes);
                if !out.send_encoded(bytes).await {
                    return Err(Broken);
                }
            }
            let hash = *hasher.finalize().as_bytes();
            if out.send(&SenderFrame::ManifestEnd { hash }).await { Ok(()) } else { Err(Broken) }
        }));
    }

    /// Starts everything that sends data.
    fn send_data(&mut self, session: &Session, plan: Plan, limit: Option<u64>, stop: &CancellationToken) {
        let manifest = &self.source.manifest;
        let (files, bytes) = plan.measure(manifest);
        let streams = stream_count(session, files, bytes);
        let keys = session.keys();
        let sealed = self.header.suite != 0;
        let transfer = TransferId::from_random(self.header.transfer);
        let root = sealed.then(|| keys.file_root(&transfer, &self.header.attempt, keys.outgoing()));
        let feed = Arc::new(Feed::new(self.source.clone(), plan, root));
        let pool = Pool::new(usize::from(streams) * BUFFERS);
        let bucket = limit.map(|limit| Arc::new(Bucket::new(limit)));
        let (ends, ended) = mpsc::channel(ENDS);
        self.jobs.spawn(until(stop, tell(self.out.clone(), self.machine.clone(), ended, files, streams)));
        for _ in 0..streams {
            let (full, taken) = mpsc::channel(1);
            let (feed, pool_of_feed, ends) = (feed.clone(), pool.clone(), ends.clone());
            self.jobs.spawn(async move {
                let fed = tokio::task::spawn_blocking(move || feed.run(&pool_of_feed, &full, &ends));
                fed.await.map_err(|_| Broken)
            });
            self.jobs.spawn(until(stop, carry(session.clone(), self.header, taken, bucket.clone())));
        }
        self.pool = Some(pool);
    }

    /// Ends every task.
    async fn wind_up(&mut self) {
        self.machine().end();
        if let Some(pool) = &self.pool {
            pool.close();
        }
        // The feeding threads see the closed pool, or that nobody takes what they fill; the others see the stop.
        while self.jobs.join_next().await.is_some() {}
    }
}

/// One stream for little, all for a long way, some otherwise.
fn stream_count(session: &Session, files: u32, bytes: u64) -> u8 {
    if files == 0 {
        return 0;
    }
    let most = session
        .connection()
        .paths()
        .iter()
        .filter(|path| path.is_selected())
        .map(|path| path.rtt())
        .next()
        .map_or(STREAMS, |rtt| if rtt > LONG_WAY { MAX_STREAMS } else { STREAMS });
    let worth = bytes / (2 * super::limits::SEGMENT) + u64::from(files) / 64 + 1;
    u8::try_from(worth).unwrap_or(u8::MAX).min(most)
}

/// Tells the receiver of files that are through, and at last that all are.
async fn tell(
    out: Outgoing,
    machine: Arc<Mutex<SenderMachine>>,
    mut ended: mpsc::Receiver<FileEnd>,
    files: u32,
    streams: u8,
) -> Result<(), Broken> {
    if !out.send(&SenderFrame::Begin).await {
        return Err(Broken);
    }
    let mut left = files;
    while left > 0 {
        let mut batch = Vec::new();
        if ended.recv_many(&mut batch, BATCH).await == 0 {
            // Stopped in the middle: whoever stopped it says so.
            return Ok(());
        }
        left = left.saturating_sub(batch.len() as u32);
        for end in &batch {
            if matches!(end.outcome, SourceOutcome::Sent { .. }) {
                lock(&machine).telling(end.file);
            }
        }
        if !out.send(&SenderFrame::FilesDone(batch)).await {
            return Err(Broken);
        }
    }
    lock(&machine).finishing();
    if out.send(&SenderFrame::Finished { streams }).await { Ok(()) } else { Err(Broken) }
}

/// Carries what one thread has filled.
async fn carry(
    session: Session,
    header: StreamHeader,
    mut taken: mpsc::Receiver<Bytes>,
    bucket: Option<Arc<Bucket>>,
) -> Result<(), Broken> {
    let mut stream = Whole(session.connection().open_uni().await.map_err(|_| Broken)?, false);
    // The control stream goes first.
    let _ = stream.0.set_priority(-1);
    stream.0.write_all(&header.encode()).await.map_err(|_| Broken)?;
    while let Some(bytes) = taken.recv().await {
        write(&mut stream.0, bytes, bucket.as_deref()).await?;
    }
    stream.1 = true;
    stream.0.finish().map_err(|_| Broken)
}

/// A stream, and whether all of it was written. One that is dropped before is reset: left to itself it would end as if
/// it were whole.
struct Whole(SendStream, bool);

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.1 {
            let _ = self.0.reset(GIVEN_UP);
        }
    }
}

/// Runs a job that may have to wait for the peer, until the transfer stops.
fn until(
    stop: &CancellationToken,
    job: impl Future<Output = Result<(), Broken>> + Send + 'static,
) -> impl Future<Output = Result<(), Broken>> + Send + 'static {
    let stop = stop.clone();
    async move {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            done = job => done,
        }
    }
}

async fn write(stream: &mut SendStream, mut bytes: Bytes, bucket: Option<&Bucket>) -> Result<(), Broken> {
    let Some(bucket) = bucket else { return stream.write_chunk(bytes).await.map_err(|_| Broken) };
    while !bytes.is_empty() {
        let slice = bytes.split_to(bytes.len().min(SLICE));
        bucket.wait(slice.len()).await;
        stream.write_chunk(slice).await.map_err(|_| Broken)?;
    }
    Ok(())
}

/// A limit that all streams of a transfer share.
struct Bucket {
    since: Instant,
    tokens: Mutex<TokenBucket>,
}

impl Bucket {
    fn new(limit: u64) -> Self {
        Self { since: Instant::now(), tokens: Mutex::new(TokenBucket::new(limit, Duration::ZERO)) }
    }

    async fn wait(&self, bytes: usize) {
        let span = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).take(self.since.elapsed(), bytes);
        if !span.is_zero() {
            sleep(span).await;
        }
    }
}

impl From<Violation> for NetworkError {
    fn from(violation: Violation) -> Self {
        TransferError::Violation(violation).into()
    }
}
