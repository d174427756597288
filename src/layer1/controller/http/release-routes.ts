// Routes of code: releases, deploys, builds, rollbacks, images, and the deployments that bring them out.

import type { HttpServer } from '#core/http-server';
import { Type } from '#core/schema';
import {
  type Deploy,
  deploySchema,
  importedSchema,
  releasedSchema,
  releaseViewSchema,
  rollbackSchema,
} from '../api.ts';
import { controllerErrors } from '../errors.ts';
import { buildAndDeploy } from '../operations/builds.ts';
import { followDeployment, listDeployments, readDeployment } from '../operations/deployments.ts';
import { importImages } from '../operations/images.ts';
import {
  deployImage,
  listReleases,
  readReleaseView,
  redeploy,
  releasedView,
  rollBack,
} from '../operations/releases.ts';
import { deploymentSchema } from '../wire.ts';
import type { HttpDeps } from './http-deps.ts';
import {
  type AppParams,
  acceptTar,
  appParams,
  callerOf,
  goneSignal,
  idempotencyKeyOf,
  type Keyed,
  listOf,
  sendNdjson,
  type ThingParams,
  tarOf,
  thingParams,
  withErrorLine,
} from './replies.ts';

const progress = { 200: Type.Unknown({ description: 'Lines of JSON: ProgressLine.' }) };

export function registerReleaseRoutes(server: HttpServer, deps: HttpDeps): void {
  acceptTar(server);
  registerReads(server, deps);
  registerDeploys(server, deps);
  registerBuilds(server, deps);
  registerDeployments(server, deps);
}

function registerReads(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['releases'];
  server.get<{ Params: AppParams; Querystring: { before?: number; limit?: number } }>(
    '/apps/:app/releases',
    {
      schema: {
        summary: 'Releases, the newest first',
        tags,
        params: appParams,
        querystring: Type.Object({
          before: Type.Optional(Type.Integer({ minimum: 1, description: '`next` of a page.' })),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
        }),
        response: { 200: listOf(releaseViewSchema) },
      },
    },
    async ({ params, query: { before, limit = 20 } }) =>
      await listReleases(context, params.app, { before, limit }),
  );
  server.get<{ Params: AppParams & { version: number } }>(
    '/apps/:app/releases/:version',
    {
      schema: {
        summary: 'One release',
        tags,
        params: Type.Object({ ...appParams.properties, version: Type.Integer({ minimum: 1 }) }),
        response: { 200: releaseViewSchema },
      },
    },
    async ({ params: { app, version } }) => await readReleaseView(context, app, version),
  );
}

function registerDeploys(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['releases'];
  server.post<{ Params: AppParams; Body: Deploy }>(
    '/apps/:app/deploy',
    {
      schema: {
        summary: 'Deploy an image of this machine, or the content of a release again',
        tags,
        params: appParams,
        body: deploySchema,
        response: { 202: releasedSchema },
      },
    },
    async (request, reply) => {
      const { app } = request.params;
      const { image, release, ...rest } = request.body;
      const wanted = releaseOf(request);
      if ((image === undefined) === (release === undefined))
        throw controllerErrors.noRelease('name an image or a release to deploy, one of the two');
      const made =
        image !== undefined
          ? await deployImage(context, wanted, { image, ...rest })
          : await redeploy(context, wanted, release ?? 1);
      return reply.status(202).send(await releasedView(context, app, made));
    },
  );
  server.post<{ Params: AppParams; Body: { version?: number } }>(
    '/apps/:app/rollback',
    {
      schema: {
        summary: 'A new release with the content of the last good one, or of a version',
        tags,
        params: appParams,
        body: rollbackSchema,
        response: { 202: releasedSchema },
      },
    },
    async (request, reply) => {
      const { app } = request.params;
      const wanted = releaseOf(request);
      const made = await rollBack(context, wanted, request.body.version);
      return reply.status(202).send(await releasedView(context, app, made));
    },
  );
}

function releaseOf(request: Keyed & { params: AppParams }) {
  const { app } = request.params;
  return { app, caller: callerOf(request), idempotency: idempotencyKeyOf(request) };
}

function registerBuilds(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['releases'];
  server.post<{ Params: AppParams; Querystring: { commit: string; description?: string } }>(
    '/apps/:app/builds',
    {
      schema: {
        summary: 'Build a tar of source and roll it out; hanging up ends the build',
        tags,
        params: appParams,
        querystring: Type.Object({
          commit: Type.String({ minLength: 1, maxLength: 128, pattern: '^[\\w.-]+$' }),
          description: Type.Optional(Type.String({ maxLength: 200 })),
        }),
        response: progress,
      },
    },
    (request, reply) => {
      const { commit, description } = request.query;
      const tar = tarOf(request);
      const { app } = request.params;
      const source = { app, caller: callerOf(request), tar, commit, description };
      return sendNdjson(reply, context.clock, (signal) => buildAndDeploy(context, source, signal));
    },
  );
  server.post(
    '/images',
    {
      schema: {
        summary: 'Import a `docker save` stream; its images can then be deployed',
        tags,
        response: { 200: importedSchema },
      },
    },
    async (request, reply) => {
      const images = await importImages(context, tarOf(request), goneSignal(reply));
      return { images };
    },
  );
}

function registerDeployments(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['deployments'];
  server.get<{ Params: AppParams }>(
    '/apps/:app/deployments',
    {
      schema: {
        summary: 'Deployments, the newest first',
        tags,
        params: appParams,
        response: { 200: listOf(deploymentSchema) },
      },
    },
    async ({ params }) => ({ items: await listDeployments(context, params.app) }),
  );
  server.get<{ Params: ThingParams }>(
    '/apps/:app/deployments/:id',
    {
      schema: {
        summary: 'One deployment and how far it is',
        tags,
        params: thingParams,
        response: { 200: deploymentSchema },
      },
    },
    async ({ params: { app, id } }) => (await readDeployment(context, app, id)).deployment,
  );
  server.get<{ Params: ThingParams }>(
    '/apps/:app/deployments/:id/stream',
    {
      schema: {
        summary: 'Each step of a deployment as a line, until it has ended',
        tags,
        params: thingParams,
        response: progress,
      },
    },
    async ({ params: { app, id } }, reply) => {
      await readDeployment(context, app, id);
      return sendNdjson(reply, context.clock, (signal) =>
        withErrorLine(followDeployment(context, app, id, signal)),
      );
    },
  );
}
