// The doctor's visit: checks as they are done, then the whole report.

import { createContext } from 'svelte';
import { ask, toApiError, type Backend } from '../../backend/backend';
import type { ApiError, CheckStatus, CheckView, DoctorReport } from '../../backend/bindings';
import type { Page } from '../../shared/context';

const WORST: readonly CheckStatus[] = ['ok', 'info', 'warning', 'failed'];

export class DoctorState {
  /** The device that is asked about; null looks at this one and at all. */
  device = $state<string | null>(null);
  /** The page that the person came from, and goes back to. */
  cameFrom = $state<Page>('home');
  checks = $state.raw<CheckView[]>([]);
  report = $state.raw<DoctorReport | null>(null);
  error = $state.raw<ApiError | null>(null);
  running = $state(false);
  /** The person did not want to wait for the rest. */
  stopped = $state(false);

  readonly #backend: Backend;
  /** Rises with every visit, so that the end of an older one is dropped. */
  #visit = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The worst that was found; null before anything was. */
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

  /** Waits for no more. What is under way in the core ends by itself within seconds. */
  stop(): void {
    this.#visit += 1;
    this.running = false;
    this.stopped = true;
  }

  addCheck(device: string | null, check: CheckView): void {
    if (!this.running || device !== this.device) return;
    // One check may come anew while another of the same name stays.
    const others = this.checks.filter((each) => each.name !== check.name || each.subject !== check.subject);
    this.checks = [...others, check];
  }
}

export const [getDoctor, setDoctor] = createContext<DoctorState>();
