// Formats numbers for people. Units are decimal, as in the file managers of desktops.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `1.5 MB`. At most three digits, so that a changing value keeps its width. */
export function bytes(count: number, locale: string): string {
  if (!Number.isFinite(count) || count < 0) return `0 ${UNITS[0]}`;
  let value = count;
  let unit = 0;
  // 999.5 would be rounded to 1000.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  const text = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
  return `${text}\u00a0${UNITS[unit] ?? UNITS[0]}`;
}

/** `1.5 GB`, `10 GB`. For values that a person chose: without trailing zeros. */
export function limit(count: number, locale: string): string {
  const unit = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const text = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(count / 1000 ** unit);
  return `${text}\u00a0${UNITS[unit] ?? UNITS[0]}`;
}

/** `1.5 MB/s`. */
export function rate(perSecond: number, locale: string): string {
  return `${bytes(perSecond, locale)}/s`;
}

const two = (n: number) => String(n).padStart(2, '0');

/** `0:42`, `12:05`, `3:04:05`. For countdowns. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const h = Math.floor(whole / 3600);
  const m = Math.floor((whole % 3600) / 60);
  const s = whole % 60;
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `40 s`, `3 min`, `2 h 5 min`, `4 d`. Coarse, because an estimate that changes all the time is no help. */
export function duration(seconds: number, units: { s: string; min: string; h: string; d: string }): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '';
  const whole = Math.ceil(seconds);
  const space = '\u00a0';
  if (whole < 60) return `${whole}${space}${units.s}`;
  if (whole < 3600) {
    const m = Math.floor(whole / 60);
    const s = whole % 60;
    // Below ten minutes the tens of seconds are shown.
    const tens = Math.floor(s / 10) * 10;
    return m < 10 && tens > 0 ? `${m}${space}${units.min} ${tens}${space}${units.s}` : `${m}${space}${units.min}`;
  }
  if (whole < 172_800) {
    const h = Math.floor(whole / 3600);
    const m = Math.floor((whole % 3600) / 60);
    return m > 0 ? `${h}${space}${units.h} ${m}${space}${units.min}` : `${h}${space}${units.h}`;
  }
  return `${Math.floor(whole / 86_400)}${space}${units.d}`;
}

/** `2.0 s`, `40 s`, `3 min`. For the time that something took, as exact as a speed next to it. */
export function took(seconds: number, units: { s: string; min: string; h: string; d: string }, locale: string): string {
  if (!(seconds < 9.95)) return duration(Math.round(seconds), units);
  const text = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(Math.max(seconds, 0.1));
  return `${text}\u00a0${units.s}`;
}

/** `0.4 ms`, `12 ms`, `1.2 s`. */
export function roundTrip(ms: number, locale: string): string {
  const number = (value: number, digits: number) =>
    new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);
  if (ms >= 1000) return `${number(ms / 1000, 1)}\u00a0s`;
  return `${number(ms, ms < 10 ? 1 : 0)}\u00a0ms`;
}

/** Returns the completed share of a transfer, 0 to 1. If there are no bytes, files are counted. */
export function share(view: { bytes: number; total: number; files: number; files_done: number; state: string }): number {
  if (view.state === 'done') return 1;
  if (view.total > 0) return Math.min(1, Math.max(0, view.bytes / view.total));
  return view.files > 0 ? Math.min(1, view.files_done / view.files) : 0;
}

/** `42 %`. Shows 100 only if everything is done. */
export function percent(part: number, locale: string): string {
  const floor = part >= 1 ? 1 : Math.min(0.99, Math.floor(part * 100) / 100);
  return new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 }).format(floor);
}

/** `0 %`, `0.4 %`, `12 %`. For shares that are usually small. */
export function share100(part: number, locale: string): string {
  const whole = Number.isFinite(part) ? Math.min(1, Math.max(0, part)) : 0;
  return new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: whole < 0.1 ? 1 : 0 }).format(whole);
}
