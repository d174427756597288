// A mirror follows, survives the absence of its store, and starts over when history is gone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog as log } from '#core/log';
import { seededRandom } from '#core/random';
import type { Store, WatchEvent, WatchOptions } from './client.ts';
import type { EmbeddedStore } from './embedded-store.ts';
import { storeErrors } from './errors.ts';
import { createMemoryStore } from './fake.ts';
import { createMirror } from './mirror.ts';

const put = (store: Store, key: string, value: unknown = 1) =>
  store.txn({ compare: [], operations: [{ put: key, value }] });

/** A store that can be away, come back as another one, and lose its connections. */
class Link {
  current: EmbeddedStore | undefined;
  #connection = new AbortController();
  readonly store: Store = new Proxy({} as Store, {
    get: (_, name) => (name === 'watch' ? this.#watch : this.#member(name)),
  });

  breakOff(): void {
    this.current = undefined;
    this.#connection.abort();
    this.#connection = new AbortController();
  }

  #watch = (prefix: string, { from, signal }: WatchOptions) => {
    if (!this.current) throw storeErrors.unavailable('the store is away');
    const until = AbortSignal.any([this.#connection.signal, ...(signal ? [signal] : [])]);
    return this.current.watch(prefix, { from, signal: until });
  };

  #member(name: string | symbol) {
    return async (...given: unknown[]) => {
      if (!this.current) throw storeErrors.unavailable('the store is away');
      const member = Reflect.get(this.current, name) as (...given: unknown[]) => unknown;
      return member.apply(this.current, given);
    };
  }
}

function setUp() {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const link = new Link();
  const first = createMemoryStore({ clock, random, incarnation: 'inc-1' });
  link.current = first;
  const stop = new AbortController();
  const changes: string[] = [];
  const onChange = (change: WatchEvent[] | 'resync') =>
    void changes.push(
      change === 'resync' ? change : change.map(({ type, key }) => `${type} ${key}`).join(),
    );
  const options = { clock, random, log, signal: stop.signal, onChange };
  const mirror = () => createMirror(link.store, 'k/', options);
  const keys = (of: ReturnType<typeof mirror>) => [...of.entries().keys()].sort();
  return { clock, random, link, first, stop, changes, mirror, keys };
}

test('a mirror lists, then follows each commit, its own prefix only', async () => {
  const { first, mirror, keys, changes, stop } = setUp();
  await put(first, 'k/a');
  const following = mirror();
  await following.synced;
  await put(first, 'other');
  await put(first, 'k/b');
  const { revision } = await first.txn({ compare: [], operations: [{ delete: 'k/a' }] });
  await following.caughtUp(revision);
  assert.deepEqual(keys(following), ['k/b']);
  assert.deepEqual(changes, ['resync', 'put k/b', 'delete k/a']);
  assert.equal(following.isConnected, true);
  stop.abort();
});

test('a mirror keeps its state while the store is away and catches up afterwards', async () => {
  const { clock, link, first, mirror, keys, changes, stop } = setUp();
  await put(first, 'k/a');
  const following = mirror();
  await following.synced;
  link.breakOff();
  await first.close();
  await clock.advance(60_000);
  assert.equal(following.isConnected, false);
  assert.deepEqual(keys(following), ['k/a']);
  const second = createMemoryStore({ clock, random: seededRandom(2), incarnation: 'inc-2' });
  const { revision } = await put(second, 'k/b');
  link.current = second;
  const caughtUp = following.caughtUp(revision);
  await clock.advance(10_000);
  await caughtUp;
  assert.deepEqual(keys(following), ['k/b']);
  assert.deepEqual(changes, ['resync', 'resync']);
  stop.abort();
});

test('a mirror whose history was compacted while it was away lists again', async () => {
  const { clock, link, first, mirror, keys, stop } = setUp();
  const following = mirror();
  await following.synced;
  link.breakOff();
  await put(first, 'k/a');
  await put(first, 'k/b');
  await first.compact();
  link.current = first;
  await clock.advance(10_000);
  assert.deepEqual(keys(following), ['k/a', 'k/b']);
  stop.abort();
});

test('a quiet mirror gets as far as the store when it is asked to list again', async () => {
  const { clock, first, mirror, keys, changes, stop } = setUp();
  await put(first, 'k/a');
  const following = mirror();
  await following.synced;
  const { revision } = await put(first, 'other');
  let isThere = false;
  void following.caughtUp(revision).then(() => {
    isThere = true;
  });
  await clock.advance(60_000);
  assert.equal(isThere, false, 'nothing under its prefix has changed');
  following.relist();
  await clock.advance(1000);
  assert.equal(isThere, true);
  await put(first, 'k/b');
  await clock.advance(10);
  assert.deepEqual(keys(following), ['k/a', 'k/b']);
  assert.deepEqual(changes, ['resync', 'resync', 'put k/b']);
  stop.abort();
});

test('a mirror that is ended before its first list says so to who waits', async () => {
  const { link, mirror, stop } = setUp();
  link.current = undefined;
  const following = mirror();
  const waiting = following.caughtUp({ incarnation: 'inc-1', revision: 9 });
  stop.abort();
  await assert.rejects(following.synced, { code: 'core.aborted' });
  await assert.rejects(waiting, { code: 'core.aborted' });
});
