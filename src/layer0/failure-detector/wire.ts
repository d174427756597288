// Which machines listen for which? The same answer on the machine that listens and where its reports are read.

/** Enough that two remain when one of them is gone, and a large cluster costs each machine no more than a small one. */
export const watchersPerHost = 3;

/**
 * Of these hosts, those that listen for one of them: the next ones in the order of their ids. `sorted` has each id once, by
 * code unit.
 */
export function watchersOf(hostId: string, sorted: readonly string[]): string[] {
  const at = sorted.findIndex((id) => id >= hostId);
  const after = at === -1 ? sorted : [...sorted.slice(at), ...sorted.slice(0, at)];
  return after.filter((id) => id !== hostId).slice(0, watchersPerHost);
}

/** Of these hosts, those that one of them listens for: the ones before it. */
export function watchedBy(hostId: string, sorted: readonly string[]): string[] {
  const at = sorted.indexOf(hostId);
  if (at === -1) return [];
  return [...sorted.slice(at + 1), ...sorted.slice(0, at)].slice(-watchersPerHost);
}
