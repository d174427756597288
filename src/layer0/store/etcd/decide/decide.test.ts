// What we say to etcd, and what we understand of its answers, without an etcd.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError, coreErrors, errorFromBody } from '#core/errors';
import { checkTxn } from '../../decide/check-txn.ts';
import type { Txn } from '../../wire.ts';
import { type EtcdEvent, encode, type KeyValue, type WatchAnswer } from '../messages.ts';
import { judgeError } from './judge-error.ts';
import { entryOf, keySpace, rangeOf } from './keys.ts';
import { readCompared, readState, translateTxn } from './translate-txn.ts';
import { WatchBatches } from './watch-batches.ts';

const space = keySpace('g/');
const guard = { key: 'g/life', modRevision: '2' };
const header = { cluster_id: '1', member_id: '2', revision: '9' };

const kv = (key: string, modRevision: number, value: unknown = 1): KeyValue => ({
  key: encode(`g/data/${key}`),
  value: encode(JSON.stringify(value)),
  create_revision: '3',
  mod_revision: String(modRevision),
});

/** A request as people read it. */
const readable = (value: unknown): unknown => {
  if (Buffer.isBuffer(value)) return value.toString();
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, readable(part)]));
};

test('a page starts after the last key and ends with the prefix', () => {
  const range = rangeOf(space, { prefix: 'k/', after: 'k/a', limit: 2, revision: 7 });
  const expected = { key: 'g/data/k/a\0', range_end: 'g/data/k/\u{7f}', limit: '2', revision: '7' };
  assert.deepEqual(readable(range), expected);
  assert.deepEqual(readable(rangeOf(space, { prefix: 'k/', after: 'a' })), {
    key: 'g/data/k/',
    range_end: 'g/data/k/\u{7f}',
  });
});

test('an entry has its key without the prefix, and its lease when it has one', () => {
  const entry = { key: 'a', value: 'é', createRevision: 3, modRevision: 4 };
  assert.deepEqual(entryOf(space, kv('a', 4, 'é')), entry);
  assert.deepEqual(entryOf(space, { ...kv('a', 4, 'é'), lease: '77' }), { ...entry, lease: '77' });
});

const aTxn: Txn = {
  compare: [
    { key: 'a', is: 'absent' },
    { key: 'b', modRevision: 4 },
    { key: 'c', value: { x: 1, y: 2 } },
  ],
  operations: [{ put: 'a', value: true, lease: '77' }, { delete: 'd' }],
};

test('a transaction compares the life of the store first, and can read what it compared', () => {
  const seen = new Map([['c', entryOf(space, kv('c', 8))]]);
  assert.deepEqual(readable(translateTxn(space, checkTxn(aTxn), { guard, seen })), {
    compare: [
      { key: 'g/life', target: 'MOD', result: 'EQUAL', mod_revision: '2' },
      { key: 'g/data/a', target: 'CREATE', result: 'EQUAL', create_revision: '0' },
      { key: 'g/data/b', target: 'MOD', result: 'EQUAL', mod_revision: '4' },
      { key: 'g/data/c', target: 'MOD', result: 'EQUAL', mod_revision: '8' },
    ],
    success: [
      { request_put: { key: 'g/data/a', value: 'true', lease: '77' } },
      { request_delete_range: { key: 'g/data/d' } },
    ],
  });
  assert.deepEqual(readable(readCompared(space, checkTxn(aTxn), guard)), {
    compare: [],
    success: ['g/life', 'g/data/a', 'g/data/b', 'g/data/c'].map((key) => ({
      request_range: { key },
    })),
  });
});

test('failed compares are those that do not hold in what was read', () => {
  const found = (...kvs: KeyValue[]) => ({ response_range: { header, kvs } });
  const life = kv('x', 2);
  const c = kv('c', 8, { y: 2, x: 1 });
  const answer = { header, responses: [found(life), found(kv('a', 5)), found(), found(c)] };
  const { failed, isGuarded, seen } = readState(space, checkTxn(aTxn), { guard, answer });
  assert.deepEqual([failed, isGuarded, seen.get('c')?.modRevision], [[0, 1], true, 8]);
});

const put = (key: string, revision: number): EtcdEvent => ({ kv: kv(key, revision) });
const line = (events: EtcdEvent[], more: Partial<WatchAnswer> = {}) => ({
  header,
  events,
  ...more,
});
const shown = (batches: ReturnType<WatchBatches<unknown>['take']>) =>
  batches === 'incomplete'
    ? batches
    : batches.map(({ revision, events }) => [revision, ...events.map(({ key }) => key)]);

test('events of one commit are one batch, also when a line breaks it, and known ones are left out', () => {
  const batches = new WatchBatches(space, 4);
  assert.deepEqual(shown(batches.take({ header, created: true })), []);
  assert.deepEqual(
    shown(batches.take(line([put('a', 4), put('a', 5), put('b', 6)], { fragment: true }))),
    [[5, 'a']],
  );
  assert.deepEqual(shown(batches.take(line([put('c', 6), put('a', 7)]))), [
    [6, 'b', 'c'],
    [7, 'a'],
  ]);
});

test('a line without events moves the revision on, once', () => {
  const batches = new WatchBatches(space, 4);
  assert.deepEqual(shown(batches.take({ header })), [[9]]);
  assert.deepEqual(shown(batches.take({ header })), []);
});

test('a deletion shows the entry that was there, and without it the watch is incomplete', () => {
  const tombstone = { key: encode('g/data/a'), create_revision: '0', mod_revision: '6' };
  const batches = new WatchBatches(space, 4);
  const [batch] = batches.take(
    line([{ type: 'DELETE', kv: tombstone, prev_kv: kv('a', 5) }]),
  ) as Exclude<ReturnType<typeof batches.take>, string>;
  assert.deepEqual(batch?.events, [
    { type: 'delete', key: 'a', entry: { key: 'a', value: 1, createRevision: 3, modRevision: 5 } },
  ]);
  const later = { ...tombstone, mod_revision: '7' };
  assert.equal(batches.take(line([{ type: 'DELETE', kv: later }])), 'incomplete');
});

test('errors are the store`s own, and only what surely did nothing says so', () => {
  const answered = (message: string, code: number) =>
    errorFromBody({ message, code }, code === 14 ? 503 : 400, 'POST');
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  const table: [unknown, string, boolean, boolean][] = [
    [answered('etcdserver: requested lease not found', 5), 'store.leaseNotFound', true, false],
    [answered('etcdserver: mvcc: database space exceeded', 8), 'store.full', true, false],
    [answered('etcdserver: no leader', 14), 'store.unavailable', true, true],
    [answered('etcdserver: request timed out', 14), 'core.timeout', false, true],
    [answered('context deadline exceeded', 2), 'core.timeout', false, true],
    [answered('etcdserver: server stopped', 14), 'core.unreachable', false, true],
    [answered('etcdserver: request is too large', 3), 'store.tooLarge', true, false],
    [answered('etcdserver: duplicate key given in txn request', 3), 'store.invalid', true, false],
    [coreErrors.unreachable('x', { cause: refused }), 'core.unreachable', true, true],
    [coreErrors.unreachable('x', { cause: reset }), 'core.unreachable', false, true],
    [coreErrors.timeout('x'), 'core.timeout', false, true],
    [coreErrors.aborted('x'), 'core.aborted', false, false],
  ];
  for (const [thrown, code, isUndone, isElsewhere] of table) {
    const { error, ...rest } = judgeError(thrown, 'commit: the etcd member');
    const name = thrown instanceof AppError ? thrown.message : code;
    assert.deepEqual([error.code, rest], [code, { isUndone, isElsewhere }], name);
    const mayRetry = ['store.full', 'store.unavailable', 'core.timeout', 'core.unreachable'];
    assert.equal(error.retry, mayRetry.includes(code), name);
  }
});
