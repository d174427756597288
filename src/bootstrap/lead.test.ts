// Who may lead upgrades in the place of a machine that is gone.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { membershipFolder } from '#layer0/membership/index';
import { aMachine } from './fake.ts';
import { takeLead } from './lead.ts';
import { type Machine, readMachine, writeMachine } from './machine-file.ts';
import { parseUp } from './options.ts';

let home: string;
let machine: Machine;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'gantry-lead-'));
  machine = aMachine({ hostId: 'host-b', name: 'zwei', home, storeHost: 'host-a' });
  await writeMachine(machine);
  await mkdir(membershipFolder(home), { recursive: true });
});

afterEach(() => rmSync(home, { recursive: true }));

const members = (...ids: string[]) =>
  writeFileSync(
    join(membershipFolder(home), 'members.json'),
    JSON.stringify(
      ids.map((hostId) => ({
        hostId,
        name: `name-${hostId}`,
        address: '10.0.0.1',
        port: 7443,
        admittedAt: 0,
      })),
    ),
  );

test('a machine leads when the one that did is removed and the store outlived it', async () => {
  writeFileSync(join(home, 'etcd.json'), '{}');
  members('host-b', 'host-c');
  await takeLead(machine);
  const { storeHost, ...led } = machine;
  assert.deepEqual(await readMachine(home), led);
  await takeLead(led);
  assert.deepEqual([storeHost, await readMachine(home)], ['host-a', led]);
});

test('it is asked for by name, and not by anything else', () => {
  const asked = [['--lead'], [], ['--bare']].map((args) => parseUp(args)?.isLeading);
  assert.deepEqual(asked, [true, undefined, undefined]);
});

test('nobody leads beside a member that does, nor without the store', async () => {
  members('host-a', 'host-b');
  await assert.rejects(takeLead(machine), /the store is on the machine that leads/);
  writeFileSync(join(home, 'etcd.json'), '{}');
  await assert.rejects(takeLead(machine), /gantry host remove name-host-a/);
  assert.deepEqual(await readMachine(home), machine);
});
