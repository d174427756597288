// `script/up --lead`: the machine that led upgrades is gone for good, and this one takes its place. Only where the store outlived
// that machine, and nobody else leads.

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '#core/errors';
import { membershipFolder, Peers } from '#layer0/membership/index';
import { bootstrapErrors } from './errors.ts';
import { type Machine, writeMachine } from './machine-file.ts';

/** From now on this machine is like one that was set up by hand. Done twice is done once. */
export async function takeLead(machine: Machine): Promise<void> {
  const { storeHost: leader, ...led } = machine;
  if (leader === undefined) return;
  if (!(await isThere(join(machine.home, 'etcd.json'))))
    throw bootstrapErrors.option(
      '--lead: the store is on the machine that leads upgrades and nowhere else; bring that one back, or restore a backup (docs/how-to/three-machines.md)',
    );
  const peers = new Peers(membershipFolder(machine.home));
  await peers.load();
  const former = peers.list().find(({ hostId }) => hostId === leader);
  if (former)
    throw bootstrapErrors.option(
      `--lead: ${former.name} is a member, and script/up there leads upgrades; when it is gone for good: gantry host remove ${former.name}, then this again`,
    );
  await writeMachine(led);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
