// The door of the host for other components: the narrow operations that need Docker, without Docker.

import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { BuildOptions, CommitOptions, Image } from '#layer0/images/wire';
import { RemoteHost } from './remote.ts';
import type { MemberReport } from './wire.ts';

export interface AttachOptions {
  /** Send the attacher's bytes to the process. */
  stdin: boolean;
  /** Begin with what the process has already said. */
  replay: boolean;
  signal?: AbortSignal;
}

export interface ExecOptions {
  command: string[];
  tty: boolean;
  env?: Record<string, string>;
  user?: string;
  rows?: number;
  cols?: number;
}

/**
 * A process's streams. Without a TTY the socket speaks Docker's framing (8-byte header: stream, 0, 0, 0, length);
 * with one it is raw bytes. Ending the writable side ends stdin;
 * for an attach without stdin it detaches.
 */
export interface Attached {
  socket: Duplex;
  tty: boolean;
}

export interface HostClient {
  attach(jobId: string, options: AttachOptions): Promise<Attached>;
  /** Runs another process in the job's container. */
  exec(jobId: string, options: ExecOptions): Promise<Attached & { execId: string }>;
  execExitCode(execId: string): Promise<number>;
  resize(target: { jobId: string } | { execId: string }, rows: number, cols: number): Promise<void>;
  signal(jobId: string, signal: string): Promise<void>;
  /** Where the engine keeps a job's log files, and the ids of its attempts' containers, oldest first. */
  logFiles(jobId: string): Promise<{ containerId: string; path: string }[]>;
  /** The same of every container on this host, those of jobs without a record too. */
  logSources(): Promise<LogSource[]>;

  /**
   * Streams build output as values; the last one is the image or throws images.buildFailed. The signal ends the
   * build in the engine too, and throws core.aborted. On the engine of `host`, or of this machine.
   */
  build(
    tar: Readable,
    options: BuildOptions,
    signal?: AbortSignal,
    host?: string,
  ): AsyncGenerator<{ line: string } | { image: Image }>;
  /** The ended job's file system as a new image. */
  commit(jobId: string, options: CommitOptions): Promise<Image>;
  /** A `docker save` stream; answers what was in it. */
  importImages(tar: Readable): Promise<Image[]>;
  inspectImage(reference: string): Promise<Image>;
  listImages(): Promise<Image[]>;
  tagImage(id: string, reference: string): Promise<void>;
  /** Sees to it that a second machine holds the image; the ids of the others that do, none when nobody else can. */
  spreadImage(image: string): Promise<string[]>;

  /** AES-256-GCM under the cluster's key, bound to `context` (app id and name), as text. */
  seal(context: string, plain: string): Promise<string>;
  open(context: string, sealed: string): Promise<string>;

  /**
   * Ends this machine's own TCP connections to a job's address on another machine that says nothing; answers how many. Never
   * waits longer than a second.
   */
  endConnections(ip: string): Promise<number>;

  /** What `gantry doctor` reads. */
  status(): Promise<Record<string, unknown>>;
  /** The same of every machine of the cluster, those that do not answer too; never waits longer than a few seconds. */
  memberReports(options?: { checks?: boolean }): Promise<MemberReport[]>;
  metrics(): Promise<IncomingMessage>;
  close(): void;
}

/** The log file of one attempt of a job: the engine's current one; rotated ones end in .1, .2. */
export interface LogSource {
  containerId: string;
  path: string;
  job: string;
  app: string;
  type: string;
  index: number;
  attempt: number;
}

export interface HostClientOptions {
  /** `unix:/var/lib/gantry/run/host.sock`. */
  baseUrl: string;
}

export function createHostClient(options: HostClientOptions): HostClient {
  return new RemoteHost(options.baseUrl);
}
