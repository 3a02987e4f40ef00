//! One incoming data stream: the transport is read on the runtime, everything else is done on blocking threads, a buffer at a
//! time. No thread waits for the peer: one that sends nothing holds none.
//!
//! The two are joined by three buffers that go round. While a thread is busy the reader fills the next buffer, so that
//! small files are handed over by the hundred and a slow disk holds the sender back through the transport's windows.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use iroh::endpoint::{ReadError, RecvStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    TransferError,
    deflate::Inflater,
    flow::{Gate, Limits},
    framing::{COMPRESSED, ChunkHeader, DataDecoder, LAST, SegmentHeader, Unit, ZEROS},
    intake::{Intake, Verdict},
    journal::Note,
    landing::{DiskError, Temp},
    limits::SEGMENT,
    manifest::Manifest,
    seal::SegmentCipher,
    tree::SegmentHasher,
    wire::{Code, Violation},
};
use crate::{budget::Worker, keys::Key};

/// Bytes of a buffer between transport and disk.
const BUFFER: usize = 512 * 1024;
/// Buffers of one stream.
const BUFFERS: usize = 3;

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
}

impl Arrival {
    pub(super) fn intake(&self) -> std::sync::MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
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
    mut stream: RecvStream,
    stop: CancellationToken,
) -> Result<StreamEnd, TransferError> {
    let (full, taken) = mpsc::channel(1);
    let (spare, free) = mpsc::channel(BUFFERS);
    for _ in 0..BUFFERS {
        let _ = spare.try_send(vec![0; BUFFER]);
    }
    let (ended, decoder) = tokio::join!(pump(&arrival, &mut stream, full, free, &stop), work(&arrival, taken, spare));
    let decoder = decoder?;
    if matches!(ended, StreamEnd::Clean) {
        decoder.finish()?;
    }
    Ok(ended)
}

async fn pump(
    arrival: &Arrival,
    stream: &mut RecvStream,
    full: mpsc::Sender<(Vec<u8>, usize)>,
    mut free: mpsc::Receiver<Vec<u8>>,
    stop: &CancellationToken,
) -> StreamEnd {
    let mut filled = 0;
    let Some(mut buffer) = free.recv().await else { return StreamEnd::Stopped };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return StreamEnd::Stopped,
            // As long as more is there it is taken; the thread gets what has come when it has nothing else to do.
            read = read(arrival, stream, &mut buffer[filled..]), if filled < BUFFER => match read {
                Ok(Some(n)) => {
                    filled += n;
                    // Paid for afterwards: what is not asked for any more has cost nothing.
                    tokio::select! {
                        () = stop.cancelled() => return StreamEnd::Stopped,
                        () = arrival.limits.take(n) => {}
                    }
                }
                end => {
                    if filled > 0 && full.send((buffer, filled)).await.is_err() {
                        return StreamEnd::Stopped;
                    }
                    return match end {
                        Ok(_) => StreamEnd::Clean,
                        Err(ReadError::Reset(_) | ReadError::ConnectionLost(_)) => StreamEnd::Lost,
                        Err(error) => {
                            tracing::debug!(%error, "a data stream broke");
                            StreamEnd::Lost
                        }
                    };
                }
            },
            room = full.reserve(), if filled > 0 => {
                let Ok(room) = room else { return StreamEnd::Stopped };
                room.send((std::mem::take(&mut buffer), filled));
                filled = 0;
                buffer = match free.recv().await {
                    Some(buffer) => buffer,
                    None => return StreamEnd::Stopped,
                };
            }
        }
    }
}

/// Reads what may be read now. Cut off while it waits, it has taken nothing from the stream.
async fn read(arrival: &Arrival, stream: &mut RecvStream, buffer: &mut [u8]) -> Result<Option<usize>, ReadError> {
    arrival.gate.pass().await;
    let most = arrival.limits.slice().map_or(buffer.len(), |slice| slice.min(buffer.len()));
    stream.read(&mut buffer[..most]).await
}

/// Opens, checks and writes what was read, until nothing more comes.
async fn work(
    arrival: &Arc<Arrival>,
    mut taken: mpsc::Receiver<(Vec<u8>, usize)>,
    spare: mpsc::Sender<Vec<u8>>,
) -> Result<DataDecoder, TransferError> {
    let mut decoder = DataDecoder::new(arrival.root.is_some(), arrival.compress);
    let mut writer = Writer { arrival: arrival.clone(), open: None, inflater: Inflater::default(), judged: Vec::new() };
    while let Some((mut buffer, filled)) = taken.recv().await {
        let job = move || {
            let done = decoder.push(&mut buffer[..filled], &mut |unit| writer.unit(unit));
            (decoder, writer, buffer, done)
        };
        let (back, wrote, buffer, done) = arrival.worker.run(job).await;
        (decoder, writer) = (back, wrote);
        // The reader may be gone.
        let _ = spare.try_send(buffer);
        // Not on the thread: they may have to wait for those before them.
        for verdict in writer.judged.drain(..) {
            // Gone only when the whole transfer is.
            let _ = arrival.verdicts.send(verdict).await;
        }
        done?;
    }
    Ok(decoder)
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
    /// Length of the file.
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
        let note = Note::Segment { file: header.file, segment, hash: hash.bytes() };
        arrival.temp.journal().note(&note, u64::from(header.len))?;
        let verdict = arrival.intake().written(header.file, header.start, hash);
        self.judged.extend(verdict);
        Ok(())
    }
}
