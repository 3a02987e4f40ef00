// The session handshake and sealed frames: docs/protocol.md.

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { timingSafeEqual } from 'node:crypto';
import { concat, derive, equal, Refused, u64, u8, utf8 } from './bytes.js';
import { Reader } from './postcard.js';

export const EXPORTER_LABEL = 'EXPORTER-yonder-session-v1';
const PROLOGUE = utf8('yonder-s');
const VERSION = 1;
const CHACHA20_POLY1305 = 1;
export const FRAME_LIMIT = 8192;

export const TO_RESPONDER = 1;
export const TO_INITIATOR = 2;

/** Kinds of streams, by who opened them. */
export const KIND = { bi_initiator: 1, bi_responder: 2, uni_initiator: 3, uni_responder: 4 };

export function encodeHello({ versions = [VERSION], suites = [CHACHA20_POLY1305], x25519: key, random }) {
  return concat(PROLOGUE, u8(versions.length), Uint8Array.from(versions), u8(suites.length), Uint8Array.from(suites), key, random);
}

function list(reader) {
  const count = reader.u8();
  if (count < 1 || count > 8) throw new Refused('count', `${count}`);
  return [...reader.take(count)];
}

export function decodeHello(frame) {
  if (frame.length > FRAME_LIMIT) throw new Refused('too long');
  const reader = new Reader(frame);
  if (!equal(reader.take(PROLOGUE.length), PROLOGUE)) throw new Refused('prologue');
  const hello = { versions: list(reader), suites: list(reader), x25519: reader.take(32), random: reader.take(32) };
  reader.end();
  return hello;
}

/** What the responder takes of what was offered. */
export function choose({ versions, suites }) {
  if (!versions.includes(VERSION)) throw new Refused('version');
  if (!suites.includes(CHACHA20_POLY1305)) throw new Refused('suite');
  return { version: VERSION, suite: CHACHA20_POLY1305 };
}

export function encodeAck({ version = VERSION, suite = CHACHA20_POLY1305, x25519: key, random }) {
  return concat(u8(version), u8(suite), key, random);
}

export function decodeAck(frame, hello) {
  const reader = new Reader(frame);
  const ack = { version: reader.u8(), suite: reader.u8(), x25519: reader.take(32), random: reader.take(32), tag: reader.take(32) };
  reader.end();
  if (!hello.versions.includes(ack.version) || ack.version !== VERSION) throw new Refused('version');
  if (!hello.suites.includes(ack.suite) || ack.suite !== CHACHA20_POLY1305) throw new Refused('suite');
  return ack;
}

export function shared(secret, theirs) {
  try {
    return x25519.getSharedSecret(secret, theirs);
  } catch {
    throw new Refused('x25519', 'of low order');
  }
}

/** What both sides put into the root; `hello` is its frame and `ack` the frame without its tag. */
export function sessionRoot({ pairingSecret, shared: dh, exporter, initiator, responder, alpn, hello, ack }) {
  return derive('session root', pairingSecret, dh, exporter, initiator, responder, alpn, hello, ack);
}

export const confirmTag = (root, side) => derive('session confirm', root, side);

export function checkTag(root, side, tag) {
  if (tag.length !== 32 || !timingSafeEqual(confirmTag(root, side), tag)) throw new Refused('tag');
}

export const streamKey = (root, kind, index, direction) => derive('session stream', root, u8(kind), u64(index), u8(direction));

export const transferRoot = (root, transfer, attempt, direction) => derive('transfer root', root, transfer, attempt, u8(direction));

/** The frames of one stream in one direction. */
export class Sealed {
  #key;
  #count;

  constructor(key, count = 0) {
    this.#key = key;
    this.#count = count;
  }

  #cipher() {
    return chacha20poly1305(this.#key, concat(new Uint8Array(4), u64(this.#count++)));
  }

  seal(plain) {
    return this.#cipher().encrypt(plain);
  }

  open(sealed) {
    try {
      return this.#cipher().decrypt(sealed);
    } catch {
      throw new Refused('seal');
    }
  }
}
