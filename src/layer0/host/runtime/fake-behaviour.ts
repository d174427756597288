// How a scripted container behaves. Plain data, so that a simulation can replay and shrink it.

import type { ContainerSpec } from './runtime.ts';

export interface Behaviour {
  /** How long the engine takes to start it, milliseconds. */
  startMs?: number;
  /** The engine cannot start the process, and says this. */
  startError?: string;
  /** Ends by itself after this long; runs for ever without it. */
  runForMs?: number;
  /** Its exit code when it ends by itself (0 without it) or by SIGTERM (143 without it). */
  exitCode?: number;
  /** Ends by itself because of the memory limit: exit code 137. */
  isOutOfMemory?: boolean;
  /** Answers health checks this long after its start; see `isHealthy`. */
  healthyAfterMs?: number;
  neverHealthy?: boolean;
  /** Time between SIGTERM and its end; for ever with `ignoresTerm`. */
  stopMs?: number;
  ignoresTerm?: boolean;
  stdout?: string;
  stderr?: string;
  /** Writes its stdin to stdout and ends with it, as `cat` does. */
  echoes?: boolean;
  /** Result of any exec in it. */
  exec?: { output?: string; exitCode?: number; forMs?: number };
}

export type Script = (spec: ContainerSpec) => Behaviour;

const marker = 'behave';

/** A command that carries its own behaviour: understood by the script that is used when none is given. */
export function behaviourCommand(behaviour: Behaviour): string[] {
  return [marker, JSON.stringify(behaviour)];
}

export const scriptByCommand: Script = ({ command }) =>
  command?.[0] === marker ? (JSON.parse(command[1] ?? '{}') as Behaviour) : {};
