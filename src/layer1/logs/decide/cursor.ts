// How far a reader has come into an app's history, as the text that a line bears. To everybody else it has no parts.

import type { SegmentPosition } from '../segments.ts';

export interface Cursor {
  /** Everything up to here was shown, but for `left`. */
  end: SegmentPosition;
  /** The reader is in the middle of the last lines before `end`, which come by time and not by place. */
  left?: {
    /** The last line shown: its time, and the place behind it. */
    time: string;
    place: SegmentPosition;
    /** What is left is in this segment and later ones. */
    from: number;
  };
}

const place = String.raw`\d{1,12}\.\d{1,12}`;
/** `<end>`, or `<end>_<from>_<place>_<time>`; a place is a segment and a byte of it. */
export const cursorPattern = String.raw`^${place}(_\d{1,12}_${place}_[0-9TZ:.+-]{1,40})?$`;

/** Of a text that fits the pattern. */
export function parseCursor(text: string): Cursor {
  const [end = '', from, place = '', time] = text.split('_');
  if (from === undefined || time === undefined) return { end: parsePlace(end) };
  return { end: parsePlace(end), left: { from: Number(from), place: parsePlace(place), time } };
}

export function formatCursor({ end, left }: Cursor): string {
  if (!left) return formatPlace(end);
  return [formatPlace(end), left.from, formatPlace(left.place), left.time].join('_');
}

function parsePlace(text: string): SegmentPosition {
  const [segment, offset] = text.split('.').map(Number);
  return { segment: segment ?? 0, offset: offset ?? 0 };
}

function formatPlace({ segment, offset }: SegmentPosition): string {
  return `${segment}.${offset}`;
}
