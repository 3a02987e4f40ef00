//! Commit worker: a task that batches verdicts and has a blocking thread commit each batch. No thread waits for the
//! peer.

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

use crate::{
    api::Note,
    budget::Worker,
    clock::Locked as _,
    error::NetworkError,
    fs::{names::Platform, ops::FileStat},
    transfer::{
        TransferError,
        left_out::ReasonCounts,
        protocol::{
            control_stream::FrameSender,
            frames::ReceiverFrame,
            limits::{BATCH, RENAMED_BATCH},
            manifest::Manifest,
            reason::Reason,
            state::Plan,
        },
        receive::{
            assembly::Verdict,
            commit::Committer,
            staging::{DiskError, StagingDir},
        },
    },
};

/// Results of the commit task, shared with the transfer.
#[derive(Default)]
pub(in crate::transfer) struct Committed {
    pub files: AtomicU32,
    pub bytes: AtomicU64,
    /// Length of the growing file, once it is complete.
    pub length: AtomicU64,
    pub failed: AtomicU32,
    /// Files and folders that are not kept, by reason.
    reasons: Mutex<ReasonCounts>,
    pub notes: Mutex<Vec<Note>>,
    /// Names of the top-level entries as stored.
    pub landed: Mutex<Vec<String>>,
    pub first_failure: Mutex<Option<Reason>>,
    /// True once the task has ended and nothing is left unfinished.
    pub finished: AtomicBool,
}

impl Committed {
    /// Returns the number of failed files, and the first reason.
    pub(in crate::transfer) fn failures(&self) -> (u32, Option<Reason>) {
        let first = self.first_failure.locked().clone();
        (self.failed.load(Ordering::Relaxed), first)
    }

    /// Takes the stored names of top-level entries.
    pub(in crate::transfer) fn take_landed(&self) -> Vec<String> {
        std::mem::take(&mut *self.landed.locked())
    }

    /// Returns the files and folders that are not kept, by reason.
    pub(in crate::transfer) fn left_out(&self) -> ReasonCounts {
        self.reasons.locked().clone()
    }

    /// Takes the notes for people.
    pub(in crate::transfer) fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.locked())
    }
}

/// Waits for the commit task; forever if it has ended.
pub(in crate::transfer) async fn wait(
    task: &mut Option<JoinHandle<Result<(), DiskError>>>,
) -> Result<(), NetworkError> {
    match task {
        Some(handle) => match handle.await {
            Ok(done) => Ok(done.map_err(TransferError::Disk)?),
            Err(_) => Err(TransferError::Internal("the naming task failed").into()),
        },
        None => std::future::pending().await,
    }
}

/// Most verdicts in one batch.
pub(in crate::transfer) const AT_ONCE: usize = 32 * 1024;
/// Time to collect verdicts after a sync while more are to come: a sync takes about as long for one file as for
/// thousands.
const PAUSE: Duration = Duration::from_secs(1);
/// First and longest interval between checks of the verdict queue; it doubles each time.
const FIRST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(16);

/// Collects up to `most` verdicts until `until`. Verdicts that are queued already are always returned. `None` once
/// the channel is closed and empty.
///
/// Polls the queue instead of being woken for each verdict: that would cost more than naming a file.
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

/// State of the commit task.
pub(in crate::transfer) struct CommitWorker {
    pub worker: Worker,
    pub temp: Arc<StagingDir>,
    pub manifest: Arc<Manifest>,
    pub plan: Plan,
    /// Folders that an earlier attempt has created, with their names.
    pub folders: HashMap<u32, Vec<u8>>,
    /// Folders that existed before this transfer.
    pub entered: HashSet<u32>,
    pub out: FrameSender,
    pub told: Arc<Committed>,
    pub expected: u32,
    /// Existing files that may be replaced.
    pub old: HashMap<u32, FileStat>,
    /// Number of identical empty files that existed already.
    pub same: u32,
}

impl CommitWorker {
    /// Commits verdicts in batches, as large as they get within [`PAUSE`] and while the previous batch is synced.
    /// Returns once every file has its result, or the transfer is given up.
    pub(in crate::transfer) async fn run(mut self, mut judged: mpsc::Receiver<Verdict>) -> Result<(), DiskError> {
        let (temp, manifest, plan) = (self.temp.clone(), self.manifest.clone(), self.plan.clone());
        let (old, entered, same) = (std::mem::take(&mut self.old), std::mem::take(&mut self.entered), self.same);
        let folders = std::mem::take(&mut self.folders);
        let begin =
            move || Committer::new(temp, manifest, plan, Platform::HERE).with_folders(folders).over(old, same, entered);
        let committer = self.worker.run(begin).await;
        let (mut committer, all) = self.place_all(committer, &mut judged).await?;
        if !all {
            return Ok(());
        }
        tracing::debug!("every file has its name");
        let (back, finished) = self.at_work(committer, Committer::finish).await;
        committer = back;
        tracing::debug!("every folder is done");
        self.note(&committer);
        self.tell_names(&mut committer).await;
        {
            let mut reasons = self.told.reasons.locked();
            *reasons = reasons.and(committer.left_out());
        }
        self.told.finished.store(finished.is_ok(), Ordering::Relaxed);
        finished
    }

    /// Runs one step of the committer on a blocking thread, which may wait for the disk.
    async fn at_work<T: Send + 'static>(
        &self,
        mut committer: Committer,
        step: impl FnOnce(&mut Committer) -> T + Send + 'static,
    ) -> (Committer, T) {
        let work = move || {
            let done = step(&mut committer);
            (committer, done)
        };
        self.worker.run_slow(work).await
    }

    /// Runs a step like [`Self::at_work`], and reports the results, even after an error.
    async fn step(
        &self,
        committer: Committer,
        step: impl FnOnce(&mut Committer) -> Result<(), DiskError> + Send + 'static,
    ) -> Result<Committer, DiskError> {
        let (mut committer, done) = self
            .at_work(committer, |committer| {
                step(committer).inspect_err(|_| {
                    // Files that are named by then are worth reporting, if they can be made durable.
                    let _ = committer.flush();
                })
            })
            .await;
        self.tell(&mut committer).await;
        done.map(|()| committer)
    }

    /// Commits all files. Returns the committer, and false if the transfer was given up.
    async fn place_all(
        &self,
        mut committer: Committer,
        judged: &mut mpsc::Receiver<Verdict>,
    ) -> Result<(Committer, bool), DiskError> {
        let (mut left, mut until) = (self.expected as usize, Instant::now());
        while left > 0 {
            let Some(mut batch) = gather(judged, left.min(AT_ONCE), until).await else { return Ok((committer, false)) };
            if batch.is_empty() {
                // No new batch is there to do the last files along with.
                committer = self.step(committer, Committer::flush).await?;
                let Some(next) = judged.recv().await else { return Ok((committer, false)) };
                batch.push(next);
            }
            left = left.saturating_sub(batch.len());
            committer = self.step(committer, move |committer| committer.settle(batch)).await?;
            until = Instant::now() + PAUSE;
        }
        committer = self.step(committer, Committer::flush).await?;
        Ok((committer, true))
    }

    /// Counts the results, and reports them to the sender.
    async fn tell(&self, committer: &mut Committer) {
        self.note(committer);
        self.tell_names(committer).await;
        let report = committer.report();
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
                Some(reason) => {
                    self.told.failed.fetch_add(1, Ordering::Relaxed);
                    self.told.reasons.locked().add(reason, 1);
                    let mut first = self.told.first_failure.locked();
                    first.get_or_insert_with(|| reason.clone());
                }
            }
        }
        for part in report.chunks(BATCH) {
            self.out.send(&ReceiverFrame::FilesReceived(part.to_vec())).await;
        }
    }

    async fn tell_names(&self, committer: &mut Committer) {
        for part in committer.take_renames().chunks(RENAMED_BATCH) {
            self.out.send(&ReceiverFrame::Renamed(part.to_vec())).await;
        }
    }

    fn note(&self, committer: &Committer) {
        *self.told.notes.locked() = committer.notes();
        *self.told.landed.locked() = committer.stored_as().to_vec();
    }
}
