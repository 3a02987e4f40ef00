// Finds web addresses in a text. Only what is plainly an address becomes a link, and a misleading one names its real host.

import { visibleLines } from '../../common/text/visible';

/** A piece of a text: plain, or an address and its target. */
export interface Piece {
  text: string;
  /** The address in the form that the browser gets, in ASCII. */
  href?: string;
  /** The real host, if the text shows another one. */
  host?: string;
}

/** A longer address stays text. */
const MAX_ADDRESS_LENGTH = 2048;

/** Links in one text. The rest stays text. */
const MAX_LINKS = 50;

// An address ends at a replacement sign, which stands for an invisible character.
const CANDIDATE = /https?:\/\/[^\s<>"`\\\ufffd]+/giu;
const CLOSING: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

/** Splits a text into plain pieces and addresses. Invisible characters become replacement signs. */
export function splitLinks(text: string): Piece[] {
  const shown = visibleLines(text);
  const found: Piece[] = [];
  let at = 0;
  let links = 0;
  for (const match of shown.matchAll(CANDIDATE)) {
    if (links >= MAX_LINKS) break;
    // Skips addresses that no browser takes, and those in the middle of a word.
    if (match[0].length > MAX_ADDRESS_LENGTH) continue;
    if (match.index > 0 && /[\p{L}\p{N}]/u.test(shown.charAt(match.index - 1))) continue;
    const raw = trimmed(match[0]);
    const link = address(raw);
    if (!link) continue;
    if (match.index > at) found.push({ text: shown.slice(at, match.index) });
    found.push(link);
    at = match.index + raw.length;
    links += 1;
  }
  if (at < shown.length) found.push({ text: shown.slice(at) });
  return found;
}

/** Removes the punctuation of the sentence around an address. */
function trimmed(raw: string): string {
  let end = raw.length;
  for (;;) {
    const last = raw.charAt(end - 1);
    const opening = CLOSING[last];
    const head = raw.slice(0, end - 1);
    const unopened = opening !== undefined && count(head, last) >= count(head, opening);
    if (!unopened && !/[.,;:!?'’”“»…*_]/u.test(last)) return raw.slice(0, end);
    end -= 1;
  }
}

function count(text: string, one: string): number {
  return text.split(one).length - 1;
}

/** Parses a web address. Refuses one with a user name, because that could pose as the host. */
function address(raw: string): Piece | null {
  let url: URL;
  try {
    url = new URL(raw);
  } catch {
    return null;
  }
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') return null;
  if (url.username !== '' || url.password !== '' || /^[^/]*\/\/[^/?#]*@/.test(raw)) return null;
  const href = url.href.replace(/['|^{}]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
  if (href.length > MAX_ADDRESS_LENGTH || !/^[\u0021-\u007e]+$/.test(href)) return null;
  const written = (/^https?:\/\/([^/?#]*)/i.exec(raw)?.[1] ?? '').toLowerCase();
  const same = written === url.host || written === `${url.host}:${url.protocol === 'https:' ? '443' : '80'}`;
  return same ? { text: raw, href } : { text: raw, href, host: url.host };
}
