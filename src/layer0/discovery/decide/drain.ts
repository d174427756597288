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
}

export interface DrainAnswer {
  mayStop: boolean;
  /** One sentence per reason to wait. */
  waitsFor: string[];
}

export function decideDrain({ handle, marked, consumers }: DrainQuestion): DrainAnswer {
  if (!marked) return { mayStop: false, waitsFor: ['the draining mark is not in the store yet'] };
  const waitsFor: string[] = [];
  for (const consumer of consumers) {
    const applied = { incarnation: consumer.incarnation, revision: consumer.appliedRevision };
    if (!hasReached(applied, marked)) waitsFor.push(`${consumer.id} still sends it requests`);
    else if (consumer.busy.includes(handle)) waitsFor.push(`${consumer.id} has requests in flight`);
  }
  return { mayStop: waitsFor.length === 0, waitsFor };
}

function hasReached(position: Position, mark: Position): boolean {
  return position.incarnation === mark.incarnation && position.revision >= mark.revision;
}
