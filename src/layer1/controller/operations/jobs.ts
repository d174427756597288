// Jobs as people see them, one-off jobs, and an end to a job. What runs is layer 0's; here it only gets a name.

import type { Duplex } from 'node:stream';
import { hasCode } from '#core/errors';
import type { JobStatus } from '#layer0/host/wire';
import { isEnded, stateOf } from '#layer0/scheduler/client';
import { type Job, jobKey } from '#layer0/scheduler/wire';
import type { Run } from '../api.ts';
import type { Caller, Context } from '../context.ts';
import { checkEnv } from '../decide/env.ts';
import { oneOffSpec, oneOffType, priorityOf } from '../decide/job-spec.ts';
import { whyThere } from '../decide/why-there.ts';
import { controllerErrors } from '../errors.ts';
import { eventOperation } from '../events.ts';
import { readApp, readLivingApp } from '../records.ts';
import { nameOf, seenJob } from '../view.ts';
import type { JobView } from '../wire.ts';
import { AppChanges } from './app-changes.ts';
import { sealEnv } from './env.ts';
import { readHeard } from './hosts.ts';
import { readBase, refuseSystem } from './releases.ts';

/** Longest wait of an attach for the job's container. */
const maxAttachWaitMs = 120_000;
/** Signals that `kill` takes. */
export const signals = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

export function jobView(job: Job, status: JobStatus | undefined): JobView {
  const { isWanted, ...seen } = seenJob(job, status);
  return {
    ...seen,
    version: job.releaseVersion,
    createdAt: job.createdAt,
    ...(job.host === undefined ? {} : { host: job.host, why: whyThere(job) }),
    ...(status?.address === undefined ? {} : { address: status.address }),
    ...(status?.exitCode === undefined ? {} : { exitCode: status.exitCode }),
    ...(status?.endedAt === undefined ? {} : { endedAt: status.endedAt }),
  };
}

export async function readJobs({ store, observer }: Context, name: string): Promise<JobView[]> {
  const { value: app } = await readApp(store, name);
  const { hosts, stateOf: stateOfHost } = await readHeard(store);
  const placed = (job: Job): JobView => {
    const view = jobView(job, observer.status(job.id));
    const host = hosts.get(job.host ?? '');
    if (!host) return view;
    const isSilent = running.has(view.state) && stateOfHost(host.id).state === 'silent';
    const lastHeard = {
      isSilent: true,
      isHealthy: false,
      reason: silentReason(host.name),
    } as const;
    return { ...view, hostName: host.name, ...(isSilent ? lastHeard : {}) };
  };
  return observer
    .jobs(app.id)
    .map(placed)
    .sort((a, b) => (a.type === b.type ? indexOf(a) - indexOf(b) : a.type < b.type ? -1 : 1));
}

/** States in which something may have happened that its machine could not say. */
const running: ReadonlySet<JobView['state']> = new Set(['starting', 'up', 'stopping']);
const silentReason = (host: string) =>
  `${host} is silent, and this is what it said last; see gantry host list`;

function indexOf({ name }: JobView): number {
  return Number(name.slice(name.lastIndexOf('.') + 1));
}

/** By id or by name; of several with one name the one that is meant to run. */
export async function findJob(context: Context, name: string, reference: string): Promise<Job> {
  const { value: app } = await readApp(context.store, name);
  const jobs = context.observer.jobs(app.id);
  const named = jobs.filter((job) => nameOf(job) === reference);
  const found =
    jobs.find(({ id }) => id === reference) ??
    named.find(({ desired }) => desired === 'up') ??
    named[0] ??
    (await justMade(context, app.id, reference));
  if (found) return found;
  throw controllerErrors.jobNotFound(
    `app ${name} has no job ${reference}; \`gantry ps -a ${name}\` lists them`,
  );
}

/** A job that was made a moment ago may not be in the view yet. */
async function justMade({ store }: Context, app: string, id: string): Promise<Job | undefined> {
  if (!/^job-[a-z0-9]+$/.test(id)) return undefined;
  const job = (await store.get<Job>(jobKey(id)))?.value;
  return job?.app === app ? job : undefined;
}

export async function runJob(
  context: Context,
  request: { app: string; caller: Caller },
  { command, tty = false, stdin = false, env = {} }: Run,
): Promise<JobView> {
  const { value: app } = await readLivingApp(context.store, request.app);
  refuseSystem(app);
  checkEnv(env);
  const { base } = await readBase(context, app);
  const sealedEnv = await sealEnv(context, app, env);
  const spec = base && oneOffSpec(base, app, { command, tty, openStdin: stdin, sealedEnv });
  if (!base || !spec)
    throw controllerErrors.noRelease(
      `app ${app.name} has no image to run; push code or deploy an image first`,
    );
  const id = await context.scheduler.runEphemeral({
    app: app.id,
    appName: app.name,
    release: base.id,
    releaseVersion: base.version,
    type: oneOffType,
    spec,
    priority: priorityOf(app),
    alongside: (job) => {
      const message = `${app.name}: ${request.caller.name} runs a one-off job`;
      return [eventOperation({ app: app.id, type: 'job.created', object: job, message }, context)];
    },
  });
  return jobView(await findJob(context, app.name, id), undefined);
}

/** A one-off ends. A process of the formation gets the signal, and is started again by its host. */
export async function killJob(
  context: Context,
  { app, job: reference }: { app: string; job: string },
  signal: string,
): Promise<JobView> {
  const job = await findJob(context, app, reference);
  const status = context.observer.status(job.id);
  if (job.kind === 'ephemeral') await endOneOff(context, job);
  else if (status?.containerId === undefined)
    throw controllerErrors.jobNotRunning(
      `${nameOf(job)} of ${app} has no container to send ${signal} to: it is ${stateOf(job, status)}`,
    );
  else await context.host.signal(job.id, signal);
  return jobView(job, status);
}

/** The job once it has a container, or has ended: what an attach can be made to. */
export async function waitForContainer(
  context: Context,
  job: Job,
  signal: AbortSignal,
): Promise<void> {
  const { observer, clock } = context;
  const end = clock.monotonicMs() + maxAttachWaitMs;
  using changes = new AppChanges(context, job.app);
  for (;;) {
    const status = observer.status(job.id);
    if (status?.startedAt !== undefined || isEnded(job, status)) return;
    const leftMs = end - clock.monotonicMs();
    if (leftMs <= 0)
      throw controllerErrors.jobNotRunning(
        `${nameOf(job)} did not start within ${maxAttachWaitMs / 1000} s: ${jobView(job, status).reason ?? 'no reason is known'}`,
      );
    await changes.next(signal, leftMs);
  }
}

/** Resolves with the job when it has ended, or was removed before it could: then without an exit code. */
export async function waitForEnd(
  context: Context,
  job: Job,
  signal: AbortSignal,
): Promise<JobView> {
  const { observer } = context;
  using changes = new AppChanges(context, job.app);
  for (let wasSeen = false; ; ) {
    const status = observer.status(job.id);
    if (isEnded(job, status)) return jobView(job, status);
    const isSeen = observer.jobs(job.app).some(({ id }) => id === job.id);
    if (wasSeen && !isSeen)
      return { ...jobView(job, status), state: 'down', reason: 'removed before it ended' };
    wasSeen = isSeen;
    await changes.next(signal);
  }
}

/** One that is gone already is no error. */
async function endOneOff({ scheduler }: Context, job: Job): Promise<void> {
  try {
    await scheduler.stopJob(job.id);
  } catch (error) {
    if (!hasCode(error, 'scheduler.jobNotFound')) throw error;
  }
}

/** A terminal that is gone ends what runs in it, as everywhere: a window that is closed leaves no container behind. */
export function endWithTerminal(
  context: Context,
  job: Job,
  { client, isOver }: { client: Duplex; isOver: () => boolean },
): void {
  if (job.kind !== 'ephemeral' || !job.spec.tty) return;
  const hangUp = () => {
    if (isOver()) return;
    endOneOff(context, job).catch((error: unknown) =>
      context.log.warn({ err: error, job: job.id }, 'a one-off goes on without its terminal'),
    );
  };
  // Of a client that is gone the router says only that nothing more comes; a terminal never says so by itself.
  client.once('end', hangUp);
  client.once('close', hangUp);
}

/** Joins two sockets: what one says the other hears, and when one breaks the other ends. */
export function joinSockets(client: Duplex, host: Duplex): void {
  client.on('error', () => host.destroy());
  host.on('error', () => client.destroy());
  client.on('close', () => host.destroy());
  host.on('close', () => client.destroy());
  client.pipe(host);
  host.pipe(client);
}
