import type { LanguagePack } from '../language';
import { catalogue } from './catalogue';
import { checks } from './checks';
import { errors } from './errors';
import { pairingNotes } from './pairing-notes';

export const de: LanguagePack = { name: 'Deutsch', catalogue, errors, checks, pairingNotes };
