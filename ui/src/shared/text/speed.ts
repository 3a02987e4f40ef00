// Limits of speed on a slider: the same way of the hand is the same factor, from a slow line to a fast network. The last
// place means no limit.

const FACTORS = [1, 1.5, 2, 3, 5, 7];

/** Bytes a second, slowest first. */
export const SPEEDS: readonly number[] = [...[1e5, 1e6, 1e7, 1e8].flatMap((decade) => FACTORS.map((factor) => Math.round(decade * factor))), 1e9];

/** The place on the slider that means no limit. */
export const UNLIMITED = SPEEDS.length;

/** The place that is nearest to a limit; none and 0 are no limit. */
export function placeOf(limit: number | null): number {
  if (limit === null || limit <= 0) return UNLIMITED;
  let best = 0;
  for (const [place, speed] of SPEEDS.entries()) {
    if (Math.abs(Math.log(speed / limit)) < Math.abs(Math.log((SPEEDS[best] ?? 1) / limit))) best = place;
  }
  return best;
}

/** The limit at a place; none at the last. */
export function speedAt(place: number): number | null {
  return SPEEDS[Math.max(0, Math.round(place))] ?? null;
}

/** `0.15 MB/s`, `10 MB/s`: always in the same unit, so that two limits can be compared at a glance. */
export function megabytes(perSecond: number, locale: string): string {
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(perSecond / 1e6)}\u00a0MB/s`;
}
