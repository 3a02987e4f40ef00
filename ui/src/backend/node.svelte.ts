// The node as the page knows it: a snapshot, kept current by numbered events.

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

/** What the page tells people beyond the state itself. */
export interface NodeListener {
  notice(error: ApiError): void;
  offer(transfer: TransferView): void;
  ended(transfer: TransferView): void;
  /** It stopped, and a person has to do something. */
  stuck(transfer: TransferView): void;
  text(message: MessageView): void;
  /** The doctor has looked at something. */
  check(device: string | null, check: CheckView): void;
  /** Everything was asked anew: what is held beside this may lack something. */
  refreshed(): void;
}

/** Puts paired devices into the order in which the page shows them. */
export type Arrange = (devices: DeviceView[]) => DeviceView[];

const FINAL: ReadonlySet<TransferView['state']> = new Set(['done', 'failed', 'declined', 'cancelled']);

/** Nothing will happen to it any more. */
export function isFinal(transfer: TransferView): boolean {
  return FINAL.has(transfer.state);
}

/** An offer that waits for this person's decision. */
export function isOffer(transfer: TransferView): boolean {
  return transfer.direction === 'receive' && transfer.state === 'offered';
}

/** It stands still for a reason that is no person's will. */
export function isStuck(transfer: TransferView): boolean {
  return transfer.state === 'paused' && ['disk_full', 'source_gone'].includes(transfer.reason?.code ?? '');
}

/** It has a place in the line. One that comes in has none, and neither has one whose folders are being walked. */
export function isQueued(transfer: TransferView): boolean {
  return transfer.state === 'queued' && transfer.place !== null;
}

/** Can be held. */
export function canPause(transfer: TransferView): boolean {
  return ['active', 'waiting', 'queued'].includes(transfer.state);
}

/** Can be let go on from here: what the other side paused goes on from there. */
export function canResume(transfer: TransferView): boolean {
  return transfer.state === 'waiting' || (transfer.state === 'paused' && transfer.reason?.code !== 'paused_there');
}

/** How long to wait before a snapshot that failed is asked for again. */
const RETRY_MS = 1000;

/** A node's worth of events may arrive while a snapshot is on its way; past this it is asked for anew. */
const MAX_BUFFERED = 4096;

export class NodeStore {
  phase = $state<Phase>('starting');
  startError = $state.raw<ApiError | null>(null);
  /** Where the secret is kept, if the start failed and this is not the first one. */
  recorded = $state.raw<KeystoreView | null>(null);
  identity = $state.raw<IdentityView | null>(null);
  settings = $state.raw<Settings | null>(null);
  pairing = $state.raw<PairingView>({ step: 'idle' });
  relays = $state.raw<RelayView[]>([]);
  /** When `pairing` arrived, by the page's monotonic clock: countdowns start there. */
  pairingAt = $state(0);
  readonly devices = new SvelteMap<string, DeviceView>();
  readonly transfers = new SvelteMap<string, TransferView>();
  /** Transfers that were taken off the list, which can still be taken back. */
  readonly hidden = new SvelteSet<string>();
  /** How many texts of a device the person has not seen. */
  readonly unread = new SvelteMap<string, number>();

  readonly #backend: Backend;
  readonly #listener: NodeListener;
  readonly #arrange: Arrange;
  /** Number of the last event applied; null while a snapshot is awaited. */
  #last: number | null = null;
  #buffer: NumberedEvent[] = [];
  /** Rises with every snapshot asked for, so that the answer to an older question is dropped. */
  #question = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(backend: Backend, listener: NodeListener, arrange: Arrange = (devices) => devices) {
    this.#backend = backend;
    this.#listener = listener;
    this.#arrange = arrange;
  }

  /** In the order of their cards. */
  readonly paired = $derived.by(() => this.#arrange([...this.devices.values()].filter((d) => d.paired && d.trust !== 'blocked')));
  readonly blocked = $derived([...this.devices.values()].filter((d) => d.paired && d.trust === 'blocked').toSorted(byName));
  readonly connected = $derived(this.paired.filter((d) => d.state === 'connected'));
  readonly nearby = $derived([...this.devices.values()].filter((d) => !d.paired).toSorted(byName));
  readonly #newestFirst = $derived([...this.transfers.values()].toSorted((a, b) => b.started - a.started || compare(a.id, b.id)));
  readonly offers = $derived(this.#newestFirst.filter(isOffer));
  /** What is under way in the order in which it goes; then what waits for its turn, and for the other side. */
  readonly running = $derived(this.#newestFirst.filter((t) => !isOffer(t) && !isFinal(t)).toSorted(byTurn));
  /** Those that bytes move of, that something holds, or that are being made ready. */
  readonly inProgress = $derived(this.running.filter((t) => t.state !== 'offered' && !isQueued(t)));
  /** Those that wait for their turn, the next one first. */
  readonly queue = $derived(this.running.filter(isQueued));
  /** Offers from here that wait for an answer. */
  readonly sentOffers = $derived(this.running.filter((t) => t.state === 'offered'));
  /** Texts of paired devices that nobody has seen. */
  readonly unseen = $derived(this.paired.reduce((sum, device) => sum + (this.unread.get(device.device_id) ?? 0), 0));
  readonly ended = $derived(this.#newestFirst.filter((t) => isFinal(t) && !this.hidden.has(t.id)));

  /** Subscribes first and asks then, so that nothing falls between the two. */
  async open(): Promise<Unlisten> {
    const unlisten = await this.#backend.onEvent((event) => this.hear(event));
    if (!this.#closed) await this.refresh();
    return () => {
      this.#closed = true;
      clearTimeout(this.#retry);
      unlisten();
    };
  }

  /** The core is up, for the first time or anew: its numbers begin again. */
  started(): void {
    this.#buffer = [];
    this.startError = null;
    if (this.phase !== 'ready') this.phase = 'starting';
    void this.refresh();
  }

  /** The core will not come up. */
  failed(error: ApiError, recorded: KeystoreView | null = this.recorded): void {
    this.startError = error;
    this.recorded = recorded;
    this.phase = 'failed';
  }

  /** Asks for everything anew. Events wait until it is there. */
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
      // Before the core is up there is nothing to say: `started` or the next try brings it.
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

  /** The order that the core has just answered with, at once: its events bring one place after the other. */
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
