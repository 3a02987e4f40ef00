// Where the vectors lie: beside the pure code, or in the folder that YONDER_VECTORS names (a copy to be broken by hand).

import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

export function vectors(path) {
  const copy = process.env.YONDER_VECTORS && `${process.env.YONDER_VECTORS}/${basename(path)}`;
  const file = copy && existsSync(copy) ? copy : fileURLToPath(new URL(`../../src-tauri/proto/src/${path}`, import.meta.url));
  return JSON.parse(readFileSync(file, 'utf8'));
}
