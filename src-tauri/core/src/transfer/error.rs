//! Errors of transfers, and the reasons that they stand for.

use std::{io, path::PathBuf};

use super::left_out::LeftOut;
use crate::{
    api::{Args, Note},
    error::{NetworkError, RoomError, size},
    id::TransferId,
    transfer::{
        cause::Cause,
        disk_error::DiskError,
        protocol::{frames::Violation, reason::Reason},
    },
};

/// Number of reasons that an error text lists.
const SHOWN_REASONS: usize = 3;

/// Formats a size for people.
fn shown(bytes: &u64) -> String {
    size(*bytes)
}

/// Error of a call on transfers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// No transfer has this id.
    #[error("there is no transfer {0}")]
    Unknown(TransferId),
    /// The transfer does not wait for a decision.
    #[error("the transfer is not waiting for an answer")]
    NotOffered,
    /// The transfer has ended already.
    #[error("the transfer has ended already")]
    Ended,
    /// The transfer has not ended yet.
    #[error("the transfer is still under way")]
    StillActive,
    /// The offer does not fit on the disk.
    #[error("there is not enough space in {folder}: {} are needed, {} are free", shown(.needed), shown(.free))]
    NoSpace {
        /// Destination folder.
        folder: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The destination folder is missing, not a folder, or not writable.
    #[error("{path} cannot be written to: {source}")]
    Destination {
        /// The folder.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// Writing failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The selection is invalid.
    #[error("this cannot be chosen: {0}")]
    Selection(&'static str),
    /// Only outgoing transfers can be sent again.
    #[error("only the device that sent it can send it again")]
    NotOurs,
    /// The offer has not been answered.
    #[error("the offer waits for an answer")]
    Undecided,
    /// The rate limit is too low.
    #[error("a limit is at least 1024 bytes a second")]
    Limit,
    /// The transfer is not in the queue.
    #[error("the transfer has no place in the queue")]
    NotQueued,
    /// Nothing that can be sent was named.
    #[error("there is nothing to send")]
    NothingToSend,
    /// A path to send does not exist or cannot be read.
    #[error("{path}: {source}")]
    Source {
        /// The path.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// Some of the named files cannot be sent, and the sender asked for all or nothing.
    #[error("{}", left_out(.0))]
    LeftOut(Box<LeftOut>),
    /// Nothing that was named can be sent.
    #[error("{}", left_out(.0))]
    NothingLeft(Box<LeftOut>),
    /// The path is neither a file nor a folder on a real file system, or means another file in other processes.
    #[error("{0} is neither a file nor a folder on a disk")]
    Special(PathBuf),
    /// The path leads into the data directory.
    #[error("{0} belongs to Yonder itself, and is never sent")]
    OwnData(PathBuf),
    /// The path is another file here than where it was named.
    #[error("{0} is not the same file for the Yonder that runs")]
    Elsewhere(PathBuf),
    /// The path has no name, or one that cannot be sent.
    #[error("{0} cannot be sent under its name")]
    Name(PathBuf),
    /// The offer would exceed its limits.
    #[error("that is more than one transfer can hold: {0}")]
    TooMuch(#[source] Violation),
    /// The peer violated the protocol.
    #[error("the other device broke the protocol: {0}")]
    Violation(#[source] Violation),
    /// The transfer ended for this reason, which this version knows.
    #[error("{}", .0.explain())]
    Stopped(Reason),
    /// An internal task failed.
    #[error("internal fault: {0}")]
    Internal(&'static str),
}

impl TransferError {
    /// Returns the reason that people see if a transfer ends with this error.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoSpace { .. } => Reason::NoSpace,
            Self::Destination { .. } => Reason::DestinationUnusable,
            Self::Disk(error) => error.reason(),
            Self::LeftOut(_) => Reason::LeftOut,
            Self::Source { source, .. } if is_no_path(source) => Reason::PathNotFound,
            Self::Name(_) => Reason::NameUnsendable,
            Self::TooMuch(_) => Reason::TooManyEntries,
            Self::Violation(_) => Reason::ProtocolViolation,
            Self::Stopped(reason) => reason.clone(),
            Self::Internal(_) => Reason::Internal,
            Self::Unknown(_)
            | Self::NotOffered
            | Self::Ended
            | Self::StillActive
            | Self::Selection(_)
            | Self::NotOurs
            | Self::NotQueued
            | Self::Undecided
            | Self::Limit
            | Self::NothingToSend
            | Self::NothingLeft(_)
            | Self::Source { .. }
            | Self::Special(_)
            | Self::OwnData(_)
            | Self::Elsewhere(_) => Reason::from_code(self.code()),
        }
    }
}

impl RoomError for TransferError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "transfer_unknown",
            Self::NotOffered => "transfer_not_offered",
            Self::Ended => "transfer_ended",
            Self::StillActive => "transfer_active",
            Self::Selection(_) => "selection_invalid",
            Self::NotOurs => "transfer_not_ours",
            Self::NotQueued => "transfer_not_queued",
            Self::Undecided => "transfer_undecided",
            Self::Limit => "invalid_input",
            Self::NothingToSend | Self::NothingLeft(_) => "nothing_to_send",
            Self::Source { source, .. } if !is_no_path(source) => "path_unreadable",
            Self::Special(_) => "path_special",
            Self::OwnData(_) => "path_private",
            Self::Elsewhere(_) => "path_elsewhere",
            Self::NoSpace { .. }
            | Self::Destination { .. }
            | Self::Disk(_)
            | Self::LeftOut(_)
            | Self::Source { .. }
            | Self::Name(_)
            | Self::TooMuch(_)
            | Self::Violation(_)
            | Self::Stopped(_)
            | Self::Internal(_) => self.reason().known_code(),
        }
    }

    fn hint(&self) -> String {
        let hint = match self {
            Self::Unknown(_) => "`yonder-cli transfers --all` lists them.",
            Self::StillActive => "Cancel it first.",
            Self::Ended => "What was sent from here can be sent again: `yonder-cli retry`.",
            Self::NotQueued => "`yonder-cli transfers` shows those that have one.",
            Self::NotOffered => "`yonder-cli transfers` shows how it stands.",
            Self::Undecided => "Accept or decline it.",
            Self::NotOurs => "Ask for it at the device that sent it.",
            Self::NothingToSend | Self::NothingLeft(_) => "Check that it is there, and that you may read it.",
            Self::Source { source, .. } if !is_no_path(source) => "Check that you may read it.",
            Self::Special(_) => {
                "A pipe, or a file that the system makes up, is sent by `yonder-cli send DEVICE - --name NAME < PATH`."
            }
            Self::OwnData(_) => "The data directory holds this device's keys; they must not leave it.",
            Self::Elsewhere(_) => {
                "Yonder runs in another container or namespace: put it where both see it, or pipe it into \
                 `yonder-cli send DEVICE -`."
            }
            Self::Limit => "A limit is 1024 bytes a second or more; leave it out for none.",
            Self::Selection(_) => "Look at what is in the offer again.",
            _ => self.reason().hint(),
        };
        hint.into()
    }

    fn args(&self) -> Args {
        let args = Args::new();
        match self {
            Self::Unknown(id) => args.with("transfer", id),
            Self::NoSpace { folder, needed, free } => {
                args.with("folder", folder.display()).number("needed", *needed).number("free", *free)
            }
            Self::Destination { path, source } | Self::Source { path, source } => {
                args.with("path", path.display()).caused_by(source)
            }
            Self::Disk(error) => args.caused_by(&error.source),
            Self::LeftOut(left) | Self::NothingLeft(left) => {
                let first = left.notes.iter().find_map(|note| match note {
                    Note::Skipped { path, reason } => Some((path, reason)),
                    _ => None,
                });
                let args = args.number("count", left.reasons.total());
                first.into_iter().fold(args, |args, (path, reason)| args.with("path", path).with("reason", reason))
            }
            Self::Special(path) | Self::OwnData(path) | Self::Elsewhere(path) | Self::Name(path) => {
                args.with("path", path.display())
            }
            Self::TooMuch(violation) | Self::Violation(violation) => args.with("detail", violation),
            Self::Internal(detail) => args.with("detail", detail),
            Self::Limit => args.with("case", "transfer_limit").number("least", 1024),
            Self::Stopped(_)
            | Self::NotOffered
            | Self::Ended
            | Self::StillActive
            | Self::Selection(_)
            | Self::NotOurs
            | Self::Undecided
            | Self::NotQueued
            | Self::NothingToSend => args,
        }
    }
}

/// Describes the first few things that cannot be sent.
fn left_out(left: &LeftOut) -> String {
    let shown = left.notes.iter().take(SHOWN_REASONS).filter_map(|note| match note {
        Note::Skipped { path, reason } => Some(format!("{path}: {}", explain(reason))),
        _ => None,
    });
    let shown: Vec<_> = shown.collect();
    let more = left.reasons.total().saturating_sub(shown.len() as u64);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{} of what was named cannot be sent: {}{more}", left.reasons.total(), shown.join("; "))
}

/// Returns true if the path does not exist, so that permissions would not help.
fn is_no_path(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// Returns a clause that explains a reason code. Codes of later versions get a general one.
pub fn explain(code: &str) -> String {
    code.parse::<Reason>().map_or_else(|_| format!("it ended with the code {code}"), |reason| reason.explain())
}

impl From<&NetworkError> for Reason {
    fn from(error: &NetworkError) -> Self {
        match error {
            NetworkError::ConnectionFailed { .. } => Self::ConnectionFailed,
            NetworkError::ConnectionTimeout { .. } => Self::ConnectionTimeout,
            NetworkError::ConnectionLost(_) => Self::ConnectionLost,
            NetworkError::DeviceOffline(_) => Self::DeviceOffline,
            NetworkError::ShuttingDown => Self::ShuttingDown,
            NetworkError::DeviceNotPaired(_) => Self::DeviceNotPaired,
            NetworkError::RefusedNotPaired => Self::RefusedNotPaired,
            NetworkError::ProtocolViolation(_) => Self::ProtocolViolation,
            NetworkError::DecryptionFailed => Self::DecryptionFailed,
            NetworkError::ChecksumMismatch(_) => Self::ChecksumMismatch,
            NetworkError::Refused { .. } => Self::Refused,
            NetworkError::InvalidState(_) => Self::InvalidState,
            NetworkError::Internal(_) => Self::Internal,
            NetworkError::UnknownProtocol(_)
            | NetworkError::InvalidSignature
            | NetworkError::DeviceUnknown(_)
            | NetworkError::DeviceAmbiguous(_)
            | NetworkError::InvalidInput(_)
            | NetworkError::SettingOverridden { .. }
            | NetworkError::File { .. }
            | NetworkError::PortUnavailable { .. } => Self::from_code(error.code()),
            NetworkError::Room(_) => error.room().map_or_else(|| Self::from_code(error.code()), TransferError::reason),
        }
    }
}

impl From<&NetworkError> for Cause {
    fn from(error: &NetworkError) -> Self {
        Self { reason: error.into(), message: error.to_string(), hint: error.hint(), args: error.args() }
    }
}

/// Returns the reason that tells the peer of an error. What concerns this device alone stays here.
pub fn told_as(error: &NetworkError) -> Reason {
    match Reason::from(error) {
        Reason::DecryptionFailed => Reason::ProtocolViolation,
        told @ (Reason::ProtocolViolation
        | Reason::DiskFull
        | Reason::NoSpace
        | Reason::DestinationUnusable
        | Reason::WriteFailed
        | Reason::FileTooLarge
        | Reason::ReceiverOutOfFiles
        | Reason::ShuttingDown) => told,
        _ => Reason::Internal,
    }
}

/// Returns an example of each error.
#[cfg(test)]
pub(crate) fn examples() -> Vec<TransferError> {
    use TransferError as E;
    let path = || PathBuf::from("/home/ann/file");
    let io = |kind: io::ErrorKind| io::Error::from(kind);
    let left = || {
        let mut left = LeftOut::default();
        left.add(path(), &Reason::FileUnreadable);
        Box::new(left)
    };
    let mut all = crate::error::examples::examples! { TransferError:
        E::Unknown(_) => E::Unknown(TransferId::from_random([1; 16]));
        E::NotOffered => E::NotOffered;
        E::Ended => E::Ended;
        E::StillActive => E::StillActive;
        E::NoSpace { .. } => E::NoSpace { folder: path(), needed: 2_500_000_000, free: 1_000_000 };
        E::Destination { .. } => E::Destination { path: path(), source: io(io::ErrorKind::PermissionDenied) };
        E::Disk(_) => E::Disk(DiskError::new("writing", io(io::ErrorKind::ReadOnlyFilesystem)));
        E::Selection(_) => E::Selection("there is no such folder in the offer");
        E::NotOurs => E::NotOurs;
        E::Undecided => E::Undecided;
        E::Limit => E::Limit;
        E::NotQueued => E::NotQueued;
        E::NothingToSend => E::NothingToSend;
        E::Source { .. } => E::Source { path: path(), source: io(io::ErrorKind::PermissionDenied) };
        E::LeftOut(_) => E::LeftOut(left());
        E::NothingLeft(_) => E::NothingLeft(left());
        E::Special(_) => E::Special(path());
        E::OwnData(_) => E::OwnData(path());
        E::Elsewhere(_) => E::Elsewhere(path());
        E::Name(_) => E::Name(path());
        E::TooMuch(_) => E::TooMuch(Violation("too many".into()));
        E::Violation(_) => E::Violation(Violation("out of order".into()));
        E::Stopped(_) => E::Stopped(Reason::SourceGone);
        E::Internal(_) => E::Internal("a task failed");
    };
    all.push(E::Source { path: path(), source: io(io::ErrorKind::NotFound) });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_cross_the_edge() {
        let error =
            NetworkError::from(TransferError::Disk(DiskError::new("writing", io::ErrorKind::StorageFull.into())));
        assert_eq!((error.code(), told_as(&error)), ("disk_full", Reason::DiskFull));
        assert!(!error.hint().is_empty());
    }

    #[test]
    fn a_reason_and_what_people_see_of_it_have_one_code() {
        for code in ["disk_full", "new_thing"] {
            let reason = Reason::from_code(code);
            let shown = crate::api::ApiError::from(reason.clone());
            assert_eq!((shown.code.as_str(), shown.hint.as_str()), (code, reason.hint()));
            assert_eq!(shown.message, Cause::from(reason.clone()).message);
            assert_eq!(Reason::from(&shown), reason);
        }
    }

    #[test]
    fn an_error_and_its_reason_have_one_code() {
        let (text, path, disk) = (String::new, PathBuf::new, || io::Error::from(io::ErrorKind::NotFound));
        let id = TransferId::from_random([1; 16]);
        let violation = || Violation(text());
        let of_transfers = [
            TransferError::Unknown(id),
            TransferError::NotOffered,
            TransferError::Ended,
            TransferError::NoSpace { folder: path(), needed: 1, free: 0 },
            TransferError::Destination { path: path(), source: disk() },
            TransferError::Disk(DiskError::new("writing", disk())),
            TransferError::LeftOut(Box::default()),
            TransferError::NothingLeft(Box::default()),
            TransferError::Source { path: path(), source: disk() },
            TransferError::Source { path: path(), source: io::ErrorKind::PermissionDenied.into() },
            TransferError::Special(path()),
            TransferError::Name(path()),
            TransferError::TooMuch(violation()),
            TransferError::Violation(violation()),
            TransferError::Stopped(Reason::SourceGone),
            TransferError::Internal("x"),
        ];
        let others = [
            NetworkError::ConnectionFailed { device: text(), source: "x".into() },
            NetworkError::ConnectionTimeout { device: Some(text()), seconds: 1 },
            NetworkError::ConnectionLost("x".into()),
            NetworkError::DeviceOffline(text()),
            NetworkError::ShuttingDown,
            NetworkError::DeviceNotPaired(text()),
            NetworkError::RefusedNotPaired,
            NetworkError::ProtocolViolation(text()),
            NetworkError::DecryptionFailed,
            NetworkError::ChecksumMismatch(text()),
            NetworkError::Refused { device: text(), why: crate::error::Unwilling::Busy },
            NetworkError::InvalidState(crate::error::StateError::Started),
            NetworkError::Internal(text()),
            NetworkError::UnknownProtocol(text()),
            crate::storage::StorageError::TooLarge.into(),
        ];
        for error in of_transfers.into_iter().map(NetworkError::from).chain(others) {
            assert_eq!(Reason::from(&error), Reason::from_code(error.code()), "{error:?}");
            assert_eq!(Reason::from(&error).code(), error.code(), "{error:?}");
        }
    }
}
