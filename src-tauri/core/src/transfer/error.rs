//! Errors of transfers, and the texts for reason codes.

use std::{io, path::PathBuf};

use super::left_out::LeftOut;
use crate::{
    api::{ApiError, Note},
    error::{NetworkError, RoomError, size},
    id::TransferId,
    transfer::{protocol::frames::Violation, receive::staging::DiskError},
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
    DataDirGuard(PathBuf),
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
    /// The transfer ended with this reason code.
    #[error("{}", explain(.0))]
    Stopped(&'static str),
    /// An internal task failed.
    #[error("internal fault: {0}")]
    Internal(&'static str),
}

impl RoomError for TransferError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "transfer_unknown",
            Self::NotOffered => "transfer_not_offered",
            Self::Ended => "transfer_ended",
            Self::StillActive => "transfer_active",
            Self::NoSpace { .. } => "no_space",
            Self::Destination { .. } => "destination_unusable",
            Self::Disk(error) => error.code(),
            Self::Selection(_) => "selection_invalid",
            Self::NotOurs => "transfer_not_ours",
            Self::NotQueued => "transfer_not_queued",
            Self::Undecided => "transfer_undecided",
            Self::Limit => "invalid_input",
            Self::NothingToSend | Self::NothingLeft(_) => "nothing_to_send",
            Self::LeftOut(_) => "left_out",
            Self::Source { source, .. } if is_no_path(source) => "path_not_found",
            Self::Source { .. } => "path_unreadable",
            Self::Special(_) => "path_special",
            Self::DataDirGuard(_) => "path_private",
            Self::Elsewhere(_) => "path_elsewhere",
            Self::Name(_) => "name_unsendable",
            Self::TooMuch(_) => "too_many_entries",
            Self::Violation(_) => "protocol_violation",
            Self::Stopped(code) => code,
            Self::Internal(_) => "internal",
        }
    }

    fn hint(&self) -> String {
        hint(self.code()).into()
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
    let text = match code {
        "cancelled" => "it was cancelled",
        "cancelled_here" => "it was cancelled here",
        "cancelled_there" => "it was cancelled at the other device",
        "listing" => "its files are being listed",
        "connecting" => "the connection is being made",
        "incomplete" => "not everything was transferred",
        "left_out" => "not everything that was named can be sent",
        "file_unreadable" => "it may not be read",
        "folder_unreadable" => "its contents may not be listed",
        "link_outside" => "it is a link to something that is not sent along",
        "link_to_folder" => "it is a link to a folder",
        "link_broken" => "it is a link to nothing",
        "name_unsendable" => "its name cannot be sent",
        "special_file" => "it is neither a file nor a folder",
        "data_directory" => "it is a part of Yonder's own data",
        "over_limit" => "its path is too deep or too long",
        "not_taken" => "the other device did not take it",
        "skipped_there" => "the sender could not offer it",
        "hidden_name" => "it is hidden, and nobody was asked",
        "runs_programs" => "it can start a program, and nobody was asked",
        "rule_ended" => "the receiver's rule does not accept it any more",
        "receiver_stalled" => "the other device takes nothing for now",
        "expired" => "its sender did not come back for 30 days",
        "other" => "for another reason",
        "declined" => "it was declined",
        "declined_by_rule" => "the other device declines all offers",
        "interrupted" => "Yonder was stopped in the middle",
        "connection_lost" => "the connection was lost",
        "shutting_down" => "the other device is shutting down",
        "no_space" => "there is not enough space on the receiving disk",
        "disk_full" => "the receiving disk is full",
        "write_failed" => "the receiving disk could not be written to",
        "receiver_out_of_files" => "the receiving device has as many files open as its system lets it",
        "sender_out_of_files" => "the sending device has as many files open as its system lets it",
        "waiting_for_files" => "others of its device have as many files open as they may",
        "destination_unusable" => "the receiving folder cannot be written to",
        "path_not_found" => "it is not there any more",
        "source_gone" => "the folder or disk with the files is not there any more",
        "source_deleted" => "it was deleted or moved before it was sent",
        "size_wrong" => "it has another length than its file system says",
        "stream_gone" => "what was read from a stream is not kept any more",
        "input_ended_early" => "the command that sent it was stopped before it had read all of its input",
        "paused_here" => "it was paused here",
        "paused_there" => "it was paused at the other device",
        "source_changed" => "it changed while it was being sent",
        "source_unreadable" => "it could not be read",
        "checksum_mismatch" => "what arrived is not what was sent",
        "name_refused" => "the receiving disk cannot hold this name",
        "name_taken" => "the name is taken too often",
        "folder_changed" => "its folder was changed or removed while files were being received",
        "folder_closed" => "its folder may not be written to",
        "existing_changed" => "the same file was there already, and was changed while others were being received",
        "file_too_large" => "the receiving disk cannot hold a file of this size",
        "too_many_entries" => "the offer has more files than one transfer can hold",
        "busy" => "the other device has as many offers open as it takes",
        "rate_limited" => "the other device was offered much in a short time",
        "version_unsupported" => "the other device speaks another version of the protocol",
        "offer_malformed" => "the offer makes no sense",
        "protocol_violation" => "the protocol was broken",
        "device_not_paired" => "the devices are not paired any more",
        "forgotten" => "the other device does not know this transfer any more",
        "files_failed" => "some files could not be transferred",
        other => return format!("it ended with the code {other}"),
    };
    text.into()
}

fn hint(code: &str) -> &'static str {
    match code {
        "transfer_unknown" => "`yonder-cli transfers --all` lists them.",
        "transfer_active" => "Cancel it first.",
        "no_space" => "Free some space or choose another folder.",
        "disk_full" => "Free some space at the receiving device; it goes on by itself then. What has arrived is kept.",
        "source_gone" => "Connect the disk again, or put the files back; it goes on by itself then.",
        "paused_here" => "Resume it.",
        "paused_there" => "It goes on when it is resumed there.",
        "transfer_not_queued" => "`yonder-cli transfers` shows those that have one.",
        "destination_unusable" | "write_failed" => "Check that the folder exists and that you may write to it.",
        "receiver_out_of_files" | "sender_out_of_files" => {
            "Raise the limit there (`ulimit -n`) and start Yonder anew, or close other programs."
        }
        "transfer_ended" => "What was sent from here can be sent again: `yonder-cli retry`.",
        "transfer_not_offered" => "`yonder-cli transfers` shows how it stands.",
        "transfer_undecided" => "Accept or decline it.",
        "transfer_not_ours" => "Ask for it at the device that sent it.",
        "path_not_found" => "Check the path.",
        "nothing_to_send" => "Check that it is there, and that you may read it.",
        "path_unreadable" | "source_unreadable" => "Check that you may read it.",
        "path_special" => {
            "A pipe, or a file that the system makes up, is sent by `yonder-cli send DEVICE - --name NAME < PATH`."
        }
        "path_private" => "The data directory holds this device's keys; they must not leave it.",
        "path_elsewhere" => {
            "Yonder runs in another container or namespace: put it where both see it, or pipe it into \
             `yonder-cli send DEVICE -`."
        }
        "hidden_name" | "runs_programs" => {
            "`yonder-cli retry` at the sender offers these alone, and a person is asked."
        }
        "waiting_for_files" => {
            "It goes on by itself when one of them has ended. Cancel one that is paused to have it sooner."
        }
        "receiver_stalled" => "It goes on by itself in a while.",
        "rule_ended" | "expired" => "Send it again.",
        "source_deleted" => "Put it back and send it again.",
        "size_wrong" => "Send it alone: `yonder-cli send DEVICE - --name NAME < PATH`.",
        "stream_gone" | "input_ended_early" => "Run the command whose output it was again, and send that.",
        "name_unsendable" => "Rename it, or send the folder that it is in.",
        "invalid_input" => "A limit is 1024 bytes a second or more; leave it out for none.",
        "too_many_entries" => "Send it in several parts, or as an archive.",
        "file_too_large" => {
            "The disk's format (FAT holds 4 GB), or a limit of the receiving program (`ulimit -f`), allows no file of this size. \
             Choose a folder on another disk."
        }
        "folder_closed" => "Check that you may write to it, or choose another folder.",
        "existing_changed" => "Send it again.",
        "selection_invalid" => "Look at what is in the offer again.",
        "source_changed" | "checksum_mismatch" => "Send it again when nothing writes to it.",
        "interrupted" | "connection_lost" | "shutting_down" => "It goes on by itself when the devices meet again.",
        "forgotten" => "Send it again.",
        "version_unsupported" | "protocol_violation" | "offer_malformed" => "Update Yonder on both devices.",
        "busy" => "It is offered again by itself. Accept or decline some of those that wait there.",
        "rate_limited" => "It is offered again by itself, in a moment.",
        "declined_by_rule" => "It can be changed in the other device's settings.",
        "files_failed" => "The notes name them.",
        "incomplete" => "The notes name examples. `yonder-cli retry` at the sender sends what is missing.",
        "left_out" => "Name what can be sent, or send without --strict.",
        _ => "",
    }
}

/// Returns true if a code means that the two are disconnected, so that the agreed transfer can be resumed.
pub fn is_apart(code: &str) -> bool {
    matches!(
        code,
        "connection_lost"
            | "connection_failed"
            | "connection_timeout"
            | "device_offline"
            | "shutting_down"
            | "interrupted"
    )
}

/// Reason code if the sender ran out of descriptors.
pub const SENDER_OUT_OF_FILES: &str = "sender_out_of_files";
/// Reason code if the receiver ran out of descriptors.
pub const RECEIVER_OUT_OF_FILES: &str = "receiver_out_of_files";

/// Returns true if a code means that one side has no free descriptor: the transfer is retried later, and staged data
/// stays.
pub fn is_out_of_descriptors(code: &str) -> bool {
    matches!(code, SENDER_OUT_OF_FILES | RECEIVER_OUT_OF_FILES)
}

/// Returns true if a code means that a transfer is blocked until somebody acts.
pub fn stands_still(code: &str) -> bool {
    matches!(code, "paused_here" | "paused_there" | "disk_full" | "source_gone")
}

/// Returns the API error for a reason code.
pub fn reason(code: &str) -> ApiError {
    let text = explain(code);
    let mut chars = text.chars();
    let message = chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default();
    ApiError { code: code.into(), message, hint: hint(code).into() }
}

/// Returns the reason code that tells the peer of an error.
pub fn told_as(error: &NetworkError) -> &'static str {
    match error {
        NetworkError::Room(room) => match room.code() {
            "protocol_violation" => "protocol_violation",
            "disk_full" => "disk_full",
            "no_space" => "no_space",
            "destination_unusable" => "destination_unusable",
            "write_failed" => "write_failed",
            "file_too_large" => "file_too_large",
            "receiver_out_of_files" => "receiver_out_of_files",
            _ => "internal",
        },
        NetworkError::ProtocolViolation(_) | NetworkError::DecryptionFailed => "protocol_violation",
        NetworkError::ShuttingDown => "shutting_down",
        _ => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_later_version_is_still_a_sentence() {
        assert_eq!(reason("disk_full").message, "The receiving disk is full");
        assert_eq!(reason("new_thing").message, "It ended with the code new_thing");
        assert_eq!(reason("new_thing").hint, "");
    }

    #[test]
    fn codes_cross_the_edge() {
        let error =
            NetworkError::from(TransferError::Disk(DiskError::new("writing", io::ErrorKind::StorageFull.into())));
        assert_eq!((error.code(), told_as(&error)), ("disk_full", "disk_full"));
        assert!(!error.hint().is_empty());
    }
}
