// The deployments of the controller as one more part of a daemon: its observer, its election and its loop, without its API.

import type { Component } from '#core/component';
import { toAppError } from '#core/errors';
import { silentLog } from '#core/log';
import { createSchedulerClient } from '#layer0/scheduler/client';
import type { Leadership } from '#layer0/store/client';
import { electionName, LeaderLoop } from '../../src/layer1/controller/loop.ts';
import { createObserver, type Observer } from '../../src/layer1/controller/observe.ts';
import type { PlatformDeps } from './machine.ts';

const electionTtlMs = 10_000;
/** Beyond a release's own time to start: short, so that a bad one fails within a simulation. */
const deploySlackMs = 10_000;
const deploySteadyMs = 1000;
const campaignPauseMs = 1000;

export class Deployments implements Component {
  readonly #deps: PlatformDeps;
  readonly #observer: Observer;
  readonly #stop = new AbortController();
  #leading: Promise<void> | undefined;

  constructor(deps: PlatformDeps) {
    const { store, life, random } = deps;
    const own = { store, clock: life.clock, random, log: silentLog };
    this.#deps = deps;
    this.#observer = createObserver(own);
  }

  async start(): Promise<void> {
    this.#leading = this.#lead();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#leading;
    this.#observer.stop();
  }

  status(): Record<string, unknown> {
    return {};
  }

  async #lead(): Promise<void> {
    const { store, life } = this.#deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const options = { identity: 'controller', ttlMs: electionTtlMs, signal };
        await this.#leadUntilLost(await store.elect(electionName, options));
      } catch (error) {
        if (signal.aborted || toAppError(error).code === 'core.aborted') continue;
        await life.clock.sleep(campaignPauseMs, signal).catch(() => undefined);
      }
    }
  }

  async #leadUntilLost(leadership: Leadership): Promise<void> {
    const { store, life, random } = this.#deps;
    const { clock } = life;
    const scheduler = createSchedulerClient({ store, clock });
    const loop = new LeaderLoop(
      {
        ...{ store, clock, random, scheduler, deploySlackMs },
        ...{ deploySteadyMs, domain: 'gantry.localhost', log: silentLog },
        observer: this.#observer,
      },
      leadership,
    );
    loop.start();
    try {
      await fired(AbortSignal.any([this.#stop.signal, leadership.lost]));
    } finally {
      await loop.stop();
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
