// Routes of jobs: what runs, one-offs, attach and exec as HTTP upgrades, and the log.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { coreErrors } from '#core/errors';
import { type HttpServer, onUpgrade } from '#core/http-server';
import { oneOf, parser, Type } from '#core/schema';
import { type LogQuery, mergedLogQueryFields } from '#layer1/logs/wire';
import { type Run, runSchema } from '../api.ts';
import type { Context } from '../context.ts';
import {
  endWithTerminal,
  findJob,
  joinSockets,
  killJob,
  readJobs,
  runJob,
  signals,
  waitForContainer,
  waitForEnd,
} from '../operations/jobs.ts';
import { readApp } from '../records.ts';
import { jobViewSchema } from '../wire.ts';
import type { HttpDeps } from './http-deps.ts';
import {
  type AppParams,
  appParams,
  callerOf,
  goneSignal,
  listOf,
  sendNdjson,
  type ThingParams,
  thingParams,
} from './replies.ts';

export function registerJobRoutes(server: HttpServer, deps: HttpDeps): void {
  registerJobs(server, deps);
  registerTerminals(server, deps);
  registerLog(server, deps);
  registerUpgrades(server, deps);
}

function registerJobs(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['jobs'];
  server.get<{ Params: AppParams }>(
    '/apps/:app/jobs',
    {
      schema: {
        summary: 'Jobs of the app, each with its state and why it is in it',
        tags,
        params: appParams,
        response: { 200: listOf(jobViewSchema) },
      },
    },
    async ({ params }) => ({ items: await readJobs(context, params.app) }),
  );
  server.post<{ Params: AppParams; Body: Run }>(
    '/apps/:app/jobs',
    {
      schema: {
        summary: 'Run a one-off job with the image and config of the app',
        tags,
        params: appParams,
        body: runSchema,
        response: { 201: jobViewSchema },
      },
    },
    async (request, reply) => {
      const { app } = request.params;
      const job = await runJob(context, { app, caller: callerOf(request) }, request.body);
      return reply.status(201).send(job);
    },
  );
  server.delete<{ Params: ThingParams; Querystring: { signal?: string } }>(
    '/apps/:app/jobs/:id',
    {
      schema: {
        summary: 'End a one-off job, or send a signal to a process (its host starts it again)',
        tags,
        params: thingParams,
        querystring: Type.Object({ signal: Type.Optional(oneOf(...signals)) }),
        response: { 202: jobViewSchema },
      },
    },
    async ({ params: { app, id }, query: { signal = 'SIGTERM' } }, reply) =>
      reply.status(202).send(await killJob(context, { app, job: id }, signal)),
  );
  server.get<{ Params: ThingParams }>(
    '/apps/:app/jobs/:id/exit',
    {
      schema: {
        summary: 'The job when it has ended, with its exit code; the answer waits for that',
        tags,
        params: thingParams,
        response: { 200: Type.Unknown({ description: 'One line of JSON: JobView.' }) },
      },
    },
    async ({ params: { app, id } }, reply) => {
      const job = await findJob(context, app, id);
      return sendNdjson(reply, context.clock, async function* (signal) {
        yield await waitForEnd(context, job, signal);
      });
    },
  );
}

const done = { 204: Type.Null() };
const sizeSchema = Type.Object({
  rows: Type.Integer({ minimum: 1, maximum: 10_000 }),
  cols: Type.Integer({ minimum: 1, maximum: 10_000 }),
});

function registerTerminals(server: HttpServer, { context }: HttpDeps): void {
  const tags = ['jobs'];
  const target = { summary: 'The size of the terminal of a job', tags, params: thingParams };
  server.post<{ Params: ThingParams; Body: { rows: number; cols: number } }>(
    '/apps/:app/jobs/:id/resize',
    { schema: { ...target, body: sizeSchema, response: done } },
    async ({ params: { app, id }, body: { rows, cols } }, reply) => {
      const job = await findJob(context, app, id);
      await context.host.resize({ jobId: job.id }, rows, cols);
      return reply.status(204).send();
    },
  );
  server.post<{ Params: ThingParams; Body: { rows: number; cols: number } }>(
    '/apps/:app/execs/:id/resize',
    {
      schema: {
        ...target,
        summary: 'The size of the terminal of an exec',
        body: sizeSchema,
        response: done,
      },
    },
    async ({ params: { app, id }, body: { rows, cols } }, reply) => {
      await readApp(context.store, app);
      await context.host.resize({ execId: id }, rows, cols);
      return reply.status(204).send();
    },
  );
  server.get<{ Params: ThingParams }>(
    '/apps/:app/execs/:id',
    {
      schema: {
        summary: 'The exit code of an exec that has ended',
        tags,
        params: thingParams,
        response: { 200: Type.Object({ exitCode: Type.Integer() }) },
      },
    },
    async ({ params: { app, id } }) => {
      await readApp(context.store, app);
      return { exitCode: await context.host.execExitCode(id) };
    },
  );
}

const logAnswer =
  'Lines of JSON: LogLine {time, app, type, instance, job, stream, text, isGap?, cursor}. With `follow` also LogMark {cursor}: nothing is said there, and it is where to go on from, as the cursor of a line is.';

function registerLog(server: HttpServer, { context }: HttpDeps): void {
  server.get<{ Params: AppParams; Querystring: Omit<LogQuery, 'app'> }>(
    '/apps/:app/log',
    {
      schema: {
        summary:
          'Lines of the log: the last ones or those after a cursor, and with `follow` those to come',
        tags: ['log'],
        params: appParams,
        querystring: Type.Object(mergedLogQueryFields),
        response: { 200: Type.Unknown({ description: logAnswer }) },
      },
    },
    async ({ params, query }, reply) => {
      const { value: app } = await readApp(context.store, params.app);
      const signal = goneSignal(reply);
      const lineStream = context.logs.read({ ...query, app: app.id }, signal);
      // The first line is asked for here, so that a log that cannot be read is an error and not an empty answer.
      const first = await firstWithin(lineStream, context);
      return sendNdjson(reply, context.clock, () => rest(first, lineStream));
    },
  );
}

/** How long a log's first line is waited for before the answer begins. */
const firstLineMs = 500;

type Step<T> = Promise<IteratorResult<T>>;

async function firstWithin<T>(lines: AsyncGenerator<T>, { clock }: Context): Promise<Step<T>[]> {
  const first = lines.next();
  const waited = new AbortController();
  const pause = clock.sleep(firstLineMs, waited.signal).catch(() => undefined);
  try {
    await Promise.race([first, pause]);
  } finally {
    waited.abort();
  }
  return [first];
}

async function* rest<T>([first]: Step<T>[], lines: AsyncGenerator<T>): AsyncGenerator<T> {
  const step = await first;
  if (step && !step.done) yield step.value;
  yield* lines;
}

const execQuery = parser(
  Type.Object({
    command: Type.Array(Type.String(), { minItems: 1, maxItems: 1000 }),
    tty: Type.Boolean(),
    rows: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    cols: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  }),
);

/**
 * `POST /apps/:app/jobs/:id/attach?stdin=true&replay=true` and `.../exec?options=<JSON>`. Without a TTY the socket speaks
 * Docker's framing; `x-gantry-tty` says which, `x-gantry-exec` names the exec.
 */
function registerUpgrades(server: HttpServer, { context, admission }: HttpDeps): void {
  const enter = async (request: IncomingMessage, match: RegExpMatchArray) => {
    await admission.admit(request);
    const [, app = '', id = ''] = match;
    return await findJob(context, app, decodeURIComponent(id));
  };
  onUpgrade(server, [
    {
      path: /^\/apps\/([a-z][a-z0-9-]{0,29})\/jobs\/([\w.%-]{1,128})\/attach$/,
      handle: async (request, socket, head, match) => {
        const job = await enter(request, match);
        const query = new URL(request.url ?? '', 'http://x').searchParams;
        const stdin = query.get('stdin') !== 'false';
        const gone = new AbortController();
        socket.once('close', () => gone.abort());
        let host: Duplex | undefined;
        const isOver = () => host !== undefined && (host.readableEnded || host.destroyed);
        if (stdin) endWithTerminal(context, job, { client: socket, isOver });
        await waitForContainer(context, job, gone.signal);
        const attached = await context.host.attach(job.id, {
          stdin,
          replay: query.get('replay') !== 'false',
        });
        host = attached.socket;
        open(socket, head, { host, headers: { 'x-gantry-tty': attached.tty } });
      },
    },
    {
      path: /^\/apps\/([a-z][a-z0-9-]{0,29})\/jobs\/([\w.%-]{1,128})\/exec$/,
      handle: async (request, socket, head, match) => {
        const job = await enter(request, match);
        const query = new URL(request.url ?? '', 'http://x').searchParams;
        const options = execQuery.parse(jsonOf(query.get('options')), 'options');
        const { command, tty, rows, cols } = options;
        const attached = await context.host.exec(job.id, {
          command,
          tty,
          ...(rows === undefined ? {} : { rows }),
          ...(cols === undefined ? {} : { cols }),
        });
        const headers = { 'x-gantry-tty': attached.tty, 'x-gantry-exec': attached.execId };
        open(socket, head, { host: attached.socket, headers });
      },
    },
  ]);
}

function jsonOf(text: string | null): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (cause) {
    throw coreErrors.invalid('the query `options` is not JSON', { cause });
  }
}

interface Opening {
  host: Duplex;
  headers: Record<string, string | boolean>;
}

function open(socket: Duplex, head: Buffer, { host, headers }: Opening): void {
  if (socket.destroyed) return void host.destroy();
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tcp\r\n${lines.join('')}\r\n`,
  );
  if (head.length > 0) host.write(head);
  joinSockets(socket, host);
}
