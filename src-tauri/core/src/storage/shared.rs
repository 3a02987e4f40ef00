//! The vault as readers and the writer share it, and its second life after the disk failed.

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

/// A database that met an error of the disk refuses everything from then on, and has to be opened anew.
enum State {
    Open(Vault),
    Failed,
    Closed,
}

/// What readers and the writer hold.
pub(super) struct Shared {
    path: PathBuf,
    wrap: Key,
    schema: Schema,
    opener: Box<dyn disk::OpenDatabase>,
    /// Readers and the writer's commits go side by side: the database keeps them apart. Taken for writing only to
    /// replace the vault. Never held across an await: only threads that may block come here.
    state: RwLock<State>,
    /// After `state`, so that the file is closed before the next opener is let in.
    lock: RwLock<Option<DirLock>>,
}

impl Shared {
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

    /// Runs a call on the vault. If the database has shut itself after an earlier failure, it is opened again first.
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

    /// Seals everything with a new key. Readers wait.
    pub(super) fn rotate(&self) -> Result<(), StorageError> {
        match &mut *self.state.write_locked() {
            State::Open(vault) => disk::guarded(&self.path, || vault.rotate(&self.wrap)).map_err(settled),
            State::Failed => Err(settled(StorageError::Latched)),
            State::Closed => Err(StorageError::Closed),
        }
    }

    /// Closes the database and opens it anew. What was committed is there again; what was not is gone.
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

    /// Closes the file for good and lets the next opener in.
    pub(super) fn close(&self) {
        let mut state = self.state.write_locked();
        if let State::Open(vault) = std::mem::replace(&mut *state, State::Closed) {
            vault.close();
        }
        self.lock.write_locked().take();
    }
}

/// To the outside, a database that shut itself is a disk that failed.
fn settled(error: StorageError) -> StorageError {
    match error {
        StorageError::Latched => {
            StorageError::Io(std::sync::Arc::new(std::io::Error::other("an earlier failure of the disk")))
        }
        other => other,
    }
}
