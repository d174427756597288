// The git receiver: git's smart HTTP on loopback, the socket its hooks report to, and the collection of repositories whose
// app is gone.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import { createHttpServer, listenTcp } from '#core/http-server';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createLoop } from '#core/reconcile';
import type { GitReceiverConfig } from './config.ts';
import { planCollection } from './decide/collect-repositories.ts';
import { startHookServer } from './hook-server.ts';
import { registerGitRoutes } from './http.ts';
import type { Platform } from './platform.ts';
import { Pushes } from './pushes.ts';
import { createRepositories } from './repositories.ts';

export { controllerUrlFrom, createPlatform, type Platform } from './platform.ts';

export interface GitReceiverDeps {
  platform: Platform;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface GitReceiver extends Component {
  /** Where it listens; 0 before it does. */
  port(): number;
  /** One pass over the repositories; the loop does it every ten minutes. */
  collect(): Promise<void>;
}

/** How often repositories are looked through, and how long one has to be without its app before it goes. */
const collectEveryMs = 10 * 60_000;
const collectGraceMs = 60 * 60_000;

export function createGitReceiver(deps: GitReceiverDeps, config: GitReceiverConfig): GitReceiver {
  const { platform, clock, random, log } = deps;
  const pushes = new Pushes();
  const repositories = createRepositories(config.repositories);
  const server = createHttpServer({ log });
  // A large push over a slow line takes its time; the idle limit is what ends a dead one.
  server.server.requestTimeout = 0;
  let missingSince: ReadonlyMap<string, number> = new Map();
  let hookServer: Awaited<ReturnType<typeof startHookServer>> | undefined;
  let port = 0;

  async function collect(): Promise<void> {
    const known = await repositories.list();
    const apps = (await platform.listApps()).map(({ id }) => id);
    const plan = planCollection({
      repositories: known,
      apps,
      missingSince,
      nowMs: clock.monotonicMs(),
      graceMs: collectGraceMs,
    });
    missingSince = plan.missingSince;
    for (const id of plan.remove) {
      await repositories.remove(id);
      log.info({ app: id }, 'removed the repository of an app that is gone');
    }
    for (const id of known) if (apps.includes(id)) await repositories.tidy(id);
  }

  const loop = createLoop({
    name: 'git-receiver/collect',
    run: collect,
    resyncMs: collectEveryMs,
    clock,
    random,
    log,
  });

  return {
    async start() {
      const { buildTimeoutMs } = config;
      hookServer = await startHookServer({ pushes, platform, clock, log, buildTimeoutMs });
      registerGitRoutes(server, { platform, repositories, pushes, hookServer, config });
      port = await listenTcp(server, '127.0.0.1', config.port);
      loop.start();
      log.info({ port, repositories: config.repositories }, 'taking pushes');
    },
    async stop() {
      await loop.stop();
      await server.close();
      await hookServer?.stop();
      hookServer = undefined;
    },
    status: () => ({ pushes: pushes.size, collect: loop.status() }),
    port: () => port,
    collect,
  };
}
