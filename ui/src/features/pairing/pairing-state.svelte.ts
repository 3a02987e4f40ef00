// The pair dialog: the chosen side, and its requests in order. The state of the pairing itself is in the node.

import { createContext } from 'svelte';
import { ask, toApiError, type Backend } from '../../backend/backend';
import type { ApiError, LinkView, ShellResponse } from '../../backend/bindings';
import type { NodeStore } from '../../backend/node.svelte';

export type PairTab = 'host' | 'join';

/** Words of a code: three on one network, five across the internet. */
export type CodeLength = 3 | 5;

/** A pairing link that came from outside, and its origin. Nothing happens with it before the person agrees. */
export interface OfferedLink extends LinkView {
  from: 'link' | 'picture';
}

export class PairingState {
  open = $state(false);
  tab = $state<PairTab>('host');
  /** The nearby device whose button opened the dialog. */
  preferredDevice = $state<string | null>(null);
  /** The error of a refused request. A failed pairing is in the state of the node. */
  error = $state.raw<ApiError | null>(null);
  /** A request is under way. */
  busy = $state(false);
  /** Contents of the field. They stay after a failed attempt, so that a single letter can be corrected. */
  typed = $state('');
  /** Number of words of the shown code. */
  length = $state<CodeLength>(3);
  /** A link from outside that the person is asked about. */
  offered = $state.raw<OfferedLink | null>(null);
  /** A picture is being read. */
  readingPicture = $state(false);

  readonly #backend: Backend;
  readonly #node: NodeStore;
  /** Makes requests one after the other: a cancel must not overtake the request for a code that it cancels. */
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
    // Keeps a pairing that waits for the person's approval. Any other is cancelled.
    if (this.#node.pairing.step === 'confirm') return;
    this.tab = tab;
    this.#begin(tab);
  }

  /** Opens the dialog because a pairing waits for the person's approval. */
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

  /** Shows a code of another length. The one that was shown becomes void. */
  setLength(length: CodeLength): void {
    if (length === this.length) return;
    this.length = length;
    this.#begin('host');
  }

  /** True if no pairing is under way that a link from outside would end. */
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

  /** Looks for a link in a picture. The link is shown and not acted on. */
  readPicture(picture: () => Promise<ShellResponse>): void {
    if (this.readingPicture) return;
    this.readingPicture = true;
    this.error = null;
    picture()
      .then((answer) => {
        // The person may have changed the tab or closed the dialog meanwhile.
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

  /** Starts the chosen side again, after a failure or an expired code. */
  restart(): void {
    this.#begin(this.tab);
  }

  join(code: string, device: string | null): void {
    this.#run(async () => {
      await this.#clear();
      await ask(this.#backend, { cmd: 'pair_join', code, device, approve: false, level: null });
    });
  }

  /** Has the shell ask for the approval, and whose device it is. The page itself cannot approve. */
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
      // The person may have changed the tab or closed the dialog while earlier requests ran.
      if (tab === 'host' && this.open && this.tab === 'host') {
        await ask(this.#backend, { cmd: 'pair_host', approve: false, level: null, words: this.length });
      }
    });
  }

  /** Cancels a pairing, if there is one. */
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
