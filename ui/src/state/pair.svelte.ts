// The pair dialog: which side it shows, and its calls in order. Where the pairing stands is the node's to say.

import { ask, toApiError, type Backend } from '../ipc/backend';
import type { ApiError } from '../ipc/bindings';
import type { NodeStore } from './node.svelte';

export type PairTab = 'host' | 'join';

export class PairDesk {
  open = $state(false);
  tab = $state<PairTab>('host');
  /** The nearby device that the person came from. */
  prefer = $state<string | null>(null);
  /** A call that was refused; a pairing that failed is in the node's own state. */
  error = $state.raw<ApiError | null>(null);
  /** A call is under way. */
  busy = $state(false);
  /** What stands in the field; kept over a failed try, so that one letter can be mended. */
  typed = $state('');

  readonly #backend: Backend;
  readonly #node: NodeStore;
  /** Calls go one after the other: a cancel must not overtake the host call that it ends. */
  #queue: Promise<void> = Promise.resolve();

  constructor(backend: Backend, node: NodeStore) {
    this.#backend = backend;
    this.#node = node;
  }

  show(tab: PairTab, device: string | null = null): void {
    if (this.open) return;
    this.open = true;
    this.prefer = device;
    this.typed = '';
    this.error = null;
    // A person has to answer the one that waits; any other that is left over goes.
    if (this.#node.pairing.step === 'confirm') return;
    this.tab = tab;
    this.#begin(tab);
  }

  /** The node waits for a person's word, whoever started it. */
  summon(): void {
    if (this.open) return;
    this.error = null;
    this.open = true;
  }

  choose(tab: PairTab): void {
    if (tab === this.tab && this.error === null) return;
    this.tab = tab;
    this.#begin(tab);
  }

  /** Starts the shown side anew, after a failure or an expired code. */
  again(): void {
    this.#begin(this.tab);
  }

  join(code: string, device: string | null): void {
    this.#run(async () => {
      await this.#clear();
      await ask(this.#backend, { cmd: 'pair_join', code, device, approve: false });
    });
  }

  answer(approve: boolean): void {
    this.#run(async () => {
      await ask(this.#backend, { cmd: 'pair_answer', approve });
    });
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.error = null;
    this.#run(() => this.#clear());
  }

  #begin(tab: PairTab): void {
    this.#run(async () => {
      await this.#clear();
      // The person may have gone on while earlier calls ran.
      if (tab === 'host' && this.open && this.tab === 'host') {
        await ask(this.#backend, { cmd: 'pair_host', approve: false });
      }
    });
  }

  /** Ends whatever is there. That there was nothing to end is no trouble. */
  async #clear(): Promise<void> {
    try {
      await ask(this.#backend, { cmd: 'pair_cancel' });
    } catch (thrown) {
      if (toApiError(thrown).code !== 'invalid_state') throw thrown;
    }
  }

  #run(work: () => Promise<void>): void {
    this.error = null;
    this.busy = true;
    const mine = this.#queue.then(work).catch((thrown: unknown) => {
      this.error = toApiError(thrown);
    });
    this.#queue = mine;
    void mine.then(() => {
      if (this.#queue === mine) this.busy = false;
      return undefined;
    });
  }
}
