import { describe, expect, it } from 'vitest';
import { i18n, languages } from './index.svelte';

const catalogues = { en: languages.en.catalogue, de: languages.de.catalogue };

/** Returns the paths of all entries, with the kind of each and the number of its arguments. */
function shape(value: unknown, path = ''): string[] {
  if (typeof value === 'function') return [`${path}(${value.length})`];
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => shape(inner, path ? `${path}.${key}` : key));
  }
  return [`${path}: ${typeof value}`];
}

function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value === 'function') return [String((value as (...args: unknown[]) => unknown)(...Array.from({ length: value.length }, () => 2)))];
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(texts);
  return [];
}

const others = Object.entries(languages)
  .filter(([language]) => language !== 'en')
  .map(([language, pack]) => [language, pack.catalogue] as const);

describe.each(others)('catalogue %s', (_, catalogue) => {
  it('has the same entries as the English one', () => expect(shape(catalogue).toSorted()).toEqual(shape(catalogues.en).toSorted()));

  it('has no empty entry', () => expect(texts(catalogue).filter((text) => text.trim() === '')).toEqual([]));

  it('is not English in disguise', () => {
    const english = new Set(texts(catalogues.en).filter((text) => text.split(' ').length > 3));
    expect(texts(catalogue).filter((text) => english.has(text))).toEqual([]);
  });
});

it('counts', () => {
  expect(catalogues.en.offers.files(1)).toBe('1 file');
  expect(catalogues.en.offers.files(1284)).toBe('1,284 files');
  expect(catalogues.de.offers.files(1)).toBe('1 Datei');
  expect(catalogues.de.offers.files(1284)).toBe('1.284 Dateien');
});

it('says one of everything in the singular', () => {
  const { en, de } = catalogues;
  for (const text of [en.transfers.older(1), en.transfers.notes(1), en.transfers.cleared(1), en.pair.attempts(1), en.keystore.backedUp(1), en.send.offered(1), en.transfers.found(1), en.detail.all(1), en.send.what(1)]) expect(text).not.toMatch(/\b1 \w+ ones\b|\b1 \w*s\b/);
  for (const text of [de.transfers.notes(1), de.transfers.cleared(1), de.send.what(1), de.offers.files(1)]) expect(text).not.toMatch(/\b1 \w+(en|te)\b/);
});

describe('errors', () => {
  const error = { code: 'code_wrong', message: 'the pairing code is wrong', hint: 'Compare the words.' };

  it('speak with the core’s own words in English', () => expect(i18n.error(error)).toEqual({ message: 'The pairing code is wrong', detail: '', hint: 'Compare the words.' }));

  it('are said anew in German, by code', () => {
    i18n.language = 'de';
    expect(i18n.error(error).message).toBe('Der Kopplungscode ist falsch.');
    expect(document.documentElement.lang).toBe('de');
  });

  it('name the path and what the system said', () => {
    i18n.language = 'de';
    const denied = { code: 'file', message: '/x: permission denied', hint: '' };
    expect(i18n.error({ ...denied, args: { path: '/x', os: 'permission_denied' } }).message).toBe('/x lässt sich nicht lesen oder schreiben: das Recht dazu fehlt.');
    expect(i18n.error(denied).message).toBe('Eine Datei lässt sich nicht lesen oder schreiben.');
    i18n.language = 'en';
    expect(i18n.error(denied).message).toBe('/x: permission denied');
  });

  it('fall back where the code is unknown', () => {
    const fresh = { code: 'brand_new', message: 'something new', hint: 'h' };
    i18n.language = 'en';
    expect(i18n.error(fresh)).toEqual({ message: 'Something new', detail: '', hint: 'h' });
    i18n.language = 'de';
    expect(i18n.error(fresh)).toEqual({ message: 'Das ging nicht. Diese Fassung kennt nur den Code dafür: brand_new', detail: '', hint: '' });
  });
});
