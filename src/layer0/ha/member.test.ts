// The etcd of a machine follows its daemon to another image: in its turn, never two on one folder, back again when the new one
// does not serve, and killed anywhere it ends the same.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import type { Container, ContainerSpec } from '#layer0/host/index';
import { renewalLimitMs } from './config.ts';
import { HaFiles } from './files.ts';
import { EtcdMember } from './member.ts';
import type { TurnAnswer } from './renewal-turn.ts';
import type { MemberPlan } from './wire.ts';

const node = (hostId: string) => ({
  hostId,
  clientUrl: `https://${hostId}:7444`,
  peerUrl: `https://${hostId}:7445`,
});
const plan: MemberPlan = {
  token: 'etcd-1',
  data: 'etcd-1',
  state: 'new',
  nodes: ['host-a', 'host-b', 'host-c'].map(node),
};
const daemonLabels = { 'gantry.platform': 'cluster', 'gantry.role': 'host' };

type Made = Pick<Container, 'id' | 'name' | 'image' | 'labels' | 'state'>;

/** The engine, which ends the life of whoever calls it at a chosen call. */
class Engine {
  containers: Made[] = [];
  calls = 0;
  diesAt = Infinity;
  /** Two at once on one folder would be the end of it. */
  mostRunning = 0;
  #made = 0;

  runDaemon(image: string, name = 'gantry-host'): void {
    this.containers = this.containers.filter((one) => one.name !== name);
    const id = `c${++this.#made}`;
    this.containers.push({ id, name, image, labels: daemonLabels, state: 'running' });
  }

  etcd(): string[] {
    return this.containers
      .filter(({ name }) => name.startsWith('gantry-etcd'))
      .map(({ name, image, state }) => `${name} ${image} ${state}`);
  }

  async list(labels: Record<string, string>): Promise<Container[]> {
    const isAsked = (one: Made) =>
      Object.entries(labels).every(([name, value]) => one.labels[name] === value);
    const base = { isOutOfMemory: false, createdAt: 0 };
    return this.containers.filter(isAsked).map((one) => ({ ...base, ...one }));
  }

  async create({ name, image, labels }: ContainerSpec): Promise<string> {
    this.#count();
    assert.ok(!this.containers.some((one) => one.name === name), `there is a ${name}`);
    const id = `c${++this.#made}`;
    this.containers.push({ id, name, image, labels, state: 'created' });
    return id;
  }

  async start(id: string): Promise<void> {
    this.#count();
    this.#change((one) => one.id === id, { state: 'running' });
    const running = this.etcd().filter((text) => text.endsWith('running'));
    this.mostRunning = Math.max(this.mostRunning, running.length);
  }

  async remove(id: string): Promise<void> {
    this.#count();
    this.containers = this.containers.filter((one) => one.id !== id);
  }

  async stop(name: string): Promise<void> {
    this.#count();
    this.#change((one) => one.name === name, { state: 'exited' });
  }

  async rename(name: string, to: string): Promise<void> {
    this.#count();
    this.#change((one) => one.name === name, { name: to });
  }

  tail = async () => 'panic: newer data';
  close = () => {};

  #change(which: (one: Made) => boolean, change: Partial<Made>): void {
    this.containers = this.containers.map((one) => (which(one) ? { ...one, ...change } : one));
  }

  #count(): void {
    if (++this.calls >= this.diesAt) throw new Error('this life has ended');
  }
}

let home: string;
let clock: FakeClock;
let engine: Engine;
let answer: TurnAnswer;
let serves: (image: string) => boolean;
let member: EtcdMember;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'gantry-member-'));
  [clock, engine, answer, serves] = [new FakeClock(), new Engine(), {}, () => true];
});

afterEach(async () => {
  await member.stop();
  rmSync(home, { recursive: true });
});

async function begin(): Promise<void> {
  const turn = {
    take: async () => answer,
    release: async () => {},
    isServing: async () =>
      engine.containers.some(
        ({ name, image, state }) => name === 'gantry-etcd' && state === 'running' && serves(image),
      ),
  };
  const files = new HaFiles(home);
  const deps = { runtime: engine, containers: engine, turn, files, clock, random, log };
  member = new EtcdMember(deps, { home, clusterId: 'cluster', hostId: 'host-a' });
  await member.start();
}

/** Time passes only between the passes of the loop: a slow disk is no slow etcd. */
async function pass(ms = 500): Promise<void> {
  const isPassing = () => (member.status().loop as { isRunning: boolean }).isRunning;
  await clock.advance(ms);
  while (isPassing()) await new Promise((resolve) => setImmediate(resolve));
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let passes = 0; passes < 400; passes++) {
    if (holds()) return;
    await pass();
  }
  assert.fail(`${what}: ${engine.etcd().join(', ')}; ${JSON.stringify(member.renewal)}`);
}

const isRunning = () => engine.etcd().join() === 'gantry-etcd old running';
const isSettled = () => member.renewal.state === 'settled';

/** It runs, made from the image `old`; then the daemon is of `new`. */
async function upgraded(): Promise<void> {
  engine.runDaemon('old');
  await begin();
  await member.run(plan);
  await until(() => isSettled() && engine.etcd().length === 1, 'it runs');
  await member.stop();
  engine.runDaemon('new');
  await begin();
}

test('an etcd that ended is started at once, and one that ends each time not twice a second for ever', async () => {
  engine.runDaemon('old');
  await begin();
  await member.run(plan);
  await until(() => isSettled() && engine.etcd().length === 1, 'it runs');
  let starts = 0;
  const { start } = engine;
  engine.start = async (id) => {
    starts++;
    await start.call(engine, id);
    await engine.stop('gantry-etcd');
  };
  await engine.stop('gantry-etcd');
  await until(() => starts === 1, 'it is started again');
  for (let passes = 0; passes < 120; passes++) await pass();
  assert.ok(starts > 6 && starts < 20, `${starts} starts in a minute`);
  engine.start = start;
  await until(isRunning, 'its disk is back');
});

describe('the etcd of a machine whose daemon has another image', () => {
  test('is replaced, and two never run on one folder', async () => {
    await upgraded();
    await until(isSettled, 'it is replaced');
    assert.deepEqual(engine.etcd(), ['gantry-etcd new running']);
    assert.equal(engine.mostRunning, 1);
  });

  test('is not settled before it was looked at', async () => {
    await upgraded();
    assert.equal(member.renewal.state, 'running');
  });

  test('waits for its turn, and for copies that are away', async () => {
    answer = { wait: 'another machine has its turn' };
    await upgraded();
    for (let passes = 0; passes < 20; passes++) await pass();
    assert.deepEqual(engine.etcd(), ['gantry-etcd old running']);
    assert.deepEqual(member.renewal, { state: 'running', reason: answer.wait });
    answer = { wait: 'the copies of b must answer first', isHeldUp: true };
    await until(() => member.renewal.state === 'held-up', 'it says that it is held up');
    assert.deepEqual(engine.etcd(), ['gantry-etcd old running']);
    answer = {};
    await until(isSettled, 'it is replaced');
    assert.deepEqual(engine.etcd(), ['gantry-etcd new running']);
  });

  test('stays while the daemon may still be put back', async () => {
    engine.runDaemon('old', 'gantry-host-before');
    await upgraded();
    for (let passes = 0; passes < 20; passes++) await pass();
    assert.deepEqual(engine.etcd(), ['gantry-etcd old running']);
  });

  test('comes back when the new one does not serve, which is said, and not tried again', async () => {
    serves = (image) => image === 'old';
    await upgraded();
    await until(() => member.renewal.state === 'failed', 'it is given up');
    await until(() => engine.etcd().join() === 'gantry-etcd old running', 'the old one runs');
    assert.match(JSON.stringify(member.renewal), /did not serve within 60 s.*newer data/);
    const { calls } = engine;
    for (let passes = 0; passes < (3 * renewalLimitMs) / 500; passes++) await pass();
    assert.equal(engine.calls, calls);
    assert.equal(engine.mostRunning, 1);
    const { failuresInRow } = member.status().loop as { failuresInRow: number };
    assert.ok(failuresInRow > 0, 'the doctor sees it');
  });

  test('ends the same wherever the daemon is killed', async () => {
    await upgraded();
    await until(isSettled, 'it is replaced');
    const { calls } = engine;
    assert.ok(calls >= 6, String(calls));
    for (let dies = 1; dies <= calls; dies++) {
      await member.stop();
      engine = new Engine();
      await upgraded();
      engine.diesAt = engine.calls + dies;
      await pass();
      for (let passes = 0; passes < 4; passes++) await pass();
      await member.stop();
      engine.diesAt = Infinity;
      await begin();
      await until(isSettled, `killed at call ${dies}`);
      assert.deepEqual(engine.etcd(), ['gantry-etcd new running']);
      assert.equal(engine.mostRunning, 1);
    }
  });

  test('of another member goes at once, with its data', async () => {
    await upgraded();
    await until(isSettled, 'it is replaced');
    answer = { wait: 'not asked' };
    await member.run({ ...plan, token: 'etcd-2', data: 'etcd-2' });
    await until(
      () => isSettled() && engine.etcd().join() === 'gantry-etcd new running',
      'the other one runs',
    );
    assert.equal(member.plan?.token, 'etcd-2');
  });
});
