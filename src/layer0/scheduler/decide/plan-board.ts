// The cluster as it will be once the steps planned so far are done: the index as observed, and beside it what is planned.

import type { ClusterState } from '../cluster-state.ts';
import type { Claimant, HostIndex, KnownHost } from '../host-index.ts';
import { type Counts, Neighbours } from '../neighbours.ts';
import { hostPortsOf } from '../state.ts';

/** What the steps so far add to one host. */
interface Planned {
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  jobs: number;
  ports: string[];
}

const nothing: Planned = { memoryBytes: 0, cpuMillis: 0, pids: 0, jobs: 0, ports: [] };

export class PlanBoard {
  readonly index: HostIndex;
  readonly #hosts: ReadonlyMap<string, KnownHost>;
  readonly #planned = new Map<number, Planned>();
  readonly #neighbours = new Neighbours();
  /** By slot: 1 where something is planned. Looked at for every host, so a Map alone would be slow. */
  #isPlanned: Uint8Array | undefined;

  constructor({ index, hosts }: ClusterState) {
    this.index = index;
    this.#hosts = hosts;
  }

  /** Slots go from 0 to size - 1; some may be empty. */
  get size(): number {
    return this.index.size;
  }

  at(slot: number): KnownHost | undefined {
    return this.index.at(slot);
  }

  add(hostId: string, job: Claimant): void {
    const slot = this.#hosts.get(hostId)?.slot;
    if (slot === undefined) return;
    this.#isPlanned ??= new Uint8Array(this.size);
    this.#isPlanned[slot] = 1;
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
    return (this.index.memoryBytes[slot] ?? 0) + this.#plannedOn(slot).memoryBytes;
  }

  cpuMillis(slot: number): number {
    return (this.index.cpuMillis[slot] ?? 0) + this.#plannedOn(slot).cpuMillis;
  }

  pids(slot: number): number {
    return (this.index.pids[slot] ?? 0) + this.#plannedOn(slot).pids;
  }

  jobs(slot: number): number {
    return (this.index.jobs[slot] ?? 0) + this.#plannedOn(slot).jobs;
  }

  hasPort(slot: number, port: string): boolean {
    return this.at(slot)?.ports.has(port) === true || this.#plannedOn(slot).ports.includes(port);
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

  #plannedOn(slot: number): Planned {
    if (this.#isPlanned === undefined || this.#isPlanned[slot] === 0) return nothing;
    return this.#planned.get(slot) ?? nothing;
  }
}
