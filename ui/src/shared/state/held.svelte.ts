// A value that stands still while a hand is on its way to what it places.

/** The value of `now`; while `holding` says so, the one that it had before. */
export function held<T>(now: () => T, holding: () => boolean): { readonly value: T } {
  let before: T = now();
  const value = $derived.by(() => {
    if (!holding()) before = now();
    return before;
  });
  return {
    get value() {
      return value;
    },
  };
}
