// `gantry limit`, `gantry limit set`

import type { ChangeApp, Deployment } from '#layer1/controller/client';
import type { Call, Connection } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { followDeployment } from '../follow-deployment.ts';
import { cpuText, limitText, parseCpu, parseSize, sizeText } from '../units.ts';

/** The type that limits of `gantry run` go by. */
const oneOffs = 'run';

export async function showLimits(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api, app } = await call.target();
  const [{ limits, defaultLimits }, { quantities }] = await Promise.all([
    api.readApp(app),
    api.readFormation(app),
  ]);
  if (args.has('json')) return out.json(limits);
  const types = [...new Set([...Object.keys(quantities), ...Object.keys(limits), oneOffs])].sort();
  out.table(
    ['TYPE', 'MEMORY', 'CPU', 'PIDS', ''],
    types.map((type) => {
      const limit = limits[type] ?? defaultLimits;
      const notes = [
        ...(limits[type] ? [] : ['default']),
        ...(type === oneOffs ? ['one-offs'] : []),
      ];
      return [
        type,
        sizeText(limit.memoryBytes),
        cpuText(limit.cpuMillis),
        String(limit.pids),
        notes.join(', '),
      ];
    }),
  );
}

export async function setLimits(call: Call): Promise<number | undefined> {
  const { args, out } = call;
  const [type = '', ...assignments] = args.words;
  const limits = { [type]: parseLimits(type, assignments) };
  const target = await call.target();
  const { api, app } = target;
  const before = await deploymentsOf(target);
  const { limits: now, defaultLimits } = await api.changeApp(app, { limits });
  out.line(`${app}: ${type} may use ${limitText(now[type] ?? defaultLimits)}`);
  const made = (await deploymentsOf(target)).find(({ id }) => !before.some((old) => old.id === id));
  if (!made) return undefined;
  if (args.has('no-wait')) out.line(`v${made.newVersion} is rolled out with them`);
  return args.has('no-wait') ? undefined : await followDeployment(call, target, made);
}

async function deploymentsOf({ api, app }: Connection & { app: string }): Promise<Deployment[]> {
  return await api.listDeployments(app);
}

type Limit = NonNullable<ChangeApp['limits']>[string];

export function parseLimits(type: string, assignments: readonly string[]): Limit {
  if (!/^[a-z][a-z0-9-]*$/.test(type))
    throw cliErrors.usage(
      `${type} is not a process type; say something like: limit set web memory=1G`,
    );
  const limit: Limit = {};
  for (const assignment of assignments) {
    const [name = '', value = ''] = assignment.split('=', 2);
    if (name === 'memory') limit.memoryBytes = parseSize(value, name);
    else if (name === 'cpu') limit.cpuMillis = parseCpu(value);
    else if (name === 'pids') limit.pids = parseCount(name, value);
    else throw cliErrors.usage(`${assignment} is not a limit: there are memory, cpu and pids`);
  }
  return limit;
}

function parseCount(name: string, text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw cliErrors.usage(`${name}=${text} is not a whole number above 0`);
}
