// What an app's formations ask for, against the jobs there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#core/random';
import { statusKey } from '#layer0/host/wire';
import {
  aContext,
  aFormation,
  aJob,
  aProcess,
  aSpec,
  aState,
  aStatus,
  type StateOptions,
} from '../fake.ts';
import { isEnded } from '../state.ts';
import { formationKey, jobKey } from '../wire.ts';
import { diffFormations } from './diff-formations.ts';
import { PlanBoard } from './plan-board.ts';
import type { DecideContext, Step } from './steps.ts';

const graceOver = aContext({ monotonicMs: 60_000 });

function diff(options: StateOptions, context: DecideContext = aContext()): Step[] {
  const state = aState(options);
  return [...diffFormations(state, 'app-shop', { board: new PlanBoard(state), context })];
}

/** `create 2 on h1`, `stop job-1`: what a test wants to see. */
function told(steps: Step[]): string[] {
  return steps.map((step) => {
    if (step.kind === 'create') return `create ${step.job.index} on ${step.job.host ?? 'none'}`;
    return 'jobId' in step ? `${step.kind} ${step.jobId}` : step.kind;
  });
}

const web = (quantity: number) => [aFormation({ processes: { web: aProcess({ quantity }) } })];
const h1 = [{ id: 'h1' }];

test('what is missing is created under the lowest free numbers', () => {
  const jobs = [{ index: 2, host: 'h1' }];
  assert.deepEqual(told(diff({ hosts: h1, formations: web(3), jobs })), [
    'create 1 on h1',
    'create 3 on h1',
  ]);
});

test('what waits gets the priority that its app has now; what has a place keeps the one it got it with', () => {
  const formations = [aFormation({ priority: 7, processes: { web: aProcess({ quantity: 2 }) } })];
  const jobs = [{ host: 'h1' }, { pendingReason: 'no room' }];
  const rank = {
    kind: 'rank',
    jobId: 'job-2',
    priority: 7,
    formation: formationKey('app-shop', 'rel-1'),
  };
  assert.deepEqual(diff({ hosts: h1, formations, jobs }), [rank]);
});

test('surplus goes placeless first, then unhealthy, then newest', () => {
  const jobs = [
    { host: 'h1', createdAt: 1, status: {} },
    { host: 'h1', createdAt: 2, status: { isHealthy: false } },
    { host: 'h1', createdAt: 3, status: {} },
    { createdAt: 0 },
  ];
  const steps = (quantity: number) => told(diff({ hosts: h1, formations: web(quantity), jobs }));
  assert.deepEqual(steps(3), ['remove job-4']);
  assert.deepEqual(steps(2), ['remove job-4', 'stop job-2']);
  assert.deepEqual(steps(1), ['remove job-4', 'stop job-2', 'stop job-3']);
});

test('who goes while another one that is not healthy stays must be as it was seen', () => {
  const sick = { host: 'h1', status: { isHealthy: false } };
  const asSeen = (jobs: StateOptions['jobs'] = []) =>
    diff({ hosts: h1, formations: web(1), jobs }).map(
      (step) => step.kind === 'stop' && step.isAsSeen === true,
    );
  assert.deepEqual(asSeen([sick, sick]), [true]);
  assert.deepEqual(asSeen([sick, { host: 'h1' }]), [true], 'not started');
  assert.deepEqual(asSeen([sick, { host: 'h1', status: {} }]), [false], 'a healthy one stays');
  assert.deepEqual(
    asSeen([
      { host: 'h1', status: {} },
      { host: 'h1', status: {} },
    ]),
    [false],
  );
});

test('a record goes only when its host has said that the job ended', () => {
  const jobs = [{ host: 'h1', desired: 'down', status: { state: 'stopping' } } as const];
  assert.deepEqual(diff({ hosts: h1, jobs }), []);
  const ended = [{ host: 'h1', desired: 'down', status: { state: 'down' } } as const];
  assert.deepEqual(told(diff({ hosts: h1, jobs: ended })), ['remove job-1']);
});

test('jobs of a deleted formation, and of a process type that is gone, are stopped', () => {
  const jobs = [{ host: 'h1' }];
  assert.deepEqual(told(diff({ hosts: h1, jobs })), ['stop job-1']);
  const formations = [aFormation({ processes: {} })];
  assert.deepEqual(told(diff({ hosts: h1, jobs, formations })), ['stop job-1']);
});

test('a formation that cannot be read protects its jobs', () => {
  const state = aState({ hosts: h1, jobs: [{ host: 'h1' }] });
  const key = formationKey('app-shop', 'rel-1');
  state.put({ key, value: { processes: 'nonsense' }, modRevision: 9 });
  const planning = { board: new PlanBoard(state), context: aContext() };
  assert.deepEqual([...diffFormations(state, 'app-shop', planning)], []);
});

test('a host that is away keeps its jobs through the grace, and for ever while no other host is there', () => {
  const hosts = [{ id: 'h1', isAway: true }, { id: 'h2' }];
  const given = { hosts, formations: web(1), jobs: [{ host: 'h1' }] };
  assert.deepEqual(diff(given, aContext({ monotonicMs: 29_999 })), []);
  assert.deepEqual(told(diff(given, graceOver)), ['create 2 on h2', 'stop job-1']);
  const alone = { ...given, hosts: [{ id: 'h1', isAway: true }] };
  assert.deepEqual(diff(alone, graceOver), []);
});

test('a job on a lost host is not given up when there is no place for another', () => {
  const hosts = [
    { id: 'h1', isAway: true },
    { id: 'h2', memoryBytes: 1024 },
  ];
  assert.deepEqual(diff({ hosts, formations: web(1), jobs: [{ host: 'h1' }] }, graceOver), []);
});

test('moving a lost job rests on the lease being gone', () => {
  const hosts = [{ id: 'h1', isAway: true }, { id: 'h2' }];
  const steps = diff({ hosts, formations: web(1), jobs: [{ host: 'h1' }] }, graceOver);
  for (const step of steps)
    assert.deepEqual('absent' in step ? step.absent : undefined, ['host/alive/h1']);
});

const hears = (...hosts: string[]) => ({ silent: hosts });
const h3Silent = [
  { id: 'h1', ...hears('h3') },
  { id: 'h2', ...hears('h3') },
  { id: 'h3', memoryBytes: 2 ** 40 },
];

test('jobs of a host that answers none of its watchers are made anew before its lease ends', () => {
  const jobs = [{ host: 'h3', status: {} }];
  const steps = diff({ hosts: h3Silent, formations: web(1), jobs });
  assert.deepEqual(told(steps), ['create 2 on h1', 'stop job-1']);
  for (const step of steps)
    assert.equal('silent' in step ? step.silent : undefined, 'h3', 'it rests on the silence');
});

test('one watcher that hears nothing, or one that does hear, is no silence', () => {
  const given = { formations: web(1), jobs: [{ host: 'h3', status: {} }] };
  const [one, , three] = h3Silent;
  assert.ok(one && three);
  assert.deepEqual(diff({ ...given, hosts: [one, { id: 'h2' }, three] }), []);
  assert.deepEqual(diff({ ...given, hosts: [one, { id: 'h2', isAway: true }, three] }), []);
  assert.deepEqual(diff({ ...given, hosts: [one, three] }), []);
});

test('a singleton, and what has a volume, wait for the end of the lease', () => {
  const singleton = [
    aFormation({ processes: { web: aProcess({ quantity: 1, isSingleton: true }) } }),
  ];
  const jobs = [{ host: 'h3', isSingleton: true, status: {} }];
  assert.deepEqual(diff({ hosts: h3Silent, formations: singleton, jobs }), []);
  const spec = aSpec({ mounts: [{ volume: 'data', path: '/data', isReadOnly: false }] });
  const bound = [{ host: 'h3', spec, status: {} }];
  assert.deepEqual(diff({ hosts: h3Silent, formations: web(1), jobs: bound }), []);
});

test('nothing new is placed on a host that is silent', () => {
  const steps = diff({ hosts: h3Silent, formations: web(4) });
  assert.deepEqual(
    told(steps).map((step) => step.slice(-2)),
    ['h1', 'h2', 'h1', 'h2'],
  );
});

test('one per host follows the hosts that match, and leaves those that are away alone', () => {
  const process = aProcess({ isOnePerHost: true, spec: aSpec({ tags: { edge: 'yes' } }) });
  const formations = [aFormation({ processes: { web: process } })];
  const tags = { edge: 'yes' };
  const hosts = [{ id: 'h1', tags, isAway: true }, { id: 'h2', tags }, { id: 'h3' }];
  const jobs = [{ host: 'h1', isOnePerHost: true }];
  assert.deepEqual(told(diff({ hosts, formations, jobs }, graceOver)), ['create 2 on h2']);
});

test('one per host heeds constraints, and the rules go with the job', () => {
  const rules = { constraints: [{ tag: 'edge', operator: 'absent' as const }] };
  const formations = [aFormation({ processes: { web: aProcess({ isOnePerHost: true, rules }) } })];
  const hosts = [{ id: 'h1', tags: { edge: 'yes' } }, { id: 'h2' }, { id: 'h3' }];
  const steps = diff({ hosts, formations });
  assert.deepEqual(told(steps), ['create 1 on h2', 'create 2 on h3']);
  for (const step of steps)
    assert.deepEqual(step.kind === 'create' ? step.job.rules : undefined, rules);
});

test('a process type with a scheduler of its own gets jobs without a place, and keeps those on a lost host', () => {
  const formations = [
    aFormation({ processes: { web: aProcess({ quantity: 2, scheduler: 'mine' }) } }),
  ];
  const hosts = [{ id: 'h1', isAway: true }, { id: 'h2' }];
  const jobs = [{ host: 'h1', scheduler: 'mine' }];
  const steps = diff({ hosts, formations, jobs }, graceOver);
  assert.deepEqual(told(steps), ['create 2 on none']);
  const [step] = steps;
  assert.equal(step?.kind === 'create' && step.job.pendingReason, 'waits for scheduler mine');
});

test('jobs without a formation and without a host record end when nothing is left to say so', () => {
  const steps = diff({ hosts: h1, jobs: [{ host: 'h9', desired: 'down' }] });
  assert.deepEqual(told(steps), ['remove job-1']);
});

test('from any state, the steps lead to what was asked for and then there are none', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed);
    const given = randomGiven(random);
    const wanted = new Map(
      given.formations.map(({ release, processes }) => [release, processes.web?.quantity ?? 0]),
    );
    const state = aState(given);
    let revision = 1000;
    let steps: Step[] = [];
    for (let round = 0; round < 20; round++) {
      const planning = { board: new PlanBoard(state), context: aContext() };
      steps = [...diffFormations(state, 'app-shop', planning)];
      for (const step of steps) apply(state, step, ++revision);
      const ended = endStopped(state, ++revision);
      if (steps.length === 0 && ended === 0) break;
    }
    assert.deepEqual(steps, [], `seed ${seed} does not settle`);
    for (const release of ['rel-1', 'rel-2']) {
      const jobs = [...state.jobs.values()].filter(({ job }) => job.release === release);
      assert.equal(jobs.length, wanted.get(release) ?? 0, `seed ${seed}, ${release}`);
    }
    const numbers = [...state.jobs.values()].map(({ job }) => job.index);
    assert.equal(new Set(numbers).size, numbers.length, `seed ${seed}: a number given twice`);
  }
});

function randomGiven(random: Random) {
  const releases = ['rel-1', 'rel-2'];
  const pick = (count: number) => Math.floor(random() * count);
  const formations = releases
    .filter(() => random() < 0.8)
    .map((release) => aFormation({ release, processes: { web: aProcess({ quantity: pick(5) }) } }));
  const jobs = Array.from({ length: pick(8) }, () => ({
    release: releases[pick(2)] ?? 'rel-1',
    createdAt: pick(5),
    desired: random() < 0.7 ? ('up' as const) : ('down' as const),
    ...(random() < 0.8 ? { host: 'h1', status: { state: pickState(random) } } : {}),
  }));
  return { hosts: [{ id: 'h1', memoryBytes: 1024 ** 4, cpuMillis: 1_000_000 }], formations, jobs };
}

function pickState(random: Random) {
  const states = ['starting', 'up', 'stopping', 'down', 'failed'] as const;
  return states[Math.floor(random() * states.length)] ?? 'up';
}

function apply(state: ReturnType<typeof aState>, step: Step, modRevision: number): void {
  if (step.kind === 'create') {
    const job = aJob({ ...step.job, id: `job-${modRevision}`, createdAt: modRevision });
    state.put({ key: jobKey(job.id), value: job, modRevision });
  } else if (step.kind === 'stop') {
    const job = state.jobs.get(step.jobId)?.job;
    state.put({ key: jobKey(step.jobId), value: { ...job, desired: 'down' }, modRevision });
  } else if (step.kind === 'remove') state.delete(jobKey(step.jobId));
}

/** The host says `down` of everything that was asked to stop; returns of how many. */
function endStopped(state: ReturnType<typeof aState>, modRevision: number): number {
  const stopping = [...state.jobs.values()].filter(
    ({ job, status }) => job.desired === 'down' && job.host && !isEnded(job, status),
  );
  for (const { job } of stopping) {
    const value = aStatus({ jobId: job.id, attempt: 9, state: 'down' });
    state.put({ key: statusKey(job.id), value, modRevision });
  }
  return stopping.length;
}
