// The door of logs for bin/ and tests: collects what every container of this host says, keeps it, answers for it.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { createHttpServer, type HttpServer, listenTcp } from '#core/http-server';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import type { HostClient } from '#layer0/host/client';
import { type JobStatus, statusPrefix } from '#layer0/host/wire';
import { createMirror, type Mirror, type MirrorOptions, type Store } from '#layer0/store/client';
import { Collector } from './collector.ts';
import type { LogsConfig } from './config.ts';
import { logsErrors } from './errors.ts';
import { registerLogsRoutes } from './http.ts';
import { readLog } from './read-log.ts';
import type { LogEntry, LogQuery } from './wire.ts';

export interface LogsDeps {
  store: Store;
  host: Pick<HostClient, 'logSources'>;
  /** With an app's id the key of its record: when that is gone, so is its history. */
  appPrefix: string;
  clock: Clock;
  random: Random;
  log: Log;
}

export function createLogs(deps: LogsDeps, config: LogsConfig): Component {
  return new Logs(deps, config);
}

/** How long the claim of a dead process lasts: so long does nobody collect. Nothing is lost, the files wait. */
const electionTtlMs = 5_000;
/** A reader that comes while the collecting process changes waits rather than fails; its own time limit is 10 s. */
const readerPatienceMs = electionTtlMs + 3_000;
const patienceStepMs = 100;

class Logs implements Component {
  readonly #deps: LogsDeps;
  readonly #config: LogsConfig;
  readonly #server: HttpServer;
  readonly #stop = new AbortController();
  #apps: Mirror<unknown> | undefined;
  /** Only while this process leads: during an update two run, and one history has one writer. */
  #collector: Collector | undefined;
  #leading: Promise<void> = Promise.resolve();

  constructor(deps: LogsDeps, config: LogsConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#server = createHttpServer({ log: deps.log });
    registerLogsRoutes(this.#server, {
      read: (query, signal) => this.#read(query, signal),
      status: () => this.status(),
      internalKey: config.internalKey,
      clock: deps.clock,
    });
  }

  async start(): Promise<void> {
    const { store, appPrefix, clock, random, log } = this.#deps;
    const { hostId } = this.#config;
    const common = { clock, random, log, signal: this.#stop.signal };
    this.#apps = createMirror(store, appPrefix, common);
    const onChange: MirrorOptions<JobStatus>['onChange'] = (change) => {
      if (change === 'resync' || change.some(({ entry }) => entry.value.host === hostId))
        this.#collector?.trigger();
    };
    createMirror<JobStatus>(store, statusPrefix, { ...common, onChange });
    this.#leading = this.#lead();
    await listenTcp(this.#server, '127.0.0.1', this.#config.port);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#server.close();
    await this.#leading;
  }

  status(): Record<string, unknown> {
    return { logs: this.#collector?.status() ?? { state: 'another process collects' } };
  }

  /** Campaigns, collects while elected, campaigns again; hands over as soon as it is told to stop. */
  async #lead(): Promise<void> {
    const { store, log, clock } = this.#deps;
    const { signal } = this.#stop;
    const { hostId } = this.#config;
    while (!signal.aborted) {
      try {
        const options = { identity: `logs of ${hostId}`, ttlMs: electionTtlMs, signal };
        const leadership = await store.elect(`logs/${hostId}`, options);
        await this.#collect(AbortSignal.any([leadership.lost, signal]));
        await leadership.resign();
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, 'could not campaign for collecting logs');
        await clock.sleep(1000);
      }
    }
  }

  async #collect(until: AbortSignal): Promise<void> {
    const { host, clock, random, log } = this.#deps;
    const { home, segmentBytes, segmentsPerApp } = this.#config;
    const collector = new Collector(
      { list: () => host.logSources(), isGone: (app) => this.#isGone(app), clock, random, log },
      { folder: `${home}/logs`, limits: { segmentBytes, segments: segmentsPerApp } },
    );
    this.#collector = collector;
    collector.start();
    if (!until.aborted) await new Promise((resolve) => until.addEventListener('abort', resolve));
    this.#collector = undefined;
    await collector.stop();
  }

  /** Only a store that answers can say that an app is gone; one that is away or empty says nothing. */
  #isGone(app: string): boolean {
    const apps = this.#apps;
    if (!apps?.isConnected || apps.revision === undefined || apps.entries().size === 0)
      return false;
    return apps.get(`${this.#deps.appPrefix}${app}`) === undefined;
  }

  async *#read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogEntry> {
    const collector = await this.#collecting(signal);
    yield* readLog(await collector.appLog(query.app), query, signal);
  }
  async #collecting(signal: AbortSignal): Promise<Collector> {
    const { clock } = this.#deps;
    for (let waitedMs = 0; waitedMs < readerPatienceMs; waitedMs += patienceStepMs) {
      if (this.#collector) return this.#collector;
      await clock.sleep(patienceStepMs, signal);
    }
    throw logsErrors.notCollecting(
      `no log could be read: ${readerPatienceMs / 1000} s long another process held the right to collect; ask again, and see \`gantry ps -a gantry\``,
    );
  }
}
