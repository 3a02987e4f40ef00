import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { apiError } from '../../backend/fake';
import { Toasts } from './toasts.svelte';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('good news leaves by itself, errors stay', () => {
  const toasts = new Toasts();
  toasts.info('copied');
  toasts.error(apiError('x', 'broken'));
  vi.advanceTimersByTime(6001);
  expect(toasts.list.map((t) => t.kind)).toEqual(['error']);
  vi.advanceTimersByTime(600_000);
  expect(toasts.list).toHaveLength(1);
});

it('stays while it is read', () => {
  const toasts = new Toasts();
  toasts.info('copied');
  const id = toasts.list[0]?.id ?? 0;
  toasts.pin(id);
  vi.advanceTimersByTime(60_000);
  expect(toasts.list).toHaveLength(1);
  toasts.unpin(id);
  vi.advanceTimersByTime(6001);
  expect(toasts.list).toHaveLength(0);
});

it('keeps four at most, and errors rather than news', () => {
  const toasts = new Toasts();
  toasts.error(apiError('a', 'a'));
  toasts.info('b');
  for (const code of ['c', 'd', 'e']) toasts.error(apiError(code, code));
  expect(toasts.list.map((t) => (t.kind === 'error' ? t.error.code : t.message))).toEqual(['a', 'c', 'd', 'e']);
});
