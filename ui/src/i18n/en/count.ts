// Numbers and plurals in English.

const plural = new Intl.PluralRules('en');

/** `1,284`. */
export const format = (n: number) => new Intl.NumberFormat('en').format(n);

/** `1 file`, `2 files`. */
export const many = (n: number, one: string, other: string) => `${format(n)} ${plural.select(n) === 'one' ? one : other}`;
