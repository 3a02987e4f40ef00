// The rules of the fake node for transfers: contents of offers, the queue, and which request is allowed in which state.

import type { ApiError, OfferEntry, OfferPage, Request, TransferView } from './bindings';

const FINAL = new Set(['done', 'failed', 'declined', 'cancelled']);
const MIN_LIMIT = 1024;
const MAX_CHOSEN = 10_000;

function apiError(code: string, message: string, hint = ''): ApiError {
  return { code, message, hint };
}

interface Node extends OfferEntry {
  parent: number | null;
}

/** The contents of an offer, made from paths and sizes. Folders come before their contents. */
export class Manifest {
  readonly #nodes: Node[] = [];

  constructor(files: Record<string, number>) {
    const folders = new Map<string, Node>();
    for (const [path, size] of Object.entries(files)) {
      const parts = path.split('/');
      let parent: Node | null = null;
      for (const [depth, name] of parts.entries()) {
        const place: string = parts.slice(0, depth + 1).join('/');
        const folder: boolean = depth < parts.length - 1;
        const known: Node | undefined = folder ? folders.get(place) : undefined;
        if (known) {
          known.size += size;
          known.files += 1;
          parent = known;
          continue;
        }
        const node: Node = { index: this.#nodes.length, name, folder, size, files: 1, mtime: 1_790_000_000, hidden: name.startsWith('.'), runs: name.endsWith('.desktop'), parent: parent?.index ?? null };
        this.#nodes.push(node);
        if (folder) folders.set(place, node);
        parent = node;
      }
    }
  }

  page(parent: number | null, skip: number, limit: number): OfferPage {
    if (limit < 1 || limit > 1000) throw apiError('invalid_input', '1 to 1000 entries can be asked for');
    if (parent !== null && !this.#nodes[parent]?.folder) throw apiError('selection_invalid', 'this cannot be chosen: there is no such folder');
    const all = this.#nodes.filter((node) => node.parent === parent);
    return { entries: all.slice(skip, skip + limit).map(({ index, name, folder, size, files, mtime, hidden, runs }) => ({ index, name, folder, size, files, mtime, hidden, runs })), total: all.length };
  }

  /** Counts the files and bytes of a selection. */
  sum(only: readonly number[]): { files: number; total: number } {
    if (only.length === 0 || only.length > MAX_CHOSEN) throw apiError('selection_invalid', 'this cannot be chosen: 1 to 10,000 entries can be chosen');
    const chosen = new Set(only);
    const within = (node: Node | undefined): boolean => node !== undefined && (chosen.has(node.index) || (node.parent !== null && within(this.#nodes[node.parent])));
    const files = this.#nodes.filter((node) => !node.folder && within(node));
    return { files: files.length, total: files.reduce((sum, node) => sum + node.size, 0) };
  }

  /** The figures of the whole offer, as fields of a transfer. */
  get view(): Pick<TransferView, 'roots' | 'root_count' | 'files' | 'total'> {
    const roots = this.#nodes.filter((node) => node.parent === null);
    const files = this.#nodes.filter((node) => !node.folder);
    return { roots: roots.slice(0, 20).map((node) => node.name), root_count: roots.length, files: files.length, total: files.reduce((sum, node) => sum + node.size, 0) };
  }
}

const waits = (transfer: TransferView) => transfer.direction === 'send' && transfer.state === 'queued';
const hasPlace = (transfer: TransferView) => transfer.direction === 'send' && (transfer.state === 'queued' || transfer.state === 'active');

/** Returns the queued and active transfers of this device, in the order of their places. */
function inOrder(all: readonly TransferView[]): TransferView[] {
  return all.filter(hasPlace).toSorted((a, b) => (a.place ?? Infinity) - (b.place ?? Infinity) || a.started - b.started || 0);
}

/** Returns the transfers whose place or state changes now, with the new values. The next one in the queue starts. */
export function turns(all: readonly TransferView[], parallel: number): TransferView[] {
  const queue = inOrder(all);
  let free = parallel - queue.filter((each) => each.state === 'active').length;
  const changed: TransferView[] = [];
  for (const [at, transfer] of queue.entries()) {
    const goes = transfer.state === 'queued' && free > 0;
    if (goes) free -= 1;
    const now: TransferView = { ...transfer, place: at + 1, ...(goes ? { state: 'active', rate: 40_000_000 } : {}) };
    if (now.place !== transfer.place || goes) changed.push(now);
  }
  for (const transfer of all) if (!hasPlace(transfer) && transfer.place !== null) changed.push({ ...transfer, place: null });
  return changed;
}

/** Returns the places after one transfer was put before another. */
export function reordered(all: readonly TransferView[], transfer: TransferView, before: string | null): TransferView[] {
  if (!waits(transfer)) throw apiError('transfer_not_queued', 'the transfer has no place in the queue');
  const rest = inOrder(all).filter((each) => each.id !== transfer.id);
  const at = before === null ? rest.length : rest.findIndex((each) => each.id === before);
  if (at < 0) throw apiError('transfer_not_queued', 'the transfer has no place in the queue');
  rest.splice(at, 0, transfer);
  return rest.map((each, place) => Object.assign({}, each, { place: place + 1 }));
}

/** Returns a transfer after a request, or throws if its state does not allow it. */
export function asked(transfer: TransferView, request: Extract<Request, { cmd: 'pause' | 'resume' | 'limit' }>): TransferView {
  if (FINAL.has(transfer.state)) throw apiError('transfer_ended', 'the transfer has ended');
  switch (request.cmd) {
    case 'pause':
      return { ...transfer, state: 'paused', reason: apiError('paused_here', 'it was paused on this device', 'Resume it here.'), rate: 0, eta: null };
    case 'resume': {
      if (transfer.reason?.code === 'paused_there') throw apiError('paused_there', 'it was paused on the other device', 'It goes on when it is resumed there.');
      const state = transfer.direction === 'send' ? 'queued' : 'active';
      return { ...transfer, state, reason: null, rate: state === 'active' ? 40_000_000 : 0 };
    }
    case 'limit':
      if (request.rate !== null && request.rate < MIN_LIMIT) throw apiError('invalid_input', `a limit is at least ${MIN_LIMIT} bytes a second`);
      return { ...transfer, limit: request.rate, rate: request.rate === null ? transfer.rate : Math.min(transfer.rate, request.rate) };
  }
}

/** Returns the transfers in which every word is found. */
export function found(all: readonly TransferView[], ended: boolean, find: string | null): TransferView[] {
  const words = (find ?? '').slice(0, 200).toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((transfer) => {
    const texts = [...transfer.roots, transfer.device_name, transfer.state].map((text) => text.toLowerCase());
    return (ended || !FINAL.has(transfer.state)) && words.every((word) => texts.some((text) => text.includes(word)));
  });
}
