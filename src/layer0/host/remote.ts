// The host's door from another process: HTTP on its socket. Names its routes once, together with layer0/images' ones.

import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { coreErrors, errorFromBody } from '#core/errors';
import { createHttpClient, type HttpClient } from '#core/http-client';
import { parser } from '#core/schema';
import type { BuildOptions, CommitOptions, Image } from '#layer0/images/wire';
import type { Attached, AttachOptions, ExecOptions, HostClient, LogSource } from './client.ts';
import { type MemberReport, streamHeadSchema } from './wire.ts';

/** The first line of an attach or exec is never longer. */
const maxHeadBytes = 4096;
/** Builds, imports and commits move gigabytes: the time for the head of the answer. */
const longCallMs = 3_600_000;
const endConnectionsMs = 1_000;
const headParser = parser(streamHeadSchema);

type BuildOutput = { line: string } | { image: Image };

export class RemoteHost implements HostClient {
  readonly #http: HttpClient;

  constructor(baseUrl: string) {
    this.#http = createHttpClient({ baseUrl });
  }

  async attach(jobId: string, { stdin, replay, signal }: AttachOptions): Promise<Attached> {
    const path = `/host/jobs/${encodeURIComponent(jobId)}/attach`;
    const { socket, tty } = await this.#open(path, { stdin, replay }, signal);
    return { socket, tty };
  }

  async exec(jobId: string, options: ExecOptions): Promise<Attached & { execId: string }> {
    const path = `/host/jobs/${encodeURIComponent(jobId)}/exec`;
    const { socket, tty, execId } = await this.#open(path, { ...options });
    if (execId === undefined) throw coreErrors.unreachable(`${path}: the answer names no exec`);
    return { socket, tty, execId };
  }

  async execExitCode(execId: string): Promise<number> {
    const path = `/host/execs/${encodeURIComponent(execId)}`;
    const { exitCode } = await this.#http.json<{ exitCode: number }>('GET', path);
    return exitCode;
  }

  async resize(
    target: { jobId: string } | { execId: string },
    rows: number,
    cols: number,
  ): Promise<void> {
    const path =
      'execId' in target
        ? `/host/execs/${encodeURIComponent(target.execId)}/resize`
        : `/host/jobs/${encodeURIComponent(target.jobId)}/resize`;
    await this.#http.json('POST', path, { query: { rows, cols } });
  }

  async signal(jobId: string, signal: string): Promise<void> {
    const path = `/host/jobs/${encodeURIComponent(jobId)}/signal`;
    await this.#http.json('POST', path, { body: { signal } });
  }

  logFiles(jobId: string): Promise<{ containerId: string; path: string }[]> {
    return this.#http.json('GET', `/host/jobs/${encodeURIComponent(jobId)}/log-files`);
  }

  logSources(): Promise<LogSource[]> {
    return this.#http.json('GET', '/host/log-sources');
  }

  async *build(
    tar: Readable,
    options: BuildOptions,
    signal?: AbortSignal,
    host?: string,
  ): AsyncGenerator<BuildOutput> {
    const output = this.#http.ndjson<BuildOutput | { error: unknown }>('POST', '/images/build', {
      query: { options: JSON.stringify(options), host },
      headers: { 'content-type': 'application/x-tar' },
      bodyStream: tar,
      timeoutMs: longCallMs,
      signal,
    });
    for await (const part of output) {
      if ('error' in part) throw errorFromBody(part.error, 422, 'build an image');
      yield part;
    }
  }

  commit(jobId: string, options: CommitOptions): Promise<Image> {
    const body = { job: jobId, options };
    return this.#http.json('POST', '/images/commit', { body, timeoutMs: longCallMs });
  }

  importImages(tar: Readable): Promise<Image[]> {
    return this.#http.json('POST', '/images/import', {
      headers: { 'content-type': 'application/x-tar' },
      bodyStream: tar,
      timeoutMs: longCallMs,
    });
  }

  inspectImage(reference: string): Promise<Image> {
    return this.#http.json('GET', '/images/inspect', { query: { reference } });
  }

  listImages(): Promise<Image[]> {
    return this.#http.json('GET', '/images');
  }

  async spreadImage(image: string): Promise<string[]> {
    const options = { body: { image }, timeoutMs: longCallMs };
    const answer = await this.#http.json<{ hosts: string[] }>('POST', '/images/spread', options);
    return answer.hosts;
  }

  async tagImage(id: string, reference: string): Promise<void> {
    await this.#http.json('POST', '/images/tag', { body: { id, reference } });
  }

  async seal(context: string, plain: string): Promise<string> {
    return this.#text('/host/seal', { context, text: plain });
  }

  async open(context: string, sealed: string): Promise<string> {
    return this.#text('/host/open', { context, text: sealed });
  }

  async endConnections(ip: string): Promise<number> {
    const path = `/network/connections/${encodeURIComponent(ip)}`;
    const options = { timeoutMs: endConnectionsMs };
    return (await this.#http.json<{ ended: number }>('DELETE', path, options)).ended;
  }

  memberReports({ checks = false } = {}): Promise<MemberReport[]> {
    const options = checks ? { query: { checks } } : {};
    return this.#http.json('GET', '/members/status', options);
  }

  status(): Promise<Record<string, unknown>> {
    return this.#http.json('GET', '/status');
  }

  metrics(): Promise<IncomingMessage> {
    return this.#http.raw('GET', '/host/metrics');
  }

  close(): void {
    this.#http.close();
  }

  async #text(path: string, body: { context: string; text: string }): Promise<string> {
    const answer = await this.#http.json<{ text: string }>('POST', path, { body });
    return answer.text;
  }

  async #open(
    path: string,
    options: object,
    signal?: AbortSignal,
  ): Promise<Attached & { execId?: string }> {
    const query = { options: JSON.stringify(options) };
    const { socket, head } = await this.#http.upgrade(path, { query, signal });
    signal?.addEventListener('abort', () => socket.destroy(), { once: true });
    // The process is over: whatever else would be typed has no reader.
    socket.once('end', () => socket.end());
    if (head.length > 0) socket.unshift(head);
    const line = await readHead(socket, path);
    return { socket, ...headParser.parse(JSON.parse(line), `the answer of ${path}`) };
  }
}

/** The first line; what comes after it stays in the socket. */
function readHead(socket: Duplex, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let read = Buffer.alloc(0);
    const end = (act: () => void) => {
      socket.off('readable', onReadable).off('close', onClose);
      act();
    };
    const onClose = () =>
      end(() => reject(coreErrors.unreachable(`${path}: the stream ended before it began`)));
    const onReadable = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
        read = Buffer.concat([read, chunk]);
        const newline = read.indexOf(10);
        if (newline >= 0) {
          const rest = read.subarray(newline + 1);
          const line = read.subarray(0, newline).toString('utf8');
          return end(() => {
            if (rest.length > 0) socket.unshift(rest);
            resolve(line);
          });
        }
        if (read.length > maxHeadBytes)
          return end(() => reject(coreErrors.tooLarge(`${path}: the first line has no end`)));
      }
    };
    socket.on('readable', onReadable).on('close', onClose);
    socket.on('error', () => socket.destroy());
  });
}
