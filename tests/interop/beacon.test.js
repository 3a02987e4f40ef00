// The vectors of the beacons.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, refusal, unhex } from './decoder/bytes.js';
import { beaconKey, beaconTag, labelText, recognize } from './decoder/beacon.js';
import { vectors } from './vectors.js';

const file = vectors('keys/vectors/beacon-1.0.json');

for (const vector of file.accept) {
  test(`accept: a beacon for ${vector.friends.length} in epoch ${vector.epoch}`, () => {
    const [by, label, beacon] = [vector.by, vector.label, vector.beacon].map(unhex);
    assert.equal(beacon.length, 192);
    assert.equal(labelText(label), vector.label_text);
    for (const friend of vector.friends) {
      const key = beaconKey(unhex(friend.pairing_secret));
      assert.equal(hex(key), friend.key);
      assert.equal(hex(beaconTag(key, vector.epoch, label, by)), friend.tag);
      assert.equal(recognize(beacon, key, vector.epoch, label, by), BigInt(vector.epoch));
      assert.equal(recognize(beacon, key, vector.epoch + 1, label, by), BigInt(vector.epoch));
      // Too late, under another label, of another device, cut.
      const other = label.map((byte) => byte ^ 1);
      assert.equal(refusal(() => recognize(beacon, key, vector.epoch + 2, label, by)), 'stranger');
      assert.equal(refusal(() => recognize(beacon, key, vector.epoch, other, by)), 'stranger');
      assert.equal(refusal(() => recognize(beacon, key, vector.epoch, label, other)), 'stranger');
      assert.equal(refusal(() => recognize(beacon.subarray(8), key, vector.epoch, label, by)), 'length');
    }
    const stranger = beaconKey(new Uint8Array(32));
    assert.equal(refusal(() => recognize(beacon, stranger, vector.epoch, label, by)), 'stranger');
  });
}
