// `gantry host list`, `host inspect`, `host tag`, `host join-token`

import type { HostDetail, HostProcess, HostView } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { cpuText, sizeText } from '../units.ts';

export async function listHosts(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api } = await call.connect();
  const hosts = await api.listHosts();
  if (args.has('json')) return out.json(hosts);
  out.table(
    ['NAME', 'STATE', 'ADDRESS', 'JOBS', 'MEMORY', 'CPUS', 'BUSY', 'ENGINE', 'ID', ''],
    hosts.map((host) => [
      host.name,
      stateText(host),
      host.address,
      String(host.jobs),
      host.memoryBytes === undefined ? '' : sizeText(host.memoryBytes),
      host.cpuMillis === undefined ? '' : cpuText(host.cpuMillis),
      host.busyPercent === undefined ? '' : `${host.busyPercent} %`,
      host.engineVersion ?? '',
      host.id,
      host.reason ?? tagText(host),
    ]),
  );
}

/** The token alone on stdout, so that it can be piped. */
export async function createJoinToken(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api } = await call.connect();
  const token = await api.createJoinToken();
  if (args.has('json')) return out.json(token);
  out.line(token.token);
  out.note('Good for one machine, for an hour. There, in a checkout: script/up --join TOKEN');
}

export function stateText({ state, drain }: Pick<HostView, 'state' | 'drain'>): string {
  if (!drain) return state;
  const { left, bound = 0 } = drain;
  if (left > 0) return `${state}, draining`;
  return `${state}, drained${bound > 0 ? ` but for ${bound}` : ''}`;
}

function tagText({ tags }: HostView): string {
  return Object.entries(tags)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

export async function inspectHost(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api } = await call.connect();
  const host = await api.readHost(args.words[0] ?? '');
  if (args.has('json')) return out.json(host);
  out.line(`${host.name} (${host.id}): ${stateText(host)}`);
  if (host.reason !== undefined) out.line(`  ${host.reason}`);
  const facts: [string, string | undefined][] = [
    ['address', host.address],
    ['platform', host.version],
    ['engine', host.engineVersion],
    ['memory', host.memoryBytes === undefined ? undefined : sizeText(host.memoryBytes)],
    ['processors', host.cpuMillis === undefined ? undefined : cpuText(host.cpuMillis)],
    ['busy', host.busyPercent === undefined ? undefined : `${host.busyPercent} %`],
    ['tags', tagText(host) || undefined],
    ['drained by', host.drain?.by],
  ];
  for (const [name, value] of facts) if (value !== undefined) out.line(`  ${name}: ${value}`);
  showProcesses(call, host);
}

function showProcesses({ out }: Call, { processes, drain }: HostDetail): void {
  if (processes.length === 0) return;
  out.table(
    ['APP', 'PROCESS', 'STATE', drain ? 'WHY STILL HERE' : ''],
    processes.map((process) => [
      process.app,
      process.name,
      process.state,
      drain ? whyHere(process) : '',
    ]),
  );
}

function whyHere({ isStaying, volume, waitsFor }: HostProcess): string {
  if (waitsFor !== undefined) return waitsFor;
  if (volume !== undefined) return `stays with its volume ${volume}`;
  return isStaying ? 'stays: it runs on every machine' : '';
}

export async function setTags(call: Call): Promise<undefined> {
  const [host = '', ...assignments] = call.args.words;
  const tags: Record<string, string> = {};
  for (const assignment of assignments) {
    const [, name = '', value = ''] = /^([^=]+)=(.+)$/.exec(assignment) ?? [];
    if (name === '')
      throw cliErrors.usage(`${assignment} is not NAME=VALUE; say something like disk=ssd`);
    tags[name] = value;
  }
  return await changeTags(call, host, tags);
}

export async function removeTags(call: Call): Promise<undefined> {
  const [host = '', ...names] = call.args.words;
  return await changeTags(call, host, Object.fromEntries(names.map((name) => [name, null])));
}

async function changeTags(call: Call, host: string, tags: Record<string, string | null>) {
  const { api } = await call.connect();
  const changed = await api.changeHostTags(host, tags);
  call.out.line(`${changed.name}: ${tagText(changed) || 'no tags'}`);
  return undefined;
}
