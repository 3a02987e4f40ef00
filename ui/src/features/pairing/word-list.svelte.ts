// Looks up typed words in the core's word list. Each word is asked for once.

import { SvelteMap } from 'svelte/reactivity';
import { ask, type Backend } from '../../backend/backend';
import { classifyWord, type WordState } from './code';

/** Letters of the longest word on the list. A longer word is not asked for. */
const MAX_WORD_LENGTH = 8;

export class WordList {
  readonly #backend: Backend;
  readonly #known = new SvelteMap<string, readonly string[]>();
  readonly #asked = new Map<string, Promise<readonly string[]>>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Returns the words that begin with `typed`, if they have been looked up already. */
  completions(typed: string): readonly string[] {
    return this.#known.get(typed) ?? [];
  }

  /** Classifies a word. One that has not been looked up counts as still being typed. */
  classify(typed: string): WordState {
    const fits = this.#known.get(typed);
    return fits ? classifyWord(typed, fits) : { typed, word: null, state: 'begun' };
  }

  /** Looks a word up and classifies it. */
  async lookUp(typed: string): Promise<WordState> {
    let answer = this.#asked.get(typed);
    if (!answer) {
      answer = this.#fetch(typed);
      this.#asked.set(typed, answer);
    }
    return classifyWord(typed, await answer);
  }

  async #fetch(typed: string): Promise<readonly string[]> {
    let fits: readonly string[] = [];
    if (typed.length <= MAX_WORD_LENGTH) {
      try {
        fits = await ask(this.#backend, { cmd: 'complete_word', prefix: typed });
      } catch {
        // Lets every word pass if the list cannot be had, because the host checks the code anyway. The next look-up asks again.
        this.#asked.delete(typed);
        return [typed];
      }
    }
    this.#known.set(typed, fits);
    return fits;
  }
}
