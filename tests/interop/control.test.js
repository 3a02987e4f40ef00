// Frames of resuming a transfer: the core's vectors, read and written by what the page says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, hex, refusal, unhex } from './decoder/bytes.js';
import * as control from './decoder/control.js';
import { vectors } from './vectors.js';

const file = vectors('transfer/vectors/control-1.0.json');

for (const { name, from, bytes, value } of file.accept) {
  test(`accept: ${name}`, () => {
    assert.deepEqual(control.read(from, unhex(bytes)), value);
    assert.equal(hex(control.write(value)), bytes);
  });
}

// The reasons that the file gives, and what they are called here.
const REASONS = {
  'cut by one byte': 'cut',
  'a byte behind it': 'trailing',
  'an unknown frame': 'unknown',
  'a request without an offer': 'cut',
  'an end that is neither there nor not': 'bool',
  'an entry of an unknown kind': 'unknown',
  'more changes than a frame may hold': 'long',
  'a mode that is neither there nor not': 'bool',
  'more names than a frame may hold': 'long',
  'a claim that is neither whole nor not': 'bool',
  'a list that is longer than the frame': 'cut',
};

for (const { from, why, bytes, then_zeros: zeros = 0 } of file.reject) {
  test(`reject: ${why} (${from})`, () => {
    assert.ok(why in REASONS, 'a reason that is not known here');
    assert.equal(refusal(() => control.read(from, concat(unhex(bytes), new Uint8Array(zeros)))), REASONS[why]);
  });
}
