// What does the API promise, and what does it refuse?

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { pino } from 'pino';
import { coreErrors } from '#core/errors';
import { type Formation, formationPrefix, jobKey } from '#layer0/scheduler/wire';
import type { Route } from '#layer1/router/wire';
import { collectApp, collectImageMarks } from './act/collect.ts';
import type { AppView, CreatedToken, FormationView, Released, ReleaseView } from './api.ts';
import { imageNamed } from './fake.ts';
import { createObserver } from './observe.ts';
import { internalKey, TestBed, testToken } from './test-bed.ts';
import { type Event, eventPrefix, type JobView, type ProgressLine, type Token } from './wire.ts';

let bed: TestBed;
beforeEach(async () => {
  bed = await new TestBed().start();
});
afterEach(() => bed.stop());

const as = (token: string) => ({ authorization: `Bearer ${token}` });
const codeOf = (answer: { body: unknown }) => (answer.body as { code: string }).code;
const refused = async (method: string, url: string, body?: unknown) => {
  const before = await bed.dump();
  const answer = await bed.call(method, url, body);
  assert.ok(answer.status >= 400 && answer.status < 500, `${method} ${url}: ${answer.status}`);
  assert.equal(await bed.dump(), before, `${method} ${url} stored something`);
  return codeOf(answer);
};

describe('a token', () => {
  test('is needed for every route but the health check', async () => {
    for (const url of [
      '/apps',
      '/apps/shop',
      '/status',
      '/doctor',
      '/tokens',
      '/events',
      '/nothing',
    ]) {
      const answer = await bed.call('GET', url, undefined, { authorization: '' });
      assert.equal(answer.status, 401, url);
    }
    assert.equal((await bed.call('GET', '/healthz', undefined, { authorization: '' })).status, 200);
    for (const wrong of ['wrong', `${testToken}x`, '', `${internalKey}x`])
      assert.equal((await bed.call('GET', '/apps', undefined, as(wrong))).status, 401);
    assert.equal((await bed.call('GET', '/apps', undefined, as(internalKey))).status, 200);
  });

  test('is shown once, kept as a hash, and refused when it is revoked', async () => {
    const made = await bed.ok<CreatedToken>('POST', '/tokens', { name: 'laptop' });
    assert.equal((await bed.call('GET', '/whoami', undefined, as(made.token))).status, 200);
    assert.ok(!(await bed.dump()).includes(made.token));
    const { items } = await bed.ok<{ items: Token[] }>('GET', '/tokens');
    assert.ok(!JSON.stringify(items).includes(made.token));
    await bed.ok('DELETE', `/tokens/${made.id}`);
    assert.equal((await bed.call('GET', '/whoami', undefined, as(made.token))).status, 401);
    assert.equal(await refused('DELETE', `/tokens/${made.id}`), 'controller.tokenNotFound');
  });
});

describe('an app', () => {
  test('is made with its default route, and found by name and by id', async () => {
    const app = await bed.ok<AppView>('POST', '/apps', { name: 'shop' });
    assert.deepEqual(app.urls, ['http://shop.gantry.localhost/']);
    assert.equal((await bed.ok<AppView>('GET', `/apps/${app.id}`)).name, 'shop');
    const { items } = await bed.ok<{ items: Route[] }>('GET', '/apps/shop/routes');
    assert.equal(items[0]?.service, 'web.shop');
  });

  test('cannot take a name or a domain that is taken or reserved', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    assert.equal(await refused('POST', '/apps', { name: 'shop' }), 'controller.nameTaken');
    await bed.ok('POST', '/apps/shop/routes', { domain: 'blog.gantry.localhost' });
    assert.equal(await refused('POST', '/apps', { name: 'blog' }), 'controller.nameTaken');
    for (const name of ['api', 'git', 'www', 'gantry', 'app-0123456789abcdef'])
      assert.equal(await refused('POST', '/apps', { name }), 'controller.nameReserved');
  });

  test('is made once for one Idempotency-Key, also when both calls come at once', async () => {
    await bed.interleave();
    const header = { 'idempotency-key': 'k1' };
    const make = () => bed.ok<AppView>('POST', '/apps', { name: 'shop' }, header);
    const [first, second] = await Promise.all([make(), make()]);
    assert.equal(first.id, second.id);
    assert.equal((await make()).id, first.id);
    const other = await bed.call('POST', '/apps', { name: 'other' }, header);
    assert.equal(codeOf(other), 'controller.idempotencyMismatch');
  });

  test('that is Gantry itself cannot be deleted, deployed or configured', async () => {
    const app = {
      ...(await bed.ok<AppView>('POST', '/apps', { name: 'platform' })),
      isSystem: true,
    };
    await bed.store.txn({
      compare: [],
      operations: [{ put: `controller/apps/${app.id}`, value: app }],
    });
    for (const [method, url, body] of [
      ['DELETE', '/apps/platform', undefined],
      ['POST', '/apps/platform/deploy', { image: 'acme/shop:1' }],
      ['PATCH', '/apps/platform/env', { set: { A: '1' } }],
      ['PATCH', '/apps/platform', { priority: 'low' }],
      ['POST', '/apps/platform/jobs', { command: ['sh'] }],
    ] as const)
      assert.equal(await refused(method, url, body), 'controller.systemApp');
  });
});

describe('hostile input', () => {
  test('is a 4xx and stores nothing', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    await bed.step();
    const long = 'x'.repeat(40_000);
    for (const [method, url, body] of [
      ['POST', '/apps', {}],
      ['POST', '/apps', { name: '../etc' }],
      ['POST', '/apps', { name: 'a'.repeat(31) }],
      ['POST', '/apps', { name: 'ok', isSystem: true }],
      ['PATCH', '/apps/shop', { priority: 'highest' }],
      ['POST', '/apps', { name: 'ok', batchSize: 0 }],
      ['POST', '/apps', []],
      ['GET', '/apps/%2e%2e%2fetc', undefined],
      ['PATCH', '/apps/shop/env', { set: { 'A B': '1' } }],
      ['PATCH', '/apps/shop/env', { set: { A: 'a\0b' } }],
      ['PATCH', '/apps/shop/env', { set: { A: long } }],
      ['PATCH', '/apps/shop/env', { set: { PORT: '1' } }],
      ['PATCH', '/apps/shop/env', { set: { A: 1 } }],
      ['PATCH', '/apps/shop/env', { unset: ['constructor'] }],
      ['PATCH', '/apps/shop/formation', { quantities: { web: -1 } }],
      ['PATCH', '/apps/shop/formation', { quantities: { web: 1e9 } }],
      ['PATCH', '/apps/shop/formation', { quantities: { __proto__: 1, 'a/b': 2 } }],
      ['PATCH', '/apps/shop', { limits: { web: { memoryBytes: 1 } } }],
      ['POST', '/apps/shop/deploy', { image: 'not/here:1' }],
      ['POST', '/apps/shop/deploy', {}],
      ['POST', '/apps/shop/rollback', {}],
      ['POST', '/apps/shop/rollback', { version: 9 }],
      ['POST', '/apps/shop/jobs', { command: ['sh'] }],
      ['POST', '/apps/shop/routes', { domain: 'not a domain' }],
      ['POST', '/apps/shop/routes', { domain: '127.0.0.1' }],
      ['POST', '/apps/shop/routes', { domain: 'a.example.com', path: '/../x' }],
      ['POST', '/apps/shop/routes', { type: 'tcp', port: 22 }],
      ['POST', '/apps/shop/routes', { type: 'tcp' }],
      ['PUT', '/certificates/a.example.com', { certificatePem: 'x', keyPem: 'secret-key' }],
      ['GET', '/apps/shop/releases/99', undefined],
      ['GET', '/apps/shop/deployments/..%2f..%2fx', undefined],
      ['GET', '/apps/shop/jobs/none/exit', undefined],
    ] as const) {
      const code = await refused(method, url, body);
      assert.match(code, /^(core|controller)\./, `${method} ${url}`);
    }
    const huge = await bed.call('PATCH', '/apps/shop/env', { set: { A: 'x'.repeat(3_000_000) } });
    assert.equal(huge.status, 413);
    const broken = await bed.controller.server.inject({
      method: 'POST',
      url: '/apps',
      payload: '{"name":',
      headers: { ...as(testToken), 'content-type': 'application/json' },
    });
    assert.equal(broken.statusCode, 400);
    assert.ok(!broken.body.includes('at '), broken.body);
  });

  test('in config is limited in all, not only value by value', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    const set = (from: number, count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`V${from + index}`, 'x'.repeat(30_000)]),
      );
    await bed.ok('PATCH', '/apps/shop/env', { set: set(0, 5) });
    const code = await refused('PATCH', '/apps/shop/env', { set: set(5, 5) });
    assert.equal(code, 'controller.configTooLarge');
  });
});

describe('config', () => {
  test('is sealed in the store, hidden in answers, opened by name, and never logged', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
    const secret = 'hunter2-and-a-longer-secret';
    await bed.controller.stop();
    bed.controller = bed.newController({ log });
    await bed.controller.start();
    await bed.deployShop();
    await bed.ok('PATCH', '/apps/shop/env', { set: { DB_PASSWORD: secret } });
    await bed.untilDeployed('complete', 2);
    const { open } = bed.host;
    bed.host.open = async () => {
      throw coreErrors.unreachable('the host is away');
    };
    await bed.call('GET', '/apps/shop/env/DB_PASSWORD');
    bed.host.open = open;
    assert.ok(lines.length > 3, 'nothing was logged');
    assert.ok(!(await bed.dump()).includes(secret));
    assert.ok(!lines.join('').includes(secret));
    assert.deepEqual(await bed.ok('GET', '/apps/shop/env'), { env: { DB_PASSWORD: '***' } });
    for (const url of ['/apps/shop/releases', '/apps/shop/jobs', '/apps/shop', '/events'])
      assert.ok(!(await bed.call('GET', url)).text.includes('v1.'), url);
    const job = (await bed.grid.jobs()).find(({ releaseVersion }) => releaseVersion === 2);
    assert.ok(job?.spec.sealedEnv.DB_PASSWORD?.startsWith('v1.'));
  });

  test('is read back by name and unset by name', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    await bed.ok('PATCH', '/apps/shop/env', { set: { A: 'one\ntwo', B: '' } });
    assert.deepEqual(await bed.ok('GET', '/apps/shop/env/A'), { name: 'A', value: 'one\ntwo' });
    await bed.ok('PATCH', '/apps/shop/env', { unset: ['A'] });
    assert.deepEqual(await bed.ok('GET', '/apps/shop/env'), { env: { B: '***' } });
    assert.equal(await refused('GET', '/apps/shop/env/A'), 'controller.configNotFound');
  });

  test('set by many at once loses nothing, and versions have no gap', async () => {
    await bed.interleave();
    await bed.ok('POST', '/apps', { name: 'shop' });
    const names = Array.from({ length: 20 }, (_, index) => `V${index}`);
    const made = await Promise.all(
      names.map((name) => bed.ok<Released>('PATCH', '/apps/shop/env', { set: { [name]: name } })),
    );
    const versions = made.map(({ release }) => release.version).sort((a, b) => a - b);
    assert.deepEqual(
      versions,
      names.map((_, index) => index + 1),
    );
    const { env } = await bed.ok<{ env: object }>('GET', '/apps/shop/env');
    assert.equal(Object.keys(env).length, 20);
  });

  test('of a release that failed goes with it', async () => {
    await bed.deployShop();
    bed.grid.script(imageNamed('acme/shop:2').id, 'crashes');
    await bed.ok('POST', '/apps/shop/deploy', { image: 'acme/shop:2' });
    await bed.untilDeployed('failed', 2);
    const { release } = await bed.ok<Released>('PATCH', '/apps/shop/env', { set: { A: '1' } });
    assert.equal(release.version, 3);
    assert.equal(release.imageId, imageNamed('acme/shop:1').id);
  });
});

describe('releases', () => {
  test('come page by page, the newest first, with how they went', async () => {
    await bed.deployShop();
    for (const name of ['A', 'B', 'C', 'D'])
      await bed.ok('PATCH', '/apps/shop/env', { set: { [name]: '1' } });
    await bed.untilDeployed('complete', 5);
    type Page = { items: ReleaseView[]; next?: number };
    const first = await bed.ok<Page>('GET', '/apps/shop/releases?limit=2');
    assert.deepEqual(
      first.items.map(({ version }) => version),
      [5, 4],
    );
    assert.equal(first.items[0]?.isCurrent, true);
    const second = await bed.ok<Page>('GET', `/apps/shop/releases?limit=9&before=${first.next}`);
    assert.deepEqual(
      second.items.map(({ version }) => version),
      [3, 2, 1],
    );
    assert.equal(second.next, undefined);
    assert.equal(second.items.at(-1)?.state, 'complete');
  });

  test('of new limits carry them into what runs', async () => {
    await bed.deployShop();
    await bed.ok('PATCH', '/apps/shop', { limits: { web: { memoryBytes: 64 * 1024 * 1024 } } });
    await bed.untilDeployed('complete', 2);
    const job = (await bed.grid.jobs()).find(({ releaseVersion }) => releaseVersion === 2);
    assert.deepEqual(job?.spec.resources, { memoryBytes: 67_108_864, cpuMillis: 1000, pids: 512 });
  });

  test('are not made for a priority: what is wanted has it at once', async () => {
    await bed.deployShop();
    await bed.ok('PATCH', '/apps/shop', { priority: 'high' });
    const ranks = async () =>
      (await bed.store.list<Formation>(formationPrefix)).entries.map(({ value }) => value.priority);
    await bed.until('a formation with it', async () => (await ranks()).includes(100));
    assert.equal((await bed.deployments()).length, 1);
  });

  test('are deployed once for one Idempotency-Key', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    const header = { 'idempotency-key': 'push-1' };
    const deploy = () =>
      bed.ok<Released>('POST', '/apps/shop/deploy', { image: 'acme/shop:1' }, header);
    const [first, second] = [await deploy(), await deploy()];
    assert.equal(first.release.id, second.release.id);
    assert.equal(first.deployment?.id, second.deployment?.id);
  });

  test('beyond the cap go, and their images with them, but never what runs', async () => {
    await bed.deployShop();
    for (const image of ['acme/shop:2', 'acme/shop:3', 'acme/shop:4']) {
      await bed.ok('POST', '/apps/shop/deploy', { image });
      await bed.untilDeployed('complete', Number(image.slice(-1)));
    }
    await bed.step(1_000);
    const { id } = await bed.ok<AppView>('GET', '/apps/shop');
    const { store, clock } = bed;
    const observer = createObserver({ ...bed.observeDeps(), store, clock });
    await observer.ready;
    const fence = { key: 'nothing', is: 'absent' } as const;
    const caps = { releases: 2, deployments: 1 };
    const deps = { store, clock, observer, fence, caps };
    await collectApp(deps, id);
    await collectImageMarks(deps);
    observer.stop();
    const { items } = await bed.ok<{ items: ReleaseView[] }>('GET', '/apps/shop/releases');
    assert.deepEqual(
      items.map(({ version }) => version),
      [4, 3],
    );
    // The last deployment of a kept release stays: it says how that one went.
    assert.deepEqual(
      (await bed.deployments()).map(({ newVersion }) => newVersion),
      [3, 4],
    );
    const marks = await store.list('images/kept/');
    assert.deepEqual(
      marks.entries.map(({ key }) => key),
      ['acme/shop:3', 'acme/shop:4'].map((image) => `images/kept/${imageNamed(image).id}`),
    );
  });
});

describe('scale', () => {
  test('with wait answers when everything is healthy', async () => {
    await bed.deployShop();
    const body = { quantities: { web: 4 } };
    const answer = await bed.finish(bed.call('PATCH', '/apps/shop/formation?wait=true', body));
    assert.equal(answer.status, 200);
    const { items } = await bed.ok<{ items: JobView[] }>('GET', '/apps/shop/jobs');
    assert.equal(items.filter(({ isHealthy }) => isHealthy).length, 4);
  });

  test('before there is code takes any type, also when config was set already', async () => {
    await bed.ok('POST', '/apps', { name: 'early' });
    await bed.ok('PATCH', '/apps/early/env', { set: { K: 'V' } });
    const quantities = { web: 2 };
    assert.deepEqual(await bed.ok('PATCH', '/apps/early/formation', { quantities }), {
      quantities,
    });
  });

  test('of a type that the release lacks is refused with those it has', async () => {
    await bed.deployShop();
    const limits = { wrker: { memoryBytes: 2 ** 30 } };
    assert.equal(
      await refused('PATCH', '/apps/shop', { limits }),
      'controller.processTypeNotFound',
    );
    await bed.ok('PATCH', '/apps/shop', { limits: { run: { memoryBytes: 2 ** 30 } } });
    const code = await refused('PATCH', '/apps/shop/formation', { quantities: { wrker: 1 } });
    assert.equal(code, 'controller.processTypeNotFound');
    const { quantities } = await bed.ok<FormationView>('GET', '/apps/shop/formation');
    assert.deepEqual(quantities, { web: 1 });
  });
});

describe('a one-off job', () => {
  test('runs with the image and config of the app and answers its exit', async () => {
    await bed.deployShop();
    const body = { command: ['rake', 'db:migrate'], env: { EXTRA: 'secret-extra' } };
    const job = await bed.ok<JobView>('POST', '/apps/shop/jobs', body);
    assert.deepEqual([job.name, job.kind, job.endedAt], ['run.1', 'ephemeral', undefined]);
    const answer = await bed.finish(bed.call('GET', `/apps/shop/jobs/${job.id}/exit`));
    const ended = JSON.parse(answer.text.trim()) as JobView;
    assert.deepEqual([ended.state, ended.exitCode], ['down', 0]);
    assert.ok(ended.endedAt !== undefined && ended.endedAt >= ended.createdAt);
    const record = (await bed.grid.jobs()).find(({ id }) => id === job.id);
    assert.deepEqual(record?.spec.command, ['rake', 'db:migrate']);
    assert.ok(!(await bed.dump()).includes('secret-extra'));
  });

  test('that is removed before it has a place answers so to who waits for its exit', async () => {
    await bed.deployShop();
    const { id } = await bed.ok<JobView>('POST', '/apps/shop/jobs', { command: ['sleep', '9'] });
    const waiting = bed.call('GET', `/apps/shop/jobs/${id}/exit`);
    await bed.clock.advance(60_000);
    await bed.store.txn({ compare: [], operations: [{ delete: jobKey(id) }] });
    const ended = JSON.parse((await bed.finish(waiting)).text.trim()) as JobView;
    assert.deepEqual(
      [ended.state, ended.exitCode, ended.reason],
      ['down', undefined, 'removed before it ended'],
    );
  });

  test('is stopped by a kill, while a process of the formation gets the signal', async () => {
    await bed.deployShop();
    const { id } = await bed.ok<JobView>('POST', '/apps/shop/jobs', { command: ['sleep', '9'] });
    await bed.ok('DELETE', `/apps/shop/jobs/${id}`);
    await bed.until('its end', async () => (await bed.grid.jobs()).every((job) => job.id !== id));
    await bed.ok('DELETE', '/apps/shop/jobs/web.1?signal=SIGKILL');
    assert.match(bed.host.signalled[0] ?? '', /^job-\d+ SIGKILL$/);
    assert.equal((await bed.call('DELETE', '/apps/shop/jobs/web.1?signal=SIGSEGV')).status, 400);
  });
});

describe('a route', () => {
  test('is given once, to whoever came first', async () => {
    for (const name of ['shop', 'blog']) await bed.ok('POST', '/apps', { name });
    const route = { domain: 'Shop.Example.COM.', path: '/api/' };
    const made = await bed.ok<Route>('POST', '/apps/shop/routes', route);
    assert.deepEqual([made.domain, made.path], ['shop.example.com', '/api']);
    assert.equal((await bed.ok<Route>('POST', '/apps/shop/routes', route)).id, made.id);
    assert.equal(await refused('POST', '/apps/blog/routes', route), 'controller.routeTaken');
    await bed.ok('POST', '/apps/blog/routes', { domain: 'shop.example.com' });
    const tcp = { type: 'tcp', port: 3432, sendsProxyProtocol: true };
    await bed.ok('POST', '/apps/shop/routes', tcp);
    assert.equal(await refused('POST', '/apps/blog/routes', tcp), 'controller.routeTaken');
    assert.equal(
      await refused('DELETE', `/apps/blog/routes/${made.id}`),
      'controller.routeNotFound',
    );
    await bed.ok('DELETE', `/apps/shop/routes/${made.id}`);
    await bed.ok('POST', '/apps/blog/routes', route);
  });

  test('is given to one of many that ask at once', async () => {
    await bed.interleave();
    for (const name of ['shop', 'blog', 'wiki']) await bed.ok('POST', '/apps', { name });
    const ask = (app: string) =>
      bed.call('POST', `/apps/${app}/routes`, { domain: 'x.example.com' });
    const statuses = (await Promise.all(['shop', 'blog', 'wiki'].map(ask))).map(
      ({ status }) => status,
    );
    assert.deepEqual(statuses.sort(), [201, 409, 409]);
  });

  test('of the platform itself cannot be taken', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    for (const domain of [
      'api.gantry.localhost',
      'x.git.gantry.localhost',
      'gantry.localhost',
      '*.gantry.localhost',
    ])
      assert.match(
        await refused('POST', '/apps/shop/routes', { domain }),
        /nameReserved|invalidRoute/,
      );
  });
});

describe('a build', () => {
  const push = (signal = new AbortController()) => {
    const tar = Readable.from([Buffer.from('tar')]);
    const answer = bed.controller.server.inject({
      method: 'POST',
      url: '/apps/shop/builds?commit=3f2a9c1b7',
      payload: tar,
      headers: { ...as(testToken), 'content-type': 'application/x-tar' },
      signal: signal.signal,
    });
    return Promise.resolve(answer).then(({ body }) =>
      body
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as ProgressLine),
    );
  };

  test('streams its lines, deploys the image and ends with the URL', async () => {
    await bed.ok('POST', '/apps', { name: 'shop' });
    const lines = await bed.finish(push());
    const text = lines.map((line) => (line.type === 'line' ? line.text : '')).join('\n');
    assert.match(text, /-----> Node.js\n-----> done\nv1 of shop was made/);
    const last = lines.at(-1);
    assert.ok(last?.type === 'result');
    assert.deepEqual([last.release, last.url], [1, 'http://shop.gantry.localhost/']);
    const { items } = await bed.ok<{ items: ReleaseView[] }>('GET', '/apps/shop/releases');
    assert.deepEqual([items[0]?.description, items[0]?.createdBy], ['Deploy 3f2a9c1', 'ada']);
  });

  test('that fails ends with its error and changes nothing that runs', async () => {
    await bed.deployShop();
    bed.builder.error = coreErrors.invalid('npm ci failed with exit code 1');
    const last = (await bed.finish(push())).at(-1);
    assert.ok(last?.type === 'error');
    assert.match(last.error.message, /npm ci failed/);
    assert.equal((await bed.ok<AppView>('GET', '/apps/shop')).currentVersion, 1);
    assert.equal((await bed.deployments()).length, 1);
  });

  test('of an app that does not exist is an error, and so is a body that is not a tar', async () => {
    const last = (await bed.finish(push())).at(-1);
    assert.ok(last?.type === 'error');
    assert.equal(last.error.code, 'controller.appNotFound');
    assert.equal((await bed.call('POST', '/apps/shop/builds?commit=x', { a: 1 })).status, 400);
  });
});

describe('events', () => {
  test('tell what happened, and go on after the last one that was seen', async () => {
    await bed.deployShop();
    await bed.until('events', async () => (await bed.store.list(eventPrefix)).entries.length > 3);
    await bed.step();
    const all = await bed.ok<{ items: Event[] }>('GET', '/events?app=shop&limit=1000');
    const types = all.items.map(({ type }) => type);
    for (const type of ['app.created', 'release.created', 'deployment.complete', 'job.up'])
      assert.ok(types.includes(type), `${type} in ${types.join(' ')}`);
    const ids = all.items.map(({ id }) => id);
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
    );
    const rest = await bed.ok<{ items: Event[] }>('GET', `/events?app=shop&after=${ids[1]}`);
    assert.deepEqual(
      rest.items.map(({ id }) => id),
      ids.slice(2),
    );
  });
});
