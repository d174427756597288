// Placement: hosts that hard two-dimensional jobs need, as a batch and one by one, against first-fit, best-fit, random and
// the lower bound; how evenly services are spread; how many decisions are made in a second; and how long one takes on ten
// times as many hosts, nine tenths full.

import { type Random, seededRandom } from '#core/random';
import { aJob, aSpec } from '#layer0/scheduler/fake';
import type { Job } from '#layer0/scheduler/wire';
import { placeJob } from '../src/layer0/scheduler/decide/place-job.ts';
import type { PlanBoard } from '../src/layer0/scheduler/decide/plan-board.ts';
import { median, resultOf } from './measure.ts';
import type { BenchResult } from './result.ts';
import { quantile } from './router/pairs.ts';
import {
  bestFit,
  boardOf,
  type Choose,
  firstFit,
  place,
  randomFit,
  type Size,
} from './schedule/controls.ts';
import {
  hardJobs,
  hostCpu,
  hostMemory,
  hostsUsed,
  lowerBound,
  offered,
  placeBatch,
} from './schedule/hard-jobs.ts';

const seeds = [1, 2, 3, 4, 5, 6, 7];
const decisionLimitMs = 5;

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const size = tiny ? { hosts: 20, jobs: 100 } : { hosts: 1000, jobs: 5000 };
  return [batch(size), oneByOne(size), spreading(size), throughput(size), whenFull(size)];
}

function batch(size: Size): BenchResult {
  const inPlace = (jobs: Job[]) => hostsUsed(placeBatch(size.hosts, jobs));
  return packing(size, { name: 'schedule: hosts used by bin-packing', target: 1.08, inPlace });
}

/** Not what the target is about: without knowing what follows, and never moved again. */
function oneByOne(size: Size): BenchResult {
  const inPlace = (jobs: Job[]) => hostsUsed(place(size, jobs, binpack).board);
  const name = 'schedule: hosts used by bin-packing one by one';
  return packing(size, { name, inPlace });
}

interface Packing {
  name: string;
  target?: number;
  /** The number of hosts that these jobs come to lie on. */
  inPlace(jobs: Job[]): number;
}

function packing(size: Size, { name, target, inPlace }: Packing): BenchResult {
  const runs = seeds.map((seed) => {
    const jobs = hardJobs(seededRandom(seed), size.jobs);
    const used = (choose: Choose) => hostsUsed(place(size, jobs, choose).board);
    const random = used(randomFit(seededRandom(seed)));
    return {
      ours: inPlace(jobs),
      peer: used(firstFit),
      bestFit: used(bestFit),
      random,
      bound: lowerBound(jobs),
    };
  });
  const over = (read: (run: (typeof runs)[number]) => number) =>
    median(runs.map((run) => read(run) / run.bound)).toFixed(3);
  const oursOver = over(({ ours }) => ours);
  const controls = [
    `first-fit ${over(({ peer }) => peer)}`,
    `best-fit ${over(({ bestFit }) => bestFit)}`,
    `random ${over(({ random }) => random)}`,
  ];
  return resultOf({
    name,
    unit: 'hosts',
    peer: 'first-fit',
    pairs: runs,
    target: target === undefined ? 'none' : `<= ${target}x the lower bound`,
    isMet: () => target === undefined || Number(oursOver) <= target,
    note: `${oursOver}x the lower bound (${controls.join(', ')}), ${size.jobs} jobs`,
  });
}

/** Services of 1 to 50 jobs: most less fewest of one service on a host. */
function spreading(size: Size): BenchResult {
  const runs = seeds.map((seed) => {
    const jobs = services(seededRandom(seed), size.jobs);
    const unevenness = (choose: Choose) => largestGap(size, jobs, choose);
    return { ours: unevenness(spread), peer: unevenness(randomFit(seededRandom(seed))) };
  });
  return resultOf({
    name: 'schedule: spread, most less fewest',
    unit: 'jobs',
    peer: 'random choice',
    pairs: runs,
    target: '<= 1 for every service',
    isMet: () => runs.every(({ ours }) => ours <= 1),
    note: `${spreadHosts(size)} hosts, ${size.jobs / 5} jobs`,
  });
}

function throughput(size: Size): BenchResult {
  const runs = seeds.map((seed) => {
    const random = seededRandom(seed);
    const jobs = hardJobs(random, size.jobs);
    const peer = place(size, jobs, randomFit(random)).perSecond;
    return { ours: place(size, jobs, spread).perSecond, peer };
  });
  return resultOf({
    name: 'schedule: decisions',
    unit: 'decisions/s',
    peer: 'random choice among the hosts that fit',
    pairs: runs,
    target: 'none: the cost of choosing well',
    isMet: () => true,
    note: `${size.hosts} hosts, ${size.jobs} jobs, in memory, without commits`,
  });
}

function whenFull(size: Size): BenchResult {
  const hosts = size.hosts * 10;
  const runs = seeds.map((seed) => {
    const board = nineTenthsFull(seededRandom(seed), hosts);
    const p99 = (choose: Choose) => p99Millis(board, choose, size.jobs);
    return { ours: p99(spread), peer: p99(randomFit(seededRandom(seed))) };
  });
  return resultOf({
    name: 'schedule: one decision at 90 % full, p99',
    unit: 'ms',
    peer: 'random choice among the hosts that fit',
    pairs: runs,
    target: `<= ${decisionLimitMs} ms`,
    isMet: ({ figure }) => figure <= decisionLimitMs,
    note: `${hosts} hosts, ${size.jobs} decisions, in memory, without commits`,
  });
}

/** Of a host there are as many as these as it has room for. */
const aTwentieth = {
  memoryBytes: hostMemory / 20,
  cpuMillis: hostCpu / 20,
  pids: 10,
};

/** Hosts from 80 % full to full, evenly. */
function nineTenthsFull(random: Random, hosts: number): PlanBoard {
  const board = boardOf({ hosts, jobs: 0 });
  for (let slot = 0; slot < hosts; slot++) {
    const count = 16 + Math.floor(random() * 5);
    for (let one = 0; one < count; one++) board.add(`h${slot}`, aSmallJob(slot * 20 + one));
  }
  return board;
}

function aSmallJob(number: number): Job {
  const app = `app-${number % 1000}`;
  return aJob({ id: `job-${number}`, app, spec: aSpec({ resources: aTwentieth }) });
}

/** Nothing is added, so that every decision finds the board as full. */
function p99Millis(board: PlanBoard, choose: Choose, decisions: number): number {
  const times = Array.from({ length: decisions }, (_, number) => {
    const job = aSmallJob(number);
    const startedAt = performance.now();
    choose(board, job);
    return performance.now() - startedAt;
  });
  return quantile(times, 0.99);
}

const ours =
  (placement: Job['placement']): Choose =>
  (board, job) => {
    const found = placeJob(board, { ...job, placement }, offered);
    return 'host' in found ? found.host : undefined;
  };
const binpack = ours('binpack');
const spread = ours('spread');

function services(random: Random, count: number): Job[] {
  const jobs: Job[] = [];
  while (jobs.length < count / 5) {
    const app = `app-${jobs.length}`;
    const resources = { memoryBytes: hostMemory / 1000, cpuMillis: 10, pids: 10 };
    const replicas = 1 + Math.floor(random() * 50);
    for (let one = 0; one < replicas; one++) jobs.push(aJob({ app, spec: aSpec({ resources }) }));
  }
  return jobs;
}

/** Fewer than for packing, so that services have several jobs on each; on one host there is nothing to spread. */
function spreadHosts({ hosts }: Size): number {
  return Math.max(4, Math.ceil(hosts / 50));
}

/** Of the least even service. */
function largestGap(size: Size, jobs: Job[], choose: Choose): number {
  const { board } = place({ hosts: spreadHosts(size), jobs: jobs.length }, jobs, choose);
  const gaps = [...new Set(jobs.map(({ app }) => app))].map((app) => {
    const [, placed] = board.ofGroup(`${app}/rel-1/web`);
    const counts = Array.from({ length: board.size }, (_, slot) => placed.get(slot) ?? 0);
    return Math.max(...counts) - Math.min(...counts);
  });
  return Math.max(...gaps);
}
