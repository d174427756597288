// A backup as a file, and the state that it brings back, through the API.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { RestoreResult } from './backup-api.ts';
import { readBackup, writeBackup } from './backup-file.ts';
import { createObserver } from './observe.ts';
import { TestBed, testToken } from './test-bed.ts';
import type { App, Event } from './wire.ts';

const header = {
  gantry: 'backup' as const,
  format: 1,
  clusterId: 'cluster-1',
  hostId: 'h1',
  incarnation: 'inc-1',
  revision: 7,
  createdAt: 1,
  version: 'a',
};
const entries = [{ key: 'a', value: { b: 1 }, createRevision: 3 }];

async function aFile(): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of writeBackup(header, [{ keys: { 'seal.key': 'eA==' } }, ...entries]))
    lines.push(`${line}\n`);
  return lines;
}

async function* sourceOf(lines: string[]) {
  yield lines.join('');
}

describe('a backup file', () => {
  test('reads back as what was written', async () => {
    const backup = await readBackup(sourceOf(await aFile()));
    assert.deepEqual(backup, { header, keys: { 'seal.key': 'eA==' }, entries });
  });

  test('that broke off, was changed, or is none is refused with the reason', async () => {
    const lines = await aFile();
    const refused = (changed: string[], reason: RegExp) =>
      assert.rejects(readBackup(sourceOf(changed)), (error: { code: string; message: string }) => {
        assert.equal(error.code, 'controller.badBackup');
        assert.match(error.message, reason);
        return true;
      });
    await refused([], /it is empty/);
    await refused(lines.slice(0, -1), /it broke off/);
    await refused(lines.toSpliced(2, 1), /checksum does not fit/);
    await refused(lines.with(2, '{"key":"a","value":2,"createRevision":3}\n'), /checksum/);
    await refused(['hello\n'], /not JSON/);
    await refused(lines.with(0, `${JSON.stringify({ ...header, format: 99 })}\n`), /its header/);
  });
});

describe('the API', () => {
  let bed: TestBed;
  beforeEach(async () => {
    bed = await new TestBed().start();
    bed.host.status = async () => ({ cluster: 'cluster-1', host: 'h1', version: 'a' });
  });
  afterEach(() => bed.stop());

  const backUp = async () => {
    const answer = await bed.call('GET', '/cluster/backup');
    assert.equal(answer.status, 200);
    return answer.text;
  };

  const restore = (file: string) => bed.finish(send(file));

  const send = async (file: string) =>
    await bed.controller.server.inject({
      method: 'POST',
      url: '/cluster/restore',
      headers: { authorization: `Bearer ${testToken}`, 'content-type': 'application/x-ndjson' },
      payload: file,
    });

  test('brings a deleted app back, takes a newer one away, and tells of it', async () => {
    await bed.deployShop();
    const file = await backUp();
    await bed.ok('DELETE', '/apps/shop');
    await bed.until('shop gone', async () => (await bed.call('GET', '/apps/shop')).status === 404);
    await bed.ok('POST', '/apps', { name: 'blog' });
    const answer = await restore(file);
    assert.equal(answer.statusCode, 200, answer.body);
    const result = JSON.parse(answer.body) as RestoreResult;
    assert.deepEqual([result.apps, result.forgotten], [['shop'], ['blog']]);
    await bed.until('a leader again', async () => bed.controller.isLeader);
    const { items: apps } = await bed.ok<{ items: App[] }>('GET', '/apps');
    assert.deepEqual(
      apps.map(({ name }) => name),
      ['shop'],
    );
    await bed.until('shop to run', async () => {
      const { items } = await bed.ok<{ items: { state: string }[] }>('GET', '/apps/shop/jobs');
      return items.some(({ state }) => state === 'up');
    });
    const { items } = await bed.ok<{ items: Event[] }>('GET', '/events?limit=1000');
    assert.ok(items.some(({ type }) => type === 'cluster.restored'));
    assert.equal((await restore(file)).statusCode, 200, 'twice');
  });

  test('refuses a backup of another cluster, and one that is damaged, and changes nothing', async () => {
    await bed.deployShop();
    const file = await backUp();
    const { revision: before } = await bed.store.list('controller/');
    bed.host.status = async () => ({ cluster: 'cluster-2', host: 'h1' });
    const foreign = await restore(file);
    assert.equal(foreign.statusCode, 400);
    assert.match(foreign.body, /of cluster-1, and this is cluster-2: nothing was changed/);
    assert.equal((await restore(file.slice(0, -20))).statusCode, 400);
    const { revision: after } = await bed.store.list('controller/');
    assert.equal(after.incarnation, before.incarnation);
  });

  test('leaves the leader idle until all that it sees is of the store that elected it', async () => {
    const { store, clock } = bed;
    const observer = createObserver({ store, clock, ...bed.observeDeps() });
    await bed.finish(observer.ready);
    const before = (await store.list('')).revision.incarnation;
    assert.equal(observer.isOf(before), true);
    const { incarnation } = await store.replaceAll([], []);
    await bed.until('all of the view is new', async () => observer.isOf(incarnation));
    assert.equal(observer.isOf(before), false);
    observer.stop();
  });

  test('writes nothing that is under a lease, and no secret in clear', async () => {
    await bed.deployShop();
    await bed.ok('PATCH', '/apps/shop/env', { set: { PASSWORD: 'never-in-clear' } });
    const file = await backUp();
    assert.ok(!file.includes('never-in-clear') && !file.includes(testToken));
    assert.ok(!file.includes('"elections/'));
  });
});
