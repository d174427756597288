// Which cluster, and how to talk to it? `~/.config/gantry/config.json` (GANTRY_CONFIG names another file) has one entry a
// cluster; script/up and `gantry login` write it. GANTRY_URL and GANTRY_TOKEN stand in for it where there is no home.

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cliErrors } from './errors.ts';
import type { Io } from './io.ts';

export interface Cluster {
  name: string;
  /** Of the management API. */
  url: string;
  gitUrl: string;
  domain: string;
  token: string;
  /** Dialled instead of resolving the name in `url`. */
  address?: string;
  /** File with the authority to trust, PEM. */
  caFile?: string;
}

export interface ConfigFile {
  current: string;
  clusters: Record<string, Omit<Cluster, 'name'>>;
}

type Place = Pick<Io, 'env'>;

export function configPath({ env }: Place): string {
  return env.GANTRY_CONFIG || join(env.HOME || '/', '.config/gantry/config.json');
}

/** No file is an empty configuration. */
export async function readConfigFile(place: Place): Promise<ConfigFile> {
  const path = configPath(place);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw cliErrors.badConfig(`cannot read ${path}: ${error.message}`, { cause: error });
  });
  if (text === undefined) return { current: '', clusters: {} };
  const advice = `mend it, or remove it and run script/up or \`gantry login\``;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw cliErrors.badConfig(`${path} is not JSON; ${advice}`, { cause });
  }
  if (isConfigFile(value)) return value;
  throw cliErrors.badConfig(
    `${path} lacks \`current\`, or a cluster in it lacks url, gitUrl, domain or token; ${advice}`,
  );
}

function isConfigFile(value: unknown): value is ConfigFile {
  const { current, clusters } = Object(value) as Record<string, unknown>;
  if (typeof current !== 'string' || typeof clusters !== 'object' || !clusters) return false;
  return Object.values(clusters).every((cluster) => {
    const { url, gitUrl, domain, token } = Object(cluster) as Record<string, unknown>;
    return [url, gitUrl, domain, token].every((field) => typeof field === 'string');
  });
}

/** Only its owner reads it: it holds tokens. */
export async function writeConfigFile(place: Place, config: ConfigFile): Promise<string> {
  const path = configPath(place);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.part`, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.part`, path);
  return path;
}

/** All of them; the one that commands mean unless told otherwise is first. */
export async function listClusters(place: Place): Promise<Cluster[]> {
  const { env } = place;
  const fromEnvironment = clusterOfEnvironment(env);
  const { current, clusters } = await readConfigFile(place);
  const chosen = env.GANTRY_CLUSTER || current;
  const known = Object.entries(clusters).map(([name, cluster]) => ({ ...cluster, name }));
  if (fromEnvironment) return [fromEnvironment, ...known];
  if (env.GANTRY_CLUSTER && !clusters[chosen]) throw unknownCluster(chosen, known);
  return known.sort((a, b) => Number(b.name === chosen) - Number(a.name === chosen));
}

export function pickCluster(clusters: readonly Cluster[], name: string | undefined): Cluster {
  const cluster = name === undefined ? clusters[0] : clusters.find((one) => one.name === name);
  if (cluster) return cluster;
  throw unknownCluster(name, clusters);
}

function unknownCluster(name: string | undefined, known: readonly Cluster[]) {
  if (known.length === 0)
    return cliErrors.noCluster(
      'no cluster is known here: run script/up on a machine of yours, or `gantry login URL`',
    );
  const names = known.map((cluster) => cluster.name).join(', ');
  return cliErrors.noCluster(`no cluster is called ${name}; known are ${names}`);
}

function clusterOfEnvironment(env: Io['env']): Cluster | undefined {
  if (!env.GANTRY_URL) return undefined;
  if (!env.GANTRY_TOKEN)
    throw cliErrors.noCluster('GANTRY_URL is set and GANTRY_TOKEN is not; set both');
  return {
    name: 'environment',
    ...addressesOf(env.GANTRY_URL),
    token: env.GANTRY_TOKEN,
    ...(env.GANTRY_CA_FILE ? { caFile: env.GANTRY_CA_FILE } : {}),
    ...(env.GANTRY_ADDRESS ? { address: env.GANTRY_ADDRESS } : {}),
  };
}

/** What follows from the URL of an API: `api.<domain>` has `git.<domain>` beside it. */
export function addressesOf(text: string): Pick<Cluster, 'url' | 'gitUrl' | 'domain' | 'address'> {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol))
    throw cliErrors.usage(`${text} is not the URL of an API, like https://api.apps.example.com`);
  const domain = url.hostname.replace(/^api\./, '');
  const port = url.port ? `:${url.port}` : '';
  return {
    url: url.origin,
    gitUrl: `${url.protocol}//git.${domain}${port}`,
    domain,
    // Browsers and git take *.localhost to loopback by themselves; Node's resolver does not.
    ...(domain.endsWith('.localhost') ? { address: '127.0.0.1' } : {}),
  };
}
