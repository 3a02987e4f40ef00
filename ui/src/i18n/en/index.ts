import type { LanguagePack } from '../language';
import { catalogue } from './catalogue';
import { errors } from './errors';
import { pairingNotes } from './pairing-notes';
import { terms } from './terms';

/** English, which the core speaks as well. */
export const en: LanguagePack = { name: 'English', catalogue, errors, unknown: null, checks: {}, terms, pairingNotes };
