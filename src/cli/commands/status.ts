// `gantry status`: which cluster, who I am there, and whether anything of it is not well.

import type { JobView } from '#layer1/controller/client';
import { configPath } from '../clusters.ts';
import type { Call } from '../command.ts';
import type { Cell } from '../table.ts';
import { stateText } from './ps.ts';

/** The app that Gantry's own processes are. */
const systemApp = 'gantry';

export async function showStatus(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const { api, cluster } = await call.connect();
  const [me, status, apps, checks, jobs] = await Promise.all([
    api.whoAmI(),
    api.status(),
    api.listApps(),
    api.doctor(),
    api.listJobs(systemApp).catch((): JobView[] => []),
  ]);
  const { name, url, gitUrl, domain } = cluster;
  const failed = checks.filter(({ isOk }) => !isOk);
  if (args.has('json'))
    return out.json({
      cluster: { name, url, gitUrl, domain },
      caller: me,
      controller: status,
      checks,
    });
  const hosts = status.hosts;
  out.facts([
    ['Cluster', name],
    ['API', cluster.address === undefined ? url : `${url} (dialled at ${cluster.address})`],
    ['Git', gitUrl],
    ['Apps at', `http${url.startsWith('https') ? 's' : ''}://<app>.${domain}`],
    ['You are', me.name],
    ['Machines', typeof hosts === 'number' ? String(hosts) : ''],
    ['Apps', String(apps.filter(({ isSystem }) => !isSystem).length)],
    ['Platform', platformText(jobs)],
    ['Checks', failed.length === 0 ? 'all well' : failedText(failed)],
    ['Configured in', configPath(io)],
  ]);
}

function platformText(jobs: readonly JobView[]): Cell {
  const living = jobs.filter(({ state }) => state !== 'down');
  const sick = living.filter(({ state, isHealthy }) => state !== 'up' || !isHealthy);
  if (living.length === 0) return '';
  if (sick.length === 0)
    return `${living.length} ${living.length === 1 ? 'process' : 'processes'} up`;
  const names = sick.map((job) => `${job.name} ${stateText(job)}`).join(', ');
  return { text: `${names}; see gantry ps -a ${systemApp}`, colour: 'red' };
}

function failedText(failed: readonly { name: string }[]): Cell {
  const names = failed.map(({ name }) => name).join(', ');
  return { text: `failed: ${names}; see gantry doctor`, colour: 'red' };
}
