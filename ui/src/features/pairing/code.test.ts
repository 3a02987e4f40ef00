import { describe, expect, it } from 'vitest';
import { classifyWord, readCode, replaceWord } from './code';

const words = (text: string) => {
  const code = readCode(text);
  return code.kind === 'words' ? code.words : code.link;
};

describe('readCode', () => {
  it.each(['brave-lion-sunset', 'brave lion sunset', '  Brave, LION\nsunset ', 'brave – lion – sunset', 'brave_lion_sunset', 'brave.lion.sunset.'])(
    'reads %j',
    (text) => expect(words(text)).toEqual(['brave', 'lion', 'sunset']),
  );

  it.each(['yonder:pair/abc?s=1', '  yonder:pair/abc?s=1\n', 'Pair with me: yonder:pair/abc?s=1'])('finds the link in %j', (text) => {
    expect(readCode(text)).toEqual({ kind: 'link', link: 'yonder:pair/abc?s=1' });
  });

  it('takes a link however its scheme is written', () => expect(words('YONDER:PAIR/ABC')).toBe('YONDER:PAIR/ABC'));

  it('knows whether the last word is still being typed', () => {
    expect(readCode('brave li')).toMatchObject({ open: true });
    expect(readCode('brave lion-')).toMatchObject({ open: false });
    expect(readCode('')).toMatchObject({ words: [], open: false });
  });

  it('keeps a word that cannot be right, so that it can be said', () => expect(words('brave löwe')).toEqual(['brave', expect.stringMatching(/^lo.?we$/)]));
});

describe('classifyWord', () => {
  it('takes a word of the list, even where others begin with it', () => expect(classifyWord('sun', ['sun', 'sunny', 'sunset'])).toMatchObject({ state: 'whole', word: 'sun' }));
  it('completes the only one that begins so', () => expect(classifyWord('brav', ['brave'])).toMatchObject({ state: 'completed', word: 'brave' }));
  it('waits while there are several', () => expect(classifyWord('su', ['such', 'sun'])).toMatchObject({ state: 'begun', word: null }));
  it('says at once what is not on the list', () => expect(classifyWord('lixn', [])).toMatchObject({ state: 'unknown', word: null }));
});

describe('replaceWord', () => {
  it('opens room for the next word', () => expect(replaceWord('brave li', 1, 'lion')).toBe('brave lion-'));
  it('ends with the last', () => expect(replaceWord('brave-lion-su', 2, 'sunset')).toBe('brave-lion-sunset'));
  it('leaves the others alone', () => expect(replaceWord('su su su', 0, 'sunset')).toBe('sunset su su'));
});
