// Answers a query: the last lines that match, oldest first, or those behind a cursor; then what comes, as a stream that
// cannot fill memory. Every line bears the cursor to go on from: a reader who is cut off misses nothing and sees nothing twice.

import type { AppLog, StoredLine } from './app-log.ts';
import { defaultLines, historyChunkBytes } from './config.ts';
import { type Cursor, formatCursor, parseCursor } from './decide/cursor.ts';
import type { SegmentLine, SegmentPosition } from './segments.ts';
import type { LogEntry, LogLine, LogQuery } from './wire.ts';

/** Ends after what there is; with `follow` when the signal fires, or when this history is closed: go on by cursor then. */
export async function* readLog(
  log: AppLog,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  const { segments } = log;
  const now = segments.end;
  const cursor = query.after === undefined ? undefined : parseCursor(query.after);
  const { position, isExact } = cursor
    ? await segments.resume(cursor.end)
    : { position: now, isExact: true };
  if (!isExact) yield gapLine(query.app, unsaved, { end: position });
  if (cursor?.left) yield* restOfLastLines(log, query, { end: position, left: cursor.left });
  if (!cursor) yield* await lastLines(log, query, position);
  if (query.follow || cursor) yield* linesFrom(log, query, { position, until: now, signal });
}

interface Way {
  position: SegmentPosition;
  /** Where it ends, unless it follows. */
  until: SegmentPosition;
  signal: AbortSignal;
}

/** Whoever follows is told of a place in every segment, so that one to whom no line fits does not fall behind. */
async function* linesFrom(log: AppLog, query: LogQuery, way: Way): AsyncGenerator<LogEntry> {
  const { segments } = log;
  const { until, signal } = way;
  let { position } = way;
  let known: number | undefined;
  while (!signal.aborted && (query.follow || isBefore(position, until))) {
    if (query.follow && known !== position.segment)
      yield { cursor: formatCursor({ end: position }) };
    known = position.segment;
    const { lines, start, next, isGap } = await segments.read(position, historyChunkBytes);
    if (isGap) yield gapLine(query.app, dropped, { end: start }, lines[0]);
    for (const { text, end } of lines) {
      const line = toLine(text);
      if (matches(line, query)) yield { ...line, cursor: formatCursor({ end }) };
    }
    const isIdle = lines.length === 0 && next.segment === position.segment;
    position = next;
    if (!isIdle) continue;
    if (segments.isClosed) return;
    await segments.changed(position, signal);
  }
}

interface Found {
  line: Omit<LogLine, 'cursor'>;
  place: SegmentPosition;
}

/** Segments are read newest first until there are enough; each app has a bounded number of bounded ones. */
async function lastLines(log: AppLog, query: LogQuery, end: SegmentPosition): Promise<LogLine[]> {
  const wanted = query.lines ?? defaultLines;
  let found: Found[] = [];
  for (const segment of [...log.segments.numbers].reverse()) {
    if (found.length >= wanted) break;
    found = [...(await linesOf(log, query, segment, end)), ...found];
  }
  return wanted === 0 ? [] : withCursors(found.sort(byTime).slice(-wanted), end);
}

/** What a reader had not come to of `lastLines`. */
async function* restOfLastLines(
  log: AppLog,
  query: LogQuery,
  { end, left }: Required<Cursor>,
): AsyncGenerator<LogLine> {
  const isLeft = (segment: number) => segment >= left.from && segment <= end.segment;
  const found: Found[] = [];
  for (const segment of log.segments.numbers.filter(isLeft))
    found.push(...(await linesOf(log, query, segment, end)));
  const rest = found
    .filter(({ line, place }) => byTime({ line, place }, { line: left, place: left.place }) > 0)
    .sort(byTime);
  // Asked after reading: what was dropped meanwhile is missing too. Of all that is dropped who reads on is told.
  const from = log.segments.start.segment;
  if (from > left.from && from <= end.segment)
    yield gapLine(query.app, dropped, { end, left: { ...left, from } });
  yield* withCursors(rest, end);
}

/** Instances are read side by side: the engine's time is the order people expect. */
function byTime(a: OrderedLine, b: OrderedLine): number {
  if (a.line.time !== b.line.time) return a.line.time < b.line.time ? -1 : 1;
  return a.place.segment - b.place.segment || a.place.offset - b.place.offset;
}

interface OrderedLine {
  line: { time: string };
  place: SegmentPosition;
}

function withCursors(found: readonly Found[], end: SegmentPosition): LogLine[] {
  const lines: LogLine[] = [];
  let from: number | undefined;
  for (const { line, place } of found.toReversed()) {
    const left = from === undefined ? {} : { left: { time: line.time, place, from } };
    lines.push({ ...line, cursor: formatCursor({ end, ...left }) });
    from = Math.min(from ?? place.segment, place.segment);
  }
  return lines.reverse();
}

async function linesOf(
  log: AppLog,
  query: LogQuery,
  segment: number,
  end: SegmentPosition,
): Promise<Found[]> {
  const found: Found[] = [];
  let position: SegmentPosition = { segment, offset: 0 };
  for (;;) {
    const isLast = position.segment === end.segment;
    const limit = isLast
      ? Math.min(historyChunkBytes, end.offset - position.offset)
      : historyChunkBytes;
    if (limit <= 0) return found;
    const { lines, next, isGap } = await log.segments.read(position, limit);
    // Dropped meanwhile: the ones after it are asked for by themselves.
    if (isGap) return found;
    for (const { text, end: place } of lines) {
      const line = toLine(text);
      if (matches(line, query)) found.push({ line, place });
    }
    if (lines.length === 0 || next.segment !== segment) return found;
    position = next;
  }
}

function isBefore(a: SegmentPosition, b: SegmentPosition): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}

function matches(line: Pick<LogLine, 'type' | 'instance'>, query: LogQuery): boolean {
  return (
    (query.type === undefined || line.type === query.type) &&
    (query.instance === undefined || line.instance === query.instance)
  );
}

function toLine(text: string): Omit<LogLine, 'cursor'> {
  const { at: _position, ...line } = JSON.parse(text) as StoredLine;
  return line;
}

const dropped =
  'lines are missing here: they were dropped from the history before this reader came to them';
const unsaved =
  'lines may be missing here, or come again: the machine lost the end of the history that this reader had read';

/** Its time is that of the line after it, so that it stays at its place. */
function gapLine(app: string, text: string, cursor: Cursor, next?: SegmentLine): LogLine {
  return {
    time: next ? toLine(next.text).time : new Date().toISOString(),
    app,
    type: 'gantry',
    instance: 'gantry.1',
    job: '',
    stream: 'gantry',
    text,
    isGap: true,
    cursor: formatCursor(cursor),
  };
}
