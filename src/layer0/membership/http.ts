// Membership's routes: on the layer-0 API for this machine and members, and the one that a machine without a certificate may call.

import type { HttpServer } from '#core/http-server';
import { type Static, Type } from '#core/schema';
import type { MembershipClient } from './client.ts';
import { registerDoorVersion } from './door-version.ts';
import { issuedTokenSchema, joinAnswerSchema, joinRequestSchema, memberSchema } from './wire.ts';

const tags = ['membership'];
const hostParams = Type.Object({ host: Type.String() });

export function registerMembershipRoutes(server: HttpServer, membership: MembershipClient): void {
  registerDoorVersion(server);
  server.get(
    '/membership/members',
    {
      schema: {
        summary: 'The machines of this cluster',
        tags,
        response: { 200: Type.Array(memberSchema) },
      },
    },
    () => membership.list(),
  );
  server.post(
    '/membership/tokens',
    {
      schema: {
        summary: 'Make a token with which one more machine may join',
        tags,
        response: { 200: issuedTokenSchema },
      },
    },
    () => membership.createToken(),
  );
  server.delete<{ Params: Static<typeof hostParams> }>(
    '/membership/members/:host',
    {
      schema: {
        summary: 'Let a machine go: no member speaks with it from now on',
        tags,
        params: hostParams,
        response: { 200: Type.Object({}) },
      },
    },
    async (request) => {
      await membership.remove(request.params.host);
      return {};
    },
  );
}

export function registerJoinRoute(server: HttpServer, membership: MembershipClient): void {
  server.post<{ Body: Static<typeof joinRequestSchema> }>(
    '/join',
    {
      schema: {
        summary: 'Become a member, with a join token',
        tags,
        body: joinRequestSchema,
        response: { 200: joinAnswerSchema },
      },
    },
    (request) => membership.admit(request.body, request.ip),
  );
}
