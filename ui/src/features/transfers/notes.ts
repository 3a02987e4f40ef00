// Turns notes about a transfer into sentences.

import type { Catalogue } from '../../i18n/en/catalogue';
import type { Note } from '../../backend/bindings';

/** Says why something was left out. An unknown code gets a general wording. */
export function skipReason(t: Catalogue, code: string): string {
  return t.notes.why[code] ?? t.notes.why['other'] ?? code;
}

/** Turns a note into a sentence. Paths and names in it are chosen by other people: show it through `visible`. */
export function noteText(t: Catalogue, note: Note): string {
  switch (note.code) {
    case 'skipped':
      return t.notes.skipped(note.args.path, skipReason(t, note.args.reason));
    case 'failed':
      return t.notes.failed(note.args.path, skipReason(t, note.args.reason));
    case 'saved_as':
      return t.notes.savedAs(note.args.path, note.args.name);
    case 'named_twice':
      return t.notes.namedTwice(note.args.path);
    case 'already_there':
      return t.notes.alreadyThere(note.args.count);
    case 'trashed':
      return t.notes.trashed(note.args.count);
    case 'not_trashed':
      return t.notes.notTrashed(note.args.path);
    case 'skipped_there':
      return t.notes.skippedThere(note.args.count);
    case 'not_executable':
      return t.notes.notExecutable(note.args.count);
    case 'text':
      return note.args.text;
  }
}
