import type { LanguagePack } from '../language';
import { catalogue } from './catalogue';
import { errors } from './errors';
import { pairingNotes } from './pairing-notes';

/** English, which the core speaks as well. */
export const en: LanguagePack = { name: 'English', catalogue, errors, checks: {}, pairingNotes };
