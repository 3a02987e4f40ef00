// Files dragged over the window. The window tells places in CSS pixels; the page says which card lies there. While a drag
// lasts no card moves (`steady` in the app's state), so that what lies there is what the person saw there.

import type { Picked, ShellEvent } from '../../backend/bindings';

/** The device whose card lies at this place, if any. */
export function deviceAt(x: number, y: number): string | null {
  const card = document.elementFromPoint(x, y)?.closest<HTMLElement>('[data-device-id]');
  return card?.dataset['deviceId'] ?? null;
}

export class Drops {
  /** Something is being dragged over the window. */
  active = $state(false);
  /** The device under it. */
  over = $state<string | null>(null);

  readonly #dropped: (device: string | null, picked: Picked) => void;

  constructor(dropped: (device: string | null, picked: Picked) => void) {
    this.#dropped = dropped;
  }

  hear(event: ShellEvent): void {
    switch (event.event) {
      case 'drag_over':
        this.active = true;
        this.over = deviceAt(event.x, event.y);
        break;
      case 'drag_leave':
        this.#end();
        break;
      case 'dropped': {
        // Hit-tested anew: the last `drag_over` may be from another place.
        const device = deviceAt(event.x, event.y);
        this.#end();
        this.#dropped(device, event.picked);
        break;
      }
      default:
        break;
    }
  }

  /** No drag of another program lasts while a button of the mouse is pressed here: the word of its end was lost. */
  pressed(): void {
    if (this.active) this.#end();
  }

  #end(): void {
    this.active = false;
    this.over = null;
  }
}
