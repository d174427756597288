// Queueing of builds, image names, and what the collector does when a removal fails.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { createAdmission } from './admission.ts';
import type { BuildOutput, ImageEngine } from './client.ts';
import { anImage } from './fake.ts';
import { importMarks, isImportedOnly } from './imported.ts';
import { createImages, importsAtOnce } from './index.ts';
import { parseReference } from './reference.ts';
import type { Image } from './wire.ts';

const unaborted = () => new AbortController().signal;

describe('admission', () => {
  test('lets so many in, queues so many, turns the rest away, and serves in order', async () => {
    const admission = createAdmission({ atOnce: 1, maxWaiting: 2 });
    const order: string[] = [];
    const leave = await admission.enter(unaborted());
    const enter = async (name: string) => {
      const done = await admission.enter(unaborted());
      order.push(name);
      done();
    };
    const waiting = [enter('first'), enter('second')];
    await assert.rejects(admission.enter(unaborted()), { code: 'images.busy', retry: true });
    assert.deepEqual(admission.status(), { running: 1, waiting: 2 });
    leave();
    leave();
    await Promise.all(waiting);
    assert.deepEqual(order, ['first', 'second']);
    assert.deepEqual(admission.status(), { running: 0, waiting: 0 });
  });

  test('one that is cancelled while it waits leaves the queue', async () => {
    const admission = createAdmission({ atOnce: 1, maxWaiting: 1 });
    const leave = await admission.enter(unaborted());
    const abort = new AbortController();
    const waiting = admission.enter(abort.signal);
    abort.abort();
    await assert.rejects(waiting, { code: 'core.aborted' });
    leave();
    assert.deepEqual(admission.status(), { running: 0, waiting: 0 });
  });
});

describe('image names', () => {
  test('are split into name and tag', () => {
    assert.deepEqual(parseReference('shop'), { name: 'shop', tag: 'latest' });
    assert.deepEqual(parseReference('acme/shop:v1'), { name: 'acme/shop', tag: 'v1' });
    assert.deepEqual(parseReference('localhost:5000/a/b:1'), {
      name: 'localhost:5000/a/b',
      tag: '1',
    });
  });

  test('that are none are refused', () => {
    const hostile = [
      '',
      'A',
      'a b',
      '../etc',
      'a:b:c',
      'a/',
      ':tag',
      'a:-',
      'a?x=1',
      'a'.repeat(300),
    ];
    for (const text of hostile)
      assert.throws(() => parseReference(text), { code: 'images.badReference' }, text);
  });
});

function anEngine(images: Image[]) {
  const removed: string[] = [];
  const engine: ImageEngine = {
    image: async (reference) => images.find(({ id }) => id === reference),
    images: async () => images,
    load: async () => images,
    save: async () => Readable.from([]),
    async *build(): AsyncGenerator<BuildOutput> {},
    commit: async () => images[0] as Image,
    tag: async () => {},
    async removeImage(id) {
      if (id === 'broken') throw new Error('disk on fire');
      if (id === 'used') return false;
      removed.push(id);
      return true;
    },
  };
  return { engine, removed };
}

function anImageOfApp(id: string, createdAt: number): Image {
  return anImage({ id, createdAt, labels: { 'gantry.app': 'a' } });
}

describe('the collector', () => {
  test('goes on past an image that is used and one that cannot be removed', async () => {
    const clock = new FakeClock();
    const images = ['broken', 'used', 'free', 'kept', 'placed'].map((id, age) =>
      anImageOfApp(id, age),
    );
    const { engine, removed } = anEngine(images);
    const isInUse = (id: string) => id === 'placed';
    const component = createImages({ runtime: engine, clock, log: silentLog, isInUse });
    assert.deepEqual(await component.collect(new Set(['kept']), 1000), []);
    await clock.advance(1000);
    assert.deepEqual(await component.collect(new Set(['kept']), 1000), ['free']);
    assert.deepEqual(removed, ['free']);
  });

  test('an image that another machine has is fetched once, however many ask', async () => {
    const here: Image[] = [];
    const wanted = anImageOfApp('wanted', 0);
    const { engine } = anEngine(here);
    const load = async () => {
      here.push(wanted);
      return [wanted];
    };
    let fetches = 0;
    const fetch = async (id: string) => {
      fetches++;
      return id === 'wanted' ? Readable.from(['tar']) : undefined;
    };
    const runtime = { ...engine, load };
    const images = createImages({ runtime, clock: new FakeClock(), log: silentLog, fetch });
    const ask = () => images.ensure('wanted');
    assert.deepEqual(await Promise.all([ask(), ask(), ask()]), [true, true, true]);
    assert.equal(await ask(), true);
    assert.equal(fetches, 1);
    assert.equal(await images.ensure('nobody has it'), false);
  });

  test('imports beyond those at once wait for their turn', async () => {
    const { engine } = anEngine([]);
    const loading: (() => void)[] = [];
    const load = () => new Promise<Image[]>((resolve) => loading.push(() => resolve([])));
    const runtime = { ...engine, load };
    const component = createImages({ runtime, clock: new FakeClock(), log: silentLog });
    const all = Array.from({ length: importsAtOnce + 1 }, () =>
      component.import(undefined as never),
    );
    await new Promise(setImmediate);
    assert.equal(loading.length, importsAtOnce);
    for (const end of loading) end();
    await new Promise(setImmediate);
    loading.at(-1)?.();
    await Promise.all(all);
    assert.equal(loading.length, importsAtOnce + 1);
  });

  test('an import marks what it brought, and nothing that was here before', async () => {
    const [mine, theirs] = [anImageOfApp('mine', 0), anImageOfApp('theirs', 0)];
    const loads = [
      [{ ...mine, tags: ['mine:1'] }],
      [
        { ...mine, tags: ['mine:1'] },
        { ...theirs, tags: ['shop:1'] },
      ],
    ];
    const { engine } = anEngine([]);
    const here = new Map([['mine', { ...mine, tags: ['mine:1'] }]]);
    const runtime = {
      ...engine,
      images: async () => [...here.values()],
      load: async () => {
        const loaded = loads.pop() ?? [];
        for (const image of loaded) here.set(image.id, { ...image });
        return loaded;
      },
      async tag(id: string, reference: string) {
        const image = here.get(id) ?? assert.fail(`there is no ${id}`);
        here.set(id, { ...image, tags: [...image.tags, reference] });
      },
    };
    const component = createImages({ runtime, clock: new FakeClock(), log: silentLog });
    const imported = await component.import(undefined as never);
    assert.deepEqual(imported[1]?.tags, ['shop:1']);
    assert.deepEqual(here.get('mine')?.tags, ['mine:1']);
    assert.match(here.get('theirs')?.tags[1] ?? '', /^gantry\/imported:theirs-[0-9a-f]{12}$/);
    assert.equal(isImportedOnly(here.get('theirs') ?? theirs), true);
  });

  test('an image that is imported again under another name stays its own', async () => {
    const image = { ...anImageOfApp('a', 0), tags: ['shop:1'] };
    const once = { ...image, tags: [...image.tags, ...importMarks(image, undefined)] };
    const again = { ...once, tags: [...once.tags, 'shop:2'] };
    assert.equal(isImportedOnly(again), false);
    const marks = importMarks(again, once);
    assert.equal(marks.length, 1);
    assert.equal(isImportedOnly({ ...again, tags: [...again.tags, ...marks] }), true);
    assert.deepEqual(importMarks(once, once), []);
  });

  test('an image is as old as this process knows it, whatever is done to the wall clock', async () => {
    const clock = new FakeClock();
    const { engine, removed } = anEngine([anImageOfApp('a', clock.now())]);
    const component = createImages({ runtime: engine, clock, log: silentLog });
    await component.collect(new Set(), 1000);
    clock.setWall(3_600_000);
    await component.collect(new Set(), 1000);
    assert.deepEqual(removed, [], 'a release that names it may be on its way');
    clock.setWall(-7_200_000);
    await clock.advance(1000);
    await component.collect(new Set(), 1000);
    assert.deepEqual(removed, ['a']);
  });

  test('an image that is imported again counts as fresh', async () => {
    const clock = new FakeClock();
    const { engine, removed } = anEngine([anImageOfApp('a', 0)]);
    const component = createImages({ runtime: engine, clock, log: silentLog });
    await component.collect(new Set(), 1000);
    await clock.advance(1000);
    await component.import(undefined as never);
    await component.collect(new Set(), 1000);
    assert.deepEqual(removed, []);
  });
});
