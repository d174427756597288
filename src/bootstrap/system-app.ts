// App `gantry`: which processes the platform itself is made of, as job specs. Everything they need to know is here.

import { readConfig } from '#core/config';
import type { JobSpec } from '#layer0/scheduler/wire';
import type { Release } from '#layer1/controller/wire';
import { routerSettings } from '#layer1/router/config';
import type { Machine } from './machine-file.ts';
import { chosenFor } from './settings.ts';

/** Fixed, so that it is the same before there is a controller to ask. */
export const systemAppId = 'app-gantry';
export const systemAppName = 'gantry';
/** Above every user's app: placed first. */
export const systemPriority = 1000;

/** The API answers while one of the machines is away; one of them leads the deployments. */
export const systemCopies = { controller: 2 };
/** It has its files on one machine: a new version begins there. */
export const systemPlacements = {
  'git-receiver': { near: [{ type: 'git-receiver', isRequired: false }] },
} satisfies Release['placements'];

export interface SystemContext {
  machine: Machine;
  /** Image id of the system image, and of the stack that builds run in. */
  image: string;
  stackImage: string;
  /** Where the engine keeps its data: log files are below. */
  engineDataRoot: string;
  /** GANTRY_INTERNAL_KEY, sealed for this app. */
  sealedInternalKey: string;
}

export interface SystemProcess {
  quantity: number;
  isOnePerHost: boolean;
  spec: JobSpec;
}

const megabyte = 1024 * 1024;

export function systemProcesses(context: SystemContext): Record<string, SystemProcess> {
  const { machine } = context;
  const layer0 = { source: `${machine.home}/run`, isReadOnly: false };
  const perHost = { quantity: 1, isOnePerHost: true };
  const single = { quantity: 1, isOnePerHost: false };
  return {
    proxy: {
      ...perHost,
      spec: {
        ...base(context, ['/gantry/bin/gantry-proxy.sh'], 256),
        capabilities: ['NET_BIND_SERVICE'],
        mounts: [hostMount(`${machine.home}/proxy`)],
        // Of its health endpoint; what the world connects to is in HAProxy's own configuration.
        ports: [{ name: 'http', port: 0, protocol: 'tcp' }],
        stopSignal: 'SIGUSR1',
        stopGraceMs: graceOfProxy(machine),
        drainMs: 0,
      },
    },
    router: {
      ...perHost,
      spec: {
        ...node(context, 'gantry-router'),
        mounts: [hostMount(layer0.source), hostMount(`${machine.home}/proxy`)],
      },
    },
    controller: {
      ...single,
      spec: { ...node(context, 'gantry-controller'), mounts: [hostMount(layer0.source)] },
    },
    'git-receiver': {
      ...single,
      spec: {
        ...node(context, 'gantry-git-receiver'),
        mounts: [hostMount(layer0.source), volumeMount('repositories', '/repositories')],
      },
    },
    logs: {
      ...perHost,
      spec: {
        ...node(context, 'gantry-logs'),
        mounts: [
          hostMount(layer0.source),
          hostMount(`${machine.home}/logs`),
          { ...hostMount(`${context.engineDataRoot}/containers`), isReadOnly: true },
        ],
      },
    },
  };
}

/** The host agent ends it, so that it must be in the job and not only in the environment. */
function graceOfProxy(machine: Machine): number {
  const { proxyGraceMs } = routerSettings;
  return readConfig({ proxyGraceMs }, chosenFor('platform', machine.settings)).proxyGraceMs;
}

const health = {
  type: 'http',
  path: '/healthz',
  intervalMs: 1000,
  timeoutMs: 2000,
  startTimeoutMs: 60_000,
  failures: 3,
} as const;

/** A process of ours in TypeScript: an HTTP server on a loopback port that the host chooses. */
function node(context: SystemContext, program: string): JobSpec {
  return {
    ...base(context, ['node', `bin/${program}.ts`], 256),
    ports: [{ name: 'http', port: 0, protocol: 'tcp' }],
    health: { ...health },
  };
}

function base(
  { machine, image, stackImage, sealedInternalKey }: SystemContext,
  command: string[],
  megabytes: number,
): JobSpec {
  return {
    image,
    entrypoint: [],
    command,
    env: {
      ...chosenFor('platform', machine.settings),
      GANTRY_HOME: machine.home,
      GANTRY_CLUSTER_ID: machine.clusterId,
      GANTRY_HOST_URL: `unix:${machine.home}/run/host.sock`,
      GANTRY_DOMAIN: machine.domain,
      GANTRY_SCHEME: machine.isTls ? 'https' : 'http',
      GANTRY_HTTP_PORT: String(machine.httpPort),
      GANTRY_HTTPS_PORT: String(machine.httpsPort),
      GANTRY_STACK_IMAGE: stackImage,
      GANTRY_REPOSITORIES: '/repositories',
    },
    sealedEnv: { GANTRY_INTERNAL_KEY: sealedInternalKey },
    ports: [],
    network: 'host',
    health: { ...health },
    resources: { memoryBytes: megabytes * megabyte, cpuMillis: 500, pids: 512 },
    mounts: [],
    tags: {},
    stopGraceMs: 10_000,
    drainMs: 30_000,
    restart: 'always',
    tty: false,
    openStdin: false,
    capabilities: [],
  };
}

function hostMount(path: string): JobSpec['mounts'][number] {
  return { hostPath: path, path, isReadOnly: false };
}

function volumeMount(volume: string, path: string): JobSpec['mounts'][number] {
  return { volume, path, isReadOnly: false };
}
