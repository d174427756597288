// Releases: immutable, numbered without gaps, each made from the one before it. One transaction writes the release, its
// deployment and the mark that keeps its image, so that the order of releases is the order of deployments.

import { newId } from '#core/ids';
import type { Operation, Store } from '#layer0/store/client';
import { maxTxnBytes } from '#layer0/store/wire';
import type { Released as ReleasedView, ReleaseView } from '../api.ts';
import type { Caller, Context } from '../context.ts';
import { processesOfImage, specsOf } from '../decide/job-spec.ts';
import { baseOf, canRun, previousGood } from '../decide/release.ts';
import { releaseView } from '../decide/release-view.ts';
import { controllerErrors } from '../errors.ts';
import { eventOperation } from '../events.ts';
import {
  change,
  readApp,
  readDeployments,
  readLivingApp,
  readRelease,
  readReleases,
} from '../records.ts';
import {
  type App,
  appKey,
  type Deployment,
  deploymentKey,
  type KeptMark,
  keptImageKey,
  type ProcessType,
  type Release,
  releaseKey,
} from '../wire.ts';
import { claimKey, findMade, type IdempotencyKey } from './idempotency.ts';

/** Longest formation of a release, bytes: it must fit in one transaction beside a deployment. */
const maxFormationBytes = maxTxnBytes - 64 * 1024;

/** The records; `releasedView` is what goes out. */
export interface Released {
  release: Release;
  /** Absent while there is no image to run. */
  deployment?: Deployment;
}

/** What a release holds, apart from who made it when. */
export type Content = Pick<
  Release,
  | 'imageId'
  | 'sealedEnv'
  | 'processes'
  | 'systemSpecs'
  | 'onePerHost'
  | 'copies'
  | 'commit'
  | 'builtOn'
>;

export interface Draft {
  content: Content;
  description: string;
  /** Changed with the release, in the same transaction. */
  app?: App;
}

export interface ReleaseRequest {
  app: string;
  caller: Caller;
  /** Called again after a conflict, with what the release now builds on. */
  draft(base: Release | undefined, app: App): Draft | Promise<Draft>;
  idempotency?: IdempotencyKey | undefined;
}

export const emptyContent: Content = { sealedEnv: {}, processes: {} };

export function contentOf(release: Release): Content {
  const { id, app, version, description, createdBy, createdAt, placements, ...content } = release;
  return content;
}

export async function makeRelease(context: Context, request: ReleaseRequest): Promise<Released> {
  const decide = () => attempt(context, request);
  return (await change(context.store, `release ${request.app}`, decide)).result;
}

async function attempt(context: Context, request: ReleaseRequest) {
  const { store } = context;
  const entry = await readLivingApp(store, request.app);
  const made = await findMade(store, request.idempotency);
  if (made?.version !== undefined) {
    const released = await readReleased(context, entry.value, made.version);
    return { result: released, compare: [], operations: [] };
  }
  const { base, last } = await readBase(context, entry.value);
  const draft = await request.draft(base, entry.value);
  const app = draft.app ?? entry.value;
  const release: Release = {
    ...draft.content,
    ...placementsOf(app),
    id: newId('rel'),
    app: app.id,
    version: last + 1,
    description: draft.description,
    createdBy: request.caller.name,
    createdAt: context.clock.now(),
  };
  refuseTooLarge(release, app);
  const deployment = canRun(release) ? deploymentOf(context, app, release) : undefined;
  const claim = claimKey(request.idempotency, {
    app: app.id,
    version: release.version,
    createdAt: release.createdAt,
    ...(deployment ? { deployment: deployment.id } : {}),
  });
  const { key, modRevision } = entry;
  return {
    result: { release, ...(deployment ? { deployment } : {}) },
    compare: [
      { key, modRevision },
      { key: releaseKey(app.id, release.version), is: 'absent' as const },
      ...claim.compare,
    ],
    operations: [
      ...(draft.app ? [{ put: appKey(app.id), value: draft.app }] : []),
      ...recordsOf(release, deployment),
      ...(await imageMark(store, release)),
      ...claim.operations,
      eventOperation(
        {
          app: app.id,
          type: 'release.created',
          object: release.id,
          message: `${app.name}: v${release.version}: ${release.description}`,
        },
        context,
      ),
    ],
  };
}

/** Of the app as it is, also where the rest of the content is an old release's. */
function placementsOf({ placements = {} }: App): Pick<Release, 'placements'> {
  return Object.keys(placements).length === 0 ? {} : { placements };
}

function recordsOf(release: Release, deployment: Deployment | undefined): Operation[] {
  const { app } = release;
  const operations: Operation[] = [{ put: releaseKey(app, release.version), value: release }];
  if (deployment) operations.push({ put: deploymentKey(app, deployment.id), value: deployment });
  return operations;
}

/** Written anew with every release, so that a collector that read it before finds it changed. */
async function imageMark(store: Store, { imageId, createdAt }: Release): Promise<Operation[]> {
  if (imageId === undefined) return [];
  const mark = await store.get<KeptMark>(keptImageKey(imageId));
  return [{ put: keptImageKey(imageId), value: { ...mark?.value, at: createdAt } }];
}

function deploymentOf({ clock }: Context, app: App, release: Release): Deployment {
  const { strategy, batchSize, currentRelease, currentVersion } = app;
  return {
    id: newId('dep'),
    app: app.id,
    ...(currentRelease === undefined ? {} : { oldRelease: currentRelease }),
    ...(currentVersion === undefined ? {} : { oldVersion: currentVersion }),
    newRelease: release.id,
    newVersion: release.version,
    strategy,
    batchSize,
    state: 'pending',
    createdAt: clock.now(),
    progressAt: clock.now(),
  };
}

/** What the next release builds on, and the highest version so far. */
export async function readBase(
  { store }: Context,
  app: App,
): Promise<{ base: Release | undefined; last: number }> {
  const releases = await readReleases(store, app.id, app.currentVersion);
  const deployments = await readDeployments(store, app.id);
  const base = baseOf(releases, deployments, app.currentRelease);
  return { base, last: releases.at(-1)?.version ?? 0 };
}

async function readReleased({ store }: Context, app: App, version: number): Promise<Released> {
  const release = await readRelease(store, app, version);
  const deployments = await readDeployments(store, app.id);
  const deployment = deployments.find(({ newRelease }) => newRelease === release.id);
  return { release, ...(deployment ? { deployment } : {}) };
}

function refuseTooLarge(release: Release, app: App): void {
  const bytes = Buffer.byteLength(JSON.stringify([release, specsOf(release, app)]));
  if (bytes > maxFormationBytes)
    throw controllerErrors.configTooLarge(
      `config and ${Object.keys(release.processes).length} process types of ${app.name} are ${bytes} bytes together, ` +
        `${maxFormationBytes} is the limit; make config values or the number of process types smaller`,
    );
}

export interface DeployImage {
  image: string;
  processes?: Record<string, ProcessType> | undefined;
  commit?: string | undefined;
  description?: string | undefined;
}

/** A release of an image of this machine's engine, with the config that the app has. */
export async function deployImage(
  context: Context,
  request: Omit<ReleaseRequest, 'draft'>,
  wanted: DeployImage,
): Promise<Released> {
  refuseSystem((await readApp(context.store, request.app)).value);
  const image = await context.host.inspectImage(wanted.image);
  const { commit, description = `Deploy ${wanted.image}` } = wanted;
  return await makeRelease(context, {
    ...request,
    draft: (base) => ({
      content: {
        sealedEnv: base?.sealedEnv ?? {},
        processes: wanted.processes ?? processesOfImage(image),
        imageId: image.id,
        ...(commit === undefined ? {} : { commit }),
      },
      description,
    }),
  });
}

/** A new release with the content of an old one. Without a version: of the last one that was good before the current. */
export async function rollBack(
  context: Context,
  request: Omit<ReleaseRequest, 'draft'>,
  version: number | undefined,
): Promise<Released> {
  return await makeRelease(context, {
    ...request,
    draft: async (_base, app) => {
      const release =
        version === undefined
          ? await readPreviousGood(context, app)
          : await readRelease(context.store, app, version);
      if (!canRun(release))
        throw controllerErrors.noRelease(`v${release.version} has no image; deploy one first`);
      return { content: contentOf(release), description: `Roll back to v${release.version}` };
    },
  });
}

/** The content of a release once more: also how an app is restarted. */
export async function redeploy(
  context: Context,
  request: Omit<ReleaseRequest, 'draft'>,
  version: number,
): Promise<Released> {
  return await makeRelease(context, {
    ...request,
    draft: async (_base, app) => {
      const release = await readRelease(context.store, app, version);
      if (!canRun(release))
        throw controllerErrors.noRelease(`v${version} has no image; deploy one first`);
      return { content: contentOf(release), description: `Deploy v${version} again` };
    },
  });
}

async function readPreviousGood({ store }: Context, app: App): Promise<Release> {
  const good = previousGood(
    await readReleases(store, app.id),
    await readDeployments(store, app.id),
    app.currentVersion ?? 1,
  );
  if (good) return good;
  throw controllerErrors.noRelease(
    `app ${app.name} has no earlier release that ran; \`gantry release -a ${app.name}\` lists all`,
  );
}

/** Code and config of Gantry itself come with its checkout. */
export function refuseSystem(app: App): void {
  if (app.isSystem)
    throw controllerErrors.systemApp(
      `app ${app.name} is Gantry itself; its code and config change by \`script/up\``,
    );
}

export async function releasedView(
  { store }: Context,
  name: string,
  { release, deployment }: Released,
): Promise<ReleasedView> {
  const { value: app } = await readApp(store, name);
  const view = releaseView(release, app, deployment ? [deployment] : []);
  return { release: view, ...(deployment ? { deployment } : {}) };
}

/** The newest first; `before` is a version. */
export async function listReleases(
  { store }: Context,
  name: string,
  { before = Number.POSITIVE_INFINITY, limit }: { before?: number | undefined; limit: number },
): Promise<{ items: ReleaseView[]; next?: number }> {
  const { value: app } = await readApp(store, name);
  const deployments = await readDeployments(store, app.id);
  const all = (await readReleases(store, app.id)).filter(({ version }) => version < before);
  const page = all.slice(-limit).reverse();
  const last = page.at(-1)?.version;
  return {
    items: page.map((release) => releaseView(release, app, deployments)),
    ...(all.length > limit && last !== undefined ? { next: last } : {}),
  };
}

export async function readReleaseView(
  { store }: Context,
  name: string,
  version: number,
): Promise<ReleaseView> {
  const { value: app } = await readApp(store, name);
  const release = await readRelease(store, app, version);
  return releaseView(release, app, await readDeployments(store, app.id));
}
