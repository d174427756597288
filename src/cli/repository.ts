// Which app does this folder belong to? Read from the repository's own configuration, without starting git where it is plain.

import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from './clusters.ts';
import { cliErrors } from './errors.ts';
import type { Io } from './io.ts';

export interface Remote {
  name: string;
  url: string;
}

export interface Repository {
  /** The work tree's top folder. */
  folder: string;
  remotes: Remote[];
}

type Place = Pick<Io, 'env' | 'cwd'>;

/** The name of the remote that `gantry create` adds. */
export const remoteName = 'gantry';

/** The repository around the folder; undefined outside of one. */
export async function findRepository({ env, cwd }: Place): Promise<Repository | undefined> {
  if (env.GIT_DIR) return { folder: cwd, remotes: await askGit(cwd, env) };
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const gitFolder = await gitFolderOf(join(folder, '.git'));
    if (gitFolder !== undefined) {
      const config = await readOrNothing(join(gitFolder, 'config'));
      return { folder, remotes: parseRemotes(config) ?? (await askGit(folder, env)) };
    }
    if (folder === dirname(folder)) return undefined;
  }
}

/** `.git` itself, or what a work tree's or a submodule's `.git` file points to. */
async function gitFolderOf(path: string): Promise<string | undefined> {
  const kind = await stat(path).catch(() => undefined);
  if (!kind) return undefined;
  if (kind.isDirectory()) return path;
  const pointer = /^gitdir: (.+)$/m.exec(await readOrNothing(path))?.[1];
  if (pointer === undefined) return undefined;
  const own = resolve(dirname(path), pointer.trim());
  const shared = (await readOrNothing(join(own, 'commondir'))).trim();
  return shared === '' ? own : resolve(own, shared);
}

async function readOrNothing(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw cliErrors.git(`cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Undefined where the file needs git itself to be understood: includes, rewritten URLs, quoting. */
export function parseRemotes(config: string): Remote[] | undefined {
  const remotes: Remote[] = [];
  let section = '';
  for (const line of config.split('\n')) {
    const text = line.trim();
    if (/^\[\s*(include|url)/i.test(text) || text.endsWith('\\')) return undefined;
    if (text.startsWith('[')) section = text;
    const name = /^\[\s*remote\s+"([^"\\]+)"\s*\]$/i.exec(section)?.[1];
    const url = /^url\s*=\s*(.+)$/i.exec(text)?.[1];
    if (name === undefined || url === undefined) continue;
    if (/["#;\\]/.test(url)) return undefined;
    if (!remotes.some((remote) => remote.name === name)) remotes.push({ name, url });
  }
  return remotes;
}

async function askGit(folder: string, env: Io['env']): Promise<Remote[]> {
  const lines = await git(folder, env, ['config', '--get-regexp', '^remote\\..*\\.url$']).catch(
    () => '',
  );
  return lines.split('\n').flatMap((line) => {
    const [, name, url] = /^remote\.(.+)\.url (.+)$/.exec(line) ?? [];
    return name !== undefined && url !== undefined ? [{ name, url }] : [];
  });
}

const execFile$ = promisify(execFile);

/** What git printed; its own sentence when it refuses. */
export async function git(folder: string, env: Io['env'], args: string[]): Promise<string> {
  try {
    const options = { cwd: folder, env: { ...env }, timeout: 10_000 };
    return (await execFile$('git', args, options)).stdout;
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string };
    throw cliErrors.git(`git ${args.join(' ')}: ${stderr?.trim() || message}`, { cause });
  }
}

export interface FoundApp {
  app: string;
  /** Whose git host the remote is on; absent where none of the known ones is. */
  cluster?: Cluster;
  remote: Remote;
}

/** The remote `gantry`, else the one remote on a git host of a known cluster; the first cluster counts before the others. */
export function findApp(
  remotes: readonly Remote[],
  clusters: readonly Cluster[],
): FoundApp | undefined {
  const named = remotes.find(({ name }) => name === remoteName);
  const found = [...(named ? [named] : []), ...remotes].flatMap((remote) => {
    const cluster = clusters.find(({ gitUrl }) => isOn(remote.url, gitUrl));
    const app = appOf(remote.url);
    return app !== undefined && (cluster || remote === named)
      ? [{ app, remote, ...(cluster ? { cluster } : {}) }]
      : [];
  });
  if (named) return found[0];
  const apps = new Set(found.map(({ app, cluster }) => `${cluster?.name}/${app}`));
  if (apps.size <= 1) return found[0];
  const names = found.map(({ remote, app }) => `${remote.name} (${app})`).join(', ');
  throw cliErrors.noApp(`this repository has remotes of several apps: ${names}; say which with -a`);
}

/** Same scheme, host and port; user and password in the URL do not matter. */
export function isOn(remoteUrl: string, gitUrl: string): boolean {
  const [remote, host] = [URL.parse(remoteUrl), URL.parse(gitUrl)];
  return remote !== null && host !== null && remote.origin === host.origin;
}

function appOf(url: string): string | undefined {
  const path = URL.parse(url)?.pathname ?? '';
  return /^\/([a-z][a-z0-9-]{0,29})(?:\.git)?\/?$/.exec(path)?.[1];
}

export function remoteUrlOf({ gitUrl }: Cluster, app: string): string {
  return `${gitUrl}/${app}.git`;
}

/** An app's name out of a folder's: what of it is allowed, or undefined when that is nothing. */
export function nameOfFolder(folder: string): string | undefined {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 30)
    .replace(/-+$/, '');
  return name === '' ? undefined : name;
}
