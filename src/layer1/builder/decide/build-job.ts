// The spec of a build job: the stack, the app's network and cache, limits, and nothing secret (the config goes by stdin).

import type { JobSpec } from '#layer0/scheduler/wire';
import type { BuilderConfig } from '../config.ts';

export interface BuildJobInput {
  stackImageId: string;
  sourceBytes: number;
  buildpack: string | undefined;
  resultMark: string;
  timeoutMs: number;
}

/** `app` of the stack image, in numbers: the owner of the cache's folder. */
export const stackUser = '1000:1000';

/** The volume of an app that its builds share. */
export const cacheVolume = 'build-cache';

/** A build ends with its input, when whoever asked for it has died; should that fail, this long after its limit. */
const selfEndAfterSeconds = 30;

export function buildJobSpec(input: BuildJobInput, config: BuilderConfig): JobSpec {
  const seconds = Math.ceil(input.timeoutMs / 1000) + selfEndAfterSeconds;
  return {
    image: input.stackImageId,
    entrypoint: ['timeout', '--kill-after=5', String(seconds)],
    command: ['/gantry/buildpacks/build.sh'],
    workingDir: '/app',
    user: stackUser,
    env: {
      GANTRY_SOURCE_BYTES: String(input.sourceBytes),
      GANTRY_MAX_BYTES: String(config.maxAppBytes),
      GANTRY_RESULT_MARK: input.resultMark,
      GANTRY_END_WITH_INPUT: '1',
      ...(input.buildpack === undefined ? {} : { GANTRY_BUILDPACK: input.buildpack }),
    },
    sealedEnv: {},
    ports: [],
    network: 'app',
    health: {
      type: 'none',
      intervalMs: 1000,
      timeoutMs: 1000,
      startTimeoutMs: 60_000,
      failures: 1,
    },
    resources: {
      memoryBytes: config.memoryBytes,
      cpuMillis: config.cpuMillis,
      pids: config.pids,
    },
    mounts: [{ volume: cacheVolume, path: '/gantry/cache', isReadOnly: false }],
    tags: {},
    stopGraceMs: 2000,
    drainMs: 0,
    restart: 'never',
    tty: false,
    openStdin: true,
    capabilities: [],
  };
}
