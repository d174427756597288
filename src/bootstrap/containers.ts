// The two containers outside of app `gantry`: the host daemon and DNS. Docker starts them again by itself, also at boot.
// One is replaced when it would be made differently today; nothing that it runs is touched by that.

import { createHash } from 'node:crypto';
import { run } from './command.ts';
import type { Machine } from './machine-file.ts';
import { chosenFor } from './settings.ts';

export interface ContainerPlan {
  name: string;
  /** Arguments of `docker run` before the image. */
  args: string[];
  image: string;
  command: string[];
}

const common = [
  '--detach',
  '--restart',
  'always',
  '--network',
  'host',
  '--init',
  '--log-opt',
  'max-size=10m',
  '--log-opt',
  'max-file=3',
];
const noRights = ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];

/**
 * The image gives every process a young generation of 2 MB, because most of them wait. These two work for all others, and
 * with Node's own 16 MB an answer of DNS costs 15 % less and a commit of the store 10 %.
 */
const busy = ['--env', 'NODE_OPTIONS=--max-semi-space-size=16'];

/** Where the daemon finds the engine's socket folder. */
export const engineMount = '/gantry/engine';

export function hostPlan(machine: Machine, image: string, version: string): ContainerPlan {
  const env = {
    ...chosenFor('daemon', machine.settings),
    GANTRY_HOME: machine.home,
    GANTRY_CLUSTER_ID: machine.clusterId,
    GANTRY_HOST_ID: machine.hostId,
    GANTRY_HOST_NAME: machine.name,
    GANTRY_HOST_ADDRESS: machine.address,
    GANTRY_ENGINE_SOCKET: `${engineMount}/${machine.engineSocket}`,
    GANTRY_DOMAIN: machine.domain,
    GANTRY_HTTP_PORT: String(machine.httpPort),
    GANTRY_HTTPS_PORT: String(machine.httpsPort),
    GANTRY_VERSION: version,
    ...(machine.storeHost === undefined ? {} : { GANTRY_STORE_HOST: machine.storeHost }),
  };
  // Firewall rules, and volumes that belong to the users of containers; nothing else of root's rights.
  const rights = ['NET_ADMIN', 'NET_RAW', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER'];
  return {
    name: 'gantry-host',
    image,
    command: ['node', 'bin/gantry-host.ts'],
    args: [
      ...common,
      ...busy,
      ...noRights,
      ...rights.flatMap((right) => ['--cap-add', right]),
      ...mounts([`${machine.home}:${machine.home}`, `${machine.engineFolder}:${engineMount}`]),
      ...labels(machine, 'host'),
      ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ],
  };
}

export function dnsPlan(machine: Machine, image: string): ContainerPlan {
  return {
    name: 'gantry-dns',
    image,
    command: ['node', 'bin/gantry-dns.ts'],
    args: [
      ...common,
      ...busy,
      ...noRights,
      '--cap-add',
      'NET_BIND_SERVICE',
      ...mounts([`${machine.home}/dns:${machine.home}/dns:ro`]),
      ...labels(machine, 'dns'),
      '--env',
      `GANTRY_HOME=${machine.home}`,
    ],
  };
}

function mounts(binds: string[]): string[] {
  return binds.flatMap((bind) => ['--volume', bind]);
}

function labels(machine: Machine, role: string): string[] {
  return ['--label', `gantry.platform=${machine.clusterId}`, '--label', `gantry.role=${role}`];
}

/** Says whether something was changed. */
export async function ensureContainer(plan: ContainerPlan): Promise<boolean> {
  const wanted = createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16);
  const format = '{{index .Config.Labels "gantry.plan"}} {{.State.Running}}';
  const seen = await run('docker', ['inspect', '--format', format, plan.name]).catch(() => '');
  const [hash, isRunning] = seen.trim().split(' ');
  if (hash === wanted) {
    if (isRunning !== 'true') await run('docker', ['start', plan.name]);
    return isRunning !== 'true';
  }
  await removeContainer(plan.name);
  const label = ['--label', `gantry.plan=${wanted}`];
  await run('docker', [
    'run',
    '--name',
    plan.name,
    ...plan.args,
    ...label,
    plan.image,
    ...plan.command,
  ]);
  return true;
}

/** Asks it to stop, then removes it; absent is no error. */
export async function removeContainer(name: string): Promise<void> {
  const found = await run('docker', ['ps', '--all', '--quiet', '--filter', `name=^/${name}$`]);
  if (found.trim() === '') return;
  await run('docker', ['stop', '--time', '10', name]);
  await run('docker', ['rm', '--force', name]);
}
