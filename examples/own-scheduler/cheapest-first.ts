// A scheduler of one's own: jobs that name it go to the host with the lowest price, which is a tag that an operator sets.
// It needs nothing but the store: read, decide on what was read, and commit in one transaction that compares what the
// decision rested on. Run it on as many machines as you like: one leads.

import { type Host, hostAlivePrefix, hostPrefix, hostTagsPrefix } from '#layer0/host/wire';
import {
  hostClaimKey,
  type Job,
  jobPrefix,
  type JobSpec,
} from '#layer0/scheduler/wire';
import type { Compare, Entry, Leadership, Operation, Store } from '#layer0/store/client';

export const schedulerName = 'cheapest-first';

/** What a decision rests on, read at one moment. */
export interface Seen {
  waiting: Entry<Job>[];
  hosts: { host: Host; price: number; free: JobSpec['resources'] }[];
}

/** Campaigns, then places whatever waits for it, until the signal fires. */
export async function runCheapestFirst(store: Store, identity: string, signal: AbortSignal) {
  const options = { identity, ttlMs: 10_000, signal };
  const leadership = await store.elect(`scheduler/${schedulerName}`, options);
  const until = AbortSignal.any([signal, leadership.lost]);
  let { revision } = await store.list('', { limit: 1 });
  await placeWaiting(store, leadership);
  for await (const batch of store.watch('', { from: revision, signal: until })) {
    ({ revision } = batch);
    if (batch.events.some(({ key }) => isNews(key))) await placeWaiting(store, leadership);
  }
}

/** One pass: jobs one by one, each on fresh state, because each takes room. */
export async function placeWaiting(store: Store, leadership: Leadership): Promise<void> {
  while (await placeOne(store, leadership));
}

async function placeOne(store: Store, { fence, lost }: Leadership): Promise<boolean> {
  const { revision } = await store.list('', { limit: 1 });
  const seen = await look(store);
  for (const { key, value: job, modRevision } of seen.waiting) {
    const host = choose(seen, job);
    if (!host) continue;
    const claim = hostClaimKey(host.id);
    const known = await store.get(claim);
    // The claim's revision stands for all that was promised of the host: it must not be younger than what was read.
    if (known && known.modRevision > revision.revision) return !lost.aborted;
    const unchanged: Compare = known
      ? { key: claim, modRevision: known.modRevision }
      : { key: claim, is: 'absent' };
    const { pendingReason: _, ...placed } = job;
    const operations: Operation[] = [
      { put: key, value: { ...placed, host: host.id } },
      { put: claim, value: { by: schedulerName } },
    ];
    const compare: Compare[] = [fence, { key, modRevision }, unchanged];
    await store.txn({ incarnation: revision.incarnation, compare, operations });
    // Committed or not, somebody changed something: look again, as long as we lead.
    return !lost.aborted;
  }
  return false;
}

/** Pure: the cheapest host with room. */
export function choose({ hosts }: Seen, { spec }: Pick<Job, 'spec'>): Host | undefined {
  const { memoryBytes, cpuMillis } = spec.resources;
  return hosts
    .filter(({ free }) => free.memoryBytes >= memoryBytes && free.cpuMillis >= cpuMillis)
    .sort((a, b) => a.price - b.price || (a.host.id < b.host.id ? -1 : 1))[0]?.host;
}

async function look(store: Store): Promise<Seen> {
  const [hosts, alive, tags, jobs] = await Promise.all([
    readAll<Host>(store, hostPrefix),
    readAll(store, hostAlivePrefix),
    readAll<Record<string, string>>(store, hostTagsPrefix),
    readAll<Job>(store, jobPrefix),
  ]);
  const living = new Set(alive.map(({ key }) => key.slice(hostAlivePrefix.length)));
  const prices = new Map(tags.map(({ key, value }) => [key.slice(hostTagsPrefix.length), value]));
  return {
    waiting: jobs.filter(({ value }) => isOurs(value)),
    hosts: hosts
      .filter(({ value }) => living.has(value.id))
      .map(({ value: host }) => ({
        host,
        price: Number(prices.get(host.id)?.price ?? Number.POSITIVE_INFINITY),
        free: freeOf(host, jobs),
      })),
  };
}

function isOurs({ scheduler, host, desired }: Job): boolean {
  return scheduler === schedulerName && host === undefined && desired === 'up';
}

/** Every job counts until its record is removed: to promise too little is safe. */
function freeOf({ id, memoryBytes, cpuMillis }: Host, jobs: Entry<Job>[]) {
  const free = { memoryBytes, cpuMillis, pids: Number.POSITIVE_INFINITY };
  for (const { value } of jobs)
    if (value.host === id) {
      free.memoryBytes -= value.spec.resources.memoryBytes;
      free.cpuMillis -= value.spec.resources.cpuMillis;
    }
  return free;
}

function isNews(key: string): boolean {
  return [jobPrefix, hostPrefix, hostAlivePrefix, hostTagsPrefix].some((one) => key.startsWith(one));
}

async function readAll<T>(store: Store, prefix: string): Promise<Entry<T>[]> {
  const entries: Entry<T>[] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.list<T>(prefix, after === undefined ? {} : { after });
    entries.push(...page.entries);
    if (page.next === undefined) return entries;
    after = page.next;
  }
}
