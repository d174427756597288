// May an instance that drains be stopped? Yes when every living consumer has applied the mark and none is busy with it.

import type { Consumer } from '../wire.ts';

interface Position {
  incarnation: string;
  revision: number;
}

export interface DrainQuestion {
  /** Handle of the draining instance: its job. */
  handle: string;
  /** The commit that marked it, as seen together with `consumers`; undefined when it is not seen yet. */
  marked: Position | undefined;
  consumers: Consumer[];
  /** Whether a machine has been silent for so long that its consumers cannot be expected to answer. */
  isLost(machine: string): boolean;
}

export interface DrainAnswer {
  mayStop: boolean;
  /** One sentence per reason to wait. */
  waitsFor: string[];
  /** It waits for consumers on lost machines, and for nobody else. */
  isForLostOnly: boolean;
}

export function decideDrain({ handle, marked, consumers, isLost }: DrainQuestion): DrainAnswer {
  if (!marked)
    return {
      mayStop: false,
      isForLostOnly: false,
      waitsFor: ['the draining mark is not in the store yet'],
    };
  const waitsFor: string[] = [];
  let isForLostOnly = true;
  for (const consumer of consumers) {
    const applied = { incarnation: consumer.incarnation, revision: consumer.appliedRevision };
    const isBehind = !hasReached(applied, marked);
    if (!isBehind && !consumer.busy.includes(handle)) continue;
    const isAway = consumer.machine !== undefined && isLost(consumer.machine);
    isForLostOnly &&= isAway;
    if (isAway) waitsFor.push(`${consumer.id} is on a machine that is lost`);
    else if (isBehind) waitsFor.push(`${consumer.id} still sends it requests`);
    else waitsFor.push(`${consumer.id} has requests in flight`);
  }
  const mayStop = waitsFor.length === 0;
  return { mayStop, waitsFor, isForLostOnly: isForLostOnly && !mayStop };
}

function hasReached(position: Position, mark: Position): boolean {
  return position.incarnation === mark.incarnation && position.revision >= mark.revision;
}
