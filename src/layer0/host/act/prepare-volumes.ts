// The folders of a job's volumes, owned by the user its process runs as.

import { chmod, chown, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode } from '#core/errors';
import { volumePath } from '../decide/container-spec.ts';
import { done, type Executor } from './outcome.ts';

const folderMode = 0o770;

export const prepareVolumes: Executor<'prepareVolumes'> = async (_step, view, deps) => {
  const { job } = view;
  if (!job) return done;
  for (const { volume } of job.spec.mounts) {
    if (volume === undefined) continue;
    await prepareFolder(volumePath(deps.config.home, job.app, volume), job.spec.user);
  }
  return done;
};

/** An existing folder keeps its owner: the app may have changed it. */
async function prepareFolder(path: string, user: string | undefined): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  try {
    await mkdir(path);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    throw error;
  }
  await chmod(path, folderMode);
  const [, uid, gid] = user?.match(/^(\d+)(?::(\d+))?$/) ?? [];
  if (uid !== undefined) await chown(path, Number(uid), Number(gid ?? uid));
}
