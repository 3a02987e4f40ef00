//! Names what has arrived, on a thread of its own.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinHandle,
};

use super::{
    TransferError,
    control::Outgoing,
    files::Standing,
    intake::Verdict,
    landing::{DiskError, Placing, Temp},
    left_out::Reasons,
    limits::{BATCH, RENAMED_BATCH},
    manifest::Manifest,
    names::Platform,
    state::Plan,
    wire::{Code, ReceiverFrame},
};
use crate::{api::Note, error::NetworkError};

/// What the naming thread has done.
#[derive(Default)]
pub(super) struct Settled {
    pub files: AtomicU32,
    pub bytes: AtomicU64,
    pub failed: AtomicU32,
    /// Files and folders that are not kept, by the code of their reason.
    reasons: Mutex<Reasons>,
    pub notes: Mutex<Vec<Note>>,
    /// Names at the top under which it is stored.
    pub landed: Mutex<Vec<String>>,
    pub first_failure: Mutex<Option<Code>>,
    /// It came to its end, and nothing is unfinished.
    pub finished: AtomicBool,
}

impl Settled {
    /// The failures: how many, and the first.
    pub(super) fn failures(&self) -> (u32, Option<Code>) {
        let first = self.first_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.failed.load(Ordering::Relaxed), first)
    }

    /// The names at the top under which it is stored, once.
    pub(super) fn take_landed(&self) -> Vec<String> {
        std::mem::take(&mut *self.landed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Files and folders that are not kept, by the code of their reason.
    pub(super) fn left_out(&self) -> Reasons {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What people should know, once.
    pub(super) fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for the naming thread, if it still runs.
pub(super) async fn wait(settling: &mut Option<JoinHandle<Result<(), DiskError>>>) -> Result<(), NetworkError> {
    match settling {
        Some(handle) => match handle.await {
            Ok(done) => Ok(done.map_err(TransferError::Disk)?),
            Err(_) => Err(TransferError::Internal("the naming thread failed").into()),
        },
        None => std::future::pending().await,
    }
}

/// Verdicts that are settled together, at most.
pub(super) const AT_ONCE: usize = 32 * 1024;
/// How long verdicts gather after the disk was waited for, while more are to come: to wait for it costs much the same for
/// one file and for thousands.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it is not looked whether all have come: twice as long each time.
const FIRST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(16);

/// What comes until then, up to so many; what is there already comes in any case. None when nothing comes any more. Blocks.
///
/// It looks now and then instead of being woken by each: that would cost more than to give a file its name.
fn gather(judged: &mut mpsc::Receiver<Verdict>, most: usize, until: Instant) -> Option<Vec<Verdict>> {
    let mut nap = FIRST_NAP;
    while judged.len() < most && !judged.is_closed() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(nap.min(left));
        nap = (nap * 2).min(LONGEST_NAP);
    }
    let mut batch = Vec::with_capacity(judged.len().min(most));
    while batch.len() < most {
        match judged.try_recv() {
            Ok(verdict) => batch.push(verdict),
            Err(TryRecvError::Disconnected) if batch.is_empty() => return None,
            Err(_) => break,
        }
    }
    Some(batch)
}

/// The naming thread.
pub(super) struct Settling {
    pub temp: Arc<Temp>,
    pub manifest: Arc<Manifest>,
    pub plan: Plan,
    /// Folders that an earlier attempt has created, with their names.
    pub folders: HashMap<u32, Vec<u8>>,
    /// Folders that were there before this transfer.
    pub entered: HashSet<u32>,
    pub out: Outgoing,
    pub told: Arc<Settled>,
    pub expected: u32,
    /// Files that may be replaced.
    pub old: HashMap<u32, Standing>,
    /// Empty files that were there already.
    pub same: u32,
}

impl Settling {
    /// Takes verdicts as they come, in as large batches as gather within [`PAUSE`] and while the last one is made durable.
    /// Returns once every file is settled, or the transfer is given up.
    pub(super) fn run(mut self, mut judged: mpsc::Receiver<Verdict>) -> Result<(), DiskError> {
        let placing = Placing::new(self.temp.clone(), self.manifest.clone(), self.plan.clone(), Platform::HERE)?;
        let (old, entered) = (std::mem::take(&mut self.old), std::mem::take(&mut self.entered));
        let mut placing = placing.with_folders(std::mem::take(&mut self.folders)).over(old, self.same, entered);
        let done = self.place_all(&mut placing, &mut judged);
        if done.is_err() {
            // Whatever has its name by then is worth to be told, if it can be made durable.
            let _ = placing.flush();
            self.tell(&mut placing);
        }
        if !done? {
            return Ok(());
        }
        tracing::debug!("every file has its name");
        let finished = placing.finish();
        tracing::debug!("every folder is done");
        self.note(&placing);
        self.tell_names(&mut placing);
        let mut reasons = self.told.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        *reasons = reasons.and(placing.left_out());
        self.told.finished.store(finished.is_ok(), Ordering::Relaxed);
        finished
    }

    /// False when the transfer is given up.
    fn place_all(&self, placing: &mut Placing, judged: &mut mpsc::Receiver<Verdict>) -> Result<bool, DiskError> {
        let (mut left, mut until) = (self.expected as usize, Instant::now());
        while left > 0 {
            let Some(mut batch) = gather(judged, left.min(AT_ONCE), until) else { return Ok(false) };
            if batch.is_empty() {
                // Nothing to do the last ones along with.
                placing.flush()?;
                self.tell(placing);
                let Some(next) = judged.blocking_recv() else { return Ok(false) };
                batch.push(next);
            }
            left = left.saturating_sub(batch.len());
            placing.settle(batch)?;
            self.tell(placing);
            until = Instant::now() + PAUSE;
        }
        placing.flush()?;
        self.tell(placing);
        Ok(true)
    }

    /// Counts what is settled, and tells the sender.
    fn tell(&self, placing: &mut Placing) {
        self.note(placing);
        self.tell_names(placing);
        let report = placing.report();
        for item in &report {
            match &item.failure {
                None => {
                    self.told.files.fetch_add(1, Ordering::Relaxed);
                    let size = self.manifest.size(item.file).unwrap_or(0);
                    self.told.bytes.fetch_add(size, Ordering::Relaxed);
                }
                Some(code) => {
                    self.told.failed.fetch_add(1, Ordering::Relaxed);
                    self.told.reasons.lock().unwrap_or_else(PoisonError::into_inner).add(code.as_str(), 1);
                    let mut first = self.told.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert_with(|| code.clone());
                }
            }
        }
        for part in report.chunks(BATCH) {
            self.out.blocking_send(&ReceiverFrame::FilesReceived(part.to_vec()));
        }
    }

    fn tell_names(&self, placing: &mut Placing) {
        for part in placing.take_renames().chunks(RENAMED_BATCH) {
            self.out.blocking_send(&ReceiverFrame::Renamed(part.to_vec()));
        }
    }

    fn note(&self, placing: &Placing) {
        *self.told.notes.lock().unwrap_or_else(PoisonError::into_inner) = placing.notes();
        *self.told.landed.lock().unwrap_or_else(PoisonError::into_inner) = placing.stored_as().to_vec();
    }
}
