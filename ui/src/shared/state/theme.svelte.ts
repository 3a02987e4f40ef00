// Light, dark, or as the system has it. Kept beside the window, since it says nothing about the device.

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'yonder.theme';

function remembered(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === 'light' || kept === 'dark') return kept;
  } catch {
    // No storage, then: the system decides.
  }
  return 'system';
}

class ThemeChoice {
  #kind = $state<Theme>(remembered());

  get kind(): Theme {
    return this.#kind;
  }

  set kind(kind: Theme) {
    this.#kind = kind;
    this.apply();
    try {
      localStorage.setItem(KEY, kind);
    } catch {
      // It holds until the window closes.
    }
  }

  apply(): void {
    if (this.#kind === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.#kind;
  }
}

export const theme = new ThemeChoice();
