// Numbers and plurals in German.

const plural = new Intl.PluralRules('de');

/** `1.284`. */
export const format = (n: number) => new Intl.NumberFormat('de').format(n);

/** `1 Datei`, `2 Dateien`. */
export const many = (n: number, one: string, other: string) => `${format(n)} ${plural.select(n) === 'one' ? one : other}`;
