// Errors in English, by code. The core speaks English itself, so that only the page's own wording is here.

import type { ErrorText } from '../language';

export const errors: Record<string, ErrorText> = {
  starting: { message: 'Yonder is still starting.', hint: 'Try again in a moment.' },
};
