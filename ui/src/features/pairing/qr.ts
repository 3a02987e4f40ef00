// Draws a QR code as one SVG path. Adjacent dark modules of a row are one rectangle, so that no gap shows between them.

/** Light modules around the code that the standard asks for. */
export const QUIET = 4;

/** Returns the path in modules, with the quiet zone included. */
export function qrPath(rows: readonly string[]): string {
  let path = '';
  rows.forEach((row, y) => {
    for (const run of row.matchAll(/#+/g)) {
      path += `M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`;
    }
  });
  return path;
}

/** Returns the side of the square in modules. */
export function qrSide(rows: readonly string[]): number {
  return rows.length + 2 * QUIET;
}

/** Returns whole CSS pixels per module: five or six if there is room, and at least two, so that a camera can read it. */
export function modulePixels(side: number, room: number): number {
  return Math.max(2, Math.min(6, Math.floor(room / side)));
}
