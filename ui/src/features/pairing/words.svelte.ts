// What the core's word list says about words as they are typed. Each word is asked for once.

import { SvelteMap } from 'svelte/reactivity';
import { ask, type Backend } from '../../backend/backend';
import { judge, type WordState } from './code';

/** The longest word of the list has eight letters; more than that need not be asked. */
const LONGEST = 8;

export class WordJudge {
  readonly #backend: Backend;
  readonly #known = new SvelteMap<string, readonly string[]>();
  readonly #asked = new Map<string, Promise<readonly string[]>>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Words that begin so, as far as they are known already. */
  completions(typed: string): readonly string[] {
    return this.#known.get(typed) ?? [];
  }

  /** The judgement, or that it is still being typed as long as nothing is known. */
  look(typed: string): WordState {
    const fits = this.#known.get(typed);
    return fits ? judge(typed, fits) : { typed, word: null, state: 'begun' };
  }

  async learn(typed: string): Promise<WordState> {
    let answer = this.#asked.get(typed);
    if (!answer) {
      answer = this.#fetch(typed);
      this.#asked.set(typed, answer);
    }
    return judge(typed, await answer);
  }

  async #fetch(typed: string): Promise<readonly string[]> {
    let fits: readonly string[] = [];
    if (typed.length <= LONGEST) {
      try {
        fits = await ask(this.#backend, { cmd: 'complete_word', prefix: typed });
      } catch {
        // Without the list every word may stand: the host knows better anyway. It is asked again next time.
        this.#asked.delete(typed);
        return [typed];
      }
    }
    this.#known.set(typed, fits);
    return fits;
  }
}
