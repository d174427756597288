// One host as placement sees it: what it offers, what its jobs have been promised, and whether it is there.

import type { Host } from '#layer0/host/wire';
import { groupOf, hostPortsOf } from './state.ts';
import type { Job } from './wire.ts';

/** What placement reads of a job, written or only planned. */
export type Claimant = Pick<
  Job,
  'app' | 'release' | 'type' | 'spec' | 'isOnePerHost' | 'placement'
>;

export class HostUsage {
  readonly id: string;
  record: Host | undefined;
  tags: Record<string, string> = {};
  /** Monotonic time since when its lease is gone; undefined while it is alive. */
  awaySince: number | undefined;
  memoryBytes = 0;
  cpuMillis = 0;
  pids = 0;
  /** Jobs that have not ended. */
  jobs = 0;
  /** Job records that name it, ended ones too. */
  records = 0;
  /** Where it is in the state's list of hosts. */
  place = 0;
  readonly ports = new Map<string, number>();
  readonly groups = new Map<string, number>();

  constructor(id: string, awaySince: number) {
    this.id = id;
    this.awaySince = awaySince;
  }

  get isAlive(): boolean {
    return this.awaySince === undefined;
  }

  get name(): string {
    return this.record?.name ?? this.id;
  }

  add(job: Claimant): void {
    this.#count(job, 1);
  }

  remove(job: Claimant): void {
    this.#count(job, -1);
  }

  /** A copy to plan on. */
  clone(): HostUsage {
    const copy = new HostUsage(this.id, 0);
    copy.awaySince = this.awaySince;
    copy.record = this.record;
    copy.tags = this.tags;
    copy.memoryBytes = this.memoryBytes;
    copy.cpuMillis = this.cpuMillis;
    copy.pids = this.pids;
    copy.jobs = this.jobs;
    copy.records = this.records;
    for (const [port, count] of this.ports) copy.ports.set(port, count);
    for (const [group, count] of this.groups) copy.groups.set(group, count);
    return copy;
  }

  #count(job: Claimant, sign: 1 | -1): void {
    const { memoryBytes, cpuMillis, pids } = job.spec.resources;
    this.memoryBytes += sign * memoryBytes;
    this.cpuMillis += sign * cpuMillis;
    this.pids += sign * pids;
    this.jobs += sign;
    tally(this.groups, groupOf(job), sign);
    for (const port of hostPortsOf(job.spec)) tally(this.ports, port, sign);
  }
}

function tally(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
