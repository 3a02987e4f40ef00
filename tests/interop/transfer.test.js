// Sealed segments of files: the core's vectors, the form that one of its tests fixes, and both sides played here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { blake3 } from '@noble/hashes/blake3.js';
import { concat, equal, hex, refusal, unhex, utf8 } from './decoder/bytes.js';
import { transferRoot } from './decoder/session.js';
import * as transfer from './decoder/transfer.js';
import { vectors } from './vectors.js';

const file = vectors('transfer/vectors/segment-1.0.json');

const fill = (byte) => new Uint8Array(32).fill(byte);
const root = fill(6);
const bytes = (count) => Uint8Array.from({ length: count }, (_, at) => (at * 31) & 0xff);
const HEAD = 17;
const COMMITMENT = 32;
const CHUNK_HEAD = 9;

test('the root and the header of a stream', () => {
  const [id, attempt] = [unhex(file.transfer), unhex(file.attempt)];
  assert.equal(hex(transferRoot(unhex(file.session_root), id, attempt, file.direction)), file.root);
  assert.equal(hex(transfer.header({ suite: 1, transfer: id, attempt })), file.stream_header);
  assert.equal(hex(transfer.readHeader(unhex(file.stream_header), 1).attempt), file.attempt);
  assert.ok(file.reject_stream_headers.length);
  for (const { why, header } of file.reject_stream_headers) {
    assert.equal(refusal(() => transfer.readHeader(unhex(header), 1)), 'version', why);
  }
});

/** The bytes of a vector: those of the rule, and zeros where a chunk is a hole. */
function plainOf({ start, plain_length: length, chunks }) {
  const plain = bytes(length);
  for (const chunk of chunks) if (chunk.flags & 4) plain.fill(0, chunk.offset - start, chunk.offset - start + chunk.plain_length);
  return plain;
}

function made(vector) {
  const { file: number, start, whole, chunk, chunks } = vector;
  const forms = chunks.map(({ flags, deflated }) => (flags & 4 ? { zeros: true } : deflated ? { deflated: unhex(deflated) } : {}));
  return transfer.sealSegment({ root: unhex(file.root), file: number, start, plain: plainOf(vector), whole, chunk, forms });
}

for (const vector of file.accept) {
  test(`accept: ${vector.name}`, () => {
    const key = transfer.segmentKey(unhex(file.root), vector.file, vector.start);
    assert.equal(hex(key), vector.key);
    assert.equal(hex(transfer.commitment(key)), vector.commitment);
    const wire = made(vector);
    if (vector.wire.bytes) assert.equal(hex(wire), vector.wire.bytes);
    else assert.deepEqual({ length: wire.length, blake3: hex(blake3(wire)) }, vector.wire);
    let end = HEAD + COMMITMENT;
    for (const { number, offset, plain_length: length, flags, nonce, data, tag, deflated } of vector.chunks) {
      const inputs = transfer.chunkInputs(vector.file, offset, length, flags, number);
      assert.deepEqual({ nonce: hex(inputs.nonce), data: hex(inputs.data) }, { nonce, data });
      assert.equal(flags & 1, deflated ? 1 : 0);
      end += CHUNK_HEAD + (flags & 4 ? 0 : deflated ? deflated.length / 2 : length) + 16;
      assert.equal(hex(wire.slice(end - 16, end)), tag);
    }
    assert.equal(end, wire.length);
    const opened = transfer.openSegment(unhex(file.root), wire);
    assert.ok(equal(opened.plain, plainOf(vector)));
    const compressed = vector.chunks.some(({ flags }) => flags & 1);
    assert.equal(refusal(() => transfer.openSegment(unhex(file.root), wire, false)), compressed ? 'flags' : 'accepted');
    assert.deepEqual([opened.file, opened.start, opened.whole], [vector.file, vector.start, vector.whole]);
  });
}

// The reasons that the file gives, and what they are called here.
const REASONS = {
  'another file': 'commitment',
  'a start within a segment': 'place',
  'the start of another segment': 'commitment',
  'a start beyond every file': 'place',
  'a segment that is longer than it says': 'length',
  'a segment of no bytes': 'place',
  'a segment of 4 GiB': 'place',
  'a flag of the segment that is not known': 'flags',
  'first bit of the commitment': 'commitment',
  'last bit of the commitment': 'commitment',
  'a chunk of no bytes': 'length',
  'a chunk that is longer than its segment': 'length',
  'a chunk that is shorter on the wire than it must be': 'length',
  'a chunk of 4 GiB on the wire': 'length',
  'a chunk as it is that says that it is compressed': 'length',
  'a chunk as it is that says that it is zeros': 'length',
  'a last chunk that does not say so': 'flags',
  'a flag of the chunk that is not known': 'flags',
  'first bit of the data': 'seal',
  'last bit of the tag': 'seal',
  'cut by one byte': 'cut',
  "cut within the chunk's header": 'cut',
  "cut within the segment's header": 'cut',
  'the first two chunks changed over': 'seal',
  'the first chunk twice': 'seal',
  'the last bit of the second chunk': 'seal',
  'the last chunk is missing': 'cut',
  'the second chunk as the last, and the segment shorter': 'seal',
  'a first chunk of less than 64 KiB': 'length',
};

// Likewise, of segments whose seals are right.
const MISTAKES = {
  'a bomb: more than was announced': 'inflate',
  'one byte more than was announced': 'inflate',
  'one byte less than was announced': 'inflate',
  'a byte behind what is compressed': 'inflate',
  'the end of what is compressed is missing': 'inflate',
  'what is said to be compressed is not': 'inflate',
  'compressed to as much as it was': 'length',
  'compressed to nothing': 'length',
  'compressed, and not offered so': 'flags',
  'zeros with a byte': 'length',
  'zeros with all of their bytes': 'length',
  'zeros that are compressed': 'flags',
  'a hole of less than 64 KiB before another chunk': 'length',
  'a last hole that does not say so': 'flags',
};

/** Edits in their order; what is copied comes from the segment as it was. */
function edited(right, edits) {
  let wire = right.slice();
  for (const edit of edits) {
    if ('set' in edit) wire.set(unhex(edit.bytes), edit.set);
    else if ('copy' in edit) wire.set(right.slice(edit.copy, edit.copy + edit.length), edit.to);
    else wire = wire.slice(0, edit.cut);
  }
  return wire;
}

for (const { why, of, edits } of file.reject) {
  test(`reject: ${why}`, () => {
    assert.ok(why in REASONS, 'a reason that is not known here');
    const wire = edited(made(file.accept.find(({ name }) => name === of)), edits);
    assert.equal(refusal(() => transfer.openSegment(unhex(file.root), wire)), REASONS[why]);
  });
}

for (const { why, compress, chunks } of file.reject_sealed) {
  test(`reject: ${why}`, () => {
    assert.ok(why in MISTAKES, 'a reason that is not known here');
    const sealed = chunks.map(({ plain_length: length, flags, body }) => ({ length, flags, body: unhex(body) }));
    const wire = transfer.sealChunks({ root: unhex(file.root), file: 3, start: 0, whole: true, chunks: sealed });
    assert.equal(refusal(() => transfer.openSegment(unhex(file.root), wire, compress)), MISTAKES[why]);
  });
}

test('what is compressed by this program opens, whatever it compresses', () => {
  for (const plain of [bytes(70_000), new Uint8Array(transfer.SEGMENT), utf8('the same again and again. '.repeat(40))]) {
    const deflated = deflateRawSync(plain);
    const wire = transfer.sealSegment({ root, file: 3, start: 0, plain, whole: true, chunk: transfer.SEGMENT, forms: [{ deflated }] });
    assert.ok(equal(transfer.openSegment(root, wire).plain, plain));
  }
});

test('accept: one chunk and its commitment are the bytes that transfer/protocol/cipher.rs pins', () => {
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
  assert.equal(change(first + 8), 'length', 'compressed');
  assert.equal(change(first + 8, 4), 'length', 'zeros');
  assert.equal(change(first + 8, 8), 'flags');
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
