// How is the cluster? Everybody is asked with a limit, so that an answer always comes; what does not answer is named.

import { toAppError } from '#core/errors';
import { parser, Type } from '#core/schema';
import { within } from '#core/within';
import { type MemberReport, memberReportSchema } from '#layer0/host/wire';
import type { Check } from '../api.ts';
import type { ClusterView } from '../cluster-api.ts';
import type { Context } from '../context.ts';
import { viewCluster } from '../decide/cluster.ts';
import { checkMachines } from '../decide/machine-checks.ts';
import { listHosts } from './hosts.ts';
import { listCertificates } from './routes.ts';

/** Of the store: longer than any call of a healthy one. */
const storeLimitMs = 3_000;
const reportsParser = parser(Type.Array(memberReportSchema));

export async function readCluster(context: Context): Promise<ClusterView> {
  const { observer, clock } = context;
  const [hosts, reports, certificates, ha] = await Promise.all([
    settled(within(clock, storeLimitMs, () => listHosts(context))),
    readReports(context).catch((): MemberReport[] => []),
    settled(within(clock, storeLimitMs, () => listCertificates(context))),
    // It asks each copy, and waits for those that say nothing.
    settled(within(clock, 3 * storeLimitMs, () => context.ha.status())),
  ]);
  return viewCluster({
    now: clock.now(),
    hosts: hosts.value,
    reports,
    silentFor: observer.silentFor(),
    formations: [...observer.allFormations()].map(({ value }) => value),
    jobs: [...observer.allJobs()],
    status: (job) => observer.status(job),
    certificates: certificates.value ?? [],
    ha: ha.value,
    ...(hosts.error === undefined ? {} : { storeError: hosts.error }),
  });
}

export async function readReports(
  { host }: Pick<Context, 'host'>,
  options?: { checks: boolean },
): Promise<MemberReport[]> {
  return reportsParser.parse(await host.memberReports(options), 'what the machines say');
}

/** What must hold on every machine. */
export async function examineMachines(context: Context): Promise<Check[]> {
  const { observer, clock } = context;
  const [hosts, reports] = await Promise.all([
    settled(within(clock, storeLimitMs, () => listHosts(context))),
    readReports(context, { checks: true }),
  ]);
  const status = (job: string) => observer.status(job);
  const jobs = [...observer.allJobs()];
  return checkMachines({ now: clock.now(), reports, hosts: hosts.value, jobs, status });
}

async function settled<T>(asked: Promise<T>): Promise<{ value?: T; error?: string }> {
  try {
    return { value: await asked };
  } catch (error) {
    return { error: toAppError(error).message };
  }
}
