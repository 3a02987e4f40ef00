// Rules of the page that no test of a single component can check.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, type AST } from 'svelte/compiler';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const all = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const text = (path: string) => readFileSync(path, 'utf8');
const sources = all('src').filter((path) => /\.(ts|svelte)$/.test(path) && !path.endsWith('.test.ts'));
const views = sources.filter((path) => path.endsWith('.svelte'));

it('finds the sources', () => {
  expect(sources.length).toBeGreaterThan(30);
  expect(views.length).toBeGreaterThan(15);
});

it('one file alone imports Tauri', () => {
  expect(sources.filter((path) => /from '@tauri-apps/.test(text(path))).map((path) => path.slice(ROOT.length + 1))).toEqual(['src/backend/tauri.ts']);
});

it('the fake is reached from the demo alone, and the demo from one place', () => {
  const importing = (name: string) => sources.filter((path) => new RegExp(`['"/]${name}['"]`).test(text(path))).map((path) => path.slice(ROOT.length + 1));
  expect(importing('fake')).toEqual(['src/app/demo.ts']);
  expect(importing('demo')).toEqual(['src/main.ts']);
});

describe.each(views.map((path) => [path.slice(ROOT.length + 1), text(path)]))('%s', (_, source) => {
  it('makes no markup from text', () => {
    expect(source).not.toMatch(/\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
  });

  it('has no style attribute, which the content policy would block', () => {
    expect(source.replace(/<style>[\s\S]*<\/style>/, '')).not.toMatch(/\sstyle=/);
  });

  it('takes all visible text from the catalogue', () => {
    const loose: string[] = [];
    const SPOKEN = new Set(['aria-label', 'title', 'placeholder', 'alt', 'aria-valuetext']);
    const visit = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      const each = node as AST.SvelteNode;
      if (each.type === 'Text' && /\p{L}/u.test(each.data)) loose.push(each.data);
      if (each.type === 'StyleDirective' || each.type === 'ClassDirective') return;
      if (each.type === 'Attribute') {
        if (SPOKEN.has(each.name)) visit(each.value);
        return;
      }
      for (const [key, inner] of Object.entries(node)) {
        if (key === 'expression' || key === 'metadata') continue;
        if (Array.isArray(inner)) inner.forEach(visit);
        else visit(inner);
      }
    };
    visit(parse(source, { modern: true }).fragment);
    expect(loose.map((found) => found.trim())).toEqual([]);
  });
});

describe('the lock file', () => {
  interface Locked {
    version?: string;
    integrity?: string;
    optionalDependencies?: Record<string, string>;
  }
  const { packages } = JSON.parse(text(join(ROOT, 'package-lock.json'))) as { packages: Record<string, Locked> };

  it('says nowhere where a package was fetched from', () => expect(text(join(ROOT, 'package-lock.json'))).not.toMatch(/"resolved"/));

  it('has a version and a hash of each package', () => {
    const loose = Object.entries(packages).filter(([path, locked]) => path !== '' && !(locked.version && locked.integrity));
    expect(loose.map(([path]) => path)).toEqual([]);
  });

  it('has the packages of every platform, or a clean install fails', () => {
    const missing = Object.values(packages)
      .flatMap((locked) => Object.keys(locked.optionalDependencies ?? {}))
      .filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)));
    expect(missing).toEqual([]);
  });
});

it('all versions are exact', () => {
  const { dependencies, devDependencies } = JSON.parse(text(join(ROOT, 'package.json'))) as Record<string, Record<string, string>>;
  for (const version of Object.values({ ...dependencies, ...devDependencies })) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});
