// German texts of messages.

import type { messages as english } from '../en/messages';
import { format } from './count';

export const messages: typeof english = {
  messages: {
    open: 'Texte …',
    button: 'Texte',
    with: (name) => `Texte mit ${name}`,
    withNew: (name, n) => `Texte mit ${name}, ${format(n)} neu`,
    emptyTitle: 'Noch nichts gesagt',
    empty: (name) => `Schreib etwas, oder füge einen Link ein. Nur ${name} kann es lesen.`,
    older: 'Frühere zeigen',
    loading: 'Texte werden geholt …',
    input: (name) => `Text an ${name}`,
    placeholder: 'Text schreiben',
    keys: 'Enter sendet, Umschalt+Enter beginnt eine neue Zeile',
    send: 'Senden',
    left: (bytes) => `noch ${bytes}`,
    tooLong: (bytes) => `Um ${bytes} zu lang. Sende es in Teilen, oder als Datei.`,
    waits: (name) => `${name} ist fort. Was du schreibst, wartet hier und kommt von selbst an.`,
    blocked: (name) => `${name} ist gesperrt. Entsperre es, um ihm zu schreiben.`,
    own: 'Du',
    state: { queued: 'Noch nicht dort', delivered: 'Angekommen', received: 'Empfangen' },
    queuedAway: 'Wartet, bis es da ist',
    copy: 'Diesen Text kopieren',
    copied: 'Text kopiert',
    all: 'Ganz zeigen',
    fewer: 'Weniger zeigen',
    link: (host) => `Öffnet ${host} im Browser`,
    host: (host) => `führt zu ${host}`,
    latest: 'Neueste',
    arrived: (name) => `Ein Text von ${name} ist angekommen.`,
    says: (name, text) => `${name}: ${text}`,
  },
};
