// The vectors of pairing/1.0: every accepted run is made anew from its randomness by both sides, and every frame and value has to
// come out the same; every frame that must be refused is refused for its reason.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { deviceId, equal, hex, Refused, refusal, unhex, utf8 } from './decoder/bytes.js';
import { parseCode } from './decoder/code.js';
import * as frames from './decoder/frames.js';
import { ALPN, EXPORTER_LABEL, LINK, Side, WORDS } from './decoder/pairing.js';
import { vectors } from './vectors.js';

const file = vectors('pairing/vectors/pairing-1.0.json');

function sides(vector) {
  const secret = vector.method === WORDS ? utf8(parseCode(vector.secret)) : unhex(vector.secret);
  const both = { joiner: unhex(vector.joiner.endpoint_id), host: unhex(vector.host.endpoint_id) };
  const exporter = unhex(vector.exporter);
  const side = (role) =>
    new Side({ role, ...both, exporter, method: vector.method, secret, seed: unhex(vector[role].ed25519_seed), random: unhex(vector[role].random) });
  return { joiner: side('joiner'), host: side('host') };
}

/** What a device said of itself that does not follow from its keys. */
function facts(vector, role) {
  const plain = vector.frames.find((frame) => frame.from === role && frame.plain).plain;
  const { name, device_type, app_version, protocols } = frames.decodeInner(unhex(plain)).introduction;
  return { name, device_type, app_version, protocols, device_id: deviceId(unhex(vector[role].endpoint_id)) };
}

/** Lets both sides run against each other; `wire` may change what travels. Gives the frames, and what each side saw inside. */
function run(vector, wire = (frame) => frame) {
  const { joiner, host } = sides(vector);
  const sent = [];
  const marks = {};
  const travel = (from, frame, plain = null) => {
    const arrived = wire(frame, sent.length);
    sent.push({ from: from.role, frame: hex(frame), plain });
    return { frame: arrived, message: frames.decodeFrame(arrived) };
  };
  const due = (message, kind) => {
    if (message.kind !== kind) throw new Refused('order', `${message.kind} where ${kind} is due`);
    return message;
  };
  const open = (from, message) => {
    const to = from === joiner ? host : joiner;
    const own = frames.encodeInner(message);
    const arrived = travel(from, from.seal(message), hex(own));
    const plain = to.open(due(arrived.message, 'Sealed').sealed);
    return due(frames.decodeInner(plain), message.kind);
  };
  marks.start = joiner.transcript;

  const hello = { kind: 'JoinHello', method: vector.method, share: joiner.share };
  const hostShare = { kind: 'HostShare', share: host.share };
  const both = (from, own, arrived) => {
    for (const side of [joiner, host]) side.say(from.role, side === from ? own : arrived);
  };
  const first = travel(joiner, frames.encodeFrame(hello));
  if (due(first.message, 'JoinHello').method !== vector.method) throw new Refused('method');
  both(joiner, frames.encodeFrame(hello), first.frame);
  const second = travel(host, frames.encodeFrame(hostShare));
  both(host, frames.encodeFrame(hostShare), second.frame);
  host.share_seen(first.message.share);
  joiner.share_seen(due(second.message, 'HostShare').share);
  marks.shares = joiner.transcript;

  for (const [from, to, kind] of [[joiner, host, 'JoinConfirm'], [host, joiner, 'HostConfirm']]) {
    const frame = frames.encodeFrame({ kind, tag: from.tag(from.role) });
    const arrived = travel(from, frame);
    to.checkTag(from.role, due(arrived.message, kind).tag);
    both(from, frame, arrived.frame);
  }
  marks.confirmations = joiner.transcript;
  joiner.confirmed();
  host.confirmed();

  const joinerSays = joiner.introduction(facts(vector, 'joiner'));
  const hostSays = host.introduction(facts(vector, 'host'));
  const heard = open(joiner, { kind: 'JoinInfo', introduction: joinerSays });
  host.introduced(heard.introduction);
  for (const side of [joiner, host]) {
    side.say('joiner', frames.encodeIntroduction(joinerSays));
    side.say('host', frames.encodeIntroduction(hostSays));
  }
  const hostInfo = open(host, { kind: 'HostInfo', introduction: hostSays, signature: host.sign() });
  joiner.introduced(hostInfo.introduction);
  joiner.checkSignature(hostInfo.signature);
  for (const side of [joiner, host]) side.say('host', hostInfo.signature);
  const proof = open(joiner, { kind: 'JoinProof', signature: joiner.sign() });
  host.checkSignature(proof.signature);
  for (const side of [joiner, host]) side.say('joiner', proof.signature);
  joiner.finish();
  host.finish();

  for (const [from, kind] of [[joiner, 'Approve'], [host, 'Approve'], [joiner, 'Prepared'], [host, 'Committed'], [joiner, 'Done']]) open(from, { kind });
  return { joiner, host, sent, marks };
}

test('the file is of the protocol that is described', () => {
  assert.equal(file.protocol, ALPN);
  assert.equal(file.exporter_label, EXPORTER_LABEL);
  assert.equal(file.version, frames.VERSION);
  assert.deepEqual(new Set(file.accept.map((vector) => vector.method)), new Set([WORDS, LINK]));
});

for (const vector of file.accept) {
  test(`accept: ${vector.name}: both sides make every frame and every value anew`, () => {
    const { joiner, host, sent, marks } = run(vector);
    assert.deepEqual(sent, vector.frames);
    for (const side of [joiner, host]) {
      assert.equal(hex(ed25519.getPublicKey(side.seed)), vector[side.role].endpoint_id);
      const made = {
        isk: side.keys.isk,
        pake_key: side.keys.pake,
        seal_key_host: side.keys.seal_host,
        seal_key_joiner: side.keys.seal_joiner,
        pairing_secret: side.secret,
        pairing_id: side.id,
        transcript_start: marks.start,
        transcript_after_shares: marks.shares,
        transcript_after_confirmations: marks.confirmations,
      };
      for (const [name, value] of Object.entries(made)) assert.equal(hex(value), vector[name], `${name} of the ${side.role}`);
      assert.equal(side.words, vector.check_words);
    }
  });

  test(`accept: ${vector.name}: every frame decodes, and has no other form`, () => {
    for (const { frame } of vector.frames) assert.equal(hex(frames.encodeFrame(frames.decodeFrame(unhex(frame)))), frame);
    for (const { plain } of vector.frames) if (plain) assert.equal(hex(frames.encodeInner(frames.decodeInner(unhex(plain)))), plain);
  });

  test(`refuse: ${vector.name} with any one frame changed in one bit`, () => {
    for (let number = 0; number < vector.frames.length; number++) {
      const length = vector.frames[number].frame.length / 2;
      // The first three bytes, one in the middle, the last.
      for (const at of new Set([0, 1, 2, length >> 1, length - 1])) {
        const flip = (frame, index) => (index === number ? frame.map((byte, place) => (place === at ? byte ^ 0x01 : byte)) : frame);
        assert.notEqual(refusal(() => run(vector, flip)), 'accepted', `frame ${number}, byte ${at}`);
      }
    }
  });

  test(`refuse: ${vector.name} on another TLS connection, by another code, between other devices`, () => {
    const other = (change) => refusal(() => replay(vector, { ...vector, ...change }));
    assert.equal(other({}), 'accepted');
    assert.equal(other({ exporter: '02'.repeat(32) }), 'tag');
    assert.equal(other({ secret: vector.method === WORDS ? 'brave-lion-sun' : '00'.repeat(16) }), 'tag');
    const swapped = { joiner: { ...vector.joiner, endpoint_id: vector.host.endpoint_id } };
    assert.equal(other(swapped), 'tag');
  });
}

/** The recorded joiner against a host that has the same randomness in other surroundings. */
function replay(vector, surroundings) {
  const { host } = sides(surroundings);
  const recorded = vector.frames.map(({ frame }) => unhex(frame));
  host.say('joiner', recorded[0]);
  host.say('host', frames.encodeFrame({ kind: 'HostShare', share: host.share }));
  host.share_seen(frames.decodeFrame(recorded[0]).share);
  host.checkTag('joiner', frames.decodeFrame(recorded[2]).tag);
}

// The reasons that the file gives, and what they are called here.
const REASONS = {
  empty: 'empty',
  'version 0': 'version',
  'version 2': 'version',
  'message of no known kind': 'unknown',
  'hello cut by one byte': 'cut',
  'hello with a byte after its end': 'trailing',
  'kind in two bytes': 'overlong',
  'length in two bytes': 'overlong',
  'sealed message shorter than it claims': 'cut',
  'sealed message that claims 4 GiB': 'cut',
};

for (const { frame, why } of file.reject) {
  test(`reject: ${why}`, () => {
    assert.ok(why in REASONS, 'a reason that is not known here');
    assert.equal(refusal(() => frames.decodeFrame(unhex(frame))), REASONS[why]);
  });
}

test('reject: shares that are no element, the identity, or our own', () => {
  const { joiner } = sides(file.accept[0]);
  assert.equal(refusal(() => joiner.share_seen(new Uint8Array(32))), 'share');
  assert.equal(refusal(() => joiner.share_seen(new Uint8Array(32).fill(0xff))), 'share');
  assert.equal(refusal(() => joiner.share_seen(joiner.share)), 'share');
});

test('reject: introductions that do not fit', () => {
  const plain = unhex(file.accept[0].frames.find((frame) => frame.plain).plain);
  const { introduction } = frames.decodeInner(plain);
  const endpoint = introduction.endpoint_id;
  const check = (change) => refusal(() => frames.checkIntroduction({ ...introduction, ...change }, endpoint, new Uint8Array(32)));
  assert.equal(check({}), 'accepted');
  assert.equal(check({ endpoint_id: new Uint8Array(32) }), 'identity');
  assert.equal(check({ device_id: introduction.device_id.map((byte, at) => (at === 6 ? byte ^ 0x10 : byte)) }), 'identity');
  assert.equal(check({ name: '' }), 'name');
  assert.equal(check({ name: '\u{1f98a}'.repeat(64) }), 'accepted');
  assert.equal(check({ name: 'n'.repeat(65) }), 'name');
  assert.equal(check({ app_version: '1'.repeat(33) }), 'app version');
  assert.equal(check({ app_version: '1 2' }), 'app version');
  assert.equal(check({ protocols: '' }), 'protocols');
  assert.equal(check({ protocols: 'a/1  b/1' }), 'protocols');
  assert.equal(check({ challenge: new Uint8Array(32) }), 'challenge');
  assert.ok(equal(deviceId(endpoint), introduction.device_id));
});
