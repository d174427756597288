// Do whole rollouts, through store and loop, end where they should: in any order of wishes, and with a death at any step?

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { coreErrors } from '#core/errors';
import { type JobStatus, statusPrefix } from '#layer0/host/wire';
import type { Job } from '#layer0/scheduler/wire';
import type { Store } from '#layer0/store/client';
import type { AppView, FormationView, Released } from './api.ts';
import { readEvents } from './events.ts';
import { imageNamed } from './fake.ts';
import { TestBed } from './test-bed.ts';
import type { JobView, ProgressLine } from './wire.ts';

/** News under a prefix can stay away for a while. */
function deafTo(store: Store, deafPrefix: string) {
  let cut = new AbortController();
  const lost = () => coreErrors.unreachable('the way is cut');
  const watch: Store['watch'] = (prefix, options) => {
    if (prefix !== deafPrefix) return store.watch(prefix, options);
    if (cut.signal.aborted) throw lost();
    const signal = AbortSignal.any([cut.signal, ...(options.signal ? [options.signal] : [])]);
    return store.watch(prefix, { ...options, signal });
  };
  const deaf = new Proxy(store, {
    get: (of, name: keyof Store) => (name === 'watch' ? watch : of[name].bind(of)),
  });
  const heal = () => {
    cut = new AbortController();
  };
  return { store: deaf, cut: () => cut.abort(), heal };
}

describe('a deployment', () => {
  let bed: TestBed;
  beforeEach(async () => {
    bed = await new TestBed().start();
  });
  afterEach(() => bed.stop());

  const upJobs = async () => (await bed.grid.jobs()).filter(({ desired }) => desired === 'up');

  test('of the first image starts one web and makes the release the current one', async () => {
    await bed.deployShop();
    const app = await bed.ok<AppView>('GET', '/apps/shop');
    assert.equal(app.currentVersion, 1);
    assert.deepEqual(app.urls, ['http://shop.gantry.localhost/']);
    const { items } = await bed.ok<{ items: JobView[] }>('GET', '/apps/shop/jobs');
    assert.deepEqual(
      items.map(({ name, state }) => `${name} ${state}`),
      ['web.1 up'],
    );
  });

  test('begins when the image is on a second machine, and not before', async () => {
    await bed.deployShop();
    const arrived = Promise.withResolvers<string[]>();
    bed.host.spreadImage = () => arrived.promise;
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    for (let second = 0; second < 300; second++) await bed.clock.advance(1000);
    const versions = (await bed.grid.jobs()).map(({ releaseVersion }) => releaseVersion);
    assert.deepEqual(versions, [1]);
    arrived.resolve(['host-2']);
    await bed.untilDeployed('complete', 2);
  });

  test('begins where the daemon is of the version before, and knows nothing of second machines', async () => {
    await bed.deployShop();
    bed.host.spreadImage = async () => {
      throw coreErrors.notFound('there is no POST /images/spread');
    };
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.untilDeployed('complete', 2);
  });

  test('replaces three instances without ever having fewer than three healthy', async () => {
    await bed.deployShop({ web: 3 });
    bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.untilDeployed('complete', 2);
    assert.ok(bed.grid.fewestHealthy >= 3, `there were only ${bed.grid.fewestHealthy}`);
    await bed.until('only v2', async () =>
      (await bed.grid.jobs()).every(({ releaseVersion }) => releaseVersion === 2),
    );
    assert.equal((await upJobs()).length, 3);
  });

  test('that crashes three times is rolled back by itself, with the reason', async () => {
    await bed.deployShop({ web: 2 });
    bed.grid.script(imageNamed('acme/shop:2').id, 'crashes');
    bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    const failed = await bed.untilDeployed('failed', 2);
    assert.match(failed.reason ?? '', /web\.\d failed 3 times: exit 1/);
    assert.ok(bed.grid.fewestHealthy >= 2);
    await bed.until('v1 alone', async () =>
      (await bed.grid.jobs()).every(({ releaseVersion }) => releaseVersion === 1),
    );
    assert.equal((await bed.ok<AppView>('GET', '/apps/shop')).currentVersion, 1);
  });

  test('whose process is healthy for a moment and then crashes is rolled back, and costs nothing', async () => {
    await bed.deployShop({ web: 2 });
    bed.grid.script(imageNamed('acme/shop:2').id, 'crashes when healthy');
    bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    const ended = await bed.untilEnded(2);
    assert.equal(ended.state, 'failed', 'it was called complete');
    assert.match(ended.reason ?? '', /web\.3 failed 3 times: exit 1/);
    assert.ok(bed.grid.fewestHealthy >= 2, `there were only ${bed.grid.fewestHealthy}`);
  });

  test('that never gets healthy is rolled back after its time, with what it waited for', async () => {
    await bed.deployShop();
    bed.grid.script(imageNamed('acme/shop:2').id, 'waits for room');
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    const failed = await bed.untilFailed(2);
    assert.match(failed.reason ?? '', /not healthy within \d+ s: web\.2 is pending \(no host has/);
  });

  test('is not given up for what was not heard', async () => {
    await bed.controller.stop();
    const ears = deafTo(bed.store, statusPrefix);
    bed.controller = bed.newController({ store: ears.store });
    await bed.controller.start();
    await bed.until('a leader', async () => bed.controller.isLeader);
    await bed.deployShop();
    ears.cut();
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    for (let second = 0; second < 300; second++) await bed.step(1_000);
    ears.heal();
    const ended = await bed.untilEnded(2);
    assert.equal(ended.state, 'complete', ended.reason);
  });

  test('of a first release that fails leaves nothing running', async () => {
    bed.grid.script(imageNamed('acme/shop:1').id, 'crashes');
    await bed.ok('POST', '/apps', { name: 'shop' });
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:1' });
    await bed.untilDeployed('failed', 1);
    await bed.until('no job and no formation', async () => {
      const { entries } = await bed.store.list('scheduler/');
      return entries.length === 0;
    });
  });

  test('goes back to a release that was healthy, also when that one was never complete', async () => {
    const released = await healthyButNotComplete();
    bed.grid.script(imageNamed('acme/shop:2').id, 'crashes');
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    const failed = await bed.untilDeployed('failed', 2);
    assert.equal(failed.oldRelease, released.release.id);
    await bed.until('v1 alone', async () =>
      (await bed.grid.jobs()).every(({ releaseVersion }) => releaseVersion === 1),
    );
    assert.equal(bed.grid.fewestHealthy, 2);
    assert.equal((await bed.ok<AppView>('GET', '/apps/shop')).currentVersion, 1);
  });

  test('goes back to it past others that failed, one after the other', async () => {
    await healthyButNotComplete();
    for (const image of ['acme/shop:2', 'acme/shop:3'])
      bed.grid.script(imageNamed(image).id, 'crashes when healthy');
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.until('v2 for a moment', async () =>
      (await bed.store.list<JobStatus>(statusPrefix)).entries.some(
        ({ value }) => value.attempt === 2,
      ),
    );
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:3' });
    await bed.untilDeployed('failed', 3);
    await bed.until('v1 alone', async () =>
      (await bed.grid.jobs()).every(({ releaseVersion }) => releaseVersion === 1),
    );
    assert.equal(bed.grid.fewestHealthy, 2);
  });

  /** v1 serves with two instances; its deployment has not ended yet. */
  async function healthyButNotComplete(): Promise<Released> {
    await bed.ok('POST', '/apps', { name: 'shop' });
    await bed.ok('PATCH', '/apps/shop/formation', { quantities: { web: 2 } });
    const released = await bed.ok<Released>('POST', '/apps/shop/deploy', { image: 'acme/shop:1' });
    await bed.until('two healthy ones', async () => {
      bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
      await bed.step();
      return bed.grid.fewestHealthy === 2;
    });
    const [deployment] = await bed.deployments();
    assert.equal(deployment?.state, 'running');
    return released;
  }

  for (const strategy of ['all-at-once', 'in-batches'] as const) {
    test(`${strategy} ends with the new release and never has too few`, async () => {
      await bed.deployShop({ web: 4 });
      await bed.ok('PATCH', '/apps/shop', { strategy });
      bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
      await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
      await bed.untilDeployed('complete', 2);
      assert.ok(bed.grid.fewestHealthy >= 4);
    });
  }

  test('of a type with ports of the machine does not wait for the new one to end an old one', async () => {
    await bed.deployShop({ web: 2 });
    const hostPorts = [{ hostPort: 9000, protocol: 'tcp' }];
    await bed.ok('PATCH', '/apps/shop', { placements: { web: { hostPorts } } });
    await bed.untilDeployed('complete', 2);
    const job = (await bed.grid.jobs()).find(({ releaseVersion }) => releaseVersion === 2);
    assert.equal(job?.spec.ports.at(-1)?.hostPort, 9000);
    bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.untilDeployed('complete', 3);
    assert.equal(bed.grid.fewestHealthy, 1);
    const placements = { web: { hostPorts: [{ hostPort: 7443, protocol: 'tcp' }] } };
    const refused = await bed.call('PATCH', '/apps/shop', { placements });
    assert.equal((refused.body as { code: string }).code, 'controller.hostPortInvalid');
  });

  test('goes on with the quantity that people want meanwhile', async () => {
    await bed.deployShop({ web: 3 });
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.until('one new one', async () =>
      (await bed.grid.jobs()).some(({ releaseVersion }) => releaseVersion === 2),
    );
    await bed.ok('PATCH', '/apps/shop/formation', { quantities: { web: 5 } });
    await bed.untilDeployed('complete', 2);
    assert.equal((await upJobs()).filter(({ releaseVersion }) => releaseVersion === 2).length, 5);
  });

  test('follows process types that appear and vanish', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    const types = (...names: string[]) => Object.fromEntries(names.map((name) => [name, {}]));
    const image = 'acme/shop:1';
    const first = { image, processes: types('web', 'clock') };
    await bed.ok('POST', '/apps/shop/deploy', first);
    await bed.untilDeployed('complete', 1);
    await bed.ok('PATCH', '/apps/shop/formation', { quantities: { clock: 1 } });
    await bed.until('a clock', async () => (await upJobs()).some(({ type }) => type === 'clock'));
    await bed.ok('POST', '/apps/shop/deploy', { image, processes: types('web', 'mailer') });
    await bed.untilDeployed('complete', 2);
    await bed.until('no clock', async () =>
      (await bed.grid.jobs()).every(({ type }) => type !== 'clock'),
    );
    const { quantities } = await bed.ok<FormationView>('GET', '/apps/shop/formation');
    assert.deepEqual(quantities, { web: 1, mailer: 0 });
  });

  test('of two pushes at once: two versions, the later one runs, the earlier one says so', async () => {
    await bed.deployShop({ web: 2 });
    const images = ['acme/shop:2', 'acme/shop:3'];
    const released = await Promise.all(
      images.map((image) => bed.ok<Released>('POST', '/apps/shop/deploy', { image })),
    );
    assert.deepEqual(released.map(({ release }) => release.version).sort(), [2, 3]);
    await bed.untilDeployed('complete', 3);
    const [, second] = await bed.deployments();
    assert.equal(second?.state, 'superseded');
    assert.match(second.reason ?? '', /v3 came before v2/);
    await bed.until('only v3', async () =>
      (await bed.grid.jobs()).every(({ releaseVersion }) => releaseVersion === 3),
    );
  });

  test('during an automatic rollback takes its place, and the old release served throughout', async () => {
    await bed.deployShop({ web: 2 });
    bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.until('one old one gone', async () =>
      (await bed.grid.jobs()).some(({ desired }) => desired === 'down'),
    );
    bed.grid.script(imageNamed('acme/shop:2').id, 'crashes');
    await bed.untilDeployed('rolling-back', 2);
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:3' });
    await bed.untilDeployed('complete', 3);
    const [, failed] = await bed.deployments();
    assert.equal(failed?.state, 'failed');
    assert.match(failed.reason ?? '', /exit 1.*v3 follows/);
    assert.ok(bed.grid.fewestHealthy >= 2);
  });

  test('is ended by a rollback that people ask for', async () => {
    await bed.deployShop({ web: 2 });
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.untilDeployed('complete', 2);
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:3' });
    const { release } = await bed.ok<Released>('POST', '/apps/shop/rollback', {});
    assert.equal(release.version, 4);
    assert.equal(release.description, 'Roll back to v1');
    await bed.untilDeployed('complete', 4);
    const isFirst = ({ spec }: Job) => spec.image === imageNamed('acme/shop:1').id;
    await bed.until('only the first image', async () => (await upJobs()).every(isFirst));
  });

  test('is ended by a delete, which leaves nothing of the app', async () => {
    await bed.deployShop({ web: 3 });
    const { id } = await bed.ok<AppView>('GET', '/apps/shop');
    await bed.ok('POST', '/apps/shop/jobs', { command: ['sleep', '1000'] });
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.step();
    await bed.ok('DELETE', '/apps/shop');
    await bed.ok('DELETE', '/apps/shop');
    assert.equal((await bed.call('PATCH', '/apps/shop/env', { set: { A: '1' } })).status, 409);
    await bed.until(
      'the end of the app',
      async () => (await bed.call('GET', '/apps/shop')).status === 404,
    );
    await bed.step(200_000);
    await bed.step();
    const { entries } = await bed.store.list('');
    const left = entries.filter(
      ({ key, value }) =>
        `${key} ${JSON.stringify(value)}`.includes(id) && !key.includes('/events/'),
    );
    const isEnded = (key: string) =>
      /^(scheduler\/jobs|host\/status|scheduler\/claims)\//.test(key);
    assert.deepEqual(
      left.map(({ key }) => key).filter((key) => !isEnded(key)),
      [`network/tombstones/${id}`],
    );
    assert.deepEqual(
      entries.filter(({ key }) => key.startsWith('images/kept/')),
      [],
    );
    await bed.ok('POST', '/apps', { name: 'shop' });
  });

  test('tells each step to whoever follows it', async () => {
    await bed.deployShop({ web: 2 });
    bed.grid.script(imageNamed('acme/shop:3').id, 'crashes');
    const follow = async (image: string) => {
      const made = await bed.ok<Released>('POST', '/apps/shop/deploy', { image });
      const url = `/apps/shop/deployments/${made.deployment?.id}/stream`;
      const answer = bed.call('GET', url);
      const { text } = await bed.finish(answer);
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as ProgressLine);
    };
    const good = await follow('acme/shop:2');
    const text = good.map((line) => (line.type === 'line' ? line.text : line.type)).join('\n');
    assert.match(text, /v2 is rolled out in place of v1$/m);
    assert.match(text, /web\.3 is up \(1\/2\)/);
    assert.match(text, /\(2\/2\)/);
    const last = good.at(-1);
    assert.ok(last?.type === 'result');
    assert.equal(last.url, 'http://shop.gantry.localhost/');
    const bad = (await follow('acme/shop:3')).at(-1);
    assert.ok(bad?.type === 'error');
    assert.match(bad.error.message, /v3 was rolled back: web\.\d failed 3 times: exit 1.*v2 runs/);
  });
});

describe('a controller that dies', () => {
  /** The store as a controller sees it that is cut off after so many commits; the last one is made, its answer lost. */
  function dyingStore(store: Store, commits: number): { isDead(): boolean; dying: Store } {
    let left = commits;
    const dead = () => coreErrors.unreachable('the controller is dead');
    const isAlive = () => left > 0;
    const dying: Store = {
      grantLease: (ttlMs) => store.grantLease(ttlMs),
      revokeLease: (id) => store.revokeLease(id),
      get: async (key) => (isAlive() ? store.get(key) : Promise.reject(dead())),
      list: async (prefix, options) =>
        isAlive() ? store.list(prefix, options) : Promise.reject(dead()),
      txn: async (txn) => {
        if (!isAlive()) throw dead();
        const answer = await store.txn(txn);
        const isOwn = txn.operations.some(
          (operation) => 'put' in operation && isRollout(operation.put),
        );
        if (isOwn) left--;
        if (!isAlive()) throw dead();
        return answer;
      },
      watch: (prefix, options) => store.watch(prefix, options),
      keepAlive: async (id) => (isAlive() ? store.keepAlive(id) : Promise.reject(dead())),
      elect: (name, options) => store.elect(name, options),
      replaceAll: (entries, compare) => store.replaceAll(entries, compare),
      close: async () => undefined,
    };
    return { dying, isDead: () => !isAlive() };
  }

  const isRollout = (key: string) => /^(scheduler\/formations|controller\/deployments)\//.test(key);

  for (const image of ['acme/shop:2', 'acme/shop:3']) {
    const end = image === 'acme/shop:2' ? 'complete' : 'failed';
    test(`at any step of a deployment is followed by one that goes on: ${end}`, async () => {
      let isOutlived = false;
      for (let commits = 1; !isOutlived; commits++) {
        const bed = new TestBed();
        bed.grid.script(imageNamed('acme/shop:3').id, 'crashes');
        await bed.start();
        await bed.deployShop({ web: 3 });
        await bed.controller.stop();
        const { dying, isDead } = dyingStore(bed.store, commits);
        const doomed = bed.newController({ store: dying });
        bed.controller = bed.newController();
        await doomed.start();
        await bed.until('the doomed one leads', async () => doomed.isLeader);
        await bed.controller.start();
        bed.grid.fewestHealthy = Number.POSITIVE_INFINITY;
        await bed.ok('POST', '/apps/shop/deploy', { image });
        const isOver = async () => (await bed.deployments())[1]?.endedAt !== undefined;
        await bed.until('a death or an end', async () => isDead() || (await isOver()));
        isOutlived = !isDead();
        assert.ok(!isOutlived || commits > 4, 'nobody died');
        // Its claim ends with it; a lease that runs out does the same, ten seconds later.
        await doomed.stop();
        const ended = await bed.untilEnded(2);
        assert.equal(ended.state, end, `after ${commits} commits: ${ended.reason}`);
        const told = (await readEvents(bed.store, { limit: 1_000 })).map(({ type }) => type);
        assert.ok(
          told.includes(`deployment.${end}`),
          `after ${commits} commits: ${told.join(' ')}`,
        );
        const version = end === 'complete' ? 2 : 1;
        await bed.until('one release alone', async () => {
          const jobs = await bed.grid.jobs();
          return (
            jobs.length === 3 && jobs.every(({ releaseVersion }) => releaseVersion === version)
          );
        });
        assert.ok(bed.grid.fewestHealthy >= 3, `after ${commits} commits`);
        await bed.stop();
      }
    });
  }

  test('in the middle of a delete is followed by one that finishes it', async () => {
    const bed = await new TestBed().start();
    await bed.deployShop({ web: 2 });
    await bed.ok('DELETE', '/apps/shop');
    await bed.controller.stop();
    bed.controller = bed.newController();
    await bed.controller.start();
    await bed.until(
      'the end of the app',
      async () => (await bed.call('GET', '/apps/shop')).status === 404,
    );
    await bed.stop();
  });
});
