// Reads a typed or pasted pairing code. Pure: the word list is in the core.

/** Contents of the field. `open`: the last word is still being typed, because nothing follows it. */
export type Code = { kind: 'link'; link: string } | { kind: 'words'; words: string[]; open: boolean };

/** Words of a code for one network, and of one that also finds the other device across the internet. */
export const CODE_LENGTHS: readonly number[] = [3, 5];

/** Words of the longest code. */
export const MAX_WORDS = 5;

/** Returns how many slots the field shows for this many words: the length of the shortest code that fits. */
export function slotCount(words: number): number {
  return CODE_LENGTHS.find((length) => words <= length) ?? MAX_WORDS;
}

/** Reads a link or words out of a text. */
export function readCode(text: string): Code {
  const trimmed = text.trim();
  const link = /yonder:\S+/i.exec(trimmed);
  if (link) return { kind: 'link', link: link[0] };
  // Only letters and digits form words, of any script: a word in another script must be reported as wrong and not vanish.
  const words = text.normalize('NFKD').toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return { kind: 'words', words, open: words.length > 0 && /[\p{L}\p{M}\p{N}]$/u.test(text) };
}

/** One word of a code, compared with the word list. */
export type WordState = { typed: string; word: string | null; state: 'whole' | 'completed' | 'begun' | 'unknown' };

/** Classifies a word by its completions: it is on the list, has one completion, several, or none. */
export function classifyWord(typed: string, completions: readonly string[]): WordState {
  if (completions.includes(typed)) return { typed, word: typed, state: 'whole' };
  if (completions.length === 0) return { typed, word: null, state: 'unknown' };
  const only = completions.length === 1 ? completions[0] : undefined;
  return only === undefined ? { typed, word: null, state: 'begun' } : { typed, word: only, state: 'completed' };
}

/** Replaces one word of the text by its completion. Adds a separator for the next word, unless the code may end there. */
export function replaceWord(text: string, index: number, word: string): string {
  let at = -1;
  const replaced = text.replace(/[\p{L}\p{M}\p{N}]+/gu, (old) => {
    at += 1;
    return at === index ? word : old;
  });
  return !CODE_LENGTHS.includes(index + 1) && /[\p{L}\p{M}\p{N}]$/u.test(replaced) && at === index ? `${replaced}-` : replaced;
}
