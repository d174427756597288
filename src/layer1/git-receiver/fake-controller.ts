// A controller with one app and a scripted build, on a port of its own: what the receiver's tests push to.

import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { systemClock } from '#core/clock';
import { AppError } from '#core/errors';
import { createHttpServer, listenTcp } from '#core/http-server';
import { silentLog } from '#core/log';
import { toNdjson } from '#core/stream';
import type { ProgressLine } from '#layer1/controller/wire';

const refused = (code: string, status: number, message: string) =>
  new AppError(`controller.${code}`, { status, retry: false }, message);

export interface SeenBuild {
  app: string;
  token: string;
  commit: string;
  tar: Buffer;
  signal: AbortSignal;
}

export interface FakeController {
  url: string;
  builds: SeenBuild[];
  /** For whom an app was asked for, as the receiver said. */
  visitors: (string | string[] | undefined)[];
  /** Replaces what a build does; it succeeds unless said. */
  script: (build: SeenBuild) => AsyncGenerator<ProgressLine>;
  apps: { id: string; name: string }[];
  close(): Promise<void>;
}

export const knownToken = 'token-of-the-test';

async function* succeed(): AsyncGenerator<ProgressLine> {
  yield { type: 'line', text: '-----> Node.js' };
  yield { type: 'result', release: 1, deployment: 'dep-1', url: 'http://shop.gantry.localhost/' };
}

export async function startFakeController(): Promise<FakeController> {
  const server = createHttpServer({ log: silentLog });
  const fake: FakeController = {
    url: '',
    builds: [],
    visitors: [],
    script: succeed,
    apps: [{ id: 'app-1', name: 'shop' }],
    close: () => server.close(),
  };
  const requireToken = (header: string | undefined) => {
    const token = header?.replace(/^Bearer /, '') ?? '';
    if (token === knownToken || token === 'internal') return token;
    throw refused('unauthorized', 401, 'the token is not known');
  };
  const findApp = (name: string) => {
    const app = fake.apps.find((one) => one.name === name || one.id === name);
    if (app) return app;
    throw refused('appNotFound', 404, `there is no app named ${name}`);
  };
  server.addContentTypeParser('application/x-tar', (_request, body, done) => done(null, body));
  server.get('/apps', async (request) => {
    requireToken(request.headers.authorization);
    return { items: fake.apps };
  });
  server.get('/apps/:app', async (request) => {
    fake.visitors.push(request.headers['x-forwarded-for']);
    requireToken(request.headers.authorization);
    return findApp((request.params as { app: string }).app);
  });
  server.post('/apps/:app/builds', async (request, reply) => {
    const token = requireToken(request.headers.authorization);
    const app = findApp((request.params as { app: string }).app).name;
    const { commit } = request.query as { commit: string };
    const tar = await buffer(request.body as Readable);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const build = { app, token, commit, tar, signal: gone.signal };
    fake.builds.push(build);
    return reply.type('application/x-ndjson').send(toNdjson(fake.script(build), systemClock));
  });
  fake.url = `http://127.0.0.1:${await listenTcp(server, '127.0.0.1', 0)}`;
  return fake;
}
