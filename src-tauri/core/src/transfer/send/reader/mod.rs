//! Reads, hashes and seals the data to send on blocking threads: one at a time for each data stream, all from one
//! queue.
//!
//! A thread takes the next segment, reads it straight into a wire buffer, and hashes and seals it there. Small files
//! lie back to back in a buffer. A segment is sent only after it was read as a whole: a file that shrinks or vanishes
//! leaves no gap on the wire and is reported as failed. Buffers come from a pool and return to it when the transport
//! releases them, which limits memory. Holes are not read; chunks are compressed where that pays
//! (`compression_policy`).

use crate::transfer::segments::hash::read_exact_at;
use std::{
    fs::{File, Metadata},
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::source::Source;
pub use crate::transfer::send::buffer_pool::BufferPool;
use crate::{
    budget::{FileShare, Spare, Worker, with_descriptor},
    clock::Locked as _,
    error::is_out_of_files,
    fs::ops::wire_time,
    keys::Key,
    transfer::{
        protocol::{
            cipher::SegmentCipher,
            compression::Compressor,
            frames::{FileEnd, SourceOutcome},
            framing::{CHUNK_HEADER, COMMITMENT, COMPRESSED, ChunkHeader, LAST, SEGMENT_HEADER, SegmentHeader, ZEROS},
            hash_tree::{FileTree, SegmentHash, SegmentHasher, segment_at, segments},
            limits::{BATCH, CHUNK, TAG},
            reason::Reason,
            state::Plan,
        },
        segments::{
            hash::hash_of,
            sparse::{self, Piece, pieces},
        },
        send::{
            buffer_pool::{PooledBuffer, wire_most},
            compression_policy::{Compression, Estimator, Sample},
        },
    },
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.locked()
}

/// Work queue that all threads of a transfer share.
#[derive(Debug)]
pub struct SegmentReader {
    source: Arc<Source>,
    plan: Plan,
    root: Option<Key>,
    cursor: Mutex<Cursor>,
    since: Instant,
    estimator: Mutex<Estimator>,
    /// Share of the descriptors for files that stay open between two buffers.
    files: FileShare,
    /// Grants of the receiver for a growing file; `None` for other files.
    room: Option<watch::Receiver<Room>>,
}

/// Grant of the receiver for a growing file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Length up to which data may be sent.
    pub size: u64,
    /// True if the file is complete at this length.
    pub ended: bool,
}

#[derive(Debug, Default)]
struct Cursor {
    next_entry: u32,
    current: Option<(Arc<SourceFile>, u64)>,
}

/// File that is being sent, possibly by several threads.
#[derive(Debug)]
struct SourceFile {
    index: u32,
    size: u64,
    failed: AtomicBool,
    state: Mutex<SourceFileState>,
}

#[derive(Debug)]
struct SourceFileState {
    /// The open file, and whether it may have holes. It is kept while the descriptor share has room, and else opened
    /// for each segment with a descriptor that is set aside for the thread.
    file: Option<(Arc<File>, bool, Spare)>,
    tree: FileTree,
}

struct Job {
    reading: Arc<SourceFile>,
    /// Length of the file; the longest possible for a growing file that is not complete.
    size: u64,
    segment: u64,
    start: u64,
    len: u32,
    /// Verified hash of a segment that the receiver holds already: it is not sent.
    held: Option<[u8; 32]>,
}

/// Result of filling a buffer.
struct Filled {
    /// Files that are finished.
    through: Vec<FileEnd>,
    stage: Stage,
}

enum Stage {
    Full,
    /// Pauses to report finished files, because there are many.
    ToTell,
    /// Waits for more of a growing file.
    ToCome,
    /// Ends the stream: nothing is left, or nothing can be opened.
    End,
}

/// Returns true if a file could not be opened for want of descriptors.
fn is_short(end: &FileEnd) -> bool {
    matches!(end.outcome, SourceOutcome::Failed { code: Reason::SenderOutOfFiles })
}

enum Next {
    Job(Job),
    NoRoom,
    ToCome,
    End,
}

impl SegmentReader {
    /// Creates the queue for everything that `plan` wants. Segments are sealed with keys derived from `root`; `None`
    /// sends them unsealed.
    pub fn new(source: Arc<Source>, plan: Plan, root: Option<Key>) -> Self {
        let estimator = Mutex::new(Estimator::new(1, 1, false));
        let (cursor, files) = (Mutex::default(), FileShare::alone());
        Self { source, plan, root, cursor, since: Instant::now(), estimator, files, room: None }
    }

    /// Limits a growing file to the receiver's grants.
    #[must_use]
    pub fn within(mut self, room: Option<watch::Receiver<Room>>) -> Self {
        self.room = room;
        self
    }

    /// Limits the files kept open to this share.
    #[must_use]
    pub fn sharing(mut self, files: FileShare) -> Self {
        self.files = files;
        self
    }

    /// Sets the number of streams, and whether compression was agreed upon.
    pub fn over(mut self, streams: u8, compress: bool) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.estimator = Mutex::new(Estimator::new(streams, processors, compress));
        self
    }

    fn next(&self, room: usize) -> Next {
        let mut cursor = lock(&self.cursor);
        loop {
            if let Some((reading, segment)) = cursor.current.take() {
                let grows = room_of(self.room.as_ref());
                let size = grows.filter(|room| room.ended).map_or(reading.size, |room| room.size);
                let place = segment_at(size, segment);
                // An empty file is one job without a segment, and so is the end of a growing file.
                let last = if grows.is_some() { segment == segments(size) } else { size == 0 && segment == 0 };
                if reading.failed.load(Ordering::Relaxed) || (place.is_none() && !last) {
                    continue;
                }
                let (start, len) = place.unwrap_or((0, 0));
                if grows.is_some_and(|room| start + u64::from(len) > room.size) {
                    cursor.current = Some((reading, segment));
                    return Next::ToCome;
                }
                let held = self.plan.held.get(&reading.index).and_then(|held| held.get(segment as u32));
                if held.is_none() && len > 0 && wire_most(len) > room {
                    cursor.current = Some((reading, segment));
                    return Next::NoRoom;
                }
                cursor.current = Some((reading.clone(), segment + 1));
                return Next::Job(Job { reading, size, segment, start, len, held });
            }
            let manifest = &self.source.manifest;
            let index = cursor.next_entry;
            if index >= manifest.len() {
                return Next::End;
            }
            cursor.next_entry += 1;
            if let Some(size) = manifest.size(index).filter(|_| self.plan.wants(manifest, index)) {
                let tree = if self.room.is_some() { FileTree::growing() } else { FileTree::new(size) };
                let state = SourceFileState { file: None, tree };
                let reading = SourceFile { index, size, failed: AtomicBool::new(false), state: Mutex::new(state) };
                cursor.current = Some((Arc::new(reading), 0));
            }
        }
    }

    /// Fills buffers until nothing is left, the pool is closed, or the receiving task is gone. Finished files are
    /// reported once per buffer, because waking a task for each would cost more than a small file does. A thread is
    /// borrowed for each buffer and returned while the transport is waited for.
    pub async fn run(
        self: Arc<Self>,
        worker: Worker,
        pool: Arc<BufferPool>,
        out: mpsc::Sender<Bytes>,
        ends: mpsc::Sender<Vec<FileEnd>>,
    ) {
        let mut state = WorkerState::default();
        let mut room = self.room.clone();
        loop {
            let mut clock = Instant::now();
            let Some(mut buffer) = pool.take().await else { return };
            state.sample.waited += lap(&mut clock);
            // Before the buffer is filled: the time waited for it is the newest measurement.
            state.decision = lock(&self.estimator).note(self.since.elapsed(), pool.delivered(), &state.done());
            let ended = loop {
                // Changes from here on are seen by `changed` below.
                room.iter_mut().for_each(|room| drop(room.borrow_and_update()));
                let reader = self.clone();
                let fill = move || {
                    let filled = reader.fill(&mut buffer, &mut state);
                    (buffer, state, filled)
                };
                let (back, used, Filled { through, stage }) = worker.run(fill).await;
                (buffer, state) = (back, used);
                if !through.is_empty() && (pool.is_closed() || ends.send(through).await.is_err()) {
                    return;
                }
                match stage {
                    Stage::Full => break false,
                    Stage::End => break true,
                    Stage::ToTell => {}
                    // No thread is blocked here. An error means that the transfer stopped and no grant can come any
                    // more.
                    Stage::ToCome => {
                        let Some(room) = &mut room else { return };
                        if room.changed().await.is_err() || pool.is_closed() {
                            return;
                        }
                    }
                }
            };
            let mut clock = Instant::now();
            if buffer.filled > 0 && out.send(Bytes::from_owner(buffer)).await.is_err() {
                return;
            }
            if ended {
                return;
            }
            state.sample.waited += lap(&mut clock);
        }
    }

    /// Fills a buffer with the next segments, or continues to fill it. Blocks.
    fn fill(&self, buffer: &mut PooledBuffer, state: &mut WorkerState) -> Filled {
        let mut clock = Instant::now();
        let mut through = Vec::new();
        let stage = loop {
            match self.next(buffer.room()) {
                Next::NoRoom => break Stage::Full,
                Next::ToCome => break if buffer.filled > 0 { Stage::Full } else { Stage::ToCome },
                Next::End => break Stage::End,
                Next::Job(job) => {
                    let end = match self.work(&job, buffer, state) {
                        Ok(None) => continue,
                        Ok(Some(end)) => end,
                        // Reported once, by the first thread that notices.
                        Err(_) if job.reading.failed.swap(true, Ordering::Relaxed) => continue,
                        Err(code) => {
                            let gone = code != Reason::Internal && self.source.is_away(job.reading.index);
                            let code = if gone { Reason::SourceGone } else { code };
                            FileEnd { file: job.reading.index, outcome: SourceOutcome::Failed { code } }
                        }
                    };
                    let short = is_short(&end);
                    through.push(end);
                    if short {
                        // The report ends the attempt: the next file would only have to wait as long.
                        break Stage::End;
                    }
                    if through.len() >= BATCH {
                        break Stage::ToTell;
                    }
                }
            }
        };
        state.sample.worked += lap(&mut clock);
        Filled { through, stage }
    }

    /// Reads, hashes and seals one segment. Returns the file's end if it was the last one.
    fn work(&self, job: &Job, buffer: &mut PooledBuffer, state: &mut WorkerState) -> Result<Option<FileEnd>, Reason> {
        let (file, sparse) = self.open(&job.reading)?;
        let before = buffer.filled;
        let hash = self.read(job, &file, sparse, buffer, state).inspect_err(|_| buffer.filled = before)?;
        let grows = self.room.is_some();
        let root = if job.size == 0 {
            match hash {
                SegmentHash::Whole(root) => Some(root),
                SegmentHash::Part(_) => None,
            }
        } else if grows && job.len == 0 {
            lock(&job.reading.state).tree.end(job.size)
        } else {
            lock(&job.reading.state).tree.insert(job.segment, hash)
        };
        let Some(root) = root else { return Ok(None) };
        // The data read is the listed file only if it was not modified since. A file that grew may also have been
        // changed elsewhere, so it is read once more.
        let size = room_of(self.room.as_ref()).map_or(job.size, |room| room.size);
        let len = self.unchanged(&job.reading, &file)?.len();
        if grows && len != size {
            return Err(Reason::SourceChanged);
        }
        if !grows && len > size && read_again(&file, size) != Some(root) {
            return Err(Reason::SourceChanged);
        }
        lock(&job.reading.state).file = None;
        if job.reading.failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        Ok(Some(FileEnd { file: job.reading.index, outcome: SourceOutcome::Sent { root, size } }))
    }

    fn open(&self, reading: &SourceFile) -> Result<(Arc<File>, bool), Reason> {
        let mut state = lock(&reading.state);
        if let Some((file, sparse, _)) = &state.file {
            return Ok((file.clone(), *sparse));
        }
        let unreadable = |error: io::Error| {
            tracing::info!(%error, "a file to send cannot be opened");
            match error.kind() {
                io::ErrorKind::NotFound => Reason::SourceDeleted,
                _ if is_out_of_files(&error) => Reason::SenderOutOfFiles,
                _ => Reason::SourceUnreadable,
            }
        };
        let file = Arc::new(with_descriptor(|| self.source.open(reading.index)).map_err(unreadable)?);
        let meta = self.unchanged(reading, &file)?;
        // A stream has no holes.
        let sparse = self.room.is_none() && sparse::may_have(&meta);
        state.file = self.files.spare().map(|spare| (file.clone(), sparse, spare));
        Ok((file, sparse))
    }

    fn unchanged(&self, reading: &SourceFile, file: &File) -> Result<Metadata, Reason> {
        let meta = file.metadata().map_err(|_| Reason::SourceUnreadable)?;
        if self.room.is_some() {
            return if meta.is_file() { Ok(meta) } else { Err(Reason::SourceChanged) };
        }
        let listed = self.source.manifest.get(reading.index).ok_or(Reason::SourceChanged)?;
        let mtime = meta.modified().map(wire_time).map_err(|_| Reason::SourceChanged)?;
        let same = meta.is_file() && meta.len() == reading.size && mtime == listed.mtime;
        if same || self.source.only_grew(reading.index, file) { Ok(meta) } else { Err(Reason::SourceChanged) }
    }

    fn read(
        &self,
        job: &Job,
        file: &File,
        sparse: bool,
        buffer: &mut PooledBuffer,
        state: &mut WorkerState,
    ) -> Result<SegmentHash, Reason> {
        let mut hasher = SegmentHasher::new(job.size, job.start);
        if job.len == 0 {
            return if self.room.is_none() && has_more(file) { Err(Reason::SizeWrong) } else { Ok(hasher.finish()) };
        }
        if let Some(hash) = job.held {
            return Ok(SegmentHash::of(job.size, hash));
        }
        let index = job.reading.index;
        let cipher = self.root.as_ref().map(|root| SegmentCipher::new(root, index, job.start));
        let cipher = cipher.transpose().map_err(|_| Reason::Internal)?;
        let header = SegmentHeader {
            file: index,
            start: job.start,
            len: job.len,
            whole: segments(job.size) == 1,
            commitment: cipher.as_ref().map(SegmentCipher::commitment),
        };
        let mut encoded = Vec::with_capacity(SEGMENT_HEADER + COMMITMENT);
        header.encode(&mut encoded);
        put(buffer, &encoded)?;
        let tag = if cipher.is_some() { TAG } else { 0 };
        let holes = if sparse { sparse::of(file, job.start, job.len) } else { 0 };
        for (number, piece) in (0..).zip(pieces(job.len, holes, state.decision.chunk)) {
            let last = if piece.at + piece.len == job.len { LAST } else { 0 };
            let offset = job.start + u64::from(piece.at);
            let (bytes, form) = fill(buffer, file, offset, piece, state, &mut hasher)?;
            let chunk = ChunkHeader { plain_len: piece.len, wire_len: bytes + tag, flags: form | last };
            put(buffer, &chunk.encode())?;
            let (from, to) = (buffer.filled, buffer.filled + chunk.wire_len as usize);
            let place = buffer.bytes.get_mut(from..to).ok_or_else(full)?;
            if let Some(cipher) = &cipher {
                cipher.seal(number, offset, &chunk, place).map_err(|_| Reason::Internal)?;
            }
            buffer.filled = to;
        }
        Ok(hasher.finish())
    }
}

/// State of one stream's filling task.
#[derive(Default)]
struct WorkerState {
    decision: Compression,
    sample: Sample,
    compressor: Option<Compressor>,
}

impl WorkerState {
    /// Takes the measurements of the finished buffer.
    fn done(&mut self) -> Sample {
        std::mem::take(&mut self.sample)
    }

    fn compress(&mut self, plain: &[u8]) -> Option<&[u8]> {
        if !self.decision.compress {
            return None;
        }
        let begun = Instant::now();
        let compressor = self.compressor.get_or_insert_default();
        let before = compressor.taken;
        let pays = compressor.compress(plain).map(<[u8]>::len);
        self.sample.compressing += begun.elapsed();
        self.sample.compressed += compressor.taken - before;
        pays.and_then(|len| compressor.compressed(len))
    }
}

fn room_of(room: Option<&watch::Receiver<Room>>) -> Option<Room> {
    room.map(|room| *room.borrow())
}

/// Returns the time since the last call.
fn lap(clock: &mut Instant) -> Duration {
    let before = std::mem::replace(clock, Instant::now());
    clock.saturating_duration_since(before)
}

fn full() -> Reason {
    Reason::Internal
}

/// Reads a piece to the place of its chunk's data, leaving room for the chunk header. Returns the number of bytes and
/// the chunk's form flag.
fn fill(
    buffer: &mut PooledBuffer,
    file: &File,
    offset: u64,
    piece: Piece,
    state: &mut WorkerState,
    hasher: &mut SegmentHasher,
) -> Result<(u32, u8), Reason> {
    if piece.hole {
        hasher.zeros(piece.len);
        return Ok((0, ZEROS));
    }
    let from = buffer.filled + CHUNK_HEADER;
    let plain = buffer.bytes.get_mut(from..from + piece.len as usize).ok_or_else(full)?;
    if let Err(code) = read_exact_at(file, plain, offset) {
        // The file ended before the length that the file system reports, and is not just being written.
        let end = offset + u64::from(piece.len);
        let short = file.metadata().is_ok_and(|meta| meta.len() >= end) && read_exact_at(file, plain, offset).is_err();
        return Err(if short && code == Reason::SourceChanged { Reason::SizeWrong } else { code });
    }
    hasher.update(plain);
    let Some(small) = state.compress(plain) else { return Ok((piece.len, 0)) };
    plain.get_mut(..small.len()).ok_or_else(full)?.copy_from_slice(small);
    Ok((small.len() as u32, COMPRESSED))
}

/// Returns true if a file has data although its file system reports it as empty.
fn has_more(file: &File) -> bool {
    #[cfg(unix)]
    let read = std::os::unix::fs::FileExt::read_at(file, &mut [0], 0);
    #[cfg(windows)]
    let read = std::os::windows::fs::FileExt::seek_read(file, &mut [0], 0);
    read.is_ok_and(|count| count > 0) && file.metadata().is_ok_and(|meta| meta.len() == 0)
}

/// Returns the hash of a file's first `size` bytes as they are now.
fn read_again(file: &File, size: u64) -> Option<[u8; 32]> {
    let (mut tree, mut buffer, mut root) = (FileTree::new(size), vec![0; CHUNK as usize], None);
    for segment in 0..segments(size) {
        let hash = hash_of(file, size, u32::try_from(segment).ok()?, &mut buffer)?;
        root = tree.insert(segment, SegmentHash::of(size, hash));
    }
    root
}

fn put(buffer: &mut PooledBuffer, bytes: &[u8]) -> Result<(), Reason> {
    let to = buffer.filled + bytes.len();
    buffer.bytes.get_mut(buffer.filled..to).ok_or_else(full)?.copy_from_slice(bytes);
    buffer.filled = to;
    Ok(())
}

#[cfg(test)]
mod tests;
