//! The root secret of a node: its status, move, backup and restore. Joins `identity`, which stores the secret, with
//! `storage`, which holds the records.

use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
};

use zeroize::Zeroizing;

use super::NetworkingService;
use crate::{
    api::{BackupView, Event, KeystoreRequest, KeystoreStatus, KeystoreView, Response, SecretText},
    clock::SharedLocked as _,
    clock::unix_now,
    error::{InputError, NetworkError},
    id::DeviceId,
    identity::{
        self, AskPassphrase, Backup, GivenPassphrase, KeystoreChoice, NoPassphrase, Restoration, check_passphrase,
    },
    storage::{Op, Store, Table, TableSnapshot},
};

/// Tables in a backup, beside the root secret: those that keep pairings alive. Settings, history and transfers belong
/// to a machine, not to an identity.
const BACKED_UP: &[Table] = &[Table::Devices, Table::PendingPairings, Table::Tombstones];

/// Tracks where the root secret of a running node is stored, and serializes changes of it.
pub(super) struct KeystoreController {
    now: RwLock<KeystoreView>,
    turn: tokio::sync::Mutex<()>,
}

impl KeystoreController {
    pub fn new(now: KeystoreView) -> Self {
        Self { now: RwLock::new(now), turn: tokio::sync::Mutex::default() }
    }

    /// Returns where the secret is stored now.
    pub fn view(&self) -> KeystoreView {
        *self.now.read_locked()
    }

    fn set(&self, keystore: KeystoreView) {
        *self.now.write_locked() = keystore;
    }
}

impl NetworkingService {
    /// Answers a request about the keystore.
    pub(super) async fn answer_keystore(&self, request: KeystoreRequest) -> Result<Response, NetworkError> {
        Ok(match request {
            KeystoreRequest::Keystore => Response::Keystore(self.keystore().await?),
            KeystoreRequest::KeystoreMove { to, passphrase, new_passphrase } => {
                Response::Keystore(self.keystore_move(to, passphrase, new_passphrase).await?)
            }
            KeystoreRequest::KeystoreRotate => {
                self.keystore_rotate().await?;
                Response::Done
            }
            KeystoreRequest::KeystoreBackup { path, backup_passphrase, passphrase } => {
                Response::Backup(self.keystore_backup(path, backup_passphrase, passphrase).await?)
            }
        })
    }

    pub(super) async fn keystore(&self) -> Result<KeystoreStatus, NetworkError> {
        let dir = self.data_dir().to_path_buf();
        off_runtime(move || Ok(identity::inspect(&dir)?)).await
    }

    /// Moves the root secret to another keystore. A running node does not hold the secret in memory, so it is read
    /// again, which needs the passphrase of an encrypted file.
    pub(super) async fn keystore_move(
        &self,
        to: KeystoreView,
        passphrase: Option<SecretText>,
        new_passphrase: Option<SecretText>,
    ) -> Result<KeystoreStatus, NetworkError> {
        let controller = &self.0.keystore;
        let _turn = controller.turn.lock().await;
        let dir = self.data_dir().to_path_buf();
        let (present, next) = (asked(passphrase), asked(new_passphrase));
        let moved = off_runtime(move || Ok(identity::relocate(&dir, to, present.as_ref(), next.as_ref())?)).await?;
        controller.set(moved.to);
        if moved.moved {
            self.0.events.emit(Event::Identity(self.identity_view()));
            // The secret has moved already, so a failure here is a notice and no error of the request.
            if let Err(error) = self.0.store.rotate_key().await {
                tracing::warn!(%error, "the storage key was not renewed");
                self.0.events.emit(Event::Notice { error: NetworkError::from(error).into() });
            }
        }
        self.keystore().await
    }

    pub(super) async fn keystore_rotate(&self) -> Result<(), NetworkError> {
        Ok(self.0.store.rotate_key().await?)
    }

    pub(super) async fn keystore_backup(
        &self,
        path: PathBuf,
        backup_passphrase: SecretText,
        passphrase: Option<SecretText>,
    ) -> Result<BackupView, NetworkError> {
        if !path.is_absolute() {
            return Err(InputError::PathRelative(path.clone()).into());
        }
        let _turn = self.0.keystore.turn.lock().await;
        let snapshot = self.0.store.snapshot(BACKED_UP).await?;
        let devices = u32::try_from(snapshot.count(Table::Devices)).unwrap_or(u32::MAX);
        let dir = self.data_dir().to_path_buf();
        let present = asked(passphrase);
        off_runtime(move || {
            let backup_passphrase = backup_passphrase.into_inner();
            // The passphrase is checked first, because that is cheap.
            check_passphrase(&backup_passphrase)?;
            let root = identity::unlock(&dir, KeystoreChoice::Auto, present.as_ref())?.root;
            let backup = Backup { root, made: unix_now(), contents: snapshot.encode()? };
            let bytes = backup.write(&path, &backup_passphrase)?;
            Ok(BackupView { path: path.to_string_lossy().into_owned(), devices, bytes })
        })
        .await
    }
}

/// Options of [`restore`].
pub struct RestoreOptions {
    /// Target data directory: one without an identity, or one whose root secret was lost.
    pub data_dir: PathBuf,
    /// Path of the backup file.
    pub file: PathBuf,
    /// Passphrase of the backup.
    pub backup_passphrase: Zeroizing<String>,
    /// Keystore that receives the root secret.
    pub keystore: KeystoreChoice,
    /// Asks for a new passphrase if the keystore is an encrypted file.
    pub ask: Arc<dyn AskPassphrase>,
}

/// Result of [`restore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Device id of the restored identity.
    pub device_id: DeviceId,
    /// Public key, 64 hex digits.
    pub endpoint_id: String,
    /// Keystore that holds the secret now.
    pub keystore: KeystoreView,
    /// Number of restored pairings; 0 if the data directory still had its own.
    pub devices: u32,
    /// Unix time in seconds at which the backup was made.
    pub made: u64,
}

/// Restores an identity from a backup. No node may run on the data directory; nothing in it is overwritten.
///
/// # Errors
/// `identity_exists`, `backup_missing`, `backup_not_one`, `backup_cut`, `backup_damaged`, `backup_newer`,
/// `backup_passphrase_wrong`, and the errors of the keystore and the disk. After an error the data directory still has
/// no identity, and the restore may be repeated.
pub async fn restore(options: RestoreOptions) -> Result<Restored, NetworkError> {
    let RestoreOptions { data_dir, file, backup_passphrase, keystore, ask } = options;
    let (restoration, records, made) = off_runtime(move || {
        Restoration::check(&data_dir)?;
        let Backup { root, made, contents } = Backup::read(&file, &backup_passphrase)?;
        // The whole backup is decoded before anything is created.
        let records = Records::of(TableSnapshot::decode(&contents)?)?;
        let restoration = Restoration::begin(&data_dir, root, keystore, ask.as_ref())?;
        if !restoration.lacks_records() {
            return Ok((restoration, None, made));
        }
        match Store::open(&data_dir, restoration.root()) {
            Ok(store) => Ok((restoration, Some((store, records)), made)),
            Err(error) => {
                restoration.abandon();
                Err(error.into())
            }
        }
    })
    .await?;
    let mut devices = 0;
    if let Some((store, records)) = records {
        devices = records.devices;
        let written = store.write(records.ops).await;
        store.close().await;
        if let Err(error) = written {
            off_runtime(move || {
                restoration.abandon();
                Ok(())
            })
            .await?;
            return Err(error.into());
        }
    }
    let unlocked = off_runtime(move || Ok(restoration.commit()?)).await?;
    Ok(Restored {
        device_id: unlocked.identity.device_id(),
        endpoint_id: data_encoding::HEXLOWER.encode(&unlocked.identity.endpoint_id()),
        keystore: unlocked.keystore,
        devices,
        made,
    })
}

/// Records that the restore writes into the store.
struct Records {
    ops: Vec<Op>,
    devices: u32,
}

impl Records {
    fn of(snapshot: TableSnapshot) -> Result<Self, NetworkError> {
        let devices = u32::try_from(snapshot.count(Table::Devices)).unwrap_or(u32::MAX);
        Ok(Self { ops: snapshot.into_ops()?, devices })
    }
}

fn asked(passphrase: Option<SecretText>) -> Box<dyn AskPassphrase> {
    match passphrase {
        Some(given) => Box::new(GivenPassphrase::new(given.into_inner())),
        None => Box::new(NoPassphrase),
    }
}

/// Runs work that blocks (disk, keychain, key derivation) outside the async runtime.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, NetworkError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| NetworkError::Internal(error.to_string()))?
}
