// `gantry log`: lines as they are, gaps marked as gaps; following goes on over a restart of the API.

import { coreErrors } from '#core/errors';
import type { LogLine, LogQuery } from '#layer1/logs/wire';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { untilInterrupted } from '../interrupt.ts';
import { reopened } from '../lost.ts';
import type { Paint } from '../paint.ts';

/** Lines shown unless `-n` says how many. */
const usualLines = 100;
/** Most lines that can be asked for. */
const maxLines = 100_000;

export async function showLog(call: Call): Promise<number | undefined> {
  const { args, io, out } = call;
  const print = printerOf(call);
  const filter = filterOf(call);
  const from = fromOf(call);
  const { api, app } = await call.target();
  if (!args.has('follow')) {
    let count = 0;
    for await (const line of api.readLog(app, { ...filter, ...from })) {
      count++;
      await print(line);
    }
    if (count === 0 && from.lines !== 0) out.note(`${app} has said nothing that fits.`);
    return undefined;
  }
  let next = from;
  return await untilInterrupted(io, async (signal) => {
    const stream = reopened({
      clock: io.clock,
      signal,
      open: () => withoutEnd(api.followLog(app, { ...filter, ...next }, signal)),
      onLost: () => out.note('-- connection lost; trying again --', 'yellow'),
      onBack: () => out.note('-- connected again --', 'yellow'),
    });
    for await (const entry of stream) {
      next = { after: entry.cursor };
      if ('text' in entry) await print(entry);
    }
    return undefined;
  });
}

/** A log that is followed has no end: one that ends was cut off, by an API that went away in good order. */
async function* withoutEnd<T>(entries: AsyncIterable<T>): AsyncGenerator<T> {
  yield* entries;
  throw coreErrors.unreachable('the log ended');
}

/** Where to begin: so many lines before the end, or behind a place that was read up to. */
function fromOf({ args }: Call): Pick<LogQuery, 'lines' | 'after'> {
  const lines = args.number('lines', [0, maxLines]);
  const after = args.text('after');
  if (after === undefined) return { lines: lines ?? usualLines };
  if (lines === undefined) return { after };
  throw cliErrors.usage('-n and --after do not go together: what is after a line is shown whole');
}

function filterOf({ args }: Call): { type?: string; instance?: string } {
  const [type, instance] = [args.text('type'), args.text('instance')];
  return {
    ...(type === undefined ? {} : { type }),
    ...(instance === undefined ? {} : { instance }),
  };
}

function printerOf({ args, out }: Call): (line: LogLine) => Promise<void> {
  if (args.has('json')) return (line) => out.stream(JSON.stringify(line));
  if (args.has('raw'))
    return (line) => out.stream(line.isGap ? gapText(line, out.paint) : line.text);
  return (line) => out.stream(lineText(line, out.paint));
}

export function lineText(line: LogLine, paint: Paint): string {
  if (line.isGap) return gapText(line, paint);
  const head = paint(`${millisecondsOf(line.time)} ${line.instance}`, 'dim');
  const mark = line.stream === 'gantry' ? paint('gantry: ', 'yellow') : '';
  return `${head} ${mark}${line.text}`;
}

/** Nobody can take it for a line of the app. */
function gapText({ time, instance, text }: LogLine, paint: Paint): string {
  return paint(`-- ${millisecondsOf(time)} ${instance}: ${text} --`, 'yellow');
}

/** The engine's nanoseconds are for sorting, not for reading. */
function millisecondsOf(time: string): string {
  const [whole = '', fraction = ''] = time.replace(/Z$/, '').split('.');
  return `${whole}.${fraction.slice(0, 3).padEnd(3, '0')}Z`;
}
