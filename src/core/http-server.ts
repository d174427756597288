// HTTP for every component: fastify with our validator, our error body and a socket that a crash cannot leave in the way.

import { chmod, mkdir, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type RouteGenericInterface,
} from 'fastify';
import { coreErrors, toAppError } from './errors.ts';
import { newId } from './ids.ts';
import type { Log } from './log.ts';
import { invalid, parser, type TSchema } from './schema.ts';

export type HttpServer = FastifyInstance;
export type HttpRequest<Shape extends RouteGenericInterface = RouteGenericInterface> =
  FastifyRequest<Shape>;
export type HttpReply = FastifyReply;

declare module 'fastify' {
  // What the generated OpenAPI document shows of a route; the generator's own types agree with these.
  interface FastifySchema {
    summary?: string;
    description?: string;
    tags?: readonly string[];
  }
}

/** Largest JSON body that a route takes unless it says otherwise: a store transaction of 1 MB and its framing. */
const bodyLimitBytes = 2 * 1024 * 1024;

export interface ServerOptions {
  log: Log;
  /** TLS material in PEM; without it the server speaks plain HTTP and must listen on loopback or a unix socket. */
  tls?: { key: string; cert: string };
  /** Longest time, milliseconds, for answering what was asked before the server was closed; 8 s unless said. */
  answerMs?: number;
}

/** Less than the grace that a process has between SIGTERM and SIGKILL. */
const usualAnswerMs = 8_000;

export function createHttpServer(serverOptions: ServerOptions): HttpServer {
  const { log, tls, answerMs = usualAnswerMs } = serverOptions;
  const options = {
    bodyLimit: bodyLimitBytes,
    genReqId: (request: IncomingMessage) => requestIdOf(request),
    forceCloseConnections: true,
    return503OnClosing: false,
    // A URL that cannot be decoded never comes to a route, nor to the error handler.
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      refuse(error, request, reply);
    },
    ...(tls ? { https: tls } : {}),
  };
  const server = fastify(options) as unknown as FastifyInstance;
  answerBeforeClose(server, answerMs);
  server.setValidatorCompiler(({ schema, httpPart }) => {
    const shape = parser(schema as TSchema);
    return (value: unknown) => {
      try {
        return {
          value: shape.parse(
            httpPart === 'body' ? value : fromText(value, schema),
            httpPart ?? 'request',
          ),
        };
      } catch (error) {
        return { error: error as Error };
      }
    };
  });
  server.setSerializerCompiler(() => (value: unknown) => JSON.stringify(value));
  server.setErrorHandler((error, request, reply) => {
    if (toAppError(fromFastify(error)).status >= 500)
      log.error(
        { err: error, method: request.method, url: request.url, requestId: request.id },
        'request failed',
      );
    if (reply.raw.headersSent) return reply.raw.destroy();
    return refuse(error, request, reply);
  });
  server.setNotFoundHandler((request) => {
    throw coreErrors.notFound(`there is no ${request.method} ${request.url.split('?')[0]}`);
  });
  return server;
}

/**
 * A server that is closed takes no more connections, and first answers what it was asked. What is only followed ends at once,
 * for whoever follows goes on elsewhere; what was upgraded ends with the answers.
 */
function answerBeforeClose(server: HttpServer, answerMs: number): void {
  const open = new Set<ServerResponse>();
  const upgraded = new Set<Duplex>();
  const isFollowed = ({ req, headersSent, writableEnded }: ServerResponse) =>
    req.method === 'GET' && headersSent && !writableEnded;
  let onAnswered = () => {};
  server.server.on('request', (_request, response) => {
    open.add(response);
    response.once('close', () => {
      open.delete(response);
      onAnswered();
    });
  });
  server.server.on('upgrade', (_request, socket) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
  });
  server.addHook('preClose', async () => {
    server.server.close();
    for (const response of open) if (isFollowed(response)) response.destroy();
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, answerMs);
      onAnswered = () => {
        if (open.size > 0) return;
        clearTimeout(late);
        resolve();
      };
      onAnswered();
    });
    for (const socket of upgraded) socket.destroy();
  });
}

function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const appError = toAppError(fromFastify(error));
  if (appError.retryAfterS !== undefined) reply.header('retry-after', appError.retryAfterS);
  return reply
    .status(appError.status)
    .header('content-type', 'application/json; charset=utf-8')
    .header('x-request-id', request.id)
    .send(appError.toBody());
}

function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? given : newId('req');
}

/** Query and path values arrive as text; numbers and booleans are read where the schema asks for them. */
function fromText(value: unknown, schema: unknown): unknown {
  const properties = (schema as { properties?: Record<string, { type?: string }> }).properties;
  if (!properties || typeof value !== 'object' || value === null) return value;
  const result: Record<string, unknown> = { ...value };
  for (const [name, { type }] of Object.entries(properties)) {
    const text = result[name];
    if (typeof text !== 'string') continue;
    if (
      (type === 'integer' || type === 'number') &&
      text.trim() !== '' &&
      Number.isFinite(Number(text))
    )
      result[name] = Number(text);
    if (type === 'boolean' && (text === 'true' || text === 'false')) result[name] = text === 'true';
  }
  return result;
}

function fromFastify(error: unknown): unknown {
  const { code, statusCode, validation, message } = error as {
    code?: string;
    statusCode?: number;
    validation?: never;
    message?: string;
  };
  if (validation) return invalid(validation, 'the request');
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return coreErrors.tooLarge('the request body is larger than this route accepts', {
      cause: error,
    });
  if (code?.startsWith('FST_ERR_') && statusCode && statusCode < 500)
    return coreErrors.invalid(message ?? 'bad request', { cause: error });
  if (code === undefined && statusCode === 400)
    return coreErrors.invalid(`the request is not valid: ${message}`, { cause: error });
  return error;
}

/**
 * Listens on a unix socket that only its owner and group may use. The path of a server that died is taken over;
 * a path that somebody still answers on is an error.
 */
export async function listenUnix(server: HttpServer, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (await isAnswered(path)) throw coreErrors.config(`${path} is in use by another process`);
  await rm(path, { force: true });
  await server.listen({ path });
  await chmod(path, 0o660);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => done(true)).once('error', () => done(false));
    socket.setTimeout(1000, () => done(true));
  });
}

/** Listens on TCP; port 0 lets the system choose. Returns the port. */
export async function listenTcp(server: HttpServer, host: string, port: number): Promise<number> {
  await server.listen({ host, port });
  const address = server.server.address();
  if (address === null || typeof address === 'string')
    throw coreErrors.internal('the server has no TCP address');
  return address.port;
}

export type UpgradeHandler = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  match: RegExpMatchArray,
) => Promise<void>;

export interface UpgradeRoute {
  path: RegExp;
  handle: UpgradeHandler;
}

const upgradeRoutes = new WeakMap<HttpServer, UpgradeRoute[]>();

/** Takes HTTP upgrades whose path matches; one that matches no route of any caller is answered 404. */
export function onUpgrade(server: HttpServer, routes: readonly UpgradeRoute[]): void {
  const known = upgradeRoutes.get(server);
  if (known) {
    known.push(...routes);
    return;
  }
  const all = [...routes];
  upgradeRoutes.set(server, all);
  server.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const path = (request.url ?? '').split('?')[0] ?? '';
    for (const route of all) {
      const match = path.match(route.path);
      if (match)
        return void route
          .handle(request, socket, head, match)
          .catch((error: unknown) => refuseUpgrade(socket, error));
    }
    refuseUpgrade(socket, coreErrors.notFound(`there is no upgrade at ${path}`));
  });
}

/** Answers an upgrade that did not happen with the usual error body. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const appError = toAppError(error);
  const body = JSON.stringify(appError.toBody());
  const { retryAfterS } = appError;
  const later = retryAfterS === undefined ? '' : `retry-after: ${retryAfterS}\r\n`;
  socket.end(
    `HTTP/1.1 ${appError.status} Refused\r\n${later}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
