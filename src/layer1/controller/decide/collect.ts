// What is old enough to go: releases and finished deployments beyond their caps, images that no release needs.

import type { Deployment, Release } from '../wire.ts';

/** Releases beyond the newest `cap`, but none of `needed`. `releases` go up by version. */
export function releasesToDrop(
  releases: readonly Release[],
  needed: ReadonlySet<string>,
  cap: number,
): Release[] {
  return releases.slice(0, Math.max(0, releases.length - cap)).filter(({ id }) => !needed.has(id));
}

/** Finished ones beyond the newest `cap`, but not the last one of a release that stays: it says how that one went. */
export function deploymentsToDrop(
  deployments: readonly Deployment[],
  keptReleases: ReadonlySet<string>,
  cap: number,
): Deployment[] {
  const last = new Map(deployments.map(({ id, newRelease }) => [newRelease, id]));
  return deployments
    .slice(0, Math.max(0, deployments.length - cap))
    .filter(({ id, endedAt, newRelease }) => {
      const isLast = last.get(newRelease) === id && keptReleases.has(newRelease);
      return endedAt !== undefined && !isLast;
    });
}
