// English texts of components and formats that several features use.

import { format } from './count';

export const shared = {
  units: { s: 's', min: 'min', h: 'h', d: 'd' },
  list: { and: (names: string, more: number) => `${names} and ${more} more` },
  passphrase: {
    label: 'Passphrase of this device',
    fresh: 'New passphrase',
    again: 'The same once more',
    backup: 'Passphrase of the backup',
    freshBackup: 'Passphrase for the backup',
    hint: 'Several words are better than one. Nobody can bring it back for you.',
    empty: 'Type a passphrase.',
    short: (n: number) => `It takes ${format(n)} characters at least.`,
    differ: 'The two are not the same.',
  },
};
