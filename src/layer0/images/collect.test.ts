// Which images does the collector name, and which never?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CollectInput, imagesToCollect } from './decide/collect.ts';
import { anImage } from './fake.ts';
import { importMarks, pulledName } from './imported.ts';
import type { Image } from './wire.ts';

const nowMs = 1_000_000;

function anImageOfApp(change: Partial<Image>): Image {
  return anImage({ labels: { 'gantry.app': 'app-1' }, ...change });
}

function collected(images: Image[], input: Partial<CollectInput> = {}): string[] {
  const firstSeenMs = new Map(images.map(({ id }) => [id, 0]));
  const none = new Set<string>();
  return imagesToCollect({ images, keep: none, firstSeenMs, nowMs, minAgeMs: 1000, ...input });
}

test('an old image of an app that nothing names may go', () => {
  assert.deepEqual(collected([anImageOfApp({})]), ['sha256:a']);
});

test('an image that is named stays', () => {
  assert.deepEqual(collected([anImageOfApp({})], { keep: new Set(['sha256:a']) }), []);
});

test('an image without our label stays, whatever its age', () => {
  assert.deepEqual(collected([anImageOfApp({ labels: {} })]), []);
  assert.deepEqual(collected([anImageOfApp({ labels: { maintainer: 'someone' } })]), []);
});

test('base and system images stay: the installation made them', () => {
  assert.deepEqual(collected([anImageOfApp({ labels: { 'gantry.kind': 'stack' } })]), []);
  assert.deepEqual(collected([anImageOfApp({ labels: { 'gantry.kind': 'system' } })]), []);
});

test('system images of versions before the last one may go, what is built on one may not', () => {
  const system = (version: number, rest: Partial<Image> = {}) =>
    anImageOfApp({
      id: `sha256:${version}`,
      labels: { 'gantry.kind': 'system' },
      createdAt: version,
      tags: [`gantry/system:${version}`],
      ...rest,
    });
  const pulled = pulledName('sha256:2');
  const all = [system(4), system(1), system(3), system(2)];
  assert.deepEqual(collected(all), ['sha256:1', 'sha256:2']);
  assert.deepEqual(collected(all, { keep: new Set(['sha256:1']) }), ['sha256:2']);
  const marked = system(2, { tags: ['gantry/system:2', pulled] });
  assert.deepEqual(collected([system(4), system(3), marked]), ['sha256:2']);
  const mine = system(0, { id: 'sha256:mine', tags: ['mine:1'] });
  assert.deepEqual(collected([...all, mine]), ['sha256:1', 'sha256:2']);
  const named = system(1, { tags: ['gantry/system:1', 'mine:1'] });
  assert.deepEqual(collected([system(4), named, system(3)]), []);
});

test('what a crashed commit left behind may go', () => {
  const labels = { 'gantry.kind': 'intermediate' };
  assert.deepEqual(collected([anImageOfApp({ labels })]), ['sha256:a']);
});

test('what a build left on its way may go, unless somebody has named it too', () => {
  const left = { labels: {}, tags: ['gantry/unfinished:bld-1-0'] };
  assert.deepEqual(collected([anImageOfApp(left)]), ['sha256:a']);
  assert.deepEqual(collected([anImageOfApp({ ...left, tags: [...left.tags, 'mine:1'] })]), []);
  assert.deepEqual(collected([anImageOfApp({ labels: {}, tags: [] })]), []);
});

test('an imported image may go while it has no name but those it came with', () => {
  const image = anImageOfApp({ labels: {}, tags: ['shop:1', 'shop:2'] });
  const imported = { ...image, tags: [...image.tags, ...importMarks(image, undefined)] };
  assert.deepEqual(collected([imported]), ['sha256:a']);
  assert.deepEqual(collected([imported], { keep: new Set(['sha256:a']) }), []);
  // The name has moved on to a newer image.
  const moved = imported.tags.filter((tag) => tag !== 'shop:1');
  assert.deepEqual(collected([{ ...imported, tags: moved }]), ['sha256:a']);
  assert.deepEqual(collected([{ ...imported, tags: [...imported.tags, 'mine:1'] }]), []);
});

test('an imported image that has no name at all may go too', () => {
  const image = anImageOfApp({ labels: {} });
  const marks = importMarks(image, undefined);
  assert.equal(marks.length, 1);
  assert.deepEqual(collected([{ ...image, tags: marks }]), ['sha256:a']);
});

test('an image that has just arrived stays, whatever its own date', () => {
  const seen = (agoMs: number) => ({ firstSeenMs: new Map([['sha256:a', nowMs - agoMs]]) });
  assert.deepEqual(collected([anImageOfApp({})], seen(999)), []);
  assert.deepEqual(collected([anImageOfApp({})], seen(1000)), ['sha256:a']);
  assert.deepEqual(collected([anImageOfApp({})], { firstSeenMs: new Map() }), []);
});

test('the oldest go first', () => {
  const images = [anImageOfApp({ id: 'sha256:b', createdAt: 2 }), anImageOfApp({ createdAt: 1 })];
  assert.deepEqual(collected(images), ['sha256:a', 'sha256:b']);
});
