// The session handshake and sealed frames: the core's vectors, and both sides played here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { x25519 } from '@noble/curves/ed25519.js';
import { concat, equal, hex, Refused, refusal, unhex } from './decoder/bytes.js';
import * as session from './decoder/session.js';
import { vectors } from './vectors.js';

const file = vectors('keys/vectors/session-1.0.json');

// What the file calls a refusal, by what it is called here.
const ERRORS = {
  prologue: 'malformed',
  count: 'malformed',
  cut: 'malformed',
  trailing: 'malformed',
  'too long': 'malformed',
  version: 'version',
  suite: 'suite',
  x25519: 'weak_key',
  tag: 'not_proven',
};

function error(run) {
  const reason = refusal(run);
  return ERRORS[reason] ?? reason;
}

/** What a side of a vector holds, `changes` in place of the right values. */
function holds(vector, changes = {}) {
  const held = {
    pairing_secret: vector.pairing_secret,
    exporter: vector.exporter,
    initiator: vector.initiator.endpoint_id,
    responder: vector.responder.endpoint_id,
    ...changes,
  };
  const { pairing_secret: pairingSecret, exporter, initiator, responder } = Object.fromEntries(Object.entries(held).map(([name, value]) => [name, name === 'alpn' ? value : unhex(value)]));
  return { pairingSecret, exporter, initiator, responder, alpn: changes.alpn ?? vector.alpn };
}

/** The responder hears a hello: the head of its ack, and the root. */
function respond(vector, hello, changes) {
  const offered = session.decodeHello(hello);
  const [secret, random] = [unhex(vector.responder.x25519_secret), unhex(vector.responder.random)];
  const dh = session.shared(secret, offered.x25519);
  const head = session.encodeAck({ ...session.choose(offered), x25519: x25519.getPublicKey(secret), random });
  return { head, dh, root: session.sessionRoot({ ...holds(vector, changes), shared: dh, hello, ack: head }) };
}

/** The initiator hears an ack to the hello of the vector: the root, the responder being proven. */
function conclude(vector, ack, changes) {
  const hello = unhex(vector.hello);
  const heard = session.decodeAck(ack, session.decodeHello(hello));
  const dh = session.shared(unhex(vector.initiator.x25519_secret), heard.x25519);
  const root = session.sessionRoot({ ...holds(vector, changes), shared: dh, hello, ack: ack.slice(0, -32) });
  session.checkTag(root, 'responder', heard.tag);
  return root;
}

test('the file is of the protocol that is described', () => {
  assert.equal(file.protocol, 'session');
  assert.equal(file.version, 1);
  assert.equal(file.exporter_label, session.EXPORTER_LABEL);
});

for (const vector of file.accept) {
  test(`accept: ${vector.name}: every message and every value is made anew`, () => {
    for (const side of ['initiator', 'responder']) {
      assert.equal(hex(x25519.getPublicKey(unhex(vector[side].x25519_secret))), vector[side].x25519_public);
    }
    const hello = unhex(vector.hello);
    const { versions, suites } = session.decodeHello(hello);
    const { x25519_public: key, random } = vector.initiator;
    assert.equal(hex(session.encodeHello({ versions, suites, x25519: unhex(key), random: unhex(random) })), vector.hello);
    const { head, dh, root } = respond(vector, hello);
    assert.equal(hex(dh), vector.x25519_result);
    assert.equal(hex(root), vector.session_root);
    assert.equal(hex(concat(head, session.confirmTag(root, 'responder'))), vector.ack);
    assert.equal(hex(conclude(vector, unhex(vector.ack))), vector.session_root);
    assert.equal(hex(session.confirmTag(root, 'initiator')), vector.confirm);
  });

  test(`accept: ${vector.name}: keys of streams, sealed frames, roots of transfers`, () => {
    const root = unhex(vector.session_root);
    for (const { kind, index, direction, key, frames } of vector.streams) {
      assert.equal(hex(session.streamKey(root, kind, index, direction)), key);
      const [sealer, opener] = [new session.Sealed(unhex(key)), new session.Sealed(unhex(key))];
      for (const { plain, sealed } of frames) {
        assert.equal(hex(sealer.seal(unhex(plain))), sealed);
        assert.equal(hex(opener.open(unhex(sealed))), plain);
      }
    }
    assert.equal(new Set(vector.streams.map(({ kind }) => kind)).size, 4);
    for (const { transfer, attempt, direction, root: wanted } of vector.transfer_roots) {
      assert.equal(hex(session.transferRoot(root, unhex(transfer), unhex(attempt), direction)), wanted);
    }
    assert.equal(vector.transfer_roots.length, 2);
  });
}

test('reject: every message that must not be taken, for its reason', () => {
  const first = file.accept[0];
  assert.ok(file.reject.length > 30);
  for (const { why, side, message, frame, with: changes, error: wanted } of file.reject) {
    const hear = {
      hello: () => respond(first, unhex(frame), changes),
      ack: () => conclude(first, unhex(frame), changes),
      confirm: () => session.checkTag(respond(first, unhex(first.hello), changes).root, 'initiator', unhex(frame)),
    }[message];
    assert.equal(error(hear), wanted, `${message} to the ${side}: ${why}`);
  }
});

test('reject: every frame that must not open', () => {
  assert.ok(file.reject_frames.length > 5);
  for (const { why, key, number, sealed } of file.reject_frames) {
    refused(() => new session.Sealed(unhex(key), number).open(unhex(sealed)), 'seal', why);
  }
});

const fill = (byte, count = 32) => new Uint8Array(count).fill(byte);
const refused = (run, reason, why) => assert.throws(run, (error) => error instanceof Refused && error.reason === reason, why);

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
