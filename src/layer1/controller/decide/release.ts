// Which release does the next one begin from, and which one does a rollback mean?

import type { Deployment, Release } from '../wire.ts';

/** How the last rollout of a release ended, or is; undefined when it never had one. */
export function outcomeOf(
  release: string,
  deployments: readonly Deployment[],
): Deployment['state'] | undefined {
  return deployments.findLast(({ newRelease }) => newRelease === release)?.state;
}

/**
 * What a change of config or code builds on: the newest release that did not fail, and never one older than the
 * current one. A release that was rolled back takes its changes with it. `releases` go up from the current version.
 */
export function baseOf(
  releases: readonly Release[],
  deployments: readonly Deployment[],
  currentRelease: string | undefined,
): Release | undefined {
  return releases.findLast(({ id }) => {
    const outcome = outcomeOf(id, deployments);
    return id === currentRelease || (outcome !== 'failed' && outcome !== 'rolling-back');
  });
}

/** The newest release before the current one that can run and did run, as far as anyone remembers. */
export function previousGood(
  releases: readonly Release[],
  deployments: readonly Deployment[],
  currentVersion: number,
): Release | undefined {
  return releases.findLast((release) => {
    if (release.version >= currentVersion || !canRun(release)) return false;
    const outcome = outcomeOf(release.id, deployments);
    return outcome === undefined || outcome === 'complete';
  });
}

export function canRun(release: Pick<Release, 'imageId' | 'systemSpecs'>): boolean {
  return release.imageId !== undefined || release.systemSpecs !== undefined;
}
