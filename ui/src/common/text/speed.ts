// The places of a slider for speed limits. Equal distances are equal factors, from a slow line to a fast network. The last
// place means no limit.

const FACTORS = [1, 1.5, 2, 3, 5, 7];

/** Limits in bytes a second, slowest first. */
export const SPEEDS: readonly number[] = [...[1e5, 1e6, 1e7, 1e8].flatMap((decade) => FACTORS.map((factor) => Math.round(decade * factor))), 1e9];

/** The place that means no limit. */
export const UNLIMITED = SPEEDS.length;

/** Returns the place that is nearest to a limit. Null and 0 mean no limit. */
export function placeOf(limit: number | null): number {
  if (limit === null || limit <= 0) return UNLIMITED;
  let best = 0;
  for (const [place, speed] of SPEEDS.entries()) {
    if (Math.abs(Math.log(speed / limit)) < Math.abs(Math.log((SPEEDS[best] ?? 1) / limit))) best = place;
  }
  return best;
}

/** Returns the limit at a place. Null at the last one. */
export function speedAt(place: number): number | null {
  return SPEEDS[Math.max(0, Math.round(place))] ?? null;
}

/** `0.15 MB/s`, `10 MB/s`. Always in the same unit, so that limits can be compared at a glance. */
export function megabytes(perSecond: number, locale: string): string {
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(perSecond / 1e6)}\u00a0MB/s`;
}
