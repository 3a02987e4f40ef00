// Reads what a person typed or pasted as a pairing code. Pure: the word list lives in the core.

/** What stands in the field. */
export type Code = { kind: 'link'; link: string } | { kind: 'words'; words: string[]; open: boolean };

/** Words of a code on one network, and of one that also finds the other device across the internet. */
export const LENGTHS: readonly number[] = [3, 5];

/** The longest code. */
export const MOST_WORDS = 5;

/** How many places are shown for so many words: those of the shortest code that has room for them. */
export function places(words: number): number {
  return LENGTHS.find((length) => words <= length) ?? MOST_WORDS;
}

/** `open` says that the last word is still being typed: nothing separates it from the end. */
export function readCode(text: string): Code {
  const trimmed = text.trim();
  const link = /yonder:\S+/i.exec(trimmed);
  if (link) return { kind: 'link', link: link[0] };
  // A word in another script must be said to be wrong, not vanish, so that everything but letters and digits separates.
  const words = text.normalize('NFKD').toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return { kind: 'words', words, open: words.length > 0 && /[\p{L}\p{M}\p{N}]$/u.test(text) };
}

/** What is known about one word of the code. */
export type WordState = { typed: string; word: string | null; state: 'whole' | 'completed' | 'begun' | 'unknown' };

/** Judges a word by its completions: a word of the list, the only one that begins so, several, or none. */
export function judge(typed: string, completions: readonly string[]): WordState {
  if (completions.includes(typed)) return { typed, word: typed, state: 'whole' };
  if (completions.length === 0) return { typed, word: null, state: 'unknown' };
  const only = completions.length === 1 ? completions[0] : undefined;
  return only === undefined ? { typed, word: null, state: 'begun' } : { typed, word: only, state: 'completed' };
}

/** Replaces one word of the text by its completion, and opens room for the next, unless the code may end there. */
export function replaceWord(text: string, index: number, word: string): string {
  let at = -1;
  const replaced = text.replace(/[\p{L}\p{M}\p{N}]+/gu, (old) => {
    at += 1;
    return at === index ? word : old;
  });
  return !LENGTHS.includes(index + 1) && /[\p{L}\p{M}\p{N}]$/u.test(replaced) && at === index ? `${replaced}-` : replaced;
}
