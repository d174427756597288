// People at a process: attach, exec, signals, and where its log is. A reader that does not read never stops an app.

import type { Duplex } from 'node:stream';
import type { AttachOptions, ExecOptions, LogSource } from './client.ts';
import { attachBufferBytes } from './config.ts';
import { hostErrors } from './errors.ts';
import { attemptOf, labels } from './labels.ts';
import type { Container, Runtime } from './runtime/runtime.ts';

export interface JobStreamsDeps {
  runtime: Runtime;
  /** Oldest attempt first. */
  containers(jobId: string): readonly Container[];
  /** Every job that has a container here. */
  jobIds(): Iterable<string>;
  isTty(jobId: string): boolean;
}

export interface OpenStream {
  socket: Duplex;
  tty: boolean;
  execId?: string;
}

export class JobStreams {
  readonly #deps: JobStreamsDeps;

  constructor(deps: JobStreamsDeps) {
    this.#deps = deps;
  }

  /** The newest container's streams; an ended one still gives its log with `replay`. */
  async attach(
    jobId: string,
    { stdin, replay }: Omit<AttachOptions, 'signal'>,
  ): Promise<OpenStream> {
    const container = replay ? this.#newest(jobId) : this.#running(jobId);
    const streams = { stdin, stdout: true, stderr: true, logs: replay };
    const socket = await this.#deps.runtime.attach(container.id, streams);
    return { socket, tty: this.#deps.isTty(jobId) };
  }

  async exec(jobId: string, options: ExecOptions): Promise<OpenStream & { execId: string }> {
    const { command, tty, env = {}, user, rows, cols } = options;
    const container = this.#running(jobId);
    const { runtime } = this.#deps;
    const { execId, socket } = await runtime.exec(container.id, {
      command,
      tty,
      env,
      ...(user === undefined ? {} : { user }),
    });
    if (tty && rows && cols) await runtime.resize({ exec: execId }, rows, cols);
    return { execId, socket, tty };
  }

  execExitCode(execId: string): Promise<number> {
    return this.#deps.runtime.execExitCode(execId);
  }

  async resize(
    target: { jobId: string } | { execId: string },
    rows: number,
    cols: number,
  ): Promise<void> {
    const engineTarget =
      'execId' in target ? { exec: target.execId } : { container: this.#running(target.jobId).id };
    await this.#deps.runtime.resize(engineTarget, rows, cols);
  }

  async signal(jobId: string, signal: string): Promise<void> {
    await this.#deps.runtime.signal(this.#running(jobId).id, signal);
  }

  logFiles(jobId: string): { containerId: string; path: string }[] {
    return this.#deps
      .containers(jobId)
      .flatMap(({ id, logPath }) => (logPath ? [{ containerId: id, path: logPath }] : []));
  }

  logSources(): LogSource[] {
    return [...this.#deps.jobIds()].flatMap((job) =>
      this.#deps
        .containers(job)
        .flatMap((container) => (container.logPath ? [logSource(container, job)] : [])),
    );
  }

  #newest(jobId: string): Container {
    const container = this.#deps.containers(jobId).at(-1);
    if (container) return container;
    throw hostErrors.jobNotFound(`job ${jobId} has no container on this host`);
  }

  #running(jobId: string): Container {
    const all = this.#deps.containers(jobId);
    const container = all.findLast(({ state }) => state === 'running');
    if (container) return container;
    if (all.length === 0) return this.#newest(jobId);
    throw hostErrors.notRunning(`job ${jobId} has no running container right now`);
  }
}

/**
 * Joins a process and whoever attached. Without input the process is read as fast as it writes, and a reader that falls
 * `limitBytes` behind is let go. With input both wait for each other, as at a terminal.
 */
export function relay(
  engine: Duplex,
  client: Duplex,
  options: { hasInput: boolean; limitBytes?: number },
): void {
  const { hasInput, limitBytes = attachBufferBytes } = options;
  const close = () => {
    engine.destroy();
    client.destroy();
  };
  engine.on('error', close);
  client.on('error', close);
  client.on('close', () => engine.destroy());
  if (hasInput) {
    client.pipe(engine);
    engine.pipe(client);
    engine.on('close', () => {
      client.unpipe(engine).resume();
      client.end();
    });
    return;
  }
  client.resume().on('end', close);
  engine.on('data', (chunk: Buffer) => {
    client.write(chunk);
    if (client.writableLength > limitBytes) close();
  });
  engine.on('end', () => client.end());
  engine.on('close', () => client.end());
}

function logSource(container: Container, job: string): LogSource {
  const label = (name: string) => container.labels[name] ?? '';
  return {
    containerId: container.id,
    path: container.logPath ?? '',
    job,
    app: label(labels.app),
    type: label(labels.type),
    index: Number(label(labels.index)) || 1,
    attempt: attemptOf(container),
  };
}
