//! Reasons for which a transfer ends, waits or is paused, and for which files are left out. Pure.
//!
//! The core works on [`Reason`]. Its text form, the *code*, is for the edges: the wire, the records on disk, the API
//! and what people read. A peer of a later version may give codes that this version does not know. They are kept and
//! passed on unchanged, and steer nothing.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::limits::MAX_CODE;

/// Code that this version does not know: 1 to 32 of a-z, 0-9 and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code(String);

impl Code {
    /// Returns the code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Consequence of a reason for a transfer. Each row of the table below names one, so a new reason cannot be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The devices are disconnected: an accepted transfer is resumed.
    Disconnected,
    /// The transfer is shown as paused: until a person resumes it, or a disk is back or has space.
    Blocked,
    /// One side has no free file descriptor: the transfer is retried, and staged data stays.
    OutOfDescriptors,
    /// The receiver takes no other offer now: it is asked again soon.
    Busy,
    /// The receiver cannot go on now: it is asked again later.
    Later,
    /// Shown while a transfer is under way. It ends no attempt.
    Shown,
    /// The transfer or the file has ended, or the file is left out.
    Final,
}

/// Defines [`Reason`]: variant, code, class, and the clause that explains it. A reason without a clause is explained
/// by its code, because people seldom see it.
macro_rules! reasons {
    ($($name:ident, $code:literal, $class:ident, $clause:literal;)*) => {
        /// Reason for which a transfer ends, waits or is paused, or for which a file is left out.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = concat!("Code `", $code, "`.")] $name,)*
            /// Code that this version does not know, or the code of an error that is not about transfers.
            Unknown(Code),
        }

        impl Reason {
            /// Every reason that this version knows.
            pub const KNOWN: &[Self] = &[$(Self::$name,)*];

            /// Returns the stable code.
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(code) => code.as_str(),
                }
            }

            /// Returns the stable code of a known reason; of an unknown one, `other`.
            pub fn known_code(&self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(_) => "other",
                }
            }

            fn known(code: &str) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            fn class(&self) -> Class {
                match self {
                    $(Self::$name => Class::$class,)*
                    Self::Unknown(_) => Class::Final,
                }
            }

            fn clause(&self) -> &'static str {
                match self {
                    $(Self::$name => $clause,)*
                    Self::Unknown(_) => "",
                }
            }
        }
    };
}

reasons! {
    // The devices are disconnected.
    ConnectionLost, "connection_lost", Disconnected, "the connection was lost";
    ConnectionFailed, "connection_failed", Disconnected, "";
    ConnectionTimeout, "connection_timeout", Disconnected, "";
    DeviceOffline, "device_offline", Disconnected, "";
    ShuttingDown, "shutting_down", Disconnected, "the other device is shutting down";
    Interrupted, "interrupted", Disconnected, "Yonder was stopped in the middle";

    // The transfer is paused, or waits for one of the devices.
    PausedHere, "paused_here", Blocked, "it was paused here";
    PausedThere, "paused_there", Blocked, "it was paused at the other device";
    DiskFull, "disk_full", Blocked, "the receiving disk is full";
    SourceGone, "source_gone", Blocked, "the folder or disk with the files is not there any more";
    SenderOutOfFiles, "sender_out_of_files", OutOfDescriptors, "the sending device has as many files open as its system lets it";
    ReceiverOutOfFiles, "receiver_out_of_files", OutOfDescriptors, "the receiving device has as many files open as its system lets it";
    Busy, "busy", Busy, "the other device has as many offers open as it takes";
    RateLimited, "rate_limited", Busy, "the other device was offered much in a short time";
    ReceiverStalled, "receiver_stalled", Later, "the other device takes nothing for now";
    DestinationUnusable, "destination_unusable", Later, "the receiving folder cannot be written to";
    Refused, "refused", Later, "";
    InvalidState, "invalid_state", Later, "";
    Listing, "listing", Shown, "its files are being listed";
    Connecting, "connecting", Shown, "the connection is being made";
    WaitingForFiles, "waiting_for_files", Shown, "other transfers with this device have all the files open that they may have at once";
    Paused, "paused", Shown, "";

    // The transfer has ended.
    Cancelled, "cancelled", Final, "it was cancelled";
    CancelledHere, "cancelled_here", Final, "it was cancelled here";
    CancelledThere, "cancelled_there", Final, "it was cancelled at the other device";
    Declined, "declined", Final, "it was declined";
    DeclinedByRule, "declined_by_rule", Final, "the other device declines all offers";
    Complete, "complete", Final, "";
    Incomplete, "incomplete", Final, "not everything was transferred";
    FilesFailed, "files_failed", Final, "some files could not be transferred";
    Forgotten, "forgotten", Final, "the other device does not know this transfer any more";
    DuplicateId, "duplicate_id", Final, "";
    Expired, "expired", Final, "its sender did not come back for 30 days";
    RuleEnded, "rule_ended", Final, "the receiver's rule does not accept it any more";
    LeftOut, "left_out", Final, "not everything that was named can be sent";
    TooManyEntries, "too_many_entries", Final, "the offer has more files than one transfer can hold";
    NoSpace, "no_space", Final, "there is not enough space on the receiving disk";
    WriteFailed, "write_failed", Final, "the receiving disk could not be written to";
    InputEndedEarly, "input_ended_early", Final, "the command that sent it was stopped before it had read all of its input";
    StreamGone, "stream_gone", Final, "what was read from a stream is not kept any more";
    Unsolicited, "unsolicited", Final, "the other device did not ask for it";
    VersionUnsupported, "version_unsupported", Final, "the other device speaks another version of the protocol";
    OfferMalformed, "offer_malformed", Final, "the offer makes no sense";
    ProtocolViolation, "protocol_violation", Final, "the protocol was broken";
    DecryptionFailed, "decryption_failed", Final, "";
    DeviceNotPaired, "device_not_paired", Final, "the devices are not paired any more";
    RefusedNotPaired, "refused_not_paired", Final, "";
    Internal, "internal", Final, "";

    // A file or folder is left out, or its transfer has failed.
    FileUnreadable, "file_unreadable", Final, "it may not be read";
    FolderUnreadable, "folder_unreadable", Final, "its contents may not be listed";
    LinkOutside, "link_outside", Final, "it is a link to something that is not sent along";
    LinkToFolder, "link_to_folder", Final, "it is a link to a folder";
    LinkBroken, "link_broken", Final, "it is a link to nothing";
    NameUnsendable, "name_unsendable", Final, "its name cannot be sent";
    SpecialFile, "special_file", Final, "it is neither a file nor a folder";
    DataDirectory, "data_directory", Final, "it is a part of Yonder's own data";
    OverLimit, "over_limit", Final, "its path is too deep or too long";
    PathNotFound, "path_not_found", Final, "it is not there any more";
    SourceChanged, "source_changed", Final, "it changed while it was being sent";
    SourceDeleted, "source_deleted", Final, "it was deleted or moved before it was sent";
    SourceUnreadable, "source_unreadable", Final, "it could not be read";
    SizeWrong, "size_wrong", Final, "it has another length than its file system says";
    ChecksumMismatch, "checksum_mismatch", Final, "what arrived is not what was sent";
    NotTaken, "not_taken", Final, "the other device did not take it";
    SkippedThere, "skipped_there", Final, "the sender could not offer it";
    HiddenName, "hidden_name", Final, "it is hidden, and nobody was asked";
    RunsPrograms, "runs_programs", Final, "it can start a program, and nobody was asked";
    NameRefused, "name_refused", Final, "the receiving disk cannot hold this name";
    NameTaken, "name_taken", Final, "the name is taken too often";
    FileTooLarge, "file_too_large", Final, "the receiving disk cannot hold a file of this size";
    FolderChanged, "folder_changed", Final, "its folder was changed or removed while files were being received";
    FolderClosed, "folder_closed", Final, "its folder may not be written to";
    ExistingChanged, "existing_changed", Final, "the same file was there already, and was changed while others were being received";
    Other, "other", Final, "for another reason";
}

impl Reason {
    /// Returns the reason of a code from a record, the API, or another part of the core. Text that is no code becomes
    /// [`Reason::Other`].
    pub fn from_code(code: &str) -> Self {
        code.parse().unwrap_or(Self::Other)
    }

    /// Returns true if a transfer that the receiver knows is tried again after this.
    pub fn is_retryable(&self) -> bool {
        match self.class() {
            Class::Disconnected | Class::Blocked | Class::OutOfDescriptors | Class::Busy | Class::Later => true,
            Class::Shown | Class::Final => false,
        }
    }

    /// Returns true if the devices are disconnected, so that an accepted transfer can be resumed.
    pub fn is_disconnected(&self) -> bool {
        self.class() == Class::Disconnected
    }

    /// Returns true if the transfer is blocked until somebody resumes it, makes space, or brings the source back.
    pub fn is_blocked(&self) -> bool {
        self.class() == Class::Blocked
    }

    /// Returns true if one side has no free file descriptor: the transfer is retried later, and staged data stays.
    pub fn is_out_of_descriptors(&self) -> bool {
        self.class() == Class::OutOfDescriptors
    }

    /// Returns true if the receiver takes no other offer now, and may take it in a moment.
    pub fn is_busy(&self) -> bool {
        self.class() == Class::Busy
    }

    /// Returns true if a transfer with this reason has only just begun: its files are listed, or the device is dialled.
    pub fn is_beginning(&self) -> bool {
        matches!(self, Self::Listing | Self::Connecting)
    }

    /// Returns a clause that explains the reason to people. Unknown reasons get a general one.
    pub fn explain(&self) -> String {
        match self.clause() {
            "" => format!("it ended with the code {}", self.code()),
            clause => clause.into(),
        }
    }

    /// Returns what a person can do about it; empty if there is nothing.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSpace => "Free some space or choose another folder.",
            Self::DiskFull => {
                "Free some space at the receiving device; it goes on by itself then. What has arrived is kept."
            }
            Self::SourceGone => "Connect the disk again, or put the files back; it goes on by itself then.",
            Self::PausedHere => "Resume it.",
            Self::PausedThere => "It goes on when it is resumed there.",
            Self::DestinationUnusable | Self::WriteFailed => {
                "Check that the folder exists and that you may write to it."
            }
            Self::ReceiverOutOfFiles | Self::SenderOutOfFiles => {
                "Raise the limit there (`ulimit -n`) and start Yonder anew, or close other programs."
            }
            Self::PathNotFound => "Check the path.",
            Self::SourceUnreadable => "Check that you may read it.",
            Self::HiddenName | Self::RunsPrograms => {
                "`yonder-cli retry` at the sender offers these alone, and a person is asked."
            }
            Self::WaitingForFiles => {
                "It goes on by itself when one of them has ended. To have it sooner, cancel one of them that is paused."
            }
            Self::ReceiverStalled => "It goes on by itself in a while.",
            Self::RuleEnded | Self::Expired | Self::ExistingChanged | Self::Forgotten => "Send it again.",
            Self::SourceDeleted => "Put it back and send it again.",
            Self::SizeWrong => "Send it alone: `yonder-cli send DEVICE - --name NAME < PATH`.",
            Self::StreamGone | Self::InputEndedEarly => "Run the command whose output it was again, and send that.",
            Self::NameUnsendable => "Rename it, or send the folder that it is in.",
            Self::TooManyEntries => "Send it in several parts, or as an archive.",
            Self::FileTooLarge => {
                "The disk's format (FAT holds 4 GB), or a limit of the receiving program (`ulimit -f`), allows no file of \
                 this size. Choose a folder on another disk."
            }
            Self::FolderClosed => "Check that you may write to it, or choose another folder.",
            Self::SourceChanged | Self::ChecksumMismatch => "Send it again when nothing writes to it.",
            Self::Interrupted | Self::ConnectionLost | Self::ShuttingDown => {
                "It goes on by itself when the devices meet again."
            }
            Self::VersionUnsupported | Self::ProtocolViolation | Self::OfferMalformed => {
                "Update Yonder on both devices."
            }
            Self::Busy => "It is offered again by itself. Accept or decline some of those that wait there.",
            Self::RateLimited => "It is offered again by itself, in a moment.",
            Self::DeclinedByRule => "It can be changed in the other device's settings.",
            Self::FilesFailed => "The notes name them.",
            Self::Incomplete => "The notes name examples. `yonder-cli retry` at the sender sends what is missing.",
            Self::LeftOut => "Name what can be sent, or send without --strict.",
            _ => "",
        }
    }
}

impl FromStr for Reason {
    type Err = &'static str;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let is_code = (1..=MAX_CODE).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_code {
            return Err("a code is 1 to 32 of a-z, 0-9 and _");
        }
        Ok(Self::known(code).unwrap_or_else(|| Self::Unknown(Code(code.to_owned()))))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Reasons are listed in the order of their codes.
impl Ord for Reason {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code().cmp(other.code())
    }
}

impl PartialOrd for Reason {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_as_its_reason() {
        for reason in Reason::KNOWN {
            assert_eq!(reason.code().parse().as_ref(), Ok(reason));
            assert_eq!(reason.known_code(), reason.code());
            let json = serde_json::to_string(reason).unwrap();
            assert_eq!(json, format!("\"{reason}\""));
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), *reason);
            // On the wire it is a string, as every version reads it.
            let bytes = postcard::to_stdvec(reason).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(reason.code()).unwrap());
            assert_eq!(postcard::from_bytes::<Reason>(&bytes).unwrap(), *reason);
        }
    }

    #[test]
    fn an_unknown_code_is_kept_and_steers_nothing() {
        for code in ["new_thing", "x", &"a".repeat(MAX_CODE)] {
            let reason: Reason = code.parse().unwrap();
            assert!(matches!(&reason, Reason::Unknown(kept) if kept.as_str() == code));
            assert_eq!((reason.code(), reason.to_string().as_str(), reason.hint()), (code, code, ""));
            assert_eq!(reason.explain(), format!("it ended with the code {code}"));
            assert!(!reason.is_retryable() && !reason.is_disconnected() && !reason.is_blocked());
            let bytes = postcard::to_stdvec(&reason).unwrap();
            assert_eq!(postcard::from_bytes::<Reason>(&bytes).unwrap(), reason);
        }
    }

    #[test]
    fn a_code_is_a_plain_word() {
        for bad in ["", "Disk", "a b", "\u{1b}[2J", "disk-full", &"a".repeat(MAX_CODE + 1)] {
            assert!(bad.parse::<Reason>().is_err(), "{bad:?}");
            assert_eq!(Reason::from_code(bad), Reason::Other);
            let bytes = postcard::to_stdvec(bad).unwrap();
            assert!(postcard::from_bytes::<Reason>(&bytes).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn these_are_tried_again_and_no_others() {
        let among = |codes: &[&str], asked: fn(&Reason) -> bool| {
            for reason in Reason::KNOWN {
                assert_eq!(asked(reason), codes.contains(&reason.code()), "{reason}");
            }
        };
        let disconnected = [
            "connection_lost",
            "connection_failed",
            "connection_timeout",
            "device_offline",
            "shutting_down",
            "interrupted",
        ];
        let blocked = ["paused_here", "paused_there", "disk_full", "source_gone"];
        let out_of_descriptors = ["sender_out_of_files", "receiver_out_of_files"];
        let busy = ["busy", "rate_limited"];
        let later = ["receiver_stalled", "destination_unusable", "refused", "invalid_state"];
        among(&disconnected, Reason::is_disconnected);
        among(&blocked, Reason::is_blocked);
        among(&out_of_descriptors, Reason::is_out_of_descriptors);
        among(&busy, Reason::is_busy);
        among(&[&disconnected[..], &blocked, &out_of_descriptors, &busy, &later].concat(), Reason::is_retryable);
    }
}
