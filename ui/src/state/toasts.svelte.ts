// Short messages at the edge of the window. Errors stay until they are dismissed; good news leaves by itself.

import type { ApiError } from '../ipc/bindings';

export type Toast = { id: number; times: number } & (
  | { kind: 'error'; error: ApiError }
  | { kind: 'info'; message: string; hint: string }
);

const INFO_MS = 6000;
const MOST = 4;

export class Toasts {
  list = $state.raw<readonly Toast[]>([]);
  #next = 1;
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();

  info(message: string, hint = ''): void {
    const id = this.#add({ kind: 'info', message, hint, id: this.#next++, times: 1 });
    this.rest(id);
  }

  error(error: ApiError): void {
    // The same trouble again and again is one toast, not a wall of them.
    const same = this.list.find((t) => t.kind === 'error' && t.error.code === error.code && t.error.message === error.message);
    if (same) {
      this.list = this.list.map((t) => (t === same ? { ...t, times: t.times + 1 } : t));
      return;
    }
    this.#add({ kind: 'error', error, id: this.#next++, times: 1 });
  }

  dismiss(id: number): void {
    this.hold(id);
    this.list = this.list.filter((t) => t.id !== id);
  }

  /** Someone reads it: it stays. */
  hold(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  /** Nobody reads it any more: it may leave. */
  rest(id: number): void {
    if (this.list.find((t) => t.id === id)?.kind !== 'info') return;
    this.hold(id);
    this.#timers.set(id, setTimeout(() => this.dismiss(id), INFO_MS));
  }

  #add(toast: Toast): number {
    const kept = [...this.list, toast];
    while (kept.length > MOST) {
      const gone = kept.findIndex((t) => t.kind === 'info');
      const [out] = kept.splice(Math.max(gone, 0), 1);
      if (out) this.hold(out.id);
    }
    this.list = kept;
    return toast.id;
  }
}
