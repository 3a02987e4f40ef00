// The German catalogue.

import type { Catalogue } from '../en/catalogue';
import { app } from './app';
import { devices } from './devices';
import { diagnostics } from './diagnostics';
import { messages } from './messages';
import { pairing } from './pairing';
import { settings } from './settings';
import { shared } from './common';
import { transfers } from './transfers';

export const catalogue: Catalogue = { ...app, ...shared, ...devices, ...pairing, ...transfers, ...messages, ...diagnostics, ...settings };
