// A stack of the dialogs and menus that lie over the page. Only the topmost gets the keys.

const stack: symbol[] = [];

/** Pushes a dialog or a menu. The returned function removes it. */
export function pushFocus(id: symbol): () => void {
  stack.push(id);
  return () => {
    const at = stack.lastIndexOf(id);
    if (at >= 0) stack.splice(at, 1);
  };
}

export function isTopmost(id: symbol): boolean {
  return stack.at(-1) === id;
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

/** Returns the elements at which the Tab key stops within an element, in order. A radio group counts as its chosen button. */
export function tabStops(root: HTMLElement): HTMLElement[] {
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
