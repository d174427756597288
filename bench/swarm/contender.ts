// What the benchmark asks of Gantry and of Swarm mode alike. Every call says what is wanted and returns; what came of it
// is seen from the engines.

import type { Machine } from '../../test/cluster/machine.ts';
import type { Container } from './fleet.ts';

export const figureNames = [
  'start',
  'crash',
  'power',
  'cable',
  'update',
  'boot',
  'control',
  'worker',
] as const;
export type FigureName = (typeof figureNames)[number];

export interface Contender {
  name: string;
  /** What is measured of it. */
  figures: readonly FigureName[];
  /** The engine's label of its containers. */
  label: string;
  /** The first has the control, the last one is lost. */
  machines: readonly Machine[];
  /** Nothing else of it runs; afterwards `replicas` may be asked for. */
  begin(): Promise<void>;
  replicas(count: number): Promise<void>;
  /** A new version of what runs. What tells its containers from older ones. */
  update(): Promise<(container: Container) => boolean>;
  /** Waits until a machine that was lost is a member again. */
  untilMember(machine: Machine): Promise<void>;
  /** Waits until its control answers for all machines. */
  untilServes(): Promise<void>;
  /** Megabytes (PSS) that it costs on a machine. */
  megabytes(machine: Machine): Promise<number>;
  end(): Promise<void>;
}

/** Ends at once when it is told to, as a well-made server does. */
export const sleeper = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'];

/** Longest that anything is waited for: a hang limit. */
export const hangMs = 240_000;
