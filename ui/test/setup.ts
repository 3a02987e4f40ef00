import { cleanup } from '@testing-library/svelte';
import { afterEach, beforeEach } from 'vitest';
import { i18n } from '../src/i18n/index.svelte';
import { theme } from '../src/common/state/theme.svelte';

// The test environment has no layout, so that every width would be 0.
Object.defineProperty(HTMLElement.prototype, 'clientWidth', { configurable: true, get: () => 400 });

beforeEach(() => {
  localStorage.clear();
  i18n.language = 'en';
  theme.kind = 'system';
});

afterEach(() => cleanup());
