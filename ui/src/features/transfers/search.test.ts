import { expect, it } from 'vitest';
import { matches, searchWords } from './search';

const texts = ['Holiday 2026', 'Übersicht.ods', 'Attic NAS', 'done'];

it('every word has to be found, each anywhere, in any case', () => {
  for (const typed of ['', '  ', 'holi', 'attic HOLI', 'übersicht', 'nas done 2026', 'u\u0308bersicht']) expect(matches(searchWords(typed), texts), typed).toBe(true);
  for (const typed of ['attic cellar', 'holidays', 'nasdone']) expect(matches(searchWords(typed), texts), typed).toBe(false);
});

it('only the first 200 characters count', () => {
  expect(searchWords(`${'a'.repeat(199)} not there`)).toEqual(['a'.repeat(199)]);
});
