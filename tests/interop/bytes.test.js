// Ground under the rest: the draft's own vector of CPace, and forms that have to be refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBase32, parseLink, readTicket, toBase32, writePairLink, writeTicket } from './decoder/link.js';
import { hex, Refused, unhex } from './decoder/bytes.js';
import { parseCode } from './decoder/code.js';
import { Reader, varint } from './decoder/postcard.js';
import { cleanName } from './decoder/frames.js';

const refused = (run, reason) => assert.throws(run, (error) => error instanceof Refused && (!reason || error.reason === reason));

test('numbers have one form and stay in their bits', () => {
  for (const value of [0n, 127n, 128n, 65535n, 2n ** 32n - 1n, 2n ** 64n - 1n]) assert.equal(new Reader(varint(value)).varint(64), value);
  refused(() => new Reader(unhex('8000')).varint(16), 'overlong');
  refused(() => new Reader(unhex('808004')).varint(16), 'overflow');
  refused(() => new Reader(unhex('ffffffffffffffffff02')).varint(64), 'overflow');
  refused(() => new Reader(unhex('ff')).varint(64), 'cut');
});

test('a code is read as people type it', () => {
  for (const typed of ['brave-lion-sunset', 'Brave Lion SUNSET', ' brav, lion.suns ', 'brav--lion - sunset', 'brave_lion\u2013sunset']) {
    assert.equal(parseCode(typed), 'brave-lion-sunset');
  }
  refused(() => parseCode('brave-lion'), 'code_word_count');
  refused(() => parseCode('brave-lion-sun-set'), 'code_word_unknown');
  // A word that is whole needs no four letters, and is not taken for the beginning of a longer one.
  assert.equal(parseCode('act acti toe'), 'act-action-toe');
  refused(() => parseCode('bra-lion-sunset'), 'code_word_unknown');
  refused(() => parseCode('braves-lion-sunset'), 'code_word_unknown');
});

const KEY = 'ae58ff8833241ac82d6ff7611046ed67b5072d142c588d0063e942d9a75502b6';
// The ticket of the tests of iroh-tickets 1.0.
const TICKET = `00${KEY}020010687474703a2f2f646572702e6d652e2f01007f0000018008`;

test('a ticket is read and written', () => {
  const text = `endpoint${toBase32(unhex(TICKET))}`;
  const ticket = readTicket(text);
  assert.equal(hex(ticket.endpoint), KEY);
  assert.deepEqual(ticket.addresses, [{ relay: 'http://derp.me./' }, { ip: Uint8Array.of(127, 0, 0, 1), port: 1024 }]);
  assert.equal(writeTicket(ticket), text);
  const again = (bytes) => () => readTicket(`endpoint${toBase32(unhex(bytes))}`);
  refused(again(TICKET.replace(/^00/, '01')), 'unknown');
  refused(again(`${TICKET}00`), 'trailing');
  refused(again(TICKET.slice(0, -2)), 'cut');
  // The two addresses in the other order.
  refused(again(`00${KEY}0201007f00000180080010687474703a2f2f646572702e6d652e2f`), 'ticket');
});

test('a link has one form', () => {
  const ticket = readTicket(`endpoint${toBase32(unhex(TICKET))}`);
  const secret = unhex('6a8f1b86eb00bd5fa7521a8e698d347f');
  const link = writePairLink(ticket, secret);
  const read = parseLink(link.replace('yonder:', 'YONDER:'));
  assert.equal(hex(read.secret), hex(secret));
  assert.deepEqual(parseLink(` ${link}\n`), read);
  assert.equal(parseLink(link.replace(/pair|&s=.*/g, (part) => (part === 'pair' ? 'device' : ''))).kind, 'device');
  const s = link.slice(-28);
  for (const wrong of [
    link.replace('yonder:', 'yonder://'),
    link.replace('pair', 'send'),
    link.replace(s, ''),
    link + s,
    `${link}&x=1`,
    `${link}#`,
    `${link} a`,
    `${link}?`,
    link.slice(0, -1),
    `${link}a`,
    // The two bits that carry nothing.
    link.replace(/.$/, 'b'),
    `${link.slice(0, -s.length)}${'a'.repeat(4096)}${s}`,
    'yonder:',
    '',
  ]) {
    refused(() => parseLink(wrong));
  }
});

test('base32 has no second spelling', () => {
  assert.equal(hex(fromBase32('NBSWY3DP')), hex(new TextEncoder().encode('hello')));
  refused(() => fromBase32('nbswy3dpa'), 'base32');
  refused(() => fromBase32('nb1wy3dp'), 'base32');
});

test('a name cannot turn the text around it', () => {
  assert.equal(cleanName('a\u202eb\u0000c\u2066'), 'a\ufffdb\ufffdc\ufffd');
});
