//! Incoming data stream: the transport is read on the runtime, everything else runs on a borrowed thread while there
//! is work.
//!
//! There are two buffers. While the thread works on one, the reader fills the other: small files are handed over by
//! the hundred, and a slow disk holds the sender back through the transport's flow control. An idle stream holds no
//! thread, and no memory but the incomplete chunk, which counts into its device's share. A stream that stops in the
//! middle of a chunk although its sender is alive is given up.

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

use crate::{
    budget::Worker,
    clock::Locked as _,
    keys::Key,
    net::Session,
    queue::{
        rate_limit::{PauseGate, RateLimits},
        stream_memory::{MOST, StreamMemory, StreamPermit},
    },
    transfer::{
        TransferError,
        protocol::{
            cipher::SegmentCipher,
            compression::Decompressor,
            frames::Violation,
            framing::{COMPRESSED, ChunkHeader, DataDecoder, LAST, SegmentHeader, Unit, ZEROS},
            hash_tree::SegmentHasher,
            limits::{CHUNK, SEGMENT},
            manifest::Manifest,
            reason::Reason,
        },
        receive::{
            assembly::{Assembly, Verdict},
            staging::{DiskError, StagingDir, journal::JournalRecord},
        },
    },
};

/// Bytes of a buffer between transport and disk, once much data comes.
const BUFFER: usize = 512 * 1024;
/// Bytes of such a buffer at first.
const SMALL_BUFFER: usize = 8 * 1024;
/// Interval between checks for new data. A stream that got none in that time returns its buffers.
const LOOK: Duration = Duration::from_secs(1);
/// Checks in a row without progress in the middle of a chunk after which a stream is given up: one minute. At the
/// lowest rate limit and with many streams, half a minute may pass between two pieces.
const MOST_LOOKS: u32 = if cfg!(test) { 5 } else { 60 };
/// Bytes in stalled chunks of one device above which a stream is given up at once.
const IDLE: usize = 8 * 1024 * 1024;
/// Error code with which a stream is stopped when it is given up.
const GIVEN_UP: VarInt = VarInt::from_u32(1);

/// State that all data streams of a transfer share.
pub(in crate::transfer) struct Arrival {
    pub worker: Worker,
    pub manifest: Arc<Manifest>,
    pub assembly: Mutex<Assembly>,
    pub temp: Arc<StagingDir>,
    /// Key that the segment keys are derived from; `None` if the offer said that nothing is sealed.
    pub root: Option<Key>,
    /// True if the offer said that chunks may be compressed.
    pub compress: bool,
    /// Bytes that are verified and written.
    pub bytes: AtomicU64,
    pub verdicts: mpsc::Sender<Verdict>,
    /// Closed while the transfer is paused on this side.
    pub gate: PauseGate,
    /// Rate limits: the transfer's own and the shared one.
    pub limits: Arc<RateLimits>,
    /// True while a person has paused it on either side.
    pub paused: AtomicBool,
    /// True if bytes came since the last progress report. On a slow link minutes pass between two chunks.
    pub read: AtomicBool,
    /// True if it was paused and nothing has come since: the sender may have other transfers queued before it.
    pub quiet: AtomicBool,
    /// Memory budget of the device's streams.
    pub memory: StreamMemory,
}

impl Arrival {
    pub(in crate::transfer) fn assembly(&self) -> std::sync::MutexGuard<'_, Assembly> {
        self.assembly.locked()
    }
}

/// End of a stream.
pub(in crate::transfer) enum StreamEnd {
    /// The sender finished it at a segment's end.
    Clean,
    /// The transport failed, or the sender reset it. The reason comes on the control stream, if at all.
    Lost,
    /// Stopped by this side.
    Stopped,
}

impl From<Violation> for TransferError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Serves a data stream, whose header was read, until it ends.
pub(in crate::transfer) async fn serve(
    arrival: Arc<Arrival>,
    session: Session,
    stream: RecvStream,
    stop: CancellationToken,
) -> Result<StreamEnd, TransferError> {
    let held = arrival.memory.stream(session.device_id());
    let heard = session.datagrams_heard();
    let work = WriterState {
        decoder: DataDecoder::new(arrival.root.is_some(), arrival.compress),
        writer: SegmentWriter {
            arrival: arrival.clone(),
            open: None,
            inflater: Decompressor::default(),
            judged: Vec::new(),
        },
    };
    let mut incoming = StreamReceiver {
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
    // Received data is still processed, and no thread is left behind.
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

/// State that goes to the thread and comes back.
struct WriterState {
    decoder: DataDecoder,
    writer: SegmentWriter,
}

type Worked = Result<(WriterState, Vec<u8>), TransferError>;

struct StreamReceiver {
    arrival: Arc<Arrival>,
    session: Session,
    stream: RecvStream,
    stop: CancellationToken,
    buffer: Vec<u8>,
    filled: usize,
    spare: Option<Vec<u8>>,
    /// `None` while the thread has it.
    work: Option<WriterState>,
    worker: Option<JoinHandle<Worked>>,
    /// Bytes of an incomplete chunk.
    pending: usize,
    held: StreamPermit,
    /// True if data came since the last check.
    came: bool,
    /// Checks in a row without data in the middle of a chunk, although the sender was alive.
    looks: u32,
    /// Datagrams of the sender at the last check.
    heard: u64,
}

impl StreamReceiver {
    async fn run(&mut self) -> Result<StreamEnd, TransferError> {
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(StreamEnd::Stopped),
                // Data is read as long as there is any; the thread gets it when it is free.
                read = read(&self.arrival, &mut self.stream, &mut self.buffer[self.filled..]),
                    if self.filled < self.buffer.len() => match read {
                    Ok(Some(n)) => {
                        self.filled += n;
                        self.came = true;
                        self.arrival.read.store(true, Ordering::Relaxed);
                        if !self.arrival.paused.load(Ordering::Relaxed) {
                            self.arrival.quiet.store(false, Ordering::Relaxed);
                        }
                        // With a rate limit a buffer fills slowly, and complete data should count at once.
                        if self.arrival.limits.slice().is_some() && self.work.is_some() {
                            self.hand_over();
                        }
                        // Charged afterwards: data that was not read has cost nothing.
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

    /// Hands the received data to the thread and continues with another buffer, a larger one if this one was full.
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
        // A task of its own: a thread granted while the loop waits for the rate limit would otherwise lie idle.
        self.worker = Some(tokio::spawn(async move {
            let job = move || {
                let done = work.decoder.push(&mut buffer[..filled], &mut |unit| work.writer.unit(unit));
                work.decoder.trim();
                work.writer.inflater.trim();
                (work, buffer, done)
            };
            let (mut work, buffer, done) = worker.run(job).await;
            // Sent from the task and not from the thread, because the channel may be full. Sent also if the rest
            // failed.
            for verdict in work.writer.judged.drain(..) {
                // Fails only when the whole transfer is over.
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

    /// Returns the bytes of memory held while the thread is idle.
    fn memory(&self) -> usize {
        let buffers = self.buffer.capacity() + self.spare.as_ref().map_or(0, Vec::capacity);
        let work = self.work.as_ref();
        buffers + work.map_or(self.pending, |work| work.decoder.memory() + work.writer.inflater.memory())
    }

    /// Updates the memory account. Returns false if it is too much even without the buffers that only improve speed.
    fn account(&mut self) -> bool {
        if self.held.hold(self.memory(), MOST) {
            return true;
        }
        self.spare = None;
        self.buffer.truncate(self.filled.max(SMALL_BUFFER));
        self.buffer.shrink_to_fit();
        if let Some(work) = &mut self.work {
            work.decoder.shrink();
            work.writer.inflater = Decompressor::default();
        }
        self.held.hold(self.memory(), MOST)
    }

    /// Checks for new data. Returns false if the stream is to be given up.
    fn look(&mut self) -> bool {
        let heard = std::mem::replace(&mut self.heard, self.session.datagrams_heard()) != self.heard;
        if std::mem::take(&mut self.came) || self.filled > 0 {
            self.looks = 0;
            self.held.idle(0);
            return true;
        }
        let Some(work) = &mut self.work else { return true };
        work.decoder.shrink();
        work.writer.inflater = Decompressor::default();
        self.spare = None;
        if self.buffer.len() > SMALL_BUFFER {
            self.buffer = vec![0; SMALL_BUFFER];
        }
        if self.pending == 0 {
            self.held.idle(0);
            return self.account();
        }
        // A sender that is disconnected or paused is not to blame.
        let paused = !self.arrival.gate.is_open() || self.arrival.quiet.load(Ordering::Relaxed);
        let blamed = heard && !paused;
        self.looks += u32::from(blamed);
        // The stream holds less than before, so this succeeds; the device as a whole may hold too much.
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

    /// Processes all received data.
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

/// Reads what the gate and the rate limit allow now. Cancel-safe: a cancelled call has taken nothing from the stream.
async fn read(arrival: &Arrival, stream: &mut RecvStream, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
    arrival.gate.pass().await;
    let most = arrival.limits.slice().map_or(buffer.len(), |slice| slice.min(buffer.len()));
    stream.read(&mut buffer[..most]).await
}

fn write_zeros(temp: &StagingDir, target: &File, offset: u64, len: u32) -> Result<(), DiskError> {
    static ZERO_BYTES: [u8; 64 * 1024] = [0; 64 * 1024];
    let step = ZERO_BYTES.len() as u32;
    (0..len).step_by(ZERO_BYTES.len()).try_for_each(|at| {
        let bytes = ZERO_BYTES.get(..(len - at).min(step) as usize).unwrap_or_default();
        temp.write(target, bytes, offset + u64::from(at))
    })
}

struct SegmentWriter {
    arrival: Arc<Arrival>,
    open: Option<OpenSegment>,
    inflater: Decompressor,
    /// Verdicts of the buffer that is being processed.
    judged: Vec<Verdict>,
}

struct OpenSegment {
    header: SegmentHeader,
    /// Length of the file, as far as it is known.
    size: u64,
    /// True if a range of zeros was skipped and not written.
    holes: bool,
    cipher: Option<SegmentCipher>,
    hasher: SegmentHasher,
    /// `None` if the file has failed and its bytes are dropped.
    target: Option<Arc<File>>,
}

impl SegmentWriter {
    /// Returns false if the file exceeds the limit of the file system or of this process. The file is given up then,
    /// and others go on.
    fn fits(&mut self, file: u32, written: Result<(), DiskError>) -> Result<bool, DiskError> {
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.source.kind() == io::ErrorKind::FileTooLarge => {
                tracing::info!(%error, "a file is too large");
                let verdict = self.arrival.assembly().fail(file, Reason::FileTooLarge);
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
        let claim = arrival.assembly().claim(&header)?;
        let target = match (claim.discard, header.whole) {
            (true, _) => None,
            (false, true) => Some(Arc::new(arrival.temp.create_file(&arrival.manifest, header.file)?)),
            (false, false) => Some(arrival.temp.shared(&arrival.manifest, header.file)?),
        };
        let hasher = SegmentHasher::new(claim.size, header.start);
        self.open = Some(OpenSegment { header, size: claim.size, holes: false, cipher, hasher, target });
        Ok(())
    }

    fn chunk(&mut self, chunk: &ChunkHeader, number: u64, offset: u64, bytes: &mut [u8]) -> Result<(), TransferError> {
        let arrival = self.arrival.clone();
        let Some(open) = &mut self.open else { return Err(TransferError::Internal("a chunk without a segment")) };
        let bytes = match &open.cipher {
            Some(cipher) => cipher.open(number, offset, chunk, bytes)?,
            None => bytes,
        };
        // Also for failed files, so that protocol violations in them are detected.
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
                // Zeros are written: a growing file has no known length that it could be extended to.
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
                    // An earlier attempt may have written there without noting it.
                    arrival.temp.clear(target, offset, chunk.plain_len)?;
                }
            }
            arrival.bytes.fetch_add(u64::from(chunk.plain_len), Ordering::Relaxed);
        }
        if chunk.flags & LAST == 0 {
            return Ok(());
        }
        let Some(OpenSegment { header, size, holes, hasher, target, .. }) = self.open.take() else { return Ok(()) };
        let Some(target) = target else { return Ok(()) };
        if holes {
            // Done before the segment is noted: noted segments must be readable.
            if !self.fits(header.file, arrival.temp.set_len(&target, size))? {
                return Ok(());
            }
        }
        if header.whole {
            arrival.temp.set_metadata(&arrival.manifest, header.file, &target)?;
        }
        drop(target);
        let hash = hasher.finish();
        let segment = (header.start / SEGMENT) as u32;
        // On resume the length of a growing file is unknown, so its last partial segment is sent again and not noted.
        if !arrival.manifest.is_growing() || u64::from(header.len) == SEGMENT && !header.whole {
            let note = JournalRecord::Segment { file: header.file, segment, hash: hash.bytes() };
            arrival.temp.journal().note(&note, u64::from(header.len))?;
        }
        let verdict = arrival.assembly().written(header.file, header.start, hash);
        self.judged.extend(verdict);
        Ok(())
    }
}
