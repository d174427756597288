// The story of `script/down`: everything that carries Gantry's labels or names and its folder goes; nothing else is touched.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fenceFolder } from '#layer0/host/index';
import { removeFirewall, removeOverlay } from '#layer0/network/index';
import { run } from './command.ts';
import {
  dnsName,
  etcdName,
  hostName,
  openEngine,
  registryName,
  removeContainer,
  replaceName,
} from './containers.ts';
import { readMachine } from './machine-file.ts';
import type { Progress } from './progress.ts';
import { forgetMachine, type Person, removeCommand } from './user.ts';

export interface DownDeps {
  progress: Progress;
  /** Whose command-line tool knows the platform. */
  person: Person;
}

export async function down(home: string, { progress, person }: DownDeps): Promise<void> {
  const machine = await readMachine(home);
  if (!machine) {
    progress.line(`There is no Gantry in ${home}: nothing to remove.`);
    return;
  }
  const label = `label=gantry.cluster=${machine.clusterId}`;
  // The daemon first: it would start again what is removed.
  await progress.step('stopping the host daemon', async () => {
    const engine = openEngine(machine);
    for (const name of [replaceName, hostName, dnsName, etcdName, registryName])
      await removeContainer(engine, name);
    engine.close();
  });
  await progress.step('removing containers, networks and images', async () => {
    await removeAll(['ps', '--all', '--quiet', '--filter', label], ['rm', '--force', '--volumes']);
    await removeAll(['network', 'ls', '--quiet', '--filter', label], ['network', 'rm']);
    // By name: what somebody built on an image of Gantry carries its labels too, and stays.
    const names = ['--filter', 'reference=gantry/*', '--format', '{{.Repository}}:{{.Tag}}'];
    await removeAll(['images', ...names], ['rmi', '--force']);
    const untagged = ['--filter', 'dangling=true', '--filter', 'label=gantry.app'];
    await removeAll(['images', '--quiet', ...untagged], ['rmi', '--force']);
  });
  await progress.step('removing firewall rules and files', async () => {
    await removeFirewall(machine.clusterId);
    await removeOverlay(machine.clusterId);
    for (const folder of [home, fenceFolder]) await rm(folder, { recursive: true, force: true });
    await removeCommand();
    await forgetMachine(person);
    await rm(join(person.home, '.cache/gantry'), { recursive: true, force: true });
  });
  progress.line(
    'Gantry is gone from this machine. Docker and all that Gantry did not make are as they were.',
  );
}

async function removeAll(list: string[], remove: string[]): Promise<void> {
  const found = (await run('docker', list)).split('\n').filter(Boolean);
  const unique = [...new Set(found)];
  if (unique.length > 0) await run('docker', [...remove, ...unique]);
}
