// Placement: hosts that bin-packing of hard two-dimensional jobs needs, against first-fit and the lower bound; and how many
// decisions are made in a second, against a random choice over the same hosts.

import { type Random, seededRandom } from '#core/random';
import { hostAlivePrefix, hostKey } from '#layer0/host/wire';
import { ClusterState } from '#layer0/scheduler/cluster-state';
import { aHost, aProcess, aSpec, gigabyte, limits } from '#layer0/scheduler/fake';
import type { Claimant } from '#layer0/scheduler/host-usage';
import { demandOf, fits } from '../src/layer0/scheduler/decide/filters.ts';
import { placeJob } from '../src/layer0/scheduler/decide/place-job.ts';
import { PlanBoard } from '../src/layer0/scheduler/decide/plan-board.ts';
import type { BenchResult } from './result.ts';

type Choose = (board: PlanBoard, job: Claimant) => string | undefined;

const pairs = 7;
const hostMemory = 64 * gigabyte;
const hostCpu = 16_000;
const offered = { ...limits, cpuOvercommitPercent: 100, pidsPerHost: 1_000_000 };

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const size = tiny ? { hosts: 20, jobs: 100 } : { hosts: 1000, jobs: 5000 };
  return [packing(size), throughput(size)];
}

function packing(size: Size): BenchResult {
  const runs = Array.from({ length: pairs }, (_, seed) => {
    const jobs = hardJobs(seededRandom(seed + 1), size.jobs);
    const ours = hostsUsed(place(size, jobs, binpack).hosts);
    const peer = hostsUsed(place(size, jobs, firstFit).hosts);
    return { ours, peer, bound: lowerBound(jobs) };
  });
  const overBound = median(runs.map(({ ours, bound }) => ours / bound));
  return resultOf(runs, {
    name: 'schedule: hosts used by bin-packing',
    unit: 'hosts',
    peer: 'first-fit',
    target: '<= 1.08x the lower bound',
    isMet: overBound <= 1.08,
    note: `${overBound.toFixed(3)}x the lower bound, ${size.jobs} jobs`,
  });
}

function throughput(size: Size): BenchResult {
  const runs = Array.from({ length: pairs }, (_, seed) => {
    const random = seededRandom(seed + 1);
    const jobs = hardJobs(random, size.jobs);
    const peer = place(size, jobs, randomFit(random)).perSecond;
    return { ours: place(size, jobs, spread).perSecond, peer };
  });
  return resultOf(runs, {
    name: 'schedule: decisions',
    unit: 'decisions/s',
    peer: 'random choice among the hosts that fit',
    target: 'none: the cost of choosing well',
    isMet: true,
    note: `${size.hosts} hosts, ${size.jobs} jobs, in memory, without commits`,
  });
}

interface Size {
  hosts: number;
  jobs: number;
}

function place(size: Size, jobs: Claimant[], choose: Choose) {
  const state = new ClusterState(() => 0);
  for (let place = 0; place < size.hosts; place++) {
    const host = aHost({ id: `h${place}`, memoryBytes: hostMemory, cpuMillis: hostCpu });
    state.put({ key: hostKey(host.id), value: host, modRevision: 1 });
    state.put({ key: `${hostAlivePrefix}${host.id}`, value: {}, modRevision: 1 });
  }
  const board = new PlanBoard(state);
  const startedAt = performance.now();
  for (const job of jobs) {
    const host = choose(board, job);
    if (host !== undefined) board.add(host, job);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const hosts = Array.from({ length: board.size }, (_, at) => board.at(at)?.jobs ?? 0);
  return { hosts, perSecond: jobs.length / seconds };
}

const ours =
  (placement: Claimant['placement']): Choose =>
  (board, job) => {
    const found = placeJob(board, { ...job, placement }, offered);
    return 'host' in found ? found.host : undefined;
  };
const binpack = ours('binpack');
const spread = ours('spread');

const firstFit: Choose = (board, job) => {
  const demand = demandOf(job, offered);
  for (let place = 0; place < board.size; place++) {
    const host = board.at(place);
    if (host && fits(demand, host)) return host.id;
  }
  return undefined;
};

function randomFit(random: Random): Choose {
  return (board, job) => {
    const demand = demandOf(job, offered);
    for (let tries = 0; tries < 100; tries++) {
      const host = board.at(Math.floor(random() * board.size));
      if (host && fits(demand, host)) return host.id;
    }
    return undefined;
  };
}

/** Much of one and little of the other: what makes packing hard. */
function hardJobs(random: Random, count: number): Claimant[] {
  const { placement } = aProcess();
  return Array.from({ length: count }, (_, index) => {
    const isMemory = random() < 0.5;
    const [much, little] = [0.1 + random() * 0.25, 0.02 + random() * 0.08];
    const memoryBytes = Math.floor(hostMemory * (isMemory ? much : little));
    const cpuMillis = Math.floor(hostCpu * (isMemory ? little : much));
    const spec = aSpec({ resources: { memoryBytes, cpuMillis, pids: 10 } });
    return { app: `app-${index % 50}`, release: 'rel-1', type: 'web', spec, placement };
  });
}

function lowerBound(jobs: Claimant[]): number {
  const sum = (read: (job: Claimant) => number) => jobs.reduce((all, job) => all + read(job), 0);
  const memory = sum(({ spec }) => spec.resources.memoryBytes) / hostMemory;
  const cpu = sum(({ spec }) => spec.resources.cpuMillis) / hostCpu;
  return Math.ceil(Math.max(memory, cpu));
}

function hostsUsed(jobsOfHosts: number[]): number {
  return jobsOfHosts.filter((jobs) => jobs > 0).length;
}

function resultOf(
  runs: { ours: number; peer: number }[],
  said: Pick<BenchResult, 'name' | 'unit' | 'peer' | 'target' | 'isMet' | 'note'>,
): BenchResult {
  const ratios = runs.map((one) => one.ours / one.peer);
  return {
    ...said,
    figure: median(runs.map((one) => one.ours)),
    peerFigure: median(runs.map(({ peer }) => peer)),
    ratio: median(ratios),
    min: Math.min(...ratios),
    max: Math.max(...ratios),
    pairs: runs.length,
  };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
