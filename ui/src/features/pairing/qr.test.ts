import { expect, it } from 'vitest';
import { modulePixels, qrPath, qrSide } from './qr';

it('draws runs of dark modules behind a quiet zone of four', () => {
  expect(qrPath(['##.#', '....', '...#', '####'])).toBe('M4 4h2v1h-2zM7 4h1v1h-1zM7 6h1v1h-1zM4 7h4v1h-4z');
  expect(qrSide(['##.#', '....', '...#', '####'])).toBe(12);
});

it('uses whole pixels, five where they fit', () => {
  expect(modulePixels(65, 325)).toBe(5);
  expect(modulePixels(65, 324)).toBe(4);
  expect(modulePixels(33, 1000)).toBe(6);
  expect(modulePixels(65, 10)).toBe(2);
});
