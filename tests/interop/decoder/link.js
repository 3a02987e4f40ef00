// Links: docs/protocol-pairing.md, "Links".

import { ed25519 } from '@noble/curves/ed25519.js';
import { concat, Refused, u8 } from './bytes.js';
import { counted, Reader, varint } from './postcard.js';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';
const LIMIT = 4096;

/** RFC 4648 base32 without padding, the unused bits zero. */
export function fromBase32(text) {
  let bits = 0;
  let held = 0;
  const out = [];
  for (const letter of text.toLowerCase()) {
    const value = LETTERS.indexOf(letter);
    if (value < 0) throw new Refused('base32');
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push(held >> bits);
      held &= (1 << bits) - 1;
    }
  }
  if (bits >= 5 || held !== 0) throw new Refused('base32');
  return Uint8Array.from(out);
}

export function toBase32(bytes) {
  let bits = 0;
  let held = 0;
  let out = '';
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += LETTERS[held >> bits];
      held &= (1 << bits) - 1;
    }
  }
  return bits ? out + LETTERS[held << (5 - bits)] : out;
}

function readAddress(reader) {
  if (reader.variant(2) === 0) return { relay: reader.text() };
  const ip = reader.take(reader.variant(2) === 0 ? 4 : 16);
  return { ip, port: Number(reader.varint(16)) };
}

function writeAddress({ relay, ip, port }) {
  if (relay !== undefined) return concat(u8(0), counted(relay));
  return concat(u8(1), u8(ip.length === 4 ? 0 : 1), ip, varint(port));
}

/** Addresses as a ticket orders them: relays by their text, then IPv4, then IPv6, each by its bytes and its port. */
function order(a, b) {
  const rank = ({ relay, ip }) => (relay !== undefined ? 0 : ip.length);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (a.relay !== undefined) return Buffer.compare(Buffer.from(a.relay), Buffer.from(b.relay));
  return Buffer.compare(a.ip, b.ip) || a.port - b.port;
}

export function writeTicket({ endpoint, addresses }) {
  const sorted = [...addresses].sort(order).filter((address, at, all) => at === 0 || order(all[at - 1], address) !== 0);
  return 'endpoint' + toBase32(concat(u8(0), endpoint, varint(sorted.length), ...sorted.map(writeAddress)));
}

export function readTicket(text) {
  if (!text.startsWith('endpoint')) throw new Refused('ticket', 'another kind');
  const reader = new Reader(fromBase32(text.slice('endpoint'.length)));
  reader.variant(1);
  const endpoint = reader.take(32);
  checkKey(endpoint);
  const count = Number(reader.varint(32));
  const addresses = [];
  for (let at = 0; at < count; at++) addresses.push(readAddress(reader));
  reader.end();
  const ticket = { endpoint, addresses };
  if (writeTicket(ticket) !== text.toLowerCase()) throw new Refused('ticket', 'not in its one form');
  return ticket;
}

function checkKey(endpoint) {
  try {
    ed25519.Point.fromBytes(endpoint);
  } catch {
    throw new Refused('ticket', 'no key');
  }
}

export function parseLink(typed) {
  if (Buffer.byteLength(typed) > LIMIT) throw new Refused('link', 'too long');
  const text = typed.trim();
  if (text.slice(0, 7).toLowerCase() !== 'yonder:') throw new Refused('link', 'another scheme');
  const [kind, query, ...more] = text.slice(7).split('?');
  if (query === undefined || more.length) throw new Refused('link', 'its form');
  const wanted = { pair: ['e', 's'], device: ['e'] }[kind];
  if (!wanted) throw new Refused('link', 'another kind');
  const values = parameters(query, wanted);
  const ticket = readTicket(values.e);
  if (kind === 'device') return { kind, ...ticket };
  if (values.s.length !== 26) throw new Refused('link', 'the length of its secret');
  return { kind, ...ticket, secret: fromBase32(values.s) };
}

function parameters(query, wanted) {
  const values = {};
  for (const part of query.split('&')) {
    const at = part.indexOf('=');
    const name = part.slice(0, at);
    if (at < 0 || !wanted.includes(name) || name in values) throw new Refused('link', `the parameter ${part}`);
    values[name] = part.slice(at + 1);
  }
  if (wanted.some((name) => !(name in values))) throw new Refused('link', 'a parameter is missing');
  return values;
}

/** The `pair` link in its one form. */
export function writePairLink(ticket, secret) {
  return `yonder:pair?e=${writeTicket(ticket)}&s=${toBase32(secret)}`;
}

