// The settings feature's state of the keystore.

import { createContext } from 'svelte';
import type { KeystoreStatus } from '../../backend/bindings';

export type KeystoreTask = 'keychain' | 'file' | 'passphrase' | 'backup';

export class KeystoreState {
  /** What the person wants done with the secret. The keystore dialog is open while this is set. */
  task = $state<KeystoreTask | null>(null);
  /** The node's last answer about the keystore. Null before it was asked. */
  status = $state.raw<KeystoreStatus | null>(null);
}

export const [getKeystore, setKeystore] = createContext<KeystoreState>();
