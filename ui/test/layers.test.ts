// Which folder of the page may import which. Circles of imports are found by oxlint (`import/no-cycle`). Its patterns cannot
// say "no other feature", because they see an import as it is written. This test resolves imports first.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../src');

/** What a layer may import of the others. `types` means `import type` only. Imports within a layer are free. */
const LAYERS: Record<string, Record<string, 'all' | 'types'>> = {
  main: { app: 'all', common: 'all', backend: 'all', i18n: 'all', styles: 'all' },
  app: { features: 'all', common: 'all', backend: 'all', i18n: 'all' },
  features: { common: 'all', backend: 'all', i18n: 'all' },
  common: { backend: 'types', i18n: 'all' },
  backend: {},
  i18n: { backend: 'types' },
};

/** Features that import another one, and why: `{ from: 'messages', to: 'transfers', because: '..' }`. */
const BETWEEN_FEATURES: readonly { from: string; to: string; because: string }[] = [];

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

const STATEMENT = /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'(\.{1,2}\/[^']+)'/gm;
const DYNAMIC = /\bimport\('(\.{1,2}\/[^']+)'\)/g;

/** Returns the imports of one file. Paths are relative to `src`, without a leading dot. */
function importsOf(from: string, text: string): Import[] {
  const statements = [...text.matchAll(STATEMENT)].map((match) => ({ to: match[2] ?? '', typeOnly: match[1] !== undefined }));
  const dynamic = [...text.matchAll(DYNAMIC)].map((match) => ({ to: match[1] ?? '', typeOnly: false }));
  return [...statements, ...dynamic].map(({ to, typeOnly }) => ({ from, to: resolve(from, to), typeOnly }));
}

function resolve(from: string, to: string): string {
  const path = join(dirname(from), to);
  const ending = ['', '.ts', '.svelte.ts'].find((each) => /\.\w+$/.test(path + each) && existsSync(join(SRC, path + each)));
  if (ending === undefined) throw new Error(`${from} imports ${to}, and there is no such file`);
  return path + ending;
}

/** Returns the layer of a file: its top folder, or `main` for files beside the folders. */
function layer(path: string): string {
  const [top, rest] = path.split('/');
  return rest === undefined ? 'main' : (top ?? '');
}

/** Returns what is wrong with an import, or null. */
function fault({ from, to, typeOnly }: Import): string | null {
  const [lower, upper] = [layer(to), layer(from)];
  if (lower === upper) {
    const [ours, theirs] = [from.split('/')[1], to.split('/')[1]];
    if (upper !== 'features' || ours === theirs) return null;
    const listed = BETWEEN_FEATURES.some((each) => each.from === ours && each.to === theirs);
    return listed ? null : `${from} imports ${to}: a feature imports no other one. Go through common/context.ts, or list it in BETWEEN_FEATURES with the reason`;
  }
  const may = LAYERS[upper]?.[lower];
  if (may === 'all' || (may === 'types' && typeOnly)) return null;
  return may === 'types' ? `${from} imports values of ${to}: ${upper} may import types of ${lower} only` : `${from} imports ${to}: ${upper} may not import ${lower}`;
}

// A test of a feature drives the whole page, so that tests are free to import what they need.
const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(ts|svelte)$/.test(entry.name) && !entry.name.endsWith('.test.ts'))
  .map((entry) => relative(SRC, join(entry.parentPath, entry.name)));
const imports = files.flatMap((path) => importsOf(path, readFileSync(join(SRC, path), 'utf8')));

describe('the layers of the page', () => {
  it('are read', () => {
    expect(imports.length).toBeGreaterThan(250);
    expect(new Set(files.map(layer))).toEqual(new Set(Object.keys(LAYERS)));
  });

  it('import lower ones only', () => expect(imports.map(fault).filter((each) => each !== null)).toEqual([]));

  it('list no import between features that is not there', () => {
    const there = (from: string, to: string) => imports.some((each) => each.from.startsWith(`features/${from}/`) && each.to.startsWith(`features/${to}/`));
    expect(BETWEEN_FEATURES.filter(({ from, to }) => !there(from, to))).toEqual([]);
  });
});

it('no state has the name of a component, which file systems that ignore case would import in its place', () => {
  const taken = new Map(files.filter((path) => path.endsWith('.svelte')).map((path) => [path.toLowerCase(), path]));
  const states = files.filter((path) => path.endsWith('.svelte.ts'));
  expect(states.filter((path) => taken.has(path.slice(0, -'.ts'.length).toLowerCase()))).toEqual([]);
});

describe('an import that breaks the layers is found', () => {
  const broken: [string, Import][] = [
    ['of the app by a feature', { from: 'features/devices/Devices.svelte', to: 'app/app-state.svelte.ts', typeOnly: true }],
    ['of another feature', { from: 'features/devices/Devices.svelte', to: 'features/pairing/code.ts', typeOnly: false }],
    ['of a feature by common', { from: 'common/context.ts', to: 'features/pairing/code.ts', typeOnly: true }],
    ['of a value of the backend by common', { from: 'common/context.ts', to: 'backend/backend.ts', typeOnly: false }],
    ['of the page by the backend', { from: 'backend/node.svelte.ts', to: 'common/state/clock.ts', typeOnly: true }],
    ['of a value by i18n', { from: 'i18n/format.ts', to: 'backend/backend.ts', typeOnly: false }],
    ['of common by i18n', { from: 'i18n/format.ts', to: 'common/state/clock.ts', typeOnly: true }],
  ];
  it.each(broken)('%s', (_, each) => expect(fault(each)).not.toBeNull());

  it('over several lines, by name only, and when it is run', () => {
    const text = "import {\n  a,\n  type B,\n} from './format';\nimport type { C } from './language';\nimport './en/index';\nconst d = import('./format');\nexport { e } from './language';";
    expect(importsOf('i18n/index.svelte.ts', text)).toEqual([
      { from: 'i18n/index.svelte.ts', to: 'i18n/format.ts', typeOnly: false },
      { from: 'i18n/index.svelte.ts', to: 'i18n/language.ts', typeOnly: true },
      { from: 'i18n/index.svelte.ts', to: 'i18n/en/index.ts', typeOnly: false },
      { from: 'i18n/index.svelte.ts', to: 'i18n/language.ts', typeOnly: false },
      { from: 'i18n/index.svelte.ts', to: 'i18n/format.ts', typeOnly: false },
    ]);
  });
});
