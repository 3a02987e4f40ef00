// What outlives a pairing secret, and what follows it: docs/protocol.md, "The end of a pairing" and "New keys".

import { timingSafeEqual } from 'node:crypto';
import { concat, derive, Refused, u8 } from './bytes.js';
import { shared } from './session.js';

const FORM = 1;
const MAC = 32;
const MOST = 4;

export const noticeKey = (secret) => derive('unpair notice', secret);
const mac = (key, by, to) => derive('unpair mac', key, by, to);

/** The notice by the device `by`, which has ended its pairing with `to`. */
export const notice = (keys, by, to) => concat(u8(FORM), ...keys.map((key) => mac(key, by, to)));

/** Refuses a notice that none of the secrets bears out. */
export function checkNotice(told, secrets, by, to) {
  const macs = told.length - 1;
  if (told[0] !== FORM || macs < MAC || macs > MOST * MAC || macs % MAC) throw new Refused('form');
  const own = secrets.map((secret) => mac(noticeKey(secret), by, to));
  for (let at = 1; at < told.length; at += MAC) {
    if (own.some((expected) => timingSafeEqual(expected, told.slice(at, at + MAC)))) return;
  }
  throw new Refused('mac');
}

/** The next pairing secret; `secret` is one's own X25519 secret and `theirs` the other's key, `offered` and `answered` both keys. */
export function renewed({ old, secret, theirs, offerer, answerer, offered, answered }) {
  return derive('pairing rotation', old, shared(secret, theirs), offerer, answerer, offered, answered);
}

export const renewalTag = (next, side) => derive('rotation confirm', next, side);

export function checkRenewalTag(next, side, tag) {
  if (tag.length !== 32 || !timingSafeEqual(renewalTag(next, side), tag)) throw new Refused('tag');
}
