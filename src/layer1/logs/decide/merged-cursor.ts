// How far a reader has come into the histories of several machines, as the text that a line bears: the time of the newest line,
// and the place in each history that something was read of.

import { cursorPattern } from './cursor.ts';

export interface MergedCursor {
  /** RFC 3339. Of a machine without a place nothing older was left out. */
  time: string;
  /** By host id. */
  places: ReadonlyMap<string, string>;
}

const place = cursorPattern.slice(1, -1);
/** `<time>~<host>=<cursor>~...`. */
export const mergedCursorPattern = String.raw`^\d{4}-[0-9TZ:.+-]{1,36}(~[\w-]{1,64}=${place}){0,1000}$`;

/** Of a text that fits the pattern. */
export function parseMergedCursor(text: string): MergedCursor {
  const [time = '', ...pairs] = text.split('~');
  const places = pairs.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return { time, places: new Map(places) };
}

export function formatMergedCursor({ time, places }: MergedCursor): string {
  return [time, ...[...places].map(([host, cursor]) => `${host}=${cursor}`)].join('~');
}
