// The pair dialog: which side it shows, and its calls in order. Where the pairing stands is the node's to say.

import { createContext } from 'svelte';
import { ask, toApiError, type Backend } from '../../backend/backend';
import type { ApiError, LinkView, ShellResponse } from '../../backend/bindings';
import type { NodeStore } from '../../backend/node.svelte';

export type PairTab = 'host' | 'join';

/** Words of a code: three on one network, five across the internet. */
export type CodeLength = 3 | 5;

/** A pairing link that came from outside, and how. Nothing happens with it before the person says so. */
export interface OfferedLink extends LinkView {
  from: 'link' | 'picture';
}

export class PairingState {
  open = $state(false);
  tab = $state<PairTab>('host');
  /** The nearby device that the person came from. */
  preferredDevice = $state<string | null>(null);
  /** A call that was refused; a pairing that failed is in the node's own state. */
  error = $state.raw<ApiError | null>(null);
  /** A call is under way. */
  busy = $state(false);
  /** What stands in the field; kept over a failed try, so that one letter can be mended. */
  typed = $state('');
  /** How many words the shown code has. */
  length = $state<CodeLength>(3);
  /** A link from outside that the person is asked about. */
  offered = $state.raw<OfferedLink | null>(null);
  /** A picture is being looked at. */
  readingPicture = $state(false);

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
    this.preferredDevice = device;
    this.typed = '';
    this.offered = null;
    this.length = 3;
    this.error = null;
    // A person has to answer the one that waits; any other that is left over goes.
    if (this.#node.pairing.step === 'confirm') return;
    this.tab = tab;
    this.#begin(tab);
  }

  /** The node waits for a person's word, whoever started it. */
  bringToFront(): void {
    if (this.open) return;
    this.error = null;
    this.open = true;
  }

  choose(tab: PairTab): void {
    if (tab === this.tab && this.error === null) return;
    this.tab = tab;
    this.offered = null;
    this.#begin(tab);
  }

  /** Another kind of code. The one that was shown is burnt. */
  setLength(length: CodeLength): void {
    if (length === this.length) return;
    this.length = length;
    this.#begin('host');
  }

  /** Whether a link from outside may be shown now. A code that is shown, and a pairing that waits, are not given up for one. */
  get interruptible(): boolean {
    const { step } = this.#node.pairing;
    return step === 'idle' || step === 'paired' || step === 'failed';
  }

  /** A single dropped file is read as a picture of a code. */
  get takesPicture(): boolean {
    return this.open && this.tab === 'join' && this.interruptible && !this.offered;
  }

  /** Asks the person about a link from outside. */
  offer(link: LinkView, from: OfferedLink['from']): void {
    this.offered = { ...link, from };
    this.tab = 'join';
    this.preferredDevice = null;
    this.typed = '';
    this.error = null;
    this.open = true;
    this.#begin('join');
  }

  /** Looks for a link in a picture. The answer is shown and not acted on. */
  readPicture(picture: () => Promise<ShellResponse>): void {
    if (this.readingPicture) return;
    this.readingPicture = true;
    this.error = null;
    picture()
      .then((answer) => {
        // The person may have gone on meanwhile.
        if (answer.kind === 'link' && this.open && this.tab === 'join' && this.interruptible) this.offered = { ...answer.value, from: 'picture' };
        return undefined;
      })
      .catch((thrown: unknown) => {
        this.error = toApiError(thrown);
      })
      .finally(() => {
        this.readingPicture = false;
      });
  }

  /** Starts the shown side anew, after a failure or an expired code. */
  restart(): void {
    this.#begin(this.tab);
  }

  join(code: string, device: string | null): void {
    this.#run(async () => {
      await this.#clear();
      await ask(this.#backend, { cmd: 'pair_join', code, device, approve: false, level: null });
    });
  }

  /** The page cannot approve: the window asks the person, and whose device it is. */
  approve(): void {
    this.#run(async () => {
      await this.#backend.shell({ cmd: 'pair_approve' });
    });
  }

  reject(): void {
    this.#run(async () => {
      await ask(this.#backend, { cmd: 'pair_answer', approve: false, level: null, check_words: null });
    });
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.offered = null;
    this.error = null;
    this.#run(() => this.#clear());
  }

  #begin(tab: PairTab): void {
    this.#run(async () => {
      await this.#clear();
      // The person may have gone on while earlier calls ran.
      if (tab === 'host' && this.open && this.tab === 'host') {
        await ask(this.#backend, { cmd: 'pair_host', approve: false, level: null, words: this.length });
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

export const [getPairing, setPairing] = createContext<PairingState>();
