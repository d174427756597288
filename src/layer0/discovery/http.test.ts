// Can a program in any language take part over HTTP, and not touch what Gantry registered?

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { systemClock } from '#core/clock';
import { createHttpClient } from '#core/http-client';
import { createHttpServer, type HttpServer, listenTcp } from '#core/http-server';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createMemoryStore } from '#layer0/store/fake';
import { createDiscovery, type Directory, type DiscoveryClient } from './client.ts';
import { anInstance } from './fake.ts';
import { registerDiscoveryRoutes } from './http.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function aServer(): Promise<{ server: HttpServer; discovery: DiscoveryClient }> {
  const store = createMemoryStore();
  const deps = { store, clock: systemClock, random: systemRandom, log: silentLog };
  const discovery = createDiscovery(deps);
  await discovery.ready();
  const server = createHttpServer({ log: silentLog });
  registerDiscoveryRoutes(server, { discovery, store, clock: systemClock });
  cleanups.push(
    () => store.close(),
    () => discovery.close(),
    () => server.close(),
  );
  return { server, discovery };
}

const url = '/discovery/services/cache.shop/instances/1.cache.shop';
const payload = { address: '192.0.2.9', port: 6379, ttlMs: 1_000 };

async function until(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000;
  while (!(await isDone())) {
    if (Date.now() > end) assert.fail(`within 5 s not true: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a program in any language registers by PUT, beats by PUT, and is gone without', async () => {
  const { server, discovery } = await aServer();
  const put = () => server.inject({ method: 'PUT', url, payload });
  assert.equal((await put()).statusCode, 200);
  await until('seen', () => discovery.instances('cache.shop').length === 1);
  const registeredAt = Date.now();
  let lastBeat = registeredAt;
  while (Date.now() - registeredAt < 1_500) {
    if (Date.now() - lastBeat > 300) {
      assert.equal((await put()).statusCode, 200);
      lastBeat = Date.now();
    }
    assert.equal(discovery.instances('cache.shop').length, 1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until('its lease is over', () => discovery.instances('cache.shop').length === 0);
});

test('another address or port replaces the old one, and DELETE ends it', async () => {
  const { server, discovery } = await aServer();
  await server.inject({ method: 'PUT', url, payload });
  await server.inject({ method: 'PUT', url, payload: { ...payload, port: 6380 } });
  await until('replaced', () => discovery.instances('cache.shop')[0]?.port === 6380);
  assert.equal((await server.inject({ method: 'DELETE', url })).statusCode, 204);
  assert.equal((await server.inject({ method: 'DELETE', url })).statusCode, 204);
  await until('gone', () => discovery.services().length === 0);
});

test('what Gantry registered itself cannot be taken over or taken out', async () => {
  const { server, discovery } = await aServer();
  await discovery.register(
    anInstance(1, { id: '1.cache.shop', service: 'cache.shop', job: '1.cache.shop' }),
  );
  for (const method of ['PUT', 'DELETE'] as const) {
    const answer = await server.inject({ method, url, ...(method === 'PUT' ? { payload } : {}) });
    assert.equal(answer.statusCode, 409);
    assert.equal(answer.json().code, 'discovery.notYours');
  }
});

test('names that are no names and values out of range are 400', async () => {
  const { server } = await aServer();
  const bad = [
    [url.replace('1.cache.shop', '..'), payload],
    [url.replace('cache.shop/', 'Cache Shop/'), payload],
    [url, { ...payload, port: 70_000 }],
    [url, { ...payload, ttlMs: 1 }],
    [url, { ...payload, metadata: { a: 1 } }],
  ] as const;
  for (const [path, body] of bad) {
    const answer = await server.inject({ method: 'PUT', url: encodeURI(path), payload: body });
    assert.ok([400, 404].includes(answer.statusCode), `${path} ${answer.body}`);
  }
});

test('the stream tells everything now and again after a change', async () => {
  const { server, discovery } = await aServer();
  await discovery.register(anInstance(1));
  await until('seen', () => discovery.services().length === 1);
  const port = await listenTcp(server, '127.0.0.1', 0);
  const client = createHttpClient({ baseUrl: `http://127.0.0.1:${port}` });
  const seen: number[] = [];
  for await (const state of client.ndjson<{ services: Record<string, unknown[]> } & Directory>(
    'GET',
    '/discovery/stream',
  )) {
    seen.push(state.services['web.shop']?.length ?? 0);
    if (seen.length === 1) await discovery.register(anInstance(2));
    else break;
  }
  client.close();
  assert.deepEqual(seen, [1, 2]);
  const answer = await server.inject('/discovery/services/web.shop/instances');
  assert.equal(answer.json().leader.id, '1.web.shop');
  assert.equal(answer.json().instances.length, 2);
});
