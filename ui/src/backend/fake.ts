// A node without a core. It keeps the rules of the API, so that the page can be tested and shown without a window.
// Nothing changes by itself. `demo.ts` and the tests change it.

import { wordlist } from '@scure/bip39/wordlists/english.js';
import qrcode from 'qrcode-generator';
import type { Backend, Unlisten } from './backend';
import { Manifest, asked, found, reordered, turns } from './fake-transfers';
import type {
  ApiError,
  CheckView,
  ConnectionView,
  DeviceView,
  DoctorReport,
  Event,
  IdentityView,
  KeystoreStatus,
  KeystoreView,
  LinkView,
  MessageView,
  NumberedEvent,
  PairingView,
  Picked,
  RelayView,
  Request,
  Response,
  Settings,
  ShellEvent,
  ShellRequest,
  ShellResponse,
  Snapshot,
  Survey,
  TransferOptions,
  TransferView,
  TrustLevel,
  Unread,
  Unsent,
} from './bindings';

const FINAL = new Set(['done', 'failed', 'declined', 'cancelled']);
export const CODE_SECONDS = 300;

export function apiError(code: string, message: string, hint = '', args?: ApiError['args']): ApiError {
  return args ? { code, message, hint, args } : { code, message, hint };
}

let serial = 0;

/** Returns a fresh UUIDv8. */
export function someId(): string {
  serial += 1;
  return `0a1b2c3d-4e5f-8a6b-9c7d-${String(serial).padStart(12, '0')}`;
}

export function someDevice(over: Partial<DeviceView> = {}): DeviceView {
  const device_id = over.device_id ?? someId();
  return {
    device_id,
    endpoint_id: device_id.replaceAll('-', '').repeat(2),
    name: 'Living room PC',
    type: 'desktop',
    state: 'connected',
    paired: true,
    announced: null,
    pairing: false,
    nearby: true,
    path: 'direct',
    rtt_ms: 0.8,
    address: '192.168.1.24:11204',
    key_exchange: 'X25519MLKEM768',
    connections: [],
    trust: 'own',
    rule: { accept: 'default', up_to: null, into: null },
    secret_since: null,
    paired_at: 1_790_000_000,
    last_seen: 1_790_000_000,
    ...over,
  };
}

export function someTransfer(over: Partial<TransferView> = {}): TransferView {
  return {
    id: someId(),
    direction: 'send',
    device: someId(),
    device_name: 'Living room PC',
    state: 'active',
    reason: null,
    roots: ['Holiday 2026'],
    root_count: 1,
    files: 214,
    files_done: 60,
    bytes: 400_000_000,
    total: 1_600_000_000,
    growing: false,
    offered: null,
    skipped: 0,
    reasons: {},
    rate: 84_000_000,
    eta: 14.3,
    silent: null,
    started: 1_790_000_000,
    seconds: null,
    mean_rate: null,
    into: null,
    landed: [],
    limit: null,
    place: null,
    notes: [],
    ...over,
  };
}

export const PAIR_LINK = `yonder:pair?e=endpoint${'mzxw6ytboi3ggmzvgi2dk'.repeat(3)}&s=9r2k7d0qv4x81m5ec6tnbh3wfg`;

export function someConnection(over: Partial<ConnectionView> = {}): ConnectionView {
  return {
    protocol: 'message/1.0',
    state: 'connected',
    path: 'direct',
    address: '192.168.1.24:11204',
    rtt_ms: 0.8,
    loss: 0,
    cwnd: 122_880,
    mtu: 1452,
    bytes_sent: 48_200,
    bytes_received: 51_900,
    since: 1_790_000_000,
    ...over,
  };
}

export function someCheck(over: Partial<CheckView> = {}): CheckView {
  return { name: 'port', status: 'ok', detail: 'UDP port 11204 is bound.', hint: '', args: {}, ...over };
}

export function someRelay(over: Partial<RelayView> = {}): RelayView {
  return { url: 'https://relay.example./', own: false, chosen: true, home: true, connected: true, latency_ms: 18, error: null, ...over };
}

let place = 0;

export function someText(over: Partial<MessageView> = {}): MessageView {
  place += 1;
  const direction = over.direction ?? 'receive';
  return { id: place, device_id: someId(), direction, text: 'Hello', sent_at: 1_790_000_000_000, state: direction === 'send' ? 'delivered' : 'received', ...over };
}

/** Bytes of the longest text that the core takes. */
const MAX_TEXT = 30 * 1024;

export interface FakeState {
  texts: MessageView[];
  unread: Unread[];
  identity: IdentityView;
  devices: DeviceView[];
  pairing: PairingView;
  transfers: TransferView[];
  settings: Settings;
  relays: RelayView[];
}

export function someSettings(): Settings {
  return { name: 'Desk', type: 'desktop', download_dir: '/home/user/Downloads', accept: 'ask', discoverable: 'everyone', limit: 0, parallel: 3, conflict: 'keep-both', dht: 'off', relays: [], relay_choice: 'nearest', relay_token: false };
}

function start(over: Partial<FakeState>): FakeState {
  const device_id = someId();
  return {
    identity: {
      device_id,
      endpoint_id: '7f3c9ae05b1d4e62'.repeat(4),
      name: 'Desk',
      type: 'desktop',
      port: 11204,
      addresses: ['192.168.1.17:11204', '[fe80::1c2f:5aff:fe31:9]:11204'],
      ticket: `yonder:device/${'7f3c9ae05b1d4e62'.repeat(4)}?a=192.168.1.17:11204`,
      keystore: 'keychain',
    },
    devices: [],
    texts: [],
    unread: [],
    pairing: { step: 'idle' },
    transfers: [],
    settings: someSettings(),
    relays: [],
    ...over,
  };
}

/** Rows of a QR code, in the form in which the core sends them. */
export function qrRows(text: string): string[] {
  const code = qrcode(0, 'M');
  code.addData(text);
  code.make();
  const side = code.getModuleCount();
  return Array.from({ length: side }, (_, y) => Array.from({ length: side }, (__, x) => (code.isDark(y, x) ? '#' : '.')).join(''));
}

export class FakeNode implements Backend {
  state: FakeState;
  seq = 0;
  /** The requests so far, in order. */
  readonly calls: (Request | ShellRequest)[] = [];
  /** The pasted pictures so far. */
  readonly pictures: Uint8Array[] = [];
  clipboard = '';
  /** Errors by command. The next request with this command is refused with it. */
  readonly refuse = new Map<string, ApiError>();
  /** Names that will be missing when they are sent. */
  missing: string[] = [];
  /** False until `start()` brings the core up. */
  up: boolean;
  /** The answer to a survey. Null means that everything can be sent. */
  survey: Survey | null = null;
  /** The files that the person will choose in the next dialog. Null closes it. */
  willPick: Picked | null = { pick: 'pick-1', names: ['report.pdf'], count: 1 };
  /** The folder that the person will choose in the next dialog. Null closes it. */
  willChoose: string | null = '/media/usb/Inbox';
  /** The person's answer in the dialog of the shell that confirms a pairing. Null cancels it. */
  willConfirm: TrustLevel | null = 'own';
  /** The link in the next picture. Null means that there is none. */
  willFind: LinkView | null = { link: PAIR_LINK, device_id: '0a1b2c3d-0000-8000-8000-000000000000' };
  /** Passphrase of the encrypted file. If it is set, the core starts with it only. */
  passphrase: string | null = null;
  /** The checks that the doctor will report. If `finish` is set, the report waits for it. */
  checks: CheckView[] = [someCheck()];
  finish: Promise<void> | null = null;
  relayToken: string | null = null;
  /** Contents of the offers, by transfer. */
  readonly manifests = new Map<string, Manifest>();
  keystore: KeystoreStatus = { keystore: 'keychain', problem: null, keychain: 'ready', leftovers: [] };

  readonly #events = new Set<(event: NumberedEvent) => void>();
  readonly #shell = new Set<(event: ShellEvent) => void>();
  readonly #picks = new Map<string, Picked>();

  constructor(over: Partial<FakeState> = {}, up = true) {
    this.state = start(over);
    this.up = up;
  }

  // The interface that the page uses.

  async call(request: Request): Promise<Response> {
    this.calls.push(request);
    await Promise.resolve();
    if (!this.up) throw apiError('starting', 'Yonder is still starting');
    const refused = this.refuse.get(request.cmd);
    if (refused) {
      this.refuse.delete(request.cmd);
      throw refused;
    }
    if (request.cmd === 'doctor') return { kind: 'doctor', value: await this.#examine(request.device) };
    return structuredClone(this.#answer(request));
  }

  async shell(request: ShellRequest): Promise<ShellResponse> {
    this.calls.push(request);
    await Promise.resolve();
    const refused = this.refuse.get(request.cmd);
    if (refused) {
      this.refuse.delete(request.cmd);
      throw refused;
    }
    switch (request.cmd) {
      case 'pick': {
        if (!this.willPick) return { kind: 'done' };
        this.#picks.set(this.willPick.pick, this.willPick);
        return { kind: 'picked', value: structuredClone(this.willPick) };
      }
      case 'survey_picked': {
        const known = this.#picks.get(request.pick);
        if (!known) throw apiError('pick_gone', 'what was chosen is not at hand any more', '');
        const survey = this.survey ?? { files: known.count * 12, bytes: known.count * 240_000_000, skipped: 0, reasons: {} };
        return { kind: 'survey', value: structuredClone(survey) };
      }
      case 'send_picked': {
        const picked = this.#picks.get(request.pick);
        if (!picked) throw apiError('pick_unknown', 'this selection is not valid any more', 'Choose the files again.');
        this.#picks.delete(request.pick);
        const answers = request.devices.map((id) => this.#offer(id, picked, request.options));
        const transfers = answers.filter((each) => 'id' in each);
        const unsent = answers.filter((each) => 'error' in each);
        if (transfers.length === 0 && unsent[0]) throw unsent[0].error;
        return { kind: 'sent', value: structuredClone({ transfers, refused: unsent, missing: this.missing }) };
      }
      case 'accept_into': {
        if (this.willChoose === null) return { kind: 'done' };
        return { kind: 'transfer', value: this.#accept(request.id, this.willChoose, request.only) };
      }
      case 'choose_download_folder':
        if (this.willChoose !== null) this.#set('download_dir', this.willChoose);
        return { kind: 'done' };
      case 'picture_file':
        return this.willPick ? this.#found() : { kind: 'done' };
      case 'picture_dropped':
        if (!this.#picks.delete(request.pick)) throw apiError('pick_gone', 'what was chosen is not at hand any more', '');
        return this.#found();
      case 'clipboard_link':
        return this.#found();
      case 'pair_approve': {
        const { pairing } = this.state;
        if (pairing.step !== 'confirm') throw apiError('invalid_state', 'no pairing waits for an answer');
        if (this.willConfirm !== null) this.setPairing({ ...pairing, approved: true });
        return { kind: 'done' };
      }
      case 'trust_rule': {
        const device = this.#paired(request.device);
        if (request.folder === 'choose' && this.willChoose === null) return { kind: 'done' };
        const into = { keep: device.rule.into, download: null, choose: this.willChoose }[request.folder];
        const changed: DeviceView = { ...device, rule: { accept: request.accept, up_to: request.up_to, into } };
        this.putDevice(changed);
        return { kind: 'device', value: changed };
      }
      case 'start': {
        if (this.up) return { kind: 'done' };
        const right = this.passphrase === null || this.passphrase === request.passphrase;
        if (right) this.start();
        else this.lock(request.passphrase === null ? 'passphrase_needed' : 'passphrase_wrong');
        return { kind: 'done' };
      }
      case 'backup':
        return this.willChoose === null
          ? { kind: 'done' }
          : { kind: 'backup', value: { path: `${this.willChoose}/identity.yonder-backup`, devices: 2, bytes: 1200 } };
      case 'copy':
        this.clipboard = request.text;
        return { kind: 'done' };
      default:
        return { kind: 'done' };
    }
  }

  async picture(bytes: Uint8Array): Promise<ShellResponse> {
    this.pictures.push(bytes);
    await Promise.resolve();
    return this.#found();
  }

  onEvent(listener: (event: NumberedEvent) => void): Promise<Unlisten> {
    this.#events.add(listener);
    return Promise.resolve(() => this.#events.delete(listener));
  }

  onShellEvent(listener: (event: ShellEvent) => void): Promise<Unlisten> {
    this.#shell.add(listener);
    return Promise.resolve(() => this.#shell.delete(listener));
  }

  // What tests and the demo do to the node.

  start(): void {
    this.up = true;
    this.tellShell({ event: 'started' });
    this.emit({ event: 'ready', ...this.state.identity });
  }

  /** Fails the start. By default the secret is in a file, and its passphrase is missing. */
  lock(code = 'passphrase_needed', recorded: KeystoreView | null = 'file'): void {
    const said: Record<string, [string, string]> = {
      passphrase_needed: ['a passphrase is needed', 'Set YONDER_PASSPHRASE, or start in a terminal to be asked.'],
      passphrase_wrong: ['the passphrase is wrong', 'Try again. Without the passphrase the identity cannot be opened.'],
      keystore_locked: ['the keychain is locked', 'Unlock it, then try again. Yonder makes no new identity.'],
      keystore_unavailable: ['there is no keychain', 'Start a keychain (GNOME Keyring, KWallet) and try again.'],
      keystore_entry_gone: ['the secret of this device is not where it was', 'Is it another keychain or another login? Bring the old one back, or restore a backup.'],
    };
    const [message, hint] = said[code] ?? [code, ''];
    this.up = false;
    const args = code === 'keystore_unavailable' ? { detail: 'no such service' } : undefined;
    this.tellShell({ event: 'start_failed', error: apiError(code, message, hint, args), recorded });
  }

  emit(event: Event): void {
    this.seq += 1;
    const numbered = structuredClone({ seq: this.seq, ...event }) as NumberedEvent;
    for (const listener of this.#events) listener(numbered);
  }

  /** Numbers an event without sending it, as if the listener had been too slow. */
  lose(): void {
    this.seq += 1;
  }

  tellShell(event: ShellEvent): void {
    if (event.event === 'dropped' || event.event === 'files_opened') this.#picks.set(event.picked.pick, event.picked);
    for (const listener of this.#shell) listener(structuredClone(event));
  }

  putDevice(device: DeviceView): void {
    this.state.devices = [...this.state.devices.filter((d) => d.device_id !== device.device_id), device];
    this.emit({ event: 'device', device });
  }

  dropDevice(device_id: string): void {
    this.state.devices = this.state.devices.filter((d) => d.device_id !== device_id);
    this.emit({ event: 'device_gone', device_id });
  }

  putTransfer(transfer: TransferView): void {
    const known = this.state.transfers.some((t) => t.id === transfer.id);
    this.state.transfers = known
      ? this.state.transfers.map((t) => (t.id === transfer.id ? transfer : t))
      : [transfer, ...this.state.transfers];
    const isOffer = !known && transfer.direction === 'receive' && transfer.state === 'offered';
    this.emit(isOffer ? { event: 'offer', transfer } : { event: 'transfer', transfer });
  }

  /** Adds a text, or changes its state. */
  putText(message: MessageView): void {
    const known = this.state.texts.some((each) => each.id === message.id && each.device_id === message.device_id);
    this.state.texts = known ? this.state.texts.map((each) => (each.id === message.id && each.device_id === message.device_id ? message : each)) : [...this.state.texts, message];
    if (!known && message.state === 'received') {
      const count = this.state.unread.find((each) => each.device_id === message.device_id)?.count ?? 0;
      this.state.unread = [...this.state.unread.filter((each) => each.device_id !== message.device_id), { device_id: message.device_id, count: count + 1 }];
    }
    this.emit({ event: 'message', message });
  }

  setPairing(pairing: PairingView): void {
    this.state.pairing = pairing;
    this.emit({ event: 'pairing', pairing });
  }

  /** Reports that the other side proved the code. */
  proven(role: 'host' | 'joiner', name = 'Someone’s laptop'): void {
    this.setPairing({
      step: 'confirm',
      role,
      name,
      type: 'laptop',
      check_words: 'amber-falcon',
      called: name,
      grants: [{ code: 'presence' }, { code: 'texts' }, this.state.settings.accept === 'paired' ? { code: 'offers_accepted', up_to: null, into: null } : { code: 'offers_asked' }],
      grants_other: [{ code: 'presence' }, { code: 'texts' }, { code: 'offers_asked' }],
      approved: false,
    });
  }

  /** Reports that a wrong code was tried at this side. */
  wrongCode(): void {
    const { pairing } = this.state;
    if (pairing.step !== 'hosting') return;
    const attempts_left = pairing.attempts_left - 1;
    if (attempts_left > 0) this.setPairing({ ...pairing, attempts_left });
    else {
      this.setPairing({
        step: 'failed',
        error: apiError('code_burnt', 'wrong codes were tried three times, so the pairing code was burnt', 'Show a new code. If nobody you know tried it, someone nearby is guessing: use the link or QR instead.'),
      });
    }
  }

  /** Reports that both people approved. */
  bothApproved(): void {
    const { pairing } = this.state;
    if (pairing.step !== 'confirm') return;
    const device = someDevice({ name: pairing.called, type: pairing.type, rtt_ms: 2.4, trust: this.willConfirm ?? 'own' });
    this.state.devices = [...this.state.devices, device];
    this.emit({ event: 'paired', device });
    this.setPairing({ step: 'paired', device });
  }

  snapshot(): Snapshot {
    const { texts: _, ...shown } = this.state;
    return { seq: this.seq, ...shown };
  }

  #paired(id: string): DeviceView {
    const device = this.state.devices.find((d) => d.device_id === id);
    if (!device) throw apiError('device_unknown', `no device is called "${id}"`);
    if (!device.paired) throw apiError('device_not_paired', `${device.name} is not paired with this device`, 'Pair the two devices first.');
    return device;
  }

  #found(): ShellResponse {
    if (this.willFind) return { kind: 'link', value: structuredClone(this.willFind) };
    throw apiError('no_code_in_picture', 'there is no code in the picture that can be read', 'Let the whole square be in the picture, with some room around it, and in focus.');
  }

  #transfer(id: string): TransferView {
    const transfer = this.state.transfers.find((t) => t.id === id);
    if (!transfer) throw apiError('transfer_unknown', 'there is no such transfer');
    return transfer;
  }

  #offered(id: string): TransferView {
    const transfer = this.#transfer(id);
    if (transfer.state !== 'offered' || transfer.direction !== 'receive') throw apiError('transfer_not_offered', 'the transfer does not wait for an answer');
    return transfer;
  }

  #accept(id: string, into: string, only: readonly number[] | null): TransferView {
    const offer = this.#offered(id);
    const part = only === null ? {} : this.#manifest(offer).sum(only);
    const transfer: TransferView = { ...offer, ...part, state: 'active', reason: null, into };
    this.putTransfer(transfer);
    return transfer;
  }

  #manifest(offer: TransferView): Manifest {
    return this.manifests.get(offer.id) ?? new Manifest(Object.fromEntries(offer.roots.map((name) => [name, Math.floor(offer.total / offer.roots.length)])));
  }

  /** Offers something to one device. An absent one gets it later, if that was asked for. */
  #offer(id: string, picked: Picked, options: TransferOptions): TransferView | Unsent {
    try {
      const device = this.#paired(id);
      const away = device.state === 'offline';
      const reason = apiError('device_offline', `${device.name} is not reachable now`, 'Is Yonder running on the other device, and are both on the same network?');
      if (away && !options.wait) return { device: id, error: reason };
      const transfer = someTransfer({
        device: device.device_id,
        device_name: device.name,
        state: away ? 'waiting' : 'offered',
        reason: away ? reason : null,
        roots: picked.names,
        root_count: picked.count,
        files: picked.count * 12,
        files_done: 0,
        bytes: 0,
        total: picked.count * 240_000_000,
        rate: 0,
        eta: null,
        limit: options.limit,
        started: Math.floor(Date.now() / 1000),
      });
      this.putTransfer(transfer);
      return transfer;
    } catch (thrown) {
      return { device: id, error: thrown as ApiError };
    }
  }

  /** Starts the transfers that are next in the queue. */
  turn(): void {
    for (const transfer of turns(this.state.transfers, this.state.settings.parallel)) this.putTransfer(transfer);
  }

  #set(key: string, value: string): void {
    if (!(key in this.state.settings)) throw apiError('invalid_input', `there is no setting ${key}`);
    const kept = key === 'relays' ? value.split(' ').filter(Boolean) : key === 'limit' || key === 'parallel' ? Number(value) : value;
    const sound = key === 'limit' ? kept === 0 || Number(kept) >= 1024 : key === 'parallel' ? Number(kept) >= 1 && Number(kept) <= 16 : true;
    if (!sound) throw apiError('invalid_input', `"${value}" is not a value of ${key}`);
    this.state.settings = { ...this.state.settings, [key]: kept };
    this.emit({ event: 'settings', settings: this.state.settings });
  }

  #answer(request: Request): Response {
    switch (request.cmd) {
      case 'snapshot':
        return { kind: 'snapshot', value: this.snapshot() };
      case 'identity':
        return { kind: 'identity', value: this.state.identity };
      case 'devices':
        return { kind: 'devices', value: this.state.devices };
      case 'settings':
        return { kind: 'settings', value: this.state.settings };
      case 'transfers':
        return { kind: 'transfers', value: found(this.state.transfers, request.all, request.find) };
      case 'transfer':
        return { kind: 'transfer', value: this.#transfer(request.id) };
      case 'pair_host': {
        this.#mustBeIdle();
        const link = PAIR_LINK;
        const words = request.words === 5 ? 'copper-violin-brave-lion-sunset' : 'brave-lion-sunset';
        this.setPairing({ step: 'hosting', words, link, qr: qrRows(link), expires_in: CODE_SECONDS, attempts_left: 3 });
        return { kind: 'pairing', value: this.state.pairing };
      }
      case 'pair_join':
        this.#mustBeIdle();
        this.setPairing({ step: 'joining', host: null });
        return { kind: 'pairing', value: this.state.pairing };
      case 'pair_answer': {
        if (request.approve) throw apiError('not_from_page', 'the page may not ask for this');
        if (this.state.pairing.step !== 'confirm') throw apiError('invalid_state', 'no pairing waits for an answer');
        this.setPairing({ step: 'failed', error: apiError('pairing_rejected', 'the pairing was rejected', '') });
        return { kind: 'pairing', value: this.state.pairing };
      }
      case 'pair_cancel':
        if (this.state.pairing.step !== 'idle') this.setPairing({ step: 'idle' });
        return { kind: 'done' };
      case 'complete_word':
        return { kind: 'words', value: wordlist.filter((word) => word.startsWith(request.prefix)).slice(0, 8) };
      case 'unpair': {
        const device = this.#paired(request.device);
        if (device.nearby) this.putDevice({ ...device, paired: false, state: 'discovered', path: null, rtt_ms: null, address: null, key_exchange: null, paired_at: null });
        else this.dropDevice(device.device_id);
        return { kind: 'done' };
      }
      case 'block':
      case 'unblock': {
        const device = this.#paired(request.device);
        const blocked = request.cmd === 'block';
        this.putDevice({ ...device, trust: blocked ? 'blocked' : 'other', state: blocked ? 'offline' : device.state, ...(blocked ? { path: null, rtt_ms: null, address: null, key_exchange: null } : {}) });
        return { kind: 'done' };
      }
      case 'trust': {
        const device: DeviceView = { ...this.#paired(request.device), ...(request.level ? { trust: request.level } : {}) };
        this.putDevice(device);
        return { kind: 'devices', value: [device] };
      }
      case 'take_name': {
        const device = this.#paired(request.device);
        if (device.announced?.name !== request.name) throw apiError('name_not_proposed', `the device does not propose to be called "${request.name}"`);
        if (!device.announced.is_free) throw apiError('device_name_taken', `"${request.name}" looks like the name of another paired device`);
        const named: DeviceView = { ...device, name: request.name, announced: null };
        this.putDevice(named);
        return { kind: 'devices', value: [named] };
      }
      case 'rotate_secret':
        this.putDevice({ ...this.#paired(request.device), secret_since: Math.floor(Date.now() / 1000) });
        return { kind: 'done' };
      case 'keystore':
        return { kind: 'keystore', value: { ...this.keystore, keystore: this.state.identity.keystore } };
      case 'keystore_move': {
        if (this.state.identity.keystore === 'file' && request.passphrase !== this.passphrase) throw apiError('passphrase_wrong', 'the passphrase is wrong', 'Try again.');
        this.passphrase = request.new_passphrase;
        this.state.identity = { ...this.state.identity, keystore: request.to };
        this.emit({ event: 'identity', ...this.state.identity });
        return { kind: 'keystore', value: { ...this.keystore, keystore: request.to } };
      }
      case 'keystore_rotate':
        return { kind: 'done' };
      case 'rename':
        this.#set('name', request.name);
        return { kind: 'settings', value: this.state.settings };
      case 'set_setting':
        this.#set(request.key, request.value);
        return { kind: 'settings', value: this.state.settings };
      case 'accept':
        return { kind: 'transfer', value: this.#accept(request.id, request.into ?? this.state.settings.download_dir, request.only) };
      case 'offer_entries':
        return { kind: 'offer_entries', value: this.#manifest(this.#offered(request.id)).page(request.parent, request.skip, request.limit) };
      case 'pause':
      case 'resume':
      case 'limit': {
        this.putTransfer(asked(this.#transfer(request.id), request));
        this.turn();
        return { kind: 'transfer', value: this.#transfer(request.id) };
      }
      case 'retry': {
        const before = this.#transfer(request.id);
        if (before.direction !== 'send') throw apiError('transfer_not_ours', 'only the device that sent it can send it again', 'Ask for it at the device that sent it.');
        if (!FINAL.has(before.state)) throw apiError('transfer_active', 'the transfer is still under way', 'Cancel it first.');
        const again: TransferView = { ...before, id: someId(), state: 'offered', reason: null, bytes: 0, files_done: 0, rate: 0, eta: null, seconds: null, notes: [], started: Math.floor(Date.now() / 1000) };
        this.putTransfer(again);
        return { kind: 'transfer', value: again };
      }
      case 'reorder':
        for (const transfer of reordered(this.state.transfers, this.#transfer(request.id), request.before)) this.putTransfer(transfer);
        return { kind: 'transfers', value: found(this.state.transfers, false, null) };
      case 'decline':
      case 'cancel': {
        const state = request.cmd === 'decline' ? 'declined' : 'cancelled';
        const transfer: TransferView = { ...this.#transfer(request.id), state, rate: 0, eta: null };
        this.putTransfer(transfer);
        this.turn();
        return { kind: 'transfer', value: transfer };
      }
      case 'forget': {
        if (!FINAL.has(this.#transfer(request.id).state)) throw apiError('invalid_state', 'the transfer has not ended');
        this.state.transfers = this.state.transfers.filter((t) => t.id !== request.id);
        this.emit({ event: 'transfer_gone', id: request.id });
        return { kind: 'done' };
      }
      case 'ping': {
        this.#paired(request.device);
        const rtt_ms = Array.from({ length: request.count }, (_, n) => 0.7 + n * 0.2);
        return { kind: 'ping', value: { rtt_ms, path: 'direct', min: 0.7, median: 1.1, p99: 1.5 } };
      }
      case 'messages': {
        const device = this.#paired(request.device).device_id;
        const before = request.before ?? Infinity;
        return { kind: 'messages', value: this.state.texts.filter((text) => text.device_id === device && text.id < before).slice(-request.limit) };
      }
      case 'messages_seen':
        this.state.unread = this.state.unread.filter((each) => each.device_id !== request.device);
        return { kind: 'done' };
      case 'send_text': {
        const device = this.#paired(request.device);
        if (new TextEncoder().encode(request.text).length > MAX_TEXT) throw apiError('text_too_long', 'the text is longer than 30 KiB', 'Send it in parts, or as a file.');
        const text = someText({ device_id: device.device_id, direction: 'send', state: 'queued', text: request.text, sent_at: Date.now() });
        this.putText(text);
        return { kind: 'message', value: text };
      }
      case 'relays':
        return { kind: 'relays', value: this.state.relays };
      case 'set_relay_token':
        this.relayToken = request.token;
        this.state.settings = { ...this.state.settings, relay_token: request.token !== null };
        this.emit({ event: 'settings', settings: this.state.settings });
        return { kind: 'settings', value: this.state.settings };
      case 'doctor':
      case 'survey':
      case 'send':
      case 'keystore_backup':
        throw apiError('refused', 'the page may not name paths');
    }
  }

  async #examine(device: string | null): Promise<DoctorReport> {
    for (const check of this.checks) this.emit({ event: 'doctor_check', device, check });
    await this.finish;
    const report = `Yonder\n${this.checks.map((check) => `${check.status} ${check.name}: ${check.detail}`).join('\n')}`;
    return { checks: this.checks, connections: [], report, logs: '/home/user/.local/share/yonder/logs', took_ms: 800 };
  }

  #mustBeIdle(): void {
    const { step } = this.state.pairing;
    if (step !== 'idle' && step !== 'paired' && step !== 'failed') throw apiError('invalid_state', 'a pairing is under way');
  }
}
