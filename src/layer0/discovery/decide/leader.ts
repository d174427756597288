// Who leads a service: the instance that says so, else the oldest one that is up. Every observer comes to the same answer.

import { handleOf, type Instance } from '../wire.ts';

export function leaderOf(instances: readonly Instance[]): Instance | undefined {
  let best: Instance | undefined;
  for (const instance of instances) if (!best || goesBefore(instance, best)) best = instance;
  return best;
}

function goesBefore(a: Instance, b: Instance): boolean {
  if (saysSo(a) !== saysSo(b)) return saysSo(a);
  if (a.state !== b.state) return a.state === 'up';
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt;
  return handleOf(a) < handleOf(b);
}

function saysSo(instance: Instance): boolean {
  return instance.metadata.leader === 'true';
}
