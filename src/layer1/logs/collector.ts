// Which containers' logs are there, and is each of them followed? One loop lists them, one loop a container reads.

import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop, type Loop } from '#core/reconcile';
import type { LogSource } from '#layer0/host/client';
import { AppLog } from './app-log.ts';
import { checkpointMs, rescanMs } from './config.ts';
import { ContainerLog } from './container-log.ts';
import type { SegmentLimits } from './segments.ts';

export interface CollectorDeps {
  /** Every container of the cluster on this host whose files are still there. */
  list(): Promise<LogSource[]>;
  /** Apps that are deleted: their history goes. */
  isGone(app: string): boolean;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface CollectorConfig {
  folder: string;
  limits: SegmentLimits;
}

interface Followed {
  reader: ContainerLog;
  loop: Loop;
  watcher: FSWatcher | undefined;
}

export class Collector {
  readonly #deps: CollectorDeps;
  readonly #config: CollectorConfig;
  readonly #apps = new Map<string, Promise<AppLog>>();
  readonly #followed = new Map<string, Followed>();
  readonly #listing: Loop;
  readonly #checkpoints: Loop;

  constructor(deps: CollectorDeps, config: CollectorConfig) {
    const { clock, random, log } = deps;
    this.#deps = deps;
    this.#config = config;
    const common = { clock, random, log };
    this.#listing = createLoop({
      ...common,
      name: 'logs-list',
      resyncMs: rescanMs,
      run: () => this.#list(),
    });
    this.#checkpoints = createLoop({
      ...common,
      name: 'logs-checkpoint',
      resyncMs: checkpointMs,
      run: () => this.#checkpoint(),
    });
  }

  start(): void {
    this.#listing.start();
    this.#checkpoints.start();
  }

  /** Something started or ended: list now. */
  trigger(): void {
    this.#listing.trigger();
  }

  /** The history of an app; an app that never said anything has an empty one. */
  appLog(app: string): Promise<AppLog> {
    let opened = this.#apps.get(app);
    if (!opened) {
      opened = AppLog.open(join(this.#config.folder, app), this.#config.limits);
      this.#apps.set(app, opened);
      opened.catch(() => this.#apps.delete(app));
    }
    return opened;
  }

  async knownApps(): Promise<string[]> {
    return readdir(this.#config.folder);
  }

  async stop(): Promise<void> {
    await this.#listing.stop();
    await this.#checkpoints.stop();
    for (const id of [...this.#followed.keys()]) await this.#leave(id);
    for (const opened of this.#apps.values()) await (await opened).close();
    this.#apps.clear();
  }

  status(): Record<string, unknown> {
    return {
      listing: this.#listing.status(),
      containers: this.#followed.size,
      apps: this.#apps.size,
    };
  }

  async #list(): Promise<void> {
    const sources = await this.#deps.list();
    for (const source of sources) {
      const followed = this.#followed.get(source.containerId);
      if (followed) followed.loop.trigger();
      else if (!this.#deps.isGone(source.app)) await this.#follow(source);
    }
    for (const app of await this.knownApps()) {
      if (this.#deps.isGone(app)) await this.#forgetApp(app);
    }
  }

  async #follow(source: LogSource): Promise<void> {
    const { clock, random, log } = this.#deps;
    const reader = new ContainerLog(source, await this.appLog(source.app));
    const loop: Loop = createLoop({
      name: `log-${source.containerId.slice(0, 12)}`,
      resyncMs: rescanMs,
      clock,
      random,
      log,
      run: async (signal) => {
        if (await reader.readAll(signal)) return;
        // Not from inside its own pass: stopping waits for the pass to end.
        clock.timer(
          0,
          () =>
            void this.#finish(source.containerId).catch((error: unknown) => {
              log.error(
                { err: error, container: source.containerId },
                'the end of a log was not kept',
              );
            }),
        );
      },
    });
    this.#followed.set(source.containerId, {
      reader,
      loop,
      watcher: watchFolder(dirname(source.path), loop),
    });
    loop.start();
  }

  async #finish(container: string): Promise<void> {
    const reader = this.#followed.get(container)?.reader;
    await this.#leave(container);
    await reader?.finish();
  }

  async #leave(container: string): Promise<void> {
    const followed = this.#followed.get(container);
    if (!followed) return;
    this.#followed.delete(container);
    followed.watcher?.close();
    await followed.loop.stop();
    await followed.reader.close();
  }

  async #forgetApp(app: string): Promise<void> {
    for (const [id, { reader }] of this.#followed)
      if (reader.source.app === app) await this.#leave(id);
    const opened = await this.appLog(app);
    this.#apps.delete(app);
    await opened.destroy();
  }

  async #checkpoint(): Promise<void> {
    for (const opened of this.#apps.values()) await (await opened).checkpoint();
  }
}

/** Tells of every write in the container's folder; without notifications (or when it is gone) the rescan does. */
function watchFolder(folder: string, loop: Loop): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, () => loop.trigger());
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
