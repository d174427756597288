// Who is let in how often, and who is told to wait?

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { coreErrors } from '#core/errors';
import type { Store } from '#layer0/store/client';
import type { CreatedToken } from '../api.ts';
import type { ClusterView } from '../cluster-api.ts';
import { internalKey, TestBed, testToken } from '../test-bed.ts';

let bed: TestBed;
beforeEach(async () => {
  bed = await new TestBed().start();
});
afterEach(() => bed.stop());

async function call(token: string, url = '/whoami', from?: string) {
  const forwarded = from === undefined ? {} : { 'x-forwarded-for': from };
  const headers = { authorization: `Bearer ${token}`, ...forwarded };
  const {
    statusCode,
    headers: answered,
    body,
  } = await bed.controller.server.inject({ url, headers });
  return { status: statusCode, retryAfter: answered['retry-after'], body };
}

async function statuses(count: number, ...args: Parameters<typeof call>): Promise<number[]> {
  const all = new Set<number>();
  for (let index = 0; index < count; index++) all.add((await call(...args)).status);
  return [...all];
}

const wrong = (index: number) => `gantry_this-token-is-not-known-to-anybody-${index}`;

async function sendWrong(count: number, from: string): Promise<void> {
  for (let index = 0; index < count; index++)
    assert.equal((await call(wrong(index), '/whoami', from)).status, 401);
}

test('a token may make many calls at once, and then waits as long as it is told', async () => {
  assert.deepEqual(await statuses(500, testToken), [200]);
  const refused = await call(testToken);
  assert.deepEqual([refused.status, refused.retryAfter], [429, '1']);
  const { code, message, retry } = JSON.parse(refused.body) as Record<string, unknown>;
  assert.deepEqual([code, retry], ['controller.tooManyCalls', true]);
  assert.match(String(message), /the token ada makes more than 100 calls per second; wait 1 s/);
  await bed.clock.advance(1_000);
  assert.deepEqual(await statuses(100, testToken), [200]);
  assert.equal((await call(testToken)).status, 429);
});

test('one token does not use up the calls of another, and nobody those of the platform itself', async () => {
  const { token } = await bed.ok<CreatedToken>('POST', '/tokens', { name: 'ci' });
  await statuses(500, testToken);
  assert.equal((await call(testToken)).status, 429);
  assert.equal((await call(token)).status, 200);
  assert.deepEqual(await statuses(1_000, internalKey), [200]);
  assert.equal((await call('', '/healthz')).status, 200);
});

test('a build counts as many calls', async () => {
  const statusOf = async () => (await bed.call('POST', '/images')).status;
  for (let push = 0; push < 20; push++) assert.equal(await statusOf(), 400);
  assert.equal(await statusOf(), 429);
});

test('an address that sends wrong tokens is slowed down, and no other', async () => {
  await sendWrong(20, '203.0.113.7');
  const refused = await call(wrong(20), '/whoami', '203.0.113.7');
  assert.deepEqual([refused.status, refused.retryAfter], [429, '1']);
  assert.match(refused.body, /wrong tokens came from this address/);
  await sendWrong(1, '203.0.113.8');
  await bed.clock.advance(1_000);
  await sendWrong(1, '203.0.113.7');
  assert.equal((await call(wrong(22), '/whoami', '203.0.113.7')).status, 429);
});

test('a token that was good goes on being good beside wrong ones, until it is revoked', async () => {
  const { id, token } = await bed.ok<CreatedToken>('POST', '/tokens', { name: 'ci' });
  const from = '203.0.113.7';
  assert.equal((await call(token, '/whoami', from)).status, 200);
  await sendWrong(20, from);
  assert.equal((await call(wrong(1), '/whoami', from)).status, 429);
  assert.equal((await call(token, '/whoami', from)).status, 200);
  await bed.ok('DELETE', `/tokens/${id}`);
  assert.equal((await call(token, '/whoami', from)).status, 401);
  assert.equal((await call(token, '/whoami', from)).status, 429);
});

test('who sent it is what our own router says last, not what the caller says of itself', async () => {
  for (let index = 0; index < 20; index++) await sendWrong(1, `198.51.100.${index}, 203.0.113.7`);
  assert.equal((await call(wrong(1), '/whoami', '198.51.100.99, 203.0.113.7')).status, 429);
});

test('while the store is away whoever has a token that it had may look, and says what it sees; nothing else is let in', async () => {
  let isAway = false;
  const unlessAway = <T>(answer: () => Promise<T>): Promise<T> =>
    isAway ? Promise.reject(coreErrors.unreachable('the store is cut off')) : answer();
  const store: Store = {
    get: (key) => unlessAway(() => bed.store.get(key)),
    list: (prefix, options) => unlessAway(() => bed.store.list(prefix, options)),
    txn: (txn) => unlessAway(() => bed.store.txn(txn)),
    watch: (prefix, options) => bed.store.watch(prefix, options),
    grantLease: (ttlMs) => bed.store.grantLease(ttlMs),
    keepAlive: (id) => bed.store.keepAlive(id),
    revokeLease: (id) => bed.store.revokeLease(id),
    elect: (name, options) => bed.store.elect(name, options),
    replaceAll: (entries, compare) => bed.store.replaceAll(entries, compare),
    close: async () => undefined,
  };
  await bed.controller.stop();
  bed.controller = bed.newController({ store });
  await bed.controller.start();
  const report = { store: { engine: 'remote', host: 'h1' }, version: 'a' };
  bed.host.memberReports = async () => [{ hostId: 'h1', name: 'eins', address: 'x', report }];
  const { token } = await bed.ok<CreatedToken>('POST', '/tokens', { name: 'never-used' });
  await bed.ok('GET', '/cluster');
  isAway = true;
  const view = await bed.ok<ClusterView>('GET', '/cluster');
  assert.match(view.store.message, /the store on eins is away: nothing new is decided.*cut off/);
  assert.deepEqual(
    view.machines.map(({ name, state }) => [name, state]),
    [['eins', 'up']],
  );
  assert.equal((await call(token, '/cluster')).status, 200);
  assert.equal((await call(wrong(1), '/cluster')).status, 503);
  assert.equal((await bed.call('POST', '/tokens', { name: 'more' })).status, 503);
});

test('a store that says nothing is waited for once, and then for a moment until it answers again', async () => {
  const { get } = bed.store;
  const waitedMs = async () => {
    let status: number | undefined;
    void call(testToken).then((answer) => {
      status = answer.status;
    });
    const beganMs = bed.clock.monotonicMs();
    for (let turn = 0; turn < 50 && status === undefined; turn++) await bed.clock.advance(100);
    return [status, bed.clock.monotonicMs() - beganMs <= 500];
  };
  assert.deepEqual(await waitedMs(), [200, true]);
  bed.store.get = () => new Promise(() => undefined);
  assert.deepEqual(
    [await waitedMs(), await waitedMs()],
    [
      [200, false],
      [200, true],
    ],
  );
  bed.store.get = get;
  assert.deepEqual(await waitedMs(), [200, true]);
});
