// Three engines seen from outside: which containers run on them, asked every few milliseconds, the same way for every
// contender.

import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Machine } from '../../test/cluster/machine.ts';
import { hangMs } from './contender.ts';

const everyMs = 25;
/** An engine that does not answer by then has no containers that anybody could use. */
const engineLimitMs = 2_000;

export interface Container {
  Id: string;
  Image: string;
  Labels: Record<string, string>;
  machine: Machine;
}

export interface Fleet {
  machines: readonly Machine[];
  /** Of the containers that count. */
  label: string;
}

/** Running containers with that label, on machines that are on. */
export async function running({ machines, label }: Fleet): Promise<Container[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label], status: ['running'] }));
  const lists = machines
    .filter(({ isOn }) => isOn)
    .map(async (machine) => {
      const found = await ask(machine, `/v1.41/containers/json?filters=${filters}`);
      return found.map((container) => ({ ...container, machine }));
    });
  return (await Promise.all(lists)).flat();
}

/** It hangs: it was waited for as long as anything is. */
export class NotReached extends Error {}

/** Seconds from `startMs` until what runs is as it should be. */
export async function untilRunning(
  fleet: Fleet,
  what: string,
  isRight: (containers: readonly Container[]) => boolean,
  startMs = performance.now(),
): Promise<number> {
  const end = performance.now() + hangMs;
  for (;;) {
    if (isInterrupted) throw new Error(`interrupted while it waited for ${what}`);
    const containers = await running(fleet);
    if (isRight(containers)) return (performance.now() - startMs) / 1000;
    if (performance.now() > end)
      throw new NotReached(`waited ${hangMs} ms for ${what}; ${containers.length} run`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

let isInterrupted = false;

/** From now on a signal ends the next wait with an error, so that everything is put back as after a failure. */
export function endByErrorOnSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      isInterrupted = true;
    });
}

function ask(machine: Machine, path: string): Promise<Omit<Container, 'machine'>[]> {
  return new Promise((resolve) => {
    const none = () => resolve([]);
    const call = request({ socketPath: machine.path('/run/docker.sock'), path });
    call.setTimeout(engineLimitMs, () => call.destroy());
    call.once('error', none);
    call.once('response', (answer) => {
      text(answer).then((said) => resolve(answer.statusCode === 200 ? JSON.parse(said) : []), none);
    });
    call.end();
  });
}
