// What can a deployment go back to that began before any release of its app was complete? A release that is healthy beside
// it: its own rollout was overtaken, not found wrong. It is noted before a step could take it away.

import type { Deployment } from '../wire.ts';
import { type AppView, countsOf } from './app-view.ts';

export interface Fallback {
  release: string;
  version: number;
}

/** Undefined when there is none, or the deployment has one. The newest steady release, else the newest healthy one. */
export function fallbackOf(
  view: AppView,
  { oldRelease, newRelease }: Deployment,
  steadyMs: number,
): Fallback | undefined {
  if (oldRelease !== undefined) return undefined;
  const others = view.formations
    .filter(({ release }) => release !== newRelease)
    .sort((a, b) => b.version - a.version);
  const found =
    others.find(({ release }) => isServing(view, release, steadyMs)) ??
    others.find(({ release }) => isServing(view, release, 0));
  return found && { release: found.release, version: found.version };
}

/** Every process type that is asked for has a healthy job. */
function isServing(view: AppView, release: string, steadyMs: number): boolean {
  const asked = Object.values(countsOf(view, release, steadyMs)).filter(
    ({ quantity }) => quantity > 0,
  );
  return asked.length > 0 && asked.every(({ healthy }) => healthy > 0);
}
