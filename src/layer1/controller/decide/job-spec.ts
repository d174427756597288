// What a host needs to run a process type of a release: the release, the app's limits and Gantry's defaults in one spec.

import type { Image } from '#layer0/images/wire';
import type { JobSpec } from '#layer0/scheduler/wire';
import type { App, MachinePort, ProcessType, Release } from '../wire.ts';

/** What `web` listens on when nobody says otherwise. */
export const defaultWebPort = 8080;

export const defaultLimits = { memoryBytes: 512 * 1024 * 1024, cpuMillis: 1000, pids: 512 };

export const defaultHealth = {
  intervalMs: 1_000,
  timeoutMs: 2_000,
  startTimeoutMs: 60_000,
  failures: 3,
} as const;

const drainMs = 30_000;
const stopGraceMs = 10_000;

/** The specs of every process type; of the system app they are written down as they are. */
export function specsOf(release: Release, app: App): Record<string, JobSpec> {
  if (release.systemSpecs) return release.systemSpecs;
  const { imageId } = release;
  if (imageId === undefined) return {};
  const specs: Record<string, JobSpec> = {};
  for (const [type, process] of Object.entries(release.processes))
    specs[type] = { ...baseSpec(release, app, type), ...commandOf(process), image: imageId };
  return specs;
}

function baseSpec(release: Release, app: App, type: string): Omit<JobSpec, 'image'> {
  const process = release.processes[type] ?? {};
  const port = portOf(type, process);
  const own = { GANTRY_APP: app.name, GANTRY_RELEASE: `v${release.version}`, GANTRY_TYPE: type };
  return {
    env: port === undefined ? own : { ...own, PORT: String(port) },
    sealedEnv: release.sealedEnv,
    ports: portsOf(port, release.placements?.[type]?.hostPorts ?? []),
    network: 'app',
    health: process.health ?? { type: port === undefined ? 'none' : 'tcp', ...defaultHealth },
    resources: app.limits[type] ?? defaultLimits,
    mounts: [],
    tags: {},
    stopGraceMs,
    drainMs: port === undefined ? 0 : drainMs,
    restart: 'always',
    tty: false,
    openStdin: false,
    capabilities: [],
  };
}

/** What it listens on comes first: it is what PORT says, and what routers and health checks mean. */
function portsOf(own: number | undefined, hostPorts: readonly MachinePort[]): JobSpec['ports'] {
  const ports: JobSpec['ports'] =
    own === undefined ? [] : [{ name: 'http', port: own, protocol: 'tcp' }];
  for (const { hostPort, port = hostPort, protocol } of hostPorts)
    ports.push({ name: `host-${hostPort}-${protocol}`, port, protocol, hostPort });
  return ports;
}

function commandOf(process: ProcessType): Pick<JobSpec, 'command' | 'entrypoint'> {
  return {
    ...(process.command ? { command: process.command } : {}),
    ...(process.entrypoint ? { entrypoint: process.entrypoint } : {}),
  };
}

function portOf(type: string, process: ProcessType): number | undefined {
  return process.port ?? (type === 'web' ? defaultWebPort : undefined);
}

export interface OneOff {
  command: string[];
  tty: boolean;
  openStdin: boolean;
  /** Already sealed. */
  sealedEnv: Record<string, string>;
}

/** What limits call one-off jobs, and their names begin with. */
export const oneOffType = 'run';

/** The spec of a one-off job: the release's image and config, no port, no restart. */
export function oneOffSpec(release: Release, app: App, wanted: OneOff): JobSpec | undefined {
  if (release.imageId === undefined) return undefined;
  const base = baseSpec(
    {
      ...release,
      processes: { [oneOffType]: {} },
      placements: {},
      sealedEnv: { ...release.sealedEnv, ...wanted.sealedEnv },
    },
    app,
    oneOffType,
  );
  return {
    ...base,
    image: release.imageId,
    command: wanted.command,
    restart: 'never',
    tty: wanted.tty,
    // What a shell in a terminal ends at; SIGTERM it ignores.
    ...(wanted.tty ? { stopSignal: 'SIGHUP' } : {}),
    openStdin: wanted.openStdin,
  };
}

/** The process types of an image that nobody described: one `web`, on the port it exposes. */
export function processesOfImage(image: Image): Record<string, ProcessType> {
  const port = image.exposedPorts[0];
  return { web: port === undefined ? {} : { port } };
}

/** The scheduler's number for it. The platform's own processes come before all others. */
export function priorityOf({ isSystem, priority = 'normal' }: App): number {
  return isSystem ? 1000 : { low: -100, normal: 0, high: 100 }[priority];
}

/** How many of each process type should run: what people asked for, else one `web` and none of the others. */
export function wantedQuantities(app: App, types: string[]): Record<string, number> {
  const unsaid = (type: string) => (type === 'web' || app.isSystem ? 1 : 0);
  return Object.fromEntries(types.map((type) => [type, app.quantities[type] ?? unsaid(type)]));
}
