// Sends what was picked, dropped or opened with the app. The page knows a pick by its id only, never by a path.

import { createContext } from 'svelte';
import type { Picked, Survey, TransferOptions } from '../../../backend/bindings';
import { i18n } from '../../../i18n/index.svelte';
import type { AppContext } from '../../../common/context';
import { visible } from '../../../common/text/visible';

/** How something is sent if the person chooses nothing else. What is meant for an absent device waits for it. */
export const DEFAULT_OPTIONS: TransferOptions = { compress: true, encrypt: true, limit: null, wait: true };

export class SendingState {
  /** What was dropped or picked while no device is chosen yet. The send dialog asks for one. */
  unsent = $state.raw<Picked | null>(null);

  readonly #app: AppContext;

  constructor(app: AppContext) {
    this.#app = app;
  }

  /** Asks for files or folders. Without a device, asks for that too. */
  pickAndSend(device: string | null, folders: boolean): Promise<boolean> {
    return this.#app.attempt(async () => {
      const answer = await this.#app.backend.shell({ cmd: 'pick', folders });
      if (answer.kind !== 'picked') return;
      if (device === null) this.take(null, answer.value);
      else await this.#send([device], answer.value.pick, DEFAULT_OPTIONS);
    });
  }

  send(devices: readonly string[], picked: Picked, options: TransferOptions = DEFAULT_OPTIONS): Promise<boolean> {
    return this.#app.attempt(() => this.#send(devices, picked.pick, options));
  }

  /** Says what sending a pick would offer. Null if that cannot be told. */
  async survey(pick: string): Promise<Survey | null> {
    try {
      const answer = await this.#app.backend.shell({ cmd: 'survey_picked', pick });
      return answer.kind === 'survey' ? answer.value : null;
    } catch {
      // The error comes up when the pick is sent.
      return null;
    }
  }

  /** Takes what was dropped on a device, or on no device in particular. */
  take(id: string | null, picked: Picked): void {
    const { node, toasts } = this.#app;
    const device = id === null ? undefined : node.devices.get(id);
    if (device?.paired) {
      void this.send([device.device_id], picked);
    } else if (device) {
      toasts.refuse(i18n.t.send.unpaired(visible(device.name)), i18n.t.send.unpairedHint);
    } else if (node.paired.length === 0) {
      toasts.refuse(i18n.t.send.nobodyTitle, i18n.t.send.nobody);
    } else {
      this.unsent = picked;
    }
  }

  async #send(devices: readonly string[], pick: string, options: TransferOptions): Promise<void> {
    const { backend, node, toasts } = this.#app;
    const answer = await backend.shell({ cmd: 'send_picked', devices: [...devices], pick, options });
    if (answer.kind !== 'sent') return;
    const { transfers, refused, missing } = answer.value;
    for (const { error } of refused) toasts.error(error);
    const names = missing.map(visible).join(', ');
    if (names) toasts.error({ code: 'left_behind', message: names, hint: '', args: { names } });
    const { send } = i18n.t;
    const away = transfers.filter((each) => node.devices.get(each.device)?.state === 'offline');
    const [only] = away;
    const waits = away.length > 1 ? send.waitMany(away.length) : only ? send.waits(visible(only.device_name)) : '';
    if (transfers.length > 1 || waits) toasts.info(send.offered(transfers.length), waits);
  }
}

export const [getSending, setSending] = createContext<SendingState>();
