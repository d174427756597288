// The routes: what the contract cannot see from outside.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#core/clock';
import { createHttpServer, listenTcp } from '#core/http-server';
import { silentLog as log } from '#core/log';
import { seededRandom } from '#core/random';
import { createRemoteStore } from './client.ts';
import { createMemoryStore } from './fake.ts';
import { registerStoreRoutes } from './index.ts';

const hangLimitMs = 10_000;

async function served() {
  const random = seededRandom(1);
  const local = createMemoryStore({ random });
  const server = createHttpServer({ log });
  registerStoreRoutes(server, local, { clock: systemClock });
  const baseUrl = `http://127.0.0.1:${await listenTcp(server, '127.0.0.1', 0)}`;
  const remote = createRemoteStore({ baseUrl, clock: systemClock, random, log });
  const close = async () => {
    await remote.close();
    await server.close();
    await local.close();
  };
  return { local, remote, server, close };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + hangLimitMs;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `still missing: ${what}`);
    await systemClock.sleep(2);
  }
}

test('a client that goes away leaves no watcher behind, also while nothing happens', async () => {
  const { local, remote, close } = await served();
  const { revision: from } = await local.txn({ compare: [], operations: [{ put: 'a', value: 1 }] });
  const stop = new AbortController();
  const reading = (async () => {
    for await (const _ of remote.watch('', { from, signal: stop.signal })) assert.fail('an event');
  })();
  await until(() => local.status().watchers === 1, 'the watcher');
  stop.abort();
  await reading;
  await until(() => local.status().watchers === 0, 'the end of the watcher');
  await close();
});

test('a watch that the store ends carries the reason to the client', async () => {
  const { local, remote, close } = await served();
  const { revision: from } = await local.txn({ compare: [], operations: [{ put: 'a', value: 1 }] });
  const reading = (async () => {
    for await (const _ of remote.watch('', { from })) assert.fail('an event');
  })();
  const rejected = assert.rejects(reading, { code: 'store.unavailable' });
  await until(() => local.status().watchers === 1, 'the watcher');
  await local.close();
  await rejected;
  await close();
});

test('a malformed transaction is refused with the field that is wrong', async () => {
  const { local, server, close } = await served();
  for (const body of [{}, { compare: [], operations: [{ put: 1 }] }, { compare: 'x' }]) {
    const answer = await server.inject({ method: 'POST', url: '/store/txn', payload: body });
    assert.equal(answer.statusCode, 400);
    assert.equal(answer.json().code, 'core.invalid');
  }
  assert.equal(local.status().revision, 0);
  await close();
});
