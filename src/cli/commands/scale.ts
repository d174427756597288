// `gantry scale`: with arguments it waits until all of it is up, and says what happens meanwhile.

import type { Clock } from '#core/clock';
import type { ControllerClient, JobView } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { untilInterrupted } from '../interrupt.ts';
import { isLost } from '../lost.ts';
import { scaleText } from './apps.ts';
import { stateText } from './ps.ts';

/** Between two looks at the processes while they come and go. */
const lookMs = 400;
/** How long a scale may take before waiting is given up; it goes on by itself. */
const maxWaitMs = 300_000;

export async function scaleApp(call: Call): Promise<number | undefined> {
  const { args, io, out } = call;
  const wanted = parseQuantities(args.words);
  const { api, app } = await call.target();
  if (args.words.length === 0) {
    const { quantities } = await api.readFormation(app);
    return args.has('json') ? out.json(quantities) : out.line(scaleText(quantities) || 'nothing');
  }
  const { quantities } = await api.scale(app, wanted);
  if (args.has('json') && args.has('no-wait')) return out.json(quantities);
  if (!args.has('json')) out.line(`${app}: ${scaleText(quantities)}`);
  if (args.has('no-wait')) return undefined;
  const code = await untilInterrupted(
    io,
    (signal) => waitForScale(call, { api, app, wanted }, signal),
    () => out.note(`it goes on; see gantry ps -a ${app}`),
  );
  if (code === undefined && args.has('json')) out.json(quantities);
  return code;
}

interface Scaling {
  api: ControllerClient;
  app: string;
  wanted: Record<string, number>;
}

/** The API says when it is done; looking at the processes beside it is only for the lines. */
async function waitForScale(
  { io, out, args }: Call,
  { api, app, wanted }: Scaling,
  signal: AbortSignal,
): Promise<undefined> {
  const { currentVersion } = await api.readApp(app);
  if (currentVersion === undefined) {
    out.note(`${app} has no release yet; it runs like this from the first one on`);
    return undefined;
  }
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const end = io.clock.monotonicMs() + maxWaitMs;
  const told = new Map<string, string>();
  const look = async () => {
    const jobs = await api.listJobs(app);
    if (args.has('json')) return;
    for (const line of changesOf(told, jobs)) out.line(`  ${line}`);
  };
  const watching = (async () => {
    for (await look(); !either.aborted; await look())
      await io.clock.sleep(lookMs, either).catch(() => undefined);
  })();
  watching.catch(() => done.abort());
  try {
    await reached({ api, app, wanted }, { clock: io.clock, end }, signal);
  } finally {
    done.abort();
    await watching.catch(() => undefined);
  }
  return undefined;
}

/** The answer of a wait may be cut off by whatever lies between: the same question again has the same answer. */
async function reached(
  { api, app, wanted }: Scaling,
  { clock, end }: { clock: Clock; end: number },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await api.scale(app, wanted, { wait: true, signal });
      return;
    } catch (error) {
      if (signal.aborted || !isLost(error) || clock.monotonicMs() > end) throw error;
      await clock.sleep(lookMs, signal);
    }
  }
}

/** A line for each process whose state or reason is news; `told` remembers. */
export function changesOf(told: Map<string, string>, jobs: readonly JobView[]): string[] {
  const isFirst = told.size === 0;
  const lines: string[] = [];
  for (const job of jobs) {
    if (job.type === 'run' || job.type === 'build') continue;
    const isUp = job.state === 'up' && job.isHealthy;
    const isQuiet = isUp || job.state === 'down' || job.state === 'placed';
    const text = isQuiet ? stateText(job) : `${stateText(job)}${because(job)}`;
    const isNews = told.get(job.id) !== text;
    told.set(job.id, text);
    if (isNews && !(isFirst && isUp) && job.state !== 'placed') lines.push(`${job.name} ${text}`);
  }
  return lines;
}

function because({ reason, state }: JobView): string {
  return reason === undefined || reason === state ? '' : `: ${reason}`;
}

export function parseQuantities(words: readonly string[]): Record<string, number> {
  const wanted: Record<string, number> = {};
  for (const word of words) {
    const [, type, count] = /^([a-z][a-z0-9-]{0,29})=(\d{1,4})$/.exec(word) ?? [];
    if (type === undefined || count === undefined)
      throw cliErrors.usage(`${word} is not TYPE=N; say something like web=3`);
    wanted[type] = Number(count);
  }
  return wanted;
}
