// A QR code as one SVG path. Adjacent dark modules of a row are one rectangle, so that no seam shows between them.

/** Light modules that the standard wants around the code. */
export const QUIET = 4;

/** The path, in modules, with the quiet zone counted in. */
export function qrPath(rows: readonly string[]): string {
  let path = '';
  rows.forEach((row, y) => {
    for (const run of row.matchAll(/#+/g)) {
      path += `M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`;
    }
  });
  return path;
}

/** Side of the square in modules. */
export function qrSide(rows: readonly string[]): number {
  return rows.length + 2 * QUIET;
}

/** Whole CSS pixels for a module: five if there is room, six at most, and never so few that nothing can read it. */
export function modulePixels(side: number, room: number): number {
  return Math.max(2, Math.min(6, Math.floor(room / side)));
}
