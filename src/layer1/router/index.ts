// The door for bin/ and tests: a router that campaigns for its host, drives HAProxy while it leads, and answers on loopback.

import { mkdirSync, watch } from 'node:fs';
import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { createHttpServer, type HttpServer, listenTcp } from '#core/http-server';
import { newId } from '#core/ids';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import { backoffMs } from '#core/retry';
import { createDiscovery, type DiscoveryClient } from '#layer0/discovery/client';
import { createMirror, type Leadership, type Mirror, type Store } from '#layer0/store/client';
import type { OpenSealed } from './certificates.ts';
import { proxyPaths, type RouterConfig } from './config.ts';
import { registerRouterRoutes } from './http.ts';
import { ConsumerReport, type PassResult, TableDriver } from './router.ts';
import { type Certificate, certificatePrefix, type Route, routePrefix } from './wire.ts';
import type { EndConnections } from './worker.ts';

export { type RouterConfig, routerSettings } from './config.ts';

/** How long a dead router's claim to lead lasts; nothing but changes waits for it. */
const leaderTtlMs = 5_000;
/** Longest time between two looks at HAProxy when nothing has changed. */
const resyncMs = 5_000;
const campaignBackoff = { minMs: 200, maxMs: 5_000 };

export interface RouterDeps {
  store: Store;
  discovery: DiscoveryClient;
  openSealed: OpenSealed;
  endConnections: EndConnections;
  clock: Clock;
  random: Random;
  log: Log;
}

export function createRouter(deps: RouterDeps, config: RouterConfig): RouterComponent {
  return new RouterComponent(deps, config);
}

/**
 * A router's record in discovery stands for its HAProxy, which goes on without it: it outlives the router by far more than a
 * lease that only says who is alive, so that no drain takes silence for an end of the requests.
 */
export function createRouterDiscovery(
  deps: Pick<RouterDeps, 'store' | 'clock' | 'random' | 'log'>,
  { awayMs, hostId: here }: Pick<RouterConfig, 'awayMs' | 'hostId'>,
): DiscoveryClient {
  return createDiscovery({ ...deps, here, ttlMs: awayMs });
}

export class RouterComponent implements Component {
  readonly #deps: RouterDeps;
  readonly #config: RouterConfig;
  readonly #identity = newId('req').replace('req', 'router');
  readonly #driver: TableDriver;
  readonly #loop: Loop;
  readonly #server: HttpServer;
  readonly #ended = new AbortController();
  #routes: Mirror<Route> | undefined;
  /** Of `#routes`, until one changes. */
  #routeList: readonly Route[] | undefined;
  #certificates: Mirror<Certificate> | undefined;
  #leadership: Leadership | undefined;
  #consumer: ConsumerReport | undefined;
  #campaign: Promise<void> = Promise.resolve();
  #cleanups: (() => void)[] = [];
  #port = 0;

  constructor(deps: RouterDeps, config: RouterConfig) {
    this.#deps = deps;
    this.#config = config;
    const { clock, random, log } = deps;
    this.#driver = new TableDriver({ ...deps, settings: config });
    const run = () => this.#pass();
    const backoff = { minMs: 100, maxMs: 2_000 };
    this.#loop = createLoop({ name: 'router', run, resyncMs, backoff, clock, random, log });
    this.#server = createHttpServer({ log });
    registerRouterRoutes(this.#server, { status: () => this.status() });
  }

  async start(): Promise<void> {
    const { store, discovery, clock, random, log } = this.#deps;
    const { signal } = this.#ended;
    const onChange = () => this.#loop.trigger();
    const options = { clock, random, log, signal, onChange };
    const onRoutes = () => {
      this.#routeList = undefined;
      onChange();
    };
    this.#routes = createMirror<Route>(store, routePrefix, { ...options, onChange: onRoutes });
    this.#certificates = createMirror<Certificate>(store, certificatePrefix, options);
    this.#cleanups.push(discovery.watchAll(onChange));
    const { run } = proxyPaths(this.#config.home);
    mkdirSync(run, { recursive: true });
    const watcher = watch(run, onChange);
    this.#cleanups.push(() => watcher.close());
    this.#port = await listenTcp(this.#server, '127.0.0.1', this.#config.port);
    this.#campaign = this.#leadWhileElected();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    await this.#loop.stop();
    await this.#campaign;
    await this.#server.close();
  }

  status(): Record<string, unknown> {
    return {
      identity: this.#identity,
      port: this.#port,
      isLeader: this.#leadership !== undefined,
      loop: this.#loop.status(),
      ...this.#driver.status(),
    };
  }

  /** Campaign, lead until the claim is lost, campaign again. */
  async #leadWhileElected(): Promise<void> {
    const { store, clock, random, log } = this.#deps;
    const { signal } = this.#ended;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const election = { identity: this.#identity, ttlMs: leaderTtlMs, signal };
        const leadership = await store.elect(`router/${this.#config.hostId}`, election);
        failures = 0;
        await this.#lead(leadership);
      } catch (error) {
        if (signal.aborted) return;
        const waitMs = backoffMs(++failures, campaignBackoff, random);
        log.warn({ err: error, waitMs }, 'the campaign to lead this host failed');
        await clock.sleep(waitMs, signal).catch(ended);
      }
    }
  }

  async #lead(leadership: Leadership): Promise<void> {
    const { discovery, log } = this.#deps;
    // One record for all routers of a host, because it stands for the host's HAProxy, which serves without a leader too: an
    // instance that stops meanwhile must wait until somebody has told HAProxy.
    const consumer = discovery.consume(`router/${this.#config.hostId}`, this.#config.hostId);
    this.#leadership = leadership;
    this.#consumer = new ConsumerReport(consumer);
    this.#driver.forget();
    log.info({ identity: this.#identity, host: this.#config.hostId }, 'leads');
    this.#loop.start();
    try {
      await anyAborted(leadership.lost, this.#ended.signal);
    } finally {
      await this.#loop.stop();
      this.#leadership = undefined;
      this.#consumer = undefined;
      consumer.leave();
      await leadership.resign().catch((error: unknown) => log.debug({ err: error }, 'resign'));
    }
  }

  async #pass(): Promise<void | { againMs: number }> {
    const { discovery } = this.#deps;
    await Promise.all([this.#routes?.synced, this.#certificates?.synced, discovery.ready()]);
    const directory = discovery.directory();
    if (!this.#leadership || !directory || !this.#routes || !this.#certificates) return;
    this.#routeList ??= [...this.#routes.entries().values()].map((entry) => entry.value);
    const routes = this.#routeList;
    const certificates = [...this.#certificates.entries().values()].map((entry) => entry.value);
    const result: PassResult = await this.#driver.pass({ routes, certificates, directory });
    if (result.isApplied) await this.#consumer?.report(directory, result.busy);
    return result.againMs === undefined ? undefined : { againMs: result.againMs };
  }
}

function anyAborted(...signals: AbortSignal[]): Promise<void> {
  const either = AbortSignal.any(signals);
  if (either.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    either.addEventListener('abort', () => resolve(), { once: true }),
  );
}

/** The loop's own condition sees the end. */
function ended(): void {}
