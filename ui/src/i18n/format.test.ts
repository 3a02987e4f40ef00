import { describe, expect, it } from 'vitest';
import { bytes, clock, duration, percent, rate, roundTrip, share, took } from './format';

const units = { s: 's', min: 'min', h: 'h', d: 'd' };
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [1, '1 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [1536, '1.54 kB'],
    [48_200, '48.2 kB'],
    [99_949, '99.9 kB'],
    [99_951, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [3_412_000_000, '3.41 GB'],
    [5e15, '5.00 PB'],
    [5e19, '50,000 PB'],
  ])('%d is %s', (count, text) => expect(plain(bytes(count, 'en'))).toBe(text));

  it('speaks German', () => expect(plain(bytes(1536, 'de'))).toBe('1,54 kB'));

  it('bears what is no size', () => {
    expect(plain(bytes(Number.NaN, 'en'))).toBe('0 B');
    expect(plain(bytes(-1, 'en'))).toBe('0 B');
    expect(plain(bytes(Number.POSITIVE_INFINITY, 'en'))).toBe('0 B');
  });

  it('makes a rate', () => expect(plain(rate(84_000_000, 'en'))).toBe('84.0 MB/s'));
});

describe('duration', () => {
  it.each([
    [0, '0 s'],
    [0.2, '1 s'],
    [59, '59 s'],
    [59.5, '1 min'],
    [95, '1 min 30 s'],
    [600, '10 min'],
    [659, '10 min'],
    [3600, '1 h'],
    [3660, '1 h 1 min'],
    [172_799, '47 h 59 min'],
    [172_800, '2 d'],
  ])('%d s is %s', (seconds, text) => expect(plain(duration(seconds, units))).toBe(text));

  it('says nothing of what has no end', () => {
    expect(duration(Number.POSITIVE_INFINITY, units)).toBe('');
    expect(duration(-1, units)).toBe('');
  });
});

it.each([
  [300, '5:00'],
  [299.2, '5:00'],
  [59, '0:59'],
  [0, '0:00'],
  [-3, '0:00'],
  [3725, '1:02:05'],
])('a countdown of %d shows %s', (seconds, text) => expect(clock(seconds)).toBe(text));

it.each([
  [0.42, '0.4 ms'],
  [2.4, '2.4 ms'],
  [48.7, '49 ms'],
  [1240, '1.2 s'],
])('a round trip of %d ms shows %s', (ms, text) => expect(plain(roundTrip(ms, 'en'))).toBe(text));

it.each([
  [0.02, '0.1 s'],
  [2.04, '2.0 s'],
  [3.2, '3.2 s'],
  [9.96, '10 s'],
  [59.6, '1 min'],
])('what took %d s shows %s', (seconds, text) => expect(plain(took(seconds, { s: 's', min: 'min', h: 'h', d: 'd' }, 'en'))).toBe(text));

describe('share', () => {
  const view = { bytes: 0, total: 0, files: 0, files_done: 0, state: 'active' };
  it('counts bytes', () => expect(share({ ...view, bytes: 25, total: 100 })).toBe(0.25));
  it('counts files where there are no bytes', () => expect(share({ ...view, files: 4, files_done: 1 })).toBe(0.25));
  it('is whole when done, even with nothing in it', () => expect(share({ ...view, state: 'done' })).toBe(1));
  it('never passes the ends', () => {
    expect(share({ ...view, bytes: 101, total: 100 })).toBe(1);
    expect(share({ ...view, bytes: -1, total: 100 })).toBe(0);
  });
  it('shows 100 % only when all is there', () => {
    expect(percent(0.9999, 'en')).toBe('99%');
    expect(percent(1, 'en')).toBe('100%');
  });
});
