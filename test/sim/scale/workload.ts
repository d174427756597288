// The cluster of a scale run, drawn from its seed: hosts that its jobs fill to nine tenths, services of very different
// sizes, and one-off jobs that come while the services are placed.

import type { Random } from '#core/random';
import { aFormation, aHost, aProcess, aSpec, megabyte } from '#layer0/scheduler/fake';
import type { Formation, Job, JobSpec } from '#layer0/scheduler/wire';

export interface Size {
  hosts: number;
  jobs: number;
}

export interface Workload {
  hosts: { record: ReturnType<typeof aHost>; tags: Record<string, string> }[];
  formations: Formation[];
  oneOffs: { app: string; spec: JobSpec }[];
}

/** Of what the hosts offer, promised when all is placed. */
const fill = 0.9;
const zones = ['a', 'b', 'c'];
/** Replicas of a service: from one to a thousand, most of them few. */
const mostReplicas = 1000;
const packedShare = 0.2;
const oneOffShare = 0.01;

export function workloadOf({ hosts, jobs }: Size, random: Random): Workload {
  const oneOffs = Math.floor(jobs * oneOffShare);
  const formations: Formation[] = [];
  for (let left = jobs - oneOffs; left > 0; ) {
    const quantity = Math.min(left, Math.ceil(mostReplicas ** random()));
    formations.push(aService(formations.length, quantity, random));
    left -= quantity;
  }
  const oneOff = { ...aSpecOf(random), restart: 'never' as const };
  const needs = [...formations.map(needsOf), timesNeeded(oneOff, oneOffs)];
  const memoryBytes = Math.ceil(sum(needs, ({ memory }) => memory) / fill / hosts);
  const cpuMillis = Math.ceil(sum(needs, ({ cpu }) => cpu) / fill / hosts);
  return {
    formations,
    oneOffs: Array.from({ length: oneOffs }, (_, place) => ({
      app: formations[place % formations.length]?.app ?? '',
      spec: oneOff,
    })),
    hosts: Array.from({ length: hosts }, (_, place) => ({
      record: aHost({ id: `host-${place}`, name: `h${place}`, memoryBytes, cpuMillis }),
      tags: { zone: zones[place % zones.length] ?? '' },
    })),
  };
}

function aService(place: number, quantity: number, random: Random): Formation {
  const app = `app-${place}`;
  const placement: Job['placement'] = random() < packedShare ? 'binpack' : 'spread';
  const spec = aSpecOf(random);
  const processes = { web: aProcess({ quantity, placement, spec }) };
  return aFormation({ app, appName: `service-${place}`, release: `rel-${place}`, processes });
}

function aSpecOf(random: Random): JobSpec {
  const memoryBytes = 64 * megabyte * (1 + Math.floor(random() * 15));
  const cpuMillis = 50 * (1 + Math.floor(random() * 19));
  return aSpec({ resources: { memoryBytes, cpuMillis, pids: 64 } });
}

function needsOf({ processes }: Formation) {
  const { spec, quantity } = processes.web ?? aProcess();
  return timesNeeded(spec, quantity);
}

function timesNeeded({ resources }: JobSpec, count: number) {
  return { memory: resources.memoryBytes * count, cpu: resources.cpuMillis * count };
}

function sum<T>(items: T[], read: (item: T) => number): number {
  return items.reduce((all, item) => all + read(item), 0);
}
