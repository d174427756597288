// Where a job goes among hosts that all could take it, and among so many that only a sample is compared.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#core/random';
import { aJob, aSpec, aState, limits, megabyte, type StateOptions } from '../fake.ts';
import type { Job, PlacementRules } from '../wire.ts';
import { demandOf } from './demand.ts';
import { fitting } from './filters.ts';
import { placeJob } from './place-job.ts';
import { PlanBoard } from './plan-board.ts';

const small = aSpec({ resources: { memoryBytes: 4 * megabyte, cpuMillis: 1, pids: 1 } });

function hosts(count: number) {
  return Array.from({ length: count }, (_, place) => ({ id: `h${place + 1}` }));
}

/** Hosts of jobs that are placed one after the other. */
function placeAll(options: StateOptions, jobs: Partial<Job>[]): string[] {
  const board = new PlanBoard(aState(options));
  return jobs.map((change) => {
    const job = aJob({ spec: small, ...change });
    const placement = placeJob(board, job, limits);
    if ('host' in placement) board.add(placement.host, job);
    return 'host' in placement ? placement.host : placement.pendingReason;
  });
}

function place(options: StateOptions, change: Partial<Job> = {}): string {
  return placeAll(options, [change])[0] ?? '';
}

function countsOf(placed: string[]): number[] {
  const counts = new Map<string, number>();
  for (const host of placed) counts.set(host, (counts.get(host) ?? 0) + 1);
  return [...counts.values()];
}

test('a service of more jobs than hosts is even over all of them, also where only samples are compared', () => {
  const many = limits.candidateHosts * 3;
  const placed = placeAll({ hosts: hosts(many) }, Array(many + 50).fill({}));
  const counts = countsOf(placed);
  assert.equal(counts.length, many);
  assert.deepEqual([Math.min(...counts), Math.max(...counts)], [1, 2]);
});

test('the one host of many that can take a job is found', () => {
  const options = { hosts: [...hosts(1000), { id: 'ssd', tags: { disk: 'ssd' } }] };
  assert.equal(place(options, { spec: aSpec({ tags: { disk: 'ssd' } }) }), 'ssd');
});

test('a place that was given back is there again, under another host in the same slot too', () => {
  const state = aState({ hosts: hosts(2), jobs: [{ host: 'h1', spec: small }] });
  state.delete('scheduler/jobs/job-1');
  state.delete('host/alive/h1');
  state.delete('hosts/h1');
  state.put({ key: 'hosts/h3', value: { ...state.hosts.get('h2')?.record }, modRevision: 90 });
  state.put({ key: 'host/alive/h3', value: {}, modRevision: 91 });
  const board = new PlanBoard(state);
  assert.deepEqual([board.size, board.jobs(0), board.memoryBytes(0)], [2, 0, 0]);
  assert.deepEqual(placeJob(board, aJob({ isOnePerHost: true }), limits), { host: 'h2' });
});

const zones = (...names: string[]) =>
  names.map((zone, place) => ({ id: `h${place + 1}`, tags: { zone } }));

test('spread by a tag: its values get equally many, however many hosts each has', () => {
  const given = { hosts: zones('a', 'a', 'a', 'b') };
  const rules: PlacementRules = { spreadBy: 'zone' };
  const placed = placeAll(given, Array(6).fill({ rules }));
  assert.equal(placed.filter((host) => host === 'h4').length, 3);
  assert.deepEqual(countsOf(placed).sort(), [1, 1, 1, 3]);
  assert.equal(placeAll(given, Array(4).fill({})).filter((host) => host === 'h4').length, 1);
});

test('packed jobs share a host while it has room', () => {
  const placed = placeAll({ hosts: hosts(300) }, Array(20).fill({ placement: 'binpack' }));
  assert.deepEqual(countsOf(placed), [20]);
});

test('a busy host is chosen last among equals, whatever it has promised', () => {
  const jobs = [{ host: 'h2', app: 'app-other', spec: small }];
  const given = { hosts: [{ id: 'h1', busyPercent: 80 }, { id: 'h2' }], jobs };
  assert.equal(place(given), 'h2');
  const calm = {
    hosts: [
      { id: 'h1', busyPercent: 10 },
      { id: 'h2', busyPercent: 20 },
    ],
    jobs,
  };
  assert.equal(place(calm), 'h1', 'a little more or less is no reason');
});

test('being busy does not make a service uneven', () => {
  const given = {
    hosts: [{ id: 'h1', busyPercent: 95 }, { id: 'h2' }],
    jobs: [{ host: 'h2', spec: small }],
  };
  assert.equal(place(given), 'h1');
});

test('packed jobs leave a host that has no time left', () => {
  const given = {
    hosts: [{ id: 'h1', busyPercent: 95 }, { id: 'h2' }],
    jobs: [{ host: 'h1', app: 'app-other', spec: small }],
  };
  assert.equal(place(given, { placement: 'binpack' }), 'h2');
});

const cache = { app: 'app-shop', release: 'rel-7', type: 'cache', spec: small };
const near = (isRequired: boolean): PlacementRules => ({ near: [{ type: 'cache', isRequired }] });
const apart = (isRequired: boolean): PlacementRules => ({ apart: [{ type: 'cache', isRequired }] });

test('near: on a host that runs one of the type, whichever its release', () => {
  const given = { hosts: hosts(3), jobs: [{ ...cache, host: 'h3' }] };
  assert.equal(place(given, { rules: near(true) }), 'h3');
  assert.equal(place(given, { rules: near(false) }), 'h3');
});

test('near, and there is none: a wish is dropped, a demand waits and says for what', () => {
  const given = { hosts: hosts(2) };
  assert.equal(place(given, { rules: near(false) }), 'h1');
  assert.equal(place(given, { rules: near(true) }), 'it must be near cache (not on h1, h2)');
});

test('near its own kind: the first goes anywhere, the others follow', () => {
  const rules: PlacementRules = { near: [{ type: 'web', isRequired: true }] };
  assert.deepEqual(countsOf(placeAll({ hosts: hosts(3) }, Array(3).fill({ rules }))), [3]);
});

test('apart: not beside it if that is required, rather not if it is a wish', () => {
  const given = { hosts: hosts(2), jobs: [{ ...cache, host: 'h1' }] };
  assert.equal(place(given, { rules: apart(true) }), 'h2');
  assert.equal(place(given, { rules: apart(false) }), 'h2');
  const full = { hosts: hosts(1), jobs: [{ ...cache, host: 'h1' }] };
  assert.equal(place(full, { rules: apart(false) }), 'h1');
  assert.equal(place(full, { rules: apart(true) }), 'it must be apart from cache (on h1)');
});

test('apart holds for those that come later, too, and for another app by its id', () => {
  const picky = { host: 'h1', spec: small, rules: apart(true) };
  assert.equal(place({ hosts: hosts(2), jobs: [picky] }, cache), 'h2');
  assert.equal(
    place({ hosts: hosts(1), jobs: [picky] }, cache),
    'a job must be apart from cache (on h1)',
  );
  const elsewhere = { type: 'cache', app: 'app-other', isRequired: true };
  const given = { hosts: hosts(2), jobs: [{ ...cache, app: 'app-other', host: 'h1' }] };
  assert.equal(place(given, { rules: { apart: [elsewhere] } }), 'h2');
});

test('apart counts what the same decision has placed', () => {
  const placed = placeAll({ hosts: hosts(2) }, [{ ...cache }, { rules: apart(true) }]);
  assert.deepEqual(placed, ['h1', 'h2']);
});

test('constraints: in, not in, there at all, not there', () => {
  const given = { hosts: [...zones('a', 'b'), { id: 'h3' }] };
  const constrained = (...constraints: NonNullable<PlacementRules['constraints']>) =>
    place(given, { rules: { constraints } });
  assert.equal(constrained({ tag: 'zone', operator: 'in', values: ['b', 'c'] }), 'h2');
  assert.equal(constrained({ tag: 'zone', operator: 'not-in', values: ['a'] }), 'h2');
  assert.equal(constrained({ tag: 'zone', operator: 'absent' }), 'h3');
  assert.equal(
    constrained(
      { tag: 'zone', operator: 'exists' },
      { tag: 'zone', operator: 'not-in', values: ['a', 'b'] },
    ),
    'no host has tag zone, zone not in a|b (3 hosts)',
  );
});

test('the scan for room takes exactly the hosts that the filters of that name let through', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const pick = (most: number) => 1 + Math.floor(random() * most);
    const resources = () => ({
      memoryBytes: pick(4) * 256 * megabyte,
      cpuMillis: pick(4) * 4000,
      pids: pick(4) * 2500,
    });
    const state = aState({
      hosts: hosts(8).map((host) => ({
        ...host,
        memoryBytes: pick(4) * 512 * megabyte,
        cpuMillis: pick(8) * 1000,
        isAway: random() < 0.2,
      })),
      jobs: Array.from({ length: 6 }, () => ({
        host: `h${pick(8)}`,
        spec: aSpec({ resources: resources() }),
      })),
    });
    const board = new PlanBoard(state);
    for (let planned = 0; planned < 3; planned++)
      board.add(`h${pick(8)}`, aJob({ spec: aSpec({ resources: resources() }) }));
    const demand = demandOf(board, aJob({ spec: aSpec({ resources: resources() }) }), limits);
    const scanned: number[] = [];
    for (let slot = 0; slot < 8; slot++) {
      slot = board.nextWithRoom(demand, slot, 8);
      if (slot === -1) break;
      scanned.push(slot);
    }
    const slots = Array.from({ length: 8 }, (_, slot) => slot);
    assert.deepEqual(scanned, slots.filter(fitting(demand)), `seed ${seed}`);
  }
});
