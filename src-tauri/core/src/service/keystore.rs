//! The secret of a node: shown, moved, backed up, brought back. What `identity` keeps and what `storage` remembers meet
//! here.

use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
};

use zeroize::Zeroizing;

use super::NetworkingService;
use crate::{
    api::{BackupView, Event, KeystoreStatus, KeystoreView, SecretText},
    clock::SharedLocked as _,
    clock::unix_now,
    error::NetworkError,
    id::DeviceId,
    identity::{
        self, AskPassphrase, Backup, GivenPassphrase, KeystoreChoice, NoPassphrase, Restoration, check_passphrase,
    },
    storage::{Op, Snapshot, Store, Table},
};

/// What a backup holds beside the root secret: all that keeps pairings alive, and nothing else. Settings, history and
/// transfers belong to a machine, not to an identity.
const BACKED_UP: &[Table] = &[Table::Devices, Table::PendingPairings, Table::Tombstones];

/// Where the secret of a running node is, and whose turn it is to move it.
pub(super) struct KeystoreDesk {
    now: RwLock<KeystoreView>,
    turn: tokio::sync::Mutex<()>,
}

impl KeystoreDesk {
    pub fn new(now: KeystoreView) -> Self {
        Self { now: RwLock::new(now), turn: tokio::sync::Mutex::default() }
    }

    /// Where the secret is now.
    pub fn view(&self) -> KeystoreView {
        *self.now.read_locked()
    }

    fn set(&self, keystore: KeystoreView) {
        *self.now.write_locked() = keystore;
    }
}

impl NetworkingService {
    pub(super) async fn keystore(&self) -> Result<KeystoreStatus, NetworkError> {
        let dir = self.data_dir().to_path_buf();
        off_runtime(move || Ok(identity::inspect(&dir)?)).await
    }

    /// The root secret is not held by a running node: it is read again, which takes the passphrase of a file again.
    pub(super) async fn keystore_move(
        &self,
        to: KeystoreView,
        passphrase: Option<SecretText>,
        new_passphrase: Option<SecretText>,
    ) -> Result<KeystoreStatus, NetworkError> {
        let desk = &self.0.keystore;
        let _turn = desk.turn.lock().await;
        let dir = self.data_dir().to_path_buf();
        let (present, next) = (asked(passphrase), asked(new_passphrase));
        let moved = off_runtime(move || Ok(identity::relocate(&dir, to, present.as_ref(), next.as_ref())?)).await?;
        desk.set(moved.to);
        if moved.moved {
            self.0.events.emit(Event::Identity(self.identity_view()));
            // The secret has moved whatever comes of this: what is wrong with the disk is told beside it.
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
            return Err(NetworkError::InvalidInput {
                message: format!("{} is not an absolute path", path.display()),
                hint: "Give a path that begins at the root.".into(),
            });
        }
        let _turn = self.0.keystore.turn.lock().await;
        let snapshot = self.0.store.snapshot(BACKED_UP).await?;
        let devices = u32::try_from(snapshot.count(Table::Devices)).unwrap_or(u32::MAX);
        let dir = self.data_dir().to_path_buf();
        let present = asked(passphrase);
        off_runtime(move || {
            let backup_passphrase = backup_passphrase.into_inner();
            // What costs nothing to find wrong is said first.
            check_passphrase(&backup_passphrase)?;
            let root = identity::unlock(&dir, KeystoreChoice::Auto, present.as_ref())?.root;
            let backup = Backup { root, made: unix_now(), contents: snapshot.encode()? };
            let bytes = backup.write(&path, &backup_passphrase)?;
            Ok(BackupView { path: path.to_string_lossy().into_owned(), devices, bytes })
        })
        .await
    }
}

/// What a restore needs to know.
pub struct RestoreOptions {
    /// Where the identity goes: a data directory without one, or the one whose secret was lost.
    pub data_dir: PathBuf,
    /// The backup.
    pub file: PathBuf,
    /// What it is opened with.
    pub backup_passphrase: Zeroizing<String>,
    /// Where the root secret is to be kept.
    pub keystore: KeystoreChoice,
    /// Who is asked for a new passphrase, if it is kept in an encrypted file.
    pub ask: Arc<dyn AskPassphrase>,
}

/// An identity that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Who it is.
    pub device_id: DeviceId,
    /// Its public key, 64 hex digits.
    pub endpoint_id: String,
    /// Where its secret is kept now.
    pub keystore: KeystoreView,
    /// How many pairings came back with it; none where the data directory had them still.
    pub devices: u32,
    /// Unix time in seconds when the backup was made.
    pub made: u64,
}

/// Brings an identity back from a backup. No node may run on the data directory; nothing there is overwritten.
///
/// # Errors
/// `identity_exists`, `backup_missing`, `backup_not_one`, `backup_cut`, `backup_damaged`, `backup_newer`,
/// `backup_passphrase_wrong`, and what keeps the keystore or the disk from being used. The data directory has no identity
/// then, as before, and the restore may be repeated.
pub async fn restore(options: RestoreOptions) -> Result<Restored, NetworkError> {
    let RestoreOptions { data_dir, file, backup_passphrase, keystore, ask } = options;
    let (restoration, records, made) = off_runtime(move || {
        Restoration::check(&data_dir)?;
        let Backup { root, made, contents } = Backup::read(&file, &backup_passphrase)?;
        // All that is in it is understood before anything is made.
        let records = Records::of(Snapshot::decode(&contents)?)?;
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

/// What goes back into the store.
struct Records {
    ops: Vec<Op>,
    devices: u32,
}

impl Records {
    fn of(snapshot: Snapshot) -> Result<Self, NetworkError> {
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

/// Disk, keychain and key derivation block.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, NetworkError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| NetworkError::Internal(error.to_string()))?
}
