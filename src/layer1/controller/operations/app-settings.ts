// Strategy and batch size count from the next deployment on, a priority at once; limits are part of what runs, so a change is a release.

import type { ChangeApp } from '../api.ts';
import type { Caller, Context } from '../context.ts';
import { refusePlatformPorts } from '../decide/host-ports.ts';
import { defaultLimits, oneOffType } from '../decide/job-spec.ts';
import { canRun } from '../decide/release.ts';
import { controllerErrors } from '../errors.ts';
import { readApp, readLivingApp } from '../records.ts';
import type { App, Placement, Release } from '../wire.ts';
import { updateApp } from './apps.ts';
import { contentOf, makeRelease, readBase, refuseSystem } from './releases.ts';

export async function changeAppSettings(
  context: Context,
  request: { app: string; caller: Caller },
  wanted: ChangeApp,
): Promise<void> {
  const { value: app } = await readLivingApp(context.store, request.app);
  const isReleased = wanted.limits !== undefined || wanted.placements !== undefined;
  if (isReleased || wanted.priority !== undefined) refuseSystem(app);
  for (const placement of Object.values(wanted.placements ?? {}))
    refusePlatformPorts(placement?.hostPorts ?? [], context.settings);
  const placements = await withAppIds(context, wanted.placements);
  const { base } = await readBase(context, app);
  const types = [...Object.keys(wanted.limits ?? {}), ...Object.keys(placements)];
  if (base && canRun(base)) refuseUnknownTypes(app, base, types);
  if (!isReleased || !base || !canRun(base)) {
    await updateApp(context, request.app, (old) => changed(old, wanted, placements));
    return;
  }
  await makeRelease(context, {
    ...request,
    draft(newest, old) {
      if (!newest) throw controllerErrors.noRelease(`app ${old.name} has no release any more`);
      const what = wanted.limits ? 'limits' : 'placement';
      return {
        app: changed(old, wanted, placements),
        content: contentOf(newest),
        description: `Set ${what} of ${types.join(', ')}`,
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

type Placements = NonNullable<ChangeApp['placements']>;

/** Placement goes by ids: a rename changes nothing. */
async function withAppIds({ store }: Context, wanted: Placements = {}): Promise<Placements> {
  const resolved = async (rules: Placement['near']) =>
    await Promise.all(
      (rules ?? []).map(async (rule) =>
        rule.app === undefined ? rule : { ...rule, app: (await readApp(store, rule.app)).value.id },
      ),
    );
  const result: Placements = {};
  for (const [type, placement] of Object.entries(wanted))
    result[type] = placement && {
      ...placement,
      ...(placement.near ? { near: await resolved(placement.near) } : {}),
      ...(placement.apart ? { apart: await resolved(placement.apart) } : {}),
    };
  return result;
}

function changed(
  app: App,
  { strategy, batchSize, priority, limits = {} }: ChangeApp,
  placements: Placements,
): App {
  const next = { ...app.limits };
  for (const [type, limit] of Object.entries(limits))
    next[type] = { ...defaultLimits, ...next[type], ...limit };
  return {
    ...app,
    strategy: strategy ?? app.strategy,
    batchSize: batchSize ?? app.batchSize,
    ...(priority === undefined ? {} : { priority }),
    limits: next,
    placements: nextPlacements(app, placements),
  };
}

function nextPlacements({ placements = {} }: App, wanted: Placements): Record<string, Placement> {
  const next = { ...placements };
  for (const [type, placement] of Object.entries(wanted))
    if (placement === null) delete next[type];
    else next[type] = placement;
  return next;
}
