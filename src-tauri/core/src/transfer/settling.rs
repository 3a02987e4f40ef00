//! Names what has arrived: a task that gathers verdicts and has each batch settled by a blocking thread. No thread waits for
//! the peer.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinHandle,
    time::{Instant, sleep},
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
use crate::{api::Note, budget::Worker, clock::Locked as _, error::NetworkError};

/// What the naming task has done.
#[derive(Default)]
pub(super) struct Settled {
    pub files: AtomicU32,
    pub bytes: AtomicU64,
    /// Length of the growing file, once it has ended.
    pub length: AtomicU64,
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
        let first = self.first_failure.locked().clone();
        (self.failed.load(Ordering::Relaxed), first)
    }

    /// The names at the top under which it is stored, once.
    pub(super) fn take_landed(&self) -> Vec<String> {
        std::mem::take(&mut *self.landed.locked())
    }

    /// Files and folders that are not kept, by the code of their reason.
    pub(super) fn left_out(&self) -> Reasons {
        self.reasons.locked().clone()
    }

    /// What people should know, once.
    pub(super) fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.locked())
    }
}

/// Waits for the naming task, if it still runs.
pub(super) async fn wait(settling: &mut Option<JoinHandle<Result<(), DiskError>>>) -> Result<(), NetworkError> {
    match settling {
        Some(handle) => match handle.await {
            Ok(done) => Ok(done.map_err(TransferError::Disk)?),
            Err(_) => Err(TransferError::Internal("the naming task failed").into()),
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

/// What comes until then, up to so many; what is there already comes in any case. None when nothing comes any more.
///
/// It looks now and then instead of being woken by each: that would cost more than to give a file its name.
async fn gather(judged: &mut mpsc::Receiver<Verdict>, most: usize, until: Instant) -> Option<Vec<Verdict>> {
    let mut nap = FIRST_NAP;
    while judged.len() < most && !judged.is_closed() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        sleep(nap.min(left)).await;
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

/// The naming task.
pub(super) struct Settling {
    pub worker: Worker,
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
    pub(super) async fn run(mut self, mut judged: mpsc::Receiver<Verdict>) -> Result<(), DiskError> {
        let (temp, manifest, plan) = (self.temp.clone(), self.manifest.clone(), self.plan.clone());
        let (old, entered, same) = (std::mem::take(&mut self.old), std::mem::take(&mut self.entered), self.same);
        let folders = std::mem::take(&mut self.folders);
        let begin =
            move || Placing::new(temp, manifest, plan, Platform::HERE).with_folders(folders).over(old, same, entered);
        let placing = self.worker.run(begin).await;
        let (mut placing, all) = self.place_all(placing, &mut judged).await?;
        if !all {
            return Ok(());
        }
        tracing::debug!("every file has its name");
        let (back, finished) = self.at_work(placing, Placing::finish).await;
        placing = back;
        tracing::debug!("every folder is done");
        self.note(&placing);
        self.tell_names(&mut placing).await;
        {
            let mut reasons = self.told.reasons.locked();
            *reasons = reasons.and(placing.left_out());
        }
        self.told.finished.store(finished.is_ok(), Ordering::Relaxed);
        finished
    }

    /// Lends the files to a blocking thread for one step, which may wait for the disk.
    async fn at_work<T: Send + 'static>(
        &self,
        mut placing: Placing,
        step: impl FnOnce(&mut Placing) -> T + Send + 'static,
    ) -> (Placing, T) {
        let work = move || {
            let done = step(&mut placing);
            (placing, done)
        };
        self.worker.run_slow(work).await
    }

    /// The same, and tells what came of it, whether it went well or not.
    async fn step(
        &self,
        placing: Placing,
        step: impl FnOnce(&mut Placing) -> Result<(), DiskError> + Send + 'static,
    ) -> Result<Placing, DiskError> {
        let (mut placing, done) = self
            .at_work(placing, |placing| {
                step(placing).inspect_err(|_| {
                    // Whatever has its name by then is worth to be told, if it can be made durable.
                    let _ = placing.flush();
                })
            })
            .await;
        self.tell(&mut placing).await;
        done.map(|()| placing)
    }

    /// Gives the files back, and false when the transfer is given up.
    async fn place_all(
        &self,
        mut placing: Placing,
        judged: &mut mpsc::Receiver<Verdict>,
    ) -> Result<(Placing, bool), DiskError> {
        let (mut left, mut until) = (self.expected as usize, Instant::now());
        while left > 0 {
            let Some(mut batch) = gather(judged, left.min(AT_ONCE), until).await else { return Ok((placing, false)) };
            if batch.is_empty() {
                // Nothing to do the last ones along with.
                placing = self.step(placing, Placing::flush).await?;
                let Some(next) = judged.recv().await else { return Ok((placing, false)) };
                batch.push(next);
            }
            left = left.saturating_sub(batch.len());
            placing = self.step(placing, move |placing| placing.settle(batch)).await?;
            until = Instant::now() + PAUSE;
        }
        placing = self.step(placing, Placing::flush).await?;
        Ok((placing, true))
    }

    /// Counts what is settled, and tells the sender.
    async fn tell(&self, placing: &mut Placing) {
        self.note(placing);
        self.tell_names(placing).await;
        let report = placing.report();
        for item in &report {
            match &item.failure {
                None => {
                    self.told.files.fetch_add(1, Ordering::Relaxed);
                    let size = match self.manifest.is_growing() {
                        true => self.told.length.load(Ordering::Relaxed),
                        false => self.manifest.size(item.file).unwrap_or(0),
                    };
                    self.told.bytes.fetch_add(size, Ordering::Relaxed);
                }
                Some(code) => {
                    self.told.failed.fetch_add(1, Ordering::Relaxed);
                    self.told.reasons.locked().add(code.as_str(), 1);
                    let mut first = self.told.first_failure.locked();
                    first.get_or_insert_with(|| code.clone());
                }
            }
        }
        for part in report.chunks(BATCH) {
            self.out.send(&ReceiverFrame::FilesReceived(part.to_vec())).await;
        }
    }

    async fn tell_names(&self, placing: &mut Placing) {
        for part in placing.take_renames().chunks(RENAMED_BATCH) {
            self.out.send(&ReceiverFrame::Renamed(part.to_vec())).await;
        }
    }

    fn note(&self, placing: &Placing) {
        *self.told.notes.locked() = placing.notes();
        *self.told.landed.locked() = placing.stored_as().to_vec();
    }
}
