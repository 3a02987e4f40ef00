// Everything the page holds, in one place that its parts take from the context.

import { createContext } from 'svelte';
import { i18n } from '../i18n/index.svelte';
import { ask, toApiError, type Backend } from '../ipc/backend';
import type { DeviceView, KeystoreStatus, LinkView, Picked, ShellEvent, TransferOptions, TransferView } from '../ipc/bindings';
import { roundTrip } from '../text/format';
import { visible } from '../text/visible';
import type { KeystoreTask } from '../views/KeystoreDialog.svelte';
import { Drops } from './drops.svelte';
import { NodeStore } from './node.svelte';
import { PairDesk } from './pair.svelte';
import { Toasts } from './toasts.svelte';

export type Page = 'home' | 'settings';

const OPTIONS: TransferOptions = { compress: true, encrypt: true, limit: null };

/** Names of an offer in one line. */
export function title(transfer: TransferView): string {
  const [first] = transfer.roots;
  if (first === undefined) return i18n.t.transfers.nothing;
  const more = transfer.root_count - 1;
  return more > 0 ? i18n.t.list.and(visible(first), more) : visible(first);
}

export class AppState {
  readonly backend: Backend;
  readonly toasts = new Toasts();
  readonly node: NodeStore;
  readonly pair: PairDesk;
  readonly drops: Drops;

  page = $state<Page>('home');
  /** Dropped or picked, and no device chosen yet. */
  unsent = $state.raw<Picked | null>(null);
  /** The person is asked whether to unpair it. */
  unpairing = $state.raw<DeviceView | null>(null);
  /** The device whose details are shown. */
  detail = $state<string | null>(null);
  /** What the person wants done with the secret. */
  keystoreTask = $state<KeystoreTask | null>(null);
  /** How the keystore stands, once it was asked. */
  keystore = $state.raw<KeystoreStatus | null>(null);
  /** What the app was opened with while the node was not up. The last link is the one that the person means. */
  #link = $state.raw<LinkView | null>(null);
  #files = $state.raw<Picked | null>(null);
  /** Read out by screen readers. */
  said = $state('');

  constructor(backend: Backend) {
    this.backend = backend;
    this.node = new NodeStore(backend, {
      notice: (error) => this.toasts.error(error),
      offer: (transfer) => this.#offered(transfer),
      ended: (transfer) => this.#ended(transfer),
    });
    this.pair = new PairDesk(backend, this.node);
    this.drops = new Drops((device, picked) => this.#dropped(device, picked));
  }

  /** Subscribes to both streams. The page has been drawn by then. */
  async open(): Promise<() => void> {
    const shell = await this.backend.onShellEvent((event) => this.hear(event));
    // What the window was opened with waits for this word.
    this.backend.shell({ cmd: 'page_listens' }).catch((thrown: unknown) => this.toasts.error(toApiError(thrown)));
    const node = await this.node.open();
    return () => {
      shell();
      node();
    };
  }

  hear(event: ShellEvent): void {
    switch (event.event) {
      case 'started':
        this.node.started();
        break;
      case 'start_failed':
        this.node.failed(event.error, event.recorded);
        break;
      case 'link_opened':
        this.#link = event.link;
        this.settle();
        break;
      case 'files_opened':
        this.#files = event.picked;
        this.settle();
        break;
      case 'open_refused':
        this.toasts.error(event.error);
        break;
      case 'show':
        if (event.view === 'settings') this.page = 'settings';
        else this.page = 'home';
        if (event.view === 'pair' && this.node.phase === 'ready') this.pair.show('host');
        break;
      default:
        this.drops.hear(event);
    }
  }

  /** Asks about what the app was opened with, as soon as the node can do something about it. */
  settle(): void {
    if (this.node.phase !== 'ready') return;
    const [link, files] = [this.#link, this.#files];
    this.#link = null;
    this.#files = null;
    if (link) this.#linked(link);
    if (files) this.#landed(null, files);
  }

  /** Runs what a button stands for; what goes wrong becomes a toast. True if it went well. */
  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      this.toasts.error(toApiError(thrown));
      return false;
    }
  }

  pickAndSend(device: string, folders: boolean): Promise<boolean> {
    return this.attempt(async () => {
      const answer = await this.backend.shell({ cmd: 'pick', folders });
      if (answer.kind === 'picked') await this.#send(device, answer.value.pick);
    });
  }

  send(device: string, picked: Picked): Promise<boolean> {
    return this.attempt(() => this.#send(device, picked.pick));
  }

  async copy(text: string, said: string = i18n.t.app.copied): Promise<void> {
    if (await this.attempt(() => this.backend.shell({ cmd: 'copy', text }))) this.toasts.info(said);
  }

  async ping(device: DeviceView): Promise<void> {
    await this.attempt(async () => {
      const view = await ask(this.backend, { cmd: 'ping', device: device.device_id, count: 5 });
      const { t, language } = i18n;
      this.toasts.info(
        t.devices.pingResult(visible(device.name), roundTrip(view.median, language), roundTrip(view.min, language)),
        view.path ? t.devices[view.path] : '',
      );
    });
  }

  async unpair(device: DeviceView): Promise<void> {
    this.unpairing = null;
    const went = await this.attempt(() => ask(this.backend, { cmd: 'unpair', device: device.device_id }));
    if (went) this.toasts.info(i18n.t.unpair.done(visible(device.name)));
  }

  async unblock(device: DeviceView): Promise<void> {
    const went = await this.attempt(() => ask(this.backend, { cmd: 'unblock', device: device.device_id }));
    if (went) this.toasts.info(i18n.t.detail.nowUnblocked(visible(device.name)));
  }

  async #send(device: string, pick: string): Promise<void> {
    await this.backend.shell({ cmd: 'send_picked', device, pick, options: OPTIONS });
  }

  #linked(link: LinkView): void {
    if (!this.pair.free) {
      // What is under way is not given up for a link that anybody can have made.
      this.toasts.info(i18n.t.pair.linkBusy, i18n.t.pair.linkBusyHint);
      this.pair.open = true;
      return;
    }
    this.page = 'home';
    this.unsent = null;
    this.unpairing = null;
    this.detail = null;
    this.keystoreTask = null;
    this.pair.offer(link, 'link');
  }

  /** A picture dropped on the dialog for entering a code is looked at, and everything else sent. */
  #dropped(id: string | null, picked: Picked): void {
    const entering = this.pair.open && this.pair.tab === 'join' && this.pair.free && !this.pair.offered;
    if (entering && picked.count === 1) {
      this.pair.look(() => this.backend.shell({ cmd: 'picture_dropped', pick: picked.pick }));
    } else {
      this.#landed(id, picked);
    }
  }

  #landed(id: string | null, picked: Picked): void {
    const device = id === null ? undefined : this.node.devices.get(id);
    if (device?.paired) {
      void this.send(device.device_id, picked);
    } else if (device) {
      this.toasts.info(i18n.t.send.unpaired(visible(device.name)), i18n.t.send.unpairedHint);
    } else if (this.node.paired.length === 0) {
      this.toasts.info(i18n.t.send.nobodyTitle, i18n.t.send.nobody);
    } else {
      this.unsent = picked;
    }
  }

  #offered(transfer: TransferView): void {
    this.said = i18n.t.offers.arrived(visible(transfer.device_name));
  }

  #ended(transfer: TransferView): void {
    if (transfer.state === 'done') this.said = i18n.t.transfers.finished(title(transfer));
    if (transfer.state === 'failed') this.said = i18n.t.transfers.stoppedOn(title(transfer));
  }
}

const [getApp, setApp] = createContext<AppState>();
export { getApp, setApp };
