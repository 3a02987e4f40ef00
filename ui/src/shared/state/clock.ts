// The time for what is said in words, such as "3 minutes ago": it goes on while something that says so is on the page.

import { createSubscriber } from 'svelte/reactivity';

const TICK_MS = 20_000;

class Clock {
  readonly #subscribe = createSubscriber((update) => {
    // A page that nobody sees has nothing to say, and catches up when it is looked at again.
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

  /** Milliseconds since 1970. Whatever reads it in an effect or a derived value is run again now and then. */
  get now(): number {
    this.#subscribe();
    return Date.now();
  }
}

export const clock = new Clock();
