// A real HAProxy started as its container would, a store and a discovery in memory, routers that come and go,
// and instances that register, drain and leave as the host agent has them do.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#core/clock';
import { readConfig } from '#core/config';
import { createLog, silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createDiscovery, type DiscoveryClient, type Instance } from '#layer0/discovery/client';
import type { EmbeddedStore } from '#layer0/store/embedded-store';
import { createMemoryStore } from '#layer0/store/fake';
import { type RouterConfig, routerSettings } from '#layer1/router/config';
import { createRouter, createRouterDiscovery, type RouterComponent } from '#layer1/router/index';
import { type Route, routeKey } from '#layer1/router/wire';
import { type Backend, startBackend } from './backend.ts';

const hangMs = 20_000;
// GANTRY_TEST_SHELL='chroot /other/root sh' runs the proxy with another HAProxy than this machine's.
const routerLog = process.env.GANTRY_TEST_LOG
  ? createLog('router', process.env.GANTRY_TEST_LOG)
  : silentLog;

/** Undefined where HAProxy is not installed; then why. */
export function haproxyMissing(): string | undefined {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'haproxy is not installed';
  }
}

export async function waitFor<T>(
  what: string,
  read: () => T | Promise<T>,
  limitMs = hangMs,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      const value = await read();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    await systemClock.sleep(20);
  }
  throw new Error(`waited ${limitMs} ms for ${what}; the last look gave ${String(last)}`);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface ProxyProcess {
  child: ChildProcess;
  healthPort: number;
  logPath: string;
  /** SIGTERM, as the host agent stops a job: finish what runs, then exit. */
  stopGently(): Promise<number | null>;
  /** SIGKILL to everything of it, as a container is killed. */
  kill(): Promise<void>;
}

let appNumber = 0;

export class Harness {
  readonly home: string;
  readonly config: RouterConfig;
  readonly store: EmbeddedStore = createMemoryStore();
  readonly discovery: DiscoveryClient;
  readonly #routerDiscoveries: DiscoveryClient[] = [];
  readonly #proxies: ProxyProcess[] = [];
  readonly #routers: RouterComponent[] = [];
  readonly #backends: Backend[] = [];

  private constructor(home: string, config: RouterConfig) {
    this.home = home;
    this.config = config;
    this.discovery = this.#newDiscovery();
  }

  static async create(overrides: Partial<RouterConfig> = {}): Promise<Harness> {
    const home = await mkdtemp(join(tmpdir(), 'gantry-router-'));
    const defaults = readConfig(routerSettings, {
      GANTRY_HOME: home,
      GANTRY_HOST_ID: 'host-test',
      GANTRY_ROUTER_BIND: '127.0.0.1',
      GANTRY_HTTP_PORT: String(await freePort()),
      GANTRY_HTTPS_PORT: String(await freePort()),
      PORT: '0',
    });
    return new Harness(home, { ...defaults, ...overrides });
  }

  get port(): number {
    return this.config.httpPort;
  }

  async startProxy(): Promise<ProxyProcess> {
    const healthPort = await freePort();
    const logPath = join(this.home, `proxy-${this.#proxies.length}.log`);
    const script = join(import.meta.dirname, '../../bin/gantry-proxy.sh');
    const [command = 'sh', ...args] = [
      ...(process.env.GANTRY_TEST_SHELL ?? 'sh').split(' '),
      script,
    ];
    const child = spawn(command, args, {
      env: { ...process.env, GANTRY_HOME: this.home, PORT: String(healthPort) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const log = createWriteStream(logPath);
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const signal = (name: NodeJS.Signals, target: number) => {
      try {
        process.kill(target, name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    };
    const proxy: ProxyProcess = {
      child,
      healthPort,
      logPath,
      stopGently: () => {
        signal('SIGTERM', Number(child.pid));
        return exited;
      },
      kill: async () => {
        signal('SIGKILL', -Number(child.pid));
        await exited;
      },
    };
    this.#proxies.push(proxy);
    await waitFor('the proxy to be healthy', () =>
      fetch(`http://127.0.0.1:${healthPort}/`).then((answer) => answer.ok),
    );
    return proxy;
  }

  /** What a router asks of the host daemon when a machine is silent. */
  endConnections = async (_address: string): Promise<number> => 0;

  async startRouter(): Promise<RouterComponent> {
    const parts = { store: this.store, clock: systemClock, random: systemRandom, log: silentLog };
    const discovery = createRouterDiscovery(parts, this.config);
    this.#routerDiscoveries.push(discovery);
    const deps = {
      store: this.store,
      discovery,
      openSealed: async (_context: string, sealed: string) => sealed,
      endConnections: (address: string) => this.endConnections(address),
      clock: systemClock,
      random: systemRandom,
      log: routerLog,
    };
    const router = createRouter(deps, this.config);
    this.#routers.push(router);
    await router.start();
    return router;
  }

  get routers(): readonly RouterComponent[] {
    return this.#routers;
  }

  async stopRouters(): Promise<void> {
    for (const router of this.#routers.splice(0)) await router.stop();
  }

  async addRoute(route: Partial<Route> & { service: string }): Promise<Route> {
    const id = `rte-${++appNumber}`;
    const full: Route = {
      id,
      app: `app-${id}`,
      appName: route.service.split('.')[1] ?? 'x',
      type: 'http',
      sendsProxyProtocol: false,
      redirectsToHttps: false,
      isSystem: false,
      createdAt: appNumber,
      ...route,
    };
    await this.store.txn({ compare: [], operations: [{ put: routeKey(id), value: full }] });
    return full;
  }

  async removeRoute(route: Route): Promise<void> {
    await this.store.txn({ compare: [], operations: [{ delete: routeKey(route.id) }] });
  }

  /** An instance that runs and is registered. */
  async startInstance(service: string, index: number, options = {}): Promise<RunningInstance> {
    const job = `job-${++appNumber}`;
    const backend = await startBackend({ name: job, ...options });
    this.#backends.push(backend);
    const instance: Instance = {
      id: `${index}.${service}`,
      service,
      job,
      address: '127.0.0.1',
      port: backend.port,
      ports: { http: backend.port },
      state: 'up',
      host: 'host-test',
      createdAt: Date.now(),
      metadata: {},
    };
    await this.discovery.register(instance);
    return { backend, instance, ref: { service, handle: job } };
  }

  /** Drain, wait for every consumer, stop, deregister: what the host agent does. */
  async stopInstance({ backend, ref }: RunningInstance): Promise<void> {
    await this.discovery.update(ref, { state: 'draining' });
    await waitFor(`${ref.handle} to be drained`, () => this.discovery.drainStatus(ref).mayStop);
    await backend.kill();
    await this.discovery.deregister(ref);
  }

  /** Waits until a request to this host is answered by this status. */
  async answers(host: string, status = 200, path = '/'): Promise<void> {
    await waitFor(`${host}${path} to answer ${status}`, async () => {
      const answer = await this.get(host, path);
      return answer.status === status;
    });
  }

  async get(host: string, path = '/', headers: Record<string, string> = {}) {
    const { request } = await import('node:http');
    return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>(
      (resolve, reject) => {
        const call = request(
          { host: '127.0.0.1', port: this.port, path, headers: { host, ...headers }, agent: false },
          (response) => {
            let body = '';
            response.setEncoding('utf8');
            response.on('data', (chunk: string) => {
              body += chunk;
            });
            response.on('error', reject);
            response.on('end', () =>
              resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
            );
          },
        );
        call.on('error', reject);
        call.end();
      },
    );
  }

  async runFolders(): Promise<string[]> {
    return await readdir(join(this.home, 'proxy/run'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    await this.stopRouters();
    for (const discovery of this.#routerDiscoveries) await discovery.close();
    await this.discovery.close();
    for (const proxy of this.#proxies) await proxy.kill();
    for (const backend of this.#backends) await backend.kill().catch(() => undefined);
    await this.store.close();
    await rm(this.home, { recursive: true, force: true });
  }

  #newDiscovery(): DiscoveryClient {
    return createDiscovery({
      store: this.store,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    });
  }
}

export interface RunningInstance {
  backend: Backend;
  instance: Instance;
  ref: { service: string; handle: string };
}
