// `gantry host drain`, `host undrain`, `host remove`, `host leave`, `gantry rebalance`

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '#core/errors';
import type { ControllerClient, HostDetail } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { untilInterrupted } from '../interrupt.ts';
import { isLost } from '../lost.ts';
import type { Output } from '../output.ts';

/** Between two looks while processes move. */
const lookMs = 500;
const defaultHome = '/var/lib/gantry';

export async function drainHost(call: Call): Promise<number | undefined> {
  const { args } = call;
  const { api } = await call.connect();
  const host = await api.drainHost(args.words[0] ?? '');
  if (args.has('no-wait')) return call.out.line(`${host.name}: ${leftText(host)}`);
  const left = host.drain?.left ?? 0;
  if (left > 0) call.out.line(`${host.name}: ${leftText(host)}`);
  return await followDrain(call, api, host.id);
}

/** A line for each process that waits for something else than before, until none is left. */
async function followDrain(
  { io, out }: Call,
  api: ControllerClient,
  id: string,
): Promise<number | undefined> {
  const told = new Map<string, string>();
  return await untilInterrupted(
    io,
    async (signal) => {
      for (;;) {
        const host = await lookAt(api, id);
        if (host) {
          for (const line of newsOf(told, host)) out.line(`  ${line}`);
          if (!host.drain) return out.line(`${host.name} is drained no more: somebody ended it`);
          if (host.drain.left === 0) return sayDrained(out, host);
        }
        await io.clock.sleep(lookMs, signal);
      }
    },
    () => out.note('the drain goes on; gantry host undrain ends it, gantry host inspect shows it'),
  );
}

/** What the operator does next may need to know of what is left: it is not empty where volumes are. */
function sayDrained(out: Output, { name, processes }: HostDetail): undefined {
  out.line(`${name} is drained`);
  const bound = processes.filter(({ volume }) => volume !== undefined);
  if (bound.length === 0) return;
  out.line('Volumes do not move, so these stay:');
  for (const { app, name: process, volume } of bound)
    out.line(`  ${app} ${process} with its volume ${volume}`);
  out.line(
    `While ${name} is off they are away; they are back with it. gantry host remove ${name} --force
gives the volumes up for good: these processes then start elsewhere with empty ones.`,
  );
}

/** The process that answers may be one of those that move. */
async function lookAt(api: ControllerClient, id: string): Promise<HostDetail | undefined> {
  try {
    return await api.readHost(id);
  } catch (error) {
    if (isLost(error)) return undefined;
    throw error;
  }
}

export function newsOf(told: Map<string, string>, { name: host, processes }: HostDetail): string[] {
  const lines: string[] = [];
  const here = new Set(processes.map(({ id }) => id));
  for (const { id, app, name, waitsFor } of processes) {
    if (waitsFor === undefined) continue;
    const text = `${app} ${name}`;
    const said = `${text}: ${waitsFor}`;
    if (told.get(id) !== said) lines.push(said);
    told.set(id, said);
  }
  for (const [id, said] of told) {
    if (here.has(id)) continue;
    told.delete(id);
    lines.push(`${said.split(': ')[0]} has left ${host}`);
  }
  return lines;
}

function leftText({ drain }: HostDetail): string {
  const left = drain?.left ?? 0;
  if (left === 0) return drain?.bound ? `drained but for ${drain.bound} with a volume` : 'drained';
  return `draining, ${left === 1 ? '1 process' : `${left} processes`} to leave`;
}

export async function undrainHost(call: Call): Promise<undefined> {
  const { api } = await call.connect();
  const host = call.args.words[0] ?? '';
  const { drain } = await api.readHost(host);
  const { name } = await api.undrainHost(host);
  call.out.line(
    drain
      ? `${name} takes processes again; gantry rebalance moves some to it`
      : `${name} was not being drained: it takes processes`,
  );
}

export async function removeHost(call: Call): Promise<undefined> {
  const { api } = await call.connect();
  const [host = ''] = call.args.words;
  const { id, name, state } = await describe(api, host);
  await api.removeHost(id, { isForced: call.args.has('force') });
  call.out.line(`${name} is no machine of this cluster any more`);
  if (state === 'up') call.out.note(`On ${name}: script/down takes Gantry off it.`);
}

/** One that never registered has no page of its own. */
async function describe(api: ControllerClient, host: string) {
  const hosts = await api.listHosts();
  const found = hosts.filter(({ id, name }) => id === host || name === host);
  return found.length === 1 && found[0] ? found[0] : await api.readHost(host);
}

export async function leave(call: Call): Promise<number | undefined> {
  const { api } = await call.connect();
  const id = await ownHostId(call);
  const { name } = await api.readHost(id);
  const isForced = call.args.has('force');
  if (!isForced) {
    await api.drainHost(id);
    const code = await followDrain(call, api, id);
    if (code !== undefined) return code;
  }
  await api.removeHost(id, { isForced });
  call.out.line(`${name} is no machine of this cluster any more`);
  call.out.note('script/down takes Gantry off it.');
  return undefined;
}

async function ownHostId({ io }: Call): Promise<string> {
  const path = join(io.env.GANTRY_HOME ?? defaultHome, 'host.json');
  try {
    const { hostId } = JSON.parse(await readFile(path, 'utf8')) as { hostId?: unknown };
    if (typeof hostId === 'string') return hostId;
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'EACCES')) throw error;
  }
  throw cliErrors.usage(
    `${path} does not say which machine this is: run it as root on the machine that is to leave, or say gantry host remove HOST`,
  );
}

export async function rebalance(call: Call): Promise<undefined> {
  const { api } = await call.connect();
  const app = call.args.text('app');
  await api.rebalance(app);
  call.out.line(`${app ?? 'all apps'}: processes move, one by one, where that makes it more even`);
  call.out.note(`gantry ps -a ${app ?? 'APP'} shows where they are`);
}
