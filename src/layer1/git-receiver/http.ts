// Git's smart HTTP: `/<app>.git/info/refs` and the two services. Every refusal is a sentence in plain text, which git shows.

import { toAppError } from '#core/errors';
import type { HttpServer } from '#core/http-server';
import { oneOf, type Static, Type } from '#core/schema';
import type { GitReceiverConfig } from './config.ts';
import { tokenFrom } from './decide/credentials.ts';
import { gitErrors } from './errors.ts';
import {
  readAdvertisement,
  receiveArguments,
  type ServiceCall,
  type ServiceName,
  serve,
} from './git-service.ts';
import type { HookServer } from './hook-server.ts';
import type { AppRef, Platform } from './platform.ts';
import type { Pushes } from './pushes.ts';
import type { Repositories } from './repositories.ts';
import { hookEnv } from './wire.ts';

export interface GitRouteDeps {
  platform: Platform;
  repositories: Repositories;
  pushes: Pushes;
  hookServer: HookServer;
  config: GitReceiverConfig;
}

const pathSchema = Type.Object({ repository: Type.String({ maxLength: 100 }) });
const refsQuerySchema = Type.Object({ service: oneOf('git-receive-pack', 'git-upload-pack') });

type Handler = Parameters<HttpServer['route']>[0]['handler'];
type GitRequest = Parameters<Handler>[0];
type GitReply = Parameters<Handler>[1];

interface Visitor {
  app: AppRef;
  token: string;
  repository: string;
}

export function registerGitRoutes(server: HttpServer, deps: GitRouteDeps): void {
  const slots = { used: 0 };
  server.get('/healthz', { schema: { summary: 'Is this process up?' } }, () => ({ ok: true }));
  // The bytes go to git as they come.
  for (const service of ['receive-pack', 'upload-pack'])
    server.addContentTypeParser(`application/x-git-${service}-request`, (_request, body, done) =>
      done(null, body),
    );
  server.get(
    '/:repository/info/refs',
    {
      schema: {
        summary: 'What a repository has, for a push or a fetch',
        tags: ['git'],
        params: pathSchema,
        querystring: refsQuerySchema,
      },
      errorHandler: refuse,
    },
    (request, reply) =>
      withSlot(slots, deps.config, async () => {
        const { service } = request.query as Static<typeof refsQuerySchema>;
        await advertise(deps, { request, reply, service: serviceOf(service) });
        return reply;
      }),
  );
  for (const service of ['receive-pack', 'upload-pack'] as const)
    server.post(
      `/:repository/git-${service}`,
      {
        schema: {
          summary: service === 'receive-pack' ? 'Push: build and deploy' : 'Fetch or clone',
          tags: ['git'],
          params: pathSchema,
        },
        errorHandler: refuse,
      },
      (request, reply) =>
        withSlot(slots, deps.config, async () => {
          await converse(deps, { request, reply, service });
          return reply;
        }),
    );
}

interface Call {
  request: GitRequest;
  reply: GitReply;
  service: ServiceName;
}

async function advertise(deps: GitRouteDeps, { request, reply, service }: Call): Promise<void> {
  const { repository } = await identify(deps, request);
  const refs = await readAdvertisement(serviceCall(deps, { request, service, repository }));
  reply
    .type(`application/x-git-${service}-advertisement`)
    .header('cache-control', 'no-cache')
    .send(refs);
}

async function converse(deps: GitRouteDeps, { request, reply, service }: Call): Promise<void> {
  const { app, token, repository } = await identify(deps, request);
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const push = deps.pushes.open({
    appId: app.id,
    appName: app.name,
    token,
    repository,
    signal: gone.signal,
  });
  const call = serviceCall(deps, { request, service, repository });
  call.env[hookEnv.socket] = deps.hookServer.socket;
  call.env[hookEnv.secret] = push.secret;
  try {
    await serve(call, { request: request.raw, response: reply.raw }, deps.config);
    reply.hijack();
  } finally {
    deps.pushes.close(push);
  }
}

function serviceCall(
  deps: GitRouteDeps,
  visit: { request: GitRequest; service: ServiceName; repository: string },
): ServiceCall {
  const { service, repository } = visit;
  const protocol = visit.request.headers['git-protocol'];
  const isKnown = typeof protocol === 'string' && /^version=[0-9]$/.test(protocol);
  return {
    service,
    repository,
    env: isKnown ? { GIT_PROTOCOL: protocol } : {},
    settings:
      service === 'receive-pack' ? receiveArguments(deps.config, deps.hookServer.hooks) : [],
  };
}

/** Who asks for which app: the controller decides, with the token of whoever asks. */
async function identify(deps: GitRouteDeps, request: GitRequest): Promise<Visitor> {
  const { repository } = request.params as Static<typeof pathSchema>;
  const token = tokenFrom(request.headers.authorization);
  if (!token)
    throw gitErrors.unauthorized(
      'This push has no token: the password of the remote is one. `gantry create` in the repository sets the remote up.',
    );
  const forwarded = request.headers['x-forwarded-for'];
  const from = typeof forwarded === 'string' ? forwarded : undefined;
  const app = await deps.platform.readApp(repository.replace(/\.git$/, ''), token, from);
  return { app, token, repository: await deps.repositories.ensure(app.id) };
}

async function withSlot<T>(
  slots: { used: number },
  { maxProcesses }: GitReceiverConfig,
  run: () => Promise<T>,
): Promise<T> {
  if (slots.used >= maxProcesses)
    throw gitErrors.busy(`${maxProcesses} pushes and fetches are under way; try again shortly`);
  slots.used++;
  try {
    return await run();
  } finally {
    slots.used--;
  }
}

function serviceOf(name: 'git-receive-pack' | 'git-upload-pack'): ServiceName {
  return name === 'git-receive-pack' ? 'receive-pack' : 'upload-pack';
}

/** git shows the body of a refusal when it is plain text. */
function refuse(error: unknown, request: GitRequest, reply: GitReply): void {
  const appError = toAppError(error);
  if (appError.status >= 500) request.log.error({ err: error }, 'git request failed');
  if (reply.raw.headersSent) return void reply.raw.destroy();
  if (appError.status === 401) reply.header('www-authenticate', 'Basic realm="Gantry"');
  // What is left of a refused upload is not read.
  if (!request.raw.readableEnded) reply.header('connection', 'close');
  reply.status(appError.status).type('text/plain; charset=utf-8').send(`${appError.message}\n`);
}
