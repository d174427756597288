// `script/up --restore FILE`: a fresh machine takes the place of the one that had the store of a cluster that is lost. It gets
// that machine's id, so that the others and the tags of their machines find what they knew, and the keys of the cluster.

import { createReadStream } from 'node:fs';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { toAppError } from '#core/errors';
import { createControllerClient, type RestoreResult } from '#layer1/controller/client';
import { type Backup, readBackup } from '#layer1/controller/wire';
import { bootstrapErrors } from './errors.ts';
import type { Machine } from './machine-file.ts';
import type { CliCluster } from './user.ts';

/** Reads the whole file before anything is done. */
export async function readState(file: string): Promise<Backup> {
  try {
    return await readBackup(createReadStream(file));
  } catch (cause) {
    const { code, message } = toAppError(cause);
    const why = code === 'core.internal' ? (cause as Error).message : message;
    throw bootstrapErrors.option(`--restore ${file}: ${why}`, { cause });
  }
}

/** Puts the keys where the daemon looks for them; those that are there already must be of this cluster, and stay. */
export async function bringKeys(home: string, { keys, header }: Backup): Promise<void> {
  const folder = join(home, 'keys');
  const isThere = await access(join(folder, 'seal.key')).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  if (!keys['seal.key'])
    throw bootstrapErrors.option(
      `--restore: the backup of ${header.clusterId} was made without --with-keys; put the saved folder of keys at ${folder} first, or config values can never be read again`,
    );
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(keys))
    await writeFile(join(folder, basename(name)), Buffer.from(text, 'base64'), { mode: 0o600 });
}

export function inPlaceOf(machine: Machine, { header }: Backup): Machine {
  const { clusterId, hostId } = header;
  return { ...machine, clusterId, hostId };
}

export async function restoreState(cluster: CliCluster, file: string): Promise<RestoreResult> {
  const { url: baseUrl, token, address, caFile } = cluster;
  const client = createControllerClient({
    baseUrl,
    token,
    ...(address === undefined ? {} : { dialAddress: address }),
    ...(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }),
  });
  try {
    return await client.restore(createReadStream(file), 'takeover');
  } finally {
    client.close();
  }
}
