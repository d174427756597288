// The door of the builder: source in, lines out, an image and its process types at the end. A library of whoever writes
// releases; what is untrusted runs in a job of its own or in the engine's build, never here.

import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '#core/clock';
import { coreErrors } from '#core/errors';
import { newId } from '#core/ids';
import type { Log } from '#core/log';
import type { HostClient } from '#layer0/host/client';
import type { SchedulerClient } from '#layer0/scheduler/client';
import { buildWithBuildpack } from './act/build-with-buildpack.ts';
import { buildWithDockerfile } from './act/build-with-dockerfile.ts';
import { spoolSource } from './act/spool-source.ts';
import type { BuilderConfig } from './config.ts';
import { planBuild } from './decide/build-plan.ts';
import { builderErrors } from './errors.ts';
import type { BuildOutput, BuildRequest } from './wire.ts';

export type { BuilderConfig } from './config.ts';
export type { BuildOutput, BuildRequest, BuildResult } from './wire.ts';

export interface BuilderDeps {
  scheduler: Pick<SchedulerClient, 'runEphemeral' | 'stopJob' | 'watchJob' | 'waitForJob'>;
  host: Pick<HostClient, 'attach' | 'build' | 'commit' | 'inspectImage'>;
  clock: Clock;
  log: Log;
}

export interface Builder {
  /**
   * Builds a tar of source. Yields lines as they come and the result last; throws `builder.*` when there is none. Ending the
   * iteration or firing the signal ends the build and its job.
   */
  build(request: BuildRequest, tar: Readable, signal: AbortSignal): AsyncGenerator<BuildOutput>;
}

export function createBuilder(deps: BuilderDeps, config: BuilderConfig): Builder {
  return {
    async *build(request, tar, signal) {
      const startedAt = deps.clock.monotonicMs();
      const overtime = new AbortController();
      const timer = deps.clock.timer(request.timeoutMs, () =>
        overtime.abort(
          builderErrors.timeout(
            `the build of ${request.appName} took longer than ${Math.round(request.timeoutMs / 1000)} s and was ended; its output says how far it came, and GANTRY_BUILD_TIMEOUT_MS is the limit`,
          ),
        ),
      );
      const folder = await mkdtemp(join(config.spoolFolder, 'gantry-build-'));
      const limit = AbortSignal.any([signal, overtime.signal]);
      try {
        yield* runBuild({ deps, config, folder, signal: limit }, request, tar);
        const tookMs = Math.round(deps.clock.monotonicMs() - startedAt);
        deps.log.info({ app: request.app, tookMs }, 'built');
      } catch (error) {
        if (overtime.signal.aborted) throw overtime.signal.reason;
        if (signal.aborted) throw coreErrors.aborted('the build was cancelled', { cause: error });
        throw error;
      } finally {
        timer.cancel();
        tar.destroy();
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

interface BuildRun {
  deps: BuilderDeps;
  config: BuilderConfig;
  folder: string;
  signal: AbortSignal;
}

async function* runBuild(
  { deps, config, folder, signal }: BuildRun,
  request: BuildRequest,
  tar: Readable,
): AsyncGenerator<BuildOutput> {
  const path = join(folder, 'source.tar');
  const facts = await spoolSource(tar, path, { maxBytes: config.maxSourceBytes, signal });
  const plan = planBuild(facts, request);
  const tag = `gantry/app-${request.appName}:${newId('bld')}`;
  const { scheduler, host } = deps;
  switch (plan.kind) {
    case 'dockerfile': {
      const openSource = () => createReadStream(path);
      const { commands } = plan;
      yield* buildWithDockerfile({ host, config }, { request, openSource, commands, tag, signal });
      return;
    }
    case 'buildpack': {
      const { buildpack } = plan;
      const source = { path, bytes: facts.bytes };
      yield* buildWithBuildpack(
        { scheduler, host, config },
        { request, source, buildpack, tag, signal },
      );
      return;
    }
  }
}
