//! Limits of transfers. What a peer announces is checked against them before anything is allocated.

/// Version of the protocol in offers. Offers of another version are declined.
pub const VERSION: u16 = 3;
/// Largest control frame before sealing, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;
/// Most entries of one offer.
pub const MAX_ENTRIES: u32 = 1_000_000;
/// Most pages of one manifest.
pub const MAX_PAGES: u32 = 2048;
/// Most encoded bytes of one manifest. It takes about as much memory at the receiver.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;
/// Encoded bytes that a sender puts into one page; a frame has room for more.
pub const PAGE_BYTES: usize = 48 * 1024;
/// Deepest nesting of folders.
pub const MAX_DEPTH: u16 = 128;
/// Longest path with its separators, in bytes.
pub const MAX_PATH: u32 = 4096;
/// Most top-level names in the summary of an offer.
pub const SHOWN_ROOTS: usize = 20;
/// Most data streams of one transfer.
pub const MAX_STREAMS: u8 = 8;
/// Data streams that a sender opens on a link with a short round trip.
pub const STREAMS: u8 = 4;
/// Most transfers that a device sends in parallel.
pub const MAX_PARALLEL: u8 = 16;
/// Length of a segment in bytes: each starts at a multiple of it, and only the last is shorter. A power of two of
/// BLAKE3 chunks, so that segment hashes merge into the file's hash.
pub const SEGMENT: u64 = 2 * 1024 * 1024;
/// Plain bytes of a sender's chunk before anything is measured, and of one read.
pub const CHUNK: u32 = 256 * 1024;
/// Most plain bytes of a chunk that a sender makes.
pub const MAX_GOOD_CHUNK: u32 = 256 * 1024;
/// Fewest plain bytes of a chunk, unless it is the last of its segment.
pub const MIN_CHUNK: u32 = 64 * 1024;
/// Most plain bytes of a chunk that a receiver accepts.
pub const MAX_CHUNK: u32 = 2 * 1024 * 1024;
/// Bytes that sealing adds to a chunk.
pub const TAG: u32 = 16;
/// Most names in one `Renamed` frame: the longest names fit.
pub const RENAMED_BATCH: usize = 240;
/// Most files in one batch frame.
pub const BATCH: usize = 1024;
/// Most open offers and transfers of one device.
pub const MAX_OPEN_PER_DEVICE: usize = 32;
/// Most bytes of the manifests of one device's accepted transfers. Above it the device may offer nothing until some
/// have ended. They are stored in the staging directories.
pub const MAX_LISTS: u64 = 64 * 1024 * 1024;
/// Bytes that a receiver leaves free on the volume, beyond the offer.
pub const SPACE_RESERVE: u64 = 8 * 1024 * 1024;
/// Longest reason code, in bytes.
pub const MAX_CODE: usize = 32;
/// Offers that a device may make at once after a quiet time.
pub const OFFER_BURST: f64 = 100.0;
/// Offers a second that a device may make in the long run.
pub const OFFER_RATE: f64 = 2.0;
/// Most entries that a person may choose one by one; a folder includes its content.
pub const MAX_CHOSEN: usize = 10_000;
/// Most pauses and resumes of one side within one attempt.
pub const MAX_PAUSES: u16 = 1000;
