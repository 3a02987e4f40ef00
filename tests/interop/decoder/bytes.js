// Bytes, and the two constructions that everything else is made of: LP and D (docs/protocol.md).
//
// This folder is a second reading of the protocols: written from docs/ and the JSON vectors alone, in another language and
// with other libraries, so that a mistake of the core or a gap in its description shows.

import { blake3 } from '@noble/hashes/blake3.js';

const text = new TextEncoder();

/** Something that has to be refused, and the one-word reason why. */
export class Refused extends Error {
  constructor(reason, detail) {
    super(detail ? `${reason}: ${detail}` : reason);
    this.reason = reason;
  }
}

/** Why this is refused, in one word; `accepted` if it is not. */
export function refusal(run) {
  try {
    run();
  } catch (error) {
    if (error instanceof Refused) return error.reason;
    throw error;
  }
  return 'accepted';
}

export const hex = (bytes) => Buffer.from(bytes).toString('hex');

export function unhex(string) {
  if (!/^(?:[0-9a-f]{2})*$/.test(string)) throw new Refused('hex');
  return Uint8Array.from(Buffer.from(string, 'hex'));
}

export const utf8 = (string) => text.encode(string);

/** Text as it must come: UTF-8 without a mistake, and nothing swallowed. */
export function fromUtf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused('utf8');
  }
}

export function concat(...parts) {
  return Uint8Array.from(Buffer.concat(parts));
}

export function equal(a, b) {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export const allZero = (bytes) => bytes.every((byte) => byte === 0);

export const u8 = (value) => Uint8Array.of(value);

export function u32(value) {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value, true);
  return out;
}

export function u64(value) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value), true);
  return out;
}

const bytesOf = (part) => (typeof part === 'string' ? utf8(part) : part);

/** LP(a, b, ..): each part behind its length as u64. */
export function lp(...parts) {
  return concat(...parts.map(bytesOf).flatMap((part) => [u64(part.length), part]));
}

/** The context string behind its short name. */
export const context = (name) => `yonder 2026-11 ${name} v1`;

/** D(context; a, b, ..). */
export function derive(name, ...parts) {
  return blake3(lp(...parts), { context: utf8(context(name)) });
}

/** The device id of an endpoint id: sixteen bytes of a derivation, shaped as a UUIDv8. */
export function deviceId(endpoint) {
  const id = blake3(endpoint, { context: utf8(context('device id')) }).slice(0, 16);
  id[6] = (id[6] & 0x0f) | 0x80;
  id[8] = (id[8] & 0x3f) | 0x80;
  return id;
}
