// The language of the page. All visible text comes through `i18n.t`.

import type { ApiError, CheckView, Grant, PairingNote } from '../backend/bindings';
import { de } from './de/index';
import type { Catalogue } from './en/catalogue';
import { en } from './en/index';
import { bytes, duration, limit, rate, roundTrip, share100 } from './format';
import type { CheckText, ErrorText, Language, LanguagePack, Sentence } from './language';

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

/** What the page says of an error or a check. */
export interface Said {
  message: string;
  /** Technical text of a library or of the system, usually in English; empty if there is none. It is shown apart. */
  detail: string;
  hint: string;
}

type Given = Readonly<Record<string, string | number>>;

/** Returns an entry of a table. Codes come from other programs, and may be names that every object has. */
function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** Returns the words of the system or of a server, if there is no stable name for them. */
function technical(check: CheckView, known: CheckText): string {
  const { reason, os, detail } = check.args ?? {};
  if (detail !== undefined) return detail;
  const isCode = [known.message].flat().some((each) => each.includes('{reason:error}'));
  return os !== undefined || isCode || check.name === 'start' ? '' : (reason ?? '');
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

  /** Returns an error in the page's language, by its code and arguments. In English, the core's own words replace what is missing. */
  error(error: ApiError): Said {
    const args: Given = { ...error.args, code: error.code };
    const pack = languages[this.#language];
    // Without arguments, as in old records, the core's English sentence says more than the page's. An error of the page has
    // a hint in the table, and no other sentence.
    const bare = pack.unknown === null && error.message !== '' && Object.keys(error.args ?? {}).length === 0;
    const known = bare && own(pack.errors, error.code)?.hint === undefined ? null : this.#known(error.code, args['case']);
    const message = known && this.#first(known.message, args);
    if (!known || message === null) return { message: sentence(error.message), detail: '', hint: error.hint };
    const hint = known.hint === undefined ? error.hint : (this.#first(known.hint, args) ?? '');
    return { message, detail: String(args['detail'] ?? ''), hint };
  }

  /** Returns a finding of the doctor by its code. In English, and without words for it, the core's own sentence is used. */
  check(check: CheckView): Said {
    const code = check.code ?? `ok_${check.name}`;
    const pack = languages[this.#language];
    const args: Given = { ...check.args, code };
    const known = own(pack.checks, code) ?? (pack.unknown && this.#known(code, args['case']));
    const message = known ? this.#first(known.message, args) : null;
    if (!known || message === null) return { message: check.detail, detail: '', hint: check.hint };
    const hint = check.hint === '' ? '' : (this.#first(known.hint ?? '', args) ?? '');
    return { message, detail: technical(check, known), hint };
  }

  /** Returns the words for a code. If its case is not in the table, the code alone would say too little in English. */
  #known(code: string, which: string | number | undefined): ErrorText | null {
    const { errors, unknown } = languages[this.#language];
    const exact = which === undefined ? undefined : own(errors, `${code}.${which}`);
    if (exact) return exact;
    return (which !== undefined && unknown === null ? undefined : own(errors, code)) ?? unknown;
  }

  /** Returns the first sentence whose arguments are all present. */
  #first(sentences: Sentence, args: Given): string | null {
    for (const each of [sentences].flat()) {
      const filled = this.#fill(each, args);
      if (filled !== null) return filled;
    }
    return null;
  }

  /** Fills arguments into a sentence. Null if one of them is missing, unless it stands in a part in brackets, which is left out. */
  #fill(sentenceWith: string, args: Given): string | null {
    let whole = true;
    // One pass, so that braces and brackets in arguments are only text.
    const filled = sentenceWith.replaceAll(/\[([^\]]*)\]|\{(\w+)(?::(\w+))?\}/g, (_, part: string | undefined, name = '', kind?: string) => {
      if (part !== undefined) return this.#fill(part, args) ?? '';
      const value = own(args, name);
      const shown = value === undefined ? null : this.#shown(value, kind);
      if (shown === null) whole = false;
      return shown ?? '';
    });
    return whole ? filled : null;
  }

  /** Formats an argument. Null if there are no words for it. */
  #shown(value: string | number, kind: string | undefined): string | null {
    switch (kind) {
      case 'bytes':
        return bytes(Number(value), this.#language);
      case 'rate':
        return rate(Number(value), this.#language);
      case 'percent':
        return share100(Number(value), this.#language);
      case 'span':
        return duration(Number(value), this.t.units);
      case 'number':
        return new Intl.NumberFormat(this.#language).format(Number(value));
      case 'trip':
        return roundTrip(Number(value), this.#language);
      case 'given':
        return '';
      case 'term':
        return own(languages[this.#language].terms, String(value)) ?? null;
      case 'error':
        return this.#first(own(languages[this.#language].errors, String(value))?.message ?? [], {});
      default:
        return String(value);
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
