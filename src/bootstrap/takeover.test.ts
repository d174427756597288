// What a fresh machine needs before it takes a lost cluster over.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Backup, writeBackup } from '#layer1/controller/wire';
import { bringKeys, inPlaceOf, readState } from './takeover.ts';

const home = mkdtempSync(join(tmpdir(), 'gantry-takeover-'));
after(() => rmSync(home, { recursive: true }));

const header = {
  gantry: 'backup' as const,
  format: 1,
  clusterId: 'cluster-lost',
  hostId: 'host-lost',
  incarnation: 'inc-1',
  revision: 7,
  createdAt: 1,
  version: 'a',
};
const backup: Backup = { header, keys: {}, entries: [] };

test('the keys come from the backup, or were put back before; never are they made anew', async () => {
  await assert.rejects(bringKeys(home, backup), /made without --with-keys; put the saved folder/);
  const key = Buffer.from('the key').toString('base64');
  await bringKeys(home, { ...backup, keys: { 'seal.key': key, '../evil': key } });
  const path = join(home, 'keys', 'seal.key');
  assert.deepEqual([readFileSync(path, 'utf8'), statSync(path).mode & 0o777], ['the key', 0o600]);
  assert.equal(readFileSync(join(home, 'keys', 'evil'), 'utf8'), 'the key', 'no path out of it');
  await bringKeys(home, { ...backup, keys: { 'seal.key': 'b3RoZXI=' } });
  assert.equal(readFileSync(path, 'utf8'), 'the key', 'those that are there stay');
});

test('the machine is the one that had the store, in the cluster that is lost', () => {
  const machine = { clusterId: 'cluster-new', hostId: 'host-new', name: 'eins' };
  const { clusterId, hostId, name } = inPlaceOf(machine as Parameters<typeof inPlaceOf>[0], backup);
  assert.deepEqual([clusterId, hostId, name], ['cluster-lost', 'host-lost', 'eins']);
});

test('a file that is no whole backup ends it before anything is done', async () => {
  const file = join(home, 'state');
  await assert.rejects(readState(file), /--restore .*state: .*ENOENT/);
  writeFileSync(file, JSON.stringify(header));
  await assert.rejects(readState(file), /it broke off/);
  let text = '';
  for await (const line of writeBackup(header, [])) text += `${line}\n`;
  writeFileSync(file, text);
  assert.deepEqual(await readState(file), backup);
});
