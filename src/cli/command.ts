// What a command is: a row of the registry that says all about it, and a function that is loaded when it is called.

import type { ControllerClient } from '#layer1/controller/client';
import type { Arguments } from './arguments.ts';
import type { Cluster } from './clusters.ts';
import type { Io } from './io.ts';
import type { Output } from './output.ts';

export interface OptionSpec {
  /** One letter, without its dash. */
  short?: string;
  /** Placeholder of the value; absent: the option is a switch. */
  value?: string;
  /** May be given more than once. */
  isRepeatable?: boolean;
  /** Half a sentence for help. */
  doc: string;
}

export type Group = 'Apps' | 'Processes' | 'Releases' | 'Routes' | 'Cluster' | 'This tool';

export interface CommandSpec {
  /** `env set`; a colon between the words means the same. */
  name: string;
  /** Other names, Heroku's mostly. */
  aliases?: readonly string[];
  group: Group;
  /** A sentence that begins with a verb. */
  summary: string;
  /** Placeholders of what follows the name. */
  usage?: string;
  /** Fewest and most words after the name; none unless said. */
  takes?: readonly [fewest: number, most: number];
  options?: Readonly<Record<string, OptionSpec>>;
  /** Whether it is about one app: found by `-a`, the git remote or GANTRY_APP, or only by `-a`. */
  app?: 'found' | 'named';
  /** It reads: it has `--json`. */
  isRead?: boolean;
  /** It never talks to a cluster: it has no `--cluster`. */
  isLocal?: boolean;
  /** Words after the first are handed over as they are, options too. */
  passesRest?: boolean;
  /** Left out of help and docs. */
  isHidden?: boolean;
  /** More for its help, in whole lines. */
  details?: string;
  examples: readonly string[];
}

/** Answers the exit code; undefined is 0. */
export type Command = (call: Call) => Promise<number | undefined>;

export interface Connection {
  api: ControllerClient;
  cluster: Cluster;
}

export interface Call {
  readonly spec: CommandSpec;
  readonly args: Arguments;
  readonly io: Io;
  readonly out: Output;
  /** The API of the cluster that this call is about. */
  connect(): Promise<Connection>;
  /** The app that this call is about, and the API of its cluster. */
  target(): Promise<Connection & { app: string }>;
}
