//! Names what has arrived, on a thread of its own.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    TransferError,
    control::Outgoing,
    files::Standing,
    intake::Verdict,
    landing::{DiskError, Placing, Temp},
    limits::BATCH,
    manifest::Manifest,
    names::Platform,
    state::Plan,
    wire::{Code, ReceiverFrame},
};
use crate::error::NetworkError;

/// What the naming thread has done.
#[derive(Default)]
pub(super) struct Settled {
    pub files: AtomicU32,
    pub bytes: AtomicU64,
    pub failed: AtomicU32,
    pub notes: Mutex<Vec<String>>,
    pub first_failure: Mutex<Option<Code>>,
}

impl Settled {
    /// The failures: how many, and the first.
    pub(super) fn failures(&self) -> (u32, Option<Code>) {
        let first = self.first_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.failed.load(Ordering::Relaxed), first)
    }

    /// What people should know, once.
    pub(super) fn take_notes(&self) -> Vec<String> {
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

/// Verdicts that are settled together. Their numbers fit into one note of the journal.
const AT_ONCE: usize = 4096;

/// The naming thread.
pub(super) struct Settling {
    pub temp: Arc<Temp>,
    pub manifest: Arc<Manifest>,
    pub plan: Plan,
    /// Folders that an earlier attempt has created, with their names.
    pub folders: HashMap<u32, String>,
    pub out: Outgoing,
    pub told: Arc<Settled>,
    pub expected: u32,
    /// Files that may be replaced.
    pub old: HashMap<u32, Standing>,
    /// Empty files that were there already.
    pub same: u32,
}

impl Settling {
    /// Takes verdicts as they come, in as large batches as have gathered while the last one was made durable. Returns
    /// once every file is settled, or the transfer is given up.
    pub(super) fn run(mut self, mut judged: mpsc::Receiver<Verdict>) -> Result<(), DiskError> {
        let placing = Placing::new(self.temp.clone(), self.manifest.clone(), self.plan.clone(), Platform::HERE)?;
        let mut placing =
            placing.with_folders(std::mem::take(&mut self.folders)).over(std::mem::take(&mut self.old), self.same);
        let done = self.place_all(&mut placing, &mut judged);
        if done.is_err() {
            // Whatever has its name by then is worth to be told, if it can be made durable.
            let _ = placing.flush();
            self.tell(&mut placing);
        }
        if !done? {
            return Ok(());
        }
        let finished = placing.finish();
        self.note(&placing);
        finished
    }

    /// False when the transfer is given up.
    fn place_all(&self, placing: &mut Placing, judged: &mut mpsc::Receiver<Verdict>) -> Result<bool, DiskError> {
        let mut left = self.expected;
        while left > 0 {
            if judged.is_empty() {
                // Nothing to do them along with.
                placing.flush()?;
                self.tell(placing);
            }
            let mut batch = Vec::with_capacity(BATCH);
            if judged.blocking_recv_many(&mut batch, AT_ONCE) == 0 {
                return Ok(false);
            }
            left = left.saturating_sub(batch.len() as u32);
            placing.settle(batch)?;
            self.tell(placing);
        }
        placing.flush()?;
        self.tell(placing);
        Ok(true)
    }

    /// Counts what is settled, and tells the sender.
    fn tell(&self, placing: &mut Placing) {
        self.note(placing);
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
                    let mut first = self.told.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert_with(|| code.clone());
                }
            }
        }
        for part in report.chunks(BATCH) {
            self.out.blocking_send(&ReceiverFrame::FilesReceived(part.to_vec()));
        }
    }

    fn note(&self, placing: &Placing) {
        *self.told.notes.lock().unwrap_or_else(PoisonError::into_inner) = placing.notes();
    }
}
