// Makes names and texts of other devices safe to show: a reader sees every character that is there.

// Control characters, and those that hide or turn the reading direction. With them `exe.gpj` can pose as `jpg.exe`.
// oxlint-disable-next-line no-control-regex
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Replaces characters that hide or reorder text by a replacement sign. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, '\ufffd');
}

/** Does the same for a text of several lines. Line ends and tabs stay. */
export function visibleLines(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(INVISIBLE, (each) => (each === '\n' || each === '\t' ? each : '\ufffd'));
}

/** Splits a file name, so that shortening it in the middle never hides the extension. */
export function splitName(name: string): { stem: string; extension: string } {
  const shown = visible(name);
  const dot = shown.lastIndexOf('.');
  // A leading dot begins a hidden file's name. A long tail is no extension.
  if (dot <= 0 || shown.length - dot > 12) return { stem: shown, extension: '' };
  return { stem: shown.slice(0, dot), extension: shown.slice(dot) };
}
