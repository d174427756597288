// What is the next step for an app, in every state it can be in?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { aSeenJob } from '../fake.ts';
import type { App, Deployment } from '../wire.ts';
import { decideApp } from './app.ts';
import type { AppView, ReleaseShape, SeenFormation, SeenJob } from './app-view.ts';

const now = 1_000_000;
const options = { deploySlackMs: 30_000, deploySteadyMs: 1_000 };
const decide = (view: AppView) => decideApp(view, options).steps;

function anApp(change: Partial<App> = {}): App {
  return {
    id: 'app-1',
    name: 'shop',
    strategy: 'one-by-one',
    batchSize: 2,
    currentRelease: 'rel-1',
    currentVersion: 1,
    quantities: {},
    limits: {},
    isSystem: false,
    isDeleting: false,
    createdAt: 0,
    ...change,
  };
}

function aDeployment(change: Partial<Deployment> = {}): Deployment {
  return {
    id: 'dep-2',
    app: 'app-1',
    oldRelease: 'rel-1',
    oldVersion: 1,
    newRelease: 'rel-2',
    newVersion: 2,
    strategy: 'one-by-one',
    batchSize: 2,
    state: 'running',
    createdAt: now,
    progressAt: now,
    ...change,
  };
}

function aShape(version: number, types: ReleaseShape['types'] = { web: checked }): ReleaseShape {
  return { id: `rel-${version}`, version, types };
}

const checked = { isOnePerHost: false, startTimeoutMs: 60_000, hasHealthCheck: true };
const unchecked = { ...checked, hasHealthCheck: false };

function aFormation(version: number, web: number): SeenFormation {
  return { release: `rel-${version}`, version, priority: 0, quantities: { web }, onePerHost: [] };
}

function ranked(version: number, priority: number): SeenFormation {
  return { ...aFormation(version, 1), priority };
}

function aJob(change: Partial<SeenJob> = {}): SeenJob {
  return aSeenJob({ startedAt: 0, healthyForMs: 60_000, ...change });
}

function aView(change: Partial<AppView> = {}): AppView {
  const releases = new Map([1, 2, 3].map((version) => [`rel-${version}`, aShape(version)]));
  return {
    app: anApp(),
    deployments: [],
    formations: [aFormation(1, 1)],
    jobs: [aJob()],
    releases,
    hosts: 1,
    machines: 1,
    now,
    ...change,
  };
}

describe('an app without a deployment', () => {
  test('that is as people want it needs nothing', () => {
    assert.deepEqual(decide(aView()), []);
  });

  test('gets the quantities that people want', () => {
    const app = anApp({ quantities: { web: 3 } });
    assert.deepEqual(decide(aView({ app })), [
      { type: 'scale', release: 'rel-1', quantities: { web: 3 } },
    ]);
  });

  test('gives its formations its priority, and the platform comes before all others', () => {
    const formations = [ranked(1, 0), ranked(2, 100)];
    const steps = (change: Partial<App>) => decide(aView({ app: anApp(change), formations }));
    const prioritize = (version: number) => ({ type: 'prioritize', release: `rel-${version}` });
    assert.deepEqual(steps({ priority: 'high' }), [prioritize(1)]);
    assert.deepEqual(steps({ priority: 'low' }), [prioritize(1), prioritize(2)]);
    const app = anApp({ isSystem: true });
    assert.deepEqual(decide(aView({ app, formations: [ranked(1, 1000)] })), []);
  });

  test('runs a type of the platform in as many copies as there are machines, away or not, up to its number', () => {
    const shape = aShape(1);
    const [web] = Object.values(shape.types);
    assert.ok(web);
    const types = { web: { ...web, copies: 2 } };
    const releases = new Map([['rel-1', { ...shape, types }]]);
    const quantityOn = (machines: number, web: number) => {
      const app = anApp({ quantities: { web } });
      const [step] = decide(aView({ app, releases, hosts: 1, machines, formations: [] }));
      return step?.type === 'scale' && step.quantities.web;
    };
    assert.deepEqual(
      [1, 2, 3].map((hosts) => quantityOn(hosts, 1)),
      [1, 2, 2],
    );
    assert.deepEqual([quantityOn(3, 0), quantityOn(1, 3)], [0, 3]);
  });

  test('loses formations of other releases', () => {
    const formations = [aFormation(1, 1), aFormation(2, 0)];
    assert.deepEqual(decide(aView({ formations })), [
      { type: 'remove-formation', release: 'rel-2' },
    ]);
  });

  test('keeps what is healthy of a release that failed for as long as the current one is not whole', () => {
    const app = anApp({ quantities: { web: 2 } });
    const formations = [aFormation(1, 2), aFormation(2, 2), aFormation(3, 1)];
    const [old, late] = [aJob(), aJob({ id: 'job-2', name: 'web.2' })];
    const failed = (id: string, change: Partial<SeenJob> = {}) =>
      aJob({ id, release: 'rel-2', ...change });
    const others = [failed('job-3'), failed('job-4', { isHealthy: false })];
    const sick = { ...late, state: 'placed' as const, isHealthy: false };
    const view = aView({ app, formations, jobs: [old, sick, ...others] });
    const scaled = (version: number, web: number) => ({
      type: 'scale',
      release: `rel-${version}`,
      quantities: { web },
    });
    assert.deepEqual(decide(view), [scaled(2, 1), scaled(3, 0)], 'what is not healthy goes');
    const serving = { ...view, formations: [aFormation(1, 2), aFormation(2, 1)] };
    assert.deepEqual(decide({ ...serving, jobs: [old, sick, failed('job-3')] }), []);
    const young = { ...late, healthyForMs: 400 };
    const soon = { ...serving, jobs: [old, young, failed('job-3')] };
    assert.deepEqual(decideApp(soon, options), { steps: [], againMs: 600 });
    assert.deepEqual(decide({ ...serving, jobs: [old, late, failed('job-3')] }), [scaled(2, 0)]);
    const more = { ...serving, app: anApp({ quantities: { web: 3 } }) };
    assert.deepEqual(decide({ ...more, jobs: [old, sick, failed('job-3')] }), [scaled(1, 3)]);
    const none = { ...serving, app: anApp({ quantities: { web: 0 } }) };
    assert.deepEqual(decide(none), [scaled(1, 0), scaled(2, 0)]);
  });

  test('ends what is healthy of a release that failed where that holds the ports of the machine', () => {
    const types = { web: { ...checked, hasHostPorts: true } };
    const releases = new Map([1, 2].map((version) => [`rel-${version}`, aShape(version, types)]));
    const app = anApp({ quantities: { web: 2 } });
    const formations = [aFormation(1, 1), aFormation(2, 1)];
    const failed = aJob({ id: 'job-2', release: 'rel-2' });
    const view = aView({ app, releases, formations, jobs: [aJob({ isHealthy: false }), failed] });
    assert.deepEqual(decide(view), [], 'only when another one takes its place');
    assert.deepEqual(decide({ ...view, jobs: [aJob(), failed] }), [
      { type: 'scale', release: 'rel-1', quantities: { web: 2 } },
      { type: 'scale', release: 'rel-2', quantities: { web: 0 } },
    ]);
  });

  test('whose current release cannot be read is left alone', () => {
    assert.deepEqual(decide(aView({ releases: new Map() })), []);
  });
});

describe('several deployments of an app', () => {
  test('the newest takes over at once and the older ones are superseded', () => {
    const deployments = [
      aDeployment(),
      aDeployment({ id: 'dep-3', newVersion: 3, state: 'pending' }),
    ];
    assert.deepEqual(decide(aView({ deployments })), [
      {
        type: 'supersede',
        deployment: 'dep-2',
        isFailure: false,
        reason: 'v3 came before v2 was complete',
      },
    ]);
  });

  test('one that rolls back has failed, and keeps its reason', () => {
    const failing = aDeployment({ state: 'rolling-back', reason: 'web.1 failed 3 times: exit 1' });
    const deployments = [failing, aDeployment({ id: 'dep-3', newVersion: 3, state: 'pending' })];
    const [step] = decide(aView({ deployments }));
    assert.ok(step?.type === 'supersede' && step.isFailure);
    assert.match(step.reason, /exit 1; v3 follows/);
  });

  test('one to a version below the current one is over', () => {
    const app = anApp({ currentRelease: 'rel-3', currentVersion: 3 });
    const [step] = decide(aView({ app, deployments: [aDeployment()] }));
    assert.equal(step?.type, 'supersede');
  });
});

describe('a running deployment', () => {
  const running = (jobs: SeenJob[], change: Partial<AppView> = {}) =>
    aView({
      deployments: [aDeployment()],
      formations: [aFormation(1, 1), aFormation(2, 1)],
      jobs: [aJob(), ...jobs],
      ...change,
    });
  const fresh = (change: Partial<SeenJob> = {}) =>
    aJob({ id: 'job-2', release: 'rel-2', name: 'web.2', ...change });

  test('is rolled back when a job fails its third attempt, with the reason', () => {
    const view = running([fresh({ state: 'failed', attempt: 3, reason: 'exit 1' })]);
    assert.deepEqual(decide(view), [
      { type: 'roll-back', deployment: 'dep-2', reason: 'web.2 failed 3 times: exit 1' },
    ]);
  });

  test('has hope after two failed attempts', () => {
    assert.deepEqual(decide(running([fresh({ state: 'failed', attempt: 2 })])), []);
  });

  test('fails because of nothing that people do not want any more', () => {
    const failing = fresh({ id: 'job-3', name: 'web.3', state: 'failed', attempt: 3 });
    const view = running([fresh({}), failing], { formations: [aFormation(2, 2)] });
    assert.deepEqual(decide(view), [{ type: 'complete', deployment: 'dep-2' }]);
    const shrunk = { ...view, formations: [aFormation(2, 1)] };
    assert.deepEqual(decide(shrunk), [], 'the scheduler takes one away');
    const app = anApp({ quantities: { web: 2 } });
    assert.equal(decide({ ...view, app })[0]?.type, 'roll-back');
  });

  test('is rolled back when nothing gets healthy in its time and the slack', () => {
    const waiting = fresh({ state: 'starting', isHealthy: false, reason: 'connection refused' });
    const late = running([waiting], { now: now + 90_001 });
    const [step] = decide(late);
    assert.ok(step?.type === 'roll-back');
    assert.match(
      step.reason,
      /v2 was not healthy within 90 s: web.2 is starting \(connection refused\)/,
    );
    assert.deepEqual(decide({ ...late, now: now + 90_000 }), []);
  });

  test('has all the time that it needs to be steady once all of it is healthy', () => {
    const late = { now: now + 100_000 };
    assert.deepEqual(decide(running([fresh({ healthyForMs: 400 })], late)), []);
    const [step] = decide(running([fresh({})], late));
    assert.ok(step?.type === 'scale' && step.release === 'rel-1');
    const alone = running([fresh({})], { ...late, formations: [aFormation(2, 1)] });
    assert.deepEqual(decide(alone), [{ type: 'complete', deployment: 'dep-2' }]);
  });

  test('says why it waits for a place', () => {
    const pending = fresh({ state: 'pending', isHealthy: false, reason: 'no room' });
    const [step] = decide(running([pending], { now: now + 100_000 }));
    assert.ok(step?.type === 'roll-back');
    assert.match(step.reason, /web.2 is pending \(no room\)/);
  });

  test('does not call a process without a health check healthy before it ran for a while', () => {
    const releases = new Map([
      ['rel-1', aShape(1)],
      ['rel-2', aShape(2, { web: unchecked })],
    ]);
    const young = { startedAt: now - 2_900, healthyForMs: 2_900 };
    const view = running([fresh(young)], { releases });
    assert.deepEqual(decide(view), []);
    const later = { ...view, now: now + 100 };
    assert.deepEqual(decide(later), [
      { type: 'scale', release: 'rel-1', quantities: { web: 0 }, deployment: 'dep-2' },
    ]);
  });

  test('counts a process without a health check sooner beside one that has run for a while', () => {
    const releases = new Map([1, 2].map((id) => [`rel-${id}`, aShape(id, { web: unchecked })]));
    const young = fresh({ id: 'job-3', startedAt: now - 400, healthyForMs: 400 });
    const formations = [aFormation(1, 1), aFormation(2, 2)];
    const beside = (other: SeenJob) => running([young, other], { releases, formations });
    const wanted = { app: anApp({ quantities: { web: 2 } }) };
    const proven = { ...beside(fresh()), ...wanted };
    assert.deepEqual(decideApp(proven, options), { steps: [], againMs: 600 });
    const steady = { ...young, healthyForMs: 1_000 };
    const [step] = decide({ ...proven, jobs: [aJob(), steady, fresh()] });
    assert.deepEqual(step, {
      type: 'scale',
      release: 'rel-1',
      quantities: { web: 0 },
      deployment: 'dep-2',
    });
    const crashed = fresh({ state: 'failed', isHealthy: false });
    assert.deepEqual(decide({ ...proven, jobs: [aJob(), steady, crashed] }), []);
    const old = aJob({ id: 'job-0' });
    assert.deepEqual(decide({ ...proven, jobs: [old, steady] }), [], 'of another release');
  });

  test('goes by what the leader saw where the clock of the machine is ahead of its own', () => {
    const releases = new Map([
      ['rel-1', aShape(1)],
      ['rel-2', aShape(2, { web: unchecked })],
    ]);
    const at = (healthyForMs: number) =>
      decide(running([fresh({ startedAt: now + 300_000, healthyForMs })], { releases }));
    assert.deepEqual(at(2_900), []);
    assert.equal(at(3_000).length, 1);
  });

  test('waits until a new instance was healthy for a while, and looks again just then', () => {
    const young = running([fresh({ healthyForMs: 400 })]);
    assert.deepEqual(decideApp(young, options), { steps: [], againMs: 600 });
    const alone = { ...young, formations: [aFormation(1, 0), aFormation(2, 1)] };
    assert.deepEqual(decide(alone), []);
    const [step] = decide(running([fresh({ healthyForMs: 1_000 })]));
    assert.ok(step?.type === 'scale' && step.release === 'rel-1');
  });

  test('takes no steady instance for one of another release that is healthy for a moment', () => {
    const overtaken = aJob({ id: 'job-3', release: 'rel-3', healthyForMs: 20 });
    const formations = [aFormation(1, 1), aFormation(2, 0), aFormation(3, 1)];
    const app = anApp({ quantities: { web: 1 } });
    const view = aView({ app, deployments: [aDeployment()], formations });
    const steps = decide({ ...view, jobs: [aJob(), overtaken] });
    assert.deepEqual(
      steps.filter((step) => step.type === 'scale' && step.release === 'rel-1'),
      [],
    );
  });

  test('has hope while one that failed often is healthy, which a new leader has only just seen', () => {
    assert.deepEqual(decide(running([fresh({ attempt: 4, healthyForMs: 0 })])), []);
    const [step] = decide(running([fresh({ attempt: 4, state: 'starting', isHealthy: false })]));
    assert.equal(step?.type, 'roll-back');
  });

  test('is complete when only the new release is asked for', () => {
    const formations = [aFormation(1, 0), aFormation(2, 1)];
    const view = running([fresh({})], { formations, jobs: [fresh({})] });
    assert.deepEqual(decide(view), [{ type: 'complete', deployment: 'dep-2' }]);
  });

  test('of a one-per-host type waits for every host', () => {
    const perHost = { proxy: { ...checked, isOnePerHost: true } };
    const formation = (version: number): SeenFormation => ({
      ...ranked(version, 1000),
      quantities: { proxy: 1 },
      onePerHost: ['proxy'],
    });
    const jobs = [1, 2].flatMap((version) => ['a', 'b'].map((host) => proxyJob(version, host)));
    const view = aView({
      app: anApp({ isSystem: true }),
      deployments: [aDeployment()],
      formations: [formation(1), formation(2)],
      releases: new Map([
        ['rel-1', aShape(1, perHost)],
        ['rel-2', aShape(2, perHost)],
      ]),
      hosts: 2,
      jobs: jobs.slice(0, 3),
    });
    assert.deepEqual(decide(view), []);
    assert.deepEqual(decide({ ...view, jobs }), [
      { type: 'scale', release: 'rel-1', quantities: { proxy: 0 }, deployment: 'dep-2' },
    ]);
  });

  function proxyJob(version: number, host: string): SeenJob {
    return aJob({ id: `${host}-${version}`, release: `rel-${version}`, type: 'proxy' });
  }
});

describe('a deployment that began before any release was complete', () => {
  const { oldRelease, oldVersion, ...first } = aDeployment({ newVersion: 3, newRelease: 'rel-3' });
  const { currentRelease, currentVersion, ...app } = anApp();
  const fresh = aJob({ id: 'job-3', release: 'rel-3', state: 'failed', attempt: 3 });
  const view = (jobs: SeenJob[], change: Partial<Deployment> = {}) =>
    aView({
      app,
      deployments: [{ ...first, ...change }],
      formations: [aFormation(1, 1), aFormation(2, 1), aFormation(3, 1)],
      jobs: [...jobs, fresh],
    });
  const notes = (version: number) => [
    { type: 'note-fallback', deployment: 'dep-2', release: `rel-${version}`, version },
  ];
  const second = (change: Partial<SeenJob> = {}) =>
    aJob({ id: 'job-2', release: 'rel-2', ...change });

  test('notes the newest release that is healthy, before it does anything else', () => {
    assert.deepEqual(decide(view([aJob(), second()])), notes(2));
    assert.deepEqual(decide(view([aJob(), second()], { state: 'rolling-back' })), notes(2));
  });

  test('trusts one that was healthy for a while more than one that was for a moment', () => {
    assert.deepEqual(decide(view([aJob(), second({ healthyForMs: 20 })])), notes(1));
    assert.deepEqual(decide(view([aJob({ healthyForMs: 20 })])), notes(1));
  });

  test('notes nothing while nothing is healthy, and nothing twice', () => {
    const [step] = decide(view([aJob({ isHealthy: false })]));
    assert.equal(step?.type, 'roll-back');
    const noted = { oldRelease: 'rel-1', oldVersion: 1 };
    assert.equal(decide(view([aJob(), second()], noted))[0]?.type, 'roll-back');
  });
});

describe('a deployment that rolls back', () => {
  test('of a first release ends with nothing', () => {
    const { oldRelease, oldVersion, ...first } = aDeployment({
      state: 'rolling-back',
      reason: 'x',
    });
    const { currentRelease, currentVersion, ...app } = anApp();
    const view = aView({ app, deployments: [first], formations: [aFormation(2, 1)], jobs: [] });
    assert.deepEqual(decide(view), [
      { type: 'scale', release: 'rel-2', quantities: { web: 0 }, deployment: 'dep-2' },
    ]);
    const empty = { ...view, formations: [aFormation(2, 0)] };
    assert.deepEqual(decide(empty), [{ type: 'fail', deployment: 'dep-2', reason: 'x' }]);
  });

  test('of a first release completes when that came late and all of it is healthy', () => {
    const { oldRelease, oldVersion, ...first } = aDeployment({ state: 'rolling-back' });
    const { currentRelease, currentVersion, ...app } = anApp();
    const view = (...jobs: SeenJob[]) => {
      const quantities = { web: jobs.length };
      const formations = [aFormation(2, jobs.length)];
      return aView({ app: { ...app, quantities }, deployments: [first], formations, jobs });
    };
    const here = (change: Partial<SeenJob> = {}) => aJob({ release: 'rel-2', ...change });
    assert.deepEqual(decide(view(here())), [{ type: 'complete', deployment: 'dep-2' }]);
    assert.deepEqual(decide(view(here({ healthyForMs: 20 }))), [], 'it may not last');
    const [step] = decide(view(here(), here({ id: 'job-2', name: 'web.2', isHealthy: false })));
    assert.deepEqual(step?.type === 'scale' && step.quantities, { web: 0 });
  });

  test('keeps what serves, also what is healthy only since a moment', () => {
    const deployment = aDeployment({ state: 'rolling-back', reason: 'x' });
    const bad = aJob({ id: 'job-2', release: 'rel-2', healthyForMs: 0 });
    const starting = aJob({ state: 'starting', isHealthy: false });
    const formations = [aFormation(1, 1), aFormation(2, 1)];
    const view = aView({ deployments: [deployment], formations, jobs: [starting, bad] });
    assert.deepEqual(decide(view), []);
  });

  test('to a release that is not healthy either ends all the same, and says so', () => {
    const deployment = aDeployment({ state: 'rolling-back', reason: 'x' });
    const view = aView({
      deployments: [deployment],
      jobs: [aJob({ isHealthy: false, state: 'failed', reason: 'exit 2' })],
      now: now + 100_000,
    });
    const [step] = decide(view);
    assert.ok(step?.type === 'fail');
    assert.match(step.reason, /x; v1 is not healthy either: web.1 is failed \(exit 2\)$/);
    const jobs = [...view.jobs, aJob({ id: 'job-2', release: 'rel-2' })];
    const [kept] = decide({ ...view, formations: [aFormation(1, 1), aFormation(2, 1)], jobs });
    assert.ok(kept?.type === 'fail');
    assert.match(kept.reason, /exit 2\); what is healthy of v2 stays until it is$/);
  });
});

describe('an app that is deleted', () => {
  const deleting = anApp({ isDeleting: true });

  test('loses its formations first, also in the middle of a deployment', () => {
    const view = aView({ app: deleting, deployments: [aDeployment()] });
    assert.deepEqual(decide(view), [{ type: 'remove-formation', release: 'rel-1' }]);
  });

  test('waits for its jobs and stops its one-offs', () => {
    const oneOff = aJob({ id: 'job-9', kind: 'ephemeral' });
    const view = aView({
      app: deleting,
      formations: [],
      jobs: [aJob({ isWanted: false }), oneOff],
    });
    assert.deepEqual(decide(view), [{ type: 'stop-jobs', jobs: ['job-9'] }]);
    assert.deepEqual(decide({ ...view, jobs: [aJob({ isWanted: false })] }), []);
  });

  test('is purged when nothing runs', () => {
    const ended = aJob({ kind: 'ephemeral', state: 'down', isWanted: true });
    const view = aView({ app: deleting, formations: [], jobs: [ended] });
    assert.deepEqual(decide(view), [{ type: 'purge' }]);
  });
});
