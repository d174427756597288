// Routes of apps, their config and their formation.

import type { HttpServer } from '#core/http-server';
import { Type } from '#core/schema';
import {
  appViewSchema,
  type ChangeApp,
  type ChangeEnv,
  type CreateApp,
  changeAppSchema,
  changeEnvSchema,
  createAppSchema,
  formationViewSchema,
  releasedSchema,
  scaleSchema,
} from '../api.ts';
import { changeAppSettings } from '../operations/app-settings.ts';
import { createApp, deleteApp, readAppView } from '../operations/apps.ts';
import { changeEnv, openEnvValue, readEnvNames } from '../operations/env.ts';
import { readFormation, scale, waitForFormation } from '../operations/formation.ts';
import { releasedView } from '../operations/releases.ts';
import { appSchema } from '../wire.ts';
import type { HttpDeps } from './http-deps.ts';
import {
  type AppParams,
  appParams,
  callerOf,
  goneSignal,
  idempotencyKeyOf,
  listOf,
} from './replies.ts';

export function registerAppRoutes(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['apps'];
  server.post<{ Body: CreateApp }>(
    '/apps',
    {
      schema: {
        summary: 'Make an app: a name, a default route, nothing to run yet',
        tags,
        body: createAppSchema,
        response: { 201: appViewSchema },
      },
    },
    async (request, reply) => {
      const app = await createApp(context, request.body, idempotencyKeyOf(request));
      return reply.status(201).send(await readAppView(context, app.name));
    },
  );
  server.get(
    '/apps',
    { schema: { summary: 'All apps, by name', tags, response: { 200: listOf(appSchema) } } },
    async () => ({
      items: context.observer.apps().sort((a, b) => (a.name < b.name ? -1 : 1)),
    }),
  );
  server.get<{ Params: AppParams }>(
    '/apps/:app',
    {
      schema: {
        summary: 'One app and where it answers',
        tags,
        params: appParams,
        response: { 200: appViewSchema },
      },
    },
    async ({ params }) => await readAppView(context, params.app),
  );
  server.patch<{ Params: AppParams; Body: ChangeApp }>(
    '/apps/:app',
    {
      schema: {
        summary:
          'Change strategy, batch size, priority, limits or placement; the last two are rolled out',
        tags,
        params: appParams,
        body: changeAppSchema,
        response: { 200: appViewSchema },
      },
    },
    async (request) => {
      const { app } = request.params;
      await changeAppSettings(context, { app, caller: callerOf(request) }, request.body);
      return await readAppView(context, app);
    },
  );
  server.delete<{ Params: AppParams }>(
    '/apps/:app',
    {
      schema: {
        summary: 'Delete an app: its jobs, routes, releases, network and volumes go',
        tags,
        params: appParams,
        response: { 202: appSchema },
      },
    },
    async ({ params }, reply) => reply.status(202).send(await deleteApp(context, params.app)),
  );
  registerEnvRoutes(server, { context });
  registerFormationRoutes(server, { context });
}

function registerEnvRoutes(server: HttpServer, { context }: Pick<HttpDeps, 'context'>): void {
  const tags = ['config'];
  server.get<{ Params: AppParams }>(
    '/apps/:app/env',
    {
      schema: {
        summary: 'Names of the config variables; every value is `***`',
        tags,
        params: appParams,
        response: { 200: Type.Object({ env: Type.Record(Type.String(), Type.String()) }) },
      },
    },
    async ({ params }) => ({ env: await readEnvNames(context, params.app) }),
  );
  server.get<{ Params: AppParams & { name: string } }>(
    '/apps/:app/env/:name',
    {
      schema: {
        summary: 'One config value, opened',
        tags,
        params: Type.Object({ ...appParams.properties, name: Type.String({ maxLength: 128 }) }),
        response: { 200: Type.Object({ name: Type.String(), value: Type.String() }) },
      },
    },
    async ({ params: { app, name } }, reply) => {
      reply.header('cache-control', 'no-store');
      return { name, value: await openEnvValue(context, app, name) };
    },
  );
  server.patch<{ Params: AppParams; Body: ChangeEnv }>(
    '/apps/:app/env',
    {
      schema: {
        summary: 'Set and unset config variables: a new release, rolled out when there is an image',
        tags,
        params: appParams,
        body: changeEnvSchema,
        response: { 200: releasedSchema },
      },
    },
    async (request) => {
      const { app } = request.params;
      const { set = {}, unset = [] } = request.body;
      const released = await changeEnv(context, { app, caller: callerOf(request) }, { set, unset });
      return await releasedView(context, app, released);
    },
  );
}

function registerFormationRoutes(server: HttpServer, { context }: Pick<HttpDeps, 'context'>): void {
  const tags = ['formation'];
  server.get<{ Params: AppParams }>(
    '/apps/:app/formation',
    {
      schema: {
        summary: 'How many of each process type are wanted',
        tags,
        params: appParams,
        response: { 200: formationViewSchema },
      },
    },
    async ({ params }) => await readFormation(context, params.app),
  );
  server.patch<{
    Params: AppParams;
    Body: { quantities: Record<string, number> };
    Querystring: { wait?: boolean };
  }>(
    '/apps/:app/formation',
    {
      schema: {
        summary: 'Scale; with `wait` the answer comes when all of it is healthy',
        tags,
        params: appParams,
        querystring: Type.Object({ wait: Type.Optional(Type.Boolean()) }),
        body: scaleSchema,
        response: { 200: formationViewSchema },
      },
    },
    async ({ params, body, query }, reply) => {
      const signal = goneSignal(reply);
      const formation = await scale(context, params.app, body.quantities);
      if (query.wait) await waitForFormation(context, params.app, signal);
      return formation;
    },
  );
}
