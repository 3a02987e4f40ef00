// The only file that imports Tauri: three commands and two events.

import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { Backend } from './backend';
import type { NumberedEvent, Response, ShellEvent, ShellResponse } from './bindings';

/** The backend of a window. */
export const tauri: Backend = {
  call: (request) => invoke<Response>('call', { request }),
  shell: (request) => invoke<ShellResponse>('shell', { request }),
  picture: (bytes) => invoke<ShellResponse>('picture', bytes),
  onEvent: (listener) => listen<NumberedEvent>('yonder://event', (event) => listener(event.payload)),
  onShellEvent: (listener) => listen<ShellEvent>('yonder://shell', (event) => listener(event.payload)),
};
