// The OpenAPI documents, out of the routes as each component declares them. Nothing is called: a stand-in is given for
// whatever a route would need, so that no store, engine or socket has to be there.

import swagger from '@fastify/swagger';
import { createHttpServer, type HttpServer } from '#core/http-server';
import { silentLog } from '#core/log';

export interface ApiDescription {
  title: string;
  description: string;
  version: string;
  /** True when every operation needs a bearer token unless it stands in `open`. */
  needsToken: boolean;
  open?: string[];
  register(server: HttpServer): void;
}

export interface ApiDocument {
  text: string;
  /** Routes that say too little, as `GET /path: what is missing`. */
  warnings: string[];
}

interface Operation {
  responses?: Record<string, { description?: string }>;
  security?: Record<string, string[]>[];
}

interface Document {
  openapi: string;
  info: unknown;
  components?: unknown;
  paths: Record<string, Record<string, Operation>>;
}

/** Answers every property and every call with itself: what a route is given when it is declared and never asked. */
export const standIn: never = new Proxy(() => undefined, {
  get: (_target, name) => (typeof name === 'symbol' || name === 'then' ? undefined : standIn),
  apply: () => standIn,
}) as never;

export async function describeApi(api: ApiDescription): Promise<ApiDocument> {
  const server = createHttpServer({ log: silentLog });
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: api.title, description: api.description, version: api.version },
    },
  });
  const warnings: string[] = [];
  server.addHook('onRoute', ({ method, url, schema }) => {
    if (method === 'HEAD') return;
    const route = `${String(method)} ${url}`;
    if (!schema?.summary) warnings.push(`${route}: no summary`);
    if (!schema?.response) warnings.push(`${route}: no response schema`);
  });
  api.register(server);
  await server.ready();
  const document = finish(server.swagger() as unknown as Document, api);
  await server.close();
  return { text: `${JSON.stringify(document, null, 2)}\n`, warnings };
}

/** Paths in order of their name, one error body for all, and the token where one is needed. */
function finish(document: Document, api: ApiDescription): Document {
  const paths = Object.entries(document.paths).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, item] of paths) {
    const needsToken = api.needsToken && !api.open?.includes(path);
    for (const operation of Object.values(item)) finishOperation(operation, needsToken);
  }
  const security = api.needsToken
    ? { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } }
    : {};
  const components = { schemas: { Error: errorSchema }, ...security };
  return {
    openapi: document.openapi,
    info: document.info,
    components,
    paths: Object.fromEntries(paths),
  };
}

function finishOperation(operation: Operation, needsToken: boolean): void {
  const body = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };
  const answers = Object.entries(operation.responses ?? {}).map(([status, response]) => {
    const isNamed = response.description !== 'Default Response';
    return [status, isNamed ? response : { ...response, description: 'The answer.' }];
  });
  operation.responses = {
    ...Object.fromEntries(answers),
    default: { description: 'What was attempted, why it failed, what to do.', content: body },
  };
  if (needsToken) operation.security = [{ token: [] }];
}

const errorSchema = {
  type: 'object',
  required: ['code', 'message', 'retry'],
  properties: {
    code: { type: 'string', description: 'One of docs/errors.md: what programs compare.' },
    message: { type: 'string', description: 'A sentence for people.' },
    detail: { description: 'More, in a shape of its own per code.' },
    retry: { type: 'boolean', description: 'The same call may succeed later.' },
  },
};
