// A fake API that gives canned answers, and `gantry` run against it in this process, with everything it says kept.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { systemClock } from '#core/clock';
import type { ConfigFile } from './clusters.ts';
import type { Input, Io, SignalName } from './io.ts';
import { main } from './main.ts';

/** The time in every test: an hour after what `createdAt: hourAgo` says. */
export const now = Date.UTC(2026, 0, 2, 3, 0, 0);
export const hourAgo = now - 3_600_000;
export const token = 'gty_token-of-the-test';

export interface ApiCall {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
  headers: IncomingMessage['headers'];
}

type Handler = (call: ApiCall, response: ServerResponse) => unknown;
type Upgrade = (call: ApiCall, socket: Duplex) => void;

/** Routes are `GET /apps/shop`; an answer is a body, or a function of the call that may write the response itself. */
export class FakeApi {
  readonly calls: ApiCall[] = [];
  readonly #answers = new Map<string, Handler>();
  readonly #upgrades = new Map<string, Upgrade>();
  readonly #server: Server;
  #refusal: { after: Promise<void>; error: { code: string; message: string } } | undefined;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('upgrade', (request, socket) => {
      const call = this.#note(request, undefined);
      if (this.#refusal) return void this.#refuse(socket);
      const handle = this.#upgrades.get(`${call.method} ${call.path}`);
      if (!handle) return void socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n',
      );
      handle(call, socket);
    });
  }

  static async start(): Promise<FakeApi> {
    const api = new FakeApi();
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get gitUrl(): string {
    return `http://git.gantry.localhost:${this.port}`;
  }

  on(route: string, answer: unknown): this {
    this.#answers.set(route, typeof answer === 'function' ? (answer as Handler) : () => answer);
    return this;
  }

  onUpgrade(route: string, handle: Upgrade): this {
    this.#upgrades.set(route, handle);
    return this;
  }

  /** Every upgrade is answered with 409 and the error, once `after` has come. */
  refuseUpgrades(after: Promise<void>, error: { code: string; message: string }): this {
    this.#refusal = { after, error };
    return this;
  }

  async #refuse(socket: Duplex): Promise<void> {
    await this.#refusal?.after;
    const body = JSON.stringify({ retry: true, ...this.#refusal?.error });
    const head = 'content-type: application/json\r\nconnection: close';
    socket.end(`HTTP/1.1 409 Conflict\r\n${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  }

  /** Bodies of the calls of one route, oldest first. */
  bodies(route: string): unknown[] {
    return this.calls
      .filter(({ method, path }) => `${method} ${path}` === route)
      .map(({ body }) => body);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #note(request: IncomingMessage, body: unknown): ApiCall {
    const { method = '', url = '', headers } = request;
    const { pathname, searchParams } = new URL(url, 'http://x');
    const query = Object.fromEntries(searchParams);
    const call = { method, path: pathname, query, body, headers };
    this.calls.push(call);
    return call;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await text(request);
    const isJson = request.headers['content-type'] === 'application/json';
    const call = this.#note(request, isJson ? JSON.parse(sent) : sent);
    const handle = this.#answers.get(`${call.method} ${call.path}`);
    if (call.headers.authorization !== `Bearer ${token}`)
      return sendError(response, 401, {
        code: 'controller.unauthorized',
        message: 'no such token',
      });
    if (!handle)
      return sendError(response, 404, {
        code: 'core.notFound',
        message: `the test has no ${call.method} ${call.path}`,
      });
    const body = await handle(call, response);
    if (response.writableEnded || response.headersSent) return;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  }
}

export function sendError(
  response: ServerResponse,
  status: number,
  error: { code: string; message: string; detail?: unknown },
): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ retry: false, ...error }));
}

/** An answer of NDJSON that ends after the values. */
export function lines(...values: unknown[]): Handler {
  return (_call, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.end(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
  };
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  stdin?: string | Input;
  /** stdin and stdout are a terminal. */
  isTty?: boolean;
  cwd?: string;
  env?: Record<string, string>;
  /** Called with a way to send signals, once the command runs. */
  onStart?(send: (name: SignalName) => void): void;
}

/** A home folder whose configuration knows the fake API. */
export class TestHome {
  readonly folder = mkdtempSync(join(tmpdir(), 'gantry-cli-'));
  readonly configFile = join(this.folder, 'config.json');

  constructor(api: FakeApi) {
    const cluster = {
      url: `http://api.gantry.localhost:${api.port}`,
      gitUrl: api.gitUrl,
      domain: 'gantry.localhost',
      token,
      address: '127.0.0.1',
    };
    this.writeConfig({ current: 'local', clusters: { local: cluster } });
  }

  writeConfig(config: ConfigFile | string): void {
    const json = typeof config === 'string' ? config : JSON.stringify(config);
    writeFileSync(this.configFile, json, { mode: 0o600 });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  async gantry(words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const { stdin = '', isTty = false, cwd = this.folder, env = {}, onStart } = options;
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const said = Promise.all([text(stdout), text(stderr)]);
    const handlers = new Map<SignalName, (() => void)[]>();
    const io: Io = {
      env: {
        GANTRY_CONFIG: this.configFile,
        GIT_CONFIG_GLOBAL: '/dev/null',
        PATH: process.env.PATH,
        ...env,
      },
      cwd,
      stdin: typeof stdin === 'string' ? (Readable.from([Buffer.from(stdin)]) as Input) : stdin,
      stdout,
      stderr,
      clock: impatientClock,
      onSignal(name, handle) {
        handlers.set(name, [...(handlers.get(name) ?? []), handle]);
        return () =>
          handlers.set(
            name,
            (handlers.get(name) ?? []).filter((one) => one !== handle),
          );
      },
    };
    if (isTty) for (const stream of [io.stdin, io.stdout]) stream.isTTY = true;
    onStart?.((name) => handlers.get(name)?.at(-1)?.());
    const code = await main(io, words);
    stdout.end();
    stderr.end();
    const [out, err] = await said;
    return { code, stdout: out, stderr: err };
  }
}

/** It is always the same moment, and no wait is longer than a few milliseconds. */
const impatientClock = {
  ...systemClock,
  now: () => now,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 5), signal),
};
