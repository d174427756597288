// The machines of the cluster: which there are, how they are, and the way in for one more.

import {
  type Host,
  type HostDrain,
  type HostLoad,
  type HostSilent,
  hostAlivePrefix,
  hostDrainPrefix,
  hostLoadPrefix,
  hostPrefix,
  hostSilentPrefix,
  hostTagsPrefix,
} from '#layer0/host/wire';
import type { Member } from '#layer0/membership/client';
import { isEnded } from '#layer0/scheduler/client';
import type { Job } from '#layer0/scheduler/wire';
import { listAll, type Store } from '#layer0/store/client';
import type { HostView, JoinToken } from '../api.ts';
import type { Context } from '../context.ts';
import { hasVolumeHere, isStaying } from '../decide/host-processes.ts';
import { eventOperation } from '../events.ts';

export async function listHosts(context: Context): Promise<HostView[]> {
  const { store, membership, observer } = context;
  const [{ hosts, stateOf }, loads, tags, drains, members] = await Promise.all([
    readHeard(store),
    readAll<HostLoad>(store, hostLoadPrefix),
    readAll<Record<string, string>>(store, hostTagsPrefix),
    readAll<HostDrain>(store, hostDrainPrefix),
    membership.list(),
  ]);
  const here = [...observer.allJobs()].filter((job) => !isEnded(job, observer.status(job.id)));
  const placed = Map.groupBy(here, ({ host }) => host);
  const known = [...hosts.values()].map((host) => ({
    ...shownOf(host),
    ...stateOf(host.id),
    ...loads.get(host.id),
    jobs: placed.get(host.id)?.filter(({ desired }) => desired === 'up').length ?? 0,
    ...drainOf(drains.get(host.id), placed.get(host.id) ?? []),
    tags: tags.get(host.id) ?? {},
  }));
  const joining = members.filter(({ hostId }) => !hosts.has(hostId)).map(joiningView);
  return [...known, ...joining].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export interface Heard {
  /** Those that have registered, by id. */
  hosts: ReadonlyMap<string, Host>;
  /** Of one that has registered: is it heard of, and if not, by whom. */
  stateOf(id: string): Pick<HostView, 'state' | 'reason'>;
}

export async function readHeard(store: Store): Promise<Heard> {
  const [hosts, alive, silences] = await Promise.all([
    readAll<Host>(store, hostPrefix),
    readAll<unknown>(store, hostAlivePrefix),
    readAll<HostSilent>(store, hostSilentPrefix),
  ]);
  const whoMiss = (id: string) =>
    [...silences].flatMap(([watcher, silence]) =>
      silence.hosts.includes(id) ? [hosts.get(watcher)?.name ?? watcher] : [],
    );
  return { hosts, stateOf: (id) => judge(alive.has(id), whoMiss(id)) };
}

export async function createJoinToken(context: Context): Promise<JoinToken> {
  const { store, membership } = context;
  const token = await membership.createToken();
  const message = 'one more machine may join within an hour';
  const event = { type: 'host.joinToken', object: 'cluster', message };
  await store.txn({ compare: [], operations: [eventOperation(event, context)] });
  return token;
}

function drainOf(drain: HostDrain | undefined, jobs: Job[]): Pick<HostView, 'drain'> {
  if (!drain) return {};
  const left = jobs.filter((job) => !isStaying(job)).length;
  const bound = jobs.filter(hasVolumeHere).length;
  return { drain: { ...drain, left, ...(bound === 0 ? {} : { bound }) } };
}

function shownOf({ id, name, address, version, engineVersion, memoryBytes, cpuMillis }: Host) {
  return { id, name, address, version, engineVersion, memoryBytes, cpuMillis };
}

/** `missedBy` are names of machines that its kernel does not answer; one alone may be the one that is cut off. */
function judge(isAlive: boolean, missedBy: string[]): Pick<HostView, 'state' | 'reason'> {
  if (missedBy.length > 1 || (missedBy.length === 1 && !isAlive)) {
    const reason = `it does not answer ${missedBy.join(', ')}: is it on, and its cable in?`;
    return { state: 'silent', reason };
  }
  if (isAlive) return { state: 'up' };
  const reason = 'its daemon has not been heard of for 10 s: is it on, and `docker ps` there fine?';
  return { state: 'silent', reason };
}

function joiningView({ hostId, name, address }: Member): HostView {
  const reason = 'it was let in and has not registered: see what script/up --join says there';
  return { id: hostId, name, address, state: 'joining', reason, jobs: 0, tags: {} };
}

async function readAll<T>(store: Store, prefix: string): Promise<Map<string, T>> {
  const entries = await listAll<T>(store, prefix);
  return new Map(entries.map(({ key, value }) => [key.slice(prefix.length), value]));
}
