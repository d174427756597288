// What Gantry asks the engine for when it creates a container, and how it reads one back. Pure.
// Every container gets the same security floor; nothing in a spec can lower it but `capabilities`.

import type { Container, ContainerSpec } from '../runtime.ts';
import { type ApiVersion, isAtLeast, macPerEndpointApi } from './api-version.ts';

/** Docker's default weight of a container that asks for a whole CPU. */
const sharesPerCpu = 1024;
/** The kernel takes no less. */
const minCpuShares = 2;

/** The body of `POST /containers/create` in this API version. */
export function containerBody(spec: ContainerSpec, version: ApiVersion): Record<string, unknown> {
  const isMacPerEndpoint = isAtLeast(version, macPerEndpointApi);
  const { network } = spec;
  return {
    Image: spec.image,
    ...(spec.command ? { Cmd: spec.command } : {}),
    ...(spec.entrypoint ? { Entrypoint: spec.entrypoint } : {}),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Labels: spec.labels,
    ...(spec.user === undefined ? {} : { User: spec.user }),
    ...(spec.workingDir === undefined ? {} : { WorkingDir: spec.workingDir }),
    ...(spec.hostname === undefined ? {} : { Hostname: spec.hostname }),
    ...(spec.stopSignal === undefined ? {} : { StopSignal: spec.stopSignal }),
    Tty: spec.tty,
    OpenStdin: spec.openStdin,
    StdinOnce: spec.openStdin,
    // The host checks health itself; an image's own check would run twice.
    Healthcheck: { Test: ['NONE'] },
    ...(spec.publish ? { ExposedPorts: byPort(spec.publish, () => ({})) } : {}),
    ...(network.kind === 'app' && !isMacPerEndpoint ? { MacAddress: network.mac } : {}),
    HostConfig: hostConfig(spec),
    ...(network.kind === 'app'
      ? {
          NetworkingConfig: {
            EndpointsConfig: { [network.name]: endpoint(network, isMacPerEndpoint) },
          },
        }
      : {}),
  };
}

function endpoint(network: { ip: string; mac: string }, isMacPerEndpoint: boolean) {
  return {
    IPAMConfig: { IPv4Address: network.ip },
    ...(isMacPerEndpoint ? { MacAddress: network.mac } : {}),
  };
}

function byPort<T>(
  publish: NonNullable<ContainerSpec['publish']>,
  value: (of: { hostPort: number }[]) => T,
): Record<string, T> {
  const grouped = Map.groupBy(publish, ({ port, protocol }) => `${port}/${protocol}`);
  return Object.fromEntries([...grouped].map(([port, of]) => [port, value(of)]));
}

function hostConfig(spec: ContainerSpec): Record<string, unknown> {
  return {
    NetworkMode: spec.network.kind === 'app' ? spec.network.name : spec.network.kind,
    ...(spec.dns
      ? { Dns: spec.dns.servers, DnsSearch: spec.dns.search, DnsOptions: spec.dns.options }
      : {}),
    ...(spec.publish
      ? {
          PortBindings: byPort(spec.publish, (of) =>
            of.map(({ hostPort }) => ({ HostPort: String(hostPort) })),
          ),
        }
      : {}),
    Mounts: spec.binds.map((bind) => ({
      Type: 'bind',
      Source: bind.source,
      Target: bind.target,
      ReadOnly: bind.isReadOnly,
    })),
    CapDrop: ['ALL'],
    CapAdd: spec.capabilities,
    SecurityOpt: ['no-new-privileges'],
    PidsLimit: spec.pids,
    Memory: spec.memoryBytes,
    // Memory and swap together: a process gets no swap beyond its memory.
    MemorySwap: spec.memoryBytes,
    CpuShares: Math.max(minCpuShares, Math.round((spec.cpuMillis * sharesPerCpu) / 1000)),
    Init: true,
    RestartPolicy: { Name: 'no' },
    LogConfig: {
      Type: 'json-file',
      Config: { 'max-size': String(spec.logMaxBytes), 'max-file': String(spec.logMaxFiles) },
    },
  };
}

/** The fields of `GET /containers/{id}/json` that are read here. */
export interface InspectedContainer {
  Id: string;
  Name: string;
  Image: string;
  Created: string;
  LogPath?: string;
  Config: { Labels?: Record<string, string> | null; Image: string; Env?: string[] | null };
  HostConfig: { NetworkMode: string };
  State: {
    Status: string;
    ExitCode: number;
    OOMKilled: boolean;
    Pid: number;
    StartedAt: string;
    FinishedAt: string;
  };
  NetworkSettings: { Networks?: Record<string, EndpointState | null> | null };
}

interface EndpointState {
  IPAddress?: string;
  IPAMConfig?: { IPv4Address?: string } | null;
}

export function toContainer(seen: InspectedContainer): Container {
  const state = containerState(seen.State.Status);
  const startedAt = engineTime(seen.State.StartedAt);
  const endedAt = state === 'exited' ? engineTime(seen.State.FinishedAt) : undefined;
  // Two clocks of the engine: the end of a very short process can be written as before its start.
  const finishedAt = endedAt === undefined ? undefined : Math.max(endedAt, startedAt ?? 0);
  const address = seen.NetworkSettings.Networks?.[seen.HostConfig.NetworkMode];
  const ip = address?.IPAddress || address?.IPAMConfig?.IPv4Address;
  return {
    id: seen.Id,
    name: seen.Name.replace(/^\//, ''),
    image: seen.Image,
    labels: seen.Config.Labels ?? {},
    state,
    isOutOfMemory: seen.State.OOMKilled,
    createdAt: engineTime(seen.Created) ?? 0,
    ...(state === 'exited' ? { exitCode: seen.State.ExitCode } : {}),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    ...(ip ? { ip } : {}),
    ...(seen.State.Pid > 0 ? { pid: seen.State.Pid } : {}),
    ...(seen.LogPath ? { logPath: seen.LogPath } : {}),
  };
}

function containerState(status: string): Container['state'] {
  if (status === 'created') return 'created';
  return status === 'running' || status === 'paused' || status === 'restarting'
    ? 'running'
    : 'exited';
}

/** Milliseconds since the epoch; the engine writes year 1 for "never". */
export function engineTime(text: string): number | undefined {
  const time = Date.parse(text);
  return Number.isFinite(time) && time > 0 ? time : undefined;
}
