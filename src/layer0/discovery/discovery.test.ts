// Do clients of one store agree on who is where, through lost leases, absent stores and deaths? On a fake clock.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { coreErrors } from '#core/errors';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { seededRandom } from '#core/random';
import type { Store, Txn } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { createDiscovery, type DiscoveryClient, type Instance } from './client.ts';
import { anInstance } from './fake.ts';
import { instancePrefix } from './wire.ts';

const clients: DiscoveryClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.abandon();
});

interface World {
  clock: FakeClock;
  store: Store;
  join(store?: Store): DiscoveryClient;
}

function aWorld(): World {
  const clock = new FakeClock();
  const random = seededRandom(3);
  const store = createMemoryStore({ clock, random });
  const join = (own: Store = store) => {
    const client = createDiscovery({ store: own, clock, random, log: silentLog, ttlMs });
    clients.push(client);
    return client;
  };
  return { clock, store, join };
}

const ref = { service: 'web.shop', handle: 'job-1' };
const ttlMs = 10_000;

async function until(clock: FakeClock, what: string, isDone: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000; turn++) {
    if (isDone()) return;
    await clock.advance(10);
  }
  assert.fail(`not true within 20 s of the clock: ${what}`);
}

/** A promise that needs the clock to move. */
async function during<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const mark = () => {
    isSettled = true;
  };
  promise.then(mark, mark);
  await until(clock, 'the call has ended', () => isSettled);
  return promise;
}

/** A store that can be taken away and put back. */
function breakable(store: Store): { store: Store; setAway(isAway: boolean): void } {
  let isAway = false;
  const broken = new Error('the store is away');
  async function* failing(batches: AsyncIterable<unknown>) {
    for await (const batch of batches) {
      if (isAway) throw broken;
      yield batch;
    }
  }
  const guarded = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'watch') return failing(Reflect.apply(value, target, args));
        return isAway ? Promise.reject(broken) : (Reflect.apply(value, target, args) as unknown);
      };
    },
  });
  return {
    store: guarded,
    setAway(now) {
      isAway = now;
    },
  };
}

test('what one registers another one sees, until it is deregistered', async () => {
  const { clock, join } = aWorld();
  const [host, router] = [join(), join()];
  await during(clock, host.register(anInstance(1)));
  await until(clock, 'seen', () => router.instances('web.shop').length === 1);
  assert.deepEqual(router.instances('web.shop'), [anInstance(1)]);
  assert.deepEqual(router.services(), ['web.shop']);
  await during(clock, host.deregister(ref));
  await until(clock, 'gone', () => router.services().length === 0);
});

test('two jobs with one id are two instances, as in the middle of a deploy', async () => {
  const { clock, join } = aWorld();
  const host = join();
  await during(clock, host.register(anInstance(1)));
  await during(clock, host.register(anInstance(1, { job: 'job-1b', address: '10.64.0.99' })));
  await until(clock, 'both', () => host.instances('web.shop').length === 2);
});

test('a watch tells up, update, down and leader, beginning with what is there', async () => {
  const { clock, join } = aWorld();
  const [host, other] = [join(), join()];
  await during(clock, host.register(anInstance(1)));
  await during(clock, other.ready());
  await until(clock, 'seen', () => other.instances('web.shop').length === 1);
  const heard: string[] = [];
  const tell = (word: string) => (instance: Instance | undefined) =>
    void heard.push(`${word} ${instance?.id}`);
  const stop = other.watchService('web.shop', {
    up: tell('up'),
    down: tell('down'),
    update: (instance) => heard.push(`update ${instance.id} ${instance.metadata.version}`),
    leader: tell('leader'),
  });
  await during(clock, host.register(anInstance(2)));
  await during(clock, host.update(ref, { metadata: { version: '7' } }));
  await during(clock, host.deregister(ref));
  await until(clock, 'all told', () => heard.length >= 6);
  stop();
  await during(clock, host.register(anInstance(3)));
  assert.deepEqual(heard, [
    'up 1.web.shop',
    'leader 1.web.shop',
    'up 2.web.shop',
    'update 1.web.shop 7',
    'down 1.web.shop',
    'leader 2.web.shop',
  ]);
});

test('a registration lives as long as its process and a lease after it', async () => {
  const { clock, join } = aWorld();
  const [host, router] = [join(), join()];
  await during(clock, host.register(anInstance(1)));
  await clock.advance(60_000);
  assert.equal(router.instances('web.shop').length, 1);
  await host.abandon();
  await clock.advance(6_000);
  assert.equal(router.instances('web.shop').length, 1, 'a restart is no gap');
  await clock.advance(5_000);
  assert.equal(router.instances('web.shop').length, 0);
});

test('a write whose answer was lost and that arrives late neither comes back nor lands on what followed', async () => {
  const { clock, store, join } = aWorld();
  const late: (() => Promise<unknown>)[] = [];
  let isSlow = false;
  const slow = new Proxy(store, {
    get: (target, name) => {
      if (name !== 'txn') return (Reflect.get(target, name) as () => unknown).bind(target);
      return (txn: Txn) => {
        if (!isSlow) return store.txn(txn);
        late.push(() => store.txn(txn));
        return Promise.reject(coreErrors.timeout('no answer'));
      };
    },
  });
  const [one, other] = [join(slow), join()];
  await during(clock, one.register(anInstance(2)));
  isSlow = true;
  const lost = [
    one.register(anInstance(1)),
    one.update({ ...ref, handle: 'job-2' }, { metadata: { a: 'b' } }),
  ];
  await Promise.allSettled(lost.map((call) => during(clock, call)));
  isSlow = false;
  await during(clock, one.deregister(ref));
  await during(
    clock,
    one.update({ ...ref, handle: 'job-2' }, { state: 'draining', metadata: { a: 'c' } }),
  );
  for (const arrive of late) await arrive();
  const states = () =>
    other.instances(ref.service).map(({ job, state, metadata }) => [job, state, metadata.a]);
  await until(clock, 'it is as it was last wanted', () => {
    return JSON.stringify(states()) === JSON.stringify([['job-2', 'draining', 'c']]);
  });
});

test('a first write whose answer was lost counts once it is seen', async () => {
  const { clock, store, join } = aWorld();
  let lost = 0;
  const forgetful = new Proxy(store, {
    get: (of, name: keyof Store) =>
      name === 'txn'
        ? async (txn: Txn) => {
            const result = await of.txn(txn);
            if (lost++ === 0) throw coreErrors.timeout('the answer was lost');
            return result;
          }
        : of[name].bind(of),
  });
  const own = join(forgetful);
  await during(clock, own.ready());
  await assert.rejects(during(clock, own.register(anInstance(1))), /the answer was lost/);
  await clock.advance(1_000);
  const { revision } = await during(clock, own.register(anInstance(1)));
  const written = await store.get(`${instancePrefix}${ref.service}/${ref.handle}`);
  assert.ok(written && revision >= written.modRevision);
});

test('a lost lease is noticed and everything registered again', async () => {
  const { clock, store, join } = aWorld();
  const host = join();
  await during(clock, host.register(anInstance(1)));
  await during(clock, host.register(anInstance(2)));
  const { entries } = await store.list(instancePrefix);
  await store.revokeLease(entries[0]?.lease ?? '');
  await until(clock, 'both are back', () => host.instances('web.shop').length === 2);
  await clock.advance(30_000);
  assert.equal((await store.list(instancePrefix)).entries.length, 2);
});

test('a change does not wait for the lease to be renewed', async () => {
  const { clock, store, join } = aWorld();
  const calls: { name: keyof Store; atMs: number }[] = [];
  const seen = new Proxy(store, {
    get(of, name: keyof Store) {
      calls.push({ name, atMs: clock.monotonicMs() });
      return of[name].bind(of);
    },
  });
  const host = join(seen);
  await during(clock, host.register(anInstance(1)));
  const grantedMs = calls.find(({ name }) => name === 'grantLease')?.atMs ?? 0;
  // Its renewal is due after a fifth of it.
  await clock.advance(grantedMs + ttlMs / 5 - clock.monotonicMs());
  calls.length = 0;
  await during(clock, host.register(anInstance(2)));
  assert.deepEqual(
    calls.map(({ name }) => name),
    ['txn', 'keepAlive'],
  );
});

test('while the store is away the last state is known and nothing is told', async () => {
  const { clock, store, join } = aWorld();
  const { store: weak, setAway } = breakable(store);
  const [host, router] = [join(), join(weak)];
  await during(clock, host.register(anInstance(1)));
  await until(clock, 'seen', () => router.instances('web.shop').length === 1);
  setAway(true);
  await during(clock, host.deregister(ref));
  await clock.advance(60_000);
  assert.equal(router.instances('web.shop').length, 1);
  setAway(false);
  await until(clock, 'the truth', () => router.instances('web.shop').length === 0);
});

test('a registration that the store did not take is said so, and made when it is back', async () => {
  const { clock, store, join } = aWorld();
  const { store: weak, setAway } = breakable(store);
  const [host, router] = [join(weak), join()];
  setAway(true);
  await assert.rejects(during(clock, host.register(anInstance(1))));
  setAway(false);
  await until(clock, 'registered', () => router.instances('web.shop').length === 1);
});

test('a store that came back as another one gets everything again', async () => {
  const { clock, join } = aWorld();
  const random = seededRandom(9);
  const stores = [1, 2].map(() => createMemoryStore({ clock, random }));
  let current = stores[0] as Store;
  const moving = new Proxy({} as Store, {
    get: (_target, name) => (Reflect.get(current, name) as () => void).bind(current),
  });
  const host = join(moving);
  await during(clock, host.register(anInstance(1)));
  const before = current;
  current = stores[1] as Store;
  await before.close();
  const router = join(current);
  await until(clock, 'registered there', () => router.instances('web.shop').length === 1);
});

test('a drain waits for the router that watches, and for nobody when there is none', async () => {
  const { clock, join } = aWorld();
  const [host, router] = [join(), join()];
  await during(clock, host.register(anInstance(1)));
  await during(clock, host.update(ref, { state: 'draining' }));
  await until(clock, 'no consumer', () => host.drainStatus(ref).mayStop);

  const consumer = router.consume('router-1');
  await until(clock, 'a list', () => router.directory() !== undefined);
  const applied = { incarnation: router.directory()?.revision.incarnation ?? '', revision: 0 };
  await during(clock, consumer.report({ applied, busy: [] }));
  await until(clock, 'it counts', () => host.consumers().length === 1);
  assert.deepEqual(host.drainStatus(ref).waitsFor, ['router-1 still sends it requests']);

  const now = () => router.directory()?.revision ?? applied;
  await during(clock, consumer.report({ applied: now(), busy: ['job-1'] }));
  await until(clock, 'applied', () =>
    host.drainStatus(ref).waitsFor.includes('router-1 has requests in flight'),
  );
  await during(clock, consumer.report({ applied: now(), busy: [] }));
  await until(clock, 'may stop', () => host.drainStatus(ref).mayStop);
});

test('a consumer that died holds up no drain longer than its lease', async () => {
  const { clock, join } = aWorld();
  const [host, router] = [join(), join()];
  await during(clock, host.register(anInstance(1)));
  const applied = { incarnation: 'none', revision: 0 };
  await during(clock, router.consume('router-1').report({ applied, busy: [] }));
  await during(clock, host.update(ref, { state: 'draining' }));
  await until(clock, 'seen', () => host.consumers().length === 1);
  assert.equal(host.drainStatus(ref).mayStop, false);
  await router.abandon();
  await clock.advance(11_000);
  assert.equal(host.drainStatus(ref).mayStop, true);
});

test('a consumer that leaves stands until the next one reports under its name, or its lease is over', async () => {
  const { clock, join } = aWorld();
  const [host, first, second] = [join(), join(), join()];
  await during(clock, host.register(anInstance(1)));
  await during(clock, host.update(ref, { state: 'draining' }));
  const applied = { incarnation: 'none', revision: 0 };
  const report = (router: typeof host, busy: string[]) =>
    during(clock, router.consume('router-1').report({ applied, busy }));
  await report(first, []);
  first.consume('router-1').leave();
  await until(clock, 'seen', () => host.consumers().length === 1);
  await clock.advance(3_000);
  assert.equal(host.drainStatus(ref).mayStop, false);

  await report(second, ['job-1']);
  await clock.advance(20_000);
  assert.deepEqual(
    host.consumers().map(({ busy }) => busy),
    [['job-1']],
    'the lease of the first one takes nothing with it',
  );
  second.consume('router-1').leave();
  await clock.advance(20_000);
  await until(clock, 'no consumer', () => host.drainStatus(ref).mayStop);
});

test('changing what is not ours is refused', async () => {
  const { join } = aWorld();
  await assert.rejects(join().update(ref, { state: 'draining' }), {
    code: 'discovery.notRegistered',
  });
});

test('close takes everything out at once', async () => {
  const { clock, join } = aWorld();
  const [host, router] = [join(), join()];
  await during(clock, host.register(anInstance(1)));
  await until(clock, 'seen', () => router.instances('web.shop').length === 1);
  await host.close();
  await until(clock, 'gone', () => router.instances('web.shop').length === 0);
  await assert.rejects(host.register(anInstance(2)), { code: 'discovery.closed' });
});
