// What a drained host gives away and in which order, what a rebalance moves, and where a singleton goes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#core/random';
import type { JobStatus } from '#layer0/host/wire';
import {
  aContext,
  aFormation,
  aJob,
  aProcess,
  aSpec,
  aState,
  aStatus,
  gigabyte,
  type StateOptions,
} from '../fake.ts';
import { moveSteadyMs } from '../state.ts';
import { type Formation, type Job, rebalanceKey } from '../wire.ts';
import { diffFormations } from './diff-formations.ts';
import { placePending } from './place-pending.ts';
import { PlanBoard } from './plan-board.ts';
import type { DecideContext, Later, Step } from './steps.ts';

const steady = aContext({ monotonicMs: moveSteadyMs });
const lost = aContext({ monotonicMs: 60_000 });
const lostSoon = aContext({ monotonicMs: 60_000, hostLossGraceMs: 60_001 });
const up: Partial<JobStatus> = {};

function decide(options: StateOptions, context: DecideContext = steady, later?: Later) {
  const state = aState(options);
  const planning = { board: new PlanBoard(state, context), context, ...(later ? { later } : {}) };
  return told([...diffFormations(state, 'app-shop', planning)]);
}

/** `create 2 on h1 for job-1`, `stop job-1`, `note job-1: why`. */
function told(steps: Step[]): string[] {
  return steps.map((step) => {
    if (step.kind === 'note') return `note ${step.jobId}: ${step.moveReason}`;
    if (step.kind !== 'create') return 'jobId' in step ? `${step.kind} ${step.jobId}` : step.kind;
    const { index, host = 'none', replaces } = step.job;
    return `create ${index} on ${host}${replaces ? ` for ${replaces.job}` : ''}`;
  });
}

function web(quantity: number, change: Partial<Formation['processes'][string]> = {}) {
  return [aFormation({ processes: { web: aProcess({ quantity, ...change }) } })];
}

const draining = [{ id: 'h1', isDraining: true }, { id: 'h2' }];
const forJob = (job: string, because: 'drain' | 'rebalance' = 'drain'): Partial<Job> => ({
  replaces: { job, because },
});

test('a drained host gives away one job of a type at a time, and another is there before it stops', () => {
  const jobs = [
    { host: 'h1', status: up },
    { host: 'h1', status: up },
  ];
  const given = { hosts: draining, formations: web(2), jobs };
  assert.deepEqual(decide(given), ['create 3 on h2 for job-1']);
  const spare = (status?: Partial<JobStatus>) => ({
    ...given,
    jobs: [...jobs, { host: 'h2', ...forJob('job-1'), ...(status ? { status } : {}) }],
  });
  assert.deepEqual(decide(spare()), [], 'it has not started');
  assert.deepEqual(decide(spare({ isHealthy: false })), [], 'it is not healthy');
  assert.deepEqual(decide(spare(up), aContext()), [], 'it has been healthy for a moment only');
  assert.deepEqual(decide(spare(up)), ['stop job-1']);
});

test('a job that is sick where it is does not wait for a healthy replacement', () => {
  const { startTimeoutMs } = aSpec().health;
  const sick = { host: 'h1', status: { state: 'failed' as const, attempt: 7, isHealthy: false } };
  const spare = { host: 'h2', status: { isHealthy: false }, ...forJob('job-1') };
  const given = { hosts: draining, formations: web(1), jobs: [sick, spare] };
  assert.deepEqual(decide(given, aContext({ monotonicMs: startTimeoutMs })), ['stop job-1']);
  const later: Later = { soon: new Map(), stuck: new Set() };
  assert.deepEqual(decide(given, aContext({ monotonicMs: startTimeoutMs - 100 }), later), []);
  assert.deepEqual([...later.soon], [['app-shop', 100]], 'it may need all the time to start');
  assert.deepEqual(decide({ ...given, jobs: [sick] }, lost), ['create 2 on h2 for job-1']);
  const away = { ...given, hosts: [{ id: 'h1', isDraining: true, isAway: true }, { id: 'h2' }] };
  assert.deepEqual(decide(away, lostSoon), [], 'unknown is not sick');
});

test('a job that was healthy for a while is sick from then on, one that crashes again and again all the time', () => {
  const { startTimeoutMs } = aSpec().health;
  const isGivenUp = (healthyMs: number) => {
    let nowMs = 0;
    const spare = { host: 'h2', ...forJob('job-1') };
    const jobs = [{ host: 'h1', status: { isHealthy: false } }, spare];
    const state = aState({ hosts: draining, formations: web(1), jobs }, () => nowMs);
    const say = (attempt: number, isHealthy: boolean) => {
      const value = aStatus({ attempt, isHealthy });
      state.put({ key: 'host/status/job-1', value, modRevision: 100 + nowMs });
    };
    nowMs = 30_000;
    say(2, true);
    nowMs += healthyMs;
    say(2, false);
    const context = aContext({ monotonicMs: startTimeoutMs });
    const planning = { board: new PlanBoard(state, context), context };
    return told([...diffFormations(state, 'app-shop', planning)]).includes('stop job-1');
  };
  assert.deepEqual([isGivenUp(moveSteadyMs - 1), isGivenUp(moveSteadyMs)], [true, false]);
});

test('a job with two replacements has one, and the other is one like any other', () => {
  const jobs = [
    { host: 'h1', status: up },
    { host: 'h2', status: up, ...forJob('job-1') },
    { host: 'h2', ...forJob('job-1', 'rebalance') },
  ];
  assert.deepEqual(decide({ hosts: draining, formations: web(2), jobs }), ['stop job-1']);
});

test('another drain of the same machine makes no replacement of what the first one left', () => {
  const hosts = [{ id: 'h1' }, { id: 'h2', isDraining: true }, { id: 'h3' }];
  const left = { replaces: { job: 'job-1', because: 'drain' as const, drainSince: -1 } };
  const jobs = [
    { host: 'h2', status: up },
    { host: 'h3', status: up, ...left },
  ];
  assert.deepEqual(decide({ hosts, formations: web(2), jobs }), ['create 3 on h1 for job-1']);
  const now = { replaces: { ...left.replaces, drainSince: 0 } };
  const [first, second] = jobs;
  assert.ok(first && second);
  const moving = [first, { ...second, ...now }];
  assert.deepEqual(decide({ hosts, formations: web(1), jobs: moving }), ['stop job-1']);
});

test('a replacement that is healthy for a moment is looked at again when that was long enough', () => {
  const later: Later = { soon: new Map(), stuck: new Set() };
  const jobs = [
    { host: 'h1', status: up },
    { host: 'h2', status: up, ...forJob('job-1') },
  ];
  const context = aContext({ monotonicMs: 1000 });
  assert.deepEqual(decide({ hosts: draining, formations: web(1), jobs }, context, later), []);
  assert.deepEqual([...later.soon], [['app-shop', moveSteadyMs - 1000]]);
});

test('a job without another place stays where it is and says why, and it is tried again when there is room', () => {
  const later: Later = { soon: new Map(), stuck: new Set() };
  const hosts = [
    { id: 'h1', isDraining: true },
    { id: 'h2', memoryBytes: 1024 },
  ];
  const jobs = [{ host: 'h1', status: up }];
  const moveReason = 'not enough memory: needs 512 MB, 1 KB free on h2; 1 host being drained (h1)';
  const given = { hosts, formations: web(1), jobs };
  assert.deepEqual(decide(given, steady, later), [`note job-1: ${moveReason}`]);
  assert.deepEqual([...later.stuck], ['app-shop']);
  const said = { ...given, jobs: [{ host: 'h1', status: up, moveReason }] };
  assert.deepEqual(decide(said), [], 'once is enough');
});

test('a drain that is over takes back what it began, unless that is the better one, and what was said', () => {
  const hosts = [{ id: 'h1' }, { id: 'h2' }];
  const old = { host: 'h1', status: up, moveReason: 'no room' };
  const spare = { host: 'h2', status: up, ...forJob('job-1') };
  const left = (...jobs: NonNullable<StateOptions['jobs']>) =>
    decide({ hosts, formations: web(1), jobs });
  assert.deepEqual(left(old, spare), ['stop job-2']);
  assert.deepEqual(left({ ...old, status: { isHealthy: false } }, spare), ['stop job-1']);
  assert.deepEqual(left(old), ['note job-1: undefined']);
  assert.deepEqual(decide({ hosts, formations: web(2), jobs: [old, spare] }), [
    'note job-1: undefined',
  ]);
});

test('fewer are wanted while one moves, and the replacement is the one that is not healthy', () => {
  const jobs = [
    { host: 'h1', status: up },
    { host: 'h2', status: up },
    { host: 'h2', ...forJob('job-1') },
  ];
  const given = { hosts: draining, formations: web(1), jobs };
  assert.deepEqual(decide(given), ['stop job-3', 'stop job-1']);
});

test('a drained host that is then lost gets its job replaced once', () => {
  const hosts = [{ id: 'h1', isDraining: true, isAway: true }, { id: 'h2' }];
  const jobs = [
    { host: 'h1', status: up },
    { host: 'h2', ...forJob('job-1') },
  ];
  assert.deepEqual(decide({ hosts, formations: web(1), jobs }, lost), ['stop job-1']);
});

test('a replacement on a host that is drained or away itself is none', () => {
  for (const change of [{ isDraining: true }, { isAway: true }]) {
    const hosts = [{ id: 'h1', isDraining: true }, { id: 'h2', ...change }, { id: 'h3' }];
    const jobs = [
      { host: 'h1', status: up },
      { host: 'h2', status: up, ...forJob('job-1') },
    ];
    assert.deepEqual(decide({ hosts, formations: web(1), jobs }), [
      'stop job-2',
      'create 3 on h3 for job-1',
    ]);
  }
});

test('a replacement on a host that is drained itself takes over where it alone is healthy', () => {
  const hosts = [{ id: 'h1', isDraining: true }, { id: 'h2', isDraining: true }, { id: 'h3' }];
  const jobs = [
    { host: 'h1', status: { isHealthy: false } },
    { host: 'h2', status: up, ...forJob('job-1') },
  ];
  const given = { hosts, formations: web(1), jobs };
  assert.deepEqual(decide(given), ['stop job-1']);
  assert.deepEqual(decide(given, aContext()), [], 'it has been healthy for a moment only');
  const left = { ...given, jobs: [{ host: 'h2', status: up, ...forJob('job-0') }] };
  assert.deepEqual(decide(left), ['create 2 on h3 for job-1'], 'then it leaves itself');
  const away = {
    ...given,
    hosts: [
      { id: 'h1', isDraining: true },
      { id: 'h2', isAway: true },
    ],
  };
  assert.deepEqual(decide(away), [], 'unknown is not dead');
  assert.deepEqual(decide(away, lost)[0], 'stop job-2');
});

test('what runs on every host stays on one that is drained, and comes there too', () => {
  const hosts = [{ id: 'h1', isDraining: true }, { id: 'h2' }];
  const formations = web(1, { isOnePerHost: true });
  const jobs = [{ host: 'h2', isOnePerHost: true, status: up }];
  assert.deepEqual(decide({ hosts, formations, jobs }), ['create 2 on h1']);
});

test('a drained host gets no new jobs', () => {
  const pending = decide({ hosts: [{ id: 'h1', isDraining: true }], formations: web(1) });
  assert.deepEqual(pending, ['create 1 on none']);
});

test('a singleton ends before another begins, and only where there is a place for it', () => {
  const formations = web(1, { isSingleton: true });
  const job = { host: 'h1', isSingleton: true, status: up };
  assert.deepEqual(decide({ hosts: draining, formations, jobs: [job] }), ['stop job-1']);
  const full = [
    { id: 'h1', isDraining: true },
    { id: 'h2', memoryBytes: 1024 },
  ];
  assert.match(
    decide({ hosts: full, formations, jobs: [job] })[0] ?? '',
    /^note job-1: not enough/,
  );
  const ending = { ...job, desired: 'down' as const, status: { state: 'stopping' as const } };
  const state = aState({ hosts: draining, formations, jobs: [ending] });
  const planning = { board: new PlanBoard(state), context: steady };
  const [step] = [...diffFormations(state, 'app-shop', planning)];
  assert.equal(
    step?.kind === 'create' && step.job.pendingReason,
    'only one web runs at once: waits for the end of the one on h1',
  );
});

test('a singleton waits for one of another release, and takes its place when that has ended', () => {
  const place = (state: JobStatus['state']) => {
    const old = { host: 'h1', isSingleton: true, desired: 'down' as const, status: { state } };
    const next = { release: 'rel-2', isSingleton: true };
    const given = aState({ hosts: [{ id: 'h1' }, { id: 'h2' }], jobs: [old, next] });
    const planning = { board: new PlanBoard(given), context: steady };
    return [...placePending(given, 'service', planning)].map(({ kind }) => kind);
  };
  assert.deepEqual(place('stopping'), ['explain']);
  assert.deepEqual(place('down'), ['place']);
});

test('a singleton on a host that is away begins elsewhere only when that host is lost', () => {
  const hosts = [{ id: 'h1', isAway: true }, { id: 'h2' }];
  const jobs = [{ host: 'h1', isSingleton: true, status: up }];
  const given = { hosts, formations: web(1, { isSingleton: true }), jobs };
  assert.deepEqual(decide(given, aContext({ monotonicMs: 29_999 })), []);
  assert.deepEqual(decide(given, lost), ['create 2 on h2', 'stop job-1']);
});

test('a singleton of a host that was taken out waits until that host must know, other jobs do not', () => {
  const decideAt = (monotonicMs: number, isSingleton: boolean) => {
    const context = aContext({ monotonicMs });
    const state = aState({ hosts: [{ id: 'h2' }], formations: web(1, { isSingleton }) });
    const job = aJob({ host: 'h1', isSingleton });
    state.put({ key: `scheduler/jobs/${job.id}`, value: job, modRevision: 1 });
    state.put({ key: `host/status/${job.id}`, value: aStatus(), modRevision: 2 });
    const planning = { board: new PlanBoard(state, context), context };
    return told([...diffFormations(state, 'app-shop', planning)]);
  };
  assert.deepEqual(decideAt(0, false), ['remove job-1', 'create 2 on h2']);
  assert.deepEqual(decideAt(39_999, true), []);
  assert.deepEqual(decideAt(40_000, true), ['remove job-1', 'create 2 on h2']);
});

test('a rebalance moves one at a time from the fuller host to the emptier one, and then it is over', () => {
  const hosts = [
    { id: 'h1', memoryBytes: 64 * gigabyte },
    { id: 'h2', memoryBytes: 64 * gigabyte },
  ];
  const on = (places: string[], more: Partial<Job>[] = []) => {
    const jobs = [...places.map((host) => ({ host, status: up })), ...more];
    const formations = web(places.length);
    const state = aState({ hosts, formations, jobs: jobs.map((job) => ({ status: up, ...job })) });
    state.put({ key: rebalanceKey('app-shop'), value: {}, modRevision: 99 });
    const planning = { board: new PlanBoard(state), context: steady };
    return told([...diffFormations(state, 'app-shop', planning)]);
  };
  assert.deepEqual(on(['h1', 'h1', 'h1']), ['create 4 on h2 for job-1']);
  const spare = { host: 'h2', ...forJob('job-1', 'rebalance') };
  assert.deepEqual(on(['h1', 'h1', 'h1'], [spare]), ['stop job-1']);
  assert.deepEqual(on(['h1', 'h1', 'h2']), ['settle']);
});

/** A move of a web: the others stand for what else is there. */
function isMove(step: Step): step is Step & { kind: 'create' } {
  return step.kind === 'create' && step.job.type === 'web';
}

test('a rebalance comes to its end, whatever is where', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = seededRandom(seed);
    const below = (count: number) => Math.floor(random() * count);
    const hosts = Array.from({ length: 2 + below(4) }, (_, at) => ({
      id: `h${at + 1}`,
      memoryBytes: (16 + 16 * below(4)) * gigabyte,
      ...(random() < 0.7 ? { tags: { zone: 'ab'[below(2)] ?? '' } } : {}),
    }));
    const anyHost = () => `h${1 + below(hosts.length)}`;
    const worker = { app: 'app-mail', type: 'worker' };
    const apart = [{ ...(random() < 0.5 ? { type: 'web' } : worker), isRequired: false }];
    const rules = {
      ...(random() < 0.7 ? { spreadBy: 'zone' } : {}),
      ...(random() < 0.3 ? { apart } : {}),
    };
    const others = Array.from({ length: below(6) }, () => ({
      host: anyHost(),
      type: 'worker',
      app: 'app-mail',
    }));
    const places = Array.from({ length: 1 + below(8) }, anyHost);
    const formations = web(places.length, { rules });
    const most = 2 * places.length;
    for (let moves = 0; ; moves++) {
      assert.ok(moves <= most, `seed ${seed}: moved ${moves} times, and is not done`);
      const jobs = [...places.map((host) => ({ host, rules })), ...others];
      const state = aState({
        hosts,
        formations,
        jobs: jobs.map((job) => ({ status: up, ...job })),
      });
      state.put({ key: rebalanceKey('app-shop'), value: {}, modRevision: 99 });
      const planning = { board: new PlanBoard(state, steady), context: steady };
      const move = [...diffFormations(state, 'app-shop', planning)].find(isMove);
      if (!move) break;
      places[Number(move.job.replaces?.job.slice('job-'.length)) - 1] = move.job.host ?? '';
    }
  }
});
