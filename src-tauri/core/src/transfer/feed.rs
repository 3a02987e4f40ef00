//! Reads, hashes and seals what is sent, on threads of its own: one for each data stream, all from one row of work.
//!
//! A thread takes the next segment, reads it straight to its place in a wire buffer, hashes and seals it there. Small
//! files lie back to back in a buffer. A segment goes out only after it was read as a whole, so that a file that shrinks
//! or vanishes never leaves a gap on the wire; it is told as failed instead. Buffers come from a pool and return to it
//! when the transport has let go of them, which bounds what is in memory.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    files::wire_time,
    framing::{CHUNK_HEADER, COMMITMENT, ChunkHeader, LAST, SEGMENT_HEADER, SegmentHeader},
    limits::{CHUNK, SEGMENT, TAG},
    seal::SegmentCipher,
    source::Source,
    state::Plan,
    tree::{FileTree, SegmentHasher, segment_at, segments},
    wire::{Code, FileEnd, SourceOutcome},
};
use crate::keys::Key;

/// Bytes of a full segment on the wire, with every header and tag.
const WIRE_SEGMENT: usize =
    SEGMENT_HEADER + COMMITMENT + SEGMENT as usize + (SEGMENT / CHUNK as u64) as usize * (CHUNK_HEADER + TAG as usize);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---------------------------------------------------------------------------------------------------- buffers

/// Wire buffers of one transfer.
#[derive(Debug)]
pub struct Pool {
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Debug)]
struct PoolState {
    free: Vec<Vec<u8>>,
    unmade: usize,
    closed: bool,
}

impl Pool {
    /// A pool of at most `count` buffers, made when they are needed.
    pub fn new(count: usize) -> Arc<Self> {
        let state = PoolState { free: Vec::new(), unmade: count, closed: false };
        Arc::new(Self { state: Mutex::new(state), returned: Condvar::new() })
    }

    /// Waits for a buffer; none once the pool is closed.
    fn take(self: &Arc<Self>) -> Option<Parcel> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            if let Some(bytes) = state.free.pop() {
                return Some(Parcel { bytes, filled: 0, pool: self.clone() });
            }
            if state.unmade > 0 {
                state.unmade -= 1;
                return Some(Parcel { bytes: vec![0; WIRE_SEGMENT], filled: 0, pool: self.clone() });
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets every thread that waits, or will wait, go away.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.returned.notify_all();
    }

    fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

/// A wire buffer; returns to its pool when it is dropped.
#[derive(Debug)]
struct Parcel {
    bytes: Vec<u8>,
    filled: usize,
    pool: Arc<Pool>,
}

impl Parcel {
    fn room(&self) -> usize {
        self.bytes.len() - self.filled
    }
}

impl AsRef<[u8]> for Parcel {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        lock(&self.pool.state).free.push(std::mem::take(&mut self.bytes));
        self.pool.returned.notify_one();
    }
}

// ---------------------------------------------------------------------------------------------------- the row of work

/// What all threads of a transfer take their work from.
#[derive(Debug)]
pub struct Feed {
    source: Arc<Source>,
    plan: Plan,
    root: Option<Key>,
    cursor: Mutex<Cursor>,
}

#[derive(Debug, Default)]
struct Cursor {
    next_entry: u32,
    current: Option<(Arc<Reading>, u64)>,
}

/// A file that is being sent, maybe by several threads.
#[derive(Debug)]
struct Reading {
    index: u32,
    size: u64,
    failed: AtomicBool,
    state: Mutex<ReadingState>,
}

#[derive(Debug)]
struct ReadingState {
    file: Option<Arc<File>>,
    tree: FileTree,
}

struct Job {
    reading: Arc<Reading>,
    segment: u64,
    start: u64,
    len: u32,
    /// The receiver has it, with this hash, which was found to be that of the source: it is not sent.
    held: Option<[u8; 32]>,
}

enum Next {
    Job(Job),
    NoRoom,
    End,
}

impl Feed {
    /// For everything that `plan` wants; sealed under `root`, or not at all.
    pub fn new(source: Arc<Source>, plan: Plan, root: Option<Key>) -> Self {
        Self { source, plan, root, cursor: Mutex::default() }
    }

    fn wire_len(&self, len: u32) -> usize {
        let (commitment, tag) = if self.root.is_some() { (COMMITMENT, TAG as usize) } else { (0, 0) };
        SEGMENT_HEADER + commitment + len as usize + len.div_ceil(CHUNK) as usize * (CHUNK_HEADER + tag)
    }

    fn next(&self, room: usize) -> Next {
        let mut cursor = lock(&self.cursor);
        loop {
            if let Some((reading, segment)) = cursor.current.take() {
                let place = segment_at(reading.size, segment);
                // An empty file is one piece of work without a segment.
                let empty = reading.size == 0 && segment == 0;
                if reading.failed.load(Ordering::Relaxed) || (place.is_none() && !empty) {
                    continue;
                }
                let (start, len) = place.unwrap_or((0, 0));
                let held = self.plan.held.get(&reading.index).and_then(|held| held.get(segment as u32));
                if held.is_none() && len > 0 && self.wire_len(len) > room {
                    cursor.current = Some((reading, segment));
                    return Next::NoRoom;
                }
                cursor.current = Some((reading.clone(), segment + 1));
                return Next::Job(Job { reading, segment, start, len, held });
            }
            let manifest = &self.source.manifest;
            let index = cursor.next_entry;
            if index >= manifest.len() {
                return Next::End;
            }
            cursor.next_entry += 1;
            if let Some(size) = manifest.size(index).filter(|_| self.plan.wants(manifest, index)) {
                let state = ReadingState { file: None, tree: FileTree::new(size) };
                let reading = Reading { index, size, failed: AtomicBool::new(false), state: Mutex::new(state) };
                cursor.current = Some((Arc::new(reading), 0));
            }
        }
    }

    /// Fills buffers until nothing is left, or the pool is closed, or nobody takes them. Blocks.
    pub fn run(&self, pool: &Arc<Pool>, out: &mpsc::Sender<Bytes>, ends: &mpsc::Sender<FileEnd>) {
        while let Some(mut parcel) = pool.take() {
            let ended = loop {
                match self.next(parcel.room()) {
                    Next::NoRoom => break false,
                    Next::End => break true,
                    Next::Job(job) => {
                        let end = match self.work(&job, &mut parcel) {
                            Ok(None) => continue,
                            Ok(Some(end)) => end,
                            // Told once, whichever thread finds out first.
                            Err(_) if job.reading.failed.swap(true, Ordering::Relaxed) => continue,
                            Err(code) => {
                                let gone = code.as_str() != "internal" && self.source.is_gone(job.reading.index);
                                let code = if gone { Code::new("source_gone") } else { code };
                                FileEnd { file: job.reading.index, outcome: SourceOutcome::Failed { code } }
                            }
                        };
                        if pool.is_closed() || ends.blocking_send(end).is_err() {
                            return;
                        }
                    }
                }
            };
            if parcel.filled > 0 && out.blocking_send(Bytes::from_owner(parcel)).is_err() {
                return;
            }
            if ended {
                return;
            }
        }
    }

    /// One segment: read, hashed, sealed. Gives the file's end where it was the last.
    fn work(&self, job: &Job, parcel: &mut Parcel) -> Result<Option<FileEnd>, Code> {
        let file = self.open(&job.reading)?;
        let before = parcel.filled;
        let hash = self.read(job, &file, parcel).inspect_err(|_| parcel.filled = before)?;
        let root = if job.reading.size == 0 {
            match hash {
                super::tree::SegmentHash::Whole(root) => Some(root),
                super::tree::SegmentHash::Part(_) => None,
            }
        } else {
            lock(&job.reading.state).tree.insert(job.segment, hash)
        };
        let Some(root) = root else { return Ok(None) };
        // What was read is only what the file was if nothing has touched it since it was listed.
        self.unchanged(&job.reading, &file)?;
        lock(&job.reading.state).file = None;
        if job.reading.failed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        Ok(Some(FileEnd { file: job.reading.index, outcome: SourceOutcome::Sent { root, size: job.reading.size } }))
    }

    fn open(&self, reading: &Reading) -> Result<Arc<File>, Code> {
        let mut state = lock(&reading.state);
        if let Some(file) = &state.file {
            return Ok(file.clone());
        }
        let unreadable = |error: io::Error| {
            tracing::info!(%error, "a file to send cannot be opened");
            Code::new(if error.kind() == io::ErrorKind::NotFound { "source_changed" } else { "source_unreadable" })
        };
        let file = Arc::new(self.source.open(reading.index).map_err(unreadable)?);
        self.unchanged(reading, &file)?;
        state.file = Some(file.clone());
        Ok(file)
    }

    fn unchanged(&self, reading: &Reading, file: &File) -> Result<(), Code> {
        let changed = || Code::new("source_changed");
        let meta = file.metadata().map_err(|_| Code::new("source_unreadable"))?;
        let listed = self.source.manifest.get(reading.index).ok_or_else(changed)?;
        let mtime = meta.modified().map(wire_time).map_err(|_| changed())?;
        if meta.is_file() && meta.len() == reading.size && mtime == listed.mtime { Ok(()) } else { Err(changed()) }
    }

    fn read(&self, job: &Job, file: &File, parcel: &mut Parcel) -> Result<super::tree::SegmentHash, Code> {
        let mut hasher = SegmentHasher::new(job.reading.size, job.start);
        if job.len == 0 {
            return Ok(hasher.finish());
        }
        if let Some(hash) = job.held {
            return Ok(super::tree::SegmentHash::of(job.reading.size, hash));
        }
        let index = job.reading.index;
        let cipher = self.root.as_ref().map(|root| SegmentCipher::new(root, index, job.start));
        let cipher = cipher.transpose().map_err(|_| Code::new("internal"))?;
        let header = SegmentHeader {
            file: index,
            start: job.start,
            len: job.len,
            whole: segments(job.reading.size) == 1,
            commitment: cipher.as_ref().map(SegmentCipher::commitment),
        };
        let mut encoded = Vec::with_capacity(SEGMENT_HEADER + COMMITMENT);
        header.encode(&mut encoded);
        put(parcel, &encoded)?;
        let tag = if cipher.is_some() { TAG } else { 0 };
        let (mut at, mut number) = (0, 0);
        while at < job.len {
            let plain_len = CHUNK.min(job.len - at);
            let flags = if at + plain_len == job.len { LAST } else { 0 };
            let chunk = ChunkHeader { plain_len, wire_len: plain_len + tag, flags };
            put(parcel, &chunk.encode())?;
            let (from, to) = (parcel.filled, parcel.filled + chunk.wire_len as usize);
            let place = parcel.bytes.get_mut(from..to).ok_or_else(|| Code::new("internal"))?;
            let offset = job.start + u64::from(at);
            let (plain, _) = place.split_at_mut(plain_len as usize);
            read_exact_at(file, plain, offset)?;
            hasher.update(plain);
            if let Some(cipher) = &cipher {
                cipher.seal(number, offset, &chunk, place).map_err(|_| Code::new("internal"))?;
            }
            parcel.filled = to;
            at += plain_len;
            number += 1;
        }
        Ok(hasher.finish())
    }
}

fn put(parcel: &mut Parcel, bytes: &[u8]) -> Result<(), Code> {
    let to = parcel.filled + bytes.len();
    parcel.bytes.get_mut(parcel.filled..to).ok_or_else(|| Code::new("internal"))?.copy_from_slice(bytes);
    parcel.filled = to;
    Ok(())
}

/// Opens a file to send. A link, or a pipe that somebody put in its place, is not followed and not waited for.
#[cfg(unix)]
pub(super) fn open_regular(path: &std::path::Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
pub(super) fn open_regular(path: &std::path::Path) -> io::Result<File> {
    File::open(path)
}

pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), Code> {
    #[cfg(unix)]
    let read = std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset);
    #[cfg(windows)]
    let read = {
        let (mut bytes, mut offset) = (bytes, offset);
        loop {
            if bytes.is_empty() {
                break Ok(());
            }
            match std::os::windows::fs::FileExt::seek_read(file, bytes, offset) {
                Ok(0) => break Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(n) => (bytes, offset) = (&mut bytes[n..], offset + n as u64),
                Err(error) => break Err(error),
            }
        }
    };
    read.map_err(|error| {
        tracing::info!(%error, "a file to send cannot be read");
        Code::new(if error.kind() == io::ErrorKind::UnexpectedEof { "source_changed" } else { "source_unreadable" })
    })
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
