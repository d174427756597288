// A call about a job of another machine is passed on to it: whoever asks this daemon need not know where the job is.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { HttpClient } from '#core/http-client';
import type { HttpReply, HttpRequest } from '#core/http-server';
import { hostErrors } from './errors.ts';

/** What the others are to this one; absent where there are none. */
export interface Others {
  /** The host that has the job, as recorded; undefined when there is no such job or it has no place yet. */
  hostOf(jobId: string): Promise<string | undefined>;
  /** To the layer-0 API of a member. */
  client(hostId: string): Pick<HttpClient, 'raw'>;
  /** Calls `end` when the member does not answer any more; returns what takes that back. */
  guard(hostId: string, end: () => void): () => void;
  /** The same as a stream of bytes that is carried to and from `socket`: ends, half ends and breaks are passed on. */
  carry(hostId: string, socket: Socket): Promise<void>;
}

/** A call that bears it was passed on once: whoever gets it answers. */
export const passedOn = 'x-gantry-passed-on';
/** Between the host and the engine's id of an exec. */
const separator = '.';
/** Longer than every caller waits by itself. */
const longestMs = 3_600_000;

type Headers = Pick<IncomingMessage, 'headers'>;

export class PassOn {
  readonly #here: string;
  readonly #others: Others | undefined;

  constructor(here: string, others: Others | undefined) {
    this.#here = here;
    this.#others = others;
  }

  /** Where to pass a call about the job on to; undefined: it is answered here. */
  async hostOf(jobId: string, request: Headers): Promise<string | undefined> {
    if (!this.#others || this.isPassedOn(request)) return undefined;
    return this.#unlessHere(await this.#others.hostOf(jobId));
  }

  /** The host, unless it is this machine or the call was passed on already. */
  unlessHere(host: string | undefined, request: Headers): string | undefined {
    return this.isPassedOn(request) ? undefined : this.#unlessHere(host);
  }

  /** Another machine asks: nobody else is asked in turn. */
  isPassedOn({ headers }: Headers): boolean {
    return headers[passedOn] !== undefined;
  }

  /** The name by which every machine knows an exec of this one. */
  execName(engineId: string): string {
    return `${this.#here}${separator}${engineId}`;
  }

  /** The engine's id of an exec, and where to pass a call about it on to. */
  execOf(name: string): { engineId: string; host: string | undefined } {
    const [host = '', engineId] = name.split(separator);
    if (engineId === undefined) return { engineId: name, host: undefined };
    return { engineId, host: this.#unlessHere(host) };
  }

  /** Asks that machine the same, and gives its answer. An error is thrown as it was told. */
  async call(host: string, request: HttpRequest, reply: HttpReply): Promise<HttpReply> {
    const others = this.#known(host);
    const [gone, away] = [new AbortController(), new AbortController()];
    const release = others.guard(host, () =>
      away.abort(hostErrors.away(`${request.method} ${request.url}: ${host} does not answer`)),
    );
    reply.raw.once('close', () => {
      release();
      if (!reply.raw.writableFinished) gone.abort();
    });
    const { method, url, body } = request;
    const type = request.headers['content-type'];
    const isStream = typeof body === 'object' && body !== null && 'pipe' in body;
    const call = others.client(host).raw(method, url, {
      ...(isStream ? { bodyStream: body as IncomingMessage } : { body: body ?? undefined }),
      headers: { [passedOn]: this.#here, ...(isStream && type ? { 'content-type': type } : {}) },
      signal: AbortSignal.any([gone.signal, away.signal]),
      timeoutMs: longestMs,
    });
    const answer = await call.catch((error) => {
      throw away.signal.aborted ? away.signal.reason : error;
    });
    reply.status(answer.statusCode ?? 500);
    if (answer.statusCode === 204) {
      answer.resume();
      return reply.send();
    }
    away.signal.addEventListener('abort', () => answer.destroy(away.signal.reason));
    const answered = answer.headers['content-type'];
    if (answered !== undefined) reply.header('content-type', answered);
    return reply.send(answer);
  }

  /** The same for an upgrade: the other machine answers it. */
  async upgrade(host: string, request: IncomingMessage, socket: Duplex, head: Buffer) {
    const { method = 'POST', url = '', headers } = request;
    const lines = [
      `${method} ${url} HTTP/1.1`,
      'host: localhost',
      'connection: Upgrade',
      `upgrade: ${headers.upgrade ?? 'tcp'}`,
      `${passedOn}: ${this.#here}`,
    ];
    socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), head]));
    await this.#known(host).carry(host, socket as Socket);
  }

  #known(host: string): Others {
    if (this.#others) return this.#others;
    throw hostErrors.jobNotFound(`${host} is another machine, and this one knows no others`);
  }

  #unlessHere(host: string | undefined): string | undefined {
    return host === this.#here ? undefined : host;
  }
}
