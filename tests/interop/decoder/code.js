// Codes as people type them: docs/protocol-pairing.md, "The code".

import { wordlist } from '@scure/bip39/wordlists/english.js';
import { Refused } from './bytes.js';

const SEPARATORS = /[\s,._\u2010-\u2015-]+/;
const LONGEST = 256;

function word(typed) {
  if (wordlist.includes(typed)) return typed;
  const meant = typed.length >= 4 ? wordlist.filter((entry) => entry.startsWith(typed)) : [];
  if (meant.length !== 1) throw new Refused('code_word_unknown', typed);
  return meant[0];
}

/** The canonical form of typed words. */
export function parseCode(typed, counts = [3, 5]) {
  const parts = [...typed].slice(0, LONGEST).join('').toLowerCase().split(SEPARATORS).filter(Boolean);
  // A word that is not known is the more useful thing to hear, as far as a code can reach.
  const words = parts.slice(0, Math.max(...counts)).map(word);
  if (!counts.includes(parts.length)) throw new Refused('code_word_count', `${parts.length}`);
  return words.join('-');
}
