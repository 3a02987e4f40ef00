//! What can keep a device from being itself.

use std::{io, path::PathBuf};

use crate::{api::KeystoreView, datadir::is_foreign, error::RoomError};

/// Why the identity cannot be had. Whatever it is, nothing was lost or replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The data directory's path leads to something else.
    #[error("{0} is not a folder")]
    NotADirectory(PathBuf),
    /// The data directory cannot be created or written.
    #[error("the data directory {path} cannot be written: {source}")]
    NotWritable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The data directory is another user's, or one that every user may put files into.
    #[error("{path} is no folder to keep secrets in: {source}")]
    Foreign {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The volume of the data directory is full.
    #[error("no space left for the data directory {0}")]
    Full(PathBuf),
    /// A newer version of Yonder made the data directory.
    #[error("{path} was made by a newer version of Yonder (schema {found}, this one knows {known})")]
    Newer {
        /// Which file says so.
        path: PathBuf,
        /// The version that it has.
        found: u64,
        /// The newest that this version reads.
        known: u64,
    },
    /// Another process is creating the identity in this data directory at this moment.
    #[error("another Yonder is starting in {0}")]
    AlreadyRunning(PathBuf),
    /// `identity.json` does not say what it should.
    #[error("{path} is damaged: {reason}")]
    RecordBroken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The data directory holds a device's secrets, and the file that says whose is gone.
    #[error("{0} is missing, although the data directory was in use")]
    RecordMissing(PathBuf),
    /// No keychain is there, and nothing else was chosen.
    #[error("no keychain is available: {0}")]
    KeystoreUnavailable(String),
    /// The keychain is there and locked, or access to it was declined.
    #[error("the keychain is locked: {0}")]
    KeystoreLocked(String),
    /// The keychain, or the file, no longer holds the secret.
    #[error("the {} no longer holds this device's secret", place(*.0))]
    KeystoreEntryGone(KeystoreView),
    /// What holds the secret answers, and its answer makes no sense.
    #[error("the {} is damaged or fails: {reason}", place(*.keystore))]
    KeystoreBroken {
        /// Where the secret is kept.
        keystore: KeystoreView,
        /// What went wrong.
        reason: String,
    },
    /// The secret that was read belongs to another identity than the recorded one.
    #[error("the {} holds the secret of another device", place(*.0))]
    KeystoreChanged(KeystoreView),
    /// Another keystore was asked for than the one that this device uses.
    #[error("this device keeps its secret in the {}, not in the {}", place(*.recorded), place(*.asked))]
    KeystoreMismatch {
        /// Where the secret is.
        recorded: KeystoreView,
        /// Where it was asked to be.
        asked: KeystoreView,
    },
    /// Another process, or another request, is moving the secret.
    #[error("the secret in {0} is being moved by another Yonder")]
    KeystoreBusy(PathBuf),
    /// There has never been an identity in this data directory.
    #[error("there is no identity in {0} yet")]
    NoIdentity(PathBuf),
    /// An identity is to be restored where one is already.
    #[error("there is an identity in {0} already")]
    Exists(PathBuf),
    /// A restore was cut short before it counted.
    #[error("a restore into {0} was cut short")]
    RestoreUnfinished(PathBuf),
    /// The encrypted file needs a passphrase, and none was given.
    #[error("a passphrase is needed")]
    PassphraseNeeded,
    /// The secret goes into an encrypted file, and no passphrase was given for it.
    #[error("a new passphrase is needed")]
    NewPassphraseNeeded,
    /// A passphrase without a single character.
    #[error("the passphrase is empty")]
    PassphraseEmpty,
    /// The passphrase does not open the file.
    #[error("the passphrase is wrong")]
    PassphraseWrong,
    /// A file of the identity cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system has no random numbers to give.
    #[error("the system gives no random numbers")]
    Random,
}

/// What people call the place where the secret is kept.
fn place(keystore: KeystoreView) -> &'static str {
    match keystore {
        KeystoreView::Keychain => "keychain",
        KeystoreView::File => "encrypted file",
        KeystoreView::Plain => "plain file",
    }
}

impl IdentityError {
    /// An error of the disk, told by what a person can do about it.
    pub(super) fn io(path: &std::path::Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            _ if is_foreign(&source) => Self::Foreign { path, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path, source },
            io::ErrorKind::NotADirectory => Self::NotADirectory(path),
            _ => Self::Io { path, source },
        }
    }
}

impl RoomError for IdentityError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotADirectory(_) => "data_dir_not_a_directory",
            Self::NotWritable { .. } => "data_dir_not_writable",
            Self::Foreign { .. } => "data_dir_foreign",
            Self::Full(_) => "storage_full",
            Self::Newer { .. } => "data_dir_newer",
            Self::AlreadyRunning(_) => "already_running",
            Self::RecordBroken { .. } => "identity_broken",
            Self::RecordMissing(_) => "identity_missing",
            Self::KeystoreUnavailable(_) => "keystore_unavailable",
            Self::KeystoreLocked(_) => "keystore_locked",
            Self::KeystoreEntryGone(_) => "keystore_entry_gone",
            Self::KeystoreBroken { .. } => "keystore_broken",
            Self::KeystoreChanged(_) => "keystore_changed",
            Self::KeystoreMismatch { .. } => "keystore_mismatch",
            Self::KeystoreBusy(_) => "keystore_busy",
            Self::NoIdentity(_) => "identity_none",
            Self::Exists(_) => "identity_exists",
            Self::RestoreUnfinished(_) => "restore_unfinished",
            Self::PassphraseNeeded => "passphrase_needed",
            Self::NewPassphraseNeeded => "new_passphrase_needed",
            Self::PassphraseEmpty => "passphrase_empty",
            Self::PassphraseWrong => "passphrase_wrong",
            Self::Io { .. } => "data_dir_io",
            Self::Random => "no_randomness",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NotADirectory(_) => "Choose another data directory, or move the file away.",
            Self::NotWritable { .. } => "Give yourself the right to write there, or choose another data directory.",
            Self::Foreign { .. } => {
                "Choose another data directory, or make this one yours: `chown` it to yourself, and `chmod go-w` it, or mount \
                 the volume with your uid."
            }
            Self::Full(_) => "Free some space, then try again. Nothing was lost.",
            Self::Newer { .. } => "Update Yonder, or use another data directory. Nothing was changed.",
            Self::AlreadyRunning(_) => "Wait for the other one, or use another data directory.",
            Self::RecordBroken { .. } | Self::RecordMissing(_) => {
                "Put the file back from a backup. To start over as a new device instead, move the whole data directory \
                 away."
            }
            Self::KeystoreUnavailable(_) => {
                "Start a keychain (GNOME Keyring, KWallet) and try again. On a first start: or choose `--keystore file` with a passphrase \
                 in YONDER_PASSPHRASE; or, on a machine without a person, `--keystore plain`, which keeps the secret in \
                 a file without passphrase."
            }
            Self::KeystoreLocked(_) => {
                "Unlock the keychain, then try again. Yonder keeps waiting for this identity and makes no new one."
            }
            Self::KeystoreEntryGone(KeystoreView::Keychain) => {
                "Is it another keychain than before, or another login? Bring the old one back, or restore a backup of \
                 the identity (`yonder-cli keystore restore FILE`). To start over as a new device, move the data \
                 directory away."
            }
            Self::KeystoreEntryGone(_) => {
                "Put the file back, or restore a backup of the identity (`yonder-cli keystore restore FILE`). To start \
                 over as a new device, move the data directory away."
            }
            Self::KeystoreBroken { keystore: KeystoreView::Keychain, .. } => {
                "Restart the keychain and try again. If that does not help, restore a backup of the identity \
                 (`yonder-cli keystore restore FILE`). The identity was not touched."
            }
            Self::KeystoreBroken { .. } => {
                "Put the file back, or restore a backup of the identity (`yonder-cli keystore restore FILE`). The \
                 identity was not touched."
            }
            Self::KeystoreChanged(_) => {
                "The secret and the data directory do not belong together: bring back the one that does, or restore a \
                 backup of this identity (`yonder-cli keystore restore FILE`)."
            }
            Self::KeystoreMismatch { .. } => {
                "Leave `--keystore` away. The secret never moves by itself: `yonder-cli keystore move` does it."
            }
            Self::KeystoreBusy(_) => "Wait for the other one, then try again.",
            Self::NoIdentity(_) => {
                "The first start makes one (`yonder-cli id`), or `yonder-cli keystore restore FILE` brings one back. Is \
                 it the right --data-dir?"
            }
            Self::Exists(_) => {
                "Nothing is ever overwritten: restore into another --data-dir, or move this data directory away first."
            }
            Self::RestoreUnfinished(_) => {
                "Restore again (`yonder-cli keystore restore FILE`), or move the data directory away."
            }
            Self::PassphraseNeeded => "Set YONDER_PASSPHRASE, or run it in a terminal to be asked.",
            Self::NewPassphraseNeeded => "Set YONDER_NEW_PASSPHRASE, or run it in a terminal to be asked.",
            Self::PassphraseEmpty => "Give a passphrase of at least one character; longer is better.",
            Self::PassphraseWrong => "Try again. Without the passphrase the identity cannot be opened.",
            Self::Io { .. } => "Check the disk and the rights of the data directory.",
            Self::Random => "The system's random source fails; try again later.",
        }
        .into()
    }
}
