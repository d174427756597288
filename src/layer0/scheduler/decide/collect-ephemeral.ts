// Which one-off jobs' records have been kept long enough, and which never got a place and no longer want one?

import { hostKey } from '#layer0/host/wire';
import type { ClusterState, KnownJob } from '../cluster-state.ts';
import type { DecideContext, Step } from './steps.ts';

type Keep = Pick<DecideContext, 'nowMs' | 'ephemeralKeepMs'>;

export function* collectEphemeral(state: ClusterState, context: Keep): Generator<Step> {
  for (const id of state.pending.ephemeral)
    if (state.jobs.get(id)?.job.desired === 'down')
      yield { kind: 'remove', jobId: id, because: 'it was stopped before it had a place' };
  yield* removeUnowned(state);
  for (const id of state.endedEphemeral) {
    const known = state.jobs.get(id);
    if (known && endedAt(known) + context.ephemeralKeepMs <= context.nowMs)
      yield { kind: 'remove', jobId: id, because: 'it ended long ago' };
  }
}

/** Their host was taken away, and nobody will say that they ended. */
function* removeUnowned(state: ClusterState): Generator<Step> {
  const gone = [...state.away].filter(({ record, records }) => !record && records > 0);
  if (gone.length === 0) return;
  for (const { job, host } of state.jobs.values()) {
    if (job.kind !== 'ephemeral' || !host || !gone.includes(host)) continue;
    const because = `host ${host.id} was taken away`;
    yield { kind: 'remove', jobId: job.id, because, absent: [hostKey(host.id)] };
  }
}

/** How long until the next record is old enough; undefined when there is none. */
export function nextCollectionInMs(state: ClusterState, context: Keep): number | undefined {
  let nextMs: number | undefined;
  for (const id of state.endedEphemeral) {
    const known = state.jobs.get(id);
    if (!known) continue;
    const leftMs = Math.max(1, endedAt(known) + context.ephemeralKeepMs - context.nowMs);
    nextMs = Math.min(nextMs ?? leftMs, leftMs);
  }
  return nextMs;
}

function endedAt({ job, status }: KnownJob): number {
  return status?.endedAt ?? status?.updatedAt ?? job.createdAt;
}
