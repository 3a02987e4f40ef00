// Codes and links as people type, paste and scan them: vectors that this folder and the core both read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, Refused } from './decoder/bytes.js';
import { parseCode } from './decoder/code.js';
import { parseLink, toBase32, writePairLink, writeTicket } from './decoder/link.js';
import { vectors } from './vectors.js';

const { codes, links } = vectors('pairing/vectors/entry-1.0.json');

const shown = ({ relay, ip, port }) => {
  if (relay !== undefined) return relay;
  return ip.length === 4 ? `${ip.join('.')}:${port}` : `[${new URL(`http://[${hex(ip).match(/..../g).join(':')}]`).hostname.slice(1, -1)}]:${port}`;
};

test('accept: codes', () => {
  for (const { typed, code } of codes.accept) assert.equal(parseCode(typed), code, typed);
});

for (const { typed, error } of codes.reject) {
  test(`reject: the code ${JSON.stringify(typed)}`, () => {
    assert.throws(() => parseCode(typed), (refused) => refused instanceof Refused && refused.reason === error);
  });
}

for (const [number, link] of links.accept.entries()) {
  test(`accept: link ${number + 1}`, () => {
    const read = parseLink(link.text);
    assert.equal(read.kind, link.kind);
    assert.equal(hex(read.endpoint), link.endpoint_id);
    assert.deepEqual(read.addresses.map(shown), link.addresses);
    assert.equal(read.secret ? hex(read.secret) : null, link.secret);
    assert.equal(read.secret ? writePairLink(read, read.secret) : `yonder:device?e=${writeTicket(read)}`, link.uri);
  });
}

for (const { why, text } of links.reject) {
  test(`reject: a link with ${why}`, () => {
    assert.throws(() => parseLink(text), Refused);
  });
}

test('base32 is written in lower case', () => {
  assert.equal(toBase32(new TextEncoder().encode('hello')), 'nbswy3dp');
});
