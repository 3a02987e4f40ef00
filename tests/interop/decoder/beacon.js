// Beacons: the marks by which paired devices know each other on a LAN (docs/protocol.md, Beacons).

import { Refused, derive, equal, u64 } from './bytes.js';

export const EPOCH_SECONDS = 600;
const TAG = 8;
const TAGS = 24;

export const beaconKey = (pairingSecret) => derive('beacon key', pairingSecret);

export const beaconTag = (key, epoch, label, by) => derive('beacon tag', key, u64(BigInt(epoch)), label, by).slice(0, TAG);

/** The epoch in which this beacon is of the device `by`, or refused. */
export function recognize(beacon, key, epoch, label, by) {
  if (beacon.length !== TAG * TAGS) throw new Refused('length');
  const near = [BigInt(epoch), BigInt(epoch) - 1n, BigInt(epoch) + 1n].filter((epoch) => epoch >= 0n);
  for (const epoch of near) {
    const expected = beaconTag(key, epoch, label, by);
    for (let at = 0; at < beacon.length; at += TAG) {
      if (equal(beacon.subarray(at, at + TAG), expected)) return epoch;
    }
  }
  throw new Refused('stranger');
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';

/** RFC 4648 base32 in lower case, without padding. */
export function labelText(label) {
  const bits = [...label].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => LETTERS[parseInt(five.padEnd(5, '0'), 2)]).join('');
}
