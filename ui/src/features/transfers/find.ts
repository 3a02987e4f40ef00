// Finding a transfer by words. The same as the core's `transfers` with `find`: every word has to be found somewhere.

/** No more of it counts, here as in the core. */
const LONGEST = 200;

/** Words in small letters. */
export function words(typed: string): string[] {
  return [...typed].slice(0, LONGEST).join('').normalize('NFC').toLocaleLowerCase().split(/\s+/u).filter(Boolean);
}

/** Each word is part of one of the texts. */
export function finds(wanted: readonly string[], texts: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const where = texts.map((text) => text.normalize('NFC').toLocaleLowerCase());
  return wanted.every((word) => where.some((text) => text.includes(word)));
}
