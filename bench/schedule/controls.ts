// What placement is measured against: first-fit, best-fit and a random choice, each on the board that those before it left.

import type { Random } from '#core/random';
import { aState } from '#layer0/scheduler/fake';
import type { Job } from '#layer0/scheduler/wire';
import { demandOf } from '../../src/layer0/scheduler/decide/demand.ts';
import { fitting } from '../../src/layer0/scheduler/decide/filters.ts';
import { PlanBoard } from '../../src/layer0/scheduler/decide/plan-board.ts';
import { hostCpu, hostMemory, hostsOf, offered } from './hard-jobs.ts';

export interface Size {
  hosts: number;
  jobs: number;
}

/** The host of one job, given what those before it left. */
export type Choose = (board: PlanBoard, job: Job) => string | undefined;

export function boardOf({ hosts }: Size): PlanBoard {
  return new PlanBoard(aState({ hosts: hostsOf(hosts) }));
}

/** As they come, each after the one before. */
export function place(size: Size, jobs: Job[], choose: Choose) {
  const board = boardOf(size);
  const startedAt = performance.now();
  for (const job of jobs) {
    const host = choose(board, job);
    if (host !== undefined) board.add(host, job);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return { board, perSecond: jobs.length / seconds };
}

export const firstFit: Choose = (board, job) => {
  const fits = fitting(demandOf(board, job, offered));
  for (let slot = 0; slot < board.size; slot++) if (fits(slot)) return board.at(slot)?.id;
  return undefined;
};

/** Where least of both is left over. */
export const bestFit: Choose = (board, job) => {
  const fits = fitting(demandOf(board, job, offered));
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let slot = 0; slot < board.size; slot++) {
    if (!fits(slot)) continue;
    const left = 2 - board.memoryBytes(slot) / hostMemory - board.cpuMillis(slot) / hostCpu;
    if (left < least) [best, least] = [slot, left];
  }
  return board.at(best)?.id;
};

export function randomFit(random: Random): Choose {
  return (board, job) => {
    const fits = fitting(demandOf(board, job, offered));
    for (let tries = 0; tries < 100; tries++) {
      const slot = Math.floor(random() * board.size);
      if (fits(slot)) return board.at(slot)?.id;
    }
    return undefined;
  };
}
