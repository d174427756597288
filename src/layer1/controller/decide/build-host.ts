// On which machine is an app built?

import type { HostView } from '../api.ts';

type Candidate = Pick<HostView, 'id' | 'state' | 'busyPercent' | 'drain'>;

/** Where it was built last, beside its cache and the layers of its image; else the least busy. Undefined: there is no choice. */
export function pickBuildHost(hosts: readonly Candidate[], last?: string): string | undefined {
  const up = hosts.filter(({ state, drain }) => state === 'up' && drain === undefined);
  if (up.length < 2) return undefined;
  const known = up.find(({ id }) => id === last);
  const busyOf = ({ busyPercent = 0 }: Candidate) => busyPercent;
  const [calmest] = up.toSorted((a, b) => busyOf(a) - busyOf(b) || (a.id < b.id ? -1 : 1));
  return (known ?? calmest)?.id;
}
