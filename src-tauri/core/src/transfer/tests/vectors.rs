//! Sealed segments with fixed keys, as JSON for whoever writes another client. `YONDER_BLESS=1` writes the file anew; a
//! change of it is a change of the protocol.
//!
//! Long segments stand in the file by their length and hash: their plain bytes follow from a rule, and what must be refused
//! is described as edits of what is right.

use serde_json::{Value, json};

use crate::{
    id::TransferId,
    keys::{Context, Key, derive},
    transfer::{
        framing::{ChunkHeader, DataDecoder, LAST, SegmentHeader, StreamHeader, Unit},
        limits::TAG,
        seal::SegmentCipher,
        wire::{Violation, violation},
    },
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/transfer/vectors/segment-1.0.json");

/// Longer ones are told by length and hash.
const SHOWN: usize = 256;

struct Case {
    name: &'static str,
    file: u32,
    start: u64,
    whole: bool,
    chunk: u32,
    length: usize,
}

const CASES: [Case; 5] = [
    Case { name: "one byte", file: 0, start: 0, whole: true, chunk: 256 << 10, length: 1 },
    Case { name: "a short file", file: 3, start: 0, whole: true, chunk: 256 << 10, length: 100 },
    Case {
        name: "the end of a long file",
        file: 70_000,
        start: (2 << 20) * 5_000,
        whole: false,
        chunk: 256 << 10,
        length: 20,
    },
    Case { name: "three chunks", file: 3, start: 2 << 20, whole: false, chunk: 64 << 10, length: (128 << 10) + 9 },
    Case { name: "a whole segment", file: 3, start: 4 << 20, whole: false, chunk: 256 << 10, length: 2 << 20 },
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

/// Byte `i` is `31 * i`, and what that has above eight bits is lost.
fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u8).wrapping_mul(31)).collect()
}

/// Bytes as the file has them: whole if they are few.
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

/// One segment as it travels; and its chunks, sealed a second time as the description has it.
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
    let plain = plain(case.length);
    for (at, piece) in plain.chunks(case.chunk as usize).enumerate() {
        let plain_len = piece.len() as u32;
        let before = at * case.chunk as usize;
        let flags = if before + piece.len() == case.length { LAST } else { 0 };
        let header = ChunkHeader { plain_len, wire_len: plain_len + TAG, flags };
        let offset = case.start + before as u64;
        let mut sealed = [piece, &[0; TAG as usize]].concat();
        cipher.seal(at as u64, offset, &header, &mut sealed).unwrap();
        let nonce: [u8; 12] = [&[flags, 0, 0, 0], (at as u64).to_le_bytes().as_slice()].concat().try_into().unwrap();
        let numbers = (case.file.to_le_bytes(), offset.to_le_bytes(), plain_len.to_le_bytes());
        let data = [&numbers.0[..], &numbers.1, &numbers.2, &[flags]].concat();
        let by_the_book = again.encrypt(&nonce.into(), Payload { msg: piece, aad: &data }).unwrap();
        assert!(sealed == by_the_book, "{}", case.name);
        wire.extend(header.encode());
        wire.extend(&sealed);
        chunks.push(json!({
            "number": at, "offset": offset, "plain_length": plain_len, "flags": flags,
            "nonce": hex(&nonce), "data": hex(&data), "tag": hex(&sealed[piece.len()..]),
        }));
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

/// Segments that are not those of the file any more: each names the one that is edited, and the edits in their order.
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
        one("a compressed chunk", of_short(FIRST + 8, 1)),
        one("a last chunk that does not say so", of_short(FIRST + 8, 2)),
        one("a flag of the chunk that is not known", of_short(FIRST + 8, 4)),
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
        "plain": "byte i is 31 * i modulo 256",
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
    })
}

/// Opens one segment and nothing behind it, as a receiver does.
fn open(root: &Key, mut wire: Vec<u8>) -> Result<(SegmentHeader, Vec<u8>), Violation> {
    let mut decoder = DataDecoder::new(true);
    let (mut found, mut plain) = (None, Vec::new());
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
                plain.extend_from_slice(cipher.open(number, offset, &chunk, bytes)?);
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
        let (header, opened) = open(&root_of(&file), wire.clone()).unwrap();
        assert_eq!((header.file, header.start, header.whole), (case.file, case.start, case.whole));
        assert_eq!(header.commitment.unwrap()[..], unhex(&row["commitment"]));
        assert!(opened == plain(case.length), "{}", case.name);
        assert!(open(&Key::from_bytes([7; 32]), wire).is_err(), "under another root");
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
        assert!(open(&root_of(&file), edited(wire, &row["edits"])).is_err(), "{}", row["why"]);
    }
    for row in file["reject_stream_headers"].as_array().unwrap() {
        assert!(StreamHeader::decode(&unhex(&row["header"]).try_into().unwrap()).is_err(), "{}", row["why"]);
    }
}
