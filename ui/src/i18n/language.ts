// What a language consists of. `en` and `de` are one folder each.

import type { Catalogue } from './en/catalogue';

export type Language = 'en' | 'de';

/** The text of an error. */
export interface ErrorText {
  message: string;
  hint: string;
  /** The core's own sentence names a path or a cause, and follows in brackets. */
  detail?: true;
}

/**
 * The text of a check of the doctor. `{name}` stands for an argument of the check, `{free:bytes}` for one that is formatted as a
 * size. Of several messages the first one counts whose arguments are all there.
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
  /** Sentences that the core shows beside a pairing, by the English sentence. */
  pairingNotes: Record<string, string>;
}
