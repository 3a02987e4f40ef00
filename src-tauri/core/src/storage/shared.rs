//! The vault, shared by readers and the writer, and reopened after a disk error.

use std::{
    path::{Path, PathBuf},
    sync::RwLock,
};

use super::{
    StorageError,
    disk::{self, DirLock},
    schema::Schema,
    vault::Vault,
};
use crate::{clock::SharedLocked as _, keys::Key};

/// State of the database. After a disk error it refuses everything, and must be reopened.
enum State {
    Open(Vault),
    Failed,
    Closed,
}

/// State shared by readers and the writer.
pub(super) struct StoreFile {
    path: PathBuf,
    wrap: Key,
    schema: Schema,
    opener: Box<dyn disk::OpenDatabase>,
    /// Held shared by readers and by the writer's commits, which the database isolates from each other. Held
    /// exclusively only to replace the vault. Never held across an await: only blocking threads use it.
    state: RwLock<State>,
    /// Declared after `state`, so that the file is closed before the lock is released.
    lock: RwLock<Option<DirLock>>,
}

impl StoreFile {
    pub(super) fn open(
        data_dir: &Path,
        wrap: Key,
        schema: Schema,
        opener: Box<dyn disk::OpenDatabase>,
    ) -> Result<Self, StorageError> {
        let lock = DirLock::take(data_dir)?;
        let path = data_dir.join("secrets.redb");
        let vault = Vault::open(&path, &wrap, schema, &*opener).map_err(settled)?;
        Ok(Self { path, wrap, schema, opener, state: RwLock::new(State::Open(vault)), lock: RwLock::new(Some(lock)) })
    }

    /// Calls the vault. If an earlier failure has closed the database, it is reopened first.
    pub(super) fn with_vault<T>(&self, call: impl Fn(&Vault) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let attempt = || match &*self.state.read_locked() {
            State::Open(vault) => disk::guarded(&self.path, || call(vault)),
            State::Failed => Err(StorageError::Latched),
            State::Closed => Err(StorageError::Closed),
        };
        match attempt() {
            Err(StorageError::Latched) => {
                self.reopen()?;
                attempt().map_err(settled)
            }
            other => other,
        }
    }

    /// Re-encrypts everything with a new key. Readers wait.
    pub(super) fn rotate(&self) -> Result<(), StorageError> {
        match &mut *self.state.write_locked() {
            State::Open(vault) => disk::guarded(&self.path, || vault.rotate(&self.wrap)).map_err(settled),
            State::Failed => Err(settled(StorageError::Latched)),
            State::Closed => Err(StorageError::Closed),
        }
    }

    /// Closes the database and opens it again. Committed data is kept; uncommitted data is lost.
    pub(super) fn reopen(&self) -> Result<(), StorageError> {
        let mut state = self.state.write_locked();
        match std::mem::replace(&mut *state, State::Failed) {
            State::Closed => {
                *state = State::Closed;
                return Err(StorageError::Closed);
            }
            State::Open(vault) => vault.close(),
            State::Failed => {}
        }
        let vault = Vault::open(&self.path, &self.wrap, self.schema, &*self.opener).map_err(settled)?;
        *state = State::Open(vault);
        Ok(())
    }

    /// Closes the file for good and releases the lock.
    pub(super) fn close(&self) {
        let mut state = self.state.write_locked();
        if let State::Open(vault) = std::mem::replace(&mut *state, State::Closed) {
            vault.close();
        }
        self.lock.write_locked().take();
    }
}

/// Reports a database that closed itself as a disk error.
fn settled(error: StorageError) -> StorageError {
    match error {
        StorageError::Latched => {
            StorageError::Io(std::sync::Arc::new(std::io::Error::other("an earlier failure of the disk")))
        }
        other => other,
    }
}
