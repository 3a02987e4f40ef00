// A run of pairing/1.0 of one side: docs/protocol-pairing.md, "The run". Messages in, messages out; no network, no clock.

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { blake3 } from '@noble/hashes/blake3.js';
import { timingSafeEqual } from 'node:crypto';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { allZero, concat, context, derive, lp, Refused, u64, u8, utf8 } from './bytes.js';
import * as cpace from './cpace.js';
import * as frames from './frames.js';

export const ALPN = 'pairing/1.0';
export const EXPORTER_LABEL = 'EXPORTER-yonder-pairing-1.0';
export const WORDS = 1;
export const LINK = 2;

export function checkWords(secret, id) {
  const view = new DataView(derive('pairing check words', secret, id).buffer);
  return [0, 2].map((at) => wordlist[view.getUint16(at, true) % 2048]).join('-');
}

function nonce(counter) {
  return concat(new Uint8Array(4), u64(counter));
}

function x25519Shared(secret, theirs) {
  let shared;
  try {
    shared = x25519.getSharedSecret(secret, theirs);
  } catch {
    throw new Refused('x25519', 'of low order');
  }
  if (allZero(shared)) throw new Refused('x25519', 'of low order');
  return shared;
}

/** One side: `role` is "joiner" or "host"; `random` is 64 bytes for CPace, 32 for the challenge, 32 for X25519. */
export class Side {
  keys = {};
  #transcript;
  #sent = 0;
  #received = 0;

  constructor({ role, seed, random, exporter, joiner, host, method, secret }) {
    Object.assign(this, { role, seed, exporter, joiner, host, method });
    this.peerRole = role === 'joiner' ? 'host' : 'joiner';
    this.endpoint = role === 'joiner' ? joiner : host;
    this.peerEndpoint = role === 'joiner' ? host : joiner;
    this.scalar = cpace.scalar(random.slice(0, 64));
    this.challenge = random.slice(64, 96);
    this.x25519 = random.slice(96, 128);
    const prs = concat(u8(method), secret);
    this.base = cpace.generator(prs, this.#channel(), exporter);
    this.share = cpace.share(this.base, this.scalar);
    this.#transcript = derive('pairing transcript', ALPN, u8(frames.VERSION), exporter, joiner, host);
  }

  get transcript() {
    return this.#transcript;
  }

  #channel() {
    return lp(this.joiner, this.host, ALPN, u8(frames.VERSION), u8(this.method));
  }

  /** Takes in what a side has said. */
  say(side, said) {
    this.#transcript = derive('pairing transcript', this.#transcript, side, said);
  }

  /** After both shares: the PAKE key, from which everything else comes. */
  share_seen(peer) {
    const [a, b] = this.role === 'joiner' ? [this.share, peer] : [peer, this.share];
    const ends = [{ share: a, ad: 'joiner' }, { share: b, ad: 'host' }];
    this.keys.isk = cpace.isk(this.scalar, this.share, peer, this.exporter, ...ends);
    this.keys.pake = derive('pairing pake', this.keys.isk, this.#transcript);
  }

  /** The tag of a side, over the transcript as it is when that side's tag is due. */
  tag(side) {
    return blake3(this.#transcript, { key: derive('pairing confirm', this.keys.pake, side) });
  }

  checkTag(side, tag) {
    if (!timingSafeEqual(this.tag(side), tag)) throw new Refused('tag');
  }

  /** After both tags. */
  confirmed() {
    for (const side of ['joiner', 'host']) this.keys[`seal_${side}`] = derive('pairing seal', this.keys.pake, side, this.#transcript);
  }

  #cipher(side, counter) {
    return chacha20poly1305(this.keys[`seal_${side}`], nonce(counter), utf8(`${ALPN} ${side}`));
  }

  seal(message) {
    const sealed = this.#cipher(this.role, this.#sent++).encrypt(frames.encodeInner(message));
    return frames.encodeFrame({ kind: 'Sealed', sealed });
  }

  /** The plain bytes of the peer's next sealed message. */
  open(sealed) {
    try {
      return this.#cipher(this.peerRole, this.#received++).decrypt(sealed);
    } catch {
      throw new Refused('seal');
    }
  }

  introduction(facts) {
    const said = { ...facts, endpoint_id: this.endpoint, challenge: this.challenge, x25519: x25519.getPublicKey(this.x25519) };
    return said;
  }

  introduced(said) {
    this.peer = frames.checkIntroduction(said, this.peerEndpoint, this.challenge);
    this.shared = x25519Shared(this.x25519, said.x25519);
  }

  #signed(side, challenge) {
    return lp(context('pairing signature'), side, this.#transcript, challenge);
  }

  sign() {
    return ed25519.sign(this.#signed(this.role, this.peer.challenge), this.seed);
  }

  checkSignature(signature) {
    const message = this.#signed(this.peerRole, this.challenge);
    if (!ed25519.verify(signature, message, this.peerEndpoint, { zip215: false })) throw new Refused('signature');
  }

  /** After both signatures: what stays. */
  finish() {
    this.id = this.#transcript;
    this.secret = derive('pairing secret', this.keys.pake, this.shared, this.id);
    this.words = checkWords(this.secret, this.id);
  }
}
