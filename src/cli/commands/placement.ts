// `gantry placement`, `placement set`, `placement clear`

import type { ChangeApp, MachinePort, Placement } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { followDeployment } from '../follow-deployment.ts';

type Constraint = NonNullable<Placement['constraints']>[number];
type Neighbour = NonNullable<Placement['near']>[number];

export async function showPlacement(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api, app } = await call.target();
  const [{ placements = {} }, { quantities }] = await Promise.all([
    api.readApp(app),
    api.readFormation(app),
  ]);
  if (args.has('json')) return out.json(placements);
  const types = [...new Set([...Object.keys(quantities), ...Object.keys(placements)])].sort();
  out.table(
    ['TYPE', 'PLACEMENT'],
    types.map((type) => [type, placementText(placements[type] ?? {})]),
  );
}

export async function setPlacement(call: Call): Promise<number | undefined> {
  const { args } = call;
  if (args.has('singleton') && args.has('per-host'))
    throw cliErrors.usage('--singleton and --per-host are opposites: say one of them');
  const neighbours = (rule: string) => [
    ...args.texts(rule).map((text) => parseNeighbour(text, true)),
    ...args.texts(`rather-${rule}`).map((text) => parseNeighbour(text, false)),
  ];
  const [constraints, near, apart] = [
    args.texts('where').map(parseConstraint),
    neighbours('near'),
    neighbours('apart'),
  ];
  const hostPorts = args.texts('host-port').map(parseHostPort);
  const spreadBy = args.text('spread-by');
  return await change(call, {
    ...(args.has('singleton') ? { count: 'singleton' } : {}),
    ...(args.has('per-host') ? { count: 'per-host' } : {}),
    ...(args.has('binpack') ? { isPacked: true } : {}),
    ...(spreadBy === undefined ? {} : { spreadBy }),
    ...(hostPorts.length > 0 ? { hostPorts } : {}),
    ...(constraints.length > 0 ? { constraints } : {}),
    ...(near.length > 0 ? { near } : {}),
    ...(apart.length > 0 ? { apart } : {}),
  });
}

export async function clearPlacement(call: Call): Promise<number | undefined> {
  return await change(call, null);
}

async function change(call: Call, placement: Placement | null): Promise<number | undefined> {
  const { args, out } = call;
  const [type = ''] = args.words;
  if (!/^[a-z][a-z0-9-]*$/.test(type)) throw cliErrors.usage(`${type} is not a process type`);
  const placements: ChangeApp['placements'] = { [type]: placement };
  const target = await call.target();
  const { api, app } = target;
  const before = await api.listDeployments(app);
  await api.changeApp(app, { placements });
  out.line(`${app}: ${type} runs ${placementText(placement ?? {})}`);
  const after = await api.listDeployments(app);
  const made = after.find(({ id }) => !before.some((old) => old.id === id));
  if (!made || args.has('no-wait')) return undefined;
  return await followDeployment(call, target, made);
}

/** `disk=ssd`, `zone=a,b`, `zone!=c`, `gpu`, `!gpu` */
export function parseConstraint(text: string): Constraint {
  const [, not, tag = '', operator, list = ''] =
    /^(!)?([A-Za-z0-9][A-Za-z0-9._/-]*)(?:(!?=)(.+))?$/.exec(text) ?? [];
  const isBroken = tag === '' || (not !== undefined && operator !== undefined);
  if (isBroken)
    throw cliErrors.usage(`--where ${text}: say disk=ssd, zone=a,b, zone!=c, gpu, or '!gpu'`);
  if (operator === undefined) return { tag, operator: not ? 'absent' : 'exists' };
  return { tag, operator: operator === '=' ? 'in' : 'not-in', values: list.split(',') };
}

/** `9000`, `9000:8080`, `9000/udp` */
export function parseHostPort(text: string): MachinePort {
  const [, first = '', second, protocol = 'tcp'] =
    /^(\d{1,5})(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const [hostPort, port] = [Number(first), second === undefined ? undefined : Number(second)];
  const isPort = (number: number) => number >= 1 && number <= 65_535;
  if (!isPort(hostPort) || (port !== undefined && !isPort(port)))
    throw cliErrors.usage(`--host-port ${text}: say 9000, 9000:8080 or 9000/udp`);
  return {
    hostPort,
    ...(port === undefined ? {} : { port }),
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
  };
}

function hostPortText({ hostPort, port = hostPort, protocol }: MachinePort): string {
  return `${hostPort}${port === hostPort ? '' : `:${port}`}${protocol === 'udp' ? '/udp' : ''}`;
}

function parseNeighbour(text: string, isRequired: boolean): Neighbour {
  const [first = '', second] = text.split('/', 2);
  return second === undefined
    ? { type: first, isRequired }
    : { app: first, type: second, isRequired };
}

export function placementText(placement: Placement): string {
  const { count, isPacked, spreadBy, hostPorts = [] } = placement;
  const { constraints = [], near = [], apart = [] } = placement;
  const words: string[] = [];
  if (count === 'singleton') words.push('one at once');
  if (count === 'per-host') words.push('one on each machine');
  if (isPacked) words.push('packed');
  else if (count === undefined) words.push('spread');
  if (spreadBy !== undefined) words.push(`by ${spreadBy}`);
  const where = constraints.map(constraintText).join(' and ');
  return [
    words.join(' '),
    ...(where === '' ? [] : [`where ${where}`]),
    ...(hostPorts.length > 0
      ? [`with port ${hostPorts.map(hostPortText).join(', ')} of its machine`]
      : []),
    ...near.map((rule) => neighbourText('near', rule)),
    ...apart.map((rule) => neighbourText('apart from', rule)),
  ].join(', ');
}

function constraintText({ tag, operator, values = [] }: Constraint): string {
  if (operator === 'exists') return tag;
  if (operator === 'absent') return `!${tag}`;
  return `${tag}${operator === 'in' ? '=' : '!='}${values.join(',')}`;
}

function neighbourText(how: string, { app, type, isRequired }: Neighbour): string {
  return `${isRequired ? '' : 'rather '}${how} ${app === undefined ? type : `${app}/${type}`}`;
}
