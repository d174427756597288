// The host over HTTP: parse, call, answer. Attach and exec are upgrades that begin with one line of JSON, then the bytes.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { coreErrors } from '#core/errors';
import { type HttpReply, type HttpRequest, type HttpServer, onUpgrade } from '#core/http-server';
import { parser, Type } from '#core/schema';
import type { Host } from './index.ts';
import { type Others, PassOn } from './pass-on.ts';
import { type OpenStream, relay } from './streams.ts';
import { attachQuerySchema, execQuerySchema, sealSchema, signalName } from './wire.ts';

export { type Others, type PassOn, passedOn } from './pass-on.ts';

const tags = ['host'];
const jobParams = Type.Object({ id: Type.String() });
const done = { 204: Type.Null() };
const logSourceSchema = Type.Object({
  containerId: Type.String(),
  path: Type.String(),
  job: Type.String(),
  app: Type.String(),
  type: Type.String(),
  index: Type.Integer(),
  attempt: Type.Integer(),
});
const textAnswer = { 200: Type.Object({ text: Type.String() }) };
const logFilesSchema = Type.Array(Type.Object({ containerId: Type.String(), path: Type.String() }));
const sizeQuery = Type.Object({
  rows: Type.Integer({ minimum: 1, maximum: 10_000 }),
  cols: Type.Integer({ minimum: 1, maximum: 10_000 }),
});
const attachQuery = parser(attachQuerySchema);
const execQuery = parser(execQuerySchema);
interface Id {
  Params: { id: string };
}

/** A call about a job, or an exec, of another machine is passed on to it. Answers what does that, for other components. */
export function registerHostRoutes(
  server: HttpServer,
  host: Host,
  { here, others }: { here: string; others?: Others },
): PassOn {
  const passOn = new PassOn(here, others);
  registerJobRoutes(server, host, passOn);
  registerExecRoutes(server, host, passOn);
  registerSealRoutes(server, host);
  registerStatusRoutes(server, host);
  registerStreams(server, host, passOn);
  return passOn;
}

function registerStreams(server: HttpServer, { streams }: Host, passOn: PassOn): void {
  type Open = (jobId: string, options: unknown) => Promise<Omit<Answer, 'socket' | 'head'>>;
  const route = (path: RegExp, open: Open) => ({
    path,
    handle: async (
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      [, jobId = '']: RegExpMatchArray,
    ) => {
      const elsewhere = await passOn.hostOf(jobId, request);
      if (elsewhere !== undefined) return passOn.upgrade(elsewhere, request, socket, head);
      answer({ ...(await open(jobId, optionsOf(request))), socket, head });
    },
  });
  onUpgrade(server, [
    route(/^\/host\/jobs\/([\w-]+)\/attach$/, async (jobId, options) => {
      const query = attachQuery.parse(options, 'the attach options');
      return { stream: await streams.attach(jobId, query), hasInput: query.stdin };
    }),
    route(/^\/host\/jobs\/([\w-]+)\/exec$/, async (jobId, options) => {
      const stream = await streams.exec(jobId, execQuery.parse(options, 'the exec options'));
      const execId = passOn.execName(stream.execId);
      return { stream: { ...stream, execId }, hasInput: true };
    }),
  ]);
}

function registerJobRoutes(server: HttpServer, host: Host, passOn: PassOn): void {
  const { streams } = host;
  const preHandler = async (request: HttpRequest<Id>, reply: HttpReply) => {
    const elsewhere = await passOn.hostOf(request.params.id, request);
    if (elsewhere !== undefined) await passOn.call(elsewhere, request, reply);
  };
  server.post<Id & { Querystring: { rows: number; cols: number } }>(
    '/host/jobs/:id/resize',
    {
      preHandler,
      schema: {
        summary: "Sizes a job's terminal",
        tags,
        params: jobParams,
        querystring: sizeQuery,
        response: done,
      },
    },
    async ({ params, query }, reply) => {
      await streams.resize({ jobId: params.id }, query.rows, query.cols);
      return reply.status(204).send();
    },
  );
  server.post<Id & { Body: { signal: string } }>(
    '/host/jobs/:id/signal',
    {
      preHandler,
      schema: {
        summary: "Sends a signal to a job's process",
        tags,
        params: jobParams,
        body: Type.Object({ signal: signalName }),
        response: done,
      },
    },
    async ({ params, body }, reply) => {
      await streams.signal(params.id, body.signal);
      return reply.status(204).send();
    },
  );
  server.get<Id>(
    '/host/jobs/:id/log-files',
    {
      preHandler,
      schema: {
        summary: "Where the engine keeps a job's log files",
        tags,
        params: jobParams,
        response: { 200: logFilesSchema },
      },
    },
    async ({ params }) => streams.logFiles(params.id),
  );
  server.get(
    '/host/log-sources',
    {
      schema: {
        summary: 'Log files of every container of the cluster on this host',
        tags,
        response: { 200: Type.Array(logSourceSchema) },
      },
    },
    async () => streams.logSources(),
  );
}

function registerExecRoutes(server: HttpServer, host: Host, passOn: PassOn): void {
  const preHandler = async (request: HttpRequest<Id>, reply: HttpReply) => {
    const { host: elsewhere } = passOn.execOf(request.params.id);
    if (elsewhere !== undefined) await passOn.call(elsewhere, request, reply);
  };
  server.post<Id & { Querystring: { rows: number; cols: number } }>(
    '/host/execs/:id/resize',
    {
      preHandler,
      schema: {
        summary: "Sizes an exec's terminal",
        tags,
        params: jobParams,
        querystring: sizeQuery,
        response: done,
      },
    },
    async ({ params, query }, reply) => {
      await host.streams.resize(
        { execId: passOn.execOf(params.id).engineId },
        query.rows,
        query.cols,
      );
      return reply.status(204).send();
    },
  );
  server.get<Id>(
    '/host/execs/:id',
    {
      preHandler,
      schema: {
        summary: 'Exit code of an exec, when it has ended',
        tags,
        params: jobParams,
        response: { 200: Type.Object({ exitCode: Type.Integer() }) },
      },
    },
    async ({ params }) => ({
      exitCode: await host.streams.execExitCode(passOn.execOf(params.id).engineId),
    }),
  );
}

function registerSealRoutes(server: HttpServer, host: Host): void {
  server.post<{ Body: { context: string; text: string } }>(
    '/host/seal',
    {
      schema: {
        summary: 'Seals a value, bound to its context',
        tags,
        body: sealSchema,
        response: textAnswer,
      },
    },
    async ({ body }) => ({ text: host.seal(body.context, body.text) }),
  );
  server.post<{ Body: { context: string; text: string } }>(
    '/host/open',
    {
      schema: {
        summary: 'Opens a sealed value of the same context',
        tags,
        body: sealSchema,
        response: textAnswer,
      },
    },
    async ({ body }) => ({ text: host.open(body.context, body.text) }),
  );
}

function registerStatusRoutes(server: HttpServer, host: Host): void {
  server.get(
    '/host/status',
    {
      schema: {
        summary: 'What the host agent is doing',
        tags,
        response: { 200: Type.Record(Type.String(), Type.Unknown()) },
      },
    },
    async () => host.status(),
  );
  server.get(
    '/host/metrics',
    { schema: { summary: 'Figures for Prometheus', tags, response: { 200: Type.String() } } },
    async (_request, reply) => reply.type('text/plain; version=0.0.4').send(host.metrics()),
  );
}

/** Options of an upgrade travel as JSON in the query: an upgrade has no body. */
function optionsOf(request: IncomingMessage): unknown {
  const text = new URL(request.url ?? '', 'http://localhost').searchParams.get('options') ?? '{}';
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw coreErrors.invalid('the query parameter options is not JSON', { cause });
  }
}

interface Answer {
  stream: OpenStream;
  socket: Duplex;
  head: Buffer;
  hasInput: boolean;
}

function answer({ stream, socket, head, hasInput }: Answer): void {
  const { tty, execId } = stream;
  const first = JSON.stringify(execId === undefined ? { tty } : { tty, execId });
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n${first}\n`,
  );
  if (head.length > 0) socket.unshift(head);
  relay(stream.socket, socket, { hasInput });
}
