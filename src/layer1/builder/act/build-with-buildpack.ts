// One buildpack build: job -> source in, lines out -> exit -> image. Whatever happens, no build job is left running.

import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasCode } from '#core/errors';
import type { HostClient } from '#layer0/host/client';
import { type Image, imageLabels } from '#layer0/images/wire';
import {
  type EphemeralRequest,
  hasEnded,
  isUp,
  type ObservedJob,
  type SchedulerClient,
} from '#layer0/scheduler/client';
import { hostIdTag } from '#layer0/scheduler/wire';
import type { BuilderConfig } from '../config.ts';
import { buildJobSpec, stackUser } from '../decide/build-job.ts';
import { type BuildReport, parseResultLine } from '../decide/result-line.ts';
import { builderErrors } from '../errors.ts';
import {
  type BuildOutput,
  type BuildRequest,
  buildType,
  resultMarkBytes,
  resultMarkStart,
} from '../wire.ts';
import { outputLines } from './output-lines.ts';
import { type SourceStream, sourceStream } from './source-stream.ts';

export interface BuildpackDeps {
  scheduler: Pick<SchedulerClient, 'runEphemeral' | 'stopJob' | 'watchJob' | 'waitForJob'>;
  host: Pick<HostClient, 'attach' | 'commit' | 'inspectImage'>;
  config: BuilderConfig;
}

export interface BuildpackBuild {
  request: BuildRequest;
  source: { path: string; bytes: number };
  buildpack: string | undefined;
  /** `name:tag` of the image to make. */
  tag: string;
  signal: AbortSignal;
}

/** Longest wait for the container's end after its output ended. */
const endTimeoutMs = 30_000;

export async function* buildWithBuildpack(
  deps: BuildpackDeps,
  build: BuildpackBuild,
): AsyncGenerator<BuildOutput> {
  const { request, signal } = build;
  const stack = await readStack(deps);
  const source = await sourceStream(request.env, build.source);
  const mark = `${resultMarkStart}${randomBytes(resultMarkBytes).toString('hex')}`;
  const spec = buildJobSpec(
    {
      stackImageId: stack.id,
      sourceBytes: source.bytes,
      buildpack: build.buildpack,
      resultMark: mark,
      timeoutMs: request.timeoutMs,
    },
    deps.config,
  );
  const job = { type: buildType, spec, release: '', releaseVersion: 0 };
  const { app, appName } = request;
  const { jobId, host } = yield* startJob(deps, { app, appName, ...job }, build);
  let isOver = false;
  try {
    const attached = await deps.host.attach(jobId, { stdin: true, replay: true, signal });
    const report = yield* converse(attached.socket, { source, mark, signal });
    const seen = await deps.scheduler.waitForJob(
      jobId,
      hasEnded,
      AbortSignal.any([signal, AbortSignal.timeout(endTimeoutMs)]),
    );
    isOver = true;
    requireSuccess(seen);
    if (!report) throw builderErrors.failed('the build ended without saying what it made');
    const image = await commit(deps, { jobId, build, report });
    requireSize(image, stack, deps.config);
    const { buildpack } = report;
    yield { result: { image, processes: processesOf(report), buildpack, ...host } };
  } finally {
    if (!isOver) await stopQuietly(deps, jobId);
  }
}

async function readStack({ host, config }: BuildpackDeps): Promise<Image> {
  try {
    return await host.inspectImage(config.stackImage);
  } catch (cause) {
    if (!hasCode(cause, 'images.notFound')) throw cause;
    throw builderErrors.noStack(
      `cannot build: the image ${config.stackImage} is not on this machine; run script/up, which makes it`,
      { cause },
    );
  }
}

/** On the wanted machine; where that has no room, on any. The job is up afterwards. */
async function* startJob(
  deps: BuildpackDeps,
  job: EphemeralRequest,
  { request, signal }: BuildpackBuild,
): AsyncGenerator<BuildOutput, { jobId: string; host: { host?: string } }> {
  for (const wanted of [request.host, undefined]) {
    const jobId = await deps.scheduler.runEphemeral({
      ...job,
      ...(wanted === undefined ? {} : { rules: { constraints: [onHost(wanted)] } }),
    });
    let isKept = false;
    try {
      const seen = yield* untilUp(deps, { jobId, mayWait: wanted === undefined, signal });
      isKept = seen !== undefined;
      if (seen) return { jobId, host: seen.job.host === undefined ? {} : { host: seen.job.host } };
    } finally {
      if (!isKept) await stopQuietly(deps, jobId);
    }
  }
  throw builderErrors.failed('the build found no machine');
}

const onHost = (host: string) => ({ tag: hostIdTag, operator: 'in' as const, values: [host] });

/**
 * Says once why a build waits, so that a pusher does not look at nothing. Undefined when it would have to wait for room and may
 * not.
 */
async function* untilUp(
  { scheduler }: BuildpackDeps,
  { jobId, mayWait, signal }: { jobId: string; mayWait: boolean; signal: AbortSignal },
): AsyncGenerator<BuildOutput, ObservedJob | undefined> {
  let shown: string | undefined;
  for await (const seen of scheduler.watchJob(jobId, signal)) {
    if (isUp(seen)) return seen;
    if (hasEnded(seen)) throw builderErrors.failed(`the build could not start: ${reasonOf(seen)}`);
    const reason = seen.job.host === undefined ? seen.job.pendingReason : undefined;
    const isNew = reason && shown !== undefined && reason !== shown;
    if (isNew && !mayWait) return undefined;
    if (isNew) yield { line: `-----> Waiting for room to build: ${reason}` };
    shown = reason ?? '';
  }
  signal.throwIfAborted();
  throw builderErrors.failed('the build job was removed before it started');
}

/** Feeds the job and reads it at the same time; returns what its result line says, if it came that far. */
async function* converse(
  socket: Duplex,
  { source, mark, signal }: { source: SourceStream; mark: string; signal: AbortSignal },
): AsyncGenerator<BuildOutput, BuildReport | undefined> {
  const onAbort = () => socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  // A build that ends before it has read everything says itself why.
  const sent = pipeline(source.open(), socket, { end: false, signal }).catch(() => undefined);
  let report: BuildReport | undefined;
  try {
    const isResult = (line: string) => line.startsWith(`${mark} `);
    for await (const line of outputLines(socket, isResult)) {
      if (isResult(line)) report = parseResultLine(line, mark);
      else yield { line };
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw cause;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
    await sent;
  }
  signal.throwIfAborted();
  return report;
}

function requireSuccess(seen: ObservedJob | undefined): void {
  if (seen?.status?.state === 'down' && (seen.status.exitCode ?? 0) === 0) return;
  if (seen?.status?.isOutOfMemory)
    throw builderErrors.failed(
      'the build needed more memory than it may have (GANTRY_BUILD_MEMORY_BYTES is the limit)',
    );
  throw builderErrors.failed(`the build failed (${reasonOf(seen)}): its output says why`);
}

function reasonOf(seen: ObservedJob | undefined): string {
  if (seen?.status?.exitCode !== undefined) return `exit status ${seen.status.exitCode}`;
  return seen?.status?.reason ?? seen?.job.pendingReason ?? 'its job is gone';
}

async function commit(
  { host }: BuildpackDeps,
  { jobId, build, report }: { jobId: string; build: BuildpackBuild; report: BuildReport },
): Promise<Image> {
  const { web } = report.commands;
  return await host.commit(jobId, {
    tag: build.tag,
    labels: {
      [imageLabels.app]: build.request.app,
      [imageLabels.kind]: 'app',
      'gantry.commit': build.request.commit,
    },
    command: [web ?? 'bash'],
    entrypoint: ['/gantry/run'],
    user: stackUser,
    workingDir: '/app',
    env: {},
  });
}

function requireSize(image: Image, stack: Image, config: BuilderConfig): void {
  const bytes = image.sizeBytes - stack.sizeBytes;
  if (bytes <= config.maxAppBytes) return;
  const [has, may] = [bytes, config.maxAppBytes].map((size) => Math.ceil(size / 1024 / 1024));
  throw builderErrors.imageTooLarge(`the built image adds ${has} MB; the limit is ${may} MB`);
}

function processesOf(report: BuildReport): Record<string, { command: string[] }> {
  return Object.fromEntries(
    Object.entries(report.commands).map(([type, line]) => [type, { command: [line] }]),
  );
}

async function stopQuietly({ scheduler }: BuildpackDeps, jobId: string): Promise<void> {
  try {
    await scheduler.stopJob(jobId);
  } catch (error) {
    if (!hasCode(error, 'scheduler.jobNotFound')) throw error;
  }
}
