// The door of the controller for the CLI, the git receiver and tests. Light to import: types only, and the HTTP client.

import type { Duplex, Readable } from 'node:stream';
import { coreErrors } from '#core/errors';
import { createHttpClient, type HttpClient, type HttpClientOptions } from '#core/http-client';
import { readLines } from '#core/stream';
import type { HaStatus } from '#layer0/ha/wire';
import type { LogEntry, LogLine, LogQuery } from '#layer1/logs/wire';
import type { Route } from '#layer1/router/wire';
import type {
  AppView,
  CertificateView,
  ChangeApp,
  ChangeEnv,
  ChangeRoute,
  ChangeTags,
  Check,
  CreateApp,
  CreatedToken,
  CreateRoute,
  Deploy,
  FormationView,
  HostDetail,
  HostView,
  JoinToken,
  Released,
  ReleaseView,
  Run,
} from './api.ts';
import { ClusterCalls, viewTimeoutMs } from './cluster-calls.ts';
import type { App, Deployment, Event, JobView, ProgressLine, Token } from './wire.ts';

export type { HaStatus } from '#layer0/ha/wire';
export type * from './api.ts';
export type * from './backup-api.ts';
export type * from './cluster-api.ts';
export type * from './wire.ts';

export type ControllerClientOptions = HttpClientOptions & { token: string };

export interface CreateOptions {
  /** The same key again answers with what the first call made. */
  idempotencyKey?: string;
}

export interface Page<T> {
  items: T[];
  next?: number;
}

export interface ExecCall {
  command: string[];
  tty: boolean;
  rows?: number;
  cols?: number;
}

/** Without a TTY the socket speaks Docker's framing, both are in layer0/host/client. */
export interface Terminal {
  socket: Duplex;
}

/** How long a scale with `wait` may take before the answer is given up. */
const waitTimeoutMs = 310_000;
/** How long the answer to a build may take to begin: a turn, and the source on its way. */
const streamTimeoutMs = 900_000;
/** Calls that create or change code inspect images, which a busy engine answers slowly. */
const changeTimeoutMs = 60_000;

export function createControllerClient(options: ControllerClientOptions): ControllerClient {
  const { token, ...rest } = options;
  const headers = { ...rest.headers, authorization: `Bearer ${token}` };
  return new ControllerClient(createHttpClient({ ...rest, headers }));
}

/** One method per route; an error is the API's own, with its code. `app` is a name or an id. */
export class ControllerClient extends ClusterCalls {
  readonly #http: HttpClient;

  constructor(http: HttpClient) {
    super(http);
    this.#http = http;
  }

  async listApps(): Promise<App[]> {
    return (await this.#http.json<Page<App>>('GET', '/apps')).items;
  }

  readApp(app: string): Promise<AppView> {
    return this.#http.json('GET', at(app));
  }

  createApp(body: CreateApp, options: CreateOptions = {}): Promise<AppView> {
    return this.#change('POST', '/apps', body, options);
  }

  changeApp(app: string, body: ChangeApp): Promise<AppView> {
    return this.#change('PATCH', at(app), body);
  }

  /** The app is marked; `readApp` answers controller.appNotFound when all of it is gone. */
  deleteApp(app: string): Promise<App> {
    return this.#change('DELETE', at(app));
  }

  /** Names; every value is `***`. */
  async readEnv(app: string): Promise<Record<string, string>> {
    return (await this.#http.json<{ env: Record<string, string> }>('GET', at(app, 'env'))).env;
  }

  async readEnvValue(app: string, name: string): Promise<string> {
    return (await this.#http.json<{ value: string }>('GET', at(app, 'env', name))).value;
  }

  changeEnv(app: string, body: ChangeEnv): Promise<Released> {
    return this.#change('PATCH', at(app, 'env'), body);
  }

  listReleases(app: string, query: { before?: number; limit?: number } = {}) {
    return this.#http.json<Page<ReleaseView>>('GET', at(app, 'releases'), { query });
  }

  readRelease(app: string, version: number): Promise<ReleaseView> {
    return this.#http.json('GET', at(app, 'releases', String(version)));
  }

  deploy(app: string, body: Deploy, options: CreateOptions = {}): Promise<Released> {
    return this.#change('POST', at(app, 'deploy'), body, options);
  }

  /** To the last good release before the current one, or to a version; makes a new release. */
  rollBack(app: string, version?: number, options: CreateOptions = {}): Promise<Released> {
    return this.#change('POST', at(app, 'rollback'), version ? { version } : {}, options);
  }

  /** A `docker save` stream. */
  async importImages(tar: Readable): Promise<{ id: string; tags: string[] }[]> {
    const { images } = await this.#http.json<{ images: { id: string; tags: string[] }[] }>(
      'POST',
      '/images',
      { ...tarBody(tar), timeoutMs: streamTimeoutMs },
    );
    return images;
  }

  /** Builds a tar of source and rolls it out; the last line is a result or an error. Aborting ends the build. */
  build(
    app: string,
    tar: Readable,
    { signal, ...query }: { commit: string; description?: string; signal?: AbortSignal },
  ): AsyncGenerator<ProgressLine> {
    const options = { query, ...tarBody(tar), timeoutMs: streamTimeoutMs, signal };
    return this.#http.ndjson<ProgressLine>('POST', at(app, 'builds'), options);
  }

  async listDeployments(app: string): Promise<Deployment[]> {
    return (await this.#http.json<Page<Deployment>>('GET', at(app, 'deployments'))).items;
  }

  readDeployment(app: string, id: string): Promise<Deployment> {
    return this.#http.json('GET', at(app, 'deployments', id));
  }

  /** Each step as a line, from now to the end; the last line is a result or an error. */
  followDeployment(app: string, id: string, signal?: AbortSignal): AsyncGenerator<ProgressLine> {
    return this.#http.ndjson('GET', at(app, 'deployments', id, 'stream'), { signal });
  }

  readFormation(app: string): Promise<FormationView> {
    return this.#http.json('GET', at(app, 'formation'));
  }

  scale(
    app: string,
    quantities: Record<string, number>,
    { wait = false, signal }: { wait?: boolean; signal?: AbortSignal } = {},
  ): Promise<FormationView> {
    const timeoutMs = wait ? waitTimeoutMs : changeTimeoutMs;
    const options = { body: { quantities }, query: { wait }, timeoutMs, signal };
    return this.#http.json('PATCH', at(app, 'formation'), options);
  }

  async listJobs(app: string): Promise<JobView[]> {
    return (await this.#http.json<Page<JobView>>('GET', at(app, 'jobs'))).items;
  }

  runJob(app: string, body: Run): Promise<JobView> {
    return this.#change('POST', at(app, 'jobs'), body);
  }

  /** A one-off ends; a process gets the signal and is started again. `job` is an id or a name like web.1. */
  killJob(app: string, job: string, signal?: string): Promise<JobView> {
    return this.#http.json('DELETE', at(app, 'jobs', job), { query: { signal } });
  }

  /** Resolves with the job when it has ended. */
  async waitForExit(app: string, job: string, signal?: AbortSignal): Promise<JobView> {
    const lines = this.#http.ndjson<JobView>('GET', at(app, 'jobs', job, 'exit'), { signal });
    for await (const ended of lines) return ended;
    throw coreErrors.unreachable(`the API ended its answer before ${job} ended`);
  }

  /** Waits until the job has started. */
  async attach(app: string, job: string, options: { stdin: boolean }): Promise<Terminal> {
    const path = at(app, 'jobs', job, 'attach');
    const { socket, head } = await this.#http.upgrade(path, {
      query: { stdin: options.stdin, replay: true },
      timeoutMs: waitTimeoutMs,
    });
    if (head.length > 0) socket.unshift(head);
    return { socket };
  }

  resizeJob(app: string, job: string, size: { rows: number; cols: number }): Promise<void> {
    return this.#http.json('POST', at(app, 'jobs', job, 'resize'), { body: size });
  }

  /** Runs another process in the job's container. */
  async exec(app: string, job: string, call: ExecCall): Promise<Terminal> {
    const { socket, head } = await this.#http.upgrade(at(app, 'jobs', job, 'exec'), {
      query: { options: JSON.stringify(call) },
      timeoutMs: changeTimeoutMs,
    });
    if (head.length > 0) socket.unshift(head);
    return { socket };
  }

  async listRoutes(app: string): Promise<Route[]> {
    return (await this.#http.json<Page<Route>>('GET', at(app, 'routes'))).items;
  }

  createRoute(app: string, body: CreateRoute): Promise<Route> {
    return this.#change('POST', at(app, 'routes'), body);
  }

  changeRoute(app: string, id: string, body: ChangeRoute): Promise<Route> {
    return this.#change('PATCH', at(app, 'routes', id), body);
  }

  removeRoute(app: string, id: string): Promise<Route> {
    return this.#change('DELETE', at(app, 'routes', id));
  }

  async listCertificates(): Promise<CertificateView[]> {
    return (await this.#http.json<Page<CertificateView>>('GET', '/certificates')).items;
  }

  putCertificate(
    domain: string,
    body: { certificatePem: string; keyPem: string },
  ): Promise<CertificateView> {
    return this.#change('PUT', `/certificates/${encodeURIComponent(domain)}`, body);
  }

  removeCertificate(domain: string): Promise<void> {
    return this.#change('DELETE', `/certificates/${encodeURIComponent(domain)}`);
  }

  /** The log so far. */
  readLog(
    app: string,
    query: Omit<LogQuery, 'app' | 'follow'>,
    signal?: AbortSignal,
  ): AsyncGenerator<LogLine> {
    return this.#http.ndjson('GET', at(app, 'log'), { query: { ...query }, signal });
  }

  /** The log so far and what is to come; when it ends or breaks, go on `after` the cursor of the last entry. */
  followLog(
    app: string,
    query: Omit<LogQuery, 'app' | 'follow'>,
    signal: AbortSignal,
  ): AsyncGenerator<LogEntry> {
    return this.#http.ndjson('GET', at(app, 'log'), { query: { ...query, follow: true }, signal });
  }

  listEvents(query: { app?: string; after?: number; limit?: number } = {}): Promise<Page<Event>> {
    return this.#http.json('GET', '/events', { query });
  }

  /** Events after one, then those to come; ends with an error when the connection breaks: go on after the last one. */
  async *followEvents(
    query: { app?: string; after?: number },
    signal?: AbortSignal,
  ): AsyncGenerator<Event> {
    const response = await this.#http.raw('GET', '/events', {
      query: { ...query, follow: true },
      signal,
    });
    try {
      for await (const line of readLines(response))
        if (line.startsWith('data: ')) yield JSON.parse(line.slice('data: '.length)) as Event;
    } finally {
      response.destroy();
    }
  }

  whoAmI(): Promise<{ id: string; name: string }> {
    return this.#http.json('GET', '/whoami', { timeoutMs: viewTimeoutMs });
  }

  async listHosts(): Promise<HostView[]> {
    return (await this.#http.json<Page<HostView>>('GET', '/hosts')).items;
  }

  readStore(): Promise<HaStatus> {
    return this.#http.json('GET', '/cluster/store');
  }

  /** Begins the move to etcd; `readStore` says how it goes. */
  moveStore(hosts?: readonly string[]): Promise<HaStatus> {
    return this.#change('POST', '/cluster/ha', hosts ? { hosts } : {});
  }

  /** By name or id, as in all calls about one machine. */
  readHost(host: string): Promise<HostDetail> {
    return this.#http.json('GET', ofHost(host));
  }

  changeHostTags(host: string, tags: ChangeTags['tags']): Promise<HostDetail> {
    return this.#change('PATCH', ofHost(host, 'tags'), { tags });
  }

  drainHost(host: string): Promise<HostDetail> {
    return this.#change('POST', ofHost(host, 'drain'));
  }

  undrainHost(host: string): Promise<HostDetail> {
    return this.#change('DELETE', ofHost(host, 'drain'));
  }

  /** controller.hostInUse where it runs something, unless forced. */
  async removeHost(host: string, { isForced = false } = {}): Promise<void> {
    await this.#http.json('DELETE', ofHost(host), { query: { force: isForced } });
  }

  /** Of one app, or of all; it goes on by itself. */
  async rebalance(app?: string): Promise<void> {
    await this.#change('POST', '/rebalance', app === undefined ? {} : { app });
  }

  /** The only answer that has the token. */
  createJoinToken(): Promise<JoinToken> {
    return this.#change('POST', '/hosts/join-tokens');
  }

  async listTokens(): Promise<Token[]> {
    return (await this.#http.json<Page<Token>>('GET', '/tokens')).items;
  }

  /** The only answer that has the token itself. */
  createToken(name: string): Promise<CreatedToken> {
    return this.#change('POST', '/tokens', { name });
  }

  revokeToken(id: string): Promise<void> {
    return this.#change('DELETE', `/tokens/${encodeURIComponent(id)}`);
  }

  status(): Promise<Record<string, unknown>> {
    return this.#http.json('GET', '/status');
  }

  async doctor(): Promise<Check[]> {
    return (await this.#http.json<Page<Check>>('GET', '/doctor', { timeoutMs: viewTimeoutMs }))
      .items;
  }

  close(): void {
    this.#http.close();
  }

  #change<T>(
    method: string,
    path: string,
    body?: unknown,
    { idempotencyKey }: CreateOptions = {},
  ): Promise<T> {
    const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
    const options = { headers, timeoutMs: changeTimeoutMs };
    return this.#http.json(method, path, body === undefined ? options : { ...options, body });
  }
}

function ofHost(host: string, ...parts: string[]): string {
  return ['/hosts', ...[host, ...parts].map(encodeURIComponent)].join('/');
}

function at(app: string, ...parts: string[]): string {
  return ['/apps', ...[app, ...parts].map(encodeURIComponent)].join('/');
}

function tarBody(bodyStream: Readable) {
  return { bodyStream, headers: { 'content-type': 'application/x-tar' } };
}
