// How two words find a host: the key that they make in an epoch, and the record that is signed with it.
// docs/protocol-pairing.md; the packet is pkarr's (BEP 44 over a DNS message).

import { ed25519 } from '@noble/curves/ed25519.js';
import { argon2id } from '@noble/hashes/argon2.js';
import { concat, derive, fromUtf8, hex, Refused, u64, u8, unhex, utf8 } from './bytes.js';
import { Reader } from './postcard.js';

export const STRETCH = { m: 64 * 1024, t: 3, p: 1, dkLen: 32, version: 0x13 };
export const EPOCH_SECONDS = 600;
const NAME = '_yonder';
const TXT = 16;
const INTERNET = 1;
const DNS_LIMIT = 1000;
const TTL = 300;
const RELAY_LIMIT = 240;
const ZBASE32 = 'ybndrfg8ejkmcpqxot1uwisza345h769';

export const salt = (epoch) => derive('rendezvous salt', u64(epoch));

/** Seed and public key of the record that a host shows under these words, `amber-falcon`. */
export function rendezvousKey(words, epoch) {
  const seed = derive('rendezvous key', argon2id(utf8(words), salt(epoch), STRETCH));
  return { seed, public: ed25519.getPublicKey(seed) };
}

/** A key as pkarr writes it. */
export function z32(bytes) {
  let held = 0n;
  for (const byte of bytes) held = (held << 8n) | BigInt(byte);
  const letters = Math.ceil((bytes.length * 8) / 5);
  held <<= BigInt(letters * 5 - bytes.length * 8);
  let out = '';
  for (let at = letters - 1; at >= 0; at--) out += ZBASE32[Number((held >> BigInt(at * 5)) & 31n)];
  return out;
}

const big = (reader, count) => BigInt(`0x${Buffer.from(reader.take(count)).toString('hex')}`);

/** A signed packet with its key before it; gives what is signed once the signature holds. */
export function openPacket(bytes) {
  const reader = new Reader(bytes);
  const [key, signature, time] = [reader.take(32), reader.take(64), big(reader, 8)];
  if (reader.left > DNS_LIMIT) throw new Refused('too long');
  const dns = reader.take(reader.left);
  const signed = concat(utf8(`3:seqi${time}e1:v${dns.length}:`), dns);
  if (!ed25519.verify(signature, signed, key, { zip215: false })) throw new Refused('signature');
  return { key, time, dns };
}

/** A DNS name from a place in the message, pointers followed, each further to the front than the one before. */
function readName(dns, at) {
  const labels = [];
  let [here, end, limit] = [at, null, at + 1];
  for (;;) {
    if (here >= dns.length) throw new Refused('cut');
    const length = dns[here];
    if (length === 0) return { name: labels.join('.'), end: end ?? here + 1 };
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | dns[here + 1];
      end ??= here + 2;
      if (!(target < limit - 1)) throw new Refused('dns', 'a pointer that does not go to the front');
      [here, limit] = [target, target + 1];
      continue;
    }
    if (length > 63 || labels.length > 127) throw new Refused('dns', 'a label');
    labels.push(fromUtf8(dns.slice(here + 1, here + 1 + length)));
    here += 1 + length;
  }
}

function texts(data) {
  const reader = new Reader(data);
  const parts = [];
  while (reader.left) parts.push(reader.take(reader.u8()));
  return fromUtf8(concat(...parts));
}

/** The answers of a DNS message: {name, type, class, data}. */
export function answers(dns) {
  const header = new Reader(dns);
  header.take(4);
  const [questions, count] = [big(header, 2), big(header, 2)];
  if (questions !== 0n) throw new Refused('dns', 'it asks something');
  const out = [];
  let at = 12;
  for (let number = 0n; number < count; number++) {
    const { name, end } = readName(dns, at);
    const reader = new Reader(dns.slice(end));
    const [type, cls, , length] = [Number(big(reader, 2)), Number(big(reader, 2)), big(reader, 4), Number(big(reader, 2))];
    out.push({ name, type, class: cls, data: reader.take(length) });
    at = end + 10 + length;
  }
  return out;
}

/** A relay is a host and perhaps a port, nothing more. */
function checkRelay(text) {
  if (utf8(text).length > RELAY_LIMIT) throw new Refused('relay', 'too long');
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new Refused('relay', text);
  }
  const plain = url.pathname === '/' && !url.search && !url.hash && !url.username && !url.password;
  if (!['http:', 'https:'].includes(url.protocol) || !plain || !url.hostname) throw new Refused('relay', text);
  return text;
}

/** Where a host says that it is: one `id=`, one `relay=`, nothing else. */
export function readRecord(bytes) {
  const { key, time, dns } = openPacket(bytes);
  const said = {};
  for (const answer of answers(dns)) {
    if (answer.type !== TXT || answer.class !== INTERNET || answer.name !== `${NAME}.${z32(key)}`) throw new Refused('name', answer.name);
    const text = texts(answer.data);
    const at = text.indexOf('=');
    const name = text.slice(0, at);
    if (!['id', 'relay'].includes(name) || name in said) throw new Refused('field', text);
    said[name] = text.slice(at + 1);
  }
  if (said.id === undefined || said.relay === undefined) throw new Refused('missing');
  const endpoint = unhex(said.id);
  if (endpoint.length !== 32) throw new Refused('key');
  try {
    ed25519.Point.fromBytes(endpoint);
  } catch {
    throw new Refused('key');
  }
  return { key, time, endpoint, relay: checkRelay(said.relay) };
}

const network = (value, count) => unhex(BigInt(value).toString(16).padStart(2 * count, '0'));
const label = (text) => concat(u8(utf8(text).length), utf8(text));

/** The packet with this record, as the description has it. */
export function writeRecord(seed, { endpoint, relay, time }) {
  const key = ed25519.getPublicKey(seed);
  const record = (name, text) => {
    const data = label(text);
    return concat(name, network(TXT, 2), network(INTERNET, 2), network(TTL, 4), network(data.length, 2), data);
  };
  const name = concat(label(NAME), label(z32(key)), u8(0));
  // Id 0; an answer; no question, two answers. The second name points to the first, behind the header.
  const head = unhex('000080000000000200000000');
  const dns = concat(head, record(name, `id=${hex(endpoint)}`), record(unhex('c00c'), `relay=${relay}`));
  const signature = ed25519.sign(concat(utf8(`3:seqi${time}e1:v${dns.length}:`), dns), seed);
  return concat(key, signature, network(time, 8), dns);
}
