// The English catalogue. The other languages have the same entries, which are functions where a figure or a name goes into
// the sentence.

import { app } from './app';
import { devices } from './devices';
import { diagnostics } from './diagnostics';
import { messages } from './messages';
import { pairing } from './pairing';
import { settings } from './settings';
import { shared } from './common';
import { transfers } from './transfers';

export const catalogue = { ...app, ...shared, ...devices, ...pairing, ...transfers, ...messages, ...diagnostics, ...settings };

/** The texts of the page in one language, by feature. */
export type Catalogue = typeof catalogue;
