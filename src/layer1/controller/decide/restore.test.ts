// What goes back to what it was, and what stays as it is.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Kept, planRestore, type RestoreMode } from './restore.ts';

let revision = 0;
const at = (key: string, value: object = {}): Kept => ({
  key,
  value,
  createRevision: ++revision,
});

/** An app with one release, its formation, one job and its route. */
function anApp(name: string, release = 'rel-1', job = `job-${name}-${release}`): Kept[] {
  const app = `app-${name}`;
  return [
    at(`controller/apps/${app}`, { id: app, name, currentRelease: release }),
    at(`controller/app-names/${name}`, { app }),
    at(`controller/releases/${app}/1`, { id: release, app }),
    at(`scheduler/formations/${app}/${release}`, { app, release }),
    at(`scheduler/jobs/${job}`, { id: job, app, release, kind: 'service' }),
    at(`host/status/${job}`, { jobId: job }),
    at(`scheduler/claims/apps/${app}`, { by: 'service' }),
    at(`router/routes/rte-${name}`, { id: `rte-${name}`, app }),
    at(`router/route-claims/http/${name}.x`, { route: `rte-${name}` }),
    at(`network/apps/${app}`, { app }),
  ];
}

function keysAfter(backup: Kept[], now: Kept[], mode: RestoreMode = 'replace'): string[] {
  return planRestore(backup, now, mode)
    .entries.map(({ key }) => key)
    .sort();
}

describe('a restore into a cluster that runs', () => {
  test('of the present state changes nothing', () => {
    const now = [...anApp('gantry'), ...anApp('shop'), at('membership/members/h1')];
    assert.deepEqual(keysAfter(now, now), now.map(({ key }) => key).sort());
    const { apps, forgotten } = planRestore(now, now, 'replace');
    assert.deepEqual([apps, forgotten], [['gantry', 'shop'], []]);
  });

  test('brings a deleted app back without its jobs, which the scheduler makes anew, and without its tombstone', () => {
    const shop = anApp('shop');
    const now = [...anApp('gantry'), at('network/tombstones/app-shop')];
    const keys = keysAfter([...anApp('gantry'), ...shop], now);
    for (const key of ['controller/apps/app-shop', 'scheduler/formations/app-shop/rel-1'])
      assert.ok(keys.includes(key), key);
    for (const key of ['scheduler/jobs/job-shop-rel-1', 'network/tombstones/app-shop'])
      assert.ok(!keys.includes(key), key);
  });

  test('forgets an app that was made since, and keeps its addresses from being given again', () => {
    const shop = anApp('shop');
    const plan = planRestore([], [...anApp('gantry'), ...shop], 'replace');
    const keys = plan.entries.map(({ key }) => key);
    assert.deepEqual([plan.apps, plan.forgotten], [['gantry'], ['shop']]);
    assert.ok(keys.includes('network/apps/app-shop'));
    for (const key of [
      'scheduler/jobs/job-shop-rel-1',
      'host/status/job-shop-rel-1',
      'router/routes/rte-shop',
    ])
      assert.ok(!keys.includes(key), key);
  });

  test('keeps what runs of a release that is wanted again, whatever its jobs were called then', () => {
    const keys = keysAfter(anApp('shop', 'rel-1', 'job-old'), anApp('shop', 'rel-1', 'job-new'));
    assert.ok(keys.includes('scheduler/jobs/job-new') && keys.includes('host/status/job-new'));
    assert.ok(!keys.includes('scheduler/jobs/job-old'));
  });

  test('forgets what runs of a release that is not wanted then', () => {
    const keys = keysAfter(anApp('shop', 'rel-1'), anApp('shop', 'rel-2'));
    assert.ok(keys.includes('scheduler/formations/app-shop/rel-1'));
    assert.ok(!keys.some((key) => key.includes('rel-2')), keys.join(' '));
  });

  test('leaves the platform, the machines and who may call as they are', () => {
    const then = [
      ...anApp('gantry', 'rel-1'),
      ...[at('membership/members/old'), at('controller/tokens/revoked'), at('hosts/old')],
    ];
    const now = [
      ...anApp('gantry', 'rel-2'),
      ...[at('membership/members/new'), at('controller/tokens/mine'), at('hosts/new')],
    ];
    assert.deepEqual(keysAfter(then, now), now.map(({ key }) => key).sort());
  });

  test('keeps instances and machines known under their leases, and lets nobody lead on', () => {
    const leased = (key: string) => ({ ...at(key), lease: 'lease-1' });
    const now = [leased('discovery/instances/web.shop/job'), leased('elections/scheduler/service')];
    const { entries } = planRestore([], now, 'replace');
    assert.deepEqual(
      entries.map(({ key, lease }) => [key, lease]),
      [['discovery/instances/web.shop/job', 'lease-1']],
    );
  });

  test('keeps the order of deployments, the ones before first', () => {
    const deployment = (id: string) => at(`controller/deployments/app-shop/${id}`, { id });
    const [z, a] = [deployment('z'), deployment('a')];
    const { entries } = planRestore(
      [...anApp('shop'), a, z],
      [at('controller/events/evt')],
      'replace',
    );
    const orders = new Map(entries.map(({ key, order }) => [key.split('/').at(-1), order]));
    assert.ok((orders.get('z') ?? 0) < (orders.get('a') ?? 0), 'z was made first');
    assert.ok((orders.get('a') ?? 0) < (orders.get('evt') ?? 0), 'the event is of now');
    assert.equal(orders.get('rel-1'), 0);
  });
});

describe('a restore on a fresh machine', () => {
  const lost = [
    ...anApp('gantry', 'rel-old', 'job-platform-then'),
    ...anApp('shop'),
    ...[at('membership/authority'), at('membership/members/h2'), at('hosts/h2')],
    ...[at('controller/tokens/ada'), at('controller/idempotency/x')],
    at('scheduler/jobs/job-run', { id: 'job-run', app: 'app-shop', kind: 'ephemeral' }),
  ];
  const fresh = [...anApp('gantry', 'rel-new', 'job-platform'), at('controller/tokens/operator')];
  const keys = keysAfter(lost, fresh, 'takeover');

  test('has what ran, its machines and who may call, with the platform of now', () => {
    for (const key of [
      'scheduler/jobs/job-shop-rel-1',
      'host/status/job-shop-rel-1',
      'network/apps/app-shop',
      'membership/members/h2',
      'hosts/h2',
      'controller/tokens/ada',
      'controller/tokens/operator',
      'scheduler/jobs/job-platform',
    ])
      assert.ok(keys.includes(key), key);
  });

  test('does not run a one-off again, nor the platform of then', () => {
    for (const key of [
      'scheduler/jobs/job-run',
      'scheduler/jobs/job-platform-then',
      'controller/idempotency/x',
    ])
      assert.ok(!keys.includes(key), key);
    assert.ok(!keys.some((key) => key.includes('rel-old')), keys.join(' '));
  });
});
