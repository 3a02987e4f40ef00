// German texts of components and formats that several features use.

import type { shared as english } from '../en/common';
import { format } from './count';

export const shared: typeof english = {
  units: { s: 's', min: 'min', h: 'h', d: 'T' },
  list: { and: (names, more) => `${names} und ${more} weitere` },
  passphrase: {
    label: 'Passphrase dieses Geräts',
    fresh: 'Neue Passphrase',
    again: 'Noch einmal dieselbe',
    backup: 'Passphrase der Sicherung',
    freshBackup: 'Passphrase für die Sicherung',
    hint: 'Mehrere Wörter sind besser als eines. Niemand kann sie dir wiederbeschaffen.',
    empty: 'Tippe eine Passphrase.',
    short: (n) => `Es braucht mindestens ${format(n)} Zeichen.`,
    differ: 'Die beiden sind nicht gleich.',
  },
};
