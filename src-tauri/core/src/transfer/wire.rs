//! The frames of the control stream. Pure: bytes in, values out.
//!
//! Each frame is one postcard value, at most [`MAX_FRAME`] long, inside one sealed frame of the session. A frame that
//! does not decode, or that has bytes left over, is a violation; there are no optional fields, a later protocol has a
//! later version number.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::limits::{BATCH, MAX_CODE, MAX_FRAME, RENAMED_BATCH};

/// The peer did what the protocol forbids. The text is for the log and for developers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// A violation with this text.
pub(crate) fn violation<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(text.into()))
}

/// Why something ended: a short word of small letters, digits and underscores, so that a later version may add some.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(String);

impl Code {
    /// A code of our own; the text must be of the form, or `other` stands in.
    pub fn new(text: &str) -> Self {
        Self::try_from(text.to_owned()).unwrap_or_else(|_| Self("other".into()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Code {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=MAX_CODE).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits { Ok(Self(text)) } else { Err("a code is 1 to 32 of a-z, 0-9 and _") }
    }
}

impl From<Code> for String {
    fn from(code: Code) -> String {
        code.0
    }
}

/// A point in time as file systems keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtime {
    /// Seconds since 1970, negative before.
    pub secs: i64,
    /// Nanoseconds, under 10^9.
    pub nanos: u32,
}

/// What the sender proposes, in one frame; the manifest follows when the receiver asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The protocol's version.
    pub version: u16,
    /// Chosen by the sender, kept over all attempts.
    pub transfer: [u8; 16],
    /// Fresh for each attempt: no key of an earlier one is ever used again.
    pub attempt: [u8; 16],
    /// Files and folders.
    pub entries: u32,
    /// Files alone.
    pub files: u32,
    /// Sum of the files' sizes.
    pub total: u64,
    /// Names at the top, 20 at most.
    pub roots: Vec<Vec<u8>>,
    /// How many entries are at the top.
    pub root_count: u32,
    /// How many things the sender leaves out: links, special files, what it may not read.
    pub skipped: u32,
    /// Pages of the manifest.
    pub pages: u32,
    /// Chunks may be compressed.
    pub compress: bool,
    /// Chunks are sealed.
    pub encrypt: bool,
}

/// A file or a folder of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 0 for the top, else one more than the index of a folder that came before.
    pub parent: u32,
    /// One component: bytes, which need not be UTF-8.
    pub name: Vec<u8>,
    /// When it was changed last.
    pub mtime: Mtime,
    /// What its owner, its group and others may do, as the nine bits of Unix; none where the sender's system has no such.
    pub mode: Option<u16>,
    /// File or folder.
    pub kind: EntryKind,
}

/// File or folder, or a file that is still being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// Its length.
        size: u64,
    },
    /// A regular file whose length is not known yet. It is the only entry of its offer.
    Growing,
}

/// One page of the manifest. Pages are numbered from 0 and come in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Which.
    pub index: u32,
    /// The next entries.
    pub entries: Vec<Entry>,
}

/// The sender's last word on a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnd {
    /// Index of its entry.
    pub file: u32,
    /// How it went.
    pub outcome: SourceOutcome,
}

/// How reading a file went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceOutcome {
    /// All of it has been sent, or was held by the receiver already.
    Sent {
        /// BLAKE3 of the whole file.
        root: [u8; 32],
        /// Its length; must be that of the manifest.
        size: u64,
    },
    /// It is not delivered.
    Failed {
        /// Why.
        code: Code,
    },
}

/// A transfer that was accepted is taken up again: the first frame of a later attempt at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// The protocol's version.
    pub version: u16,
    /// That of the offer.
    pub transfer: [u8; 16],
    /// Fresh, as for an offer.
    pub attempt: [u8; 16],
    /// Hash of the manifest that was accepted, as its `ManifestEnd` gave it.
    pub manifest: [u8; 32],
    /// How many files are not any more what that manifest says; `Changed` frames name them.
    pub changed: u32,
}

/// A file of the source that is not any more what the accepted manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Index of its entry.
    pub file: u32,
    /// Its length now.
    pub size: u64,
    /// When it was changed.
    pub mtime: Mtime,
}

/// From sender to receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SenderFrame {
    /// The first frame.
    Offer(Offer),
    /// A page of the manifest.
    Page(Page),
    /// All pages were sent.
    ManifestEnd {
        /// BLAKE3 of all page frames, one after the other: the manifest's identity when a transfer is taken up again.
        hash: [u8; 32],
    },
    /// Files of which the sender does not honour the receiver's claims, because the source has changed.
    Anew(Vec<u32>),
    /// Data comes now.
    Begin,
    /// Files that are through.
    FilesDone(Vec<FileEnd>),
    /// Every file is through.
    Finished {
        /// How many data streams were opened in this attempt.
        streams: u8,
    },
    /// A person paused it.
    Pause,
    /// A person lets it go on, and asks the receiver to, where a full disk holds it there.
    Resume,
    /// It ends here.
    Cancel {
        /// Why.
        code: Code,
    },
    /// In place of an offer: an accepted transfer is taken up again.
    Again(Again),
    /// Files that have changed since the offer, rising over all such frames; only behind `Again`.
    Changed(Vec<ChangedFile>),
    /// Length of the growing file by now. Nothing of what is new is sent before the receiver has answered `Room`.
    Grown {
        /// Length so far.
        size: u64,
        /// Whether that is all of it.
        ended: bool,
    },
}

/// What to do where a name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conflict {
    /// The new one gets another name.
    KeepBoth,
    /// One that is identical is not sent.
    Skip,
    /// The old one goes to the trash.
    Replace,
}

/// The receiver's decision on an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// Yes.
    Accepted {
        /// All of it; otherwise `Select` frames say which entries.
        all: bool,
        /// What happens where a name is taken; the sender only shows it.
        conflict: Conflict,
    },
    /// No.
    Declined {
        /// Why.
        code: Code,
    },
}

/// Indices from `first` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First index.
    pub first: u32,
    /// One past the last.
    pub end: u32,
}

/// What the receiver holds of a file from an earlier attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveFile {
    /// Index of its entry.
    pub file: u32,
    /// All of it, verified and named: the sender leaves it out and sends no word on it.
    pub whole: bool,
    /// Segments, by their number in the file, rising, not touching. A file of many is named several times.
    pub segments: Vec<Span>,
    /// The hash of each of these segments, in their order, as it was read from the receiver's disk.
    pub hashes: Vec<[u8; 32]>,
}

/// How a file ended at the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReceived {
    /// Index of its entry.
    pub file: u32,
    /// None: verified, durable, under its final name. Else why not.
    pub failure: Option<Code>,
}

/// A file or folder that got another name at the receiver than it has at the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// Index of its entry.
    pub entry: u32,
    /// The name that it has there.
    pub name: Vec<u8>,
}

/// From receiver to sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiverFrame {
    /// Send the pages.
    NeedManifest,
    /// Yes or no.
    Decision(Decision),
    /// Accepted entries, rising over all such frames; only after a decision that is not for all.
    Select(Vec<Span>),
    /// What is held already, rising by file over all such frames.
    Have(Vec<HaveFile>),
    /// Selection and claims are complete.
    Start,
    /// How far it is.
    Progress {
        /// Bytes that are verified and written.
        bytes: u64,
        /// Files that are under their final names.
        files: u32,
    },
    /// Files that ended.
    FilesReceived(Vec<FileReceived>),
    /// Every accepted file ended; the last frame.
    Complete {
        /// Files under their final names.
        files: u32,
        /// Their bytes.
        bytes: u64,
    },
    /// It is held at the receiver, from now on or until the decision.
    Pause {
        /// Why: `paused`, `disk_full`.
        code: Code,
    },
    /// It is not held any more.
    Resume,
    /// It ends here.
    Cancel {
        /// Why.
        code: Code,
    },
    /// Files and folders that got other names.
    Renamed(Vec<Renamed>),
    /// Length up to which the growing file is taken: the answer to each `Grown`, with what that said.
    Room {
        /// The length.
        size: u64,
        /// Whether that is all of it.
        ended: bool,
    },
}

/// A frame of either direction.
pub trait Frame: Serialize + DeserializeOwned {
    /// Lists that are longer than a batch are refused, so that no handler loops for long over one frame.
    fn within_limits(&self) -> bool;
}

impl Frame for SenderFrame {
    fn within_limits(&self) -> bool {
        match self {
            Self::FilesDone(list) => list.len() <= BATCH,
            Self::Anew(list) => list.len() <= BATCH,
            Self::Changed(list) => list.len() <= BATCH,
            _ => true,
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
            _ => true,
        }
    }
}

/// Encodes a frame of our own making.
///
/// # Errors
/// When it is longer than a frame may be, which is a fault of the caller.
pub fn encode<F: Frame>(frame: &F) -> Result<Vec<u8>, Violation> {
    let bytes = postcard::to_stdvec(frame).map_err(|error| Violation(format!("a frame does not encode: {error}")))?;
    if bytes.len() > MAX_FRAME {
        return violation("a frame of our own is too long");
    }
    Ok(bytes)
}

/// Decodes what a peer sent.
///
/// # Errors
/// When it is too long, does not decode, has bytes left over, or holds an overlong list.
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

    use super::{super::limits::MAX_NAME, *};

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
        let code = Code::new(&"x".repeat(MAX_CODE));
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

    #[test]
    fn a_code_is_a_plain_word() {
        assert_eq!(Code::new("disk_full").as_str(), "disk_full");
        for bad in ["", "Disk", "a b", "\u{1b}[2J", &"a".repeat(33)] {
            assert_eq!(Code::new(bad).as_str(), "other");
            let bytes = postcard::to_stdvec(&(3u8, bad)).unwrap();
            assert!(postcard::from_bytes::<(u8, Code)>(&bytes).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(frame) = decode::<SenderFrame>(&bytes) { let _ = encode(&frame); }
            if let Ok(frame) = decode::<ReceiverFrame>(&bytes) { let _ = encode(&frame); }
        }
    }
}
