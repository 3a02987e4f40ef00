//! Error of a disk that is written to.

use std::io;

use crate::{error::is_out_of_files, transfer::protocol::reason::Reason};

/// File system error that stops the whole transfer.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct DiskError {
    /// Step that failed.
    pub doing: &'static str,
    /// Error of the system.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// Creates an error for a failed step.
    pub fn new(doing: &'static str, source: io::Error) -> Self {
        Self { doing, source }
    }

    /// Returns the reason that the people on both sides see.
    pub fn reason(&self) -> Reason {
        match self.source.kind() {
            io::ErrorKind::FileTooLarge => Reason::FileTooLarge,
            _ if is_full(&self.source) => Reason::DiskFull,
            _ if is_out_of_files(&self.source) => Reason::ReceiverOutOfFiles,
            _ => Reason::WriteFailed,
        }
    }
}

/// Returns true if the disk, or the share of it that the user may fill, is full.
pub(in crate::transfer) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
