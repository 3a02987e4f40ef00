//! Encrypted store of a device: `secrets.redb` in the data directory.
//!
//! Invariants:
//! - A write that returned is completely on the disk. One that failed, or was interrupted by a kill, left no trace.
//! - A value decrypts only in its own place: table, row, schema version and key id are authenticated.
//! - Storage keys are random and stored in the file, wrapped under a key from the root secret. They can be rotated
//!   without a change of the identity. Row keys (device ids, names of settings) are not secret: they are stored as they
//!   are, in their order, so that a part of a table can be read without the rest ([`Store::range`]).
//! - One process at a time; a second one gets an error. A file of a newer version is not changed.
//!
//! An older copy of the whole file that is put in its place is accepted, because a device cannot detect that by itself.

mod disk;
mod error;
mod keyring;
mod range;
mod schema;
mod shared;
mod snapshot;
mod vault;
mod writer;

use std::{path::Path, sync::Arc};

pub use error::StorageError;
pub use range::{KeyOrder, KeyRange, MAX_PAGE_BYTES, RowPage};
pub use snapshot::TableSnapshot;
use tokio::{
    sync::{mpsc, oneshot},
    task,
};
use zeroize::Zeroizing;

use crate::identity::RootSecret;
use shared::StoreFile;
use writer::{Changes, WriterCommand, WriterHandle};

/// Maximum length of a row key in bytes.
pub const MAX_KEY_LEN: usize = 1024;
/// Maximum length of a value in bytes.
pub const MAX_VALUE_LEN: usize = 16 * 1024 * 1024;
/// Maximum number of changes in one [`Store::write`].
const MAX_OPS: usize = 65_536;
/// Capacity of the queue of writes. Beyond it, callers wait.
const QUEUE: usize = 64;

/// Table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Paired devices with their pairing secrets.
    Devices,
    /// Pairings that are not completed.
    PendingPairings,
    /// Devices that were unpaired and have not been told yet.
    Tombstones,
    /// Transfers that outlive a restart.
    Transfers,
    /// Settings of the user.
    Settings,
    /// State of the texts with each device: numbers, not the texts.
    Mailboxes,
    /// Texts in both directions.
    Messages,
    /// Texts that wait for a device.
    Outbox,
    /// Small values that belong to no other table.
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

    /// Returns the name in the file. It is authenticated with each value, so it must never change.
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

/// One change of a row.
#[derive(Clone, Debug)]
pub enum Op {
    /// Sets a row and replaces its old value.
    Put {
        /// Table of the row.
        table: Table,
        /// Key of the row; not secret.
        key: Vec<u8>,
        /// Value; encrypted before it is written, and zeroized afterwards.
        value: Zeroizing<Vec<u8>>,
    },
    /// Removes a row, if it exists.
    Delete {
        /// Table of the row.
        table: Table,
        /// Key of the row.
        key: Vec<u8>,
    },
}

impl Op {
    /// Creates a change that sets a row.
    pub fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self::Put { table, key: key.into(), value: Zeroizing::new(value.into()) }
    }

    /// Creates a change that removes a row.
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

/// True while a node holds this data directory, even if its control socket does not answer yet, or no longer.
pub fn is_held(data_dir: &Path) -> bool {
    disk::DirLock::is_held(data_dir)
}

/// Key and decrypted value of a row.
pub type Row = (Vec<u8>, Zeroizing<Vec<u8>>);

/// The open store. Cheap to clone. The file is closed by [`Store::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<StoreFile>,
    writer: Arc<WriterHandle>,
}

impl Store {
    /// Opens `secrets.redb` in the data directory, or creates it. Blocks.
    ///
    /// # Errors
    /// Among others `already_running`, `storage_newer`, `storage_corrupt`, `storage_wrong_key`, `storage_full`. The
    /// file is not changed in these cases.
    pub fn open(data_dir: &Path, root: &RootSecret) -> Result<Self, StorageError> {
        Self::open_with(data_dir, root, schema::CURRENT, disk::open_database)
    }

    fn open_with(
        data_dir: &Path,
        root: &RootSecret,
        schema: schema::Schema,
        opener: impl disk::OpenDatabase,
    ) -> Result<Self, StorageError> {
        let shared = Arc::new(StoreFile::open(data_dir, root.keys().storage_wrap(), schema, Box::new(opener))?);
        let (commands, waiting) = mpsc::channel(QUEUE);
        let writer = WriterHandle::start(shared.clone(), commands, waiting)?;
        Ok(Self { shared, writer: Arc::new(writer) })
    }

    /// Returns the value of a row.
    ///
    /// # Errors
    /// When the disk fails, or the value does not decrypt in this place.
    pub async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let (shared, key) = (self.shared.clone(), key.to_vec());
        off_runtime(move || shared.with_vault(|vault| vault.get(table, &key))).await
    }

    /// Returns all rows of a table, ordered by their keys. Meant for tables that are small: [`Self::range`] reads a part.
    ///
    /// # Errors
    /// When the disk fails, or a value does not decrypt in its place.
    pub async fn list(&self, table: Table) -> Result<Vec<Row>, StorageError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.with_vault(|vault| vault.list(table))).await
    }

    /// Returns the first rows of a range, in the given order. The page has at most `limit` rows; a `limit` of 0 means 1.
    /// Its values have at most [`MAX_PAGE_BYTES`], unless the first row alone is larger. Decrypts only what it returns. The next call with the `rest` of the page
    /// continues behind it, and sees what was written in between.
    ///
    /// # Errors
    /// When the disk fails, or one of these values does not decrypt in its place.
    pub async fn range(
        &self,
        table: Table,
        keys: KeyRange,
        order: KeyOrder,
        limit: usize,
    ) -> Result<RowPage, StorageError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.with_vault(|vault| vault.range(table, &keys, order, limit))).await
    }

    /// Returns the keys of all rows of a table in their order, and decrypts nothing.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn keys(&self, table: Table) -> Result<Vec<Vec<u8>>, StorageError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.with_vault(|vault| vault.keys(table))).await
    }

    /// Returns all rows of these tables as of one moment.
    ///
    /// # Errors
    /// When the disk fails, or a value does not decrypt in its place.
    pub async fn snapshot(&self, tables: &'static [Table]) -> Result<TableSnapshot, StorageError> {
        let shared = self.shared.clone();
        off_runtime(move || shared.with_vault(|vault| vault.snapshot(tables))).await
    }

    /// Applies all of the changes or none. They are on the disk when this returns `Ok`. A caller that stops waiting
    /// does not cancel the write.
    ///
    /// # Errors
    /// When the disk fails or is full; the old contents stay.
    pub async fn write(&self, ops: Vec<Op>) -> Result<(), StorageError> {
        check(&ops)?;
        if ops.is_empty() {
            return Ok(());
        }
        self.ask(|done| WriterCommand::Write { ops: Changes::Made(ops), done }).await
    }

    /// Calls `make` on the writer thread when the turn of this write comes, and applies the changes that it returns. As
    /// `make` reads the shared state at that moment, no caller overwrites newer state with an older copy. `make` must not
    /// wait.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_latest(&self, make: impl FnOnce() -> Vec<Op> + Send + 'static) -> Result<(), StorageError> {
        self.ask(|done| WriterCommand::Write { ops: Changes::ToMake(Box::new(make)), done }).await
    }

    /// Creates a new storage key and re-encrypts every value with it in one durable step; the old key then decrypts
    /// nothing. A person with the root secret and an older copy of the file can still read that copy.
    ///
    /// # Errors
    /// When the disk fails or is full; the old key stays in use.
    pub async fn rotate_key(&self) -> Result<(), StorageError> {
        self.ask(|done| WriterCommand::Rotate { done }).await
    }

    /// Finishes the queued writes and closes the file, for all clones.
    pub async fn close(self) {
        // The writer may be gone already, if a clone was closed before.
        let _ = self.ask(|done| WriterCommand::Close { done }).await;
        let writer = self.writer.clone();
        if let Err(error) = task::spawn_blocking(move || writer.join()).await {
            tracing::error!(%error, "the storage writer was not awaited");
        }
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), StorageError>>) -> WriterCommand,
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
    // The read panicked, or the runtime is shutting down.
    task::spawn_blocking(read).await.map_err(|_| StorageError::Closed)?
}

#[cfg(test)]
mod tests;
