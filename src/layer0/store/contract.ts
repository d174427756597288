// What every engine of the store must do, as tests: memory, SQLite, either over HTTP, and any engine to come.
// Nothing here knows an engine: revisions are compared only as the door allows, time passes by the factory's hand.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '#core/errors';
import type { Store } from './client.ts';
import { registerReplacing } from './contract-replace.ts';
import {
  type Compare,
  maxTxnOperations,
  type Operation,
  type Revision,
  type WatchBatch,
} from './wire.ts';

/** A store with nothing in it, and what a test may do to it from outside. */
export interface ContractSubject {
  store: Store;
  /** Lets this much of the engine's time pass; may be a real wait. */
  passTime(ms: number): Promise<void>;
  /** Makes the engine forget its history. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

/** How long a condition may take before the test says what was missing, milliseconds. */
const hangLimitMs = 10_000;
/** Engines round short leases up; this is one that all of them take. */
const leaseMs = 2_000;

export function storeContract(name: string, open: () => Promise<ContractSubject>): void {
  const check = (title: string, body: (subject: ContractSubject) => Promise<void>) =>
    test(title, async () => {
      const subject = await open();
      try {
        await body(subject);
      } finally {
        await subject.close();
      }
    });
  describe(`the store contract: ${name}`, () => {
    registerReads(check);
    registerTxns(check);
    registerLimits(check);
    registerWatches(check);
    registerLeases(check);
    registerElections(check);
    registerReplacing(check);
  });
}

export type Check = (title: string, body: (subject: ContractSubject) => Promise<void>) => void;

async function commit(store: Store, ...operations: Operation[]): Promise<Revision> {
  const result = await store.txn({ compare: [], operations });
  assert.equal(result.ok, true);
  return result.revision;
}

const put = (key: string, value: unknown = 1, lease?: string): Operation =>
  lease === undefined ? { put: key, value } : { put: key, value, lease };

const rejectsWith = (promise: Promise<unknown>, code: string) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(hasCode(error, code), `expected ${code}, got ${String(error)}`);
    return true;
  });

/** Reads batches until `enough` events came; a hang becomes a sentence. */
async function readEvents(batches: AsyncIterable<WatchBatch>, enough: number): Promise<string[]> {
  const seen: string[] = [];
  const read = async () => {
    for await (const { events } of batches) {
      for (const { type, key, entry } of events)
        seen.push(`${type} ${key} ${JSON.stringify(entry.value)}`);
      if (seen.length >= enough) return;
    }
  };
  await within(read(), () => `${enough} events, saw ${JSON.stringify(seen)}`);
  return seen;
}

async function within<T>(promise: Promise<T>, missing: () => string): Promise<T> {
  const timeUp = new AbortController();
  const late = delay(hangLimitMs, undefined, { signal: timeUp.signal }).then(
    () => assert.fail(`after ${hangLimitMs} ms still missing: ${missing()}`),
    () => new Promise<never>(() => undefined),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timeUp.abort();
  }
}

function registerReads(check: Check): void {
  check('an absent key reads as undefined', async ({ store }) => {
    assert.equal(await store.get('a'), undefined);
  });

  check(
    'a key reads back with the revisions of its creation and last change',
    async ({ store }) => {
      const first = await commit(store, put('a/b', { x: [1, 'é'] }));
      const second = await commit(store, put('a/b', { x: [] }));
      const entry = await store.get('a/b');
      assert.deepEqual(entry, {
        key: 'a/b',
        value: { x: [] },
        createRevision: first.revision,
        modRevision: second.revision,
      });
    },
  );

  check('a list holds exactly the keys with the prefix, sorted', async ({ store }) => {
    await commit(store, put('b/2'), put('b/10'), put('b'), put('bb/1'), put('a'), put('c'));
    const { entries } = await store.list('b/');
    assert.deepEqual(
      entries.map(({ key }) => key),
      ['b/10', 'b/2'],
    );
    assert.equal((await store.list('')).entries.length, 6);
  });

  check('pages of one revision hold each key once while others write', async ({ store }) => {
    await commit(store, ...['a', 'b', 'c', 'd', 'e'].map((name) => put(`k/${name}`)));
    const first = await store.list('k/', { limit: 2 });
    await commit(store, put('k/aa'), put('k/cc'), { delete: 'k/d' }, put('k/e', 2));
    const keys = first.entries.map(({ key }) => key);
    let next = first.next;
    while (next !== undefined) {
      const page = await store.list('k/', { at: first.revision, after: next, limit: 2 });
      assert.deepEqual(page.revision, first.revision);
      keys.push(...page.entries.map(({ key, value }) => `${key}${value === 1 ? '' : ' changed'}`));
      next = page.next;
    }
    assert.deepEqual(keys, ['k/a', 'k/b', 'k/c', 'k/d', 'k/e']);
  });

  check('a list at an older revision shows what was true then', async ({ store }) => {
    await commit(store, put('k/a', 1), put('k/b', 1));
    const then = await commit(store, put('k/a', 2));
    await commit(store, put('k/a', 3), { delete: 'k/b' }, put('k/c'));
    await commit(store, put('k/b', 9));
    const { entries, revision } = await store.list('k/', { at: then });
    assert.deepEqual(
      entries.map(({ key, value }) => [key, value]),
      [
        ['k/a', 2],
        ['k/b', 1],
      ],
    );
    assert.deepEqual(revision, then);
  });

  check('a compacted revision and one of another incarnation say so', async (subject) => {
    const { store } = subject;
    const old = await commit(store, put('a'));
    await commit(store, put('a', 2));
    await subject.compact();
    await rejectsWith(store.list('', { at: old }), 'store.compacted');
    const foreign = { incarnation: 'inc-other', revision: old.revision };
    await rejectsWith(store.list('', { at: foreign }), 'store.conflict');
  });
}

function registerTxns(check: Check): void {
  check('each compare decides alone, and the failed ones are named', async ({ store }) => {
    const created = await commit(store, put('a', { x: 1, y: [2] }));
    const changed = await commit(store, put('a', { y: [2], x: 1 }));
    const key = 'a';
    const result = await store.txn({
      compare: [
        { key, is: 'present' },
        { key: 'none', is: 'absent' },
        { key, modRevision: changed.revision },
        { key, createRevision: created.revision },
        { key, value: { x: 1, y: [2] } },
        { key, is: 'absent' },
        { key: 'none', is: 'present' },
        { key, modRevision: created.revision },
        { key, createRevision: changed.revision },
        { key, value: { x: 1 } },
      ],
      operations: [put('b')],
    });
    assert.deepEqual(result, { ok: false, revision: changed, failed: [5, 6, 7, 8, 9] });
    assert.equal(await store.get('b'), undefined);
  });

  check('a transaction is one commit: all of its keys get its revision', async ({ store }) => {
    await commit(store, put('gone'));
    const { revision } = await commit(store, put('a'), put('b'), { delete: 'gone' });
    const { entries } = await store.list('');
    assert.deepEqual(
      entries.map(({ key, modRevision }) => [key, modRevision]),
      [
        ['a', revision],
        ['b', revision],
      ],
    );
  });

  check('a key that is deleted and put again is a new creation', async ({ store }) => {
    await commit(store, put('a'));
    await commit(store, { delete: 'a' }, { delete: 'never-there' });
    const { revision } = await commit(store, put('a'));
    assert.equal((await store.get('a'))?.createRevision, revision);
  });

  check('of many who create one key at once, one succeeds', async ({ store }) => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, writer) =>
        store.txn({
          compare: [{ key: 'lock', is: 'absent' }],
          operations: [put('lock', writer), put(`by/${writer}`)],
        }),
      ),
    );
    assert.equal(results.filter(({ ok }) => ok).length, 1);
    assert.equal((await store.list('by/')).entries.length, 1);
    assert.equal(
      (await store.get('lock'))?.value,
      results.findIndex(({ ok }) => ok),
    );
  });

  check('no increment is lost between concurrent writers', async ({ store }) => {
    await commit(store, put('count', 0));
    const increment = async () => {
      for (;;) {
        const entry = await store.get<number>('count');
        assert.ok(entry);
        const { ok } = await store.txn({
          compare: [{ key: 'count', modRevision: entry.modRevision }],
          operations: [put('count', entry.value + 1)],
        });
        if (ok) return;
      }
    };
    await Promise.all(Array.from({ length: 10 }, increment));
    assert.equal((await store.get('count'))?.value, 10);
  });

  check('compares of another incarnation are a conflict', async ({ store }) => {
    const { incarnation } = await commit(store, put('a'));
    await store.txn({ incarnation, compare: [], operations: [put('a', 2)] });
    const foreign = { incarnation: 'inc-other', compare: [], operations: [put('a', 3)] };
    await rejectsWith(store.txn(foreign), 'store.conflict');
    assert.equal((await store.get('a'))?.value, 2);
  });
}

function registerLimits(check: Check): void {
  check('what is too large is refused whole', async ({ store }) => {
    const many = Array.from({ length: maxTxnOperations + 1 }, (_, index) => put(`k/${index}`));
    await rejectsWith(store.txn({ compare: [], operations: many }), 'store.tooLarge');
    const big = 'x'.repeat(600_000);
    const operations = [put('a', big), put('b', big)];
    await rejectsWith(store.txn({ compare: [], operations }), 'store.tooLarge');
    assert.equal((await store.list('')).entries.length, 0);
    await commit(store, ...many.slice(1));
    await commit(store, put('a', big));
    assert.equal((await store.get('a'))?.value, big);
  });

  check('a malformed key is refused by every call', async ({ store }) => {
    for (const key of ['/a', 'a/', 'a//b', 'a b', 'a\n', 'é', 'k'.repeat(513)]) {
      await rejectsWith(store.get(key), 'store.invalidKey');
      await rejectsWith(store.txn({ compare: [], operations: [put(key)] }), 'store.invalidKey');
      await rejectsWith(
        store.txn({ compare: [], operations: [{ delete: key }] }),
        'store.invalidKey',
      );
    }
  });

  check('one transaction writes a key once', async ({ store }) => {
    const operations = [put('a'), { delete: 'a' }];
    await rejectsWith(store.txn({ compare: [], operations }), 'store.invalid');
  });
}

function registerWatches(check: Check): void {
  check('a watch replays what happened since, then follows', async ({ store }) => {
    const from = await commit(store, put('k/before'));
    await commit(store, put('k/a', 1), put('other/x'));
    await commit(store, { delete: 'k/a' });
    const events = readEvents(store.watch('k/', { from }), 3);
    await commit(store, put('other/y'));
    await commit(store, put('k/b', 2));
    assert.deepEqual(await events, ['put k/a 1', 'delete k/a 1', 'put k/b 2']);
  });

  check('a watch gives one batch a commit, in order, none left out', async ({ store }) => {
    const from = await commit(store, put('k/start'));
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let turn = 0; turn < 10; turn++)
        await commit(store, put(`k/${writer}/a`, turn), put(`k/${writer}/b`, turn));
    });
    const revisions: number[] = [];
    const read = async () => {
      for await (const { revision, events } of store.watch('k/', { from })) {
        if (events.length === 0) continue;
        assert.equal(events.length, 2);
        revisions.push(revision.revision);
        if (revisions.length === 80) return;
      }
    };
    await within(read(), () => `80 commits, saw ${revisions.length}`);
    await Promise.all(writers);
    assert.deepEqual(
      revisions,
      Array.from({ length: 80 }, (_, index) => from.revision + 1 + index),
    );
  });

  check('a watch ends when its signal fires, also while nothing happens', async ({ store }) => {
    const from = await commit(store, put('a'));
    const stop = new AbortController();
    const ended = readEvents(store.watch('k/', { from, signal: stop.signal }), 1);
    setImmediate(() => stop.abort());
    assert.deepEqual(await within(ended, () => 'the end of the watch'), []);
  });

  check('a watch from a forgotten or foreign revision is store.compacted', async (subject) => {
    const { store } = subject;
    const from = await commit(store, put('a'));
    await commit(store, put('a', 2));
    await subject.compact();
    await rejectsWith(readEvents(store.watch('', { from }), 1), 'store.compacted');
    const foreign = { incarnation: 'inc-other', revision: from.revision };
    await rejectsWith(readEvents(store.watch('', { from: foreign }), 1), 'store.compacted');
  });
}

function registerLeases(check: Check): void {
  check('the end of a lease deletes its keys in a commit that watchers see', async (subject) => {
    const { store } = subject;
    const lease = await store.grantLease(leaseMs);
    await commit(store, put('k/kept'));
    const from = await commit(store, put('k/a', 1, lease.id), put('k/b', 2, lease.id));
    assert.equal((await store.get('k/a'))?.lease, lease.id);
    const events = readEvents(store.watch('k/', { from }), 2);
    await subject.passTime(2 * leaseMs);
    assert.deepEqual((await events).sort(), ['delete k/a 1', 'delete k/b 2']);
    assert.equal((await store.list('k/')).entries.length, 1);
    await rejectsWith(store.keepAlive(lease.id), 'store.leaseNotFound');
    const late = store.txn({ compare: [], operations: [put('k/c', 1, lease.id)] });
    await rejectsWith(late, 'store.leaseNotFound');
  });

  check('a lease that is kept alive lasts', async (subject) => {
    const { store } = subject;
    const lease = await store.grantLease(leaseMs);
    await commit(store, put('k', 1, lease.id));
    for (let turn = 0; turn < 6; turn++) {
      await subject.passTime(leaseMs / 2);
      await store.keepAlive(lease.id);
    }
    assert.equal((await store.get('k'))?.value, 1);
  });

  check('a revoked lease takes its keys at once; one put without it stays', async ({ store }) => {
    const lease = await store.grantLease(leaseMs);
    await commit(store, put('a', 1, lease.id), put('b', 1, lease.id));
    await commit(store, put('b', 2));
    await store.revokeLease(lease.id);
    assert.equal(await store.get('a'), undefined);
    assert.equal((await store.get('b'))?.value, 2);
    await rejectsWith(store.revokeLease(lease.id), 'store.leaseNotFound');
  });
}

function registerElections(check: Check): void {
  const campaignOf = (identity: string, signal: AbortSignal) => ({
    identity,
    ttlMs: leaseMs,
    signal,
  });

  check('one leads at a time; who resigns hands over, and its fence fails', async ({ store }) => {
    const { signal } = new AbortController();
    const first = await store.elect('chief', campaignOf('one', signal));
    let secondLeads = false;
    const waiting = store.elect('chief', campaignOf('two', signal)).then((leadership) => {
      secondLeads = true;
      return leadership;
    });
    assert.equal(
      (await store.txn({ compare: [first.fence], operations: [put('by', 1)] })).ok,
      true,
    );
    assert.equal(secondLeads, false);
    await first.resign();
    assert.equal(first.lost.aborted, true);
    const second = await within(waiting, () => 'the second leader');
    assert.equal(
      (await store.txn({ compare: [first.fence], operations: [put('by', 1)] })).ok,
      false,
    );
    assert.equal(
      (await store.txn({ compare: [second.fence], operations: [put('by', 2)] })).ok,
      true,
    );
    await second.resign();
  });

  check(
    'who reclaims takes the claim of its last life at once; its old fence fails',
    async ({ store }) => {
      const { signal } = new AbortController();
      const last = await store.elect('chief', campaignOf('one', signal));
      const reclaiming = store.elect('chief', { ...campaignOf('one', signal), reclaims: true });
      const now = await within(reclaiming, () => 'the claim of the last life');
      const write = (fence: Compare) => store.txn({ compare: [fence], operations: [put('by', 1)] });
      assert.deepEqual([(await write(last.fence)).ok, (await write(now.fence)).ok], [false, true]);
      await last.resign();
      assert.equal((await write(now.fence)).ok, true, 'the end of the last life took the claim');
      await now.resign();
    },
  );

  check('who reclaims waits for the claim of another like everyone', async ({ store }) => {
    const { signal } = new AbortController();
    const other = await store.elect('chief', campaignOf('two', signal));
    const waiting = store.elect('chief', { ...campaignOf('one', signal), reclaims: true });
    // The campaign has read the claim when this has been committed after it.
    for (let round = 0; round < 10; round++)
      await store.txn({ compare: [], operations: [put('by', round)] });
    const { ok } = await store.txn({ compare: [other.fence], operations: [put('by', 2)] });
    assert.equal(ok, true);
    await other.resign();
    await (await within(waiting, () => 'the turn of the one who waited')).resign();
  });

  check('a campaign is given up with its signal', async ({ store }) => {
    const leader = await store.elect('chief', campaignOf('one', new AbortController().signal));
    const stop = new AbortController();
    const waiting = store.elect('chief', campaignOf('two', stop.signal));
    setImmediate(() => stop.abort());
    await rejectsWith(
      within(waiting, () => 'the end of the campaign'),
      'core.aborted',
    );
    await leader.resign();
  });
}
