// Answers a query: the last lines that match, oldest first, then what comes, as a stream that cannot fill memory.

import type { AppLog, StoredLine } from './app-log.ts';
import { defaultLines } from './config.ts';
import type { SegmentPosition } from './segments.ts';
import type { LogLine, LogQuery } from './wire.ts';

/** Bytes of history read at once. */
const readBytes = 1024 * 1024;

export async function* readLog(
  log: AppLog,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const end = log.segments.end;
  yield* await lastLines(log, query, end);
  let position = end;
  while (query.follow && !signal.aborted) {
    const { lines, next, isGap } = await log.segments.read(position, readBytes);
    if (isGap) yield gapLine(query.app);
    for (const text of lines) {
      const line = toLine(text);
      if (matches(line, query)) yield line;
    }
    const isIdle = lines.length === 0 && next.segment === position.segment;
    position = next;
    if (isIdle) await log.segments.changed(position, signal);
  }
}

/** Segments are read newest first until there are enough; each app has a bounded number of bounded ones. */
async function lastLines(log: AppLog, query: LogQuery, end: SegmentPosition): Promise<LogLine[]> {
  const wanted = query.lines ?? defaultLines;
  let found: LogLine[] = [];
  for (const segment of [...log.segments.numbers].reverse()) {
    if (found.length >= wanted) break;
    found = [...(await linesOf(log, query, segment, end)), ...found];
  }
  // Instances are read side by side: the engine's time is the order people expect.
  const ordered = found.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return wanted === 0 ? [] : ordered.slice(-wanted);
}

async function linesOf(
  log: AppLog,
  query: LogQuery,
  segment: number,
  end: SegmentPosition,
): Promise<LogLine[]> {
  const found: LogLine[] = [];
  let position: SegmentPosition = { segment, offset: 0 };
  for (;;) {
    const isLast = position.segment === end.segment;
    const limit = isLast ? Math.min(readBytes, end.offset - position.offset) : readBytes;
    if (limit <= 0) return found;
    const { lines, next } = await log.segments.read(position, limit);
    for (const text of lines) {
      const line = toLine(text);
      if (matches(line, query)) found.push(line);
    }
    if (lines.length === 0 || next.segment !== segment) return found;
    position = next;
  }
}

function matches(line: LogLine, query: LogQuery): boolean {
  return (
    (query.type === undefined || line.type === query.type) &&
    (query.instance === undefined || line.instance === query.instance)
  );
}

function toLine(text: string): LogLine {
  const { at: _position, ...line } = JSON.parse(text) as StoredLine;
  return line;
}

function gapLine(app: string): LogLine {
  return {
    time: new Date().toISOString(),
    app,
    type: 'gantry',
    instance: 'gantry.1',
    job: '',
    stream: 'gantry',
    text: 'lines are missing here: they were dropped from the history before this reader came to them',
    isGap: true,
  };
}
