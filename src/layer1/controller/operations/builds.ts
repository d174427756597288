// Source in, a live release out: build, release, deployment, and lines about all of it. One build of an app at a time.

import type { Readable } from 'node:stream';
import { coreErrors, toAppError } from '#core/errors';
import type { Caller, Context } from '../context.ts';
import { pickBuildHost } from '../decide/build-host.ts';
import { readLivingApp } from '../records.ts';
import type { ProgressLine, Release } from '../wire.ts';
import { followDeployment } from './deployments.ts';
import { openEnv } from './env.ts';
import { listHosts } from './hosts.ts';
import { makeRelease, readBase, refuseSystem } from './releases.ts';

export interface BuildSource {
  app: string;
  caller: Caller;
  tar: Readable;
  commit: string;
  description?: string | undefined;
}

/** Never throws: the last line says how it went. Firing the signal ends the build, not a deployment that has begun. */
export async function* buildAndDeploy(
  context: Context,
  source: BuildSource,
  signal: AbortSignal,
): AsyncGenerator<ProgressLine> {
  try {
    yield* runBuild(context, source, signal);
  } catch (error) {
    const known = toAppError(error);
    if (known.status >= 500) context.log.error({ err: error, app: source.app }, 'build failed');
    yield { type: 'error', error: known.toBody() };
  } finally {
    source.tar.destroy();
  }
}

async function* runBuild(
  context: Context,
  { app: name, caller, tar, commit, description }: BuildSource,
  signal: AbortSignal,
): AsyncGenerator<ProgressLine> {
  const { value: app } = await readLivingApp(context.store, name);
  refuseSystem(app);
  const turn = context.builds.request(app.id);
  try {
    if (turn.isWaiting) yield { type: 'line', text: 'waiting for another build' };
    await turn.granted(signal);
    const { base } = await readBase(context, app);
    const env = await openEnv(context, app, base);
    const timeoutMs = context.settings.buildTimeoutMs;
    const host = pickBuildHost(await listHosts(context), base?.builtOn);
    const where = host === undefined ? {} : { host };
    const request = { app: app.id, appName: app.name, commit, env, timeoutMs, ...where };
    const made: Pick<Release, 'imageId' | 'processes' | 'builtOn'> = { processes: {} };
    for await (const output of context.builder.build(request, tar, signal)) {
      if ('line' in output) yield { type: 'line', text: output.line };
      else
        Object.assign(made, {
          imageId: output.result.image.id,
          processes: output.result.processes,
          ...(output.result.host === undefined ? {} : { builtOn: output.result.host }),
        });
    }
    if (made.imageId === undefined || signal.aborted)
      throw coreErrors.aborted('the build was cancelled; nothing was changed');
    const { release, deployment } = await makeRelease(context, {
      app: name,
      caller,
      draft: (newest) => ({
        content: { ...made, sealedEnv: newest?.sealedEnv ?? {}, commit },
        description: description ?? `Deploy ${commit.slice(0, 7)}`,
      }),
    });
    yield { type: 'line', text: `v${release.version} of ${name} was made` };
    turn.end();
    if (deployment) yield* followDeployment(context, name, deployment.id, signal);
  } finally {
    turn.end();
  }
}
