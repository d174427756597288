// One run of one command: its words, where it prints, and the API, which is found and dialled only when it is asked for.

import { readFile } from 'node:fs/promises';
import type { Arguments } from './arguments.ts';
import { type Cluster, listClusters, pickCluster } from './clusters.ts';
import type { Call, CommandSpec, Connection } from './command.ts';
import { cliErrors } from './errors.ts';
import type { Io } from './io.ts';
import type { Output } from './output.ts';
import { findApp, findRepository } from './repository.ts';

export interface CallParts {
  spec: CommandSpec;
  args: Arguments;
  io: Io;
  out: Output;
}

interface Target {
  cluster: Cluster;
  app?: string;
}

export class CommandCall implements Call {
  readonly spec: CommandSpec;
  readonly args: Arguments;
  readonly io: Io;
  readonly out: Output;
  /** Known once the API was asked for: what an error is about. */
  cluster: Cluster | undefined;
  #target: Promise<Target> | undefined;
  #connection: Promise<Connection> | undefined;

  constructor({ spec, args, io, out }: CallParts) {
    this.spec = spec;
    this.args = args;
    this.io = io;
    this.out = out;
  }

  connect(): Promise<Connection> {
    this.#connection ??= this.#findTarget().then(({ cluster }) => {
      this.cluster = cluster;
      return dial(cluster);
    });
    return this.#connection;
  }

  async target(): Promise<Connection & { app: string }> {
    const { app } = await this.#findTarget();
    if (app === undefined)
      throw cliErrors.noApp(
        'no app: say -a APP, set GANTRY_APP, or go to a repository with a remote `gantry`',
      );
    return { ...(await this.connect()), app };
  }

  #findTarget(): Promise<Target> {
    this.#target ??= findTarget(this);
    return this.#target;
  }
}

/** The app's own cluster where the folder names the app, so that no command reaches for its namesake elsewhere. */
async function findTarget({ spec, args, io }: Pick<CallParts, 'spec' | 'args' | 'io'>) {
  const clusters = await listClusters(io);
  const chosen = args.text('cluster');
  const named = args.text('app');
  if (named !== undefined || spec.app !== 'found')
    return {
      cluster: pickCluster(clusters, chosen),
      ...(named === undefined ? {} : { app: named }),
    };
  const repository = await findRepository(io);
  const eligible = chosen === undefined ? clusters : [pickCluster(clusters, chosen)];
  const found = repository && findApp(repository.remotes, eligible);
  if (found && !found.cluster && clusters.length > 0)
    throw cliErrors.noCluster(
      `remote ${found.remote.name} is ${found.remote.url}, which is no git host of ${names(eligible)}; say -a APP, or \`gantry login\` there`,
    );
  const cluster = found?.cluster ?? pickCluster(clusters, chosen);
  const app = found?.app ?? (io.env.GANTRY_APP || undefined);
  return { cluster, ...(app === undefined ? {} : { app }) };
}

function names(clusters: readonly Cluster[]): string {
  return clusters.map(({ name }) => name).join(', ');
}

/** Loaded here and not before: commands that stay on this machine start without an HTTP client. */
export async function dial(cluster: Cluster): Promise<Connection> {
  const { createControllerClient } = await import('#layer1/controller/client');
  const { url, token, address, caFile } = cluster;
  const api = createControllerClient({
    baseUrl: url,
    token,
    headers: { accept: 'application/json', 'user-agent': 'gantry' },
    ...(address === undefined ? {} : { dialAddress: address }),
    ...(caFile === undefined ? {} : { ca: await readAuthority(caFile, cluster.name) }),
  });
  return { api, cluster };
}

async function readAuthority(caFile: string, name: string): Promise<string> {
  try {
    return await readFile(caFile, 'utf8');
  } catch (cause) {
    throw cliErrors.badConfig(
      `cannot read ${caFile}, the authority of cluster ${name}: ${(cause as Error).message}`,
      { cause },
    );
  }
}
