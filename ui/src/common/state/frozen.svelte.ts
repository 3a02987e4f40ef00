// Keeps a value unchanged while a drag is under way, so that its target does not move.

/** Returns the value of `now`, or the last one before `frozen` became true. */
export function frozenWhile<T>(now: () => T, frozen: () => boolean): { readonly value: T } {
  let before: T = now();
  const value = $derived.by(() => {
    if (!frozen()) before = now();
    return before;
  });
  return {
    get value() {
      return value;
    },
  };
}
