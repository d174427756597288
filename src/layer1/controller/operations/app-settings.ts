// Strategy and batch size count from the next deployment on; limits are part of what runs, so a change is a release.

import type { ChangeApp } from '../api.ts';
import type { Caller, Context } from '../context.ts';
import { defaultLimits, oneOffType } from '../decide/job-spec.ts';
import { canRun } from '../decide/release.ts';
import { controllerErrors } from '../errors.ts';
import { readLivingApp } from '../records.ts';
import type { App, Release } from '../wire.ts';
import { updateApp } from './apps.ts';
import { contentOf, makeRelease, readBase, refuseSystem } from './releases.ts';

export async function changeAppSettings(
  context: Context,
  request: { app: string; caller: Caller },
  wanted: ChangeApp,
): Promise<void> {
  const { value: app } = await readLivingApp(context.store, request.app);
  if (wanted.limits) refuseSystem(app);
  const { base } = await readBase(context, app);
  if (base && canRun(base)) refuseUnknownTypes(app, base, Object.keys(wanted.limits ?? {}));
  if (!wanted.limits || !base || !canRun(base)) {
    await updateApp(context, request.app, (old) => changed(old, wanted));
    return;
  }
  await makeRelease(context, {
    ...request,
    draft(newest, old) {
      if (!newest) throw controllerErrors.noRelease(`app ${old.name} has no release any more`);
      const types = Object.keys(wanted.limits ?? {}).join(', ');
      return {
        app: changed(old, wanted),
        content: contentOf(newest),
        description: `Set limits of ${types}`,
      };
    },
  });
}

/** Before there is code any type may be named. */
function refuseUnknownTypes({ name }: App, { version, processes }: Release, types: string[]): void {
  const unknown = types.find((type) => type !== oneOffType && !Object.hasOwn(processes, type));
  if (unknown === undefined) return;
  const known = [...Object.keys(processes), `${oneOffType} for one-offs`].join(', ');
  throw controllerErrors.processTypeNotFound(
    `v${version} of ${name} has no process type ${unknown}; it has ${known}`,
  );
}

function changed(app: App, { strategy, batchSize, limits = {} }: ChangeApp): App {
  const next = { ...app.limits };
  for (const [type, limit] of Object.entries(limits))
    next[type] = { ...defaultLimits, ...next[type], ...limit };
  return {
    ...app,
    strategy: strategy ?? app.strategy,
    batchSize: batchSize ?? app.batchSize,
    limits: next,
  };
}
