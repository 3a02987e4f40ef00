// CPACE-RISTR255-SHA512 of draft-irtf-cfrg-cpace-21, initiator-responder form.

import { ristretto255, ristretto255_hasher } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, equal, Refused, utf8 } from './bytes.js';
import { counted } from './postcard.js';

const { Point } = ristretto255;
const DSI = utf8('CPaceRistretto255');
const DSI_ISK = utf8('CPaceRistretto255_ISK');
/** Input bytes of one block of SHA-512. */
const BLOCK = 128;

/** The draft's lv_cat: each part behind its length as LEB128, the form that postcard has too. */
const lvCat = (...parts) => concat(...parts.map(counted));

export function generatorString(prs, ci, sid) {
  const pad = Math.max(0, BLOCK - 1 - counted(prs).length - counted(DSI).length);
  return lvCat(DSI, prs, new Uint8Array(pad), ci, sid);
}

export function generator(prs, ci, sid) {
  return ristretto255_hasher.deriveToCurve(sha512(generatorString(prs, ci, sid)));
}

/** 64 random bytes as a little endian number, modulo the order of the group. */
export function scalar(random) {
  return Point.Fn.create(BigInt(`0x${Buffer.from(random).reverse().toString('hex')}`));
}

/** A share off the wire: a canonical encoding, and not the identity. */
export function decodeShare(bytes) {
  let point;
  try {
    point = Point.fromBytes(bytes);
  } catch {
    throw new Refused('share', 'not a canonical encoding');
  }
  if (point.is0()) throw new Refused('share', 'the identity');
  return point;
}

export const share = (base, secret) => base.multiply(secret).toBytes();

/** ISK of the side that holds `secret`; `a` and `b` are {share, ad} of the initiator and of the responder. */
export function isk(secret, own, peer, sid, a, b) {
  if (equal(own, peer)) throw new Refused('share', 'our own');
  const shared = decodeShare(peer).multiply(secret);
  if (shared.is0()) throw new Refused('share', 'the identity as the result');
  return sha512(concat(lvCat(DSI_ISK, sid, shared.toBytes()), lvCat(a.share, utf8(a.ad)), lvCat(b.share, utf8(b.ad))));
}
