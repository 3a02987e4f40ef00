// What a feature takes from the page around it. `app` provides it and joins the features, so that no feature has to import
// another.

import { createContext } from 'svelte';
import type { Backend } from '../backend/backend';
import type { NodeStore } from '../backend/node.svelte';
import type { Drops } from './state/drops.svelte';
import type { Toasts } from './state/toasts.svelte';

export type Page = 'home' | 'settings' | 'conversation' | 'doctor' | 'transfers';

export interface AppContext {
  readonly backend: Backend;
  readonly node: NodeStore;
  readonly toasts: Toasts;
  readonly drops: Drops;
  /** The page that is shown. */
  page: Page;
  /** A dialog lies over the page and has the keyboard. */
  readonly covered: boolean;
  /** A drag is under way. Nothing on the page moves until it ends, so that it lands where it was aimed. */
  readonly steady: boolean;

  /** Has a screen reader read out a sentence. */
  announce(sentence: string): void;
  /** Runs what a button stands for. An error becomes a toast. Resolves to true on success. */
  attempt(work: () => Promise<unknown>): Promise<boolean>;
  /** Copies a text to the clipboard and confirms it with a toast. */
  copy(text: string, confirmation?: string): Promise<void>;

  // What a feature asks of another one.

  /** Opens the pair dialog: `host` shows a code, `join` takes one. */
  startPairing(side: 'host' | 'join', device?: string | null): void;
  /** Asks for files or folders and sends them. Without a device, asks for that too. */
  pickAndSend(device: string | null, folders: boolean): Promise<boolean>;
  /** Shows the conversation with a device. */
  openConversation(device: string): void;
  /** Shows the details of a device. */
  showDevice(device: string): void;
  /** Runs the doctor for one device, or for everything. */
  checkConnection(device: string | null): void;
}

export const [getApp, setApp] = createContext<AppContext>();
