// The real schedulers on a simulated cluster of any size: everything is placed from nothing, and measured.
// Both decide on the same copy before either commits, as they do in one daemon: that is where conflicts come from.

import { type Random, seededRandom } from '#core/random';
import { defaultSchedulerConfig } from '#layer0/scheduler/config';
import { aContext, aJob } from '#layer0/scheduler/fake';
import {
  bestFit,
  type Choose,
  firstFit,
  place,
  randomFit,
} from '../../../bench/schedule/controls.ts';
import { hardJobs, hostsUsed, lowerBound, placeBatch } from '../../../bench/schedule/hard-jobs.ts';
import { type Commit, toCommit } from '../../../src/layer0/scheduler/commit.ts';
import { demandOf } from '../../../src/layer0/scheduler/decide/demand.ts';
import { fitting } from '../../../src/layer0/scheduler/decide/filters.ts';
import { placeJob } from '../../../src/layer0/scheduler/decide/place-job.ts';
import { PlanBoard } from '../../../src/layer0/scheduler/decide/plan-board.ts';
import type { Decider } from '../../../src/layer0/scheduler/elected-scheduler.ts';
import { EphemeralDecider } from '../../../src/layer0/scheduler/ephemeral-scheduler.ts';
import { ServiceDecider } from '../../../src/layer0/scheduler/service-scheduler.ts';
import { fence, ScaleCluster } from './cluster.ts';
import { type Size, type Workload, workloadOf } from './workload.ts';

/** One-off jobs that come in the time of one transaction. */
const requestsPerRound = 0.3;
const timedDecisions = 2000;
const timesEach = 3;
/** Hosts that the packing of hard jobs is tried on, at most. */
const packedHosts = 1000;
const context = aContext({ limits: { ...defaultSchedulerConfig, cpuOvercommitPercent: 100 } });

export interface ScaleResult extends Size {
  placed: number;
  pending: number;
  seconds: number;
  /** Of the processor; more than `seconds` when the collector ran beside. */
  cpuSeconds: number;
  commits: number;
  conflicts: number;
  decisionP99Ms: number;
  /** Services with more than one job difference between two hosts. */
  unevenServices: number;
  /** Hosts used by hard jobs, divided by those needed at least: by the scheduler, and by simpler rules. */
  packing: number;
  controls: Record<'first-fit' | 'best-fit' | 'random', number>;
  /** Of the process, at most, until now. */
  peakBytes: number;
}

export function simulateScale(seed: number, size: Size): ScaleResult {
  const random = seededRandom(seed);
  const workload = workloadOf(size, random);
  const cluster = new ScaleCluster(workload);
  const startedAt = performance.now();
  const cpuAt = process.cpuUsage();
  const { commits, conflicts } = placeAll(cluster, workload, random);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = process.cpuUsage(cpuAt);
  const pending = cluster.state.pending.service.size + cluster.state.pending.ephemeral.size;
  return {
    ...size,
    pending,
    placed: cluster.state.jobs.size - pending,
    seconds,
    commits,
    conflicts,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    decisionP99Ms: decisionP99Ms(cluster, workload, random),
    unevenServices: workload.formations.filter(({ app, release }) =>
      isUneven(cluster, `${app}/${release}/web`),
    ).length,
    ...packingOf(size, random),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

function placeAll(cluster: ScaleCluster, { oneOffs }: Workload, random: Random) {
  const { state } = cluster;
  const counts = { commits: 0, conflicts: 0 };
  const deciders: [string, Decider][] = [
    ['service', new ServiceDecider()],
    ['ephemeral', new EphemeralDecider()],
  ];
  for (const [, decider] of deciders) decider.begin(state);
  let requested = 0;
  for (let round = 0; ; round++) {
    while (requested < Math.min(oneOffs.length, round * requestsPerRound))
      cluster.request(oneOffs[requested++] ?? never());
    const drafts = deciders.flatMap(([by, decider]) => draft(cluster, by, decider) ?? []);
    if (random() < 0.5) drafts.reverse();
    for (const { txn } of drafts)
      if (cluster.commit(txn)) counts.commits++;
      else counts.conflicts++;
    cluster.report();
    if (drafts.length === 0 && requested === oneOffs.length) return counts;
  }
}

let jobs = 0;

function draft({ state }: ScaleCluster, by: string, decider: Decider): Commit | undefined {
  const newJobId = () => `job-${(++jobs).toString(36).padStart(16, '0')}`;
  const commit = toCommit(decider.decide(state, context), state, {
    by,
    fence,
    incarnation: 'sim',
    nowMs: 1_700_000_000_000 + jobs,
    newJobId,
  });
  if (!commit) decider.settled(state);
  return commit;
}

/** One job more on hosts that are full to nine tenths, nothing committed. */
function decisionP99Ms({ state }: ScaleCluster, workload: Workload, random: Random): number {
  const times = Array.from({ length: timedDecisions }, (_, place) => {
    const { spec, placement } = pick(workload.formations, random).processes.web ?? never();
    const job = aJob({ app: `app-new-${place}`, spec, placement });
    return fastestMs(() => placeJob(new PlanBoard(state), job, context.limits));
  });
  return times.sort((a, b) => a - b)[Math.floor(timedDecisions * 0.99)] ?? 0;
}

/** Of a few times: what others on the machine do is not in it. */
function fastestMs(decide: () => void): number {
  const times = Array.from({ length: timesEach }, () => {
    const startedAt = performance.now();
    decide();
    return performance.now() - startedAt;
  });
  return Math.min(...times);
}

/** Hosts that have no room for one more do not count: none could have come there. */
function isUneven({ state }: ScaleCluster, group: string): boolean {
  const job = aJobOf(state, group);
  if (job?.placement !== 'spread') return false;
  const counts = state.index.neighbours.ofGroup(group);
  const fits = fitting(demandOf(new PlanBoard(state), job, context.limits));
  const most = Math.max(...counts.values());
  for (let slot = 0; slot < state.index.size; slot++)
    if ((counts.get(slot) ?? 0) < most - 1 && fits(slot)) return true;
  return false;
}

function aJobOf(state: ScaleCluster['state'], group: string) {
  for (const { job } of state.jobsOf(group.split('/')[0] ?? ''))
    if (job.kind === 'service') return job;
  return undefined;
}

function packingOf({ hosts }: Size, random: Random): Pick<ScaleResult, 'packing' | 'controls'> {
  const tried = Math.min(hosts, packedHosts);
  const hard = hardJobs(random, tried * 5);
  const bound = lowerBound(hard);
  const by = (choose: Choose) =>
    hostsUsed(place({ hosts: tried, jobs: hard.length }, hard, choose).board) / bound;
  return {
    packing: hostsUsed(placeBatch(tried, hard)) / bound,
    controls: { 'first-fit': by(firstFit), 'best-fit': by(bestFit), random: by(randomFit(random)) },
  };
}

function pick<T>(items: T[], random: Random): T {
  return items[Math.floor(random() * items.length)] ?? never();
}

function never(): never {
  throw new Error('a workload has services, and a service has a web process');
}
