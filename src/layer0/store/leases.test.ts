// Leases and elections against a clock that the test moves, also in jumps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { seededRandom } from '#core/random';
import { LeaseTable } from './decide/lease-table.ts';
import { storeErrors } from './errors.ts';
import { createMemoryStore } from './fake.ts';

const ttlMs = 10_000;

test('a lease ends when the time that was seen to pass is over', () => {
  const table = new LeaseTable([{ id: 'a', ttlMs }], 0);
  for (let now = 1_000; now < ttlMs; now += 1_000) table.observe(now);
  assert.deepEqual(table.ended(), []);
  assert.equal(table.nextLookMs(), 1_000);
  table.observe(ttlMs);
  assert.deepEqual(table.ended(), ['a']);
});

test('time in which the process was frozen does not count, however often', () => {
  const table = new LeaseTable([{ id: 'a', ttlMs }], 0);
  let now = 0;
  for (let pause = 0; pause < 100; pause++) {
    now += 3_000;
    table.observe(now);
  }
  assert.deepEqual(table.ended(), []);
  for (let tick = 1; tick <= 10; tick++) table.observe(now + tick * 1_000);
  assert.deepEqual(table.ended(), ['a']);
});

test('a store that was frozen for an hour deletes nothing when it wakes', async () => {
  const clock = new JumpingClock();
  const store = createMemoryStore({ clock, random: seededRandom(1) });
  const lease = await store.grantLease(ttlMs);
  await store.txn({ compare: [], operations: [{ put: 'k', value: 1, lease: lease.id }] });
  await clock.advance(5_000);
  clock.jump(3_600_000);
  await clock.advance(2_000);
  assert.ok(await store.get('k'), 'the lease ended although its holder had no chance to renew it');
  await clock.advance(ttlMs);
  assert.equal(await store.get('k'), undefined);
});

test('a leader that cannot reach the store gives up within its ttl', async () => {
  const clock = new FakeClock();
  const store = createMemoryStore({ clock, random: seededRandom(1) });
  let isCut = false;
  const keepAlive = store.keepAlive.bind(store);
  store.keepAlive = async (id) => {
    if (isCut) throw storeErrors.unavailable('the link is cut');
    return keepAlive(id);
  };
  const { signal } = new AbortController();
  const leader = await store.elect('chief', { identity: 'one', ttlMs, signal });
  await clock.advance(3 * ttlMs);
  assert.equal(leader.lost.aborted, false);
  isCut = true;
  await clock.advance(ttlMs);
  assert.equal(leader.lost.aborted, true);
});

test('a leader whose claim was deleted by hand notices', async () => {
  const clock = new FakeClock();
  const store = createMemoryStore({ clock, random: seededRandom(1) });
  const { signal } = new AbortController();
  const leader = await store.elect('chief', { identity: 'one', ttlMs, signal });
  await store.txn({ compare: [], operations: [{ delete: 'elections/chief' }] });
  await clock.advance(ttlMs / 2);
  assert.equal(leader.lost.aborted, true);
});

/** A clock whose process can be stopped: time passes and no timer fires until it wakes. */
class JumpingClock extends FakeClock {
  #jumpedMs = 0;

  override now(): number {
    return super.now() + this.#jumpedMs;
  }

  override monotonicMs(): number {
    return super.monotonicMs() + this.#jumpedMs;
  }

  jump(ms: number): void {
    this.#jumpedMs += ms;
  }
}
