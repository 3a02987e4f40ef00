// Notices that a pairing was ended, and new pairing secrets, both sides played here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { x25519 } from '@noble/curves/ed25519.js';
import { equal, Refused } from './bytes.js';
import * as renewal from './renewal.js';

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
