// A release as people see it: the names of its config, never a value.

import type { ReleaseView } from '../api.ts';
import type { App, Deployment, Release } from '../wire.ts';
import { outcomeOf } from './release.ts';

/** What stands for a config value wherever it is not asked for by name. */
export const hidden = '***';

export function releaseView(
  release: Release,
  app: App,
  deployments: readonly Deployment[],
): ReleaseView {
  const { id, version, imageId, processes, description, commit, createdBy, createdAt } = release;
  const names = Object.keys(release.sealedEnv).sort();
  const types = Object.keys(release.systemSpecs ?? {}).map((type) => [type, {}]);
  const state = outcomeOf(id, deployments);
  return {
    id,
    version,
    env: Object.fromEntries(names.map((name) => [name, hidden])),
    processes: release.systemSpecs ? Object.fromEntries(types) : processes,
    description,
    createdBy,
    createdAt,
    isCurrent: app.currentRelease === id,
    ...(imageId === undefined ? {} : { imageId }),
    ...(commit === undefined ? {} : { commit }),
    ...(state === undefined ? {} : { state }),
  };
}
