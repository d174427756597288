// The person who ran script/up: their command-line tool's configuration, with a token of their own, and the `gantry` command.

import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { newId } from '#core/ids';
import type { Store } from '#layer0/store/client';
import { type Token, tokenKey } from '#layer1/controller/wire';
import { run } from './command.ts';
import type { Machine } from './machine-file.ts';

/** `~/.config/gantry/config.json`, read by the command-line tool. */
export interface CliConfig {
  current: string;
  clusters: Record<string, CliCluster>;
}

export interface CliCluster {
  /** Of the management API. */
  url: string;
  gitUrl: string;
  domain: string;
  token: string;
  /** Dialled instead of resolving the name in `url`. */
  address?: string;
  /** File with the authority to trust. */
  caFile?: string;
}

export interface Person {
  name: string;
  home: string;
  uid: number;
  gid: number;
}

/** Who called: behind sudo, the user and not root. */
export async function findPerson(env: Record<string, string | undefined>): Promise<Person> {
  const name = env.SUDO_USER ?? 'root';
  const entry = await run('getent', ['passwd', name]);
  const [, , uid, gid, , home] = entry.trim().split(':');
  return {
    name,
    home: name === 'root' ? (env.HOME ?? '/root') : (home ?? '/root'),
    uid: Number(uid),
    gid: Number(gid),
  };
}

/** Of an entry whose cluster is this machine: its tool needs no DNS. */
const ownAddress = '127.0.0.1';

/** A cluster entry named after the domain, with a token that the store knows; one that still works is kept. */
export async function ensureCliConfig(
  person: Person,
  machine: Machine,
  store: Store,
  caPem?: string,
): Promise<CliCluster> {
  const path = join(person.home, '.config/gantry/config.json');
  const config = await readCliConfig(path);
  const name = machine.domain;
  const known = config.clusters[name]?.token;
  const isKnown =
    known !== undefined && (await store.get(tokenKey(hashToken(known)))) !== undefined;
  const token = isKnown ? known : await makeToken(person, store);
  const cluster: CliCluster = {
    url: urlOf('api', machine),
    gitUrl: urlOf('git', machine),
    domain: machine.domain,
    token,
    address: ownAddress,
    ...(caPem === undefined ? {} : { caFile: await writeAuthority(person, name, caPem) }),
  };
  const next: CliConfig = { current: name, clusters: { ...config.clusters, [name]: cluster } };
  await writeOwned(path, `${JSON.stringify(next, null, 2)}\n`, person);
  return cluster;
}

/** Beside the configuration: the folder where the platform keeps its own copy is for root alone. */
async function writeAuthority(person: Person, cluster: string, pem: string): Promise<string> {
  const path = authorityPath(person, cluster);
  await writeOwned(path, pem, person);
  return path;
}

function authorityPath({ home }: Person, cluster: string): string {
  return join(home, '.config/gantry', `${cluster}.ca.pem`);
}

/** The platform is gone: its entries go, one for each domain it ever had, and with the last entry of all the folder. */
export async function forgetMachine(person: Person): Promise<void> {
  const path = join(person.home, '.config/gantry/config.json');
  const { current, clusters } = await readCliConfig(path);
  const isHere = ([, { address }]: [string, CliCluster]) => address === ownAddress;
  const others = Object.entries(clusters).filter((entry) => !isHere(entry));
  const [next] = others;
  if (next === undefined) return rm(dirname(path), { recursive: true, force: true });
  for (const [name] of Object.entries(clusters).filter(isHere))
    await rm(authorityPath(person, name), { force: true });
  const left = Object.fromEntries(others);
  const config: CliConfig = { current: current in left ? current : next[0], clusters: left };
  await writeOwned(path, `${JSON.stringify(config, null, 2)}\n`, person);
}

export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

async function makeToken(person: Person, store: Store): Promise<string> {
  const token = `gantry_${randomBytes(24).toString('base64url')}`;
  const record: Token = {
    id: newId('tok'),
    name: `${person.name} (script/up)`,
    createdAt: Date.now(),
  };
  await store.txn({
    compare: [],
    operations: [{ put: tokenKey(hashToken(token)), value: record }],
  });
  return token;
}

/** Of the API or of git. */
export function urlOf(
  name: 'api' | 'git',
  {
    domain,
    isTls,
    httpPort,
    httpsPort,
  }: Pick<Machine, 'domain' | 'isTls' | 'httpPort' | 'httpsPort'>,
): string {
  const [scheme, port, usual] = isTls ? ['https', httpsPort, 443] : ['http', httpPort, 80];
  return `${scheme}://${name}.${domain}${port === usual ? '' : `:${port}`}`;
}

async function readCliConfig(path: string): Promise<CliConfig> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as CliConfig;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: '', clusters: {} };
    throw error;
  }
}

/** Only the person reads it: the configuration holds a token. */
async function writeOwned(path: string, text: string, person: Person): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.part`, text, { mode: 0o600 });
  for (const made of [dirname(dirname(path)), dirname(path), `${path}.part`])
    await chown(made, person.uid, person.gid);
  await rename(`${path}.part`, path);
}

const commandPath = '/usr/local/bin/gantry';

/** `gantry` in everybody's path: this checkout's, run by the pinned Node. */
export async function installCommand(checkout: string, target = commandPath): Promise<void> {
  const script = `#!/bin/sh\nexec '${checkout}/node_modules/.bin/node' '${checkout}/bin/gantry.mjs' "$@"\n`;
  const known = await readFile(target, 'utf8').catch(() => '');
  if (known === script) return;
  await writeFile(`${target}.part`, script);
  await chmod(`${target}.part`, 0o755);
  await rename(`${target}.part`, target);
}

/** Another program of that name is not ours to remove. */
export async function removeCommand(target = commandPath): Promise<void> {
  const known = await readFile(target, 'utf8').catch(() => '');
  if (known.includes('/bin/gantry.mjs')) await rm(target, { force: true });
}
