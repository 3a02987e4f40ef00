// Web addresses within a text that somebody wrote. Only what is plainly one becomes a link, and where it leads is said.

import { visibleLines } from '../../shared/text/visible';

/** A piece of a text: plain, or an address with where it leads. */
export interface Piece {
  text: string;
  /** The address as the browser will get it, in ASCII. */
  href?: string;
  /** The host that it really leads to, where the text does not say so by itself. */
  host?: string;
}

/** An address longer than this stays text. */
const LONGEST = 2048;

/** More links than this in one text help nobody. */
const MOST = 50;

// A replacement sign stands for something hidden: an address ends there.
const CANDIDATE = /https?:\/\/[^\s<>"`\\\ufffd]+/giu;
const CLOSING: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

/** The text in pieces, with what hides made visible. */
export function pieces(text: string): Piece[] {
  const shown = visibleLines(text);
  const found: Piece[] = [];
  let at = 0;
  let links = 0;
  for (const match of shown.matchAll(CANDIDATE)) {
    if (links >= MOST) break;
    // So long a one would take its time, and no browser wants it. Within a word it is none.
    if (match[0].length > LONGEST) continue;
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

/** Without the punctuation of the sentence around it. */
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

/** An address of the web and nothing more: with a name before the host it could pose as another. */
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
  if (href.length > LONGEST || !/^[\u0021-\u007e]+$/.test(href)) return null;
  const written = (/^https?:\/\/([^/?#]*)/i.exec(raw)?.[1] ?? '').toLowerCase();
  const same = written === url.host || written === `${url.host}:${url.protocol === 'https:' ? '443' : '80'}`;
  return same ? { text: raw, href } : { text: raw, href, host: url.host };
}
