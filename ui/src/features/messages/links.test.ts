import { describe, expect, it } from 'vitest';
import { splitLinks } from './links';

const links = (text: string) => splitLinks(text).filter((piece) => piece.href !== undefined);
const whole = (text: string) => splitLinks(text).map((piece) => piece.text).join('');

describe('addresses in a text', () => {
  it('become links, without the sentence around them', () => {
    expect(links('See https://example.org/a_(b)?c=d#e, or (http://10.0.0.7:8080/x).').map((link) => link.href)).toEqual([
      'https://example.org/a_(b)?c=d#e',
      'http://10.0.0.7:8080/x',
    ]);
    expect(links('https://example.org/…').map((link) => link.href)).toEqual(['https://example.org/']);
    expect(links('(HTTPS://Example.org)')).toEqual([{ text: 'HTTPS://Example.org', href: 'https://example.org/' }]);
  });

  it.each([
    'javascript:alert(1)',
    'data:text/html,<b>x</b>',
    'file:///etc/passwd',
    'vbscript:x',
    'ftp://example.org/x',
    'yonder:pair?s=x',
    'example.org',
    'mailto:a@example.org',
    'https://',
    'https://bank.example@evil.example/',
    'https://@evil.example/',
    'https://user:word@evil.example/',
    'xhttps://example.org',
    'https:/example.org',
    'https:\\\\example.org',
  ])('%s stays text', (text) => {
    expect(links(text)).toEqual([]);
    expect(whole(text)).toBe(text);
  });

  it('say where they lead if their letters do not', () => {
    expect(links('https://bücher.example/x')).toEqual([{ text: 'https://bücher.example/x', href: 'https://xn--bcher-kva.example/x', host: 'xn--bcher-kva.example' }]);
    // A Cyrillic letter that looks like a Latin one.
    expect(links('https://\u0430pple.com')[0]?.host).toMatch(/^xn--/);
    expect(links('http://2130706433/')[0]?.host).toBe('127.0.0.1');
    expect(links('https://example.org:443/')[0]?.host).toBeUndefined();
  });

  it('end where something is hidden', () => {
    expect(links('https://example.org/\u202egpj.exe')).toEqual([{ text: 'https://example.org/', href: 'https://example.org/' }]);
    expect(whole('a\u202eb\u0000c\nd\te\u200b')).toBe('a\ufffdb\ufffdc\nd\te\ufffd');
  });

  it('are ASCII without quotes for the browser', () => {
    expect(links("https://example.org/it's|ü{}^")[0]?.href).toBe('https://example.org/it%27s%7C%C3%BC%7B%7D%5E');
  });

  it('are found in a hostile text in no time', () => {
    const began = performance.now();
    for (const text of ['https://'.repeat(4000), `https://example.org/${')'.repeat(30_000)}`, `https://e.org/${')'.repeat(2000)} `.repeat(15), 'https://a.b '.repeat(2500)]) {
      expect(whole(text)).toBe(text);
    }
    expect(links('https://a.b '.repeat(2500))).toHaveLength(50);
    expect(performance.now() - began).toBeLessThan(1500);
  });
});
