// The contents of a language. Each language has a folder.

import type { PairingNote } from '../backend/bindings';
import type { Catalogue } from './en/catalogue';

export type Language = 'en' | 'de';

/**
 * A sentence with places for arguments: `{name}` stands for an argument, `{free:bytes}` for one that is formatted as a size,
 * `{os:term}` for a stable name that the table `terms` has words for, `{reason:error}` for the code of another error.
 * `{reason:given}` prints nothing: the sentence is used only if the argument is present. If there are several sentences, the first one is used whose arguments are all present. The last one needs none. A part in square
 * brackets is left out if one of its arguments is missing.
 */
export type Sentence = string | readonly string[];

/** An error in words. */
export interface ErrorText {
  message: Sentence;
  /** What to do about it. The core's English hint replaces it if it is missing, so it may be missing in English only. */
  hint?: Sentence;
}

/** A check of the doctor in words. */
export interface CheckText {
  message: Sentence;
  hint?: Sentence;
}

export interface LanguagePack {
  /** The language's own name for itself. */
  name: string;
  catalogue: Catalogue;
  /** Errors by code. If errors of one code differ by the argument `case`, the key is `code.case`. */
  errors: Record<string, ErrorText>;
  /** Stands for errors and checks that are not in the tables. `null` in English: the core's own words are used. */
  unknown: ErrorText | null;
  /** Checks of the doctor by code, or else by the table of errors. A check that is in order has the code `ok_` and its name. */
  checks: Record<string, CheckText>;
  /** Stable names in arguments, as clauses within a sentence. */
  terms: Record<string, string>;
  /** What is said beside a pairing, by code. */
  pairingNotes: Record<PairingNote, string>;
}
