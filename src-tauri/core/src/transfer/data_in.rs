//! One incoming data stream: the transport is read on the runtime, everything else is done on a thread that is borrowed for
//! as long as there is something to do.
//!
//! Two buffers go round. While the thread works on one the reader fills the other, so that small files are handed over by the
//! hundred and a slow disk holds the sender back through the transport's windows. A stream over which nothing comes holds
//! no thread, and no memory but the part of a chunk that has arrived, which counts into its device's share. One that stops
//! in the middle of a chunk, although its sender is heard, is given up.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use iroh::endpoint::{ReadError, RecvStream, VarInt};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    TransferError,
    deflate::Inflater,
    flow::{Gate, Limits},
    framing::{COMPRESSED, ChunkHeader, DataDecoder, LAST, SegmentHeader, Unit, ZEROS},
    intake::{Intake, Verdict},
    journal::Note,
    landing::{DiskError, Temp},
    limits::{CHUNK, SEGMENT},
    manifest::Manifest,
    seal::SegmentCipher,
    stream_memory::{Held, MOST, StreamMemory},
    tree::SegmentHasher,
    wire::{Code, Violation},
};
use crate::{budget::Worker, clock::Locked as _, keys::Key, net::Session};

/// Bytes of a buffer between transport and disk, once much comes; and of the first one.
const BUFFER: usize = 512 * 1024;
const SMALL_BUFFER: usize = 8 * 1024;
/// Interval between looks whether anything has come. A stream over which nothing came for so long gives its buffers back.
const LOOK: Duration = Duration::from_secs(1);
/// A stream that stands still for so many looks in the middle of a chunk is given up. Under the lowest limit of a sender with
/// many streams, half a minute may pass between two pieces.
const MOST_LOOKS: u32 = if cfg!(test) { 5 } else { 60 };
/// Bytes in chunks of one device that do not go on, beyond which a stream is given up at once.
const IDLE: usize = 8 * 1024 * 1024;
/// Code with which a stream is stopped that is given up.
const GIVEN_UP: VarInt = VarInt::from_u32(1);

/// What all data streams of a transfer share.
pub(super) struct Arrival {
    pub worker: Worker,
    pub manifest: Arc<Manifest>,
    pub intake: Mutex<Intake>,
    pub temp: Arc<Temp>,
    /// None where the offer said that nothing is sealed.
    pub root: Option<Key>,
    /// The offer said that chunks may be compressed.
    pub compress: bool,
    /// Bytes that are verified and written.
    pub bytes: AtomicU64,
    pub verdicts: mpsc::Sender<Verdict>,
    /// Closed while it is held here.
    pub gate: Gate,
    /// Its own limit and the shared one.
    pub limits: Arc<Limits>,
    /// A person holds it, here or there.
    pub paused: AtomicBool,
    /// Bytes have come since the sender was told how far this side is. On a slow line minutes pass between two chunks.
    pub read: AtomicBool,
    /// It was held, and nothing has come since: its sender may have others before it.
    pub quiet: AtomicBool,
    /// What the streams of the device may hold.
    pub memory: StreamMemory,
}

impl Arrival {
    pub(super) fn intake(&self) -> std::sync::MutexGuard<'_, Intake> {
        self.intake.locked()
    }
}

/// How a stream ended.
pub(super) enum StreamEnd {
    /// At a segment's end, as it should.
    Clean,
    /// The transport failed, or the sender reset it: the control stream knows why, or will.
    Lost,
    /// We stopped it.
    Stopped,
}

impl From<Violation> for TransferError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Serves a stream behind its header until it ends.
pub(super) async fn serve(
    arrival: Arc<Arrival>,
    session: Session,
    stream: RecvStream,
    stop: CancellationToken,
) -> Result<StreamEnd, TransferError> {
    let held = arrival.memory.stream(session.device_id());
    let heard = session.datagrams_heard();
    let work = Work {
        decoder: DataDecoder::new(arrival.root.is_some(), arrival.compress),
        writer: Writer { arrival: arrival.clone(), open: None, inflater: Inflater::default(), judged: Vec::new() },
    };
    let mut incoming = Incoming {
        arrival,
        session,
        stream,
        stop,
        buffer: vec![0; SMALL_BUFFER],
        filled: 0,
        spare: None,
        work: Some(work),
        worker: None,
        pending: 0,
        held,
        came: false,
        looks: 0,
        heard,
    };
    let ended = incoming.run().await;
    // Whatever has come by then is worked on, and no thread is left behind.
    let rest = match &ended {
        Ok(StreamEnd::Stopped) | Err(_) => incoming.settle().await,
        Ok(_) => incoming.work_off().await,
    };
    let ended = ended?;
    rest?;
    if let (StreamEnd::Clean, Some(work)) = (&ended, &incoming.work) {
        work.decoder.finish()?;
    }
    Ok(ended)
}

/// What goes to the thread and comes back.
struct Work {
    decoder: DataDecoder,
    writer: Writer,
}

type Worked = Result<(Work, Vec<u8>), TransferError>;

struct Incoming {
    arrival: Arc<Arrival>,
    session: Session,
    stream: RecvStream,
    stop: CancellationToken,
    buffer: Vec<u8>,
    filled: usize,
    spare: Option<Vec<u8>>,
    /// None while the thread has it.
    work: Option<Work>,
    worker: Option<JoinHandle<Worked>>,
    /// Bytes of a chunk that is not complete.
    pending: usize,
    held: Held,
    /// Something came since the last look.
    came: bool,
    /// How often nothing had come in the middle of a chunk, although the sender was heard.
    looks: u32,
    /// Datagrams that were heard of the sender by the last look.
    heard: u64,
}

impl Incoming {
    async fn run(&mut self) -> Result<StreamEnd, TransferError> {
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(StreamEnd::Stopped),
                // As long as more is there it is taken; the thread gets what has come when it has nothing else to do.
                read = read(&self.arrival, &mut self.stream, &mut self.buffer[self.filled..]),
                    if self.filled < self.buffer.len() => match read {
                    Ok(Some(n)) => {
                        self.filled += n;
                        self.came = true;
                        self.arrival.read.store(true, Ordering::Relaxed);
                        if !self.arrival.paused.load(Ordering::Relaxed) {
                            self.arrival.quiet.store(false, Ordering::Relaxed);
                        }
                        // Under a limit a buffer takes long to fill, and what is complete counts at once.
                        if self.arrival.limits.slice().is_some() && self.work.is_some() {
                            self.hand_over();
                        }
                        // Paid for afterwards: what is not asked for any more has cost nothing.
                        tokio::select! {
                            () = self.stop.cancelled() => return Ok(StreamEnd::Stopped),
                            () = self.arrival.limits.take(n) => {}
                        }
                    }
                    Ok(None) => return Ok(StreamEnd::Clean),
                    Err(ReadError::Reset(_) | ReadError::ConnectionLost(_)) => return Ok(StreamEnd::Lost),
                    Err(error) => {
                        tracing::debug!(%error, "a data stream broke");
                        return Ok(StreamEnd::Lost);
                    }
                },
                worked = worked(&mut self.worker), if self.worker.is_some() => {
                    self.take_back(worked)?;
                    if !self.account() {
                        return Ok(self.give_up());
                    }
                }
                () = std::future::ready(()), if self.work.is_some() && self.filled > 0 => self.hand_over(),
                _ = look.tick() => if !self.look() {
                    return Ok(self.give_up());
                },
            }
        }
    }

    /// Gives the thread what has come, and goes on with another buffer: a larger one where this one was full.
    fn hand_over(&mut self) {
        let Some(mut work) = self.work.take() else { return };
        let (full, filled) = (self.filled == self.buffer.len(), std::mem::take(&mut self.filled));
        let mut wanted = self.buffer.len();
        if full && wanted < BUFFER {
            let larger = (wanted * 8).min(BUFFER);
            let own = work.decoder.memory() + work.writer.inflater.memory();
            let total = (own.max(CHUNK as usize) + 2 * larger).max(self.held.bytes());
            wanted = if self.held.hold_for_speed(total) { larger } else { wanted };
        }
        if self.held.is_crowded() {
            wanted = SMALL_BUFFER;
            self.spare.take_if(|spare| spare.capacity() > SMALL_BUFFER);
        }
        let mut next = self.spare.take().unwrap_or_default();
        next.resize(wanted, 0);
        let mut buffer = std::mem::replace(&mut self.buffer, next);
        let (worker, verdicts) = (self.arrival.worker.clone(), self.arrival.verdicts.clone());
        // A task, and not a future of this loop: a turn that is granted while the loop waits for its limit would lie idle.
        self.worker = Some(tokio::spawn(async move {
            let job = move || {
                let done = work.decoder.push(&mut buffer[..filled], &mut |unit| work.writer.unit(unit));
                work.decoder.trim();
                work.writer.inflater.trim();
                (work, buffer, done)
            };
            let (mut work, buffer, done) = worker.run(job).await;
            // Not on the thread: they may have to wait for those before them. Also where the rest broke.
            for verdict in work.writer.judged.drain(..) {
                // Gone only when the whole transfer is.
                let _ = verdicts.send(verdict).await;
            }
            done.map(|()| (work, buffer))
        }));
    }

    fn take_back(&mut self, worked: Result<Worked, JoinError>) -> Result<(), TransferError> {
        self.worker = None;
        let (work, buffer) = worked.map_err(|_| TransferError::Internal("a writing thread failed"))??;
        self.pending = work.decoder.pending();
        (self.work, self.spare) = (Some(work), Some(buffer));
        Ok(())
    }

    /// Bytes that it holds while the thread has nothing of it.
    fn memory(&self) -> usize {
        let buffers = self.buffer.capacity() + self.spare.as_ref().map_or(0, Vec::capacity);
        let work = self.work.as_ref();
        buffers + work.map_or(self.pending, |work| work.decoder.memory() + work.writer.inflater.memory())
    }

    /// Counts what is held. False where it is too much, also without what only makes it faster.
    fn account(&mut self) -> bool {
        if self.held.hold(self.memory(), MOST) {
            return true;
        }
        self.spare = None;
        self.buffer.truncate(self.filled.max(SMALL_BUFFER));
        self.buffer.shrink_to_fit();
        if let Some(work) = &mut self.work {
            work.decoder.shrink();
            work.writer.inflater = Inflater::default();
        }
        self.held.hold(self.memory(), MOST)
    }

    /// Looks whether anything has come. False where the stream is to be given up.
    fn look(&mut self) -> bool {
        let heard = std::mem::replace(&mut self.heard, self.session.datagrams_heard()) != self.heard;
        if std::mem::take(&mut self.came) || self.filled > 0 {
            self.looks = 0;
            self.held.idle(0);
            return true;
        }
        let Some(work) = &mut self.work else { return true };
        work.decoder.shrink();
        work.writer.inflater = Inflater::default();
        self.spare = None;
        if self.buffer.len() > SMALL_BUFFER {
            self.buffer = vec![0; SMALL_BUFFER];
        }
        if self.pending == 0 {
            self.held.idle(0);
            return self.account();
        }
        // A sender that is away, or that a person holds, is not to blame.
        let paused = !self.arrival.gate.is_open() || self.arrival.quiet.load(Ordering::Relaxed);
        let blamed = heard && !paused;
        self.looks += u32::from(blamed);
        // Less than before, so that it fits; it is the device that may hold too much.
        let idle = self.held.idle(if blamed { self.pending } else { 0 });
        self.account() && self.looks < MOST_LOOKS && idle <= IDLE
    }

    fn give_up(&mut self) -> StreamEnd {
        tracing::info!(device = %self.session.device_id(), "a data stream without progress is given up");
        let _ = self.stream.stop(GIVEN_UP);
        StreamEnd::Lost
    }

    /// Waits for the thread.
    async fn settle(&mut self) -> Result<(), TransferError> {
        match self.worker.is_some() {
            true => {
                let done = worked(&mut self.worker).await;
                self.take_back(done)
            }
            false => Ok(()),
        }
    }

    /// Works on all that has come.
    async fn work_off(&mut self) -> Result<(), TransferError> {
        self.settle().await?;
        if self.filled > 0 {
            self.hand_over();
            self.settle().await?;
        }
        Ok(())
    }
}

async fn worked(worker: &mut Option<JoinHandle<Worked>>) -> Result<Worked, JoinError> {
    match worker {
        Some(worker) => worker.await,
        None => std::future::pending().await,
    }
}

/// Reads what may be read now. Cut off while it waits, it has taken nothing from the stream.
async fn read(arrival: &Arrival, stream: &mut RecvStream, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
    arrival.gate.pass().await;
    let most = arrival.limits.slice().map_or(buffer.len(), |slice| slice.min(buffer.len()));
    stream.read(&mut buffer[..most]).await
}

fn write_zeros(temp: &Temp, target: &File, offset: u64, len: u32) -> Result<(), DiskError> {
    static ZERO_BYTES: [u8; 64 * 1024] = [0; 64 * 1024];
    let step = ZERO_BYTES.len() as u32;
    (0..len).step_by(ZERO_BYTES.len()).try_for_each(|at| {
        let bytes = ZERO_BYTES.get(..(len - at).min(step) as usize).unwrap_or_default();
        temp.write(target, bytes, offset + u64::from(at))
    })
}

struct Writer {
    arrival: Arc<Arrival>,
    open: Option<Open>,
    inflater: Inflater,
    /// Verdicts of the buffer that is being worked on.
    judged: Vec<Verdict>,
}

struct Open {
    header: SegmentHeader,
    /// Length of the file, as far as it is known.
    size: u64,
    /// A part of it was zeros that nobody writes.
    holes: bool,
    cipher: Option<SegmentCipher>,
    hasher: SegmentHasher,
    /// None where the file has failed and its bytes are dropped.
    target: Option<Arc<File>>,
}

impl Writer {
    /// Whether a write went well. A file that is larger than the file system, or a limit of this process, allows is given
    /// up, and others go on.
    fn fits(&mut self, file: u32, written: Result<(), DiskError>) -> Result<bool, DiskError> {
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.source.kind() == io::ErrorKind::FileTooLarge => {
                tracing::info!(%error, "a file is too large");
                let verdict = self.arrival.intake().fail(file, Code::new("file_too_large"));
                self.judged.extend(verdict);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn unit(&mut self, unit: Unit<'_>) -> Result<(), TransferError> {
        match unit {
            Unit::Segment(header) => self.segment(header),
            Unit::Chunk(chunk, number, offset, bytes) => self.chunk(&chunk, number, offset, bytes),
        }
    }

    fn segment(&mut self, header: SegmentHeader) -> Result<(), TransferError> {
        let arrival = self.arrival.clone();
        let cipher = match (&arrival.root, &header.commitment) {
            (Some(root), Some(commitment)) => {
                let cipher = SegmentCipher::new(root, header.file, header.start)?;
                cipher.check(commitment)?;
                Some(cipher)
            }
            _ => None,
        };
        let claim = arrival.intake().claim(&header)?;
        let target = match (claim.discard, header.whole) {
            (true, _) => None,
            (false, true) => Some(Arc::new(arrival.temp.create_file(&arrival.manifest, header.file)?)),
            (false, false) => Some(arrival.temp.shared(&arrival.manifest, header.file)?),
        };
        let hasher = SegmentHasher::new(claim.size, header.start);
        self.open = Some(Open { header, size: claim.size, holes: false, cipher, hasher, target });
        Ok(())
    }

    fn chunk(&mut self, chunk: &ChunkHeader, number: u64, offset: u64, bytes: &mut [u8]) -> Result<(), TransferError> {
        let arrival = self.arrival.clone();
        let Some(open) = &mut self.open else { return Err(TransferError::Internal("a chunk without a segment")) };
        let bytes = match &open.cipher {
            Some(cipher) => cipher.open(number, offset, chunk, bytes)?,
            None => bytes,
        };
        // Of a file that has failed, too: what breaks the rules there breaks them.
        let plain = match chunk.flags & COMPRESSED {
            0 => bytes,
            _ => self.inflater.inflate(bytes, chunk.plain_len)?,
        };
        if let Some(target) = &open.target {
            if chunk.flags & ZEROS == 0 {
                open.hasher.update(plain);
                let written = arrival.temp.write(target, plain, offset);
                let file = open.header.file;
                if !self.fits(file, written)?
                    && let Some(open) = &mut self.open
                {
                    open.target = None;
                }
            } else if arrival.manifest.is_growing() {
                // It has no length that could be given to it before what comes behind them is there.
                let (file, target) = (open.header.file, target.clone());
                open.hasher.zeros(chunk.plain_len);
                let written = write_zeros(&arrival.temp, &target, offset, chunk.plain_len);
                if !self.fits(file, written)?
                    && let Some(open) = &mut self.open
                {
                    open.target = None;
                }
            } else {
                open.hasher.zeros(chunk.plain_len);
                open.holes = true;
                if !open.header.whole {
                    // An earlier attempt may have written there and not have noted it.
                    arrival.temp.clear(target, offset, chunk.plain_len)?;
                }
            }
            arrival.bytes.fetch_add(u64::from(chunk.plain_len), Ordering::Relaxed);
        }
        if chunk.flags & LAST == 0 {
            return Ok(());
        }
        let Some(Open { header, size, holes, hasher, target, .. }) = self.open.take() else { return Ok(()) };
        let Some(target) = target else { return Ok(()) };
        if holes {
            // Before the segment is noted: what is noted can be read.
            if !self.fits(header.file, arrival.temp.set_len(&target, size))? {
                return Ok(());
            }
        }
        if header.whole {
            arrival.temp.dress(&arrival.manifest, header.file, &target)?;
        }
        drop(target);
        let hash = hasher.finish();
        let segment = (header.start / SEGMENT) as u32;
        // The end of a growing file is not known when it is taken up, and its last part comes anew.
        if !arrival.manifest.is_growing() || u64::from(header.len) == SEGMENT && !header.whole {
            let note = Note::Segment { file: header.file, segment, hash: hash.bytes() };
            arrival.temp.journal().note(&note, u64::from(header.len))?;
        }
        let verdict = arrival.intake().written(header.file, header.start, hash);
        self.judged.extend(verdict);
        Ok(())
    }
}
