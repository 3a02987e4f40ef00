import type { LanguagePack } from '../language';
import { catalogue } from './catalogue';
import { checks } from './checks';
import { errors } from './errors';
import { inputErrors } from './errors-input';
import { pairingNotes } from './pairing-notes';
import { terms } from './terms';

export const de: LanguagePack = {
  name: 'Deutsch',
  catalogue,
  errors: { ...errors, ...inputErrors },
  unknown: { message: 'Das ging nicht. Diese Fassung kennt nur den Code dafür: {code}', hint: '' },
  checks,
  terms,
  pairingNotes,
};
