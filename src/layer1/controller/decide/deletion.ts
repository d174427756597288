// How an app ends: first what runs, then what is written down. Each step may be repeated; the record of the app goes last.

import type { Decision } from './app.ts';
import type { AppView } from './app-view.ts';

export function decideDeletion(view: AppView): Decision {
  const formations = view.formations.map(({ release }) => release);
  if (formations.length > 0)
    return { steps: formations.map((release) => ({ type: 'remove-formation', release })) };
  const running = view.jobs.filter((job) => !hasEnded(job.state, job.isWanted));
  const oneOffs = running.filter((job) => job.kind === 'ephemeral' && job.isWanted);
  if (oneOffs.length > 0)
    return { steps: [{ type: 'stop-jobs', jobs: oneOffs.map(({ id }) => id) }] };
  // Service jobs go when their formation is gone; the scheduler deletes their records.
  if (running.length > 0) return { steps: [] };
  return { steps: [{ type: 'purge' }] };
}

function hasEnded(state: string, isWanted: boolean): boolean {
  if (state === 'down') return true;
  return !isWanted && (state === 'failed' || state === 'pending');
}
