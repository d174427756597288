// The deployments of the controller as one more part of a daemon: its observer, its election and its loop, without its API.

import type { Component } from '#core/component';
import { silentLog } from '#core/log';
import { createSchedulerClient } from '#layer0/scheduler/client';
import { Candidate } from '../../src/layer1/controller/candidate.ts';
import { createObserver, type Observer } from '../../src/layer1/controller/observe.ts';
import type { PlatformDeps } from './machine.ts';

const electionTtlMs = 10_000;
/** Beyond a release's own time to start: short, so that a bad one fails within a simulation. */
const deploySlackMs = 10_000;
const deploySteadyMs = 1000;

/** Images are no part of the simulation: each is on every machine. */
const everywhere = { spreadImage: async () => [] };

export class Deployments implements Component {
  readonly #observer: Observer;
  readonly #candidate: Candidate;

  constructor({ store, life, random, identity }: PlatformDeps) {
    const { clock } = life;
    const own = { store, clock, random, log: silentLog };
    this.#observer = createObserver(own);
    const scheduler = createSchedulerClient({ store, clock });
    const settings = { deploySlackMs, deploySteadyMs, domain: 'gantry.localhost' };
    this.#candidate = new Candidate(
      { ...own, ...settings, scheduler, host: everywhere, observer: this.#observer },
      { identity: `controller-${identity}`, electionTtlMs },
    );
  }

  async start(): Promise<void> {
    this.#candidate.start();
  }

  async stop(): Promise<void> {
    await this.#candidate.stop();
    this.#observer.stop();
  }

  status(): Record<string, unknown> {
    return {};
  }
}
