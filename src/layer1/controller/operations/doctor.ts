// Checks of what the controller can see: each says what was found, and what to do when it is not right.

import { toAppError } from '#core/errors';
import { within } from '#core/within';
import { readDoubles } from '#layer0/network/client';
import { type Route, routeKey, routePrefix } from '#layer1/router/wire';
import type { Check } from '../api.ts';
import type { Context } from '../context.ts';
import { failedAttempts } from '../decide/app-view.ts';
import { claimOf } from '../decide/route.ts';
import { readReleases } from '../records.ts';
import { isUnfinished, nameOf } from '../view.ts';
import { examineMachines } from './cluster.ts';

/** A deployment that stands still longer than this is worth a look. */
const stuckMs = 15 * 60_000;
/** Longer than a copy of the store is waited for by who asks it. */
const answerLimitMs = 4_000;
/** Of a copy of the store: 80 % of what etcd takes. */
const largeStoreBytes = 0.8 * 2 * 1024 ** 3;
/** Failed attempts in a row that are called a crash loop. */
const crashLoop = 5;

/** All at once and each with a limit: machines and copies of the store that are away must not add up. */
export async function examine(context: Context): Promise<Check[]> {
  const { clock, observer } = context;
  const check = async (name: string, find: () => Promise<string | undefined>): Promise<Check> => {
    try {
      const problem = await within(clock, answerLimitMs, find);
      return { name, isOk: problem === undefined, message: problem ?? 'ok' };
    } catch (error) {
      return { name, isOk: false, message: toAppError(error).message };
    }
  };
  const groups = await Promise.all([
    checkLayer0(context),
    check('the view of the store is fresh', async () =>
      observer.isConnected ? undefined : 'a watch is broken; is gantry-host running?',
    ),
    check('copies of the store are whole', () => checkCopies(context)),
    check('a machine is alive', async () =>
      observer.hostCount() > 0 ? undefined : 'no host has a lease; restart gantry-host',
    ),
    check('versions have no gaps and formations have releases', () => checkReleases(context)),
    check('every route holds its claim', () => checkRoutes(context)),
    check('no address belongs to two', () => checkAddresses(context)),
    check('no deployment is stuck', async () => checkDeployments(context)),
    check('no process is in a crash loop', async () => checkJobs(context)),
  ]);
  return groups.flat();
}

/** One question to layer 0, and what every machine answers to it. */
async function checkLayer0(context: Context): Promise<Check[]> {
  try {
    return [
      { name: 'layer 0 answers', isOk: true, message: 'ok' },
      ...(await examineMachines(context)),
    ];
  } catch (error) {
    return [{ name: 'layer 0 answers', isOk: false, message: toAppError(error).message }];
  }
}

/** An embedded store has no copies; that it does not answer is said by the machines. */
async function checkCopies({ ha }: Context): Promise<string | undefined> {
  const { engine, health, summary, members } = await ha.status();
  if (engine !== 'etcd') return undefined;
  if (health !== 'healthy') {
    const isAnyAway = members.some(({ isReachable }) => !isReachable);
    return isAnyAway
      ? `${summary}; is it on, and \`docker logs gantry-etcd\` there fine?`
      : summary;
  }
  const large = members.filter(({ dbBytes }) => dbBytes > largeStoreBytes);
  if (large.length === 0) return undefined;
  const mib = Math.round(Math.max(...large.map(({ dbBytes }) => dbBytes)) / 1024 ** 2);
  return `a copy has ${mib} MiB of the 2048 that it may have: delete apps that nobody needs`;
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

async function checkAddresses({ store, observer }: Context): Promise<string | undefined> {
  const running = [...observer.allJobs()].flatMap(({ id: job, app }) => {
    const { state, address } = observer.status(job) ?? {};
    // What listens on loopback has no address of its own.
    const isOwn = address !== undefined && !address.startsWith('127.');
    return state === 'up' && isOwn ? [{ job, app, address }] : [];
  });
  const [first, ...others] = await readDoubles(store, running);
  if (first === undefined) return undefined;
  const more = others.length > 0 ? `, and ${others.length} more` : '';
  return `${first}${more}; kill one of the two (\`gantry kill\`), its successor gets another address; report this`;
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
