// Puts every error and check that the core can send into words. The lists are written by the core's tests.

import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiError, CheckView } from '../backend/bindings';
import { i18n, languages } from './index.svelte';

const ROOT = join(import.meta.dirname, '../..');
const read = <T>(name: string): T[] => JSON.parse(readFileSync(join(ROOT, 'test', name), 'utf8')) as T[];
const errors = read<ApiError>('errors.json');
const checks = read<CheckView>('checks.json');
const { de, en } = languages;

/** Arguments that no sentence needs, and why the page leaves them out. */
const UNSAID = new Set([
  'case', // selects the sentence
  'detail', // is shown apart
  'transfer', // the id of a transfer says nothing to people
]);

/** Codes whose sentence names less than the core's, because the page says it elsewhere or a person cannot use it. */
const UNSAID_OF: Record<string, readonly string[]> = {
  nothing_to_send: ['count'],
  path_not_found: ['os'],
  connection_failed: ['os'],
  connection_lost: ['os'],
  already_running: ['path'],
  storage_full: ['path'],
  keystore_busy: ['path'],
  keystore_changed: ['keystore'],
  storage_newer: ['found', 'known'],
  backup_newer: ['found', 'known'],
  backup_passphrase_weak: ['least'],
  data_dir_foreign: ['os'],
  unknown_protocol: ['protocol'],
};

const ENGLISH = /\b(?:the|cannot|this|with|your|there|please|and|of)\b/i;

function entry(error: ApiError) {
  const which = error.args?.['case'];
  return de.errors[`${error.code}.${String(which)}`] ?? de.errors[error.code];
}

function templates(error: ApiError): string {
  const known = entry(error);
  return known ? [known.message, known.hint ?? ''].flat().join('\n') : '';
}

const named = (text: string) => [...text.matchAll(/\{(\w+)/g)].map((match) => match[1] ?? '');

beforeEach(() => (i18n.language = 'de'));
afterEach(() => (i18n.language = 'en'));

it('has enough to read', () => {
  expect(errors.length).toBeGreaterThan(200);
  expect(checks.length).toBeGreaterThan(50);
});

describe('errors in German', () => {
  it('are all known', () => expect(errors.filter((error) => !entry(error)).map((error) => `${error.code} ${String(error.args?.['case'] ?? '')}`)).toEqual([]));

  it.each(errors.map((error, place) => [`${place} ${error.code}`, error] as const))('%s', (_, error) => {
    for (const given of [error, { ...error, args: {} }, { code: error.code, message: error.message, hint: error.hint }]) {
      const { message, hint } = i18n.error(given);
      expect(message).not.toBe('');
      expect(`${message} ${hint}`).not.toMatch(/[{}[\]]/);
      expect(`${message} ${hint}`).not.toMatch(ENGLISH);
      expect(message).not.toContain(error.message);
      if (error.hint) expect(hint).not.toContain(error.hint);
    }
  });

  it('name what the core names', () => {
    const missing = errors.flatMap((error) => {
      const said = named(templates(error));
      const names = Object.keys(error.args ?? {}).filter((name) => !UNSAID.has(name) && !UNSAID_OF[error.code]?.includes(name));
      return names.filter((name) => !said.includes(name)).map((name) => `${error.code}: ${name}`);
    });
    expect([...new Set(missing)]).toEqual([]);
  });

  it('show the values of arguments', () => {
    const plain = (error: ApiError) => Object.entries(error.args ?? {}).filter(([name, value]) => new RegExp(`\\{${name}\\}`).test(templates(error)) && typeof value === 'string');
    for (const error of errors) {
      const { message, hint } = i18n.error(error);
      for (const [, value] of plain(error)) expect(`${message} ${hint}`).toContain(String(value));
    }
  });

  it('need no argument in their last sentence', () => {
    const last = (sentence: string | readonly string[]) => [sentence].flat().at(-1) ?? '';
    for (const pack of [de, en]) {
      for (const [code, { message, hint }] of Object.entries(pack.errors)) expect(named(`${last(message)}${last(hint ?? '')}`.replaceAll(/\[[^\]]*\]/g, '')), code).toEqual([]);
    }
    for (const { hint } of Object.values(de.errors)) expect(hint).toBeDefined();
  });

  it('have words for every stable name', () => {
    const { terms } = de;
    const names = errors.flatMap(({ args = {} }) => [args['os'], args['keystore'], args['asked']]).filter((name) => name !== undefined);
    expect(names.filter((name) => !Object.hasOwn(terms, name))).toEqual([]);
    expect(Object.keys(en.terms).filter((name) => !Object.hasOwn(terms, name))).toEqual([]);
    const listed = readFileSync(join(ROOT, '../src-tauri/core/src/error/os.rs'), 'utf8').split('#[cfg(test)]')[0] ?? '';
    const kinds = [...listed.matchAll(/(?:=>|return) (?:Some\()?"(\w+)"|Some\("(\w+)"\)/g)].map((match) => match[1] ?? match[2] ?? '');
    expect(kinds.length).toBeGreaterThan(25);
    for (const pack of [de, en]) expect(kinds.filter((name) => !Object.hasOwn(pack.terms, name))).toEqual([]);
  });
});

describe('errors in English', () => {
  it.each(errors.map((error, place) => [`${place} ${error.code}`, error] as const))('%s', (_, error) => {
    i18n.language = 'en';
    for (const given of [error, { ...error, args: {} }]) {
      const { message, hint } = i18n.error(given);
      expect(message).not.toBe('');
      expect(`${message} ${hint}`).not.toMatch(/[{}[\]]/);
      expect(hint).toBe(error.hint);
    }
  });
});

describe('the parts of a sentence', () => {
  const error = (args: Record<string, string | number>): ApiError => ({ code: 'no_space', message: 'm', hint: 'h', args });

  it('are formatted in the language', () => {
    const args = { folder: '/d', needed: 2_500_000_000, free: 1_000_000 };
    expect(i18n.error(error(args)).message).toBe('In /d ist nicht genug Platz: 2,50\u00a0GB werden gebraucht, 1,00\u00a0MB sind frei.');
    i18n.language = 'en';
    expect(i18n.error(error(args)).message).toBe('There is not enough space in /d: 2.50\u00a0GB are needed, 1.00\u00a0MB are free.');
  });

  it('are left out if an argument is missing', () => expect(i18n.error(error({ folder: '/d' })).message).toBe('Auf der Platte des Empfängers ist nicht genug Platz.'));

  it('are only text if an argument looks like one', () => {
    const said = i18n.error({ code: 'file', message: 'm', hint: '', args: { path: '{os} [x] {path}', os: 'disk_full' } });
    expect(said.message).toBe('{os} [x] {path} lässt sich nicht lesen oder schreiben: die Platte ist voll.');
  });

  it('of an unknown name of the system are left out', () => {
    const said = i18n.error({ code: 'file', message: 'm', hint: '', args: { path: '/x', os: 'toString' } });
    expect(said.message).toBe('/x lässt sich nicht lesen oder schreiben.');
  });

  it('of technical text stand apart', () => {
    const said = i18n.error({ code: 'file', message: '/x: inappropriate ioctl', hint: '', args: { path: '/x', detail: 'inappropriate ioctl' } });
    expect(said).toMatchObject({ message: '/x lässt sich nicht lesen oder schreiben.', detail: 'inappropriate ioctl' });
  });

  it('are no names that every object has', () => {
    for (const code of ['constructor', 'toString', '__proto__']) expect(i18n.error({ code, message: 'm', hint: 'h' }).message).toContain(code);
  });
});

describe('checks in German', () => {
  it.each(checks.map((check, place) => [`${place} ${check.code ?? check.name}`, check] as const))('%s', (_, check) => {
    for (const given of [check, { ...check, args: {} }]) {
      const { message, hint } = i18n.check(given);
      expect(message).not.toBe('');
      expect(message).not.toContain('kennt nur den Code');
      expect(`${message} ${hint}`).not.toMatch(/[{}[\]]/);
      expect(`${message} ${hint}`.replaceAll(/`[^`]*`/g, '')).not.toMatch(ENGLISH);
      expect(message).not.toContain(check.detail);
      if (check.hint) expect(hint).not.toContain(check.hint);
    }
  });

  it('name what the core names', () => {
    const missing = checks.flatMap((check) => {
      const known = de.checks[check.code ?? `ok_${check.name}`];
      if (!known || !check.args) return [];
      const said = named([known.message, known.hint ?? ''].flat().join('\n'));
      return Object.keys(check.args).filter((name) => name !== 'reason' && !said.includes(name)).map((name) => `${check.code ?? check.name}: ${name}`);
    });
    expect([...new Set(missing)]).toEqual([]);
  });

  it('show what a server said apart', () => {
    const refused = checks.find((check) => check.code === 'relay_refused');
    expect(refused && i18n.check(refused).detail).toBe('not authorized');
  });
});

/** Returns the sources of the shell. */
function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return name === 'gen' ? [] : sources(path);
    return name.endsWith('.rs') ? [readFileSync(path, 'utf8').split('#[cfg(test)]')[0] ?? ''] : [];
  });
}

it('knows every error of the shell', () => {
  const codes = sources(join(ROOT, '../src-tauri/app')).flatMap((text) => [...text.matchAll(/\berror\(\s*"(\w+)"/g)].map((match) => match[1] ?? ''));
  expect(codes.length).toBeGreaterThan(15);
  expect([...new Set(codes)].filter((code) => !Object.hasOwn(de.errors, code) && code !== 'invalid_input')).toEqual([]);
});
