// The texts exchanged with one device, as far as they have been looked at: the newest, and older ones page by page.

import { SvelteMap } from 'svelte/reactivity';
import { ask, toApiError, type Backend } from '../../backend/backend';
import type { ApiError, MessageView } from '../../backend/bindings';

/** Texts in one page. */
const PAGE = 50;

/** A text has at most so many bytes in UTF-8; the core says the same. */
export const MAX_TEXT = 30 * 1024;

const encoder = new TextEncoder();

/** Length of a text as it counts. */
export function textBytes(text: string): number {
  return encoder.encode(text).length;
}

export class Talk {
  readonly device: string;
  /** There are older ones that are not here. */
  more = $state(false);
  /** A page is on its way. */
  loading = $state(false);
  /** The first page is here, or could not be had. */
  loaded = $state(false);
  /** Why the last call was refused. */
  error = $state.raw<ApiError | null>(null);
  sending = $state(false);
  /** What is being written. */
  draft = $state('');

  readonly #texts = new SvelteMap<number, MessageView>();
  readonly #backend: Backend;

  constructor(backend: Backend, device: string, draft = '') {
    this.#backend = backend;
    this.device = device;
    this.draft = draft;
  }

  /** In order, oldest first. */
  readonly list = $derived([...this.#texts.values()].toSorted((a, b) => a.id - b.id));

  /** The newest page. What is here already stays, unless something would be missing in between. */
  async load(): Promise<void> {
    const page = await this.#page(null);
    if (!page) return;
    const newest = Math.max(0, ...this.#texts.keys());
    const first = page[0]?.id ?? 0;
    const gap = this.#texts.size > 0 && first > newest + 1;
    if (gap) this.#texts.clear();
    if (gap || !this.loaded) this.more = page.length === PAGE;
    for (const text of page) this.hear(text);
    this.loaded = true;
  }

  /** One page further back. */
  async older(): Promise<void> {
    const first = this.list[0];
    if (!first || !this.more || this.loading) return;
    const page = await this.#page(first.id);
    if (!page) return;
    this.more = page.length === PAGE;
    for (const text of page) this.hear(text);
  }

  hear(text: MessageView): void {
    // An answer that was on its way for long does not take back what an event has told since.
    if (text.state === 'queued' && this.#texts.get(text.id)?.state === 'delivered') return;
    this.#texts.set(text.id, text);
  }

  /** Sends what is written; it stays in the field if it is refused. */
  async send(): Promise<void> {
    const text = this.draft.replaceAll('\r\n', '\n');
    if (this.sending || text.trim() === '' || textBytes(text) > MAX_TEXT) return;
    this.sending = true;
    this.error = null;
    try {
      this.hear(await ask(this.#backend, { cmd: 'send_text', device: this.device, text }));
      // What was typed meanwhile is kept.
      this.draft = this.draft.startsWith(text) ? this.draft.slice(text.length) : this.draft;
    } catch (thrown) {
      this.error = toApiError(thrown);
    } finally {
      this.sending = false;
    }
  }

  async #page(before: number | null): Promise<MessageView[] | null> {
    this.loading = true;
    try {
      return await ask(this.#backend, { cmd: 'messages', device: this.device, before, limit: PAGE });
    } catch (thrown) {
      this.error = toApiError(thrown);
      this.loaded = true;
      return null;
    } finally {
      this.loading = false;
    }
  }
}
