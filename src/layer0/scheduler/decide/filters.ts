// Which hosts can take a job? Each filter tests and explains, so that the reason shown is the reason that decided.

import { kindOf, matchesConstraint, matchesTags } from '../state.ts';
import type { Constraint, NeighbourRule } from '../wire.ts';
import { type Demand, freeCpuMillis, freeMemoryBytes, peersOn } from './demand.ts';

interface Filter {
  /** False where the demand says nothing about it: then no host is asked. */
  isAsked(demand: Demand): boolean;
  fits(demand: Demand, slot: number): boolean;
  /** One clause about the hosts that failed here and nowhere before. */
  explain(demand: Demand, rejected: number[]): string;
}

const always = () => true;

const hostIsThere: Filter = {
  isAsked: always,
  fits: ({ board }, slot) => board.index.isThere[slot] === 1,
  explain: (demand, rejected) => `${plural(rejected.length)} away (${names(demand, rejected)})`,
};

/** Those that run on each host belong to it. */
const takesJobs: Filter = {
  isAsked: ({ board, job }) => board.isAnyDraining && job.isOnePerHost !== true,
  fits: ({ board }, slot) => board.at(slot)?.isDraining !== true,
  explain: (demand, rejected) =>
    `${plural(rejected.length)} being drained (${names(demand, rejected)})`,
};

/** A singleton has a place only when nothing of its kind may still run anywhere: no host is better than another then. */
const isTheOnlyOne: Filter = {
  isAsked: ({ job }) => job.isSingleton === true,
  fits: (demand) => holdersOf(demand).length === 0,
  explain: (demand) =>
    `only one ${demand.job.type} runs at once: waits for the end of the one on ${names(demand, holdersOf(demand))}`,
};

function holdersOf({ board, job }: Demand): number[] {
  const slots = board.ofKind(kindOf(job)).flatMap((counts) => [...counts.keys()]);
  return slots.filter((slot) => !board.isGivenUp(slot));
}

const tagsMatch: Filter = {
  isAsked: ({ tags }) => tags.length > 0,
  fits: ({ board, job }, slot) => matchesTags(board.at(slot)?.tags ?? {}, job.spec.tags),
  explain({ tags }, rejected) {
    const wanted = tags.map(([name, value]) => `${name}=${value}`).join(', ');
    return `no host matches tag ${wanted} (${plural(rejected.length)})`;
  },
};

const constraintsHold: Filter = {
  isAsked: ({ constraints }) => constraints.length > 0,
  fits({ board, constraints }, slot) {
    const tags = board.at(slot)?.tags ?? {};
    return constraints.every((constraint) => matchesConstraint(tags, constraint));
  },
  explain({ constraints }, rejected) {
    const wanted = constraints.map(sayConstraint).join(', ');
    return `no host has ${wanted} (${plural(rejected.length)})`;
  },
};

const isAlone: Filter = {
  isAsked: ({ job }) => job.isOnePerHost === true,
  fits: (demand, slot) => peersOn(demand, slot) === 0,
  explain: (demand, rejected) =>
    `one ${demand.job.type} runs there already (${names(demand, rejected)})`,
};

const isNear: Filter = {
  isAsked: ({ near }) => near.some(({ rule }) => rule.isRequired),
  fits: (demand, slot) =>
    demand.near.every(
      ({ rule, slots }) => !rule.isRequired || slots.has(slot) || isFirst(demand, rule, slots),
    ),
  explain(demand, rejected) {
    const wanted = demand.near.filter(({ rule }) => rule.isRequired).map(sayNeighbour);
    return `it must be near ${wanted.join(', ')} (not on ${names(demand, rejected)})`;
  },
};

/** A job that must be near its own kind can be the first of it. */
function isFirst({ job }: Demand, { app, type }: NeighbourRule, slots: Set<number>): boolean {
  return slots.size === 0 && type === job.type && (app ?? job.app) === job.app;
}

const isApart: Filter = {
  isAsked: ({ apart }) => apart.some(({ rule }) => rule.isRequired),
  fits: ({ apart }, slot) => !apart.some(({ rule, slots }) => rule.isRequired && slots.has(slot)),
  explain(demand, rejected) {
    const wanted = demand.apart.filter(({ rule }) => rule.isRequired).map(sayNeighbour);
    return `it must be apart from ${wanted.join(', ')} (on ${names(demand, rejected)})`;
  },
};

/** The rule of those that are there counts as much as its own. */
const isTolerated: Filter = {
  isAsked: ({ refusing: [observed, planned] }) => observed.size > 0 || planned.size > 0,
  fits: ({ refusing: [observed, planned] }, slot) => !observed.has(slot) && !planned.has(slot),
  explain: (demand, rejected) =>
    `a job must be apart from ${demand.job.type} (on ${names(demand, rejected)})`,
};

const portsAreFree: Filter = {
  isAsked: ({ ports }) => ports.length > 0,
  fits: ({ board, ports }, slot) => ports.every((port) => !board.hasPort(slot, port)),
  explain(demand, rejected) {
    const { board, ports } = demand;
    const taken = ports.filter((port) => rejected.some((slot) => board.hasPort(slot, port)));
    return `port ${taken.join(', ')} is taken on ${names(demand, rejected)}`;
  },
};

const memoryFits: Filter = {
  isAsked: always,
  fits: (demand, slot) => freeMemoryBytes(demand, slot) >= demand.memoryBytes,
  explain(demand, rejected) {
    const best = largest(rejected, (slot) => freeMemoryBytes(demand, slot));
    const free = formatBytes(freeMemoryBytes(demand, best));
    const needs = formatBytes(demand.memoryBytes);
    return `not enough memory: needs ${needs}, ${free} free on ${atMost(demand, best, rejected)}`;
  },
};

const cpuFits: Filter = {
  isAsked: always,
  fits: (demand, slot) => freeCpuMillis(demand, slot) >= demand.cpuMillis,
  explain(demand, rejected) {
    const best = largest(rejected, (slot) => freeCpuMillis(demand, slot));
    const free = Math.max(0, Math.floor(freeCpuMillis(demand, best)));
    const where = atMost(demand, best, rejected);
    return `not enough cpu: needs ${demand.cpuMillis}m, ${free}m free on ${where}`;
  },
};

const pidsFit: Filter = {
  isAsked: always,
  fits: ({ board, pids, limits }, slot) => limits.pidsPerHost - board.pids(slot) >= pids,
  explain(demand, rejected) {
    const { board, pids, limits } = demand;
    const best = largest(rejected, (slot) => -board.pids(slot));
    const free = Math.max(0, limits.pidsPerHost - board.pids(best));
    const where = atMost(demand, best, rejected);
    return `not enough process ids: needs ${pids}, ${free} free on ${where}`;
  },
};

/** In this order a host is asked, and the first refusal is the one that is told. */
const filters: Filter[] = [
  hostIsThere,
  isTheOnlyOne,
  takesJobs,
  tagsMatch,
  constraintsHold,
  isAlone,
  isNear,
  isApart,
  isTolerated,
  portsAreFree,
  memoryFits,
  cpuFits,
  pidsFit,
];

/** What `PlanBoard.nextWithRoom` looks at. */
const roomFilters = [hostIsThere, memoryFits, cpuFits, pidsFit];
const otherFilters = filters.filter((filter) => !roomFilters.includes(filter));

/** Tests a host that has room; undefined where any such host will do. */
export function besidesRoom(demand: Demand): ((slot: number) => boolean) | undefined {
  const asked = otherFilters.filter((filter) => filter.isAsked(demand));
  if (asked.length === 0) return undefined;
  return (slot) => asked.every((filter) => filter.fits(demand, slot));
}

/** Tests any host. */
export function fitting(demand: Demand): (slot: number) => boolean {
  const asked = filters.filter((filter) => filter.isAsked(demand));
  return (slot) => asked.every((filter) => filter.fits(demand, slot));
}

/** Why no host takes the job, one clause for each filter that refused some; what is most telling comes first. */
export function explain(demand: Demand): string {
  const { board } = demand;
  const asked = filters.filter((filter) => filter.isAsked(demand));
  const refused = new Map<Filter, number[]>();
  for (let slot = 0; slot < board.size; slot++) {
    const filter = board.at(slot) && asked.find((one) => !one.fits(demand, slot));
    if (!filter) continue;
    const rejected = refused.get(filter);
    if (rejected) rejected.push(slot);
    else refused.set(filter, [slot]);
  }
  if (refused.size === 0) return 'there is no host yet';
  return [...filters]
    .reverse()
    .flatMap((filter) => {
      const rejected = refused.get(filter);
      return rejected ? [filter.explain(demand, rejected)] : [];
    })
    .join('; ');
}

function sayConstraint({ tag, operator, values = [] }: Constraint): string {
  if (operator === 'exists') return `tag ${tag}`;
  if (operator === 'absent') return `no tag ${tag}`;
  return `${tag} ${operator === 'in' ? 'in' : 'not in'} ${values.join('|')}`;
}

function sayNeighbour({ rule: { app, type } }: { rule: NeighbourRule }): string {
  return app === undefined ? type : `${type} of ${app}`;
}

function largest(slots: number[], value: (slot: number) => number): number {
  return slots.reduce((best, slot) => (value(slot) > value(best) ? slot : best));
}

function nameOf({ board }: Demand, slot: number): string {
  return board.at(slot)?.name ?? '';
}

function atMost(demand: Demand, best: number, rejected: number[]): string {
  const name = nameOf(demand, best);
  return rejected.length === 1 ? name : `${name}, the best of ${rejected.length} hosts`;
}

function names(demand: Demand, slots: number[]): string {
  const shown = slots
    .map((slot) => nameOf(demand, slot))
    .sort()
    .slice(0, 3);
  const more = slots.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function plural(count: number): string {
  return count === 1 ? '1 host' : `${count} hosts`;
}

/** 1024-based, one decimal where it says something. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}
