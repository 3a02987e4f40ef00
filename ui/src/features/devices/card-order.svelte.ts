// The order of the cards of paired devices: the person's own, with new devices at the end. Neither the state nor the name of a
// device moves its card. Kept in the window's storage, because it is a choice about the page and not about the devices.

import type { DeviceView } from '../../backend/bindings';

const KEY = 'yonder.order';
/** Ids that are remembered, of devices that are paired or were once. */
const MAX_IDS = 1000;

function remembered(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    if (Array.isArray(kept)) return kept.filter((id) => typeof id === 'string').slice(0, MAX_IDS);
  } catch {
    // Without storage, or with foreign data in it, the order begins anew.
  }
  return [];
}

/** Compares two places. Two devices without a place are equal, although `Infinity - Infinity` is not a number. */
const compare = (a: number, b: number) => (a === b ? 0 : a - b);

export class CardOrder {
  #ids = $state.raw<readonly string[]>(remembered());

  /** Sorts devices. Those that were never moved are in the order in which they were paired. */
  arrange(devices: readonly DeviceView[]): DeviceView[] {
    const places = new Map(this.#ids.map((id, at) => [id, at]));
    const place = (device: DeviceView) => places.get(device.device_id) ?? Infinity;
    return devices.toSorted(
      (a, b) => compare(place(a), place(b)) || (a.paired_at ?? 0) - (b.paired_at ?? 0) || (a.device_id < b.device_id ? -1 : 1),
    );
  }

  /** Moves a device to the place `to`, counted from 0, among those that are shown. */
  move(shown: readonly string[], id: string, to: number): void {
    const others = shown.filter((each) => each !== id);
    const order = others.toSpliced(to, 0, id);
    const gone = this.#ids.filter((each) => !order.includes(each));
    this.#ids = [...order, ...gone].slice(0, MAX_IDS);
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#ids));
    } catch {
      // Without storage the order lasts until the window closes.
    }
  }
}
