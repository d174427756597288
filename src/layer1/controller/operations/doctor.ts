// Checks of what the controller can see: each says what was found, and what to do when it is not right.

import { toAppError } from '#core/errors';
import { parser } from '#core/schema';
import { type DnsReport, hostReportSchema, type UnknownContainers } from '#layer0/host/wire';
import { type Route, routeKey, routePrefix } from '#layer1/router/wire';
import type { Check } from '../api.ts';
import type { Context } from '../context.ts';
import { failedAttempts } from '../decide/app-view.ts';
import { claimOf } from '../decide/route.ts';
import { readReleases } from '../records.ts';
import { isUnfinished, nameOf } from '../view.ts';

const hostReport = parser(hostReportSchema);
/** A deployment that stands still longer than this is worth a look. */
const stuckMs = 15 * 60_000;
/** Failed attempts in a row that are called a crash loop. */
const crashLoop = 5;

export async function examine(context: Context): Promise<Check[]> {
  return [
    ...(await checkHost(context)),
    await check('the view of the store is fresh', async () =>
      context.observer.isConnected ? undefined : 'a watch is broken; is gantry-host running?',
    ),
    await check('a machine is alive', async () =>
      context.observer.hostCount() > 0 ? undefined : 'no host has a lease; restart gantry-host',
    ),
    await check('versions have no gaps and formations have releases', () => checkReleases(context)),
    await check('every route holds its claim', () => checkRoutes(context)),
    await check('no deployment is stuck', async () => checkDeployments(context)),
    await check('no process is in a crash loop', async () => checkJobs(context)),
  ];
}

/** One question to layer 0, two answers: that it answers, and what it has that nobody knows. */
async function checkHost({ host }: Context): Promise<Check[]> {
  let unknown: UnknownContainers | undefined;
  let dns: DnsReport | undefined;
  const answers = await check('layer 0 answers', async () => {
    const status = hostReport.parse(await host.status(), 'the status of the host');
    unknown = status.unknownContainers;
    dns = status.dns;
    return undefined;
  });
  const known = await check('every container has a record', async () => describeUnknown(unknown));
  const names = await check('apps can look up names', async () => describeDns(dns));
  return answers.isOk ? [answers, known, names] : [answers];
}

function describeDns(dns: DnsReport | undefined): string | undefined {
  if (!dns || dns.isAnswering) return undefined;
  return `nothing answers at ${dns.address}:53, so no container finds another by its name; see \`docker logs gantry-dns\`, and run script/up if it is gone`;
}

function describeUnknown(unknown: UnknownContainers | undefined): string | undefined {
  if (!unknown || unknown.count === 0) return undefined;
  const { count, names } = unknown;
  const more = count > names.length ? ` and ${count - names.length} more` : '';
  return `${names.join(', ')}${more}: made under another store, so Gantry leaves them alone; keep what you need of them, then \`docker rm -f\` them on the machine`;
}

async function check(name: string, find: () => Promise<string | undefined>): Promise<Check> {
  try {
    const problem = await find();
    return { name, isOk: problem === undefined, message: problem ?? 'ok' };
  } catch (error) {
    return { name, isOk: false, message: toAppError(error).message };
  }
}

async function checkReleases({ observer, store }: Context): Promise<string | undefined> {
  for (const app of observer.apps()) {
    if (app.isDeleting) continue;
    const releases = await readReleases(store, app.id);
    const first = releases[0]?.version ?? 1;
    // Old ones are collected, except those that still run: gaps are looked for in what is left at the end.
    const recent = releases.slice(-10);
    const isGapless = recent.every(
      ({ version }, index) => index === 0 || version === (recent[index - 1]?.version ?? 0) + 1,
    );
    if (!isGapless && first >= 1) return `versions of app ${app.name} have a gap; report this`;
    const ids = new Set(releases.map(({ id }) => id));
    const orphan = observer.formations(app.id).find(({ value }) => !ids.has(value.release));
    if (orphan)
      return `formation ${orphan.key} names a release that is gone; deploy ${app.name} again`;
  }
  return undefined;
}

async function checkRoutes({ store, observer }: Context): Promise<string | undefined> {
  const routes = await store.list<Route>(routePrefix);
  for (const { value } of routes.entries) {
    const claim = await store.get<{ route: string }>(claimOf(value));
    const still = claim?.value.route === value.id || !(await store.get(routeKey(value.id)));
    if (!still && !value.isSystem)
      return `route ${value.id} of ${value.appName} does not hold ${claimOf(value)}; remove and add it again`;
    if (!value.isSystem && !observer.app(value.app))
      return `route ${value.id} belongs to app ${value.appName}, which is gone; report this`;
  }
  return undefined;
}

function checkDeployments({ observer, clock }: Context): string | undefined {
  for (const app of observer.apps())
    for (const { value } of observer.deployments(app.id))
      if (isUnfinished(value) && clock.now() - value.progressAt > stuckMs)
        return `deployment ${value.id} of ${app.name} made no step for ${Math.round((clock.now() - value.progressAt) / 60_000)} minutes; deploy again`;
  return undefined;
}

function checkJobs({ observer }: Context): string | undefined {
  for (const job of observer.allJobs()) {
    const status = observer.status(job.id);
    if (job.desired !== 'up' || !status || status.isHealthy) continue;
    const failures = failedAttempts({ attempt: status.attempt, state: status.state });
    if (failures >= crashLoop)
      return `${nameOf(job)} of ${job.appName} failed ${failures} times: ${status.reason ?? 'no reason is known'}; see \`gantry log -a ${job.appName}\``;
  }
  return undefined;
}
