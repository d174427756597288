// What is collected, and above all what is not.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AppError } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import type { Images } from '#layer0/images/index';
import type { Network } from '#layer0/network/client';
import { createMemoryStore } from '#layer0/store/fake';
import { createAppCollector, createImageCollector, type HousekeepingDeps } from './housekeeping.ts';

let volumes: string;

beforeEach(async () => {
  volumes = await mkdtemp(join(tmpdir(), 'gantry-volumes-'));
  await mkdir(join(volumes, 'app-one', 'build-cache'), { recursive: true });
  await mkdir(join(volumes, 'app-two'));
  await writeFile(join(volumes, 'app-one', 'build-cache', 'file'), 'x');
});

afterEach(() => rm(volumes, { recursive: true, force: true }));

const containersOf = () => [
  { id: 'dead', state: 'exited', app: 'app-one' },
  { id: 'running', state: 'running', app: 'app-one' },
  { id: 'other', state: 'exited', app: 'app-two' },
];

function aHouse(removeAppNetwork: Network['removeAppNetwork'] = async () => true) {
  const clock = new FakeClock();
  const store = createMemoryStore({ clock });
  const kept: ReadonlySet<string>[] = [];
  const imagesGoneOf: string[][] = [];
  let there = containersOf();
  const images = {
    collect: async (keep: ReadonlySet<string>) => {
      kept.push(keep);
      return [];
    },
    collectOf: async (app: string, keep: ReadonlySet<string>) => {
      imagesGoneOf.push([app, ...keep]);
      return [];
    },
  } as unknown as Images;
  const network = { removeAppNetwork } as unknown as Network;
  const deps: HousekeepingDeps = {
    store,
    network,
    images,
    containers: {
      list: async (wanted) => there.filter(({ app }) => app === wanted['gantry.app']),
      async remove(id) {
        there = there.filter((container) => container.id !== id);
      },
    },
    clock,
    random: () => 0.5,
    log: silentLog,
  };
  const put = (key: string, value: unknown) =>
    store.txn({ compare: [], operations: [{ put: key, value }] });
  return { clock, store, deps, kept, imagesGoneOf, put, containers: () => there };
}

async function onePass(
  loop: ReturnType<typeof createAppCollector>,
  clock: FakeClock,
): Promise<void> {
  loop.start();
  const deadline = performance.now() + 10_000;
  while (loop.status().runs === 0 && performance.now() < deadline) await clock.advance(1);
  await loop.stop();
}

describe('what a deleted app leaves', () => {
  test('goes with its tombstone, and nothing of another app', async () => {
    const { clock, store, deps, put } = aHouse();
    await put('network/tombstones/app-one', { deletedAt: 1 });
    await onePass(createAppCollector(deps, volumes), clock);
    assert.equal(existsSync(join(volumes, 'app-one')), false);
    assert.equal(existsSync(join(volumes, 'app-two')), true);
    assert.equal(await store.get('network/tombstones/app-one'), undefined);
  });

  test('are dead containers and images too; what runs or is needed stays', async () => {
    const { clock, deps, put, imagesGoneOf, containers } = aHouse();
    await put('network/tombstones/app-one', {});
    await put('images/kept/sha256:shared', {});
    await put('scheduler/jobs/job-1', { app: 'app-one', spec: { image: 'sha256:ended' } });
    await onePass(createAppCollector(deps, volumes), clock);
    assert.deepEqual(
      containers().map(({ id }) => id),
      ['running', 'other'],
    );
    assert.deepEqual(imagesGoneOf, [['app-one', 'sha256:shared']]);
  });

  test('stays while a container of it is still going', async () => {
    const inUse = new AppError('network.inUse', { status: 409, retry: true }, 'in use');
    const { clock, store, deps, put } = aHouse(() => Promise.reject(inUse));
    await put('network/tombstones/app-one', {});
    await onePass(createAppCollector(deps, volumes), clock);
    assert.equal(existsSync(join(volumes, 'app-one')), true);
    assert.notEqual(await store.get('network/tombstones/app-one'), undefined);
  });

  test('is remembered until the last machine has let go, so that each one clears its own', async () => {
    const { clock, store, deps, put } = aHouse(async () => false);
    await put('network/tombstones/app-one', {});
    await onePass(createAppCollector(deps, volumes), clock);
    assert.equal(existsSync(join(volumes, 'app-one')), false);
    assert.notEqual(await store.get('network/tombstones/app-one'), undefined);
  });

  test('is never a path: a tombstone that is no app id removes nothing', async () => {
    const { clock, deps, put } = aHouse();
    await put('network/tombstones/..', {});
    await onePass(createAppCollector(deps, join(volumes, 'app-one')), clock);
    assert.equal(existsSync(join(volumes, 'app-one', 'build-cache', 'file')), true);
  });
});

test('images of releases, jobs and formations are named before any is collected', async () => {
  const { clock, deps, kept, put } = aHouse();
  await put('images/kept/sha256:release', {});
  await put('scheduler/jobs/job-1', { spec: { image: 'sha256:job' } });
  await put('scheduler/formations/app-one/rel-1', {
    processes: { web: { spec: { image: 'sha256:formation' } } },
  });
  await onePass(createImageCollector(deps), clock);
  assert.deepEqual([...(kept[0] ?? [])].sort(), [
    'sha256:formation',
    'sha256:job',
    'sha256:release',
  ]);
});

test('nothing is collected when what is needed cannot be read', async () => {
  const { clock, deps, kept } = aHouse();
  const store = {
    ...deps.store,
    list: () => Promise.reject(new Error('away')),
  } as unknown as HousekeepingDeps['store'];
  await onePass(createImageCollector({ ...deps, store }), clock);
  assert.deepEqual(kept, []);
});
