// What to tell people about a rollout: lines for what changed between two looks at it.

import type { Deployment } from '../wire.ts';
import type { SeenJob } from './app-view.ts';

export interface Progress {
  deployment: Deployment;
  /** Jobs of the app's formations. */
  jobs: readonly SeenJob[];
  /** Of the new release, by process type. */
  wanted: Readonly<Record<string, number>>;
}

/** Longest reason in a line. */
const maxReason = 300;

export function progressLines(before: Progress | undefined, after: Progress): string[] {
  const lines = [...stateLines(before?.deployment, after.deployment)];
  const known = new Map(before?.jobs.map((job) => [job.id, job]));
  const { newRelease } = after.deployment;
  for (const job of after.jobs) {
    if (job.kind !== 'service') continue;
    const last = known.get(job.id);
    const line =
      job.release === newRelease ? freshLine(last, job, after) : oldLine(last, job, !before);
    if (line !== undefined) lines.push(line);
  }
  return lines;
}

function* stateLines(before: Deployment | undefined, after: Deployment): Generator<string> {
  if (before?.state === after.state) return;
  if (after.state === 'running') {
    const from = after.oldVersion === undefined ? '' : ` in place of v${after.oldVersion}`;
    const how = after.strategy === 'rolling' ? '' : `, ${after.strategy}`;
    yield `v${after.newVersion} is rolled out${from}${how}`;
  }
  if (after.state === 'rolling-back') {
    const to = after.oldVersion === undefined ? 'nothing' : `v${after.oldVersion}`;
    yield `v${after.newVersion} is rolled back to ${to}: ${after.reason ?? 'it failed'}`;
  }
}

function freshLine(
  last: SeenJob | undefined,
  job: SeenJob,
  { jobs, wanted, deployment }: Progress,
) {
  if (!job.isWanted) return undefined;
  const isNews = last?.state !== job.state || last.attempt !== job.attempt;
  if (job.state === 'up' && job.isHealthy && (isNews || !last?.isHealthy)) {
    const up = jobs.filter(
      (other) =>
        other.release === deployment.newRelease &&
        other.type === job.type &&
        other.state === 'up' &&
        other.isHealthy &&
        other.isWanted,
    );
    return `${job.name} is up (${up.length}/${Math.max(up.length, wanted[job.type] ?? 0)})`;
  }
  const reason = job.reason?.slice(0, maxReason);
  if (job.state === 'failed' && isNews)
    return `${job.name} failed: ${reason ?? 'no reason is known'}`;
  if (job.state === 'starting' && isNews && job.attempt > 1)
    return `${job.name} is started again (attempt ${job.attempt})`;
  const isWaiting = job.state === 'pending' && reason !== undefined && last?.reason !== job.reason;
  return isWaiting ? `${job.name} waits: ${reason}` : undefined;
}

function oldLine(last: SeenJob | undefined, job: SeenJob, isFirst: boolean): string | undefined {
  if (isFirst || !last || job.isWanted || !last.isWanted) return undefined;
  return `${job.name} of the old release stops`;
}
