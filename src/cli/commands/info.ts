// `gantry info`: an app at a glance, and its sick processes by name.

import type { AppView, JobView, ReleaseView } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import { remoteUrlOf } from '../repository.ts';
import type { Cell } from '../table.ts';
import { agoText, dateText, limitText } from '../units.ts';
import { stateText } from './ps.ts';

export async function showApp(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const { api, app: name, cluster } = await call.target();
  const [app, formation, jobs, releases] = await Promise.all([
    api.readApp(name),
    api.readFormation(name),
    api.listJobs(name),
    api.listReleases(name, { limit: 20 }),
  ]);
  const gitUrl = remoteUrlOf(cluster, app.name);
  const { quantities } = formation;
  if (args.has('json')) return out.json({ ...app, gitUrl, quantities, jobs });
  const now = io.clock.now();
  const current = releases.items.find(({ isCurrent }) => isCurrent);
  out.facts([
    [
      'Name',
      app.isDeleting ? { text: `${app.name} (is being deleted)`, colour: 'yellow' } : app.name,
    ],
    ...app.urls.map((url, index) => [index === 0 ? 'URL' : '', url] as const),
    ['Git', app.isSystem ? '' : gitUrl],
    ['Release', current ? releaseText(current, now) : 'none; push code or deploy an image'],
    ...processFacts(quantities, jobs),
    ['Rollout', app.strategy === 'in-batches' ? `in batches of ${app.batchSize}` : app.strategy],
    ...limitFacts(app),
    ['Priority', app.isSystem ? 'before all others' : (app.priority ?? 'normal')],
    ['Created', `${agoText(app.createdAt, now)} (${dateText(app.createdAt)})`],
    ['Id', app.id],
  ]);
}

function releaseText({ version, description, createdBy, createdAt }: ReleaseView, now: number) {
  return `v${version}, ${agoText(createdAt, now)} by ${createdBy}: ${description}`;
}

function processFacts(
  quantities: Readonly<Record<string, number>>,
  jobs: readonly JobView[],
): (readonly [string, Cell])[] {
  const types = Object.keys(quantities).sort();
  return types.flatMap((type, index) => {
    const mine = jobs.filter((job) => job.type === type && job.state !== 'down');
    const up = mine.filter((job) => job.state === 'up' && job.isHealthy).length;
    const wanted = quantities[type] ?? 0;
    const colour = up >= wanted ? undefined : ('red' as const);
    const title = index === 0 ? 'Processes' : '';
    const sick = mine.filter((job) => job.state !== 'up' || !job.isHealthy).slice(0, 3);
    return [
      [title, { text: `${type}: ${up} of ${wanted} up`, colour }] as const,
      ...sick.map((job) => ['', `  ${job.name} ${stateText(job)}${because(job)}`] as const),
    ];
  });
}

function because({ reason }: JobView): string {
  return reason === undefined ? '' : `: ${reason}`;
}

function limitFacts({ limits }: AppView): (readonly [string, Cell])[] {
  return Object.entries(limits).map(
    ([type, limit], index) =>
      [index === 0 ? 'Limits' : '', `${type}: ${limitText(limit)}`] as const,
  );
}
