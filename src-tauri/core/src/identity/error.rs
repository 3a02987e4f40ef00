//! Errors of the identity.

use std::{io, path::PathBuf};

use crate::{
    api::{Args, KeystoreView},
    datadir::is_foreign,
    error::RoomError,
};

/// Errors of the identity. In every case nothing was lost or replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The data directory's path is not a folder.
    #[error("{0} is not a folder")]
    NotADirectory(PathBuf),
    /// The data directory cannot be created or written.
    #[error("the data directory {path} cannot be written: {source}")]
    NotWritable {
        /// Path of the directory.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// The data directory belongs to another user, or every user may create files in it.
    #[error("{path} is no folder to keep secrets in: {source}")]
    Foreign {
        /// Path of the directory.
        path: PathBuf,
        /// Reason.
        #[source]
        source: io::Error,
    },
    /// The volume of the data directory is full.
    #[error("no space left for the data directory {0}")]
    Full(PathBuf),
    /// A newer version of Yonder created the data directory.
    #[error("{path} was made by a newer version of Yonder (schema {found}, this one knows {known})")]
    Newer {
        /// Path of the file with the version.
        path: PathBuf,
        /// Version of the file.
        found: u64,
        /// Newest version that this program supports.
        known: u64,
    },
    /// Another process is creating the identity in this data directory at this moment.
    #[error("another Yonder is starting in {0}")]
    AlreadyRunning(PathBuf),
    /// `identity.json` is damaged.
    #[error("{path} is damaged: {reason}")]
    RecordBroken {
        /// Path of the file.
        path: PathBuf,
        /// Kind of damage.
        reason: String,
    },
    /// The data directory contains a device's secrets, but the file that names the device is missing.
    #[error("{0} is missing, although the data directory was in use")]
    RecordMissing(PathBuf),
    /// There is no keychain, and no other keystore was chosen.
    #[error("no keychain is available: {0}")]
    KeystoreUnavailable(String),
    /// The keychain is locked, or access to it was declined.
    #[error("the keychain is locked: {0}")]
    KeystoreLocked(String),
    /// The keychain, or the file, no longer holds the secret.
    #[error("the {} no longer holds this device's secret", place(*.0))]
    KeystoreEntryGone(KeystoreView),
    /// The keystore answers, but its answer is malformed.
    #[error("the {} is damaged or fails: {reason}", place(*.keystore))]
    KeystoreBroken {
        /// Keystore that holds the secret.
        keystore: KeystoreView,
        /// Description of the fault.
        reason: String,
    },
    /// The keystore holds the secret of another identity.
    #[error("the {} holds the secret of another device", place(*.0))]
    KeystoreChanged(KeystoreView),
    /// Another keystore was requested than the one that this device uses.
    #[error("this device keeps its secret in the {}, not in the {}", place(*.recorded), place(*.asked))]
    KeystoreMismatch {
        /// Keystore that holds the secret.
        recorded: KeystoreView,
        /// Requested keystore.
        asked: KeystoreView,
    },
    /// Another process, or another request, is moving the secret.
    #[error("the secret in {0} is being moved by another Yonder")]
    KeystoreBusy(PathBuf),
    /// The data directory has never had an identity.
    #[error("there is no identity in {0} yet")]
    NoIdentity(PathBuf),
    /// An identity exists where another one is to be restored.
    #[error("there is an identity in {0} already")]
    Exists(PathBuf),
    /// A restore was interrupted before it took effect.
    #[error("a restore into {0} was cut short")]
    RestoreUnfinished(PathBuf),
    /// The encrypted file needs a passphrase, and none was given.
    #[error("a passphrase is needed")]
    PassphraseNeeded,
    /// The secret is to be stored in an encrypted file, and no passphrase was given for it.
    #[error("a new passphrase is needed")]
    NewPassphraseNeeded,
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    PassphraseEmpty,
    /// The passphrase does not open the file.
    #[error("the passphrase is wrong")]
    PassphraseWrong,
    /// A file of the identity cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// The system provides no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// Returns the keystore's name for people.
fn place(keystore: KeystoreView) -> &'static str {
    match keystore {
        KeystoreView::Keychain => "keychain",
        KeystoreView::File => "encrypted file",
        KeystoreView::Plain => "plain file",
    }
}

/// Returns the keystore's name for programs.
fn code_of(keystore: KeystoreView) -> &'static str {
    match keystore {
        KeystoreView::Keychain => "keychain",
        KeystoreView::File => "file",
        KeystoreView::Plain => "plain",
    }
}

impl IdentityError {
    /// Converts a disk error, classified by what the user can do about it.
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

    fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::NotADirectory(path)
            | Self::Full(path)
            | Self::AlreadyRunning(path)
            | Self::RecordMissing(path)
            | Self::KeystoreBusy(path)
            | Self::NoIdentity(path)
            | Self::Exists(path)
            | Self::RestoreUnfinished(path) => args.with("path", path.display()),
            Self::NotWritable { path, source } | Self::Foreign { path, source } | Self::Io { path, source } => {
                args.with("path", path.display()).caused_by(source)
            }
            Self::Newer { path, found, known } => {
                args.with("path", path.display()).number("found", *found).number("known", *known)
            }
            Self::RecordBroken { path, reason } => args.with("path", path.display()).with("detail", reason),
            Self::KeystoreUnavailable(detail) | Self::KeystoreLocked(detail) => args.with("detail", detail),
            Self::KeystoreEntryGone(keystore) | Self::KeystoreChanged(keystore) => {
                args.with("keystore", code_of(*keystore))
            }
            Self::KeystoreBroken { keystore, reason } => {
                args.with("keystore", code_of(*keystore)).with("detail", reason)
            }
            Self::KeystoreMismatch { recorded, asked } => {
                args.with("keystore", code_of(*recorded)).with("asked", code_of(*asked))
            }
            Self::PassphraseNeeded
            | Self::NewPassphraseNeeded
            | Self::PassphraseEmpty
            | Self::PassphraseWrong
            | Self::Random => args,
        }
    }
}
