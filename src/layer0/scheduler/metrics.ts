// What an operator watches of the schedulers, for Prometheus. Counters begin at zero when the daemon starts: each daemon
// counts what it did while it led, so that the cluster's figure is the sum over its machines.

import type { SchedulerStatus } from './elected-scheduler.ts';

export interface Watched extends Omit<SchedulerStatus, 'loop' | 'conflictsInRow'> {
  pending: number;
}

type Family = [name: string, help: string, read: (watched: Watched) => number];

const families: Family[] = [
  ['commits_total', 'Transactions committed.', ({ commits }) => commits],
  [
    'conflicts_total',
    'Transactions that another writer was faster than: decided again on fresh state.',
    ({ conflicts }) => conflicts,
  ],
  ['steps_total', 'Changes committed: jobs created, placed, stopped.', ({ steps }) => steps],
  ['leads', '1 where this daemon leads it.', ({ isLeader }) => Number(isLeader)],
  ['pending_jobs', 'Jobs that wait for a place.', ({ pending }) => pending],
];

export function metricsText(schedulers: Watched[]): string {
  const lines = families.flatMap(([name, help, read]) => {
    const metric = `gantry_scheduler_${name}`;
    return [
      `# HELP ${metric} ${help}`,
      `# TYPE ${metric} ${name.endsWith('_total') ? 'counter' : 'gauge'}`,
      ...schedulers.map((one) => `${metric}{scheduler="${one.name}"} ${read(one)}`),
    ];
  });
  return `${lines.join('\n')}\n`;
}
