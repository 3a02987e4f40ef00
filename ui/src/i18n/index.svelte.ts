// The language of the page. All visible text comes through `i18n.t`.

import type { ApiError, CheckView, Grant, PairingNote } from '../backend/bindings';
import { de } from './de/index';
import type { Catalogue } from './en/catalogue';
import { en } from './en/index';
import { bytes, duration, limit, rate, share100 } from './format';
import type { Language, LanguagePack } from './language';

export type { Language } from './language';

export const languages: Record<Language, LanguagePack> = { en, de };

const KEY = 'yonder.language';

function isLanguage(code: string): code is Language {
  return Object.hasOwn(languages, code);
}

function remembered(): Language {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept !== null && isLanguage(kept)) return kept;
  } catch {
    // Without storage the system's language is used.
  }
  const [system = ''] = navigator.language.toLowerCase().split('-');
  return isLanguage(system) ? system : 'en';
}

/** Begins a message with a capital. The core's messages begin in lower case, because they also occur within lines of a log. */
function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1);
}

/** True if the time can be formatted. The clock of another device may send any number. */
function isDay(unixMs: number): boolean {
  return !Number.isNaN(new Date(unixMs).getTime());
}

/** Returns the beginning of the day. */
function midnight(unixMs: number): number {
  return new Date(unixMs).setHours(0, 0, 0, 0);
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
      // Without storage the choice lasts until the window closes.
    }
  }

  get t(): Catalogue {
    return languages[this.#language].catalogue;
  }

  /** Tells assistive technology the language of the page. */
  apply(): void {
    document.documentElement.lang = this.#language;
  }

  /** Returns an error in the page's language, or in the core's own words if the code is unknown. */
  error(error: ApiError): { message: string; hint: string } {
    const known = languages[this.#language].errors[error.code];
    if (!known) return { message: sentence(error.message), hint: error.hint };
    if (!('detail' in known)) return known;
    return { message: `${known.message} (${error.message})`, hint: known.hint };
  }

  /** Returns a finding of the doctor by its code. The core's own sentence replaces it if the code is unknown. */
  check(check: CheckView): { message: string; detail: string; hint: string } {
    const known = languages[this.#language].checks[check.code ?? `ok_${check.name}`];
    const args = check.args ?? {};
    const messages = [known?.message ?? []].flat();
    const fits = messages.findIndex((each) => this.#fill(each, args) !== null);
    const message = this.#fill(messages[fits] ?? '', args);
    if (!known || !message) return { message: check.detail, detail: '', hint: check.hint };
    const hint = check.hint === '' ? '' : (this.#fill(known.hint ?? '', args) ?? check.hint);
    // If an argument was missing, the core's sentence is shown beneath, because it may name the value.
    const poorer = check.code !== undefined && fits > 0 && !messages[fits]?.includes('{');
    return { message, detail: known.detail || poorer ? check.detail : '', hint };
  }

  /** Fills arguments into a sentence. Null if one of them is missing. */
  #fill(sentenceWith: string, args: Partial<Record<string, string>>): string | null {
    let whole = true;
    const filled = sentenceWith.replaceAll(/\{(\w+)(?::(\w+))?\}/g, (_, name: string, kind: string | undefined) => {
      const value = args[name];
      if (value === undefined) whole = false;
      return value === undefined ? '' : this.#shown(value, kind);
    });
    return whole ? filled : null;
  }

  #shown(value: string, kind: string | undefined): string {
    switch (kind) {
      case 'bytes':
        return bytes(Number(value), this.#language);
      case 'rate':
        return rate(Number(value), this.#language);
      case 'percent':
        return share100(Number(value), this.#language);
      case 'span':
        return duration(Number(value), this.t.units);
      default:
        return value;
    }
  }

  /** Says what a paired device may do. */
  grant(grant: Grant): string {
    const said = this.t.pair.grant;
    if (grant.code !== 'offers_accepted') return said[grant.code];
    return said.offers_accepted(grant.up_to === null ? '' : limit(grant.up_to, this.#language), grant.into ?? '');
  }

  /** What is said beside a pairing. */
  note(note: PairingNote): string {
    return languages[this.#language].pairingNotes[note];
  }

  /** `14 Mar 2026`, in the form of the language. */
  date(unixSeconds: number): string {
    return new Intl.DateTimeFormat(this.#language, { dateStyle: 'medium' }).format(unixSeconds * 1000);
  }

  /** The time of the day. Empty if there is no such time. */
  time(unixMs: number): string {
    return isDay(unixMs) ? new Intl.DateTimeFormat(this.#language, { timeStyle: 'short' }).format(unixMs) : '';
  }

  /** `Today`, `Yesterday`, or the day. */
  day(unixMs: number, nowMs: number): string {
    if (!isDay(unixMs)) return '';
    const days = Math.round((midnight(unixMs) - midnight(nowMs)) / 86_400_000);
    if (days === 0 || days === -1) return sentence(new Intl.RelativeTimeFormat(this.#language, { numeric: 'auto' }).format(days, 'day'));
    return new Intl.DateTimeFormat(this.#language, { dateStyle: 'full' }).format(unixMs);
  }

  /** `3 minutes ago`, `yesterday, 14:05`, or the day. */
  when(unixSeconds: number, nowMs: number): string {
    const ms = unixSeconds * 1000;
    if (!isDay(ms)) return '';
    const days = Math.round((midnight(nowMs) - midnight(ms)) / 86_400_000);
    if (days <= 0) return this.ago(unixSeconds, nowMs);
    return days === 1 ? `${this.day(ms, nowMs)}, ${this.time(ms)}` : `${this.date(unixSeconds)}, ${this.time(ms)}`;
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
