// What an operator wants of a machine: tags, a drain, its removal. Each is a record of its own; the machine writes none of them.

import { type HostDrain, hostDrainKey, hostKey, hostTagsKey } from '#layer0/host/wire';
import { hostIdTag, rebalanceKey } from '#layer0/scheduler/wire';
import type { Compare, Operation } from '#layer0/store/client';
import type { ChangeTags, HostDetail, HostProcess, HostView } from '../api.ts';
import type { Caller, Context } from '../context.ts';
import { processesOn } from '../decide/host-processes.ts';
import { controllerErrors } from '../errors.ts';
import { eventOperation } from '../events.ts';
import { change, readLivingApp } from '../records.ts';
import { listHosts } from './hosts.ts';

export async function readHost(context: Context, reference: string): Promise<HostDetail> {
  const hosts = await listHosts(context);
  return detailOf(context, findHost(hosts, reference), hosts);
}

function detailOf({ observer }: Context, host: HostView, hosts: HostView[]): HostDetail {
  const names = new Map(hosts.map(({ id, name }) => [id, name]));
  const processes = processesOn(host.id, {
    jobs: [...observer.allJobs()],
    status: (job) => observer.status(job),
    nameOf: (id) => names.get(id) ?? id,
    isDraining: host.drain !== undefined,
  });
  return { ...host, processes };
}

function findHost(hosts: readonly HostView[], reference: string): HostView {
  const found =
    hosts.find(({ id }) => id === reference) ??
    onlyOne(hosts.filter(({ name }) => name === reference));
  if (found) return found;
  const isAmbiguous = hosts.some(({ name }) => name === reference);
  throw controllerErrors.hostNotFound(
    isAmbiguous
      ? `several machines are named ${reference}; say which by its id: gantry host list shows it`
      : `no machine of this cluster is named ${reference}; gantry host list shows them`,
  );
}

function onlyOne<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}

export async function changeTags(
  context: Context,
  reference: string,
  tags: ChangeTags['tags'],
): Promise<HostDetail> {
  const { store } = context;
  const { id, name } = findHost(await listHosts(context), reference);
  if (Object.hasOwn(tags, hostIdTag))
    throw controllerErrors.hostInUse(`the tag ${hostIdTag} is the machine's own, its id`);
  const said = Object.entries(tags).map(([tag, value]) =>
    value === null ? `no ${tag}` : `${tag}=${value}`,
  );
  await change(store, `tag ${name}`, async () => {
    const key = hostTagsKey(id);
    const known = await store.get<Record<string, string>>(key);
    const next = { ...known?.value };
    for (const [tag, value] of Object.entries(tags))
      if (value === null) delete next[tag];
      else next[tag] = value;
    const operation: Operation =
      Object.keys(next).length === 0 ? { delete: key } : { put: key, value: next };
    const message = `${name}: ${said.join(', ')}`;
    return {
      result: undefined,
      compare: [seen(key, known?.modRevision), isHost(id)],
      operations: [
        operation,
        eventOperation({ type: 'host.tagged', object: id, message }, context),
      ],
    };
  });
  return await readHost(context, id);
}

export async function setDrain(
  context: Context,
  reference: string,
  wanted: { isDraining: boolean; caller: Caller },
): Promise<HostDetail> {
  const { store, clock } = context;
  const { id, name } = findHost(await listHosts(context), reference);
  const { isDraining, caller } = wanted;
  await change(store, `drain ${name}`, async () => {
    const key = hostDrainKey(id);
    const known = await store.get<HostDrain>(key);
    const compare = [seen(key, known?.modRevision), isHost(id)];
    if ((known !== undefined) === isDraining)
      return { result: undefined, compare: [], operations: [] };
    const drain: HostDrain = { since: clock.now(), by: caller.name };
    const type = isDraining ? 'host.drain' : 'host.undrain';
    const message = isDraining ? `${name} is drained` : `${name} takes processes again`;
    return {
      result: undefined,
      compare,
      operations: [
        isDraining ? { put: key, value: drain } : { delete: key },
        eventOperation({ type, object: id, message: `${caller.name}: ${message}` }, context),
      ],
    };
  });
  return await readHost(context, id);
}

export async function removeHost(
  context: Context,
  reference: string,
  { isForced, caller }: { isForced: boolean; caller: Caller },
): Promise<void> {
  const { store, membership } = context;
  const hosts = await listHosts(context);
  const host = findHost(hosts, reference);
  if (hosts.length === 1)
    throw controllerErrors.hostInUse(
      `${host.name} is the only machine: script/down there takes Gantry off it`,
    );
  if ((await context.ha.status()).storeHost === host.id)
    throw controllerErrors.hostInUse(
      `${host.name} has the store of the whole cluster and cannot be removed: gantry cluster ha gives the store to three machines first`,
    );
  const { processes } = detailOf(context, host, hosts);
  if (host.state === 'up' && !isForced) refuseInUse(host, processes);
  await membership.remove(host.id);
  const type = 'host.removed';
  const message = `${caller.name}: ${host.name} is no machine of this cluster any more`;
  const operations = [eventOperation({ type, object: host.id, message }, context)];
  await store.txn({ compare: [], operations });
}

function refuseInUse({ name, drain }: HostView, processes: readonly HostProcess[]): void {
  const left = processes.filter(({ isStaying }) => !isStaying).length;
  const bound = processes.filter(({ volume }) => volume !== undefined);
  if (!drain)
    throw controllerErrors.hostInUse(
      `${name} is alive and runs ${countText(left + bound.length)}: drain it first (gantry host drain ${name}). ` +
        `--force removes it as it is: its processes start elsewhere while they may still run there, until somebody takes Gantry off it`,
    );
  if (left > 0)
    throw controllerErrors.hostInUse(
      `${name} is still being drained: ${countText(left)} left (gantry host inspect ${name}). Wait, or give them up with --force`,
    );
  if (bound.length === 0) return;
  const what = bound
    .map((one) => `${one.app} ${one.name} has its volume ${one.volume} there`)
    .join(', ');
  throw controllerErrors.hostInUse(
    `${name} is drained, but ${what}; volumes do not move. ` +
      `--force gives them up for good: these processes start elsewhere with empty ones`,
  );
}

function countText(count: number): string {
  return count === 1 ? '1 process' : `${count} processes`;
}

/** Of one app, or of all of them. The scheduler takes the request away when nothing more is to move. */
export async function rebalance(context: Context, name: string | undefined): Promise<void> {
  const { store, observer, clock } = context;
  const app = name === undefined ? undefined : (await readLivingApp(store, name)).value;
  const apps = app ? [app] : observer.apps().filter(({ isDeleting }) => !isDeleting);
  const at = clock.now();
  for (const { id } of apps)
    await store.txn({ compare: [], operations: [{ put: rebalanceKey(id), value: { at } }] });
  const event = app
    ? { app: app.id, type: 'app.rebalance', object: app.id, message: `${app.name} is spread anew` }
    : { type: 'cluster.rebalance', object: 'cluster', message: 'all apps are spread anew' };
  await store.txn({ compare: [], operations: [eventOperation(event, context)] });
}

function isHost(id: string): Compare {
  return { key: hostKey(id), is: 'present' };
}

function seen(key: string, modRevision: number | undefined): Compare {
  return modRevision === undefined ? { key, is: 'absent' } : { key, modRevision };
}
