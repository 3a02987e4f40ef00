//! Errors of backups.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::MIN_BACKUP_PASSPHRASE;
use crate::{api::Args, error::RoomError};

/// Errors of writing and reading a backup. In every case nothing was overwritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file exists already.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// The target folder does not exist.
    #[error("the folder of {0} is not there")]
    NoFolder(PathBuf),
    /// The path is a folder or a device, or has no file name.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// The file cannot be written.
    #[error("{path} cannot be written: {source}")]
    NotWritable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// No space left there.
    #[error("no space left for {0}")]
    Full(PathBuf),
    /// The file does not exist.
    #[error("{0} is not there")]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not a backup.
    #[error("this is no backup of an identity")]
    NotOne,
    /// The file is truncated.
    #[error("the backup is cut short")]
    Cut,
    /// The file was modified after it was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// A newer version of Yonder wrote the file.
    #[error("the backup was made by a newer version of Yonder (version {found}, this one knows {known})")]
    Newer {
        /// Version of the file.
        found: u16,
        /// Newest version that this program supports.
        known: u16,
    },
    /// The passphrase does not decrypt the backup.
    #[error("the passphrase does not open this backup")]
    PassphraseWrong,
    /// The passphrase is too short for a file that attackers may work on for years.
    #[error("the passphrase of a backup needs at least 8 characters")]
    PassphraseWeak,
    /// The contents exceed the limit of a backup.
    #[error("there is more to back up than a backup can hold")]
    TooLarge,
    /// The system provides no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl BackupError {
    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NoFolder(path),
            _ => Self::NotWritable { path, source },
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing(path),
            io::ErrorKind::IsADirectory => Self::NotAFile(path),
            _ => Self::Unreadable { path, source },
        }
    }
}

impl RoomError for BackupError {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "backup_exists",
            Self::NoFolder(_) => "backup_no_folder",
            Self::NotAFile(_) => "backup_not_a_file",
            Self::NotWritable { .. } => "backup_not_writable",
            Self::Full(_) => "storage_full",
            Self::Missing(_) => "backup_missing",
            Self::Unreadable { .. } => "backup_unreadable",
            Self::NotOne => "backup_not_one",
            Self::Cut => "backup_cut",
            Self::Damaged(_) => "backup_damaged",
            Self::Newer { .. } => "backup_newer",
            Self::PassphraseWrong => "backup_passphrase_wrong",
            Self::PassphraseWeak => "backup_passphrase_weak",
            Self::TooLarge => "backup_too_large",
            Self::Random => "no_randomness",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Exists(_) => "Nothing is ever overwritten: give another name, or move the old one away.",
            Self::NoFolder(_) => "Make the folder first, or give another one.",
            Self::NotAFile(_) => "Give the path of a file.",
            Self::NotWritable { .. } => "Give yourself the right to write there, or give another folder.",
            Self::Full(_) => "Free some space there, or give another folder. Nothing was written.",
            Self::Missing(_) => "Check the path; is the disk or stick there?",
            Self::Unreadable { .. } => "Give yourself the right to read it; is the disk all right?",
            Self::NotOne => "Give a file that `yonder-cli keystore backup` wrote.",
            Self::Cut | Self::Damaged(_) => "Use another copy of the backup. Nothing was changed.",
            Self::Newer { .. } => "Update Yonder. Nothing was changed.",
            Self::PassphraseWrong => "Try again. Without its passphrase the backup cannot be opened.",
            Self::PassphraseWeak => "Take four or five words, or longer: whoever has the file may guess for years.",
            Self::TooLarge => "This is a fault in Yonder. Please report it with the log.",
            Self::Random => "The system's random source fails; try again later.",
        }
        .into()
    }

    fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::Exists(path)
            | Self::NoFolder(path)
            | Self::NotAFile(path)
            | Self::Full(path)
            | Self::Missing(path) => args.with("path", path.display()),
            Self::NotWritable { path, source } | Self::Unreadable { path, source } => {
                args.with("path", path.display()).caused_by(source)
            }
            Self::Damaged(detail) => args.with("detail", detail),
            Self::Newer { found, known } => args.number("found", (*found).into()).number("known", (*known).into()),
            Self::PassphraseWeak => args.number("least", MIN_BACKUP_PASSPHRASE as u64),
            Self::NotOne | Self::Cut | Self::PassphraseWrong | Self::TooLarge | Self::Random => args,
        }
    }
}
