// Finds transfers by words, as the core's request `transfers` with `find` does: every word has to occur somewhere.

/** Characters of a search that count. The core has the same limit. */
const MAX_LENGTH = 200;

/** Splits a search into words in lower case. */
export function searchWords(typed: string): string[] {
  return [...typed].slice(0, MAX_LENGTH).join('').normalize('NFC').toLocaleLowerCase().split(/\s+/u).filter(Boolean);
}

/** True if each word is part of one of the texts. */
export function matches(wanted: readonly string[], texts: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const where = texts.map((text) => text.normalize('NFC').toLocaleLowerCase());
  return wanted.every((word) => where.some((text) => text.includes(word)));
}
