//! One attempt of the sender: its control stream, and the tasks that carry its data.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use iroh::endpoint::{SendStream, VarInt};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    input::{Input, ReportedLength},
    pace::Written,
    source::Source,
};
use crate::{
    budget::{Budget, Worker},
    clock::Locked as _,
    error::NetworkError,
    id::TransferId,
    net::Session,
    queue::rate_limit::{PauseGate, RateLimits},
    transfer::{
        TransferError,
        protocol::{
            control_stream::FrameSender,
            frames::{FileEnd, SenderFrame, SourceOutcome},
            framing::StreamHeader,
            limits::{BATCH, MAX_STREAMS, STREAMS},
            reason::Reason,
            state::{Plan, SenderMachine},
        },
        send::{
            reader::{BufferPool, Room, SegmentReader},
            verify_claims::invalid_claims,
        },
    },
};

/// Wire buffers for each data stream: one is filled, one waits, the others are with the transport.
const BUFFERS: usize = 4;
/// Wire buffers of all streams until the first come back. By then it is known whether compression may pay.
const FIRST_BUFFERS: usize = 2;
/// Round trip above which one stream's window does not fill the link, so that all streams are opened.
const LONG_WAY: Duration = Duration::from_millis(10);
/// Bytes written at once without a rate limit. A closed gate takes effect after that many.
const SLICE: usize = 256 * 1024;
/// Error code for a reset data stream; the control stream carries the reason.
const GIVEN_UP: VarInt = VarInt::from_u32(1);
/// Batches of file ends that may wait to be reported.
const ENDS: usize = 16;

/// Reason why an attempt cannot send any more.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::transfer) enum Broken {
    /// A stream of this side broke.
    Stream,
    /// The source is gone, with the disk that it was on.
    Source,
    /// Descriptors ran out: no file could be opened for some time.
    Descriptors,
}

/// State of one attempt.
pub(in crate::transfer) struct SendAttempt {
    pub source: Arc<Source>,
    /// True if chunks may be compressed.
    pub compress: bool,
    header: StreamHeader,
    machine: Arc<Mutex<SenderMachine>>,
    pub frames: mpsc::Receiver<Result<Vec<u8>, NetworkError>>,
    pub out: FrameSender,
    pub jobs: JoinSet<Result<(), Broken>>,
    pub proving: Option<ClaimVerification>,
    /// Closed while the transfer is paused or waits for a scheduler slot.
    pub gate: Arc<PauseGate>,
    /// Bytes that the streams have written.
    pub written: Arc<Written>,
    /// Plan, until sending has begun.
    plan: Option<Plan>,
    pool: Option<Arc<BufferPool>>,
    /// State of a growing input.
    pub input: Option<watch::Receiver<Input>>,
    /// Grants of the receiver for the growing file.
    room: Option<watch::Sender<Room>>,
}

/// Verification of the receiver's claims, running on a blocking thread.
pub(in crate::transfer) struct ClaimVerification {
    plan: Plan,
    stopped: Arc<AtomicBool>,
    looking: JoinHandle<io::Result<Vec<u32>>>,
}

fn lock(machine: &Mutex<SenderMachine>) -> MutexGuard<'_, SenderMachine> {
    machine.locked()
}

/// Waits for the verification of claims; forever if none is running. Returns the plan, and the files whose claims are
/// invalid.
pub(in crate::transfer) async fn proven(
    running: &mut Option<ClaimVerification>,
) -> Result<(Plan, Vec<u32>), NetworkError> {
    let Some(proving) = running else { return std::future::pending().await };
    let looked = (&mut proving.looking).await;
    let mut plan = running.take().map(|proving| proving.plan).unwrap_or_default();
    let looked = looked.map_err(|_| TransferError::Internal("looking at claims failed"))?;
    let anew = looked.map_err(|error| {
        tracing::info!(%error, "what is claimed cannot be looked at now");
        TransferError::Stopped(Reason::SenderOutOfFiles)
    })?;
    plan.held.retain(|file, _| anew.binary_search(file).is_err());
    Ok((plan, anew))
}

impl SendAttempt {
    pub(in crate::transfer) fn new(
        source: Arc<Source>,
        header: StreamHeader,
        machine: SenderMachine,
        frames: mpsc::Receiver<Result<Vec<u8>, NetworkError>>,
        out: FrameSender,
    ) -> Self {
        let (machine, jobs) = (Arc::new(Mutex::new(machine)), JoinSet::new());
        let gate = Arc::new(PauseGate::new(false));
        let (proving, plan, pool, input, room) = (None, None, None, None, None);
        let (compress, written) = (false, Arc::default());
        Self { source, compress, header, machine, frames, out, jobs, proving, gate, written, plan, pool, input, room }
    }

    pub(in crate::transfer) fn machine(&self) -> MutexGuard<'_, SenderMachine> {
        lock(&self.machine)
    }

    /// Starts to verify the claims of the plan, before anything is sent.
    pub(in crate::transfer) fn prove(&mut self, worker: &Worker) {
        let plan = self.plan.take().unwrap_or_default();
        let stopped = Arc::new(AtomicBool::new(false));
        let (source, claimed, seen) = (self.source.clone(), plan.clone(), stopped.clone());
        let looking = worker.look(move || invalid_claims(&source, &claimed, &|| seen.load(Ordering::Relaxed)));
        self.proving = Some(ClaimVerification { plan, stopped, looking });
    }

    /// Tells the receiver which of its claims are invalid.
    pub(in crate::transfer) async fn send_anew(&self, files: &[u32]) {
        for files in files.chunks(BATCH) {
            self.out.send(&SenderFrame::Anew(files.to_vec())).await;
        }
    }

    /// Sends the manifest in a task of its own, so that a cancel is handled meanwhile.
    pub(in crate::transfer) fn send_manifest(&mut self, stop: &CancellationToken) {
        let (source, out) = (self.source.clone(), self.out.clone());
        self.jobs.spawn(until(stop, async move {
            let mut hasher = blake3::Hasher::new();
            for page in source.manifest.pages() {
                let Ok(bytes) = page else { return Err(Broken::Stream) };
                hasher.update(&bytes);
                if !out.send_encoded(bytes).await {
                    return Err(Broken::Stream);
                }
            }
            let hash = *hasher.finalize().as_bytes();
            if out.send(&SenderFrame::ManifestEnd { hash }).await { Ok(()) } else { Err(Broken::Stream) }
        }));
    }

    /// Sets the plan. Sending begins with the scheduler slot.
    pub(in crate::transfer) fn ready(&mut self, plan: Plan) {
        self.plan = Some(plan);
    }

    /// Grants a growing file up to `size`.
    pub(in crate::transfer) fn grant(&self, size: u64, ended: bool) {
        if let Some(room) = &self.room {
            let now = Room { size, ended };
            room.send_if_modified(|known| std::mem::replace(known, now) != now);
        }
    }

    /// Returns true if the receiver has all `there` bytes of a growing file that can be sent before more is written.
    pub(in crate::transfer) fn waits_for_input(&self, there: u64) -> bool {
        let input = self.input.as_ref().map(|input| *input.borrow());
        let more = |input: Input| matches!(input, Input::Ended(_)) || input.sendable() > there;
        self.pool.is_some() && input.is_some_and(|input| !more(input))
    }

    /// Starts the tasks that send data, if they are not running.
    pub(in crate::transfer) fn go(
        &mut self,
        session: &Session,
        limits: Arc<RateLimits>,
        budget: &Budget,
        stop: &CancellationToken,
    ) {
        let Some(plan) = self.plan.take() else { return };
        let manifest = &self.source.manifest;
        let (files, mut bytes) = plan.measure(manifest);
        let mut room = None;
        if manifest.is_growing() {
            // The final length is unknown and may be large.
            bytes = u64::MAX;
            let (grants, taken) = watch::channel(Room::default());
            (self.room, room) = (Some(grants), Some(taken));
        }
        let (streams, device) = (stream_count(session, files, bytes), session.device_id());
        let keys = session.keys();
        let sealed = self.header.suite != 0;
        let transfer = TransferId::from_random(self.header.transfer);
        let root = sealed.then(|| keys.file_root(&transfer, &self.header.attempt, keys.outgoing()));
        let reader = SegmentReader::new(self.source.clone(), plan, root).over(streams, self.compress);
        let reader = Arc::new(reader.sharing(budget.files.sparing(device)).within(room));
        let most = usize::from(streams) * BUFFERS;
        let pool = BufferPool::growing(if self.compress { FIRST_BUFFERS } else { most }, most);
        let (ends, ended) = mpsc::channel(ENDS);
        let way = GatedWriter { gate: self.gate.clone(), limits, written: self.written.clone() };
        let told = ReportedLength::new(self.input.clone());
        self.jobs.spawn(until(stop, tell(self.out.clone(), self.machine.clone(), ended, told, (files, streams))));
        let workers = budget.threads.of(device).of_transfer();
        for _ in 0..streams {
            let (full, taken) = mpsc::channel(1);
            let (reader, pool_of_reader, ends) = (reader.clone(), pool.clone(), ends.clone());
            let worker = workers.clone();
            self.jobs.spawn(async move {
                reader.run(worker, pool_of_reader, full, ends).await;
                Ok(())
            });
            self.jobs.spawn(until(stop, carry(session.clone(), self.header, taken, way.clone())));
        }
        self.pool = Some(pool);
    }

    /// Ends every task.
    pub(in crate::transfer) async fn wind_up(&mut self) {
        self.machine().end();
        if let Some(proving) = self.proving.take() {
            proving.stopped.store(true, Ordering::Relaxed);
            let _ = proving.looking.await;
        }
        if let Some(pool) = &self.pool {
            pool.close();
        }
        self.room = None;
        // The reader tasks notice the closed pool or channel; the others notice `stop`.
        while self.jobs.join_next().await.is_some() {}
    }
}

/// Returns the number of data streams: one for little data, all for a long round trip, some otherwise.
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
    let worth = bytes / (2 * crate::transfer::protocol::limits::SEGMENT) + u64::from(files) / 64 + 1;
    u8::try_from(worth).unwrap_or(u8::MAX).min(most)
}

fn failed_by(end: &FileEnd, reason: &Reason) -> bool {
    matches!(&end.outcome, SourceOutcome::Failed { code } if code == reason)
}

/// Reports the length of a growing file, finished files, and at last that all are finished.
async fn tell(
    out: FrameSender,
    machine: Arc<Mutex<SenderMachine>>,
    mut ended: mpsc::Receiver<Vec<FileEnd>>,
    mut told: ReportedLength,
    (files, streams): (u32, u8),
) -> Result<(), Broken> {
    if !out.send(&SenderFrame::Begin).await {
        return Err(Broken::Stream);
    }
    let mut left = files;
    while left > 0 {
        // If the loop is cut off, whoever stopped it tells the receiver.
        let batch = tokio::select! {
            batch = ended.recv() => batch,
            (size, all) = told.news() => {
                lock(&machine).telling_length(size, all);
                match out.send(&SenderFrame::Grown { size, ended: all }).await {
                    true => continue,
                    false => return Err(Broken::Stream),
                }
            }
        };
        let Some(mut batch) = batch else { return Ok(()) };
        while batch.len() < BATCH
            && let Ok(more) = ended.try_recv()
        {
            batch.extend(more);
        }
        left = left.saturating_sub(batch.len() as u32);
        if batch.iter().any(|end| failed_by(end, &Reason::SourceGone)) {
            return Err(Broken::Source);
        }
        if batch.iter().any(|end| failed_by(end, &Reason::SenderOutOfFiles)) {
            return Err(Broken::Descriptors);
        }
        for end in &batch {
            if matches!(end.outcome, SourceOutcome::Sent { .. }) {
                lock(&machine).telling(end.file);
            }
        }
        for part in batch.chunks(BATCH) {
            if !out.send(&SenderFrame::FilesDone(part.to_vec())).await {
                return Err(Broken::Stream);
            }
        }
    }
    lock(&machine).finishing();
    if out.send(&SenderFrame::Finished { streams }).await { Ok(()) } else { Err(Broken::Stream) }
}

/// Writes the filled buffers of one reader task to a data stream.
async fn carry(
    session: Session,
    header: StreamHeader,
    mut taken: mpsc::Receiver<Bytes>,
    way: GatedWriter,
) -> Result<(), Broken> {
    let mut stream = Whole(session.connection().open_uni().await.map_err(|_| Broken::Stream)?, false);
    // The control stream has priority.
    let _ = stream.0.set_priority(-1);
    stream.0.write_all(&header.encode()).await.map_err(|_| Broken::Stream)?;
    while let Some(bytes) = taken.recv().await {
        way.write(&mut stream.0, bytes).await?;
    }
    stream.1 = true;
    stream.0.finish().map_err(|_| Broken::Stream)
}

/// Data stream, and whether all of it was written. If not, dropping it resets the stream; otherwise it would end as
/// if it were complete.
struct Whole(SendStream, bool);

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.1 {
            let _ = self.0.reset(GIVEN_UP);
        }
    }
}

/// Runs a job that may wait for the peer, until `stop` is cancelled.
pub(in crate::transfer) fn until(
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

/// Gate, rate limits and counter that every write passes.
#[derive(Clone)]
struct GatedWriter {
    gate: Arc<PauseGate>,
    limits: Arc<RateLimits>,
    written: Arc<Written>,
}

impl GatedWriter {
    async fn write(&self, stream: &mut SendStream, mut bytes: Bytes) -> Result<(), Broken> {
        while !bytes.is_empty() {
            self.gate.pass().await;
            let limited = self.limits.slice();
            let slice = bytes.split_to(bytes.len().min(limited.unwrap_or(SLICE)));
            if limited.is_some() {
                self.limits.take(slice.len()).await;
            }
            let bytes = slice.len();
            let blocked = self.written.begin();
            stream.write_chunk(slice).await.map_err(|_| Broken::Stream)?;
            drop(blocked);
            self.written.add(bytes);
        }
        Ok(())
    }
}
