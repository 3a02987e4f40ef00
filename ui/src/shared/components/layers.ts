// Dialogs and menus that lie over the page. Only the topmost hears the keyboard.

const layers: symbol[] = [];

/** Lays one on top; the answer takes it away again. */
export function layer(id: symbol): () => void {
  layers.push(id);
  return () => {
    const at = layers.lastIndexOf(id);
    if (at >= 0) layers.splice(at, 1);
  };
}

export function isTop(id: symbol): boolean {
  return layers.at(-1) === id;
}

const FOCUSABLE = [
  'a[href]',
  'button:not(:disabled)',
  'input:not(:disabled)',
  'select:not(:disabled)',
  'textarea:not(:disabled)',
  'summary',
  '[tabindex]:not([tabindex="-1"])',
].join(',');

/** What the tabulator key stops at within an element, in order. Of a radio group, the chosen one alone. */
export function stops(root: HTMLElement): HTMLElement[] {
  return [...root.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((element) => {
    if (element.tabIndex < 0 || element.closest('[hidden],[inert]')) return false;
    const details = element.closest('details:not([open])');
    if (details && element.tagName !== 'SUMMARY') return false;
    if (element instanceof HTMLInputElement && element.type === 'radio' && !element.checked) {
      const group = root.querySelectorAll<HTMLInputElement>('input[type="radio"]:checked');
      return ![...group].some((other) => other.name === element.name);
    }
    return true;
  });
}
