// Which language the page speaks. All visible text comes through `i18n.t`.

import type { ApiError } from '../ipc/bindings';
import { de } from './de';
import { germanErrors, germanGrants, germanNotes, type SpokenError } from './errors.de';
import { en, type Catalogue } from './en';

export type Language = 'en' | 'de';

/** Each language under its own name, so that a person finds it back. */
export const languages: Record<Language, string> = { en: 'English', de: 'Deutsch' };

export const catalogues: Record<Language, Catalogue> = { en, de };

/** The core speaks English; other languages say its errors anew, by code. */
const spoken: Record<Language, Record<string, SpokenError>> = { en: {}, de: germanErrors };
const grants: Record<Language, Record<string, string>> = { en: {}, de: germanGrants };
const notes: Record<Language, Record<string, string>> = { en: {}, de: germanNotes };

const KEY = 'yonder.language';

function remembered(): Language {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === 'en' || kept === 'de') return kept;
  } catch {
    // No storage, then: the system's language will do.
  }
  return navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en';
}

/** The core's messages begin small, since they also stand within longer lines of a log. */
function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1);
}

class I18n {
  #language = $state<Language>(remembered());

  get language(): Language {
    return this.#language;
  }

  set language(language: Language) {
    this.#language = language;
    this.apply();
    try {
      localStorage.setItem(KEY, language);
    } catch {
      // It holds until the window closes.
    }
  }

  get t(): Catalogue {
    return catalogues[this.#language];
  }

  /** Tells assistive technology which language the page speaks. */
  apply(): void {
    document.documentElement.lang = this.#language;
  }

  /** An error in the page's language; in the core's own words where the catalogue does not know its code. */
  error(error: ApiError): { message: string; hint: string } {
    const known = spoken[this.#language][error.code] ?? this.t.errors[error.code];
    if (!known) return { message: sentence(error.message), hint: error.hint };
    if (!('detail' in known)) return known;
    return { message: `${known.message} (${error.message})`, hint: known.hint };
  }

  /** What a paired device may do, in the page's language if the catalogue knows the sentence. */
  grant(sentenceOfCore: string): string {
    return grants[this.#language][sentenceOfCore] ?? sentenceOfCore;
  }

  /** What the core says beside a pairing, in the page's language if the catalogue knows the sentence. */
  note(sentenceOfCore: string): string {
    return notes[this.#language][sentenceOfCore] ?? sentenceOfCore;
  }

  /** A day, as people write it. */
  date(unixSeconds: number): string {
    return new Intl.DateTimeFormat(this.#language, { dateStyle: 'medium' }).format(unixSeconds * 1000);
  }

  /** `3 minutes ago`. */
  ago(unixSeconds: number, nowMs: number): string {
    const seconds = Math.min(0, unixSeconds - nowMs / 1000);
    const format = new Intl.RelativeTimeFormat(this.#language, { numeric: 'auto' });
    const steps: [Intl.RelativeTimeFormatUnit, number][] = [
      ['day', 86_400],
      ['hour', 3600],
      ['minute', 60],
    ];
    for (const [unit, size] of steps) {
      if (-seconds >= size) return format.format(Math.trunc(seconds / size), unit);
    }
    return format.format(0, 'minute');
  }
}

export const i18n = new I18n();
