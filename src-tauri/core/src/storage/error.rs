//! Errors of the store.

use std::{io, path::PathBuf, sync::Arc};

use crate::{api::Args, error::RoomError};

/// Errors of the store. Cloned to every caller whose write was in the failed batch.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process has the data directory open.
    #[error("Yonder is already running on this data directory")]
    AlreadyRunning,
    /// A newer version of Yonder created the file.
    #[error("the store was made by a newer version of Yonder (schema {found}, this one knows {known})")]
    Newer {
        /// Schema version of the file.
        found: u32,
        /// Newest version that this program supports.
        known: u32,
    },
    /// The file is damaged.
    #[error("the store {path} is damaged: {reason}")]
    Corrupt {
        /// Path of the file.
        path: PathBuf,
        /// Kind of damage.
        reason: String,
    },
    /// The file belongs to another identity.
    #[error("the store does not belong to this identity")]
    WrongKey,
    /// A value does not decrypt in its place: it was changed, or moved from another row.
    #[error("a value in {table:?} was tampered with")]
    ValueBroken {
        /// Table of the value.
        table: &'static str,
    },
    /// Rows of a backup differ from what was written.
    #[error("the records in the backup are damaged")]
    SnapshotBroken,
    /// No space left.
    #[error("the disk is full")]
    Full,
    /// The folder or the file cannot be written.
    #[error("the store {path} cannot be written: {source}")]
    NotWritable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another error of the disk.
    #[error("the store cannot be read or written: {0}")]
    Io(#[source] Arc<io::Error>),
    /// A row key or value exceeds the limits: a bug in Yonder.
    #[error("a row is too large for the store, or has no key")]
    TooLarge,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The system provides no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// An earlier disk error closed the database; it must be reopened. Never leaves this module.
    #[error("the database has to be opened again")]
    #[doc(hidden)]
    Latched,
}

impl StorageError {
    pub(super) fn io(path: &std::path::Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path: path.into(), source: Arc::new(source) }
            }
            // redb's error for a file that is no database, or is truncated.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Corrupt { path: path.into(), reason: source.to_string() }
            }
            _ => Self::Io(Arc::new(source)),
        }
    }

    pub(super) fn database(path: &std::path::Path, error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::AlreadyRunning,
            redb::Error::Io(error) => Self::io(path, error),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => Self::Latched,
            redb::Error::ValueTooLarge(_) => Self::TooLarge,
            other => Self::Corrupt { path: path.into(), reason: other.to_string() },
        }
    }
}

impl RoomError for StorageError {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning => "already_running",
            Self::Newer { .. } => "storage_newer",
            Self::Corrupt { .. } => "storage_corrupt",
            Self::WrongKey => "storage_wrong_key",
            Self::ValueBroken { .. } => "storage_value_broken",
            Self::SnapshotBroken => "backup_damaged",
            Self::Full => "storage_full",
            Self::NotWritable { .. } => "storage_not_writable",
            Self::Io(_) | Self::Latched => "storage_io",
            Self::TooLarge => "storage_too_large",
            Self::Closed => "storage_closed",
            Self::Random => "no_randomness",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::AlreadyRunning => "Use the Yonder that runs already, or another data directory.",
            Self::Newer { .. } => "Update Yonder, or use another data directory. Nothing was changed.",
            Self::Corrupt { .. } => {
                "Check the disk. Put the file back from a backup, or move it away: then the devices have to be paired \
                 again."
            }
            Self::WrongKey => {
                "The secret and the store do not belong together: bring back the one that does, or move the store away \
                 and pair the devices again."
            }
            Self::ValueBroken { .. } => "Someone changed the file. Put it back from a backup.",
            Self::SnapshotBroken => "Use another copy of the backup. Nothing was changed.",
            Self::Full => "Free some space, then try again. What was stored before is safe.",
            Self::NotWritable { .. } => "Give yourself the right to write there.",
            Self::Io(_) | Self::Latched => "Check the disk, then try again.",
            Self::TooLarge => "This is a fault in Yonder. Please report it with the log.",
            Self::Closed => "",
            Self::Random => "The system's random source fails; try again later.",
        }
        .into()
    }

    fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::Newer { found, known } => args.number("found", (*found).into()).number("known", (*known).into()),
            Self::Corrupt { path, reason } => args.with("path", path.display()).with("detail", reason),
            Self::ValueBroken { table } => args.with("table", table),
            Self::NotWritable { path, source } => args.with("path", path.display()).caused_by(source.as_ref()),
            Self::Io(source) => args.caused_by(source.as_ref()),
            Self::AlreadyRunning
            | Self::WrongKey
            | Self::SnapshotBroken
            | Self::Full
            | Self::TooLarge
            | Self::Closed
            | Self::Random
            | Self::Latched => args,
        }
    }
}
