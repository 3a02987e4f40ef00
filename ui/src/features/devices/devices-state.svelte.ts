// The devices feature: which device is shown, moved or unpaired, and the actions on one.

import { createContext } from 'svelte';
import { ask } from '../../backend/backend';
import type { DeviceView } from '../../backend/bindings';
import { roundTrip } from '../../i18n/format';
import { i18n } from '../../i18n/index.svelte';
import type { AppContext } from '../../common/context';
import { visible } from '../../common/text/visible';
import { CardOrder } from './card-order.svelte';

export class DevicesState {
  /** The order of the cards of paired devices. */
  readonly order = new CardOrder();
  /** The device whose details are shown. */
  detail = $state<string | null>(null);
  /** The device that the person is asked about unpairing. */
  unpairing = $state.raw<DeviceView | null>(null);
  /** The device whose card is being dragged to another place. */
  moving = $state<string | null>(null);

  readonly #app: AppContext;

  constructor(app: AppContext) {
    this.#app = app;
  }

  /** True if one of the dialogs of this feature is open. */
  get covers(): boolean {
    return this.unpairing !== null || (this.detail !== null && Boolean(this.#app.node.devices.get(this.detail)?.paired));
  }

  /** Closes the dialogs of this feature. */
  close(): void {
    this.unpairing = null;
    this.detail = null;
  }

  /** Moves the card of a device to the place `to`, counted from 0, and announces it. */
  moveCard(device: DeviceView, to: number): void {
    const shown = this.#app.node.paired.map((each) => each.device_id);
    const place = Math.max(0, Math.min(to, shown.length - 1));
    if (shown.indexOf(device.device_id) === place) return;
    this.order.move(shown, device.device_id, place);
    this.#app.announce(i18n.t.devices.moved(visible(device.name), place + 1, shown.length));
  }

  async ping(device: DeviceView): Promise<void> {
    const { backend, toasts } = this.#app;
    await this.#app.attempt(async () => {
      const view = await ask(backend, { cmd: 'ping', device: device.device_id, count: 5 });
      const { t, language } = i18n;
      toasts.info(
        t.devices.pingResult(visible(device.name), roundTrip(view.median, language), roundTrip(view.min, language)),
        view.path ? t.devices[view.path] : '',
      );
    });
  }

  async unpair(device: DeviceView): Promise<void> {
    this.unpairing = null;
    const { backend, toasts } = this.#app;
    const went = await this.#app.attempt(() => ask(backend, { cmd: 'unpair', device: device.device_id }));
    if (went) toasts.info(i18n.t.unpair.done(visible(device.name)));
  }

  async unblock(device: DeviceView): Promise<void> {
    const { backend, toasts } = this.#app;
    const went = await this.#app.attempt(() => ask(backend, { cmd: 'unblock', device: device.device_id }));
    if (went) toasts.info(i18n.t.detail.nowUnblocked(visible(device.name)));
  }
}

export const [getDevices, setDevices] = createContext<DevicesState>();
