// Routes of ha: parse, call, answer. Members call each other's.

import type { HttpServer } from '#core/http-server';
import { type Static, Type } from '#core/schema';
import type { HaClient } from './client.ts';
import { candidateSchema, haStatusSchema, memberPlanSchema, placeSchema } from './wire.ts';

const tags = ['ha'];
const moveBody = Type.Object({ hosts: Type.Optional(Type.Array(Type.String(), { maxItems: 9 })) });
const placeAnswer = Type.Object({ place: Type.Optional(placeSchema) });
const tokenParams = Type.Object({ token: Type.String() });
const nothing = { 200: Type.Object({}) };

export function registerHaRoutes(server: HttpServer, ha: HaClient): void {
  registerMove(server, ha);
  server.get(
    '/ha/member',
    {
      schema: {
        summary: 'This machine as one that could have a copy of the store',
        tags,
        response: { 200: candidateSchema },
      },
    },
    () => ha.candidate(),
  );
  server.put<{ Body: Static<typeof memberPlanSchema> }>(
    '/ha/member',
    {
      schema: {
        summary: 'Run a member of etcd on this machine',
        tags,
        body: memberPlanSchema,
        response: nothing,
      },
    },
    async (request) => {
      await ha.runMember(request.body);
      return {};
    },
  );
  server.delete<{ Params: Static<typeof tokenParams> }>(
    '/ha/member/:token',
    {
      schema: {
        summary: "End this machine's member of etcd, and remove its data",
        tags,
        params: tokenParams,
        response: nothing,
      },
    },
    async (request) => {
      await ha.endMember(request.params.token);
      return {};
    },
  );
}

function registerMove(server: HttpServer, ha: HaClient): void {
  server.get(
    '/ha/status',
    {
      schema: {
        summary: 'Where the store is, and how its copies are',
        tags,
        response: { 200: haStatusSchema },
      },
    },
    () => ha.status(),
  );
  server.post<{ Body: Static<typeof moveBody> }>(
    '/ha/move',
    {
      schema: {
        summary: 'Begin the move of the store to etcd on three machines',
        tags,
        body: moveBody,
        response: nothing,
      },
    },
    async (request) => {
      await ha.move(request.body.hosts);
      return {};
    },
  );
  server.get(
    '/ha/place',
    {
      schema: {
        summary: 'Where the store is, once it is on etcd',
        tags,
        response: { 200: placeAnswer },
      },
    },
    async () => {
      const place = await ha.place();
      return place ? { place } : {};
    },
  );
  server.put<{ Body: Static<typeof placeSchema> }>(
    '/ha/place',
    {
      schema: {
        summary: 'Use the store on etcd from now on',
        tags,
        body: placeSchema,
        response: nothing,
      },
    },
    async (request) => {
      await ha.adopt(request.body);
      return {};
    },
  );
}
