//! What a device remembers, sealed: `secrets.redb` in the data directory.
//!
//! Invariants:
//! - A write that returned is on the disk, whole; one that failed, or was cut short by a kill, left nothing behind.
//! - A value opens at its own place only: its table and row, the schema version and the key id are authenticated.
//! - Storage keys are random and stand in the file wrapped under a key from the root secret, so that they can be
//!   rotated and the identity stays. Row keys (device ids, names of settings) are not secret.
//! - One process at a time; a second opener is told so. A file of a newer version is left untouched.
//!
//! An older copy of the whole file, put in its place, is taken for the present one: no device can tell by itself.

mod disk;
mod error;
mod keyring;
mod schema;
mod shared;
mod snapshot;
mod vault;
mod writer;

use std::{path::Path, sync::Arc};

pub use error::StorageError;
pub use snapshot::Snapshot;
use tokio::{
    sync::{mpsc, oneshot},
    task,
};
use zeroize::Zeroizing;

use crate::identity::RootSecret;
use shared::Shared;
use writer::{Changes, Command, Writer};

/// The longest row key.
pub const MAX_KEY_LEN: usize = 1024;
/// The longest value.
pub const MAX_VALUE_LEN: usize = 16 * 1024 * 1024;
/// The most that one [`Store::write`] may change.
const MAX_OPS: usize = 65_536;
/// How many writes wait before the next caller has to.
const QUEUE: usize = 64;

/// One kind of thing that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Paired devices with their pairing secrets.
    Devices,
    /// Pairings that are half done.
    PendingPairings,
    /// Devices that were unpaired, so that they can be told.
    Tombstones,
    /// Transfers that outlive a restart.
    Transfers,
    /// The user's choices.
    Settings,
    /// What is remembered of the texts with each device: numbers, not the texts.
    Mailboxes,
    /// Texts in both directions.
    Messages,
    /// Texts that wait for a device.
    Outbox,
    /// Everything small that belongs to no other table.
    Meta,
}

impl Table {
    /// Every table.
    pub const ALL: &'static [Table] = &[
        Table::Devices,
        Table::PendingPairings,
        Table::Tombstones,
        Table::Transfers,
        Table::Settings,
        Table::Mailboxes,
        Table::Messages,
        Table::Outbox,
        Table::Meta,
    ];

    /// Its name in the file; authenticated with each value, so never changed.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Devices => "devices",
            Table::PendingPairings => "pending_pairings",
            Table::Tombstones => "tombstones",
            Table::Transfers => "transfers",
            Table::Settings => "settings",
            Table::Mailboxes => "mailboxes",
            Table::Messages => "messages",
            Table::Outbox => "outbox",
            Table::Meta => "meta",
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub enum Op {
    /// Sets a row, replacing what was there.
    Put {
        /// Where.
        table: Table,
        /// Which row; not secret.
        key: Vec<u8>,
        /// What; sealed before it is written, wiped after.
        value: Zeroizing<Vec<u8>>,
    },
    /// Removes a row; nothing happens if there is none.
    Delete {
        /// Where.
        table: Table,
        /// Which row.
        key: Vec<u8>,
    },
}

impl Op {
    /// Sets a row.
    pub fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self::Put { table, key: key.into(), value: Zeroizing::new(value.into()) }
    }

    /// Removes a row.
    pub fn delete(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self::Delete { table, key: key.into() }
    }

    fn check(&self) -> Result<(), StorageError> {
        let (key, len) = match self {
            Self::Put { key, value, .. } => (key, value.len()),
            Self::Delete { key, .. } => (key, 0),
        };
        if key.is_empty() || key.len() > MAX_KEY_LEN || len > MAX_VALUE_LEN {
            return Err(StorageError::TooLarge);
        }
        Ok(())
    }
}

/// True while a node holds this data directory. Nobody may answer at its control socket yet, or any more.
pub fn is_held(data_dir: &Path) -> bool {
    disk::DirLock::is_held(data_dir)
}

/// A row's key and its opened value.
pub type Row = (Vec<u8>, Zeroizing<Vec<u8>>);

/// The open store; cloning is cheap. The file is closed when [`Store::close`] is called or the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
}

impl Store {
    /// Opens `secrets.redb` in the data directory, or creates it. Blocks.
    ///
    /// # Errors
    /// Among others `already_running`, `storage_newer`, `storage_corrupt`, `storage_wrong_key`, `storage_full`. The
    /// file is not changed then.
    pub fn open(data_dir: &Path, root: &RootSecret) -> Result<Self, StorageError> {
        Self::open_with(data_dir, root, schema::CURRENT, disk::open_database)
    }

    fn open_with(
        data_dir: &Path,
        root: &RootSecret,
        schema: schema::Schema,
        opener: impl disk::OpenDatabase,
    ) -> Result<Self, StorageError> {
        let shared = Arc::new(Shared::open(data_dir, root.keys().storage_wrap(), schema, Box::new(opener))?);
        let (commands, waiting) = mpsc::channel(QUEUE);
        let writer = Writer::start(shared.clone(), commands, waiting)?;
        Ok(Self { shared, writer: Arc::new(writer) })
    }

    /// The value of a row.
    ///
    /// # Errors
    /// When the disk fails, or the value does not open at this place.
    pub async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let (shared, key) = (self.shared.clone(), key.to_vec());
        off_runtime(move || shared.with_vault(|vault| vault.get(table, &key))).await
    }

    /// All rows of a table, in the order of their keys.
    ///
    /// # Errors
    /// When the disk fails, or a value does not open at its place.
    pub async fn list(&self, table: Table) -> Result<Vec<Row>, StorageError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.with_vault(|vault| vault.list(table))).await
    }

    /// All rows of these tables, as they are at one moment.
    ///
    /// # Errors
    /// When the disk fails, or a value does not open at its place.
    pub async fn snapshot(&self, tables: &'static [Table]) -> Result<Snapshot, StorageError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.with_vault(|vault| vault.snapshot(tables))).await
    }

    /// Makes all of the changes or none. They are on the disk when this returns `Ok`. A caller that stops waiting does
    /// not stop the write.
    ///
    /// # Errors
    /// When the disk fails or is full; what was stored before stays as it was.
    pub async fn write(&self, ops: Vec<Op>) -> Result<(), StorageError> {
        check(&ops)?;
        if ops.is_empty() {
            return Ok(());
        }
        self.ask(|done| Command::Write { ops: Changes::Made(ops), done }).await
    }

    /// The same with changes that `make` gives when their turn comes, on the thread that writes: of several who write what
    /// they share, none puts back what was true before the others. It must not wait for anything.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_latest(&self, make: impl FnOnce() -> Vec<Op> + Send + 'static) -> Result<(), StorageError> {
        self.ask(|done| Command::Write { ops: Changes::ToMake(Box::new(make)), done }).await
    }

    /// Makes a new storage key and seals every value with it, in one durable step; the old key opens nothing any more.
    /// Whoever holds the root secret and an older copy of the file can still read that copy.
    ///
    /// # Errors
    /// When the disk fails or is full; the old key stays in use then.
    pub async fn rotate_key(&self) -> Result<(), StorageError> {
        self.ask(|done| Command::Rotate { done }).await
    }

    /// Finishes the writes that wait and closes the file, for all clones.
    pub async fn close(self) {
        // The writer may be gone already, if a clone was closed before.
        let _ = self.ask(|done| Command::Close { done }).await;
        let writer = self.writer.clone();
        if let Err(error) = task::spawn_blocking(move || writer.join()).await {
            tracing::error!(%error, "the storage writer was not awaited");
        }
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), StorageError>>) -> Command,
    ) -> Result<(), StorageError> {
        let (done, answer) = oneshot::channel();
        self.writer.send(command(done)).await?;
        answer.await.map_err(|_| StorageError::Closed)?
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(..)")
    }
}

fn check(ops: &[Op]) -> Result<(), StorageError> {
    if ops.len() > MAX_OPS {
        return Err(StorageError::TooLarge);
    }
    ops.iter().try_for_each(Op::check)
}

async fn off_runtime<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    // A read that panicked, or a runtime that is going down.
    task::spawn_blocking(read).await.map_err(|_| StorageError::Closed)?
}

#[cfg(test)]
mod tests;
