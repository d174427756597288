// All hosts as placement sees them, column by column: what each offers, what its jobs have been promised, how busy it is.
// Kept up to date entry by entry. A host keeps its slot for as long as it is known, so that slots can be written down.

import type { Host } from '#layer0/host/wire';
import type { Compare } from '#layer0/store/client';
import { Neighbours } from './neighbours.ts';
import { RoomBounds } from './room-bounds.ts';
import { hostPortsOf } from './state.ts';
import { hostIdTag, type Job } from './wire.ts';

/** What placement reads of a job, written or only planned. */
export type Claimant = Pick<
  Job,
  | 'app'
  | 'release'
  | 'type'
  | 'spec'
  | 'isOnePerHost'
  | 'isSingleton'
  | 'placement'
  | 'rules'
  | 'scheduler'
>;

/** The part of a host that is no number. */
export class KnownHost {
  readonly id: string;
  readonly slot: number;
  record: Host | undefined;
  /** What an operator says about it, and its own id. */
  tags: Readonly<Record<string, string>>;
  /** Monotonic time since when its lease is gone; undefined while it has it. */
  awaySince: number | undefined;
  /** The reports by which its machine does not answer those that listen for it; undefined while it does. */
  silentBy: readonly Compare[] | undefined;
  /** When its drain began, unix time in milliseconds; undefined while there is none. */
  drainSince: number | undefined;
  /** Job records that name it, ended ones too. */
  records = 0;
  /** `80/tcp` to how many of its jobs have it. */
  readonly ports = new Map<string, number>();

  constructor(id: string, slot: number, awaySince: number) {
    this.id = id;
    this.slot = slot;
    this.awaySince = awaySince;
    this.tags = { [hostIdTag]: id };
  }

  /** It gets no jobs, and those it has go elsewhere; one-per-host jobs belong to it. */
  get isDraining(): boolean {
    return this.drainSince !== undefined;
  }

  get hasLease(): boolean {
    return this.awaySince === undefined;
  }

  /** As far as anybody knows. */
  get isAlive(): boolean {
    return this.hasLease && !this.silentBy;
  }

  get name(): string {
    return this.record?.name ?? this.id;
  }
}

const firstCapacity = 16;

export class HostIndex {
  /** 1 where a host is alive and has its record. */
  isThere = new Uint8Array(firstCapacity);
  offeredMemoryBytes = new Float64Array(firstCapacity);
  offeredCpuMillis = new Float64Array(firstCapacity);
  /** Promised to jobs that have not ended, like the next three. */
  memoryBytes = new Float64Array(firstCapacity);
  cpuMillis = new Float64Array(firstCapacity);
  pids = new Float64Array(firstCapacity);
  jobs = new Int32Array(firstCapacity);
  /** Of these, those that want to be together. */
  packedJobs = new Int32Array(firstCapacity);
  /** As the host measured it, from 0 to 100; 0 while it says nothing. */
  busyPercent = new Uint8Array(firstCapacity);
  readonly neighbours = new Neighbours();
  readonly bounds = new RoomBounds();
  readonly #hosts: (KnownHost | undefined)[] = [];
  readonly #free: number[] = [];

  /** Slots go from 0 to size - 1; some may be empty. */
  get size(): number {
    return this.#hosts.length;
  }

  at(slot: number): KnownHost | undefined {
    return this.#hosts[slot];
  }

  enter(id: string, awaySince: number): KnownHost {
    const slot = this.#free.pop() ?? this.#hosts.length;
    const host = new KnownHost(id, slot, awaySince);
    this.#hosts[slot] = host;
    if (slot >= this.isThere.length) this.#grow();
    return host;
  }

  /** A host without jobs is forgotten: its slot is the next one's. */
  leave({ slot }: KnownHost): void {
    this.#hosts[slot] = undefined;
    this.isThere[slot] = 0;
    this.busyPercent[slot] = 0;
    this.#free.push(slot);
  }

  /** After its record or its lease changed. */
  refresh({ slot, isAlive, record }: KnownHost): void {
    this.isThere[slot] = isAlive && record ? 1 : 0;
    this.bounds.forget(slot);
    this.offeredMemoryBytes[slot] = record?.memoryBytes ?? 0;
    this.offeredCpuMillis[slot] = record?.cpuMillis ?? 0;
  }

  add(host: KnownHost, job: Claimant): void {
    this.#count(host, job, 1);
    this.bounds.noteTaken(host.slot);
  }

  remove(host: KnownHost, job: Claimant): void {
    this.#count(host, job, -1);
    this.bounds.forget(host.slot);
  }

  #count({ slot, ports }: KnownHost, job: Claimant, sign: 1 | -1): void {
    const { memoryBytes, cpuMillis, pids } = job.spec.resources;
    this.memoryBytes[slot] = (this.memoryBytes[slot] ?? 0) + sign * memoryBytes;
    this.cpuMillis[slot] = (this.cpuMillis[slot] ?? 0) + sign * cpuMillis;
    this.pids[slot] = (this.pids[slot] ?? 0) + sign * pids;
    this.jobs[slot] = (this.jobs[slot] ?? 0) + sign;
    if (job.placement === 'binpack') this.packedJobs[slot] = (this.packedJobs[slot] ?? 0) + sign;
    this.neighbours.count(job, slot, sign);
    for (const port of hostPortsOf(job.spec)) {
      const count = (ports.get(port) ?? 0) + sign;
      if (count > 0) ports.set(port, count);
      else ports.delete(port);
    }
  }

  #grow(): void {
    const capacity = 2 * this.isThere.length;
    this.isThere = longer(this.isThere, new Uint8Array(capacity));
    this.offeredMemoryBytes = longer(this.offeredMemoryBytes, new Float64Array(capacity));
    this.offeredCpuMillis = longer(this.offeredCpuMillis, new Float64Array(capacity));
    this.memoryBytes = longer(this.memoryBytes, new Float64Array(capacity));
    this.cpuMillis = longer(this.cpuMillis, new Float64Array(capacity));
    this.pids = longer(this.pids, new Float64Array(capacity));
    this.jobs = longer(this.jobs, new Int32Array(capacity));
    this.packedJobs = longer(this.packedJobs, new Int32Array(capacity));
    this.busyPercent = longer(this.busyPercent, new Uint8Array(capacity));
  }
}

type Column = Uint8Array | Int32Array | Float64Array;

function longer<T extends Column>(column: T, to: T): T {
  to.set(column);
  return to;
}
