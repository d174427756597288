// Which jobs does a rollout count? The scheduler moves jobs by itself: of one and of its replacement only the better one counts.

import type { Formation, Job } from '#layer0/scheduler/wire';

export interface Moving {
  jobs: readonly Job[];
  formations: readonly Formation[];
  isHealthy: (job: string) => boolean;
}

/** One of each pair is left out, as long as there are more than the formation asks for. */
export function countedJobs({ jobs, formations, isHealthy }: Moving): readonly Job[] {
  const wanted = new Set(jobs.flatMap(({ id, desired }) => (desired === 'up' ? [id] : [])));
  const isSpare = ({ id, replaces }: Job) =>
    wanted.has(id) && replaces !== undefined && wanted.has(replaces.job);
  const spares = jobs.filter(isSpare);
  if (spares.length === 0) return jobs;
  const groupOf = ({ release, type }: Job) => `${release}/${type}`;
  const tooMany = new Map<string, number>();
  for (const job of jobs)
    if (wanted.has(job.id)) tooMany.set(groupOf(job), (tooMany.get(groupOf(job)) ?? 0) + 1);
  for (const { release, processes } of formations)
    for (const [type, { quantity }] of Object.entries(processes)) {
      const group = `${release}/${type}`;
      tooMany.set(group, (tooMany.get(group) ?? 0) - quantity);
    }
  const leftOut = new Set<string>();
  for (const spare of spares) {
    const more = tooMany.get(groupOf(spare)) ?? 0;
    if (more <= 0) continue;
    tooMany.set(groupOf(spare), more - 1);
    const replaced = spare.replaces?.job ?? '';
    const isBetter = isHealthy(spare.id) && !isHealthy(replaced) && !leftOut.has(replaced);
    leftOut.add(isBetter ? replaced : spare.id);
  }
  return jobs.filter(({ id }) => !leftOut.has(id));
}
