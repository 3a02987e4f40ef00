// The session handshake and sealed frames, both sides played here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { x25519 } from '@noble/curves/ed25519.js';
import { concat, equal, hex, Refused } from './bytes.js';
import * as session from './session.js';

const fill = (byte, count = 32) => new Uint8Array(count).fill(byte);
const refused = (run, reason) => assert.throws(run, (error) => error instanceof Refused && error.reason === reason);

const SURROUNDINGS = {
  pairingSecret: fill(7),
  exporter: fill(5),
  initiator: fill(1),
  responder: fill(2),
  alpn: 'message/1.0',
};

/** Both sides' roots; what either knows may differ from the other, and the wire may change a message. */
function handshake({ initiator = {}, responder = {}, wire = (message) => message } = {}) {
  const [a, b] = [fill(3), fill(4)];
  const hello = session.encodeHello({ x25519: x25519.getPublicKey(a), random: fill(8) });
  const heard = wire(hello, 'hello');
  const offered = session.decodeHello(heard);
  const head = session.encodeAck({ ...session.choose(offered), x25519: x25519.getPublicKey(b), random: fill(9) });
  const theirs = session.sessionRoot({ ...SURROUNDINGS, ...responder, shared: session.shared(b, offered.x25519), hello: heard, ack: head });
  const answer = wire(concat(head, session.confirmTag(theirs, 'responder')), 'ack');
  const ack = session.decodeAck(answer, session.decodeHello(hello));
  const own = session.sessionRoot({ ...SURROUNDINGS, ...initiator, shared: session.shared(a, ack.x25519), hello, ack: answer.slice(0, -32) });
  session.checkTag(own, 'responder', ack.tag);
  session.checkTag(theirs, 'initiator', wire(session.confirmTag(own, 'initiator'), 'confirm'));
  return { own, theirs };
}

test('both sides come to one root', () => {
  const { own, theirs } = handshake();
  assert.ok(equal(own, theirs));
});

test('whatever differs between the two sides is refused', () => {
  for (const change of [{ pairingSecret: fill(0) }, { exporter: fill(0) }, { initiator: fill(0) }, { responder: fill(0) }, { alpn: 'transfer/1.0' }]) {
    refused(() => handshake({ responder: change }), 'tag');
    refused(() => handshake({ initiator: change }), 'tag');
  }
});

test('every byte of every message is covered', () => {
  for (const [which, length] of [['hello', 76], ['ack', 98], ['confirm', 32]]) {
    for (let at = 0; at < length; at++) {
      const wire = (message, name) => (name === which ? message.map((byte, place) => (place === at ? byte ^ 0x01 : byte)) : message);
      assert.throws(() => handshake({ wire }), Refused, `${which}, byte ${at}`);
    }
  }
});

test('a message of another length, a weak key and a tag sent back are refused', () => {
  const hello = session.encodeHello({ x25519: fill(9), random: fill(8) });
  assert.equal(hello.length, 76);
  refused(() => session.decodeHello(hello.slice(0, -1)), 'cut');
  refused(() => session.decodeHello(concat(hello, fill(0, 1))), 'trailing');
  refused(() => session.decodeHello(fill(0, 8193)), 'too long');
  refused(() => session.decodeHello(session.encodeHello({ versions: [], x25519: fill(9), random: fill(8) })), 'count');
  refused(() => session.decodeHello(session.encodeHello({ suites: Array(9).fill(1), x25519: fill(9), random: fill(8) })), 'count');
  refused(() => session.choose({ versions: [2], suites: [1] }), 'version');
  refused(() => session.choose({ versions: [1], suites: [2] }), 'suite');
  refused(() => session.shared(fill(3), fill(0)), 'x25519');
  refused(() => session.checkTag(fill(6), 'initiator', session.confirmTag(fill(6), 'responder')), 'tag');
});

test('keys of streams differ by kind, index and direction', () => {
  const keys = new Set();
  for (const kind of Object.values(session.KIND)) {
    for (const index of [0, 1, 256]) {
      for (const direction of [session.TO_RESPONDER, session.TO_INITIATOR]) keys.add(hex(session.streamKey(fill(6), kind, index, direction)));
    }
  }
  assert.equal(keys.size, 24);
});

test('frames open in their order, once, and unchanged', () => {
  const [sealer, opener] = [new session.Sealed(fill(6)), new session.Sealed(fill(6))];
  const [first, second] = [sealer.seal(fill(1, 5)), sealer.seal(fill(0, 0))];
  assert.equal(second.length, 16);
  refused(() => new session.Sealed(fill(6)).open(second), 'seal');
  assert.ok(equal(opener.open(first), fill(1, 5)));
  refused(() => opener.open(first), 'seal');
});
