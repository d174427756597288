// `gantry run`: a one-off whose terminal, or whose three streams, are this process's own, and so is its exit code.

import type { Duplex } from 'node:stream';
import { AppError, hasCode } from '#core/errors';
import type { JobView, Run } from '#layer1/controller/client';
import type { Call, Connection } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { interruptedExitCode } from '../io.ts';
import { reopened } from '../lost.ts';
import { joinPipes, joinTerminal } from '../streams.ts';
import { parseAssignments } from './env.ts';

/** A one-off that has not started after this long gets a line that says what it waits for. */
const quietMs = 2_000;
/** A one-off ends together with its output; one that goes on for this long has lost its reader. */
const brokenOffMs = 5_000;

type Running = Connection & { app: string; job: JobView };

export async function runCommand(call: Call): Promise<number | undefined> {
  const { args, io, out } = call;
  const isDetached = args.has('detach') || call.args.has('detached');
  const tty =
    !isDetached && !args.has('no-tty') && io.stdin.isTTY === true && io.stdout.isTTY === true;
  const wanted: Run = {
    command: [...args.words],
    tty,
    stdin: !isDetached,
    env: {
      ...(tty ? { TERM: io.env.TERM || 'xterm' } : {}),
      ...parseAssignments(args.texts('env')),
    },
  };
  const target = await call.target();
  const job = await target.api.runJob(target.app, wanted);
  if (!isDetached) return await attend(call, { ...target, job }, tty);
  out.line(job.id);
  out.note(`${job.name} runs; see gantry log -i ${job.name} -f -a ${target.app}`);
  return undefined;
}

/**
 * Ctrl-C ends the one-off, a second one only this; so does a terminal that is closed. In a terminal Ctrl-C is a byte, and
 * its process gets it.
 */
async function attend(call: Call, running: Running, tty: boolean): Promise<number> {
  const { io, out } = call;
  const { api, app, job } = running;
  const abort = new AbortController();
  let interrupts = 0;
  const end = () => {
    interrupts++;
    if (interrupts > 1) return abort.abort();
    out.note(`${job.name} is being ended; Ctrl-C again leaves it alone`);
    api.killJob(app, job.id).catch(() => abort.abort());
  };
  const releases = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((name) => io.onSignal(name, end));
  try {
    await Promise.race([joinStreams(call, running, { tty, signal: abort.signal }), aborted(abort)]);
    const code = exitCodeOf(call, await waitForEnd(call, running, abort.signal));
    return interrupts > 0 ? interruptedExitCode : code;
  } catch (error) {
    if (abort.signal.aborted) return interruptedExitCode;
    throw error;
  } finally {
    for (const release of releases) release();
  }
}

function aborted({ signal }: AbortController): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(cliErrors.failed('interrupted')), { once: true });
  });
}

async function joinStreams(
  call: Call,
  running: Running,
  { tty, signal }: { tty: boolean; signal: AbortSignal },
): Promise<void> {
  const { api, app, job } = running;
  const socket = await attach(call, running, signal);
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  try {
    if (!tty) return await joinPipes(call.io, socket);
    await joinTerminal(call.io, socket, (size) => api.resizeJob(app, job.id, size));
  } catch (cause) {
    if (signal.aborted || cause instanceof AppError) throw cause;
    const { message } = cause as Error;
    throw cliErrors.failed(
      `the connection to ${job.name} broke (${message}); it goes on there: see gantry log -i ${job.name} -a ${app}`,
      { cause },
    );
  }
}

async function attach(call: Call, running: Running, signal: AbortSignal): Promise<Duplex> {
  const { api, app, job } = running;
  const started = new AbortController();
  const waiting = sayWhatItWaitsFor(call, running, AbortSignal.any([signal, started.signal]));
  try {
    return (await api.attach(app, job.id, { stdin: true })).socket;
  } catch (error) {
    // Nobody would be there when it starts after all.
    if (hasCode(error, 'controller.jobNotRunning')) await api.killJob(app, job.id);
    throw error;
  } finally {
    started.abort();
    await waiting;
  }
}

/** Its output ended: so has it, unless what lay between went away. */
async function waitForEnd(call: Call, running: Running, signal: AbortSignal): Promise<JobView> {
  const { clock } = call.io;
  const { api, app, job } = running;
  const late = clock.timer(brokenOffMs, () =>
    call.out.note(
      `-- ${job.name} goes on, its output broke off: see gantry log -i ${job.name} -a ${app} --`,
      'yellow',
    ),
  );
  const said = () => undefined;
  try {
    const open = () => once(api.waitForExit(app, job.id, signal));
    for await (const end of reopened({ clock, signal, open, onLost: said, onBack: said }))
      return end;
  } finally {
    late.cancel();
  }
  throw cliErrors.failed(`nobody knows how ${job.name} ended; see gantry ps --all -a ${app}`);
}

async function* once<T>(value: Promise<T>): AsyncGenerator<T> {
  yield await value;
}

async function sayWhatItWaitsFor(
  { io, out }: Call,
  { api, app, job }: Running,
  signal: AbortSignal,
): Promise<void> {
  let told = '';
  while (!signal.aborted) {
    const isOver = await io.clock.sleep(quietMs, signal).then(
      () => false,
      () => true,
    );
    if (isOver) return;
    const now = (await api.listJobs(app).catch(() => [])).find(({ id }) => id === job.id);
    if (!now || signal.aborted) continue;
    const text = `${now.name} is ${now.state}${now.reason === undefined ? '' : `: ${now.reason}`}`;
    if (text !== told) out.note(`-- ${text} --`, 'yellow');
    told = text;
  }
}

/** Without an exit code it never ran, or was ended from outside: the reason says which. */
function exitCodeOf({ out }: Call, { name, exitCode, reason }: JobView): number {
  if (exitCode !== undefined) return exitCode;
  out.note(`gantry: ${name} did not end by itself: ${reason ?? 'no reason is known'}`);
  return 1;
}
