//! Test vectors: sealed segments with fixed keys, as JSON for authors of other clients. `YONDER_BLESS=1` writes the
//! file anew; a change of it is a change of the protocol.
//!
//! Long segments are stored by length and hash, because their plain bytes follow a rule. Invalid segments are
//! described as edits of valid ones, or as segments that are sealed correctly but have an invalid content.

use serde_json::{Value, json};

use crate::{
    id::TransferId,
    keys::{Context, Key, derive},
    transfer::protocol::{
        cipher::SegmentCipher,
        compression::Decompressor,
        frames::{Violation, violation},
        framing::{COMPRESSED, ChunkHeader, DataDecoder, LAST, SegmentHeader, StreamHeader, Unit, ZEROS},
        limits::TAG,
        repeats::repeats,
    },
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/transfer/vectors/segment-1.0.json");

/// Most bytes stored literally; longer ones are stored by length and hash.
const SHOWN: usize = 256;

struct Case {
    name: &'static str,
    file: u32,
    start: u64,
    whole: bool,
    chunk: u32,
    length: usize,
    /// Forms of the first chunks, [`COMPRESSED`] or [`ZEROS`]; further chunks are plain.
    forms: &'static [u8],
}

const CASES: [Case; 9] = [
    Case { name: "one byte", file: 0, start: 0, whole: true, chunk: 256 << 10, length: 1, forms: &[] },
    Case { name: "a short file", file: 3, start: 0, whole: true, chunk: 256 << 10, length: 100, forms: &[] },
    Case {
        name: "the end of a long file",
        file: 70_000,
        start: (2 << 20) * 5_000,
        whole: false,
        chunk: 256 << 10,
        length: 20,
        forms: &[],
    },
    Case {
        name: "three chunks",
        file: 3,
        start: 2 << 20,
        whole: false,
        chunk: 64 << 10,
        length: (128 << 10) + 9,
        forms: &[],
    },
    Case {
        name: "a whole segment",
        file: 3,
        start: 4 << 20,
        whole: false,
        chunk: 256 << 10,
        length: 2 << 20,
        forms: &[],
    },
    Case {
        name: "a compressed file",
        file: 5,
        start: 0,
        whole: true,
        chunk: 256 << 10,
        length: 1000,
        forms: &[COMPRESSED],
    },
    Case {
        name: "compressed, zeros, as it is, compressed",
        file: 3,
        start: 6 << 20,
        whole: false,
        chunk: 64 << 10,
        length: (192 << 10) + 1000,
        forms: &[COMPRESSED, ZEROS, 0, COMPRESSED],
    },
    Case {
        name: "a segment of zeros",
        file: 3,
        start: 8 << 20,
        whole: false,
        chunk: 2 << 20,
        length: 2 << 20,
        forms: &[ZEROS],
    },
    Case { name: "a short file of zeros", file: 6, start: 0, whole: true, chunk: 64 << 10, length: 5, forms: &[ZEROS] },
];

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn unhex(value: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn fixed<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&blake3::derive_key("yonder test vectors", name.as_bytes())[..N]);
    bytes
}

/// Returns bytes where byte `i` is `31 * i` modulo 256.
fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u8).wrapping_mul(31)).collect()
}

/// Returns the first `length` bytes of that pattern, compressed.
fn deflated(length: usize) -> Vec<u8> {
    repeats(&plain(256), length)
}

impl Case {
    fn plain(&self) -> Vec<u8> {
        let mut plain = plain(self.length);
        for (piece, form) in plain.chunks_mut(self.chunk as usize).zip(self.forms) {
            if *form == ZEROS {
                piece.fill(0);
            }
        }
        plain
    }
}

/// Returns bytes as JSON: literally if they are few.
fn told(bytes: &[u8]) -> Value {
    if bytes.len() <= SHOWN {
        return json!({ "bytes": hex(bytes) });
    }
    json!({ "length": bytes.len(), "blake3": hex(blake3::hash(bytes).as_bytes()) })
}

fn transfer() -> [u8; 16] {
    *TransferId::from_random(fixed("transfer")).as_bytes()
}

fn root() -> Key {
    let (session, attempt) = (fixed::<32>("session root"), fixed::<16>("attempt"));
    derive(Context::TransferRoot, &[&session, &transfer(), &attempt, &[1]])
}

/// Returns a segment as it travels, and its chunks, sealed a second time according to the specification.
fn segment(case: &Case) -> (Vec<u8>, Vec<Value>) {
    use chacha20poly1305::{
        ChaCha20Poly1305, KeyInit,
        aead::{Aead, Payload},
    };
    let cipher = SegmentCipher::new(&root(), case.file, case.start).unwrap();
    let key =
        derive(Context::TransferSegment, &[root().as_bytes(), &case.file.to_le_bytes(), &case.start.to_le_bytes()]);
    assert_eq!(cipher.commitment(), *derive(Context::TransferCommitment, &[key.as_bytes()]).as_bytes());
    let again = ChaCha20Poly1305::new(key.as_bytes().into());
    let len = u32::try_from(case.length).unwrap();
    let (mut wire, mut chunks) = (Vec::new(), Vec::new());
    let commitment = Some(cipher.commitment());
    SegmentHeader { file: case.file, start: case.start, len, whole: case.whole, commitment }.encode(&mut wire);
    let plain = case.plain();
    for (at, piece) in plain.chunks(case.chunk as usize).enumerate() {
        let plain_len = piece.len() as u32;
        let before = at * case.chunk as usize;
        let form = case.forms.get(at).copied().unwrap_or(0);
        let flags = form | if before + piece.len() == case.length { LAST } else { 0 };
        let body = match form {
            COMPRESSED => deflated(piece.len()),
            ZEROS => Vec::new(),
            _ => piece.to_vec(),
        };
        let header = ChunkHeader { plain_len, wire_len: body.len() as u32 + TAG, flags };
        let offset = case.start + before as u64;
        let mut sealed = [&body[..], &[0; TAG as usize]].concat();
        cipher.seal(at as u64, offset, &header, &mut sealed).unwrap();
        let nonce: [u8; 12] =
            [&[flags & LAST, 0, 0, 0], (at as u64).to_le_bytes().as_slice()].concat().try_into().unwrap();
        let numbers = (case.file.to_le_bytes(), offset.to_le_bytes(), plain_len.to_le_bytes());
        let data = [&numbers.0[..], &numbers.1, &numbers.2, &[flags]].concat();
        let by_the_book = again.encrypt(&nonce.into(), Payload { msg: &body, aad: &data }).unwrap();
        assert!(sealed == by_the_book, "{}", case.name);
        wire.extend(header.encode());
        wire.extend(&sealed);
        let mut chunk = json!({
            "number": at, "offset": offset, "plain_length": plain_len, "flags": flags,
            "nonce": hex(&nonce), "data": hex(&data), "tag": hex(&sealed[body.len()..]),
        });
        if form == COMPRESSED {
            chunk["deflated"] = hex(&body).into();
        }
        chunks.push(chunk);
    }
    (wire, chunks)
}

fn vector(case: &Case) -> Value {
    let (wire, chunks) = segment(case);
    let key =
        derive(Context::TransferSegment, &[root().as_bytes(), &case.file.to_le_bytes(), &case.start.to_le_bytes()]);
    json!({
        "name": case.name,
        "file": case.file,
        "start": case.start,
        "whole": case.whole,
        "chunk": case.chunk,
        "plain_length": case.length,
        "key": hex(key.as_bytes()),
        "commitment": hex(derive(Context::TransferCommitment, &[key.as_bytes()]).as_bytes()),
        "chunks": chunks,
        "wire": told(&wire),
    })
}

/// Returns edits that make segments invalid: each names the edited segment and its edits in order.
fn rejected() -> Vec<Value> {
    const HEAD: usize = 17;
    const FIRST: usize = HEAD + 32;
    const CHUNK_HEAD: usize = 9;
    const CHUNK: usize = CHUNK_HEAD + (64 << 10) + 16;
    let short = segment(&CASES[1]).0;
    let long = segment(&CASES[3]).0;
    let xor = |at: usize, mask: u8, of: &[u8]| json!({ "set": at, "bytes": hex(&[of[at] ^ mask]) });
    let of_short = |at: usize, mask: u8| xor(at, mask, &short);
    let of_long = |at: usize, mask: u8| xor(at, mask, &long);
    let one = |why: &str, edit: Value| json!({ "why": why, "of": "a short file", "edits": [edit] });
    let three = |why: &str, edits: Value| json!({ "why": why, "of": "three chunks", "edits": edits });
    let copy = |from: usize, to: usize, length: usize| json!({ "copy": from, "to": to, "length": length });
    let end = short.len();
    vec![
        one("another file", of_short(0, 1)),
        one("a start within a segment", of_short(4, 1)),
        one("the start of another segment", of_short(6, 0x20)),
        one("a start beyond every file", json!({ "set": 4, "bytes": "0000e0ffffffffff" })),
        one("a segment that is longer than it says", of_short(12, 1)),
        one("a segment of no bytes", json!({ "set": 12, "bytes": "00000000" })),
        one("a segment of 4 GiB", json!({ "set": 12, "bytes": "ffffffff" })),
        one("a flag of the segment that is not known", of_short(16, 2)),
        one("first bit of the commitment", of_short(HEAD, 1)),
        one("last bit of the commitment", of_short(FIRST - 1, 0x80)),
        one("a chunk of no bytes", json!({ "set": FIRST, "bytes": "00000000" })),
        one("a chunk that is longer than its segment", of_short(FIRST, 0x80)),
        one("a chunk that is shorter on the wire than it must be", of_short(FIRST + 4, 1)),
        one("a chunk of 4 GiB on the wire", json!({ "set": FIRST + 4, "bytes": "ffffffff" })),
        one("a chunk as it is that says that it is compressed", of_short(FIRST + 8, 1)),
        one("a chunk as it is that says that it is zeros", of_short(FIRST + 8, 4)),
        one("a last chunk that does not say so", of_short(FIRST + 8, 2)),
        one("a flag of the chunk that is not known", of_short(FIRST + 8, 8)),
        one("first bit of the data", of_short(FIRST + CHUNK_HEAD, 1)),
        one("last bit of the tag", of_short(end - 1, 0x80)),
        one("cut by one byte", json!({ "cut": end - 1 })),
        one("cut within the chunk's header", json!({ "cut": FIRST + 5 })),
        one("cut within the segment's header", json!({ "cut": HEAD - 1 })),
        three(
            "the first two chunks changed over",
            json!([copy(FIRST, FIRST + CHUNK, CHUNK), copy(FIRST + CHUNK, FIRST, CHUNK)]),
        ),
        three("the first chunk twice", json!([copy(FIRST, FIRST + CHUNK, CHUNK)])),
        three("the last bit of the second chunk", json!([of_long(FIRST + 2 * CHUNK - 1, 0x80)])),
        three("the last chunk is missing", json!([{ "cut": FIRST + 2 * CHUNK }])),
        three(
            "the second chunk as the last, and the segment shorter",
            json!([
                { "set": 12, "bytes": hex(&(128_u32 << 10).to_le_bytes()) },
                { "set": FIRST + CHUNK + 8, "bytes": "02" },
                { "cut": FIRST + 2 * CHUNK },
            ]),
        ),
        three(
            "a first chunk of less than 64 KiB",
            json!([{ "set": FIRST, "bytes": "ffff0000" }, { "set": FIRST + 4, "bytes": "0f000100" }]),
        ),
    ]
}

fn all() -> Value {
    let attempt = fixed::<16>("attempt");
    let header = StreamHeader { suite: 1, transfer: transfer(), attempt }.encode();
    json!({
        "protocol": "transfer/1.0",
        "version": 1,
        "plain": "byte i is 31 * i modulo 256, and 0 in chunks of flag 4",
        "session_root": hex(&fixed::<32>("session root")),
        "transfer": hex(&transfer()),
        "attempt": hex(&attempt),
        "direction": 1,
        "root": hex(root().as_bytes()),
        "stream_header": hex(&header),
        "reject_stream_headers": [
            { "why": "version 0", "header": hex(&[&[0], &header[1..]].concat()) },
            { "why": "version 2", "header": hex(&[&[2], &header[1..]].concat()) },
        ],
        "accept": CASES.iter().map(vector).collect::<Vec<_>>(),
        "reject": rejected(),
        "reject_sealed": MISTAKES.iter().map(Mistake::vector).collect::<Vec<_>>(),
    })
}

/// Plain length, flags and bytes of each chunk.
type Chunks = Vec<(u32, u8, Vec<u8>)>;

/// Segment that is sealed correctly and must be refused for its content. Its chunks have the plain length, the flags,
/// and the sealed bytes.
struct Mistake {
    why: &'static str,
    /// True if the offer allowed compression.
    compress: bool,
    chunks: fn() -> Chunks,
}

impl Mistake {
    const fn one(why: &'static str, chunks: fn() -> Chunks) -> Self {
        Self { why, compress: true, chunks }
    }

    fn vector(&self) -> Value {
        let chunks = (self.chunks)();
        let chunks = chunks
            .iter()
            .map(|(length, flags, body)| json!({ "plain_length": length, "flags": flags, "body": hex(body) }));
        json!({ "why": self.why, "compress": self.compress, "chunks": chunks.collect::<Vec<_>>() })
    }

    /// Returns the segment as it travels: the whole file 3.
    fn wire(row: &Value) -> Vec<u8> {
        let chunks = row["chunks"].as_array().unwrap();
        let cipher = SegmentCipher::new(&root(), 3, 0).unwrap();
        let len = chunks.iter().map(|chunk| number(&chunk["plain_length"])).sum::<usize>() as u32;
        let (mut wire, mut offset) = (Vec::new(), 0);
        let commitment = Some(cipher.commitment());
        SegmentHeader { file: 3, start: 0, len, whole: true, commitment }.encode(&mut wire);
        for (at, chunk) in (0..).zip(chunks) {
            let body = unhex(&chunk["body"]);
            let plain_len = number(&chunk["plain_length"]) as u32;
            let flags = number(&chunk["flags"]) as u8;
            let header = ChunkHeader { plain_len, wire_len: body.len() as u32 + TAG, flags };
            let mut sealed = [&body[..], &[0; TAG as usize]].concat();
            cipher.seal(at, offset, &header, &mut sealed).unwrap();
            wire.extend(header.encode());
            wire.extend(sealed);
            offset += u64::from(plain_len);
        }
        wire
    }
}

const MISTAKES: [Mistake; 14] = [
    Mistake::one("a bomb: more than was announced", || vec![(1000, 3, deflated(50_000))]),
    Mistake::one("one byte more than was announced", || vec![(999, 3, deflated(1000))]),
    Mistake::one("one byte less than was announced", || vec![(1001, 3, deflated(1000))]),
    Mistake::one("a byte behind what is compressed", || vec![(1000, 3, [deflated(1000), vec![0]].concat())]),
    Mistake::one("the end of what is compressed is missing", || {
        let mut cut = deflated(1000);
        cut.truncate(cut.len() - 2);
        vec![(1000, 3, cut)]
    }),
    Mistake::one("what is said to be compressed is not", || vec![(1000, 3, vec![0xff; 100])]),
    Mistake::one("compressed to as much as it was", || {
        let small = deflated(1000);
        vec![(small.len() as u32, 3, small)]
    }),
    Mistake::one("compressed to nothing", || vec![(1000, 3, vec![])]),
    Mistake { why: "compressed, and not offered so", compress: false, chunks: || vec![(1000, 3, deflated(1000))] },
    Mistake::one("zeros with a byte", || vec![(1000, 6, vec![0])]),
    Mistake::one("zeros with all of their bytes", || vec![(100, 6, vec![0; 100])]),
    Mistake::one("zeros that are compressed", || vec![(1000, 7, vec![])]),
    Mistake::one("a hole of less than 64 KiB before another chunk", || {
        vec![((64 << 10) - 1, 4, vec![]), (1000, 6, vec![])]
    }),
    Mistake::one("a last hole that does not say so", || vec![(1000, 4, vec![])]),
];

/// Opens one segment, with nothing after it, as a receiver does.
fn open(root: &Key, mut wire: Vec<u8>, compress: bool) -> Result<(SegmentHeader, Vec<u8>), Violation> {
    let mut decoder = DataDecoder::new(true, compress);
    let (mut found, mut plain, mut inflater) = (None, Vec::new(), Decompressor::default());
    decoder.push::<Violation>(&mut wire, &mut |unit| {
        match unit {
            Unit::Segment(header) => {
                let cipher = SegmentCipher::new(root, header.file, header.start)?;
                let Some(commitment) = header.commitment else { return violation("no commitment") };
                cipher.check(&commitment)?;
                found = Some((header, cipher));
            }
            Unit::Chunk(chunk, number, offset, bytes) => {
                let Some((_, cipher)) = &found else { return violation("no segment") };
                let bytes = cipher.open(number, offset, &chunk, bytes)?;
                match chunk.flags & !LAST {
                    COMPRESSED => plain.extend_from_slice(inflater.inflate(bytes, chunk.plain_len)?),
                    ZEROS => plain.resize(plain.len() + chunk.plain_len as usize, 0),
                    _ => plain.extend_from_slice(bytes),
                }
            }
        }
        Ok(())
    })?;
    decoder.finish()?;
    found.map(|(header, _)| (header, plain)).ok_or(Violation("no segment".into()))
}

fn edited(mut wire: Vec<u8>, edits: &Value) -> Vec<u8> {
    let right = wire.clone();
    for edit in edits.as_array().unwrap() {
        if let Some(at) = edit["set"].as_u64() {
            let bytes = unhex(&edit["bytes"]);
            wire[at as usize..][..bytes.len()].copy_from_slice(&bytes);
        } else if let Some(from) = edit["copy"].as_u64() {
            let length = number(&edit["length"]);
            wire[number(&edit["to"])..][..length].copy_from_slice(&right[from as usize..][..length]);
        } else {
            wire.truncate(number(&edit["cut"]));
        }
    }
    assert!(wire != right);
    wire
}

fn read() -> Value {
    serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap()
}

fn root_of(file: &Value) -> Key {
    Key::from_bytes(unhex(&file["root"]).try_into().unwrap())
}

#[test]
fn the_vectors_of_segments_are_reproduced() {
    let now = serde_json::to_string_pretty(&all()).unwrap() + "\n";
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(FILE, &now).unwrap();
    }
    assert!(std::fs::read_to_string(FILE).unwrap() == now, "the vectors changed: files could not be read elsewhere");
}

#[test]
fn the_segments_of_the_file_open() {
    let file = read();
    for (case, row) in CASES.iter().zip(file["accept"].as_array().unwrap()) {
        let (wire, _) = segment(case);
        assert_eq!(told(&wire), row["wire"], "{}", case.name);
        let (header, opened) = open(&root_of(&file), wire.clone(), true).unwrap();
        assert_eq!((header.file, header.start, header.whole), (case.file, case.start, case.whole));
        assert_eq!(header.commitment.unwrap()[..], unhex(&row["commitment"]));
        assert!(opened == case.plain(), "{}", case.name);
        let compressed = case.forms.contains(&COMPRESSED);
        assert_eq!(open(&root_of(&file), wire.clone(), false).is_err(), compressed, "not agreed upon");
        assert!(open(&Key::from_bytes([7; 32]), wire, true).is_err(), "under another root");
    }
}

#[test]
fn the_segments_to_be_refused_are_refused() {
    let file = read();
    let rejected = file["reject"].as_array().unwrap();
    assert!(rejected.len() > 20);
    for row in rejected {
        let case = CASES.iter().find(|case| row["of"] == case.name).unwrap();
        let (wire, _) = segment(case);
        assert!(open(&root_of(&file), edited(wire, &row["edits"]), true).is_err(), "{}", row["why"]);
    }
    let sealed = file["reject_sealed"].as_array().unwrap();
    assert_eq!(sealed.len(), MISTAKES.len());
    for row in sealed {
        let compress = row["compress"].as_bool().unwrap();
        assert!(open(&root_of(&file), Mistake::wire(row), compress).is_err(), "{}", row["why"]);
    }
    // Checks a valid segment: the others must not be refused for their seals.
    let right = json!({ "chunks": [{ "plain_length": 1000, "flags": 3, "body": hex(&deflated(1000)) }] });
    assert!(open(&root_of(&file), Mistake::wire(&right), true).unwrap().1 == plain(1000));
    for row in file["reject_stream_headers"].as_array().unwrap() {
        assert!(StreamHeader::decode(&unhex(&row["header"]).try_into().unwrap()).is_err(), "{}", row["why"]);
    }
}
