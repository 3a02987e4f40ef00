//! The frames of the control stream. Pure: bytes in, values out.
//!
//! Each frame is one postcard value of at most [`MAX_FRAME`] bytes, inside one sealed frame of the session. A frame
//! that does not decode, or has bytes left over, is a violation. There are no optional fields: a later protocol has a
//! later version number.

pub use crate::fs::Mtime;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    limits::{BATCH, MAX_FRAME, RENAMED_BATCH},
    reason::Reason,
};

/// Violation of the protocol by the peer. The text is for the log and for developers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// Returns a [`Violation`] with this text.
pub fn violation<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(text.into()))
}

/// Summary of what the sender proposes, in one frame. The manifest follows when the receiver asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Version of the protocol.
    pub version: u16,
    /// Id of the transfer, chosen by the sender and kept over all attempts.
    pub transfer: [u8; 16],
    /// Random id of this attempt. Keys are derived from it, so no key of an earlier attempt is used again.
    pub attempt: [u8; 16],
    /// Number of files and folders.
    pub entries: u32,
    /// Number of files.
    pub files: u32,
    /// Sum of the file sizes, in bytes.
    pub total: u64,
    /// Names of the top-level entries, at most 20.
    pub roots: Vec<Vec<u8>>,
    /// Number of top-level entries.
    pub root_count: u32,
    /// Number of entries that the sender leaves out: links, special files and unreadable files.
    pub skipped: u32,
    /// Number of manifest pages.
    pub pages: u32,
    /// True if chunks may be compressed.
    pub compress: bool,
    /// True if chunks are sealed (encrypted).
    pub encrypt: bool,
}

/// File or folder of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 0 for a top-level entry, else 1 + the index of an earlier folder.
    pub parent: u32,
    /// Name of one path component: bytes, not necessarily UTF-8.
    pub name: Vec<u8>,
    /// Time of the last modification.
    pub mtime: Mtime,
    /// The nine permission bits of Unix; `None` if the sender's system has no such bits.
    pub mode: Option<u16>,
    /// Kind of the entry.
    pub kind: EntryKind,
}

/// Kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
    },
    /// A regular file that is still being written: its length is unknown. It is the only entry of its offer.
    Growing,
}

/// Page of the manifest. Pages are numbered from 0 and come in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Number of this page.
    pub index: u32,
    /// The next entries.
    pub entries: Vec<Entry>,
}

/// Final result of a file at the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnd {
    /// Index of its entry.
    pub file: u32,
    /// Result of reading it.
    pub outcome: SourceOutcome,
}

/// Result of reading a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceOutcome {
    /// The whole file has been sent; the receiver may have held parts of it already.
    Sent {
        /// BLAKE3 hash of the whole file.
        root: [u8; 32],
        /// Length in bytes; must equal that of the manifest, or the last one in `Grown` for a growing file.
        size: u64,
    },
    /// The file is not delivered.
    Failed {
        /// Reason code.
        code: Reason,
    },
}

/// Request to resume an accepted transfer: the first frame of a later attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeOffer {
    /// Version of the protocol.
    pub version: u16,
    /// Id of the transfer, as in its offer.
    pub transfer: [u8; 16],
    /// Random id of this attempt, as in an offer.
    pub attempt: [u8; 16],
    /// Hash of the accepted manifest, as sent in its `ManifestEnd`.
    pub manifest: [u8; 32],
    /// Number of files that no longer match that manifest. `Changed` frames name them.
    pub changed: u32,
}

/// File of the source that no longer matches the accepted manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Index of its entry.
    pub file: u32,
    /// Length now, in bytes.
    pub size: u64,
    /// Modification time now.
    pub mtime: Mtime,
}

/// Frame from sender to receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SenderFrame {
    /// The first frame of a new transfer.
    Offer(Offer),
    /// A page of the manifest.
    Page(Page),
    /// All pages were sent.
    ManifestEnd {
        /// BLAKE3 hash of all page frames in order. It identifies the manifest when the transfer is resumed.
        hash: [u8; 32],
    },
    /// Files whose claims the sender rejects because the source has changed; they are sent from the start.
    Anew(Vec<u32>),
    /// Data streams follow.
    Begin,
    /// Files that the sender has finished.
    FilesDone(Vec<FileEnd>),
    /// Every file is finished.
    Finished {
        /// Number of data streams that were opened in this attempt.
        streams: u8,
    },
    /// A person paused the transfer at the sender.
    Pause,
    /// A person resumed it. Also asks the receiver to try again if it is paused there by a full disk.
    Resume,
    /// The sender cancels the transfer.
    Cancel {
        /// Reason code.
        code: Reason,
    },
    /// Replaces the offer: an accepted transfer is resumed.
    ResumeOffer(ResumeOffer),
    /// Files that have changed since the offer, in rising order over all such frames. Only after `ResumeOffer`.
    Changed(Vec<ChangedFile>),
    /// Current length of the growing file. No new data is sent before the receiver has answered with `Room`.
    Grown {
        /// Length in bytes.
        size: u64,
        /// True if the file is complete.
        ended: bool,
    },
    /// Replaces the offer: it answers a request of the receiver for files. Sent only to a device that made the request
    /// and therefore knows this frame.
    Requested {
        /// Id of the request, chosen at random by the receiver.
        request: [u8; 16],
        /// Summary of what the sender proposes, as in `Offer`.
        offer: Offer,
    },
}

/// Rule for a name that is taken at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conflict {
    /// The new file gets another name.
    KeepBoth,
    /// An identical file is not sent.
    Skip,
    /// The old file goes to the trash.
    Replace,
}

/// Decision of the receiver on an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// The offer is accepted.
    Accepted {
        /// True if every entry is accepted; otherwise `Select` frames list the accepted entries.
        all: bool,
        /// Rule for taken names. The sender only displays it.
        conflict: Conflict,
    },
    /// The offer is declined.
    Declined {
        /// Reason code.
        code: Reason,
    },
}

/// Range of indices: from `first` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First index.
    pub first: u32,
    /// One past the last index.
    pub end: u32,
}

/// Claim of the receiver: what it holds of a file from an earlier attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveFile {
    /// Index of its entry.
    pub file: u32,
    /// True if the file is complete, verified and named. The sender skips it and sends no `FileEnd` for it.
    pub whole: bool,
    /// Segment numbers in the file, rising, with gaps between the spans. A file of many segments is claimed in
    /// several frames.
    pub segments: Vec<Span>,
    /// Hash of each of these segments in order, as read from the receiver's disk.
    pub hashes: Vec<[u8; 32]>,
}

/// Final result of a file at the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReceived {
    /// Index of its entry.
    pub file: u32,
    /// `None` if the file is verified, durable and under its final name; else the reason code.
    pub failure: Option<Reason>,
}

/// Entry that was saved under another name than it has at the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// Index of its entry.
    pub entry: u32,
    /// Name at the receiver.
    pub name: Vec<u8>,
}

/// Frame from receiver to sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiverFrame {
    /// Requests the pages of the manifest.
    NeedManifest,
    /// Accepts or declines the offer.
    Decision(Decision),
    /// Accepted entries, rising over all such frames. Only after a decision with `all: false`.
    Select(Vec<Span>),
    /// Claims, rising by file over all such frames.
    Have(Vec<HaveFile>),
    /// Selection and claims are complete.
    Start,
    /// Progress of the receiver.
    Progress {
        /// Bytes that are verified and written.
        bytes: u64,
        /// Files under their final names.
        files: u32,
    },
    /// Final results of files.
    FilesReceived(Vec<FileReceived>),
    /// Every accepted file has a result. This is the last frame.
    Complete {
        /// Files under their final names.
        files: u32,
        /// Bytes of these files.
        bytes: u64,
    },
    /// The transfer is paused at the receiver, also before its decision on a resumed one.
    Pause {
        /// Reason code: `paused` or `disk_full`.
        code: Reason,
    },
    /// The transfer is no longer paused at the receiver.
    Resume,
    /// The receiver cancels the transfer.
    Cancel {
        /// Reason code.
        code: Reason,
    },
    /// Files and folders that were saved under other names.
    Renamed(Vec<Renamed>),
    /// Length up to which the growing file fits. Answers each `Grown` with the values of that frame.
    Room {
        /// Length in bytes.
        size: u64,
        /// True if the file is complete at this length.
        ended: bool,
    },
}

/// Control frame of either direction.
pub trait Frame: Serialize + DeserializeOwned {
    /// Returns false if a list exceeds its batch limit. The limit keeps handlers from looping for long over one
    /// frame.
    fn within_limits(&self) -> bool;
}

impl Frame for SenderFrame {
    fn within_limits(&self) -> bool {
        match self {
            Self::FilesDone(list) => list.len() <= BATCH,
            Self::Anew(list) => list.len() <= BATCH,
            Self::Changed(list) => list.len() <= BATCH,
            Self::Offer(_)
            | Self::Page(_)
            | Self::ManifestEnd { .. }
            | Self::Begin
            | Self::Finished { .. }
            | Self::Pause
            | Self::Resume
            | Self::Cancel { .. }
            | Self::ResumeOffer(_)
            | Self::Grown { .. }
            | Self::Requested { .. } => true,
        }
    }
}

impl Frame for ReceiverFrame {
    fn within_limits(&self) -> bool {
        match self {
            Self::FilesReceived(list) => list.len() <= BATCH,
            Self::Have(list) => {
                list.len() <= BATCH
                    && list.iter().map(|file| file.segments.len()).sum::<usize>() <= BATCH
                    && list.iter().map(|file| file.hashes.len()).sum::<usize>() <= BATCH
            }
            Self::Select(list) => list.len() <= BATCH,
            Self::Renamed(list) => list.len() <= RENAMED_BATCH,
            Self::NeedManifest
            | Self::Decision(_)
            | Self::Start
            | Self::Progress { .. }
            | Self::Complete { .. }
            | Self::Pause { .. }
            | Self::Resume
            | Self::Cancel { .. }
            | Self::Room { .. } => true,
        }
    }
}

/// Encodes a frame of this side.
///
/// # Errors
/// Returns an error if the frame exceeds [`MAX_FRAME`], which is a bug of the caller.
pub fn encode<F: Frame>(frame: &F) -> Result<Vec<u8>, Violation> {
    let bytes = postcard::to_stdvec(frame).map_err(|error| Violation(format!("a frame does not encode: {error}")))?;
    if bytes.len() > MAX_FRAME {
        return violation("a frame of our own is too long");
    }
    Ok(bytes)
}

/// Decodes a frame of the peer.
///
/// # Errors
/// Returns a violation if the frame is too long, does not decode, has bytes left over, or holds a list that is too
/// long.
pub fn decode<F: Frame>(bytes: &[u8]) -> Result<F, Violation> {
    if bytes.len() > MAX_FRAME {
        return violation("control frame too long");
    }
    let (frame, rest) = postcard::take_from_bytes::<F>(bytes)
        .map_err(|error| Violation(format!("control frame malformed: {error}")))?;
    if !rest.is_empty() {
        return violation("bytes after a control frame");
    }
    if !frame.within_limits() {
        return violation("a list in a control frame is too long");
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::limits::MAX_CODE, *};
    use crate::fs::names::MAX_NAME;

    #[test]
    fn frames_survive_the_wire_and_nothing_may_follow() {
        let frame = SenderFrame::FilesDone(vec![FileEnd {
            file: 7,
            outcome: SourceOutcome::Sent { root: [3; 32], size: 1 << 40 },
        }]);
        let mut bytes = encode(&frame).unwrap();
        assert_eq!(decode::<SenderFrame>(&bytes).unwrap(), frame);
        bytes.push(0);
        assert!(decode::<SenderFrame>(&bytes).is_err());
        assert!(decode::<SenderFrame>(&[200]).is_err(), "an unknown variant");
    }

    #[test]
    fn full_batches_fit_into_a_frame() {
        let code = Reason::from_code(&"x".repeat(MAX_CODE));
        let received = vec![FileReceived { file: u32::MAX, failure: Some(code) }; BATCH];
        assert!(encode(&ReceiverFrame::FilesReceived(received)).is_ok());
        let done = FileEnd { file: u32::MAX, outcome: SourceOutcome::Sent { root: [255; 32], size: u64::MAX } };
        assert!(encode(&SenderFrame::FilesDone(vec![done; BATCH])).is_ok());
        assert!(encode(&SenderFrame::Anew(vec![u32::MAX; BATCH])).is_ok());
        let mtime = Mtime { secs: i64::MIN, nanos: u32::MAX };
        let changed = ChangedFile { file: u32::MAX, size: u64::MAX, mtime };
        assert!(encode(&SenderFrame::Changed(vec![changed; BATCH])).is_ok());
        let segments = vec![Span { first: u32::MAX - 1, end: u32::MAX }];
        let have = HaveFile { file: u32::MAX, whole: false, segments, hashes: vec![[255; 32]] };
        assert!(encode(&ReceiverFrame::Have(vec![have; BATCH])).is_ok());
        let renamed = Renamed { entry: u32::MAX, name: vec![255; MAX_NAME] };
        assert!(encode(&ReceiverFrame::Renamed(vec![renamed; RENAMED_BATCH])).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(frame) = decode::<SenderFrame>(&bytes) { let _ = encode(&frame); }
            if let Ok(frame) = decode::<ReceiverFrame>(&bytes) { let _ = encode(&frame); }
        }
    }
}
