// `gantry ps`: what runs, and of what does not, why.

import type { JobView } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { stateColour } from '../paint.ts';
import { durationText } from '../units.ts';

export async function listProcesses(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const { api, app } = await call.target();
  const jobs = await api.listJobs(app);
  if (args.has('json')) return out.json(jobs);
  const shown = args.has('all') ? jobs : jobs.filter((job) => !isOver(job));
  const now = io.clock.now();
  const isVerbose = args.has('verbose');
  if (shown.length === 0) out.note(`No process of ${app} runs${await whyNone(call)}.`);
  else
    out.table(
      ['NAME', 'STATE', 'SINCE', 'RELEASE', 'HOST', ...(isVerbose ? ['WHY THERE'] : []), 'REASON'],
      shown.map((job) => [
        job.name,
        { text: stateText(job), colour: stateColour(stateText(job)) },
        durationText(now - (job.endedAt ?? job.startedAt ?? job.createdAt)),
        `v${job.version}`,
        job.hostName ?? job.host ?? '',
        ...(isVerbose ? [job.why ?? ''] : []),
        reasonText(job),
      ]),
    );
  const hidden = jobs.length - shown.length;
  if (hidden > 0) out.note(`${hidden} that ended not shown; gantry ps --all shows them`, 'dim');
}

function isOver({ state, kind }: JobView): boolean {
  return state === 'down' || (state === 'failed' && kind === 'ephemeral');
}

export function stateText({ state, isHealthy, isSilent }: JobView): string {
  if (isSilent) return `${state}, silent`;
  return state === 'up' && !isHealthy ? 'up, unhealthy' : state;
}

function reasonText({ reason, state, exitCode }: JobView): string {
  if (reason !== undefined) return reason;
  return exitCode !== undefined && (state === 'failed' || state === 'down')
    ? `exit ${exitCode}`
    : '';
}

async function whyNone(call: Call): Promise<string> {
  const { api, app } = await call.target();
  const { currentVersion } = await api.readApp(app);
  return currentVersion === undefined
    ? '; it has no release yet: push code or deploy an image'
    : `; gantry scale web=1 -a ${app} starts one`;
}
