// Files that are dragged over the window. The shell reports positions in CSS pixels, and the page finds the card there. No card
// moves during a drag (`steady` in `AppContext`), so that a drop hits what the person saw.

import type { Picked, ShellEvent } from '../../backend/bindings';

/** Returns the device whose card is at this point. */
export function deviceAt(x: number, y: number): string | null {
  const card = document.elementFromPoint(x, y)?.closest<HTMLElement>('[data-device-id]');
  return card?.dataset['deviceId'] ?? null;
}

export class Drops {
  /** A drag is over the window. */
  active = $state(false);
  /** The device under the pointer. */
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
        // Finds the card anew, because the last `drag_over` may be from another point.
        const device = deviceAt(event.x, event.y);
        this.#end();
        this.#dropped(device, event.picked);
        break;
      }
      default:
        break;
    }
  }

  /** Ends a drag whose end was not reported: a mouse button that is pressed here belongs to no drag of another program. */
  pressed(): void {
    if (this.active) this.#end();
  }

  #end(): void {
    this.active = false;
    this.over = null;
  }
}
