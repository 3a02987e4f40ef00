// Sealed segments of files: docs/protocol-transfer.md, "Data streams".

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { timingSafeEqual } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { concat, derive, Refused, u32, u64, u8 } from './bytes.js';
import { Reader } from './postcard.js';

export const SEGMENT = 2 << 20;
const SEGMENTS_MAX = 2 ** 32 - 2;
const CHUNK_MIN = 64 << 10;
const CHUNK_MAX = 2 << 20;
const TAG = 16;
const WHOLE_FILE = 1;
const COMPRESSED = 1;
const LAST = 2;
const ZEROS = 4;

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

/** A segment of chunks that are there already: of each the plain length, the flags, and what is sealed. */
export function sealChunks({ root, file, start, whole, chunks }) {
  const key = segmentKey(root, file, start);
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const parts = [u32(file), u64(start), u32(length), u8(whole ? WHOLE_FILE : 0), commitment(key)];
  let at = start;
  chunks.forEach(({ length, flags, body }, number) => {
    const sealed = cipher(key, file, at, length, flags, number).encrypt(body);
    parts.push(u32(length), u32(sealed.length), u8(flags), sealed);
    at += length;
  });
  return concat(...parts);
}

/**
 * A segment as it travels; `chunk` is how many plain bytes a chunk has, and `forms` what some chunks are instead of plain:
 * by their number `{ deflated }`, or `{ zeros: true }`.
 */
export function sealSegment({ root, file, start, plain, whole, chunk = 256 << 10, forms = [] }) {
  const chunks = [];
  for (let at = 0; at < plain.length; at += chunk) {
    const piece = plain.slice(at, at + chunk);
    const { deflated, zeros } = forms[chunks.length] ?? {};
    const last = at + piece.length === plain.length ? LAST : 0;
    const [form, body] = zeros ? [ZEROS, new Uint8Array()] : deflated ? [COMPRESSED, deflated] : [0, piece];
    chunks.push({ length: piece.length, flags: form | last, body });
  }
  return sealChunks({ root, file, start, whole, chunks });
}

/** Opens one sealed segment that has nothing behind it; `compress` is what the offer said. */
export function openSegment(root, bytes, compress = true) {
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
    const piece = openChunk(reader, key, { file, start, offset, length, number, compress });
    plain.push(piece);
    offset += piece.length;
  }
  reader.end();
  return { file, start, whole: flags === WHOLE_FILE, plain: concat(...plain) };
}

function openChunk(reader, key, { file, start, offset, length, number, compress }) {
  const [plainLength, wireLength, flags] = [little(reader, 4), little(reader, 4), reader.u8()];
  const last = offset + plainLength === length;
  if (plainLength < (last ? 1 : CHUNK_MIN) || plainLength > CHUNK_MAX || offset + plainLength > length) throw new Refused('length');
  const form = flags & ~LAST;
  if (form & ~(COMPRESSED | ZEROS) || form === (COMPRESSED | ZEROS)) throw new Refused('flags', `${flags} of a chunk`);
  if (form === COMPRESSED && !compress) throw new Refused('flags', 'compressed, which was not offered');
  if ((flags & LAST) !== (last ? LAST : 0)) throw new Refused('flags', `${flags} of a chunk`);
  const body = wireLength - TAG;
  const fits = form === ZEROS ? body === 0 : form === COMPRESSED ? body > 0 && body < plainLength : body === plainLength;
  if (!fits) throw new Refused('length');
  const opened = unseal(reader.take(wireLength), cipher(key, file, start + offset, plainLength, flags, number));
  return form === ZEROS ? new Uint8Array(plainLength) : form === COMPRESSED ? inflate(opened, plainLength) : opened;
}

function unseal(sealed, cipher) {
  try {
    return cipher.decrypt(sealed);
  } catch {
    throw new Refused('seal');
  }
}

/** Exactly so many bytes, and all of what is there. */
function inflate(bytes, length) {
  let made;
  try {
    made = inflateRawSync(bytes, { maxOutputLength: length, info: true });
  } catch (error) {
    throw new Refused('inflate', error.code);
  }
  if (made.buffer.length !== length) throw new Refused('inflate', 'another length');
  if (made.engine.bytesWritten !== bytes.length) throw new Refused('inflate', 'bytes behind it');
  return new Uint8Array(made.buffer);
}

