// The story of `script/up --join`: from a token to one more machine of a cluster. What it runs it gets from the others.

import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readConfig } from '#core/config';
import { createHttpClient } from '#core/http-client';
import { hostAlivePrefix } from '#layer0/host/wire';
import {
  joinCluster,
  membershipFolder,
  membershipSettings,
  Peers,
  readIdentity,
} from '#layer0/membership/index';
import { run } from './command.ts';
import { dnsPlan, ensureContainer, hostPlan } from './containers.ts';
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
import { waitForLayer0, waitUntil } from './wait.ts';

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
  progress.line('On a machine that has the gantry command: gantry host list');
}

/** What script/up does on a machine that is a member: it runs what the cluster runs. */
export async function bringMemberUp(machine: Machine, progress: Progress): Promise<void> {
  const format = '{{.Config.Image}}';
  const image = (await run('docker', ['inspect', '--format', format, 'gantry-host'])).trim();
  await startDaemon(machine, image, image.split(':')[1] ?? '', progress);
  progress.line(`This machine is ${machine.name} (${machine.hostId}) of a cluster.`);
}

async function startDaemon(
  machine: Machine,
  image: string,
  version: string,
  progress: Progress,
): Promise<void> {
  for (const folder of ['run', 'dns', 'proxy', 'logs', 'volumes'])
    await mkdir(join(machine.home, folder), { recursive: true, mode: 0o750 });
  const baseUrl = `unix:${machine.home}/run/host.sock`;
  await progress.step('starting the host daemon and DNS', async () => {
    await ensureContainer(hostPlan(machine, image, version));
    await ensureContainer(dnsPlan(machine, image));
    await waitForLayer0(baseUrl);
    const client = createHttpClient({ baseUrl });
    const hint =
      'See `docker logs gantry-host`; is the port of the peer door open on every machine?';
    try {
      await waitUntil('the cluster does not see this machine', hint, async () => {
        const query = { key: `${hostAlivePrefix}${machine.hostId}` };
        const { entry } = await client.json<{ entry?: unknown }>('GET', '/store/entry', { query });
        if (entry === undefined) throw bootstrapErrors.timeout('it has not said that it is alive');
      });
    } finally {
      client.close();
    }
  });
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
  const folder = membershipFolder(machine.home);
  const peers = new Peers(folder);
  await peers.load();
  const identity = await readIdentity(folder);
  if (!identity || machine.storeHost === undefined)
    throw bootstrapErrors.command(`${folder} holds no identity: script/down, then join anew`);
  peers.use(identity);
  try {
    const query = { reference: image };
    const timeoutMs = 600_000;
    const archive = await peers
      .client(machine.storeHost)
      .raw('GET', '/images/archive', { query, timeoutMs });
    const load = spawn('docker', ['load', '--quiet'], { stdio: ['pipe', 'ignore', 'inherit'] });
    const ended = new Promise<number | null>((resolve) => load.once('close', resolve));
    await pipeline(archive, load.stdin);
    const code = await ended;
    if (code !== 0) throw bootstrapErrors.command(`docker load of ${image}: exit ${code}`);
  } finally {
    peers.close();
  }
}
