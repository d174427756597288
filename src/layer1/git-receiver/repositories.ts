// One bare repository for each app, by app id, in one folder. Made on first use, configured on every use, removed with the app.

import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gitErrors } from './errors.ts';
import { runGit } from './git-process.ts';

export interface Repositories {
  /** Path of the app's repository, made if it is not there. */
  ensure(appId: string): Promise<string>;
  list(): Promise<string[]>;
  remove(appId: string): Promise<void>;
  /** Packs what many pushes have left loose, when git finds it worth it. */
  tidy(appId: string): Promise<void>;
}

const suffix = '.git';
const idShape = /^[a-z][a-z0-9-]{0,63}$/;

export function createRepositories(folder: string): Repositories {
  const pathOf = (appId: string) => {
    if (!idShape.test(appId)) throw gitErrors.notFound(`${appId} is not the id of an app`);
    return join(folder, `${appId}${suffix}`);
  };
  return {
    async ensure(appId) {
      const path = pathOf(appId);
      if (!(await exists(join(path, 'HEAD')))) await create(folder, path);
      return path;
    },
    async list() {
      const names = await readdir(folder).catch(absentIsEmpty);
      return names
        .filter((name) => name.endsWith(suffix))
        .map((name) => name.slice(0, -suffix.length))
        .filter((id) => idShape.test(id));
    },
    remove: (appId) => rm(pathOf(appId), { recursive: true, force: true }),
    async tidy(appId) {
      await runGit({
        args: ['-c', 'gc.autoDetach=false', 'gc', '--auto', '-q'],
        cwd: pathOf(appId),
      });
    },
  };
}

/** Made under another name and moved, so that one cut off in the middle is never taken for a repository. */
async function create(folder: string, path: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}.new`;
  await rm(fresh, { recursive: true, force: true });
  const template = '--template=';
  await runGit({ args: ['init', '-q', '--bare', template, '-b', 'main', fresh], cwd: folder });
  try {
    await rename(fresh, path);
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true });
    // Another push of the same app was quicker.
    if (!(await exists(join(path, 'HEAD'))))
      throw gitErrors.failed(`could not make the repository ${path}`, { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function absentIsEmpty(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}
