// The part of an offer that a person selects. Folders are fetched as they are opened. A choice for a folder applies to all of
// its contents, fetched or not, until a part of it gets a choice of its own.

import { SvelteMap } from 'svelte/reactivity';
import { ask, toApiError, type Backend } from '../../../backend/backend';
import type { ApiError, ConflictRule, OfferEntry, TransferView } from '../../../backend/bindings';

/** Entries that are fetched at a time while a person looks at a folder. */
const PAGE_SIZE = 200;
/** Entries that are fetched at a time while the whole folder is needed. */
const BULK_PAGE_SIZE = 1000;
/** Entries that an answer may name. */
export const MAX_CHOSEN = 10_000;

/** Index of a folder. Null is the top of the offer. */
type Folder = number | null;
export type Choice = 'all' | 'none' | 'some';

interface Listing {
  entries: readonly OfferEntry[];
  /** Number of entries of the folder. Null before the first page is here. */
  total: number | null;
  loading: boolean;
  error: ApiError | null;
}

export interface Sum {
  files: number;
  size: number;
}

const NOTHING: Listing = { entries: [], total: null, loading: false, error: null };

export class Selection {
  /** What to do if a name is taken. Null means as in the settings. */
  conflict = $state<ConflictRule | null>(null);
  /** The list of contents is shown. */
  open = $state(false);
  readonly unfolded = new SvelteMap<number, boolean>();

  readonly #backend: Backend;
  readonly #id: string;
  readonly #whole: Sum;
  readonly #folders = new SvelteMap<Folder, Listing>();
  /** Pages that are being fetched. */
  readonly #asked = new Map<Folder, Promise<boolean>>();
  readonly #parent = new Map<number, Folder>();
  /** The choice for entries without one of their own or of a folder around them. */
  #top = $state(true);
  /** Choices for single entries. An entry without one follows its folder. */
  readonly #marks = new SvelteMap<number, boolean>();

  constructor(backend: Backend, offer: TransferView) {
    this.#backend = backend;
    this.#id = offer.id;
    this.#whole = { files: offer.files, size: offer.total };
  }

  listing(folder: Folder): Listing {
    return this.#folders.get(folder) ?? NOTHING;
  }

  /** Opens or closes the list. */
  show(open: boolean): void {
    this.open = open;
    if (open && this.listing(null).total === null) void this.more(null);
  }

  unfold(folder: number, open: boolean): void {
    this.unfolded.set(folder, open);
    if (open && this.listing(folder).total === null) void this.more(folder);
  }

  /** Fetches the next page of a folder. Resolves to false on failure; the error is in the listing. */
  more(folder: Folder, limit = PAGE_SIZE): Promise<boolean> {
    const { entries, total } = this.listing(folder);
    if (entries.length === total) return Promise.resolve(true);
    const asked = this.#asked.get(folder) ?? this.#ask(folder, limit).finally(() => this.#asked.delete(folder));
    this.#asked.set(folder, asked);
    return asked;
  }

  async #ask(folder: Folder, limit: number): Promise<boolean> {
    const before = this.listing(folder);
    this.#folders.set(folder, { ...before, loading: true, error: null });
    try {
      const page = await ask(this.#backend, { cmd: 'offer_entries', id: this.#id, parent: folder, skip: before.entries.length, limit });
      for (const entry of page.entries) this.#parent.set(entry.index, folder);
      // An empty page ends the folder even if its total says otherwise, so that a wrong total causes no endless loop.
      const entries = [...before.entries, ...page.entries];
      this.#folders.set(folder, { entries, total: page.entries.length === 0 ? entries.length : page.total, loading: false, error: null });
      return true;
    } catch (thrown) {
      this.#folders.set(folder, { ...before, loading: false, error: toApiError(thrown) });
      return false;
    }
  }

  /** Chooses an entry with all of its contents, or everything if `folder` is null. */
  mark(folder: Folder, wanted: boolean): void {
    if (folder === null) {
      this.#marks.clear();
      this.#top = wanted;
      return;
    }
    this.#unmark(folder);
    // Stores no choice that the folder around it implies.
    if (this.#inherited(this.#parent.get(folder) ?? null) !== wanted) this.#marks.set(folder, wanted);
  }

  /** Returns whether all, none, or a part of an entry is chosen. Null means the whole offer. */
  choice(folder: Folder): Choice {
    const own = this.#inherited(folder);
    const { entries, total } = this.listing(folder);
    let [all, none] = entries.length === total && total > 0 ? [true, true] : [own, !own];
    for (const entry of entries) {
      const part = this.choice(entry.index);
      all &&= part === 'all';
      none &&= part === 'none';
      if (!all && !none) return 'some';
    }
    return all ? 'all' : 'none';
  }

  /** Files and bytes that are chosen. */
  get sum(): Sum {
    return this.#sum(null, this.#whole);
  }

  /**
   * Returns the indices to accept, or null for all. First fetches the folders that are needed to name them.
   *
   * Rejects with an `ApiError` if there are too many to name, or if a folder cannot be fetched.
   */
  async only(): Promise<number[] | null> {
    if (this.choice(null) === 'all') return null;
    const chosen: number[] = [];
    await this.#collect(null, chosen);
    return chosen;
  }

  async #collect(folder: Folder, chosen: number[]): Promise<void> {
    if (this.#inherited(folder)) await this.#rest(folder);
    for (const entry of this.listing(folder).entries) {
      const choice = this.choice(entry.index);
      if (choice === 'all') chosen.push(entry.index);
      else if (choice === 'some') await this.#collect(entry.index, chosen);
      if (chosen.length > MAX_CHOSEN) throw TOO_MANY;
    }
  }

  /** Fetches the rest of a folder. */
  async #rest(folder: Folder): Promise<void> {
    for (;;) {
      const { entries, total } = this.listing(folder);
      if (entries.length === total) return;
      if (total !== null && total > MAX_CHOSEN) throw TOO_MANY;
      if (!(await this.more(folder, BULK_PAGE_SIZE))) throw this.listing(folder).error ?? TOO_MANY;
    }
  }

  /** Returns the choice that applies to the contents of a folder. */
  #inherited(folder: Folder): boolean {
    let at = folder;
    while (at !== null) {
      const mark = this.#marks.get(at);
      if (mark !== undefined) return mark;
      at = this.#parent.get(at) ?? null;
    }
    return this.#top;
  }

  #unmark(entry: number): void {
    this.#marks.delete(entry);
    for (const part of this.listing(entry).entries) this.#unmark(part.index);
  }

  #sum(folder: Folder, whole: Sum): Sum {
    const own = this.#inherited(folder);
    // Entries that were not fetched follow the folder.
    const sum = own ? { ...whole } : { files: 0, size: 0 };
    for (const entry of this.listing(folder).entries) {
      const part = this.#sum(entry.index, entry);
      sum.files += part.files - (own ? entry.files : 0);
      sum.size += part.size - (own ? entry.size : 0);
    }
    return { files: Math.max(0, sum.files), size: Math.max(0, sum.size) };
  }
}

const TOO_MANY: ApiError = { code: 'selection_too_large', message: 'these are more single files than can be chosen', hint: 'Choose whole folders, or accept everything.' };
