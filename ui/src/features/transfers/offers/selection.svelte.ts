// What a person chooses of an offer. The folders of an offer are asked for as they are opened; what is said of a folder
// holds for all in it, seen or not, until something else is said of a part of it.

import { SvelteMap } from 'svelte/reactivity';
import { ask, toApiError, type Backend } from '../../../backend/backend';
import type { ApiError, ConflictRule, OfferEntry, TransferView } from '../../../backend/bindings';

/** Entries asked for at once while a person looks. */
const PAGE_SIZE = 200;
/** And while all of a folder is needed. */
const BULK_PAGE_SIZE = 1000;
/** So many may be named in an answer. */
export const MAX_CHOSEN = 10_000;

/** Number of a folder; null is the top. */
type Folder = number | null;
export type Choice = 'all' | 'none' | 'some';

interface Listing {
  entries: readonly OfferEntry[];
  /** How many there are; null until the first page came. */
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
  /** What is done where a name is taken; none means as in the settings. */
  conflict = $state<ConflictRule | null>(null);
  /** The list of what is in it is shown. */
  open = $state(false);
  readonly unfolded = new SvelteMap<number, boolean>();

  readonly #backend: Backend;
  readonly #id: string;
  readonly #whole: Sum;
  readonly #folders = new SvelteMap<Folder, Listing>();
  /** Pages that are on their way. */
  readonly #asked = new Map<Folder, Promise<boolean>>();
  readonly #parent = new Map<number, Folder>();
  /** What holds where nothing was said. */
  #top = $state(true);
  /** What was said of an entry; what nothing was said of is as its folder. */
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

  /** The next page of a folder. False if it cannot be had; the listing says why. */
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
      // A page of nothing is the end, whatever the total says: or this would go on for ever.
      const entries = [...before.entries, ...page.entries];
      this.#folders.set(folder, { entries, total: page.entries.length === 0 ? entries.length : page.total, loading: false, error: null });
      return true;
    } catch (thrown) {
      this.#folders.set(folder, { ...before, loading: false, error: toApiError(thrown) });
      return false;
    }
  }

  /** Everything, or nothing, in one click. */
  mark(folder: Folder, wanted: boolean): void {
    if (folder === null) {
      this.#marks.clear();
      this.#top = wanted;
      return;
    }
    this.#unmark(folder);
    // Said of a part what holds for the whole anyway, nothing is said.
    if (this.#inherited(this.#parent.get(folder) ?? null) !== wanted) this.#marks.set(folder, wanted);
  }

  /** How it stands with an entry, or with all. */
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

  /** How much is chosen. */
  get sum(): Sum {
    return this.#sum(null, this.#whole);
  }

  /**
   * The numbers to accept; null means all. Asks first for what is needed to name them.
   *
   * Rejects with an `ApiError` when there are too many to name, or they cannot be had.
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

  /** All of a folder of which only parts were seen. */
  async #rest(folder: Folder): Promise<void> {
    for (;;) {
      const { entries, total } = this.listing(folder);
      if (entries.length === total) return;
      if (total !== null && total > MAX_CHOSEN) throw TOO_MANY;
      if (!(await this.more(folder, BULK_PAGE_SIZE))) throw this.listing(folder).error ?? TOO_MANY;
    }
  }

  /** What holds for what is in a folder, and of which nothing was said. */
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
    // What was not seen is as the folder.
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
