// What people should know about a transfer, in words.

import type { Note } from '../ipc/bindings';

/** A note as a sentence. Paths and names in it are text of other people: show it through `visible`. */
export function noteText(note: Note): string {
  switch (note.code) {
    case 'skipped':
      return `${note.args.path} is left out (${note.args.reason})`;
    case 'failed':
      return `${note.args.path} could not be transferred (${note.args.reason})`;
    case 'saved_as':
      return `${note.args.path} is saved as ${note.args.name}`;
    case 'already_there':
      return `There already, and the same: ${note.args.count}`;
    case 'trashed':
      return `Old files in the trash: ${note.args.count}`;
    case 'not_trashed':
      return `${note.args.path}: the old one could not be put into the trash, and both are kept`;
    case 'skipped_there':
      return `Left out by the sender: ${note.args.count}`;
    case 'text':
      return note.args.text;
  }
}
