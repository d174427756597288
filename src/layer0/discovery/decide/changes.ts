// What happened to a service between two observations, as a list of changes in the order they are told.

import { isDeepStrictEqual } from 'node:util';
import { handleOf, type Instance } from '../wire.ts';
import { leaderOf } from './leader.ts';

export type Change =
  | { type: 'up' | 'down'; instance: Instance }
  | { type: 'update'; instance: Instance; before: Instance }
  | { type: 'leader'; instance: Instance | undefined };

export function diffInstances(before: readonly Instance[], after: readonly Instance[]): Change[] {
  const old = new Map(before.map((instance) => [handleOf(instance), instance]));
  const changes: Change[] = [];
  for (const instance of after) {
    const was = old.get(handleOf(instance));
    old.delete(handleOf(instance));
    if (!was) changes.push({ type: 'up', instance });
    else if (!isDeepStrictEqual(was, instance))
      changes.push({ type: 'update', instance, before: was });
  }
  for (const instance of old.values()) changes.push({ type: 'down', instance });
  const [led, leads] = [leaderOf(before), leaderOf(after)];
  if ((led && handleOf(led)) !== (leads && handleOf(leads)))
    changes.push({ type: 'leader', instance: leads });
  return changes;
}
