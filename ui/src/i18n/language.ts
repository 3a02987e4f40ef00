// The contents of a language. Each language has a folder.

import type { PairingNote } from '../backend/bindings';
import type { Catalogue } from './en/catalogue';

export type Language = 'en' | 'de';

/** An error in words. */
export interface ErrorText {
  message: string;
  hint: string;
  /** The core's own sentence names a path or a cause, and follows in brackets. */
  detail?: true;
}

/**
 * A check of the doctor in words. `{name}` stands for an argument of the check, `{free:bytes}` for one that is formatted as a
 * size. If there are several messages, the first one is used whose arguments are all present.
 */
export interface CheckText {
  message: string | readonly string[];
  hint?: string;
  /** The core's own sentence says more, and is shown beneath. */
  detail?: true;
}

export interface LanguagePack {
  /** The language's own name for itself. */
  name: string;
  catalogue: Catalogue;
  /** Errors by code. What is missing is shown in the core's English words. */
  errors: Record<string, ErrorText>;
  /** Checks of the doctor by code. A check that is in order has the code `ok_` and its name. */
  checks: Record<string, CheckText>;
  /** What is said beside a pairing, by code. */
  pairingNotes: Record<PairingNote, string>;
}
