import { expect, it } from 'vitest';
import { splitName, visible } from './visible';

it('shows what would hide or turn the text', () => {
  expect(visible('photo\u202Egpj.exe')).toBe('photo\ufffdgpj.exe');
  expect(visible('a\u0000b\u200bc\u2066d\ne')).toBe('a\ufffdb\ufffdc\ufffdd\ufffde');
});

it('leaves ordinary text of any script alone', () => {
  for (const text of ['Someone’s laptop', 'مرحبا', 'שלום', '写真', 'e\u0301te\u0301', '👩‍💻'.replaceAll('\u200d', '')]) expect(visible(text)).toBe(text);
});

it.each([
  ['report.pdf', 'report', '.pdf'],
  ['archive.tar.zst', 'archive.tar', '.zst'],
  ['Makefile', 'Makefile', ''],
  ['.bashrc', '.bashrc', ''],
  ['What is it. A long sentence here', 'What is it. A long sentence here', ''],
  ['photo\u202Egpj.exe', 'photo\ufffdgpj', '.exe'],
])('splits %j', (name, stem, extension) => expect(splitName(name)).toEqual({ stem, extension }));
