// The doctor: checks as they finish, then the whole report.

import { createContext } from 'svelte';
import { ask, toApiError, type Backend } from '../../backend/backend';
import type { ApiError, CheckStatus, CheckView, DoctorReport } from '../../backend/bindings';
import type { Page } from '../../common/context';

const WORST: readonly CheckStatus[] = ['ok', 'info', 'warning', 'failed'];

export class DoctorState {
  /** The device that is checked. Null checks this device and all others. */
  device = $state<string | null>(null);
  /** The page that the person came from, and goes back to. */
  cameFrom = $state<Page>('home');
  checks = $state.raw<CheckView[]>([]);
  report = $state.raw<DoctorReport | null>(null);
  error = $state.raw<ApiError | null>(null);
  running = $state(false);
  /** The person stopped waiting for the rest. */
  stopped = $state(false);

  readonly #backend: Backend;
  /** Counts the runs, so that the end of an older one is dropped. */
  #visit = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The worst status so far. Null before the first check. */
  readonly worst = $derived(this.checks.length === 0 ? null : (WORST.findLast((status) => this.checks.some((check) => check.status === status)) ?? null));

  async run(device: string | null): Promise<void> {
    this.#visit += 1;
    const visit = this.#visit;
    this.device = device;
    this.checks = [];
    this.report = null;
    this.error = null;
    this.stopped = false;
    this.running = true;
    try {
      const report = await ask(this.#backend, { cmd: 'doctor', device });
      if (visit !== this.#visit) return;
      this.report = report;
      this.checks = report.checks;
    } catch (thrown) {
      if (visit === this.#visit) this.error = toApiError(thrown);
    } finally {
      if (visit === this.#visit) this.running = false;
    }
  }

  /** Stops waiting. The core ends its checks by itself within seconds. */
  stop(): void {
    this.#visit += 1;
    this.running = false;
    this.stopped = true;
  }

  addCheck(device: string | null, check: CheckView): void {
    if (!this.running || device !== this.device) return;
    // A check can be repeated. One of the same name about another subject stays.
    const others = this.checks.filter((each) => each.name !== check.name || each.subject !== check.subject);
    this.checks = [...others, check];
  }
}

export const [getDoctor, setDoctor] = createContext<DoctorState>();
