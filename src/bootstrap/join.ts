// The story of `script/up --join`: from a token to one more machine of a cluster. What it runs it gets from the others.

import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { readConfig } from '#core/config';
import { toAppError } from '#core/errors';
import {
  joinCluster,
  membershipFolder,
  membershipSettings,
  Peers,
  readIdentity,
} from '#layer0/membership/index';
import { type Wanted, wantedKey } from '#layer0/upgrade/client';
import { run } from './command.ts';
import { hostName } from './containers.ts';
import { runContainers } from './daemon.ts';
import { bootstrapErrors } from './errors.ts';
import {
  defaultDomain,
  engineSocket,
  type Machine,
  ownAddress,
  readMachine,
  writeMachine,
} from './machine-file.ts';
import type { UpOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { urlOf } from './user.ts';

interface Joined {
  machine: Machine;
  /** Of the platform there. */
  version: string;
}

/** Makes this machine a member, if it is none yet, and starts what runs on every machine. */
export async function joinMachine(
  options: UpOptions & { joinToken: string },
  progress: Progress,
): Promise<void> {
  const known = await readMachine(options.home);
  if (known)
    throw bootstrapErrors.option(
      `this machine is ${known.name} of a cluster already (${options.home}/host.json): script/down takes it out, with everything on it`,
    );
  const { machine, version } = await progress.step('joining the cluster', () => enter(options));
  const image = `gantry/system:${version}`;
  await progress.step('fetching the system image from the cluster', () =>
    fetchImage(machine, image),
  );
  await startDaemon(machine, image, version, progress);
  progress.line('');
  progress.line(`This machine is ${machine.name} (${machine.hostId}) of the cluster now.`);
  progress.line(`gantry host list shows it. Here first: gantry login ${urlOf('api', machine)}`);
}

/**
 * What script/up does on a machine that is a member: it runs what the cluster wants, whatever this checkout is. Needed only
 * where the daemon cannot see to that by itself.
 */
export async function bringMemberUp(machine: Machine, progress: Progress): Promise<void> {
  const format = '{{.Config.Image}}';
  const current = (await run('docker', ['inspect', '--format', format, hostName])).trim();
  const image = await progress.step('asking the cluster for its version', () => wantedTag(machine));
  if (image === undefined) progress.line('  no machine answers: this one starts what it has');
  if (image !== undefined && (await run('docker', ['images', '--quiet', image])).trim() === '')
    await progress.step('fetching the system image from the cluster', () =>
      fetchImage(machine, image),
    );
  const tag = image ?? current;
  await startDaemon(machine, tag, tag.split(':')[1] ?? '', progress);
  progress.line(`This machine is ${machine.name} (${machine.hostId}) of a cluster.`);
}

async function startDaemon(
  machine: Machine,
  image: string,
  version: string,
  progress: Progress,
): Promise<void> {
  await progress.step('starting the host daemon and DNS', () =>
    runContainers(machine, image, version),
  );
}

/** From any member that answers; undefined when none does. */
async function wantedTag(machine: Machine): Promise<string | undefined> {
  const peers = await openPeers(machine);
  try {
    for (const { hostId } of peers.list().filter((member) => member.hostId !== machine.hostId)) {
      try {
        const query = { key: wantedKey };
        const client = peers.client(hostId);
        const { entry } = await client.json<{ entry?: { value: Wanted } }>('GET', '/store/entry', {
          query,
        });
        if (entry) return entry.value.tag;
      } catch (error) {
        if (!toAppError(error).retry) throw error;
      }
    }
    return undefined;
  } finally {
    peers.close();
  }
}

async function openPeers(machine: Machine): Promise<Peers> {
  const folder = membershipFolder(machine.home);
  const peers = new Peers(folder);
  await peers.load();
  const identity = await readIdentity(folder);
  if (!identity)
    throw bootstrapErrors.command(`${folder} holds no identity: script/down, then join anew`);
  peers.use(identity);
  return peers;
}

async function enter({
  joinToken,
  home,
  address,
}: UpOptions & { joinToken: string }): Promise<Joined> {
  const { peerPort } = readConfig(membershipSettings);
  const self = { name: hostname(), address: address ?? ownAddress(), port: peerPort };
  const answer = await joinCluster(joinToken, self, membershipFolder(home));
  const { domain = defaultDomain, httpPort, httpsPort, storeHost, version = '' } = answer.settings;
  const machine: Machine = {
    clusterId: answer.clusterId,
    hostId: answer.hostId,
    name: self.name,
    address: self.address,
    home,
    domain,
    isTls: domain !== defaultDomain,
    httpPort: Number(httpPort),
    httpsPort: Number(httpsPort),
    ...(storeHost === undefined ? {} : { storeHost }),
    ...(await engineSocket()),
  };
  await mkdir(join(home, 'keys'), { recursive: true, mode: 0o700 });
  await writeFile(join(home, 'keys', 'seal.key'), `${answer.sealKey}\n`, { mode: 0o600 });
  await writeMachine(machine);
  return { machine, version };
}

async function fetchImage(machine: Machine, image: string): Promise<void> {
  const peers = await openPeers(machine);
  try {
    const archive = await firstArchive(peers, machine.hostId, image);
    const load = spawn('docker', ['load', '--quiet'], { stdio: ['pipe', 'ignore', 'inherit'] });
    const ended = new Promise<number | null>((resolve) => load.once('close', resolve));
    await pipeline(archive, load.stdin);
    const code = await ended;
    if (code !== 0) throw bootstrapErrors.command(`docker load of ${image}: exit ${code}`);
  } finally {
    peers.close();
  }
}

/** Of the first member that has the image and answers. */
async function firstArchive(peers: Peers, self: string, image: string): Promise<Readable> {
  const query = { reference: image };
  let last: unknown;
  for (const { hostId } of peers.list().filter((member) => member.hostId !== self)) {
    try {
      const options = { query, timeoutMs: 600_000 };
      return await peers.client(hostId).raw('GET', '/images/archive', options);
    } catch (error) {
      last = error;
    }
  }
  throw bootstrapErrors.command(`no machine of the cluster gave the image ${image}`, {
    cause: last,
  });
}
