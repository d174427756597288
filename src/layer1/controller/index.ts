// The door for bin/ and tests: the API, and the loop of whoever leads.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { createHttpServer, type HttpServer, listenTcp } from '#core/http-server';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { Store } from '#layer0/store/client';
import { BuildQueue } from './build-queue.ts';
import { Candidate, type CandidateOptions } from './candidate.ts';
import type {
  BuilderPort,
  Context,
  HaPort,
  HostPort,
  LogsPort,
  MembershipPort,
  SchedulerPort,
  Settings,
} from './context.ts';
import { registerControllerRoutes } from './http.ts';
import { createObserver } from './observe.ts';
import { Admission } from './operations/admission.ts';

export type {
  BuilderPort,
  HostPort,
  LogsPort,
  MembershipPort,
  SchedulerPort,
  Settings,
} from './context.ts';
export { newToken, tokenHash } from './operations/tokens.ts';

export interface ControllerDeps {
  store: Store;
  host: HostPort;
  membership: MembershipPort;
  ha: HaPort;
  scheduler: SchedulerPort;
  builder: BuilderPort;
  logs: LogsPort;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface ControllerOptions extends Settings, CandidateOptions {
  internalKey: string;
  /** Of one token. */
  callsPerSecond: number;
  callsAtOnce: number;
  /** On 127.0.0.1; absent: no socket, requests are injected. */
  port?: number;
}

export interface Controller extends Component {
  readonly server: HttpServer;
  /** Where it listens, once started. */
  readonly port: number | undefined;
  readonly isLeader: boolean;
}

export function createController(deps: ControllerDeps, options: ControllerOptions): Controller {
  return new RunningController(deps, options);
}

class RunningController implements Controller {
  readonly server: HttpServer;
  port: number | undefined;
  readonly #context: Context;
  readonly #options: ControllerOptions;
  readonly #candidate: Candidate;

  constructor(deps: ControllerDeps, options: ControllerOptions) {
    this.#options = options;
    this.#context = {
      ...deps,
      observer: createObserver(deps),
      builds: new BuildQueue(),
      settings: options,
    };
    const { deploySlackMs, deploySteadyMs, domain } = options;
    const leading = { ...this.#context, deploySlackMs, deploySteadyMs, domain };
    this.#candidate = new Candidate(leading, options);
    this.server = createHttpServer({ log: deps.log });
    const { internalKey, callsPerSecond: perSecond, callsAtOnce: burst } = options;
    const { store, clock } = deps;
    const { observer } = this.#context;
    const rate = { perSecond, burst };
    const admission = new Admission({ store, observer, clock, internalKey, rate });
    const status = () => this.status();
    registerControllerRoutes(this.server, { context: this.#context, admission, status });
  }

  get isLeader(): boolean {
    return this.#candidate.loop !== undefined;
  }

  async start(): Promise<void> {
    await this.#context.observer.ready;
    const { port } = this.#options;
    if (port === undefined) await this.server.ready();
    else this.port = await listenTcp(this.server, '127.0.0.1', port);
    this.#candidate.start();
  }

  /** Requests end first, then the leadership is handed over, so that the next leader begins at once. */
  async stop(): Promise<void> {
    await this.server.close();
    await this.#candidate.stop();
    this.#context.observer.stop();
  }

  status(): Record<string, unknown> {
    const { observer } = this.#context;
    const { loop } = this.#candidate;
    return {
      isLeader: this.isLeader,
      isConnected: observer.isConnected,
      apps: observer.apps().length,
      hosts: observer.hostCount(),
      ...(loop ? { deployments: loop.status() } : {}),
    };
  }
}
