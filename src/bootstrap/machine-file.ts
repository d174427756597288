// `<home>/host.json`: who this machine is and what was chosen for it. Written once, then only where an option says so.

import { chmod, mkdir, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { newId } from '#core/ids';
import { parser, type Static, Type } from '#core/schema';
import { bootstrapErrors } from './errors.ts';
import type { UpOptions } from './options.ts';
import { mergeSettings } from './settings.ts';

export const machineSchema = Type.Object({
  clusterId: Type.String(),
  hostId: Type.String(),
  name: Type.String(),
  address: Type.String({ description: 'Of this machine on its network.' }),
  home: Type.String(),
  domain: Type.String(),
  isTls: Type.Boolean({
    description: 'API, git and apps are meant to be used over HTTPS: a domain was given.',
  }),
  httpPort: Type.Integer(),
  httpsPort: Type.Integer(),
  storeHost: Type.Optional(
    Type.String({ description: 'Host id of the machine that has the store, where it is another.' }),
  ),
  engineFolder: Type.String({ description: "Folder of the engine's socket." }),
  engineSocket: Type.String({ description: 'Its name in that folder.' }),
  settings: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: "What was chosen with --set for Gantry's own processes.",
    }),
  ),
});
export type Machine = Static<typeof machineSchema>;

export const defaultDomain = 'gantry.localhost';

export async function readMachine(home: string): Promise<Machine | undefined> {
  let text: string;
  try {
    text = await readFile(join(home, 'host.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return parser(machineSchema).parse(JSON.parse(text), `${home}/host.json`);
}

/** What an earlier run chose, changed by the options given now; free ports are looked for only the first time. */
export async function chooseMachine(options: UpOptions): Promise<Machine> {
  const earlier = await readMachine(options.home);
  const settings = mergeSettings(earlier?.settings, options.settings);
  const domain = options.domain ?? earlier?.domain ?? defaultDomain;
  return {
    clusterId: earlier?.clusterId ?? newId('cluster'),
    hostId: earlier?.hostId ?? newId('host'),
    name: earlier?.name ?? hostname(),
    address: options.address ?? earlier?.address ?? ownAddress(),
    home: options.home,
    domain,
    isTls: domain !== defaultDomain,
    httpPort: options.httpPort ?? earlier?.httpPort ?? (await freePort([80, ...range(8080, 8180)])),
    httpsPort:
      options.httpsPort ?? earlier?.httpsPort ?? (await freePort([443, ...range(8443, 8543)])),
    ...(earlier?.storeHost === undefined ? {} : { storeHost: earlier.storeHost }),
    ...(await engineSocket()),
    ...(settings ? { settings } : {}),
  };
}

/** Atomic: a crash leaves the old file or the new one. */
export async function writeMachine(machine: Machine): Promise<void> {
  await mkdir(machine.home, { recursive: true, mode: 0o755 });
  await chmod(machine.home, 0o755);
  const path = join(machine.home, 'host.json');
  await writeFile(`${path}.part`, `${JSON.stringify(machine, null, 2)}\n`);
  await rename(`${path}.part`, path);
}

/** The folder is what containers mount: a socket alone would be dead after the engine's next restart. */
export async function engineSocket(): Promise<Pick<Machine, 'engineFolder' | 'engineSocket'>> {
  const path = await realpath('/var/run/docker.sock');
  return { engineFolder: dirname(path), engineSocket: path.slice(dirname(path).length + 1) };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

async function freePort(candidates: number[]): Promise<number> {
  for (const port of candidates) if (await isFree(port)) return port;
  throw bootstrapErrors.option(
    `none of the ports ${candidates[0]}, ${candidates[1]} to ${candidates.at(-1)} is free: choose one with --http-port and --https-port`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}

export function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return (
    addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
  );
}
