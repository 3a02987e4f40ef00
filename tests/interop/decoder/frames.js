// The messages of pairing/1.0, both ways: docs/protocol-pairing.md, "Frames".

import { concat, deviceId, equal, Refused, u8, utf8 } from './bytes.js';
import { counted, Reader } from './postcard.js';

export const VERSION = 1;
export const FRAME_LIMIT = 8192;

const array = (count) => ({ read: (reader) => reader.take(count), write: (value) => sized(value, count) });
const byte = (allowed) => ({
  read(reader) {
    const value = reader.u8();
    if (!allowed(value)) throw new Refused('value', `${value}`);
    return value;
  },
  write: u8,
});
const text = { read: (reader) => reader.text(), write: counted };
const bytes = { read: (reader) => reader.counted(), write: counted };

function sized(value, count) {
  if (value.length !== count) throw new Error(`${value.length} bytes in the place of ${count}`);
  return value;
}

const INTRODUCTION = {
  device_id: array(16),
  endpoint_id: array(32),
  name: text,
  device_type: byte((value) => value >= 1 && value <= 4),
  app_version: text,
  protocols: text,
  challenge: array(32),
  x25519: array(32),
};
const introduction = { read: (reader) => readFields(reader, INTRODUCTION), write: (value) => writeFields(value, INTRODUCTION) };

const OUTER = [
  ['JoinHello', { method: byte((value) => value === 1 || value === 2), share: array(32) }],
  ['HostShare', { share: array(32) }],
  ['JoinConfirm', { tag: array(32) }],
  ['HostConfirm', { tag: array(32) }],
  ['Refused', { code: byte((value) => value >= 1 && value <= 9) }],
  ['Sealed', { sealed: bytes }],
];
const INNER = [
  ['JoinInfo', { introduction }],
  ['HostInfo', { introduction, signature: array(64) }],
  ['JoinProof', { signature: array(64) }],
  ['Approve', {}],
  ['Reject', {}],
  ['Prepared', {}],
  ['Committed', {}],
  ['Done', {}],
];

function readFields(reader, fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, form]) => [name, form.read(reader)]));
}

function writeFields(value, fields) {
  return concat(...Object.entries(fields).map(([name, form]) => form.write(value[name])));
}

function readMessage(reader, list) {
  const [kind, fields] = list[reader.variant(list.length)];
  const message = { kind, ...readFields(reader, fields) };
  reader.end();
  return message;
}

function writeMessage({ kind, ...fields }, list) {
  const number = list.findIndex(([name]) => name === kind);
  return concat(u8(number), writeFields(fields, list[number][1]));
}

/** A frame without the length before it. */
export function decodeFrame(frame) {
  if (frame.length === 0) throw new Refused('empty');
  if (frame.length > FRAME_LIMIT) throw new Refused('too long');
  const reader = new Reader(frame);
  const version = reader.u8();
  if (version !== VERSION) throw new Refused('version', `${version}`);
  return readMessage(reader, OUTER);
}

export const encodeFrame = (message) => concat(u8(VERSION), writeMessage(message, OUTER));
export const decodeInner = (plain) => readMessage(new Reader(plain), INNER);
export const encodeInner = (message) => writeMessage(message, INNER);
export const encodeIntroduction = introduction.write;

/** What an introduction says is held against what is known: the connection's key, and our own challenge. */
export function checkIntroduction(said, endpoint, ownChallenge) {
  if (!equal(said.endpoint_id, endpoint)) throw new Refused('identity', 'another endpoint id than the connection has');
  if (!equal(said.device_id, deviceId(endpoint))) throw new Refused('identity', 'the device id does not follow from the key');
  const letters = [...said.name].length;
  if (letters === 0 || letters > 64) throw new Refused('name', `${letters} characters`);
  if (utf8(said.app_version).length > 32 || !/^[A-Za-z0-9.+-]*$/.test(said.app_version)) throw new Refused('app version');
  if (utf8(said.protocols).length > 256 || !/^[A-Za-z0-9./ -]*$/.test(said.protocols)) throw new Refused('protocols');
  if (said.protocols.split(' ').includes('')) throw new Refused('protocols', 'an empty name');
  if (equal(said.challenge, ownChallenge)) throw new Refused('challenge', 'our own');
  return said;
}

/** A name made fit to be shown. */
export function cleanName(name) {
  const shown = [...name.trim()].slice(0, 64).join('') || 'Unnamed device';
  return shown.replace(/[\p{Cc}\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, '\ufffd');
}
