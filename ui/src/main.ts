// Draws the page before the node is up, so that a slow network or disk never leaves the window empty.

import { mount } from 'svelte';
import App from './app/App.svelte';
import { i18n } from './i18n/index.svelte';
import type { Backend } from './backend/backend';
import { tauri } from './backend/tauri';
import { theme } from './common/state/theme.svelte';
import './styles/tokens.css';
import './styles/base.css';

function draw(backend: Backend): void {
  theme.apply();
  i18n.apply();
  const target = document.getElementById('root');
  if (target) mount(App, { target, props: { backend } });
}

// Vite replaces the condition, so that a build for the window does not contain the fake.
if ((import.meta.env.DEV || import.meta.env.MODE === 'demo') && !('__TAURI_INTERNALS__' in window)) {
  void import('./app/demo').then(({ demo }) => draw(demo()));
} else {
  draw(tauri);
}
