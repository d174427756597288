// `gantry create`: the app in the cluster, then the remote in the repository, so that `git push gantry main` is all that is left.

import type { CreateApp } from '#layer1/controller/client';
import type { Cluster } from '../clusters.ts';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import type { Io } from '../io.ts';
import {
  findRepository,
  git,
  nameOfFolder,
  type Repository,
  remoteName,
  remoteUrlOf,
} from '../repository.ts';
import { strategies } from './strategy.ts';

export async function createApp(call: Call): Promise<undefined> {
  const { args, io, out } = call;
  const repository = args.has('no-remote') ? undefined : await findRepository(io);
  const name = args.words[0] ?? (repository && nameOfFolder(repository.folder));
  if (name === undefined)
    throw cliErrors.usage('say what the app is called: gantry create NAME (letters, digits and -)');
  const wanted = appFrom(call, name);
  const { api, cluster } = await call.connect();
  const app = await api.createApp(wanted);
  out.line(`App ${app.name} is there${app.urls[0] ? `; it will answer at ${app.urls[0]}` : ''}`);
  const remote = args.text('remote') ?? remoteName;
  const url = remoteUrlOf(cluster, app.name);
  if (args.has('no-remote')) return undefined;
  if (!repository) {
    out.line('This folder is no git repository. In the one to push:');
    for (const words of remoteCommands(cluster, remote, url)) out.line(`  git ${quoted(words)}`);
    return undefined;
  }
  return await addRemote(call, repository, { cluster, remote, url });
}

function appFrom({ args }: Call, name: string): CreateApp {
  const strategy = strategies.find((known) => known === args.text('strategy'));
  if (args.has('strategy') && !strategy)
    throw cliErrors.usage(`--strategy is one of ${strategies.join(', ')}`);
  const batchSize = args.number('batch-size', [1, 1000]);
  return {
    name,
    ...(strategy === undefined ? {} : { strategy }),
    ...(batchSize === undefined ? {} : { batchSize }),
  };
}

interface NewRemote {
  cluster: Cluster;
  remote: string;
  url: string;
}

async function addRemote(
  { io, out }: Call,
  { folder, remotes }: Repository,
  { cluster, remote, url }: NewRemote,
): Promise<undefined> {
  const existing = remotes.find(({ name }) => name === remote);
  const commands = remoteCommands(cluster, remote, url);
  if (existing && existing.url !== url) {
    out.note(
      `The remote ${remote} is ${existing.url} and stays so; \`git remote set-url ${remote} ${url}\` makes it this app's.`,
      'yellow',
    );
    await runAll(folder, io, commands.slice(1));
    return undefined;
  }
  await runAll(folder, io, existing ? commands.slice(1) : commands);
  out.line(
    `Remote ${remote} is ${url}; deploy with: git push ${remote} ${await branchOf(folder, io)}`,
  );
  return undefined;
}

async function runAll(folder: string, { env }: Io, commands: string[][]): Promise<void> {
  for (const words of commands) await git(folder, env, words);
}

async function branchOf(folder: string, { env }: Io): Promise<string> {
  const branch = await git(folder, env, ['symbolic-ref', '--short', 'HEAD']).catch(() => 'main');
  return branch.trim();
}

/** The remote first, then what lets git log in and trust. */
export function remoteCommands(cluster: Cluster, remote: string, url: string): string[][] {
  const { gitUrl, caFile } = cluster;
  return [
    ['remote', 'add', remote, url],
    ['config', '--local', `credential.${gitUrl}.helper`, '!gantry git-credentials'],
    ...(caFile === undefined ? [] : [['config', '--local', `http.${gitUrl}.sslCAInfo`, caFile]]),
  ];
}

function quoted(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(' ');
}
