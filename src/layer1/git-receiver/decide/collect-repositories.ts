// Which repositories nobody owns any more. An app that is missing from one answer may come back: it has to be missing for a
// while, from answers that do know other apps.

export interface CollectInput {
  /** Ids of repositories on disk. */
  repositories: string[];
  /** Ids of the apps there are. */
  apps: string[];
  /** When each repository was first seen without its app, milliseconds. */
  missingSince: ReadonlyMap<string, number>;
  nowMs: number;
  graceMs: number;
}

export interface CollectPlan {
  remove: string[];
  missingSince: Map<string, number>;
}

export function planCollection(input: CollectInput): CollectPlan {
  const plan: CollectPlan = { remove: [], missingSince: new Map() };
  if (input.apps.length === 0) return plan;
  const apps = new Set(input.apps);
  for (const id of input.repositories) {
    if (apps.has(id)) continue;
    const since = input.missingSince.get(id) ?? input.nowMs;
    if (input.nowMs - since >= input.graceMs) plan.remove.push(id);
    else plan.missingSince.set(id, since);
  }
  return plan;
}
