// The node as the page knows it: a snapshot that numbered events keep current.

import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { ask, toApiError, type Backend, type Unlisten } from './backend';
import type {
  ApiError,
  CheckView,
  DeviceView,
  IdentityView,
  KeystoreView,
  MessageView,
  NumberedEvent,
  PairingView,
  RelayView,
  Settings,
  Snapshot,
  TransferView,
} from './bindings';

export type Phase = 'starting' | 'ready' | 'failed' | 'stopped';

/** Is told what the page announces beyond the state itself. */
export interface NodeListener {
  notice(error: ApiError): void;
  offer(transfer: TransferView): void;
  ended(transfer: TransferView): void;
  /** A transfer stopped, and a person has to do something about it. */
  stuck(transfer: TransferView): void;
  text(message: MessageView): void;
  /** The doctor has finished a check. */
  check(device: string | null, check: CheckView): void;
  /** A new snapshot was taken. Whoever keeps more than the snapshot holds has to fetch that anew. */
  refreshed(): void;
}

/** Puts paired devices into the order in which the page shows them. */
export type Arrange = (devices: DeviceView[]) => DeviceView[];

const FINAL: ReadonlySet<TransferView['state']> = new Set(['done', 'failed', 'declined', 'cancelled']);

/** True if the transfer has ended. */
export function isFinal(transfer: TransferView): boolean {
  return FINAL.has(transfer.state);
}

/** True if the transfer is an offer that waits for this person's decision. */
export function isOffer(transfer: TransferView): boolean {
  return transfer.direction === 'receive' && transfer.state === 'offered';
}

/** True if the transfer is paused for a reason that no person chose. */
export function isStuck(transfer: TransferView): boolean {
  return transfer.state === 'paused' && ['disk_full', 'source_gone'].includes(transfer.reason?.code ?? '');
}

/** True if the transfer has a place in the queue. Incoming ones have none, nor has one whose folders are still being listed. */
export function isQueued(transfer: TransferView): boolean {
  return transfer.state === 'queued' && transfer.place !== null;
}

/** True if the transfer can be paused. */
export function canPause(transfer: TransferView): boolean {
  return ['active', 'waiting', 'queued'].includes(transfer.state);
}

/** True if the transfer can be resumed here. One that the other side paused can be resumed only there. */
export function canResume(transfer: TransferView): boolean {
  return transfer.state === 'waiting' || (transfer.state === 'paused' && transfer.reason?.code !== 'paused_there');
}

/** Interval between attempts to get a snapshot. */
const RETRY_MS = 1000;

/** Events that are kept while a snapshot is on its way. If there are more, the gap causes a new snapshot. */
const MAX_BUFFERED = 4096;

export class NodeStore {
  phase = $state<Phase>('starting');
  startError = $state.raw<ApiError | null>(null);
  /** Where the secret is kept. Set if a start failed that is not the first one. */
  recorded = $state.raw<KeystoreView | null>(null);
  identity = $state.raw<IdentityView | null>(null);
  settings = $state.raw<Settings | null>(null);
  pairing = $state.raw<PairingView>({ step: 'idle' });
  relays = $state.raw<RelayView[]>([]);
  /** Time of the page's monotonic clock at which `pairing` arrived. Countdowns start from it. */
  pairingAt = $state(0);
  readonly devices = new SvelteMap<string, DeviceView>();
  readonly transfers = new SvelteMap<string, TransferView>();
  /** Transfers that were taken off the list and can still be restored. */
  readonly hidden = new SvelteSet<string>();
  /** Unseen texts by device. */
  readonly unread = new SvelteMap<string, number>();

  readonly #backend: Backend;
  readonly #listener: NodeListener;
  readonly #arrange: Arrange;
  /** Number of the last applied event. Null while a snapshot is awaited. */
  #last: number | null = null;
  #buffer: NumberedEvent[] = [];
  /** Counts the snapshots asked for, so that a late answer to an older question is dropped. */
  #question = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(backend: Backend, listener: NodeListener, arrange: Arrange = (devices) => devices) {
    this.#backend = backend;
    this.#listener = listener;
    this.#arrange = arrange;
  }

  /** Paired devices, in the order of their cards. */
  readonly paired = $derived.by(() => this.#arrange([...this.devices.values()].filter((d) => d.paired && d.trust !== 'blocked')));
  readonly blocked = $derived([...this.devices.values()].filter((d) => d.paired && d.trust === 'blocked').toSorted(byName));
  readonly connected = $derived(this.paired.filter((d) => d.state === 'connected'));
  readonly nearby = $derived([...this.devices.values()].filter((d) => !d.paired).toSorted(byName));
  readonly #newestFirst = $derived([...this.transfers.values()].toSorted((a, b) => b.started - a.started || compare(a.id, b.id)));
  readonly offers = $derived(this.#newestFirst.filter(isOffer));
  /** Transfers that have not ended: first those in progress, then the queue, then offers that wait for the other side. */
  readonly running = $derived(this.#newestFirst.filter((t) => !isOffer(t) && !isFinal(t)).toSorted(byTurn));
  /** Transfers that are active, paused, waiting, or being prepared. */
  readonly inProgress = $derived(this.running.filter((t) => t.state !== 'offered' && !isQueued(t)));
  /** The queue, the next transfer first. */
  readonly queue = $derived(this.running.filter(isQueued));
  /** Offers from here that wait for an answer. */
  readonly sentOffers = $derived(this.running.filter((t) => t.state === 'offered'));
  /** Number of unseen texts of paired devices. */
  readonly unseen = $derived(this.paired.reduce((sum, device) => sum + (this.unread.get(device.device_id) ?? 0), 0));
  readonly ended = $derived(this.#newestFirst.filter((t) => isFinal(t) && !this.hidden.has(t.id)));

  /** Subscribes first and asks then, so that no event is missed in between. */
  async open(): Promise<Unlisten> {
    const unlisten = await this.#backend.onEvent((event) => this.hear(event));
    if (!this.#closed) await this.refresh();
    return () => {
      this.#closed = true;
      clearTimeout(this.#retry);
      unlisten();
    };
  }

  /** Called when the core has come up, for the first time or again. Its event numbers start anew. */
  started(): void {
    this.#buffer = [];
    this.startError = null;
    if (this.phase !== 'ready') this.phase = 'starting';
    void this.refresh();
  }

  /** Called when the core cannot start. */
  failed(error: ApiError, recorded: KeystoreView | null = this.recorded): void {
    this.startError = error;
    this.recorded = recorded;
    this.phase = 'failed';
  }

  /** Asks for a snapshot. Events wait until it is here. */
  async refresh(): Promise<void> {
    clearTimeout(this.#retry);
    this.#question += 1;
    const question = this.#question;
    this.#last = null;
    try {
      const snapshot = await ask(this.#backend, { cmd: 'snapshot' });
      if (question === this.#question && !this.#closed) this.#take(snapshot);
    } catch (thrown) {
      if (question !== this.#question || this.#closed) return;
      const error = toApiError(thrown);
      // An error before the core is up says nothing: `started` or the next attempt brings the snapshot.
      if (error.code !== 'starting' && this.phase === 'starting') this.failed(error);
      this.#retry = setTimeout(() => void this.refresh(), RETRY_MS);
    }
  }

  hear(event: NumberedEvent): void {
    if (this.#last === null) {
      if (this.#buffer.length < MAX_BUFFERED) this.#buffer.push(event);
      return;
    }
    if (event.seq <= this.#last) return;
    if (event.seq > this.#last + 1) {
      this.#buffer = [event];
      void this.refresh();
      return;
    }
    this.#last = event.seq;
    this.#apply(event);
  }

  /** Applies an order that the core has just answered with. Its events arrive one place at a time. */
  reordered(transfers: readonly TransferView[]): void {
    for (const { id, place } of transfers) {
      const known = this.transfers.get(id);
      if (known?.state === 'queued') this.transfers.set(id, { ...known, place });
    }
  }

  #take(snapshot: Snapshot): void {
    this.identity = snapshot.identity;
    this.settings = snapshot.settings;
    this.#setPairing(snapshot.pairing);
    replace(this.devices, snapshot.devices, (d) => d.device_id);
    replace(this.transfers, snapshot.transfers, (t) => t.id);
    this.relays = snapshot.relays;
    this.unread.clear();
    for (const { device_id, count } of snapshot.unread) this.unread.set(device_id, count);
    this.startError = null;
    this.phase = 'ready';
    this.#last = snapshot.seq;
    const waiting = this.#buffer;
    this.#buffer = [];
    for (const event of waiting) this.hear(event);
    this.#listener.refreshed();
  }

  #setPairing(pairing: PairingView): void {
    this.pairing = pairing;
    this.pairingAt = performance.now();
  }

  #apply(event: NumberedEvent): void {
    switch (event.event) {
      case 'ready':
      case 'identity':
        this.identity = event;
        break;
      case 'device':
      case 'paired':
        this.devices.set(event.device.device_id, event.device);
        break;
      case 'device_gone':
        this.devices.delete(event.device_id);
        this.unread.delete(event.device_id);
        break;
      case 'pairing':
        this.#setPairing(event.pairing);
        break;
      case 'offer':
        this.transfers.set(event.transfer.id, event.transfer);
        this.#listener.offer(event.transfer);
        break;
      case 'transfer': {
        const before = this.transfers.get(event.transfer.id);
        this.transfers.set(event.transfer.id, event.transfer);
        if (before && !isFinal(before) && isFinal(event.transfer)) this.#listener.ended(event.transfer);
        if (before && before.state !== 'paused' && isStuck(event.transfer)) this.#listener.stuck(event.transfer);
        break;
      }
      case 'transfer_gone':
        this.transfers.delete(event.id);
        break;
      case 'message':
        if (event.message.state === 'received') this.unread.set(event.message.device_id, (this.unread.get(event.message.device_id) ?? 0) + 1);
        this.#listener.text(event.message);
        break;
      case 'relays':
        this.relays = event.relays;
        break;
      case 'doctor_check':
        this.#listener.check(event.device, event.check);
        break;
      case 'settings':
        this.settings = event.settings;
        if (this.identity) {
          this.identity = { ...this.identity, name: event.settings.name, type: event.settings.type };
        }
        break;
      case 'notice':
        this.#listener.notice(event.error);
        break;
      case 'stopping':
        this.phase = 'stopped';
        break;
    }
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byName(a: DeviceView, b: DeviceView): number {
  return a.name.localeCompare(b.name) || compare(a.device_id, b.device_id);
}

const TURN: Partial<Record<TransferView['state'], number>> = { queued: 1, offered: 2 };

function byTurn(a: TransferView, b: TransferView): number {
  return (TURN[a.state] ?? 0) - (TURN[b.state] ?? 0) || (a.place ?? Infinity) - (b.place ?? Infinity) || 0;
}

function replace<V>(map: SvelteMap<string, V>, values: readonly V[], key: (value: V) => string): void {
  const keep = new Set(values.map(key));
  for (const old of map.keys()) if (!keep.has(old)) map.delete(old);
  for (const value of values) map.set(key(value), value);
}
