// Notices that a pairing was ended, and new pairing secrets: the core's vectors, and both sides played here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { x25519 } from '@noble/curves/ed25519.js';
import { equal, hex, Refused, refusal, unhex } from './decoder/bytes.js';
import * as renewal from './decoder/renewal.js';
import { shared } from './decoder/session.js';
import { vectors } from './vectors.js';

const file = vectors('keys/vectors/rotation-1.0.json');
const ERRORS = { x25519: 'weak_key', tag: 'not_proven' };

function error(run) {
  const reason = refusal(run);
  return ERRORS[reason] ?? reason;
}

/** What one side of a vector comes to when it hears this key; `changes` in place of what it should hold. */
function renew(vector, side, theirs, changes = {}) {
  const secret = unhex(vector[side].x25519_secret);
  const own = x25519.getPublicKey(secret);
  return renewal.renewed({
    old: unhex(changes.old_secret ?? vector.old_secret),
    secret,
    theirs,
    offerer: unhex(changes.offerer ?? vector.offerer.endpoint_id),
    answerer: unhex(changes.answerer ?? vector.answerer.endpoint_id),
    offered: side === 'offerer' ? own : theirs,
    answered: side === 'offerer' ? theirs : own,
  });
}

test('accept: both sides make every value of a renewal anew', () => {
  assert.ok(file.accept.length);
  for (const vector of file.accept) {
    const [a, b] = ['offerer', 'answerer'].map((side) => unhex(vector[side].x25519_public));
    assert.equal(hex(x25519.getPublicKey(unhex(vector.offerer.x25519_secret))), hex(a));
    assert.equal(hex(x25519.getPublicKey(unhex(vector.answerer.x25519_secret))), hex(b));
    assert.equal(hex(shared(unhex(vector.offerer.x25519_secret), b)), vector.x25519_result);
    for (const next of [renew(vector, 'offerer', b), renew(vector, 'answerer', a)]) {
      assert.equal(hex(next), vector.new_secret);
      assert.equal(hex(renewal.renewalTag(next, 'answerer')), vector.answer_tag);
      assert.equal(hex(renewal.renewalTag(next, 'offerer')), vector.done_tag);
    }
  }
});

test('reject: every message of a renewal that must not be taken, for its reason', () => {
  const first = file.accept[0];
  assert.ok(file.reject.length > 10);
  for (const { why, message, public: key, tag, with: changes, error: wanted } of file.reject) {
    const hear = {
      offer: () => renew(first, 'answerer', unhex(key), changes),
      answer: () => renewal.checkRenewalTag(renew(first, 'offerer', unhex(key), changes), 'answerer', unhex(tag)),
      done: () => renewal.checkRenewalTag(renew(first, 'answerer', unhex(first.offerer.x25519_public), changes), 'offerer', unhex(tag)),
    }[message];
    assert.equal(error(hear), wanted, `${message}: ${why}`);
  }
});

test('accept and reject: notices', () => {
  assert.ok(file.notices.length && file.reject_notices.length > 10);
  for (const { secrets, keys, by, to, notice } of file.notices) {
    assert.deepEqual(secrets.map((secret) => hex(renewal.noticeKey(unhex(secret)))), keys);
    assert.equal(hex(renewal.notice(keys.map(unhex), unhex(by), unhex(to))), notice);
    for (const secret of secrets) renewal.checkNotice(unhex(notice), [unhex(secret)], unhex(by), unhex(to));
  }
  for (const { why, notice, secrets, by, to } of file.reject_notices) {
    assert.throws(() => renewal.checkNotice(unhex(notice), secrets.map(unhex), unhex(by), unhex(to)), Refused, why);
  }
});

const fill = (byte) => new Uint8Array(32).fill(byte);
const refused = (run, reason) => assert.throws(run, (error) => error instanceof Refused && error.reason === reason);

test('a notice is believed from who held the secret, and from nobody else', () => {
  const secrets = [fill(7), fill(8)];
  const told = renewal.notice(secrets.map(renewal.noticeKey), fill(1), fill(2));
  renewal.checkNotice(told, [fill(8)], fill(1), fill(2));
  refused(() => renewal.checkNotice(told, [fill(9)], fill(1), fill(2)), 'mac');
  refused(() => renewal.checkNotice(told, secrets, fill(2), fill(1)), 'mac');
  refused(() => renewal.checkNotice(told.slice(0, -1), secrets, fill(1), fill(2)), 'form');
  refused(() => renewal.checkNotice(told.slice(0, 1), secrets, fill(1), fill(2)), 'form');
  refused(() => renewal.checkNotice(new Uint8Array(0), secrets, fill(1), fill(2)), 'form');
  refused(() => renewal.checkNotice(renewal.notice(Array(5).fill(fill(7)), fill(1), fill(2)), secrets, fill(1), fill(2)), 'form');
});

test('both sides come to one new secret, and only from the old one', () => {
  const [a, b] = [fill(3), fill(4)];
  const [offered, answered] = [x25519.getPublicKey(a), x25519.getPublicKey(b)];
  const both = { offerer: fill(1), answerer: fill(2), offered, answered };
  const ours = renewal.renewed({ old: fill(7), secret: a, theirs: answered, ...both });
  const theirs = renewal.renewed({ old: fill(7), secret: b, theirs: offered, ...both });
  assert.ok(equal(ours, theirs));
  renewal.checkRenewalTag(ours, 'answerer', renewal.renewalTag(theirs, 'answerer'));
  refused(() => renewal.checkRenewalTag(ours, 'offerer', renewal.renewalTag(theirs, 'answerer')), 'tag');
  const other = renewal.renewed({ old: fill(8), secret: b, theirs: offered, ...both });
  refused(() => renewal.checkRenewalTag(ours, 'answerer', renewal.renewalTag(other, 'answerer')), 'tag');
});
