// Sealed segments of files: docs/protocol-transfer.md, "Data streams".

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { timingSafeEqual } from 'node:crypto';
import { concat, derive, Refused, u32, u64, u8 } from './bytes.js';
import { Reader } from './postcard.js';

export const SEGMENT = 2 << 20;
const SEGMENTS_MAX = 2 ** 32 - 2;
const CHUNK_MIN = 64 << 10;
const CHUNK_MAX = 2 << 20;
const TAG = 16;
const WHOLE_FILE = 1;
const LAST = 2;

export const segmentKey = (root, file, start) => derive('transfer segment', root, u32(file), u64(start));
export const commitment = (key) => derive('transfer commitment', key);

export const header = ({ version = 1, suite, transfer, attempt }) => concat(u8(version), u8(suite), transfer, attempt);

/** Nonce and authenticated data of a chunk. */
export function chunkInputs(file, offset, length, flags, number) {
  return { nonce: concat(u8(flags & LAST), new Uint8Array(3), u64(number)), data: concat(u32(file), u64(offset), u32(length), u8(flags)) };
}

function cipher(key, file, offset, length, flags, number) {
  const { nonce, data } = chunkInputs(file, offset, length, flags, number);
  return chacha20poly1305(key, nonce, data);
}

const little = (reader, count) => Buffer.from(reader.take(count)).readUIntLE(0, count);

/** The header of a data stream. */
export function readHeader(bytes, suite) {
  const reader = new Reader(bytes);
  if (reader.u8() !== 1) throw new Refused('version');
  if (reader.u8() !== suite) throw new Refused('suite');
  const stream = { transfer: reader.take(16), attempt: reader.take(16) };
  reader.end();
  return stream;
}

/** A segment as it travels; `chunk` is how many plain bytes a chunk has. */
export function sealSegment({ root, file, start, plain, whole, chunk = 256 << 10 }) {
  const key = segmentKey(root, file, start);
  const parts = [u32(file), u64(start), u32(plain.length), u8(whole ? WHOLE_FILE : 0), commitment(key)];
  for (let at = 0, number = 0; at < plain.length; number++) {
    const piece = plain.slice(at, at + chunk);
    const flags = at + piece.length === plain.length ? LAST : 0;
    const sealed = cipher(key, file, start + at, piece.length, flags, number).encrypt(piece);
    parts.push(u32(piece.length), u32(sealed.length), u8(flags), sealed);
    at += piece.length;
  }
  return concat(...parts);
}

/** Opens one sealed segment that has nothing behind it. */
export function openSegment(root, bytes) {
  const reader = new Reader(bytes);
  const [file, start, length, flags] = [little(reader, 4), Number(Buffer.from(reader.take(8)).readBigUInt64LE()), little(reader, 4), reader.u8()];
  const misplaced = start % SEGMENT || start / SEGMENT >= SEGMENTS_MAX;
  if (misplaced || length < 1 || length > SEGMENT) throw new Refused('place', `${length} bytes at ${start}`);
  if (flags & ~WHOLE_FILE) throw new Refused('flags', `${flags} of a segment`);
  const key = segmentKey(root, file, start);
  if (!timingSafeEqual(commitment(key), reader.take(32))) throw new Refused('commitment');
  const plain = [];
  let offset = 0;
  for (let number = 0; offset < length; number++) {
    const piece = openChunk(reader, key, { file, start, offset, length, number });
    plain.push(piece);
    offset += piece.length;
  }
  reader.end();
  return { file, start, whole: flags === WHOLE_FILE, plain: concat(...plain) };
}

function openChunk(reader, key, { file, start, offset, length, number }) {
  const [plainLength, wireLength, flags] = [little(reader, 4), little(reader, 4), reader.u8()];
  const last = offset + plainLength === length;
  if (plainLength < (last ? 1 : CHUNK_MIN) || plainLength > CHUNK_MAX || offset + plainLength > length) throw new Refused('length');
  if (wireLength !== plainLength + TAG) throw new Refused('length');
  if (flags !== (last ? LAST : 0)) throw new Refused('flags', `${flags} of a chunk`);
  const sealed = reader.take(wireLength);
  try {
    return cipher(key, file, start + offset, plainLength, flags, number).decrypt(sealed);
  } catch {
    throw new Refused('seal');
  }
}

