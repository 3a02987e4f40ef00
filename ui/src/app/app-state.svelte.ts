// The page's state as a whole: joins the node, the window and the features. It is the only state that knows several features.

import { toApiError, type Backend } from '../backend/backend';
import type { LinkView, Picked, QuitStep, ShellEvent, TransferView } from '../backend/bindings';
import { NodeStore } from '../backend/node.svelte';
import { DevicesState, setDevices } from '../features/devices/devices-state.svelte';
import { DoctorState, setDoctor } from '../features/diagnostics/doctor-state.svelte';
import { MessagesState, setMessages } from '../features/messages/messages-state.svelte';
import { PairingState, setPairing } from '../features/pairing/pairing-state.svelte';
import { KeystoreState, setKeystore } from '../features/settings/keystore-state.svelte';
import { pauseReason, transferTitle } from '../features/transfers/describe';
import { SendingState, setSending } from '../features/transfers/sending/sending-state.svelte';
import { TransfersState, setTransfers } from '../features/transfers/transfers-state.svelte';
import { i18n, type Language } from '../i18n/index.svelte';
import { setApp, type AppContext, type Page } from '../common/context';
import { Drops } from '../common/state/drops.svelte';
import { Toasts } from '../common/state/toasts.svelte';
import { visible } from '../common/text/visible';

export class AppState implements AppContext {
  readonly backend: Backend;
  readonly toasts = new Toasts();
  readonly drops = new Drops((device, picked) => this.#dropped(device, picked));
  readonly node: NodeStore;
  readonly devices = new DevicesState(this);
  readonly transfers = new TransfersState(this);
  readonly sending = new SendingState(this);
  readonly messages = new MessagesState(this);
  readonly keystore = new KeystoreState();
  readonly pairing: PairingState;
  readonly doctor: DoctorState;

  page = $state<Page>('home');
  /** The quit dialog is open: the person wants to quit while transfers are under way. */
  quitting = $state(false);
  /** The last sentence for screen readers. */
  announced = $state('');
  /** What the app was opened with while the node was not up. Only the last link counts, because the person means that one. */
  #link = $state.raw<LinkView | null>(null);
  #files = $state.raw<Picked | null>(null);

  constructor(backend: Backend) {
    this.backend = backend;
    this.node = new NodeStore(
      backend,
      {
        notice: (error) => this.toasts.error(error),
        offer: (transfer) => this.announce(i18n.t.offers.arrived(visible(transfer.device_name))),
        ended: (transfer) => this.#ended(transfer),
        stuck: (transfer) => this.announce(i18n.t.transfers.stuck(transferTitle(transfer), pauseReason(transfer).message)),
        text: (message) => this.messages.take(message),
        check: (device, check) => this.doctor.addCheck(device, check),
        refreshed: () => void this.messages.conversation?.load(),
      },
      (devices) => this.devices.order.arrange(devices),
    );
    this.pairing = new PairingState(backend, this.node);
    this.doctor = new DoctorState(backend);
  }

  /** Hands the state to the components: what every feature needs, and to each feature its own. */
  provide(): this {
    setApp(this);
    setDevices(this.devices);
    setTransfers(this.transfers);
    setSending(this.sending);
    setMessages(this.messages);
    setKeystore(this.keystore);
    setPairing(this.pairing);
    setDoctor(this.doctor);
    return this;
  }

  announce(sentence: string): void {
    this.announced = sentence;
  }

  /** Tells the shell which language the page speaks, for the tray, notifications and dialogs. */
  speak(language: Language): void {
    // Where this fails, the shell speaks the language of the session.
    this.backend.shell({ cmd: 'speak', language }).catch(() => {});
  }

  get covered(): boolean {
    return this.quitting || this.pairing.open || this.sending.unsent !== null || this.keystore.task !== null || this.devices.covers;
  }

  get steady(): boolean {
    return this.drops.active || this.devices.moving !== null;
  }

  /** Quits. While transfers are under way, the shell has the page ask first. */
  quit(): void {
    this.#quit('ask');
  }

  /** Passes on the person's answer to that question. */
  answerQuit(step: 'stay' | 'leave'): void {
    this.quitting = false;
    this.#quit(step);
  }

  #quit(step: QuitStep): void {
    void this.attempt(() => this.backend.shell({ cmd: 'quit', step }));
  }

  /** Subscribes to the events of the node and of the shell. The page has been drawn by then. */
  async open(): Promise<() => void> {
    const shell = await this.backend.onShellEvent((event) => this.hear(event));
    // The shell holds back what the window was opened with until it gets this request.
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
        this.takeOpened();
        break;
      case 'files_opened':
        this.#files = event.picked;
        this.takeOpened();
        break;
      case 'open_refused':
        this.toasts.error(event.error);
        break;
      case 'quit_asked':
        this.quitting = true;
        this.#quit('shown');
        break;
      case 'show_texts':
        this.#closeDialogs();
        this.openConversation(event.device);
        break;
      case 'show':
        this.page = event.view === 'settings' || event.view === 'transfers' ? event.view : 'home';
        if (event.view === 'pair' && this.node.phase === 'ready') this.startPairing('host');
        break;
      default:
        this.drops.hear(event);
    }
  }

  startPairing(side: 'host' | 'join', device: string | null = null): void {
    this.pairing.show(side, device);
  }

  pickAndSend(device: string | null, folders: boolean): Promise<boolean> {
    return this.sending.pickAndSend(device, folders);
  }

  openConversation(device: string): void {
    this.devices.detail = null;
    this.page = 'conversation';
    this.messages.open(device);
  }

  showDevice(device: string): void {
    this.devices.detail = device;
  }

  checkConnection(device: string | null): void {
    this.devices.detail = null;
    if (this.page !== 'doctor') this.doctor.cameFrom = this.page;
    this.page = 'doctor';
    void this.doctor.run(device);
  }

  /** Asks about what the app was opened with, once the node is up. */
  takeOpened(): void {
    if (this.node.phase !== 'ready') return;
    const [link, files] = [this.#link, this.#files];
    this.#link = null;
    this.#files = null;
    if (link) this.#linked(link);
    if (files) this.sending.take(null, files);
  }

  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      const error = toApiError(thrown);
      // The person has just cancelled a dialog of the shell, and needs no toast about it.
      if (error.code !== 'not_confirmed') this.toasts.error(error);
      return false;
    }
  }

  async copy(text: string, confirmation: string = i18n.t.app.copied): Promise<void> {
    if (await this.attempt(() => this.backend.shell({ cmd: 'copy', text }))) this.toasts.info(confirmation);
  }

  #linked(link: LinkView): void {
    if (!this.pairing.interruptible) {
      // Anybody can make a link, so that one does not end a pairing that is under way.
      this.toasts.refuse(i18n.t.pair.linkBusy, i18n.t.pair.linkBusyHint);
      this.pairing.open = true;
      return;
    }
    this.page = 'home';
    this.#closeDialogs();
    this.pairing.offer(link, 'link');
  }

  /** Closes the dialogs over the page, except for the pair dialog. */
  #closeDialogs(): void {
    this.sending.unsent = null;
    this.devices.close();
    this.keystore.task = null;
  }

  /** Reads a picture that is dropped on the dialog for entering a code. Sends everything else. */
  #dropped(device: string | null, picked: Picked): void {
    if (this.pairing.takesPicture && picked.count === 1) {
      this.pairing.readPicture(() => this.backend.shell({ cmd: 'picture_dropped', pick: picked.pick }));
    } else {
      this.sending.take(device, picked);
    }
  }

  #ended(transfer: TransferView): void {
    if (transfer.state === 'done') this.announce(i18n.t.transfers.finished(transferTitle(transfer)));
    if (transfer.state === 'failed') this.announce(i18n.t.transfers.stoppedOn(transferTitle(transfer)));
  }
}
