// `gantry cluster backup` and `restore`: the state of the store as a file, and back. The file is whole or it is not there:
// it gets its name when its checksum has been seen.

import { createReadStream } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { toAppError } from '#core/errors';
import { type Backup, readBackup, writeBackup } from '#layer1/controller/wire';
import { ask } from '../ask.ts';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { agoText, dateText, sizeText } from '../units.ts';

/** Where Gantry is on a machine, unless said. */
const defaultHome = '/var/lib/gantry';

export async function backUpCluster(call: Call): Promise<undefined> {
  const { args, out, io } = call;
  const [path] = args.words;
  if (path === undefined && io.stdout.isTTY)
    throw cliErrors.usage('say where to: gantry cluster backup FILE, or > FILE');
  const keys = args.has('with-keys') ? await readKeys(call) : {};
  const { api } = await call.connect();
  const backup = await readWhole(await api.backUp());
  const text = await textOf({ ...backup, keys });
  if (path === undefined) return void (await out.stream(text.trimEnd()));
  await writeWhole(path, text);
  const named = Object.keys(keys).length > 0 ? ', with the keys: keep it as secret as those' : '';
  out.note(`${path}: ${backup.entries.length} entries, ${sizeText(text.length)}${named}`);
  if (named === '')
    out.note(`Config values in it are sealed; the key is in ${defaultHome}/keys: keep that too.`);
}

/** What the API sends is whole, or it is said that it is not. */
async function readWhole(answer: Readable): Promise<Backup> {
  try {
    return await readBackup(answer);
  } catch (cause) {
    const { code, message } = toAppError(cause);
    const why = code === 'core.internal' ? (cause as Error).message : message;
    throw cliErrors.failed(`the backup broke off (${why}); nothing was written, try again`, {
      cause,
    });
  }
}

/** The folder of keys of this machine, which must be one of the cluster. */
async function readKeys({ io, args }: Call): Promise<Record<string, string>> {
  const folder = join(args.text('home') ?? io.env.GANTRY_HOME ?? defaultHome, 'keys');
  const keys: Record<string, string> = {};
  try {
    for (const file of await readdir(folder, { withFileTypes: true }))
      if (file.isFile())
        keys[file.name] = (await readFile(join(folder, file.name))).toString('base64');
  } catch (cause) {
    throw cliErrors.refused(
      `--with-keys reads ${folder}: run it as root on a machine of the cluster (${(cause as Error).message})`,
      { cause },
    );
  }
  if (!keys['seal.key'])
    throw cliErrors.refused(`there is no seal.key in ${folder}: is this a machine of the cluster?`);
  return keys;
}

async function textOf({ header, keys, entries }: Backup): Promise<string> {
  const named = Object.keys(keys).length > 0 ? [{ keys }] : [];
  const lines: string[] = [];
  for await (const line of writeBackup(header, [...named, ...entries])) lines.push(`${line}\n`);
  return lines.join('');
}

async function writeWhole(path: string, text: string): Promise<void> {
  const part = `${path}.part`;
  try {
    await rm(part, { force: true });
    const file = await open(part, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (cause) {
    throw cliErrors.failed(`cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
}

export async function restoreCluster(call: Call): Promise<undefined> {
  const { args, out, io } = call;
  const [path = '-'] = args.words;
  const backup = await readFrom(call, path);
  const { api, cluster } = await call.connect();
  const age = agoText(backup.header.createdAt, io.clock.now());
  const of = `the state of ${dateText(backup.header.createdAt)} (${age})`;
  if (!args.has('yes')) await confirm(call, { of, cluster: cluster.name });
  const mode = args.has('takeover') ? 'takeover' : 'replace';
  // Without the keys: they are none of the API's business.
  const file = Readable.from([await textOf({ ...backup, keys: {} })], { objectMode: false });
  const result = await api.restore(file, mode);
  if (args.has('json')) return out.json(result);
  out.line(`${of} is back: ${result.apps.length} apps, ${result.entries} entries`);
  for (const app of result.forgotten)
    out.note(`${app} is not in it: what runs of it runs on; gantry doctor names its containers`);
}

async function readFrom({ io }: Call, path: string): Promise<Backup> {
  const source = path === '-' ? io.stdin : createReadStream(path);
  try {
    return await readBackup(source);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'controller.badBackup') throw cause;
    throw cliErrors.failed(`cannot read ${path}: ${message}`, { cause });
  }
}

async function confirm(
  { io, out }: Call,
  { of, cluster }: { of: string; cluster: string },
): Promise<void> {
  if (!io.stdin.isTTY)
    throw cliErrors.refused(
      `restoring takes apps, releases and routes back to ${of}; without a terminal to ask at, say --yes`,
    );
  out.note(`This takes apps, releases, config, scale and routes back to ${of}.`);
  out.note('Machines, tokens and the platform stay as they are. No container is removed by it.');
  const question = `Type the name of the cluster (${cluster}) to go on: `;
  const answer = await ask(io, question, 'nothing was changed');
  if (answer.trim() !== cluster)
    throw cliErrors.refused(`that is not ${cluster}; nothing was changed`);
}
