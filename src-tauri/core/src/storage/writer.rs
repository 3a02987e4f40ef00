//! The only thread that writes. Writes that arrive during a commit share the next transaction, because the flush of the
//! disk is the expensive part.

use std::{
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use super::{Op, StorageError, check, shared::StoreFile};

use crate::clock::Locked as _;

/// Maximum number of writes, and approximately of bytes, in one transaction.
const BATCH_WRITES: usize = 256;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

type Done = oneshot::Sender<Result<(), StorageError>>;

/// Command to the writer thread.
pub(super) enum WriterCommand {
    /// Change rows.
    Write { ops: Changes, done: Done },
    /// Rotate the storage key.
    Rotate { done: Done },
    /// Stop after all earlier commands.
    Close { done: Done },
}

/// Changes of rows.
pub(super) enum Changes {
    /// Known changes, checked already.
    Made(Vec<Op>),
    /// Changes that are computed when it is their turn.
    ToMake(Box<dyn FnOnce() -> Vec<Op> + Send>),
}

impl Changes {
    fn make(self) -> Result<Vec<Op>, StorageError> {
        match self {
            Self::Made(ops) => Ok(ops),
            Self::ToMake(make) => {
                let ops = make();
                check(&ops).map(|()| ops)
            }
        }
    }
}

/// Handle of the callers. Dropping it waits for the thread, which finishes its commands first.
pub(super) struct WriterHandle {
    commands: Option<mpsc::Sender<WriterCommand>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl WriterHandle {
    pub(super) fn start(
        shared: Arc<StoreFile>,
        commands: mpsc::Sender<WriterCommand>,
        waiting: mpsc::Receiver<WriterCommand>,
    ) -> Result<Self, StorageError> {
        let thread = thread::Builder::new()
            .name("storage-writer".into())
            .spawn(move || run(&shared, waiting))
            .map_err(|error| StorageError::Io(Arc::new(error)))?;
        Ok(Self { commands: Some(commands), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn send(&self, command: WriterCommand) -> Result<(), StorageError> {
        let commands = self.commands.as_ref().ok_or(StorageError::Closed)?;
        commands.send(command).await.map_err(|_| StorageError::Closed)
    }

    /// Waits for the thread to end, after [`WriterCommand::Close`] or when no caller is left.
    pub(super) fn join(&self) {
        let thread = self.thread.locked().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the storage writer panicked");
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        // The thread ends when the last sender is dropped.
        self.commands = None;
        self.join();
    }
}

/// Closes the store however the thread ends, so that no caller waits for ever and the lock is released.
struct CloseAtEnd<'a>(&'a StoreFile);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn run(shared: &StoreFile, mut waiting: mpsc::Receiver<WriterCommand>) {
    let at_end = CloseAtEnd(shared);
    let mut next = None;
    while let Some(command) = next.take().or_else(|| waiting.blocking_recv()) {
        match command {
            WriterCommand::Write { ops, done } => {
                let (batch, after) = gather(ops, done, &mut waiting);
                next = after;
                commit(shared, batch);
            }
            WriterCommand::Rotate { done } => {
                let result = shared.rotate();
                recover(shared, &result);
                let _ = done.send(result);
            }
            WriterCommand::Close { done } => {
                waiting.close();
                // Later callers learn from their channel that the store is closed.
                drop(waiting);
                drop(at_end);
                let _ = done.send(Ok(()));
                return;
            }
        }
    }
}

/// Collects this write and the ones queued behind it, up to the next command of another kind.
fn gather(
    ops: Changes,
    done: Done,
    waiting: &mut mpsc::Receiver<WriterCommand>,
) -> (Vec<(Vec<Op>, Done)>, Option<WriterCommand>) {
    let (mut bytes, mut batch) = (0, Vec::new());
    let mut next = (ops, done);
    loop {
        let (ops, done) = next;
        match ops.make() {
            Ok(ops) => {
                bytes += size(&ops);
                batch.push((ops, done));
            }
            // The caller may have stopped waiting.
            Err(error) => drop(done.send(Err(error))),
        }
        if batch.len() >= BATCH_WRITES || bytes >= BATCH_BYTES {
            return (batch, None);
        }
        match waiting.try_recv() {
            Ok(WriterCommand::Write { ops, done }) => next = (ops, done),
            Ok(other) => return (batch, Some(other)),
            Err(_) => return (batch, None),
        }
    }
}

fn size(ops: &[Op]) -> usize {
    ops.iter()
        .map(|op| match op {
            Op::Put { value, .. } => value.len(),
            Op::Delete { .. } => 0,
        })
        .sum()
}

fn commit(shared: &StoreFile, batch: Vec<(Vec<Op>, Done)>) {
    if batch.is_empty() {
        return;
    }
    let result = shared.with_vault(|vault| vault.write(batch.iter().flat_map(|(ops, _)| ops)));
    recover(shared, &result);
    for (_, done) in batch {
        // The caller may have stopped waiting; its write was done all the same.
        let _ = done.send(result.clone());
    }
}

/// Reopens the database after a failure, because it refuses everything else. Readers can then go on at least.
fn recover(shared: &StoreFile, result: &Result<(), StorageError>) {
    let Err(error) = result else { return };
    tracing::error!(%error, "a write to the store failed");
    if let Err(error) = shared.reopen() {
        tracing::error!(%error, "the store could not be opened again; the next call tries anew");
    }
}
