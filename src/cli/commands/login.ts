// `gantry login`: a cluster of somebody else's machine, or a new token. Nothing is written before the API has accepted it.

import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { AppError, toAppError } from '#core/errors';
import { dial } from '../call.ts';
import {
  addressesOf,
  type Cluster,
  configPath,
  readConfigFile,
  writeConfigFile,
} from '../clusters.ts';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { explain } from '../explain.ts';
import { askSecretly } from '../secret.ts';

export async function login(call: Call): Promise<undefined> {
  const { io, out } = call;
  const config = await readConfigFile(io);
  const { name, ...entry } = await clusterFrom(call);
  const { api } = await dial({ ...entry, name });
  const me = await api.whoAmI().catch((error: unknown) => {
    const known = toAppError(error);
    const { sentence } = explain(known, { ...entry, name });
    throw new AppError(known.code, known, `${sentence}; nothing was written`, { cause: error });
  });
  const clusters = { ...config.clusters, [name]: entry };
  await writeConfigFile(io, { current: name, clusters });
  out.line(
    `You are ${me.name} at ${entry.url}; ${name} is the current cluster in ${configPath(io)}`,
  );
}

async function clusterFrom(call: Call): Promise<Cluster> {
  const { args } = call;
  const addresses = addressesOf(args.words[0] ?? '');
  const gitUrl = args.text('git-url');
  const address = args.text('address');
  const ca = args.text('ca');
  return {
    ...addresses,
    name: args.text('name') ?? addresses.domain,
    token: await tokenOf(call),
    ...(gitUrl === undefined ? {} : { gitUrl }),
    ...(address === undefined ? {} : { address }),
    ...(ca === undefined ? {} : { caFile: resolve(call.io.cwd, ca) }),
  };
}

async function tokenOf({ args, io }: Call): Promise<string> {
  const given = args.text('token');
  const token = given ?? (io.stdin.isTTY ? await askSecretly(io, 'Token: ') : await text(io.stdin));
  if (/^[\w.~+/=-]{8,}$/.test(token.trim())) return token.trim();
  throw cliErrors.usage(
    'that is no token; `gantry token create NAME` makes one where you are logged in',
  );
}
