// Short messages at the edge of the window. Errors stay until they are dismissed; good news leaves by itself.

import type { ApiError } from '../../backend/bindings';

export type Toast = { id: number; times: number } & (
  | { kind: 'error'; error: ApiError; hint: string }
  | { kind: 'info' | 'refused'; message: string; hint: string; undo: Undo | null }
);

/** What can be taken back as long as the message is there. */
export interface Undo {
  back: () => void;
  /** The message has left, and nobody took it back. */
  settle: () => void;
}

const INFO_MS = 6000;
/** Time enough to read, and to think better of it. */
const UNDO_MS = 10_000;
const MOST = 4;

export class Toasts {
  list = $state.raw<readonly Toast[]>([]);
  #next = 1;
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  info(message: string, hint = ''): void {
    const id = this.#add({ kind: 'info', message, hint, undo: null, id: this.#next++, times: 1 });
    this.rest(id);
  }

  /** Says that nothing was done, and why: no error, and no success either. */
  refuse(message: string, hint = ''): void {
    const id = this.#add({ kind: 'refused', message, hint, undo: null, id: this.#next++, times: 1 });
    this.rest(id);
  }

  /** Says what was done, and lets it be taken back. */
  undoable(message: string, undo: Undo): void {
    const id = this.#add({ kind: 'info', message, hint: '', undo, id: this.#next++, times: 1 });
    this.rest(id);
  }

  /** Takes back what a message tells of. */
  undo(id: number): void {
    const toast = this.list.find((each) => each.id === id);
    this.#drop(id);
    if (toast && toast.kind !== 'error') toast.undo?.back();
  }

  /** A hint of the page's own, where it knows more than the error's code says. */
  error(error: ApiError, hint = ''): void {
    // The same trouble again and again is one toast, not a wall of them.
    const same = this.list.find((t) => t.kind === 'error' && t.error.code === error.code && t.error.message === error.message);
    if (same) {
      this.list = this.list.map((t) => (t === same ? { ...t, times: t.times + 1 } : t));
      return;
    }
    this.#add({ kind: 'error', error, hint, id: this.#next++, times: 1 });
  }

  dismiss(id: number): void {
    const toast = this.list.find((each) => each.id === id);
    this.#drop(id);
    if (toast && toast.kind !== 'error') toast.undo?.settle();
  }

  /** Someone reads it: it stays. */
  hold(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  /** Nobody reads it any more: it may leave. */
  rest(id: number): void {
    const toast = this.list.find((each) => each.id === id);
    if (!toast || toast.kind === 'error') return;
    this.hold(id);
    this.#timers.set(id, setTimeout(() => this.dismiss(id), toast.undo ? UNDO_MS : INFO_MS));
  }

  #drop(id: number): void {
    this.hold(id);
    this.list = this.list.filter((each) => each.id !== id);
  }

  #add(toast: Toast): number {
    const kept = [...this.list, toast];
    while (kept.length > MOST) {
      const gone = kept.findIndex((t) => t.kind !== 'error');
      const [out] = kept.splice(Math.max(gone, 0), 1);
      if (out) this.hold(out.id);
      if (out && out.kind !== 'error') out.undo?.settle();
    }
    this.list = kept;
    return toast.id;
  }
}
