// Sealed segments of files: the form that the core's own tests fix, and both sides played here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blake3 } from '@noble/hashes/blake3.js';
import { concat, equal, hex, Refused, utf8 } from './bytes.js';
import * as transfer from './transfer.js';

const fill = (byte) => new Uint8Array(32).fill(byte);
const root = fill(6);
const refusal = (run) => {
  try {
    run();
  } catch (error) {
    if (error instanceof Refused) return error.reason;
    throw error;
  }
  return 'accepted';
};
const bytes = (count) => Uint8Array.from({ length: count }, (_, at) => (at * 31) & 0xff);
const HEAD = 17;
const COMMITMENT = 32;
const CHUNK_HEAD = 9;

test('accept: one chunk and its commitment are the bytes that transfer/seal.rs holds fast', () => {
  const segment = transfer.sealSegment({ root: new Uint8Array(32).fill(8), file: 3, start: 0, plain: utf8('hello') });
  const [commitment, sealed] = [segment.slice(HEAD, HEAD + COMMITMENT), segment.slice(HEAD + COMMITMENT + CHUNK_HEAD)];
  assert.equal(hex(blake3(concat(sealed, commitment))), '8778c9ff5b11816157ae70eb36860b516b4aa12c1edefff0c3dffe523058b28d');
});

test('a segment opens as it was', () => {
  for (const length of [1, 256 << 10, (256 << 10) + 1, transfer.SEGMENT]) {
    const start = 2 * transfer.SEGMENT;
    const opened = transfer.openSegment(root, transfer.sealSegment({ root, file: 3, start, plain: bytes(length) }));
    assert.deepEqual({ ...opened, plain: hex(opened.plain.slice(-9)) }, { file: 3, start, whole: false, plain: hex(bytes(length).slice(-9)) });
    assert.ok(equal(opened.plain, bytes(length)));
  }
});

test('changed, cut, swapped, repeated and misplaced chunks are refused', () => {
  const plain = bytes(192 << 10);
  const sealed = transfer.sealSegment({ root, file: 3, start: 0, plain, whole: true, chunk: 64 << 10 });
  const change = (at, by = 1) => refusal(() => transfer.openSegment(root, sealed.map((byte, place) => (place === at ? byte ^ by : byte))));
  const first = HEAD + COMMITMENT;
  const chunk = CHUNK_HEAD + (64 << 10) + 16;
  assert.equal(refusal(() => transfer.openSegment(root, sealed)), 'accepted');
  assert.equal(change(0), 'commitment', 'the file');
  assert.equal(change(4), 'place');
  assert.equal(change(6, 0x20), 'commitment', 'the segment');
  assert.equal(change(12), 'flags', 'how long the segment is');
  assert.equal(change(16, 2), 'flags', 'of the segment');
  assert.equal(change(HEAD), 'commitment');
  assert.equal(change(first + 8), 'flags', 'compressed');
  assert.equal(change(first + 8, 2), 'flags', 'last');
  assert.equal(change(first + CHUNK_HEAD), 'seal');
  assert.equal(change(sealed.length - 1), 'seal');
  assert.equal(refusal(() => transfer.openSegment(root, sealed.slice(0, -1))), 'cut');
  assert.equal(refusal(() => transfer.openSegment(fill(7), sealed)), 'commitment');
  const swapped = sealed.slice();
  swapped.set(sealed.slice(first, first + chunk), first + chunk);
  swapped.set(sealed.slice(first + chunk, first + 2 * chunk), first);
  assert.equal(refusal(() => transfer.openSegment(root, swapped)), 'seal');
  const repeated = sealed.slice();
  repeated.set(sealed.slice(first, first + chunk), first + chunk);
  assert.equal(refusal(() => transfer.openSegment(root, repeated)), 'seal');
});
