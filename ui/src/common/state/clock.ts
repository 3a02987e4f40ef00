// The time for texts such as "3 minutes ago". It ticks while such a text is on the page.

import { createSubscriber } from 'svelte/reactivity';

const TICK_MS = 20_000;

class Clock {
  readonly #subscribe = createSubscriber((update) => {
    // A hidden page does not update, and catches up when it becomes visible.
    const tick = () => {
      if (!document.hidden) update();
    };
    const timer = setInterval(tick, TICK_MS);
    document.addEventListener('visibilitychange', tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  });

  /** Milliseconds since 1970. An effect or a derived value that reads it runs again at each tick. */
  get now(): number {
    this.#subscribe();
    return Date.now();
  }
}

export const clock = new Clock();
