// A controller on a memory store, with a scripted layer 0 beside it and a clock that the test moves.

import assert from 'node:assert/strict';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import { aloneHa } from '#layer0/ha/fake';
import { createSchedulerClient } from '#layer0/scheduler/client';
import type { Store } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { createFakeBuilder, createFakeHost, emptyLogs, FakeGrid } from './fake.ts';
import { type Controller, type ControllerDeps, createController, tokenHash } from './index.ts';
import { type Deployment, deploymentRoot, tokenKey } from './wire.ts';

export const testToken = 'gantry_test-token-of-the-test-bed-1';
export const internalKey = 'internal-key-of-the-test-bed';
const knownImages = ['acme/shop:1', 'acme/shop:2', 'acme/shop:3', 'acme/shop:4'];
/** Steps of the clock until a condition is given up. */
const maxSteps = 2_000;

export interface Answer {
  status: number;
  body: unknown;
  text: string;
}

/** A store whose every call takes a turn of the event loop, so that calls at once really come between one another. */
export function interleaved(store: Store): Store {
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    get: (key) => turn().then(() => store.get(key)),
    list: (prefix, options) => turn().then(() => store.list(prefix, options)),
    txn: (txn) => turn().then(() => store.txn(txn)),
    watch: (prefix, options) => store.watch(prefix, options),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    keepAlive: (id) => store.keepAlive(id),
    revokeLease: (id) => store.revokeLease(id),
    elect: (name, options) => store.elect(name, options),
    replaceAll: (entries, compare) => store.replaceAll(entries, compare),
    close: () => store.close(),
  };
}

/** One machine; another could join it. */
const aloneMembership = {
  createToken: async () => ({ token: 'gantry-join-x', expiresAt: 1 }),
  list: async () => [],
  remove: async () => undefined,
};

export class TestBed {
  readonly clock = new FakeClock();
  readonly store: Store = createMemoryStore({ clock: this.clock, random: seededRandom(1) });
  readonly grid = new FakeGrid(this.store, this.clock);
  readonly host = createFakeHost(knownImages);
  readonly builder = createFakeBuilder();
  controller: Controller;
  #started: Controller[] = [];

  readonly #options: { port?: number };

  /** With a port it listens for real; without, requests are injected. */
  constructor(options: { port?: number } = {}) {
    this.#options = options;
    this.controller = this.newController();
  }

  newController(change: Partial<ControllerDeps> = {}): Controller {
    const { clock, store, host, builder } = this;
    const controller = createController(
      {
        store,
        host,
        builder,
        clock,
        logs: emptyLogs,
        log: silentLog,
        scheduler: createSchedulerClient({ store, clock }),
        membership: aloneMembership,
        ha: aloneHa,
        random: seededRandom(2),
        ...change,
      },
      {
        domain: 'gantry.localhost',
        scheme: 'http',
        httpPort: 80,
        httpsPort: 443,
        tcpPortMin: 3000,
        tcpPortMax: 3500,
        deploySlackMs: 30_000,
        deploySteadyMs: 100,
        buildTimeoutMs: 60_000,
        internalKey,
        callsPerSecond: 100,
        callsAtOnce: 500,
        electionTtlMs: 10_000,
        identity: 'controller of the test',
        ...this.#options,
      },
    );
    this.#started.push(controller);
    return controller;
  }

  async start(): Promise<this> {
    await this.grid.addHost();
    const token = { id: 'tok-1', name: 'ada', createdAt: 0 };
    const operations = [{ put: tokenKey(tokenHash(testToken)), value: token }];
    await this.store.txn({ compare: [], operations });
    await this.controller.start();
    await this.until('a leader', async () => this.controller.isLeader);
    return this;
  }

  async stop(): Promise<void> {
    for (const controller of this.#started) await controller.stop();
    await this.store.close();
  }

  async call(method: string, url: string, body?: unknown, headers = {}): Promise<Answer> {
    const answer = await this.controller.server.inject({
      method: method as 'GET',
      url,
      headers: { authorization: `Bearer ${testToken}`, ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    const type = String(answer.headers['content-type']);
    const isJson = type.startsWith('application/json') && answer.body !== '';
    const parsed: unknown = isJson ? JSON.parse(answer.body) : undefined;
    return { status: answer.statusCode, body: parsed, text: answer.body };
  }

  /** The call must succeed. */
  async ok<T>(method: string, url: string, body?: unknown, headers = {}): Promise<T> {
    const answer = await this.call(method, url, body, headers);
    assert.ok(answer.status < 300, `${method} ${url}: ${answer.status} ${answer.text}`);
    return answer.body as T;
  }

  /** One turn of everything: time, layer 0, the controllers' loops. */
  async step(ms = 20): Promise<void> {
    await this.grid.step();
    await this.clock.advance(ms);
  }

  async until(what: string, isThere: () => Promise<boolean>): Promise<void> {
    for (let step = 0; step < maxSteps; step++) {
      if (await isThere()) return;
      await this.step();
      // Sockets need turns of the event loop, not time of the clock.
      if (this.#options.port !== undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.fail(`not there after ${maxSteps} steps: ${what}`);
  }

  /** The outcome of something that needs time to go on. */
  async finish<T>(pending: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    pending.then(settled, settled);
    await this.until('the end of a call', async () => isSettled);
    return await pending;
  }

  async deployments(): Promise<Deployment[]> {
    const { entries } = await this.store.list<Deployment>(deploymentRoot);
    return entries.sort((a, b) => a.createRevision - b.createRevision).map(({ value }) => value);
  }

  async untilDeployed(state: Deployment['state'], version: number): Promise<Deployment> {
    const find = async () =>
      (await this.deployments()).find(({ newVersion }) => newVersion === version);
    await this.until(`v${version} ${state}`, async () => (await find())?.state === state);
    const found = await find();
    assert.ok(found);
    return found;
  }

  async untilFailed(version: number): Promise<Deployment> {
    // Time limits are long: the clock takes bigger steps until one has run out.
    const find = async () =>
      (await this.deployments()).find(({ newVersion }) => newVersion === version);
    for (let step = 0; step < maxSteps && (await find())?.state !== 'failed'; step++)
      await this.step(1_000);
    return await this.untilDeployed('failed', version);
  }

  async untilEnded(version: number): Promise<Deployment> {
    const find = async () =>
      (await this.deployments()).find(({ newVersion }) => newVersion === version);
    await this.until(`the end of v${version}`, async () => (await find())?.endedAt !== undefined);
    const found = await find();
    assert.ok(found);
    return found;
  }

  /** An app with v1 live. */
  async deployShop(quantities: Record<string, number> = { web: 1 }): Promise<void> {
    await this.ok('POST', '/apps', { name: 'shop' });
    await this.ok('PATCH', '/apps/shop/formation', { quantities });
    await this.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:1' });
    await this.untilDeployed('complete', 1);
  }

  observeDeps() {
    return { random: seededRandom(3), log: silentLog };
  }

  eventDeps() {
    const { store, clock } = this;
    return { store, clock, random: seededRandom(4) };
  }

  /** From now on, calls to the API that come at once come between one another. */
  async interleave(): Promise<void> {
    await this.controller.stop();
    this.controller = this.newController({ store: interleaved(this.store) });
    await this.controller.start();
  }

  /** Everything the store holds, as text. */
  async dump(): Promise<string> {
    return JSON.stringify((await this.store.list('')).entries);
  }
}
