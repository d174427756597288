// Aligned columns for people. A cell is one line whatever the API sent: control characters become spaces.

import type { Colour, Paint } from './paint.ts';

export type Cell = string | { text: string; colour: Colour | undefined };

const gap = '  ';

/** No rows are no lines: whoever prints says what that means. */
export function renderTable(header: readonly string[], rows: readonly Cell[][], paint: Paint) {
  const lines = [header.map((text): Cell => ({ text, colour: 'dim' })), ...rows];
  const widths = header.map((_, column) =>
    Math.max(...lines.map((cells) => widthOf(plain(cells[column] ?? '')))),
  );
  return lines
    .map((cells) => cells.map((cell, column) => pad(cell, widths[column] ?? 0, paint)).join(gap))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** Two columns without a header: what it is, and its value; empty values are left out. */
export function renderFacts(facts: readonly (readonly [string, Cell])[], paint: Paint): string {
  const shown = facts.filter(([, cell]) => plain(cell) !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown
    .map(([name, cell]) => `${paint(name.padEnd(width), 'dim')}${gap}${pad(cell, 0, paint)}\n`)
    .join('');
}

function pad(cell: Cell, width: number, paint: Paint): string {
  const text = plain(cell);
  const room = ' '.repeat(Math.max(0, width - widthOf(text)));
  return paint(text, typeof cell === 'string' ? undefined : cell.colour) + room;
}

function plain(cell: Cell): string {
  return oneLine(typeof cell === 'string' ? cell : cell.text);
}

/** Text from elsewhere cannot move the cursor or break a line. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trimEnd();
}

/** Characters, not UTF-16 units; letters of double width are rare in what Gantry names. */
function widthOf(text: string): number {
  return [...text].length;
}
