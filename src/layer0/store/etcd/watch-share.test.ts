// Many watchers of one stream: each sees everything after its own position, or leaves and says how far it came.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AsyncQueue } from '#core/stream';
import type { WatchBatch } from '../wire.ts';
import { type SizedBatch, WatchShare } from './watch-share.ts';

const signal = new AbortController().signal;

function aShare(from: number) {
  const source = new AsyncQueue<SizedBatch>(10_000);
  const state = { hasEnded: false };
  const onEnd = () => {
    state.hasEnded = true;
  };
  const share = new WatchShare(from, () => source, onEnd);
  const commit = (revision: number, bytes = 1) =>
    source.push({ batch: { revision: { incarnation: 'inc', revision }, events: [] }, bytes });
  return { share, source, commit, state };
}

/** Reads so many batches: their revisions. */
async function read(batches: AsyncGenerator<WatchBatch, number>, count: number) {
  const seen: number[] = [];
  for (let step = 0; step < count; step++) {
    const { value, done } = await batches.next();
    if (done) break;
    seen.push((value as WatchBatch).revision.revision);
  }
  return seen;
}

test('each reader sees every batch after its own position, also those from before it came', async () => {
  const { share, commit } = aShare(10);
  const first = share.read(10, signal);
  const waiting = read(first, 3);
  for (const revision of [11, 12, 15]) commit(revision);
  assert.deepEqual(await waiting, [11, 12, 15]);
  assert.deepEqual(await read(share.read(11, signal), 2), [12, 15]);
  const ahead = read(share.read(20, signal), 1);
  for (const revision of [19, 21]) commit(revision);
  assert.deepEqual(await ahead, [21]);
  assert.deepEqual(await read(first, 2), [19, 21]);
});

test('a reader who has fallen behind what is kept leaves with its position', async () => {
  for (const [commits, bytes] of [
    [600, 1],
    [4, 1024 * 1024],
  ] as const) {
    const { share, commit } = aShare(0);
    const slow = share.read(0, signal);
    commit(1, bytes);
    assert.deepEqual(await read(slow, 1), [1]);
    const quick = read(share.read(1, signal), commits);
    for (let revision = 2; revision < 2 + commits; revision++) commit(revision, bytes);
    assert.equal((await quick).length, commits, 'who keeps up stays');
    assert.deepEqual(await slow.next(), { done: true, value: 1 });
    assert.equal(share.covers(1), false);
  }
});

test('the end of the stream reaches all who wait, after what came before it', async () => {
  const { share, source, commit, state } = aShare(0);
  const readers = [share.read(0, signal), share.read(0, signal)];
  const waiting = readers.map((reader) => read(reader, 2));
  commit(1);
  source.fail(new Error('gone'));
  for (const each of waiting) await assert.rejects(each, /gone/);
  assert.equal(state.hasEnded, true);
});

test('a reader leaves when its signal fires, also while nothing happens', async () => {
  const { share } = aShare(7);
  const stop = new AbortController();
  const step = share.read(7, stop.signal).next();
  stop.abort();
  assert.deepEqual(await step, { done: true, value: 7 });
});
