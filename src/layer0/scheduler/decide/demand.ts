// What one job asks of a host, unfolded once before it is tested against many.

import type { Claimant } from '../host-index.ts';
import type { Counts } from '../neighbours.ts';
import { groupOf, hostPortsOf, kindOf } from '../state.ts';
import type { Constraint, NeighbourRule } from '../wire.ts';
import type { PlanBoard, Room } from './plan-board.ts';
import type { PlacementLimits } from './steps.ts';

export interface Demand extends Room {
  board: PlanBoard;
  job: Claimant;
  group: string;
  ports: string[];
  tags: [string, string][];
  constraints: Constraint[];
  limits: PlacementLimits;
  /** Jobs of its group, observed and planned. */
  peers: [Counts, Counts];
  /** Hosts of jobs that must be apart from this one. */
  refusing: [Counts, Counts];
  near: Neighbourhood[];
  apart: Neighbourhood[];
  /** With `spreadBy`: the tag's value to how many of the group are on hosts with it. */
  peersByTag: { tag: string; counts: Map<string, number> } | undefined;
}

/** One rule and where the jobs are that it is about. */
export interface Neighbourhood {
  rule: NeighbourRule;
  slots: Set<number>;
}

export function demandOf(board: PlanBoard, job: Claimant, limits: PlacementLimits): Demand {
  const { memoryBytes, cpuMillis, pids } = job.spec.resources;
  const { constraints = [], near = [], apart = [], spreadBy } = job.rules ?? {};
  const group = groupOf(job);
  const peers = board.ofGroup(group);
  const neighbourhood = (rule: NeighbourRule) => ({ rule, slots: slotsOf(board, job, rule) });
  return {
    board,
    job,
    group,
    memoryBytes,
    cpuMillis,
    pids,
    constraints,
    limits,
    peers,
    ports: hostPortsOf(job.spec),
    tags: Object.entries(job.spec.tags),
    memoryFactor: limits.memoryOvercommitPercent / 100,
    cpuFactor: limits.cpuOvercommitPercent / 100,
    pidsPerHost: limits.pidsPerHost,
    refusing: board.refusing(kindOf(job)),
    near: near.map(neighbourhood),
    apart: apart.map(neighbourhood),
    peersByTag: spreadBy === undefined ? undefined : countByTag(board, peers, spreadBy),
  };
}

/** How many of the job's group the host has. */
export function peersOn({ peers: [observed, planned] }: Demand, slot: number): number {
  const count = observed.size === 0 ? 0 : (observed.get(slot) ?? 0);
  return planned.size === 0 ? count : count + (planned.get(slot) ?? 0);
}

/** Of the tag over which the group is spread; the same for all where it is over none. */
export function tagValueOf({ board, peersByTag }: Demand, slot: number): string {
  return peersByTag ? (board.at(slot)?.tags[peersByTag.tag] ?? '') : '';
}

/** As many of the group as hosts with the same value of the tag have; hosts without the tag are one kind, too. */
export function peersBesides(demand: Demand, slot: number): number {
  return demand.peersByTag?.counts.get(tagValueOf(demand, slot)) ?? 0;
}

export function freeMemoryBytes({ board, memoryFactor }: Demand, slot: number): number {
  return (board.index.offeredMemoryBytes[slot] ?? 0) * memoryFactor - board.memoryBytes(slot);
}

export function freeCpuMillis({ board, cpuFactor }: Demand, slot: number): number {
  return (board.index.offeredCpuMillis[slot] ?? 0) * cpuFactor - board.cpuMillis(slot);
}

function slotsOf(board: PlanBoard, job: Claimant, { app = job.app, type }: NeighbourRule) {
  const slots = new Set<number>();
  for (const counts of board.ofKind(kindOf({ app, type })))
    for (const slot of counts.keys()) slots.add(slot);
  return slots;
}

function countByTag(board: PlanBoard, peers: Counts[], tag: string) {
  const counts = new Map<string, number>();
  for (const hosts of peers)
    for (const [slot, count] of hosts) {
      const value = board.at(slot)?.tags[tag] ?? '';
      counts.set(value, (counts.get(value) ?? 0) + count);
    }
  return { tag, counts };
}
