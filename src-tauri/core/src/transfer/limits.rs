//! Every number that bounds a transfer. What a peer announces is held against these before anything is allocated.

/// Version of the protocol that an offer names. Another one is declined, never guessed at.
pub const VERSION: u16 = 3;
/// Largest plain control frame.
pub const MAX_FRAME: usize = 64 * 1024;
/// Files and folders of one offer.
pub const MAX_ENTRIES: u32 = 1_000_000;
/// Pages of one manifest.
pub const MAX_PAGES: u32 = 2048;
/// Encoded bytes of one manifest; what a receiver keeps in memory is of the same size.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;
/// Encoded bytes that a sender puts into one page; the frame has room for more.
pub const PAGE_BYTES: usize = 48 * 1024;
/// Bytes of one component of a path.
pub const MAX_NAME: usize = 255;
/// Folders above each other.
pub const MAX_DEPTH: u16 = 128;
/// Bytes of a whole path, separators included.
pub const MAX_PATH: u32 = 4096;
/// Names of the offer's top that the summary shows.
pub const SHOWN_ROOTS: usize = 20;
/// Data streams of one transfer.
pub const MAX_STREAMS: u8 = 8;
/// Data streams that a sender opens.
pub const STREAMS: u8 = 4;
/// Transfers that a device sends at the same time, at most.
pub const MAX_PARALLEL: u8 = 16;
/// A segment is a part of one file that begins at a multiple of this and is at most as long. A power of two of BLAKE3's
/// chunks, so that the hashes of segments merge into the hash of the file.
pub const SEGMENT: u64 = 2 * 1024 * 1024;
/// Plain bytes of a chunk that a sender makes before it has measured anything; and of a piece that is read at once.
pub const CHUNK: u32 = 256 * 1024;
/// Plain bytes of a chunk that a sender makes, at most.
pub const MAX_GOOD_CHUNK: u32 = 256 * 1024;
/// Plain bytes of a chunk, at least, unless it is the last of its segment.
pub const MIN_CHUNK: u32 = 64 * 1024;
/// Plain bytes of a chunk, at most.
pub const MAX_CHUNK: u32 = 2 * 1024 * 1024;
/// Bytes that sealing adds to a chunk.
pub const TAG: u32 = 16;
/// Names of one frame that tells of other names: the longest of them fit into it.
pub const RENAMED_BATCH: usize = 240;
/// Files of one batch frame.
pub const BATCH: usize = 1024;
/// Offers and transfers of one device that may be open at the same time.
pub const MAX_OPEN_PER_DEVICE: usize = 32;
/// Bytes of the lists of one device's accepted transfers, beyond which it may offer nothing new until some have ended. They
/// lie on the disk, beside the unfinished files.
pub const MAX_LISTS: u64 = 64 * 1024 * 1024;
/// Bytes that a receiver leaves free on the volume, beyond the offer.
pub const SPACE_RESERVE: u64 = 8 * 1024 * 1024;
/// Length of a stop code.
pub const MAX_CODE: usize = 32;
/// Offers that a device may make at once after a while of silence.
pub const OFFER_BURST: f64 = 100.0;
/// Offers a second that it may make for ever.
pub const OFFER_RATE: f64 = 2.0;
/// Entries that a person may choose one by one; a folder stands for all that is in it.
pub const MAX_CHOSEN: usize = 10_000;
/// How often one side may pause and resume a transfer within one attempt.
pub const MAX_PAUSES: u16 = 1000;
