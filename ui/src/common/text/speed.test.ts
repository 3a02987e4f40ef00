import { describe, expect, it } from 'vitest';
import { SPEEDS, UNLIMITED, megabytes, placeOf, speedAt } from './speed';

describe('a slider of speeds', () => {
  it('goes up by even factors, and ends without a limit', () => {
    const factors = SPEEDS.slice(1).map((speed, at) => speed / (SPEEDS[at] ?? NaN));
    expect(Math.max(...factors)).toBeLessThan(1.7);
    expect(Math.min(...factors)).toBeGreaterThan(1.3);
    expect(speedAt(UNLIMITED)).toBeNull();
    expect(speedAt(0)).toBe(100_000);
  });

  it('has a place for each of its own limits', () => {
    for (const [place, speed] of SPEEDS.entries()) expect(placeOf(speed)).toBe(place);
    expect(placeOf(null)).toBe(UNLIMITED);
    expect(placeOf(0)).toBe(UNLIMITED);
  });

  it('shows a limit that was set elsewhere at the nearest place', () => {
    expect(speedAt(placeOf(10_400_000))).toBe(10_000_000);
    expect(placeOf(1024)).toBe(0);
    expect(speedAt(placeOf(1e12))).toBe(1_000_000_000);
  });

  it('speaks in one unit', () => {
    expect(megabytes(150_000, 'en')).toBe('0.15\u00a0MB/s');
    expect(megabytes(150_000, 'de')).toBe('0,15\u00a0MB/s');
    expect(megabytes(1_000_000_000, 'en')).toBe('1,000\u00a0MB/s');
    expect(megabytes(1024, 'en')).toBe('0.00102\u00a0MB/s');
  });
});
