// A container outside of app gantry is replaced: also when whoever does it is killed anywhere, and put back when it does not come up.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OwnContainer, OwnContainers } from '#layer0/host/index';
import { ensureContainer } from './containers.ts';

interface Kept {
  container: OwnContainer;
  isRunning: boolean;
  isAlways: boolean;
}

/** Dies at the call after `lives` calls that change something. */
class FakeEngine implements OwnContainers {
  readonly kept = new Map<string, Kept>();
  readonly ended: string[] = [];
  lives = Number.POSITIVE_INFINITY;

  #change(): void {
    if (this.lives-- <= 0) throw new Error('killed');
  }

  #of(name: string): Kept {
    const kept = this.kept.get(name);
    assert.ok(kept, `there is no ${name}`);
    return kept;
  }

  async find(name: string) {
    const kept = this.kept.get(name);
    return (
      kept && {
        image: kept.container.image,
        isRunning: kept.isRunning,
        restarts: 0,
        labels: kept.container.labels,
        binds: [],
      }
    );
  }

  async create(container: OwnContainer) {
    this.#change();
    assert.ok(!this.kept.has(container.name), `${container.name} is there already`);
    this.kept.set(container.name, { container, isRunning: false, isAlways: true });
  }

  async start(name: string) {
    this.#change();
    this.#of(name).isRunning = true;
    const running = [...this.kept].filter(([, { isRunning }]) => isRunning);
    assert.equal(running.length, 1, 'two do the same work');
  }

  async stop(name: string) {
    this.#change();
    const kept = this.kept.get(name);
    if (kept) kept.isRunning = false;
  }

  async rename(name: string, to: string) {
    this.#change();
    assert.ok(!this.kept.has(to), `${to} is there already`);
    this.kept.set(to, this.#of(name));
    this.kept.delete(name);
  }

  async restarts(name: string, isAlways: boolean) {
    this.#change();
    this.#of(name).isAlways = isAlways;
  }

  async remove(name: string) {
    this.#change();
    this.kept.delete(name);
  }

  async tail(name: string) {
    return `${name} said: no`;
  }

  close() {}

  /** What the machine does at its next boot. */
  boot(): void {
    for (const kept of this.kept.values()) kept.isRunning = kept.isAlways;
    assert.ok([...this.kept.values()].filter(({ isRunning }) => isRunning).length <= 1);
  }
}

const plan = (image: string): OwnContainer => ({
  name: 'gantry-host',
  image,
  command: [],
  env: {},
  binds: [],
  labels: {},
  capabilities: [],
});

const works = async () => {};
const fails = async () => {
  throw new Error('no answer');
};

async function engineWith(image: string): Promise<FakeEngine> {
  const engine = new FakeEngine();
  assert.equal(await ensureContainer(engine, plan(image), works), true);
  return engine;
}

function running(engine: FakeEngine): string[] {
  const all = [...engine.kept].filter(([, { isRunning }]) => isRunning);
  return all.map(([name, { container, isAlways }]) => `${name} ${container.image} ${isAlways}`);
}

describe('a container outside of app gantry', () => {
  test('is left alone when it would be made the same today', async () => {
    const engine = await engineWith('one');
    engine.lives = 0;
    assert.equal(await ensureContainer(engine, plan('one'), works), false);
  });

  test('is replaced by one of the new plan, and nothing of the old one stays', async () => {
    const engine = await engineWith('one');
    assert.equal(await ensureContainer(engine, plan('two'), works), true);
    assert.deepEqual(running(engine), ['gantry-host two true']);
    assert.equal(engine.kept.size, 1);
  });

  test('that does not come up makes room for the one before, and says what it said', async () => {
    const engine = await engineWith('one');
    await assert.rejects(
      ensureContainer(engine, plan('two'), fails),
      /the one before it runs again: no answer\ngantry-host said: no/,
    );
    assert.deepEqual(running(engine), ['gantry-host one true']);
    assert.equal(engine.kept.size, 1);
  });

  test('is replaced, or put back, by the next call wherever the last one was killed', async () => {
    for (const isUp of [works, fails])
      for (let lives = 0; lives < 12; lives++) {
        const engine = await engineWith('one');
        engine.lives = lives;
        await ensureContainer(engine, plan('two'), isUp).catch(() => undefined);
        engine.boot();
        engine.lives = Number.POSITIVE_INFINITY;
        await ensureContainer(engine, plan('two'), works);
        assert.deepEqual(running(engine), ['gantry-host two true'], `killed after ${lives}`);
        assert.equal(engine.kept.size, 1);
      }
  });
});
