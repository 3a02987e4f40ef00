// Short messages at the edge of the window. Errors stay until they are dismissed. Other messages leave by themselves.

import type { ApiError } from '../../backend/bindings';

export type Toast = { id: number; times: number } & (
  | { kind: 'error'; error: ApiError; hint: string }
  | { kind: 'info' | 'refused'; message: string; hint: string; undo: Undo | null }
);

/** An action that can be undone as long as its toast is shown. */
export interface Undo {
  undo: () => void;
  /** Called when the toast has left and the action was not undone. */
  commit: () => void;
}

const INFO_MS = 6000;
/** Longer, because the person may want to undo the action. */
const UNDO_MS = 10_000;
const MAX_TOASTS = 4;

export class Toasts {
  list = $state.raw<readonly Toast[]>([]);
  #next = 1;
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  info(message: string, hint = ''): void {
    const id = this.#add({ kind: 'info', message, hint, undo: null, id: this.#next++, times: 1 });
    this.unpin(id);
  }

  /** Says that nothing was done, and why. It is neither an error nor a success. */
  refuse(message: string, hint = ''): void {
    const id = this.#add({ kind: 'refused', message, hint, undo: null, id: this.#next++, times: 1 });
    this.unpin(id);
  }

  /** Says what was done, and offers to undo it. */
  undoable(message: string, undo: Undo): void {
    const id = this.#add({ kind: 'info', message, hint: '', undo, id: this.#next++, times: 1 });
    this.unpin(id);
  }

  /** Undoes the action of a toast. */
  undo(id: number): void {
    const toast = this.list.find((each) => each.id === id);
    this.#drop(id);
    if (toast && toast.kind !== 'error') toast.undo?.undo();
  }

  /** Shows an error. A `hint` replaces that of the error, where the page knows more. */
  error(error: ApiError, hint = ''): void {
    // A repeated error is counted in one toast.
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
    if (toast && toast.kind !== 'error') toast.undo?.commit();
  }

  /** Keeps a toast while it is being read. */
  pin(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  /** Starts the time after which a toast leaves. */
  unpin(id: number): void {
    const toast = this.list.find((each) => each.id === id);
    if (!toast || toast.kind === 'error') return;
    this.pin(id);
    this.#timers.set(id, setTimeout(() => this.dismiss(id), toast.undo ? UNDO_MS : INFO_MS));
  }

  #drop(id: number): void {
    this.pin(id);
    this.list = this.list.filter((each) => each.id !== id);
  }

  #add(toast: Toast): number {
    const kept = [...this.list, toast];
    while (kept.length > MAX_TOASTS) {
      const gone = kept.findIndex((t) => t.kind !== 'error');
      const [out] = kept.splice(Math.max(gone, 0), 1);
      if (out) this.pin(out.id);
      if (out && out.kind !== 'error') out.undo?.commit();
    }
    this.list = kept;
    return toast.id;
  }
}
