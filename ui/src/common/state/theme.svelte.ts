// The theme: light, dark, or that of the system. Kept in the window's storage, because it is no setting of the device.

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'yonder.theme';

function remembered(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === 'light' || kept === 'dark') return kept;
  } catch {
    // Without storage the system's theme is used.
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
      // Without storage the choice lasts until the window closes.
    }
  }

  apply(): void {
    if (this.#kind === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.#kind;
  }
}

export const theme = new ThemeChoice();
