// The cluster as it will be once the steps planned so far are done: the index as observed, and beside it what is planned.

import type { ClusterState, KnownClaim } from '../cluster-state.ts';
import type { Claimant, HostIndex, KnownHost } from '../host-index.ts';
import { type Counts, Neighbours } from '../neighbours.ts';
import type { Needs } from '../room-bounds.ts';
import { hostPortsOf } from '../state.ts';
import { hostClaimKey } from '../wire.ts';
import { isLost, type Patience } from './lost-hosts.ts';

/** What the steps so far add to one host. */
export interface Planned {
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  jobs: number;
  ports: string[];
}

/** What a host must still have to be worth a closer look. */
export interface Room extends Needs {
  pids: number;
  pidsPerHost: number;
}

const nothing: Planned = { memoryBytes: 0, cpuMillis: 0, pids: 0, jobs: 0, ports: [] };

export class PlanBoard {
  readonly index: HostIndex;
  /** Whether some host gives its jobs away. */
  readonly isAnyDraining: boolean;
  /** By slot: 1 where something is planned. Looked at for every host, so a Map alone would be slow. */
  isPlanned: Uint8Array | undefined;
  readonly #hosts: ReadonlyMap<string, KnownHost>;
  readonly #claims: ReadonlyMap<string, KnownClaim>;
  readonly #given: ReadonlySet<number>;
  readonly #planned = new Map<number, Planned>();
  readonly #neighbours = new Neighbours();

  /** Without `patience` no host counts as lost. */
  constructor(state: ClusterState, patience?: Patience) {
    this.index = state.index;
    this.#hosts = state.hosts;
    this.#claims = state.claims;
    this.isAnyDraining = state.draining.size > 0;
    const lost = patience ? [...state.away].filter(({ id }) => isLost(state, id, patience)) : [];
    this.#given = new Set(lost.map(({ slot }) => slot));
  }

  /** Lost: what ran there has been ended by its own fence, or is given up. */
  isGivenUp(slot: number): boolean {
    return this.#given.has(slot);
  }

  /** Slots go from 0 to size - 1; some may be empty. */
  get size(): number {
    return this.index.size;
  }

  at(slot: number): KnownHost | undefined {
    return this.index.at(slot);
  }

  slotOf(hostId: string): number | undefined {
    return this.#hosts.get(hostId)?.slot;
  }

  add(hostId: string, job: Claimant): void {
    const slot = this.#hosts.get(hostId)?.slot;
    if (slot === undefined) return;
    this.isPlanned ??= new Uint8Array(this.size);
    this.isPlanned[slot] = 1;
    const { memoryBytes, cpuMillis, pids } = job.spec.resources;
    const before = this.#planned.get(slot) ?? nothing;
    this.#planned.set(slot, {
      memoryBytes: before.memoryBytes + memoryBytes,
      cpuMillis: before.cpuMillis + cpuMillis,
      pids: before.pids + pids,
      jobs: before.jobs + 1,
      ports: [...before.ports, ...hostPortsOf(job.spec)],
    });
    this.#neighbours.count(job, slot, 1);
  }

  memoryBytes(slot: number): number {
    return (this.index.memoryBytes[slot] ?? 0) + this.plannedOn(slot).memoryBytes;
  }

  cpuMillis(slot: number): number {
    return (this.index.cpuMillis[slot] ?? 0) + this.plannedOn(slot).cpuMillis;
  }

  pids(slot: number): number {
    return (this.index.pids[slot] ?? 0) + this.plannedOn(slot).pids;
  }

  jobs(slot: number): number {
    return (this.index.jobs[slot] ?? 0) + this.plannedOn(slot).jobs;
  }

  /** The revision at which the service scheduler promised something of it, when nobody else did since; 0 otherwise. */
  servedAt(slot: number): number {
    const known = this.#claims.get(hostClaimKey(this.at(slot)?.id ?? ''));
    return known?.claim.by === 'service' ? known.modRevision : 0;
  }

  /**
   * The first slot from `from` on, and before `to`, whose host is there and has room; -1 when there is none. The same as
   * the filters of that name (decide/filters.ts) say, in one loop over the columns: most of a scan of all hosts is here.
   */
  nextWithRoom(room: Room, from: number, to: number): number {
    const { bounds } = this.index;
    for (let start = bounds.skipFull(room, from); start < to; ) {
      const end = bounds.endOf(start);
      const slot = this.#nextBetween(room, start, Math.min(end, to));
      if (slot !== -1) return slot;
      if (bounds.isBeginning(start)) bounds.find(room, start, this.index);
      start = bounds.skipFull(room, end);
    }
    return -1;
  }

  #nextBetween(room: Room, from: number, to: number): number {
    const { isThere, offeredMemoryBytes, offeredCpuMillis, memoryBytes, cpuMillis, pids } =
      this.index;
    const isPlanned = this.isPlanned;
    for (let slot = from; slot < to; slot++) {
      if (isThere[slot] !== 1) continue;
      const planned = isPlanned?.[slot] === 1 ? this.plannedOn(slot) : nothing;
      const memory = (memoryBytes[slot] ?? 0) + planned.memoryBytes + room.memoryBytes;
      if (memory > (offeredMemoryBytes[slot] ?? 0) * room.memoryFactor) continue;
      const cpu = (cpuMillis[slot] ?? 0) + planned.cpuMillis + room.cpuMillis;
      if (cpu > (offeredCpuMillis[slot] ?? 0) * room.cpuFactor) continue;
      if ((pids[slot] ?? 0) + planned.pids + room.pids <= room.pidsPerHost) return slot;
    }
    return -1;
  }

  /** What is promised once the room is taken, of the scarcer of memory and cpu: 1 is all that may be. */
  shareWith(room: Room, slot: number): number {
    const { offeredMemoryBytes, offeredCpuMillis, memoryBytes, cpuMillis } = this.index;
    const planned = this.plannedOn(slot);
    const memory = (memoryBytes[slot] ?? 0) + planned.memoryBytes + room.memoryBytes;
    const cpu = (cpuMillis[slot] ?? 0) + planned.cpuMillis + room.cpuMillis;
    return Math.max(
      memory / ((offeredMemoryBytes[slot] || 1) * room.memoryFactor),
      cpu / ((offeredCpuMillis[slot] || 1) * room.cpuFactor),
    );
  }

  hasPort(slot: number, port: string): boolean {
    return this.at(slot)?.ports.has(port) === true || this.plannedOn(slot).ports.includes(port);
  }

  /** Two maps, observed and planned: a slot's count is the sum. */
  ofGroup(group: string): [Counts, Counts] {
    return [this.index.neighbours.ofGroup(group), this.#neighbours.ofGroup(group)];
  }

  ofKind(kind: string): Counts[] {
    return [...this.index.neighbours.ofKind(kind), ...this.#neighbours.ofKind(kind)];
  }

  refusing(kind: string): [Counts, Counts] {
    return [this.index.neighbours.refusing(kind), this.#neighbours.refusing(kind)];
  }

  plannedOn(slot: number): Planned {
    if (this.isPlanned === undefined || this.isPlanned[slot] === 0) return nothing;
    return this.#planned.get(slot) ?? nothing;
  }
}
