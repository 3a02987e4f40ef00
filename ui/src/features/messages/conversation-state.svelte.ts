// The texts exchanged with one device, as far as they were fetched: the newest, and older ones page by page.

import { SvelteMap } from 'svelte/reactivity';
import { ask, toApiError, type Backend } from '../../backend/backend';
import type { ApiError, MessageView } from '../../backend/bindings';

/** Texts of one page. */
const PAGE_SIZE = 50;

/** Bytes of the longest text, in UTF-8. The core has the same limit. */
export const MAX_TEXT = 30 * 1024;

const encoder = new TextEncoder();

/** Returns the length of a text in bytes. */
export function textBytes(text: string): number {
  return encoder.encode(text).length;
}

export class ConversationState {
  readonly device: string;
  /** Older texts exist that were not fetched. */
  more = $state(false);
  /** A page is being fetched. */
  loading = $state(false);
  /** The first page has been fetched, or could not be. */
  loaded = $state(false);
  /** The error of the last request. */
  error = $state.raw<ApiError | null>(null);
  sending = $state(false);
  /** The text that is being written. */
  draft = $state('');

  readonly #texts = new SvelteMap<number, MessageView>();
  readonly #backend: Backend;

  constructor(backend: Backend, device: string, draft = '') {
    this.#backend = backend;
    this.device = device;
    this.draft = draft;
  }

  /** The texts, oldest first. */
  readonly list = $derived([...this.#texts.values()].toSorted((a, b) => a.id - b.id));

  /** Fetches the newest page. Texts that are here stay, unless there is a gap between them and the page. */
  async load(): Promise<void> {
    const page = await this.#page(null);
    if (!page) return;
    const newest = Math.max(0, ...this.#texts.keys());
    const first = page[0]?.id ?? 0;
    const gap = this.#texts.size > 0 && first > newest + 1;
    if (gap) this.#texts.clear();
    if (gap || !this.loaded) this.more = page.length === PAGE_SIZE;
    for (const text of page) this.add(text);
    this.loaded = true;
  }

  /** Fetches the page before the oldest text. */
  async older(): Promise<void> {
    const first = this.list[0];
    if (!first || !this.more || this.loading) return;
    const page = await this.#page(first.id);
    if (!page) return;
    this.more = page.length === PAGE_SIZE;
    for (const text of page) this.add(text);
  }

  add(text: MessageView): void {
    // A late answer does not undo what an event has reported since.
    if (text.state === 'queued' && this.#texts.get(text.id)?.state === 'delivered') return;
    this.#texts.set(text.id, text);
  }

  /** Sends the draft. It stays in the field if it is refused. */
  async send(): Promise<void> {
    const text = this.draft.replaceAll('\r\n', '\n');
    if (this.sending || text.trim() === '' || textBytes(text) > MAX_TEXT) return;
    this.sending = true;
    this.error = null;
    try {
      this.add(await ask(this.#backend, { cmd: 'send_text', device: this.device, text }));
      // Keeps what was typed meanwhile.
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
      return await ask(this.#backend, { cmd: 'messages', device: this.device, before, limit: PAGE_SIZE });
    } catch (thrown) {
      this.error = toApiError(thrown);
      this.loaded = true;
      return null;
    } finally {
      this.loading = false;
    }
  }
}
