// The vectors of the rendezvous by two words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { hex, refusal, unhex } from './decoder/bytes.js';
import * as rendezvous from './decoder/rendezvous.js';
import { vectors } from './vectors.js';

const file = vectors('pairing/vectors/rendezvous-1.0.json');

test('the numbers of the file are those that are described', () => {
  const { version, m, t, p, dkLen } = rendezvous.STRETCH;
  assert.deepEqual(file.argon2id, { version, memory_kib: m, passes: t, lanes: p, length: dkLen });
  assert.equal(file.epoch_seconds, rendezvous.EPOCH_SECONDS);
});

for (const vector of file.keys) {
  test(`accept: the key of ${vector.words} in epoch ${vector.epoch}`, () => {
    assert.equal(hex(rendezvous.salt(vector.epoch)), vector.salt);
    const key = rendezvous.rendezvousKey(vector.words, vector.epoch);
    assert.equal(hex(key.seed), vector.seed);
    assert.equal(hex(key.public), vector.public_key);
    assert.equal(rendezvous.z32(key.public), vector.z32);
  });
}

for (const vector of file.records) {
  test(`accept: the record with ${vector.relay}`, () => {
    const packet = unhex(vector.packet);
    const record = rendezvous.readRecord(packet);
    assert.equal(hex(record.key), hex(ed25519.getPublicKey(unhex(vector.seed))));
    assert.equal(hex(record.endpoint), vector.endpoint_id);
    assert.equal(record.relay, vector.relay);
    assert.equal(record.time, BigInt(vector.time));
    assert.equal(hex(rendezvous.writeRecord(unhex(vector.seed), record)), vector.packet);
    for (let at = 0; at < packet.length; at++) {
      const changed = packet.map((byte, place) => (place === at ? byte ^ 1 : byte));
      assert.notEqual(refusal(() => rendezvous.readRecord(changed)), 'accepted', `byte ${at}`);
    }
  });
}

// The reasons that the file gives, and what they are called here.
const REASONS = {
  'no relay': 'missing',
  'no device': 'missing',
  'two relays': 'field',
  'an unknown field': 'field',
  'a relay with a path': 'relay',
  'a relay with a name and a word': 'relay',
  'another name': 'name',
};

test('reject: a relay that is longer than a record can hold', () => {
  const record = { endpoint: unhex(file.records[0].endpoint_id), time: 1n };
  const of = (length) => rendezvous.writeRecord(new Uint8Array(32).fill(9), { ...record, relay: `https://${'a'.repeat(length - 9)}/` });
  assert.equal(refusal(() => rendezvous.readRecord(of(240))), 'accepted');
  assert.equal(refusal(() => rendezvous.readRecord(of(241))), 'relay');
});

for (const { packet, why } of file.refused) {
  test(`reject: ${why}`, () => {
    assert.ok(why in REASONS, 'a reason that is not known here');
    rendezvous.openPacket(unhex(packet));
    assert.equal(refusal(() => rendezvous.readRecord(unhex(packet))), REASONS[why]);
  });
}
