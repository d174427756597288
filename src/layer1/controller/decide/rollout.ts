// How many of each process type should the formations of an app hold next, on the way from where they are to one release?
// Holds: the healthy ones of all releases never get fewer than wanted by a step taken here (but of a singleton, and of types
// with ports of the machine); a step waits for the health of the one before.

import type { Deployment } from '../wire.ts';

/** One process type of one formation, as it is. One-per-host types are counted in whole sets: 0 or 1. */
export interface TypeCount {
  /** What the formation asks for. */
  quantity: number;
  /** Jobs that are meant to run. */
  live: number;
  /** Of these, up and healthy for long enough. */
  healthy: number;
}

export type Counts = Readonly<Record<string, TypeCount>>;
export type Quantities = Record<string, number>;

export interface RolloutView {
  /** Of the target's process types. */
  wanted: Readonly<Record<string, number>>;
  /** The release that is to run alone in the end; its counts are empty before it has a formation. */
  target: Counts;
  /** Every other formation of the app, by release. */
  others: ReadonlyMap<string, Counts>;
  strategy: Deployment['strategy'];
  batchSize: number;
  /** Back to an old release: starts all at once, and takes away what is not healthy first, to make room. */
  isRollback: boolean;
  /** Of which only one may run at once: the old one ends before the new one begins. */
  singletons?: ReadonlySet<string>;
  /** Old and new have the same ports of a machine: as many old ones end as new ones begin, never more than wanted. */
  exclusive?: ReadonlySet<string>;
}

export interface RolloutPlan {
  target: Quantities;
  /** Same releases as in the view. */
  others: Map<string, Quantities>;
  /** Everything wanted is healthy and nothing else is asked for. */
  isDone: boolean;
}

/** Counts what is certain: a formation that was just made smaller may lose healthy ones first. */
export function certainlyHealthy({ quantity, live, healthy }: TypeCount): number {
  return Math.max(0, healthy - Math.max(0, live - quantity));
}

export function planRollout(view: RolloutView): RolloutPlan {
  const target: Quantities = {};
  const others = new Map([...view.others.keys()].map((release) => [release, {} as Quantities]));
  let isDone = true;
  for (const [type, wanted] of Object.entries(view.wanted)) {
    const move = moveType(view, type, wanted);
    target[type] = move.target;
    spread(view, type, move.others).forEach((quantity, release) => {
      (others.get(release) ?? {})[type] = quantity;
    });
    if (!move.isDone) isDone = false;
  }
  // Types that the target does not have stop last: a rollback would need them back.
  for (const [release, counts] of view.others) {
    for (const [type, { quantity }] of Object.entries(counts)) {
      if (type in view.wanted) continue;
      (others.get(release) ?? {})[type] = isDone ? 0 : quantity;
    }
  }
  return { target, others, isDone: isDone && isEmpty(view.others) };
}

interface Move {
  target: number;
  /** Of all other formations together. */
  others: number;
  isDone: boolean;
}

const none: TypeCount = { quantity: 0, live: 0, healthy: 0 };

function moveType(view: RolloutView, type: string, wanted: number): Move {
  const now = view.target[type] ?? none;
  const old = sum(view, type);
  const fresh = certainlyHealthy(now);
  // The scheduler has the new one wait until the old one has ended.
  if (view.singletons?.has(type))
    return { target: wanted, others: 0, isDone: now.quantity >= wanted && fresh >= wanted };
  // It was made smaller a moment ago, and who goes is being decided: grown now, it would count on those.
  if (now.live > now.quantity && wanted > now.quantity)
    return { target: now.quantity, others: old.quantity, isDone: false };
  const target = Math.min(now.quantity, wanted);
  if (target >= wanted && fresh >= wanted) return { target, others: 0, isDone: true };
  if (view.exclusive?.has(type)) {
    const next = fresh >= target ? Math.min(wanted, target + stepOf(view, target, wanted)) : target;
    const others = Math.min(view.isRollback ? old.hopeful : old.quantity, wanted - next);
    return { target: next, others, isDone: false };
  }
  const stoppable = stoppableOf(view, { fresh, wanted, old });
  if (stoppable > 0) return { target, others: old.quantity - stoppable, isDone: false };
  const isSettled = fresh >= target;
  const step = old.quantity === 0 ? wanted : stepOf(view, target, wanted);
  const grown = isSettled || view.isRollback ? Math.min(wanted, target + step) : target;
  return { target: grown, others: old.quantity, isDone: false };
}

interface Balance {
  fresh: number;
  wanted: number;
  old: Sum;
}

interface Sum {
  quantity: number;
  /** Certainly. */
  healthy: number;
  /** As many as there will be when those that are not healthy are stopped first, as schedulers do. */
  hopeful: number;
}

function stoppableOf(view: RolloutView, { fresh, wanted, old }: Balance): number {
  const enough = Math.max(0, Math.min(old.quantity, fresh + old.healthy - wanted));
  if (view.isRollback) return old.quantity - old.hopeful || enough;
  if (view.strategy === 'all-at-once') return 0;
  return enough;
}

/** How many more start at once, when so many of the target have been started and are steady. */
function stepOf(view: RolloutView, started: number, wanted: number): number {
  if (view.isRollback) return wanted;
  switch (view.strategy) {
    case 'all-at-once':
      return wanted;
    case 'in-batches':
      return view.batchSize;
    case 'rolling':
      return started === 0 ? 1 : Math.ceil(wanted / 4);
    case 'one-by-one':
      return 1;
  }
}

function sum(view: RolloutView, type: string): Sum {
  const total = { quantity: 0, healthy: 0, hopeful: 0 };
  for (const counts of view.others.values()) {
    const count = counts[type] ?? none;
    total.quantity += count.quantity;
    total.healthy += certainlyHealthy(count);
    total.hopeful += Math.min(count.quantity, count.healthy);
  }
  return total;
}

/** Takes what must go: from every formation what is not healthy, then the rest from the first ones. */
function spread(view: RolloutView, type: string, keep: number): Map<string, number> {
  const counts = [...view.others].flatMap(([release, types]) => {
    const count = types[type];
    return count ? [{ release, count }] : [];
  });
  const result = new Map(counts.map(({ release, count }) => [release, count.quantity]));
  let excess = [...result.values()].reduce((sum, quantity) => sum + quantity, 0) - keep;
  const take = (release: string, most: number) => {
    const gone = Math.max(0, Math.min(most, excess, result.get(release) ?? 0));
    excess -= gone;
    result.set(release, (result.get(release) ?? 0) - gone);
  };
  for (const { release, count } of counts) take(release, count.quantity - count.healthy);
  for (const { release, count } of counts) take(release, count.quantity);
  return result;
}

function isEmpty(others: RolloutView['others']): boolean {
  const counts = [...others.values()].flatMap((types) => Object.values(types));
  return counts.every(({ quantity }) => quantity === 0);
}
