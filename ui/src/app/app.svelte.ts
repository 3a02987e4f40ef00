// Everything the page holds, in one place that its parts take from the context.

import { createContext } from 'svelte';
import { i18n, type Language } from '../i18n/index.svelte';
import { ask, toApiError, type Backend } from '../backend/backend';
import type { DeviceView, KeystoreStatus, LinkView, MessageView, Picked, QuitStep, ShellEvent, Survey, TransferOptions, TransferView } from '../backend/bindings';
import { roundTrip } from '../i18n/format';
import { visible } from '../shared/text/visible';
import type { KeystoreTask } from '../features/settings/KeystoreDialog.svelte';
import { Doctor } from '../features/diagnostics/doctor.svelte';
import { Drops } from '../features/transfers/sending/drops.svelte';
import { Selection } from '../features/transfers/offers/selection.svelte';
import { NodeStore, isFinal, isOffer } from '../backend/node.svelte';
import { PairDesk } from '../features/pairing/pair.svelte';
import { Talk } from '../features/messages/talk.svelte';
import { Toasts } from '../shared/state/toasts.svelte';

export type Page = 'home' | 'settings' | 'talk' | 'doctor' | 'transfers';

// What is meant for a device that is away waits for it.
export const OPTIONS: TransferOptions = { compress: true, encrypt: true, limit: null, wait: true };

/** Names of an offer in one line. */
export function title(transfer: TransferView): string {
  const [first] = transfer.roots;
  if (first === undefined) return i18n.t.transfers.nothing;
  const more = transfer.root_count - 1;
  return more > 0 ? i18n.t.list.and(visible(first), more) : visible(first);
}

/** Why one stands still, and what a person can do about it. */
export function paused(transfer: TransferView): { message: string; hint: string } {
  const { transfers: t } = i18n.t;
  const name = visible(transfer.device_name);
  const here = transfer.direction === 'receive';
  switch (transfer.reason?.code ?? 'paused_here') {
    case 'paused_here':
      return { message: t.pausedHere, hint: '' };
    case 'paused_there':
      return { message: t.pausedThere(name), hint: t.pausedThereHint };
    case 'disk_full':
      return here ? { message: t.fullHere, hint: t.fullHereHint } : { message: t.fullThere(name), hint: t.fullThereHint };
    case 'source_gone':
      return { message: t.sourceGone, hint: t.sourceGoneHint };
    default:
      return transfer.reason ? i18n.error(transfer.reason) : { message: t.state.paused, hint: '' };
  }
}

export class AppState {
  readonly backend: Backend;
  readonly toasts = new Toasts();
  readonly node: NodeStore;
  readonly pair: PairDesk;
  readonly drops: Drops;
  readonly doctor: Doctor;

  page = $state<Page>('home');
  /** Where the doctor was called from. */
  doctorFrom = $state<Page>('home');
  /** Dropped or picked, and no device chosen yet. */
  unsent = $state.raw<Picked | null>(null);
  /** What is chosen of the offers that wait. */
  readonly #selections = new Map<string, Selection>();
  /** The person is asked whether to unpair it. */
  unpairing = $state.raw<DeviceView | null>(null);
  /** The device whose details are shown. */
  detail = $state<string | null>(null);
  /** The texts that are on the page, or were last. */
  talk = $state.raw<Talk | null>(null);
  /** What was written to others and not sent. */
  readonly #drafts = new Map<string, string>();
  /** What the person wants done with the secret. */
  keystoreTask = $state<KeystoreTask | null>(null);
  /** How the keystore stands, once it was asked. */
  keystore = $state.raw<KeystoreStatus | null>(null);
  /** What the app was opened with while the node was not up. The last link is the one that the person means. */
  #link = $state.raw<LinkView | null>(null);
  #files = $state.raw<Picked | null>(null);
  /** The person wants to quit while transfers are under way, and is asked whether they mean it. */
  quitting = $state(false);
  /** The device whose card is being moved to another place. */
  moving = $state<string | null>(null);
  /** Read out by screen readers. */
  said = $state('');

  constructor(backend: Backend) {
    this.backend = backend;
    this.node = new NodeStore(backend, {
      notice: (error) => this.toasts.error(error),
      offer: (transfer) => this.#offered(transfer),
      ended: (transfer) => this.#ended(transfer),
      stuck: (transfer) => (this.said = i18n.t.transfers.stuck(title(transfer), paused(transfer).message)),
      text: (message) => this.#texted(message),
      check: (device, check) => this.doctor.hear(device, check),
      refreshed: () => void this.talk?.load(),
    });
    this.doctor = new Doctor(backend);
    this.pair = new PairDesk(backend, this.node);
    this.drops = new Drops((device, picked) => this.#dropped(device, picked));
  }

  /** The window around the page speaks the page's language. */
  speak(language: Language): void {
    // A window that cannot be told speaks that of the session.
    this.backend.shell({ cmd: 'speak', language }).catch(() => {});
  }

  /** Something lies over the page, and has the keyboard. */
  get covered(): boolean {
    return this.quitting || this.pair.open || this.unsent !== null || this.unpairing !== null || this.keystoreTask !== null || Boolean(this.detail !== null && this.node.devices.get(this.detail)?.paired);
  }

  /** A hand is on its way to a card: nothing that lies on the page moves beneath it. */
  get steady(): boolean {
    return this.drops.active || this.moving !== null;
  }

  /** Quits; where transfers are under way, the window asks for the question first. */
  quit(): void {
    this.#quit('ask');
  }

  /** The person's answer to that question. */
  answerQuit(step: 'stay' | 'leave'): void {
    this.quitting = false;
    this.#quit(step);
  }

  #quit(step: QuitStep): void {
    void this.attempt(() => this.backend.shell({ cmd: 'quit', step }));
  }

  /** Moves the card of a device to the place `to`, from 0, and says so. */
  moveCard(device: DeviceView, to: number): void {
    const shown = this.node.paired.map((each) => each.device_id);
    const place = Math.max(0, Math.min(to, shown.length - 1));
    if (shown.indexOf(device.device_id) === place) return;
    this.node.order.move(shown, device.device_id, place);
    this.said = i18n.t.devices.moved(visible(device.name), place + 1, shown.length);
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
      case 'quit_asked':
        this.quitting = true;
        this.#quit('shown');
        break;
      case 'show_texts':
        this.#clear();
        this.openTalk(event.device);
        break;
      case 'show':
        this.page = event.view === 'settings' || event.view === 'transfers' ? event.view : 'home';
        if (event.view === 'pair' && this.node.phase === 'ready') this.pair.show('host');
        break;
      default:
        this.drops.hear(event);
    }
  }

  /** Shows the texts exchanged with a device. */
  openTalk(device: string): void {
    this.detail = null;
    this.page = 'talk';
    if (this.talk?.device === device) return;
    if (this.talk) this.#drafts.set(this.talk.device, this.talk.draft);
    this.talk = new Talk(this.backend, device, this.#drafts.get(device));
    if (this.node.phase === 'ready') void this.talk.load();
  }

  /** Looks at what is in the way: to one device, or at everything. */
  examine(device: string | null): void {
    this.detail = null;
    if (this.page !== 'doctor') this.doctorFrom = this.page;
    this.page = 'doctor';
    void this.doctor.run(device);
  }

  /** The person looks at the texts of a device. */
  seen(device: string): void {
    if (!this.node.unread.get(device)) return;
    this.node.unread.delete(device);
    // What could not be noted is only counted again after the next start.
    ask(this.backend, { cmd: 'messages_seen', device }).catch(() => {});
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
      const error = toApiError(thrown);
      // The person cancelled a question of the window, and knows it.
      if (error.code !== 'not_confirmed') this.toasts.error(error);
      return false;
    }
  }

  /** Asks for files or folders; without a device, asks for that too. */
  pickAndSend(device: string | null, folders: boolean): Promise<boolean> {
    return this.attempt(async () => {
      const answer = await this.backend.shell({ cmd: 'pick', folders });
      if (answer.kind !== 'picked') return;
      if (device === null) this.#landed(null, answer.value);
      else await this.#send([device], answer.value.pick, OPTIONS);
    });
  }

  send(devices: readonly string[], picked: Picked, options: TransferOptions = OPTIONS): Promise<boolean> {
    return this.attempt(() => this.#send(devices, picked.pick, options));
  }

  /** What is chosen of an offer: kept as long as it waits, whatever page is looked at. */
  selection(offer: TransferView): Selection {
    for (const id of this.#selections.keys()) {
      const waits = this.node.transfers.get(id);
      if (!waits || !isOffer(waits)) this.#selections.delete(id);
    }
    const kept = this.#selections.get(offer.id) ?? new Selection(this.backend, offer);
    this.#selections.set(offer.id, kept);
    return kept;
  }

  /**
   * Takes transfers that ended off the list. They are gone for good when the message that can take it back leaves; a window
   * that is closed before keeps them.
   */
  clearAway(transfers: readonly TransferView[]): void {
    const ids = transfers.filter(isFinal).map(({ id }) => id);
    for (const id of ids) this.node.hidden.add(id);
    const show = (id: string) => this.node.hidden.delete(id);
    this.toasts.undoable(i18n.t.transfers.cleared(ids.length), { back: () => ids.forEach(show), settle: () => void this.#forget(ids) });
  }

  /** One after the other, and on past one that fails, which is shown again. */
  async #forget(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await this.attempt(() => ask(this.backend, { cmd: 'forget', id }));
      this.node.hidden.delete(id);
    }
  }

  /** Opens what a transfer stored, or shows it in its folder. The shell knows where that is; the page names the transfer. */
  async showStored(transfer: TransferView, cmd: 'open_stored' | 'show_in_folder'): Promise<void> {
    try {
      await this.backend.shell({ cmd, id: transfer.id });
    } catch (thrown) {
      const error = toApiError(thrown);
      const nobody = error.code === 'file_manager' || error.code === 'no_program';
      this.toasts.error(error, nobody && transfer.into !== null ? i18n.t.transfers.filesIn(visible(transfer.into)) : '');
    }
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

  /** What sending a pick would offer; none where that cannot be told. */
  async survey(pick: string): Promise<Survey | null> {
    try {
      const answer = await this.backend.shell({ cmd: 'survey_picked', pick });
      return answer.kind === 'survey' ? answer.value : null;
    } catch {
      // What is wrong with it is said when it is sent.
      return null;
    }
  }

  async #send(devices: readonly string[], pick: string, options: TransferOptions): Promise<void> {
    const answer = await this.backend.shell({ cmd: 'send_picked', devices: [...devices], pick, options });
    if (answer.kind !== 'sent') return;
    const { transfers, refused, missing } = answer.value;
    for (const { error } of refused) this.toasts.error(error);
    if (missing.length > 0) this.toasts.error({ code: 'left_behind', message: i18n.t.send.missing(missing.map(visible).join(', ')), hint: i18n.t.send.missingHint });
    const { send } = i18n.t;
    const away = transfers.filter((each) => this.node.devices.get(each.device)?.state === 'offline');
    const [only] = away;
    const waits = away.length > 1 ? send.waitMany(away.length) : only ? send.waits(visible(only.device_name)) : '';
    if (transfers.length > 1 || waits) this.toasts.info(send.offered(transfers.length), waits);
  }

  #linked(link: LinkView): void {
    if (!this.pair.free) {
      // What is under way is not given up for a link that anybody can have made.
      this.toasts.refuse(i18n.t.pair.linkBusy, i18n.t.pair.linkBusyHint);
      this.pair.open = true;
      return;
    }
    this.page = 'home';
    this.#clear();
    this.pair.offer(link, 'link');
  }

  /** Takes away what lies over the page, but for a pairing. */
  #clear(): void {
    this.unsent = null;
    this.unpairing = null;
    this.detail = null;
    this.keystoreTask = null;
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
      void this.send([device.device_id], picked);
    } else if (device) {
      this.toasts.refuse(i18n.t.send.unpaired(visible(device.name)), i18n.t.send.unpairedHint);
    } else if (this.node.paired.length === 0) {
      this.toasts.refuse(i18n.t.send.nobodyTitle, i18n.t.send.nobody);
    } else {
      this.unsent = picked;
    }
  }

  #texted(message: MessageView): void {
    const here = this.talk?.device === message.device_id;
    if (here) this.talk?.hear(message);
    if (message.state !== 'received') return;
    const name = visible(this.node.devices.get(message.device_id)?.name ?? '');
    this.said = here && this.page === 'talk' ? i18n.t.talk.says(name, visible(message.text.slice(0, 500))) : i18n.t.talk.arrived(name);
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
