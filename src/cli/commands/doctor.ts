// `gantry doctor`: what can be seen from here first, because it says why the rest cannot be asked; then the cluster's own checks.

import { stat } from 'node:fs/promises';
import { toAppError } from '#core/errors';
import type { Check } from '#layer1/controller/client';
import { configPath } from '../clusters.ts';
import type { Call } from '../command.ts';
import { explain } from '../explain.ts';

export async function examine(call: Call): Promise<number | undefined> {
  const { out, args } = call;
  const checks = [await checkConfigFile(call), ...(await checkCluster(call))];
  const failed = checks.filter(({ isOk }) => !isOk);
  if (args.has('json')) out.json(checks);
  else {
    out.table(
      ['CHECK', 'STATE', 'FOUND'],
      checks.map(({ name, isOk, message }) => [
        name,
        isOk ? { text: 'ok', colour: 'green' } : { text: 'FAILED', colour: 'red' },
        isOk && message === 'ok' ? '' : message,
      ]),
    );
    if (failed.length > 0) out.note(`${failed.length} of ${checks.length} checks failed`, 'red');
  }
  return failed.length === 0 ? undefined : 1;
}

/** Tokens are in it. */
async function checkConfigFile({ io }: Call): Promise<Check> {
  const path = configPath(io);
  const name = 'the configuration file is private';
  const file = await stat(path).catch(() => undefined);
  if (!file) return { name, isOk: true, message: `there is no ${path}` };
  const isPrivate = (file.mode & 0o077) === 0;
  const message = isPrivate ? 'ok' : `others can read ${path}; chmod 600 ${path}`;
  return { name, isOk: isPrivate, message };
}

async function checkCluster(call: Call): Promise<Check[]> {
  const name = 'the API answers and accepts the token';
  const { api, cluster } = await call.connect();
  try {
    const me = await api.whoAmI();
    const reached = { name, isOk: true, message: `${cluster.url} as ${me.name}` };
    return [reached, ...(await api.doctor())];
  } catch (error) {
    return [{ name, isOk: false, message: explain(toAppError(error), cluster).sentence }];
  }
}
