// The container engine as the host agent needs it. Two implementations pass one contract suite: Docker and a scripted fake.
// Every call is bounded in time and says what it attempted when it fails. Ids are the engine's.

import type { Duplex, Readable } from 'node:stream';
import type { BuildOptions, CommitOptions, Image } from '#layer0/images/wire';

export interface EngineInfo {
  version: string;
  apiVersion: string;
  /** Where the engine keeps its data on the machine: log files are below it. */
  dataRoot: string;
  memoryBytes: number;
  cpus: number;
}

export interface ContainerSpec {
  name: string;
  image: string;
  command?: string[];
  entrypoint?: string[];
  env: Record<string, string>;
  labels: Record<string, string>;
  user?: string;
  workingDir?: string;
  hostname?: string;
  /** `host`, `none`, or a network of ours with a fixed address. */
  network: { kind: 'host' | 'none' } | { kind: 'app'; name: string; ip: string; mac: string };
  /** Ports of the machine, on all its addresses, that lead to ports of the container. */
  publish?: { hostPort: number; port: number; protocol: 'tcp' | 'udp' }[];
  dns?: { servers: string[]; search: string[]; options: string[] };
  /** Absolute host paths. */
  binds: { source: string; target: string; isReadOnly: boolean }[];
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  tty: boolean;
  openStdin: boolean;
  /** Added to none. */
  capabilities: string[];
  stopSignal?: string;
  logMaxBytes: number;
  logMaxFiles: number;
}

export interface Container {
  id: string;
  name: string;
  image: string;
  labels: Record<string, string>;
  state: 'created' | 'running' | 'exited';
  exitCode?: number;
  isOutOfMemory: boolean;
  /** Milliseconds since the epoch. */
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  /** In its app network. */
  ip?: string;
  pid?: number;
  /** The engine's log file on the machine, once it was started; rotated ones end in .1, .2. */
  logPath?: string;
}

export type EngineEvent =
  | {
      type: 'container';
      action: 'start' | 'die' | 'destroy' | 'oom';
      id: string;
      labels: Record<string, string>;
    }
  /** The stream began (again): list, because events may have been missed. */
  | { type: 'resync' };

export interface NewNetwork extends Network {
  mtu: number;
  /** A device of the machine that packets for its containers may come from, beside its own bridge. */
  reachableFrom?: string;
}

export interface Network {
  name: string;
  subnet: string;
  gateway: string;
  bridge: string;
  labels: Record<string, string>;
  /** Containers on it do not reach one another. */
  isApart?: true;
}

export interface AttachStreams {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** Begin with the container's log. */
  logs: boolean;
}

export interface Runtime {
  info(): Promise<EngineInfo>;
  /** Containers with all of these labels, in any state. */
  list(labels: Record<string, string>): Promise<Container[]>;
  /** Undefined when there is none. */
  inspect(id: string): Promise<Container | undefined>;
  /** Creates, or returns the id of the container that already has this name and the same `gantry.job` and `gantry.attempt` labels. */
  create(spec: ContainerSpec): Promise<string>;
  /** Starting a running container is no error. */
  start(id: string): Promise<void>;
  /** Sends a signal; a container that does not run is no error. */
  signal(id: string, signal: string): Promise<void>;
  /** Stops (if need be by SIGKILL) and removes; absent is no error. */
  remove(id: string): Promise<void>;
  /** Resolves with the exit code when the container has ended. */
  wait(id: string, signal: AbortSignal): Promise<number>;
  attach(id: string, streams: AttachStreams): Promise<Duplex>;
  exec(
    id: string,
    options: { command: string[]; tty: boolean; env: Record<string, string>; user?: string },
  ): Promise<{ execId: string; socket: Duplex }>;
  execExitCode(execId: string): Promise<number>;
  resize(
    target: { container: string } | { exec: string },
    rows: number,
    cols: number,
  ): Promise<void>;
  /** Reconnects by itself; begins every connection with a resync. Ends with the signal. */
  events(labels: Record<string, string>, signal: AbortSignal): AsyncGenerator<EngineEvent>;

  ensureNetwork(network: NewNetwork): Promise<void>;
  listNetworks(labels: Record<string, string>): Promise<Network[]>;
  /** Absent is no error. */
  removeNetwork(name: string): Promise<void>;

  /** By id or tag; undefined when it is not on this machine. */
  image(reference: string): Promise<Image | undefined>;
  images(): Promise<Image[]>;
  load(tar: Readable): Promise<Image[]>;
  /** As a `docker save` stream; images.notFound when it is not on this machine. */
  save(reference: string): Promise<Readable>;
  build(
    tar: Readable,
    options: BuildOptions,
    signal: AbortSignal,
  ): AsyncGenerator<{ line: string } | { image: Image }>;
  commit(containerId: string, options: CommitOptions): Promise<Image>;
  tag(id: string, reference: string): Promise<void>;
  /** Removes the image (all its tags) when nothing uses it; false when something does. */
  removeImage(id: string): Promise<boolean>;
}

/** Whether a container that has the name is the one that `create` was asked for before. */
export function isSameAttempt(
  existing: Record<string, string>,
  wanted: Record<string, string>,
): boolean {
  const job = wanted['gantry.job'];
  const isSameJob = job !== undefined && existing['gantry.job'] === job;
  return isSameJob && existing['gantry.attempt'] === wanted['gantry.attempt'];
}
