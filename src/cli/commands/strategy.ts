// `gantry strategy`: how releases replace one another; without an argument, show it.

import type { ChangeApp } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';

type Strategy = NonNullable<ChangeApp['strategy']>;

export const strategies: readonly Strategy[] = [
  'rolling',
  'one-by-one',
  'in-batches',
  'all-at-once',
];

export async function strategy(call: Call): Promise<undefined> {
  const { args, out } = call;
  const change = args.words[0] === undefined ? undefined : parseStrategy(args.words[0]);
  const { api, app } = await call.target();
  const now = change ? await api.changeApp(app, change) : await api.readApp(app);
  const seen = { strategy: now.strategy, batchSize: now.batchSize };
  if (args.has('json')) return out.json(seen);
  const batch = seen.strategy === 'in-batches' ? `=${seen.batchSize}` : '';
  out.line(`${app}: ${seen.strategy}${batch}`);
}

/** `in-batches=3` is a strategy and how many at once. */
export function parseStrategy(text: string): Pick<ChangeApp, 'strategy' | 'batchSize'> {
  const [name, size] = text.split('=', 2);
  const found = strategies.find((known) => known === name);
  if (!found || (size !== undefined && found !== 'in-batches'))
    throw cliErrors.usage(
      `${text} is no strategy: there are ${strategies.join(', ')} (in-batches=N)`,
    );
  if (size === undefined) return { strategy: found };
  if (!/^[1-9]\d{0,2}$/.test(size))
    throw cliErrors.usage(`in-batches=${size}: a batch is a whole number from 1 to 999`);
  return { strategy: found, batchSize: Number(size) };
}
