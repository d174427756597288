// Jobs that are hard to pack: much of one and little of the other. What they need at least, and what a batch of them takes.

import type { Random } from '#core/random';
import { aContext, aJob, aSpec, aState, gigabyte, limits } from '#layer0/scheduler/fake';
import type { Job } from '#layer0/scheduler/wire';
import { placePending } from '../../src/layer0/scheduler/decide/place-pending.ts';
import { PlanBoard } from '../../src/layer0/scheduler/decide/plan-board.ts';

export const hostMemory = 64 * gigabyte;
export const hostCpu = 16_000;
/** Nothing is promised twice, and process ids are no bound. */
export const offered = { ...limits, cpuOvercommitPercent: 100, pidsPerHost: 1_000_000 };

export function hardJobs(random: Random, count: number): Job[] {
  return Array.from({ length: count }, (_, index) => {
    const isMemory = random() < 0.5;
    const [much, little] = [0.1 + random() * 0.25, 0.02 + random() * 0.08];
    const memoryBytes = Math.floor(hostMemory * (isMemory ? much : little));
    const cpuMillis = Math.floor(hostCpu * (isMemory ? little : much));
    const spec = aSpec({ resources: { memoryBytes, cpuMillis, pids: 10 } });
    return aJob({ id: `job-${index}`, app: `app-${index % 50}`, type: `web-${index}`, spec });
  });
}

/** Hosts that they need however they are placed. */
export function lowerBound(jobs: Job[]): number {
  const sum = (read: (job: Job) => number) => jobs.reduce((all, job) => all + read(job), 0);
  const memory = sum(({ spec }) => spec.resources.memoryBytes) / hostMemory;
  const cpu = sum(({ spec }) => spec.resources.cpuMillis) / hostCpu;
  return Math.ceil(Math.max(memory, cpu));
}

/** All of them wait to be packed: what a scheduler decides then. */
export function placeBatch(hosts: number, jobs: Job[]): PlanBoard {
  const waiting = jobs.map((job) => ({ ...job, placement: 'binpack' as const }));
  const state = aState({ hosts: hostsOf(hosts), jobs: waiting });
  const board = new PlanBoard(state);
  const context = aContext({ limits: offered });
  for (const _ of placePending(state, 'service', { board, context }));
  return board;
}

export function hostsOf(count: number) {
  const memoryBytes = hostMemory;
  return Array.from({ length: count }, (_, at) => ({
    id: `h${at}`,
    memoryBytes,
    cpuMillis: hostCpu,
  }));
}

export function hostsUsed(board: PlanBoard): number {
  const jobs = Array.from({ length: board.size }, (_, slot) => board.jobs(slot));
  return jobs.filter((count) => count > 0).length;
}
