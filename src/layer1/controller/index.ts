// The door for bin/ and tests: the API, and the loop of whoever leads.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { hasCode, toAppError } from '#core/errors';
import { createHttpServer, type HttpServer, listenTcp } from '#core/http-server';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Leadership, Store } from '#layer0/store/client';
import { BuildQueue } from './build-queue.ts';
import type {
  BuilderPort,
  Context,
  HostPort,
  LogsPort,
  SchedulerPort,
  Settings,
} from './context.ts';
import { registerControllerRoutes } from './http.ts';
import { electionName, LeaderLoop } from './loop.ts';
import { createObserver } from './observe.ts';
import { Admission } from './operations/admission.ts';

export type { BuilderPort, HostPort, LogsPort, SchedulerPort, Settings } from './context.ts';
export { newToken, tokenHash } from './operations/tokens.ts';

export interface ControllerDeps {
  store: Store;
  host: HostPort;
  scheduler: SchedulerPort;
  builder: BuilderPort;
  logs: LogsPort;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface ControllerOptions extends Settings {
  internalKey: string;
  /** Of one token. */
  callsPerSecond: number;
  callsAtOnce: number;
  electionTtlMs: number;
  /** Shown as the leader's name. */
  identity: string;
  /** On 127.0.0.1; absent: no socket, requests are injected. */
  port?: number;
}

export interface Controller extends Component {
  readonly server: HttpServer;
  /** Where it listens, once started. */
  readonly port: number | undefined;
  readonly isLeader: boolean;
}

/** Waits after a campaign that failed for a reason that retrying does not mend at once. */
const campaignPauseMs = 1_000;

export function createController(deps: ControllerDeps, options: ControllerOptions): Controller {
  return new RunningController(deps, options);
}

class RunningController implements Controller {
  readonly server: HttpServer;
  port: number | undefined;
  readonly #context: Context;
  readonly #options: ControllerOptions;
  readonly #abort = new AbortController();
  #loop: LeaderLoop | undefined;
  #leading: Promise<void> | undefined;

  constructor(deps: ControllerDeps, options: ControllerOptions) {
    this.#options = options;
    this.#context = {
      ...deps,
      observer: createObserver(deps),
      builds: new BuildQueue(),
      settings: options,
    };
    this.server = createHttpServer({ log: deps.log });
    const { internalKey, callsPerSecond: perSecond, callsAtOnce: burst } = options;
    const { store, clock } = deps;
    const admission = new Admission({ store, clock, internalKey, rate: { perSecond, burst } });
    const status = () => this.status();
    registerControllerRoutes(this.server, { context: this.#context, admission, status });
  }

  get isLeader(): boolean {
    return this.#loop !== undefined;
  }

  async start(): Promise<void> {
    await this.#context.observer.ready;
    const { port } = this.#options;
    if (port === undefined) await this.server.ready();
    else this.port = await listenTcp(this.server, '127.0.0.1', port);
    this.#leading = this.#lead();
  }

  /** Requests end first, then the leadership is handed over, so that the next leader begins at once. */
  async stop(): Promise<void> {
    await this.server.close();
    this.#abort.abort();
    await this.#leading;
    this.#context.observer.stop();
  }

  status(): Record<string, unknown> {
    const { observer } = this.#context;
    return {
      isLeader: this.isLeader,
      isConnected: observer.isConnected,
      apps: observer.apps().length,
      hosts: observer.hostCount(),
      ...(this.#loop ? { deployments: this.#loop.status() } : {}),
    };
  }

  async #lead(): Promise<void> {
    const { store, clock, log } = this.#context;
    const { identity, electionTtlMs: ttlMs } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const leadership = await store.elect(electionName, { identity, ttlMs, signal });
        log.info({ identity }, 'leads the deployments');
        await this.#leadUntilLost(leadership);
      } catch (error) {
        if (signal.aborted || hasCode(error, 'core.aborted')) continue;
        log.warn({ err: toAppError(error) }, 'campaign failed');
        await clock.sleep(campaignPauseMs, signal).catch(() => undefined);
      }
    }
  }

  async #leadUntilLost(leadership: Leadership): Promise<void> {
    const { signal } = this.#abort;
    const { deploySlackMs, deploySteadyMs, domain } = this.#options;
    const deps = { ...this.#context, deploySlackMs, deploySteadyMs, domain };
    this.#loop = new LeaderLoop(deps, leadership);
    this.#loop.start();
    try {
      await fired(AbortSignal.any([signal, leadership.lost]));
    } finally {
      await this.#loop.stop();
      this.#loop = undefined;
      if (!leadership.lost.aborted) await leadership.resign();
    }
  }
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
