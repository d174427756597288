// The routes of images: parse, call, answer. Tars come in as streams and are never held in memory.

import type { IncomingMessage } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import type { Clock } from '#core/clock';
import { coreErrors, hasCode, toAppError } from '#core/errors';
import type { HttpReply, HttpRequest, HttpServer } from '#core/http-server';
import { parser, type Static, Type } from '#core/schema';
import { toNdjson } from '#core/stream';
import type { BuildOutput } from './client.ts';
import type { Images } from './index.ts';
import { buildOptionsSchema, commitOptionsSchema, type Image, imageSchema } from './wire.ts';

/** Largest image or build context that is taken, bytes. */
export const maxTarBytes = 16 * 1024 ** 3;
const tarTypes = ['application/x-tar', 'application/octet-stream'];
const tags = ['images'];
const inspectQuery = Type.Object({ reference: Type.String({ minLength: 1, maxLength: 255 }) });
const tagBody = Type.Object({ id: Type.String(), reference: Type.String({ maxLength: 255 }) });
const commitBody = Type.Object({ job: Type.String(), options: commitOptionsSchema });
const imageBody = Type.Object({
  image: Type.String({ maxLength: 255, description: 'Its id.' }),
});
const buildQuery = Type.Object({
  options: Type.String({ description: 'Build options as JSON: dockerfile, tag, limits.' }),
  host: Type.Optional(
    Type.String({ description: 'The machine to build on; this one when absent.' }),
  ),
});
const buildOptions = parser(buildOptionsSchema);

export interface ImageHttpDeps {
  clock: Clock;
  /** What the other machines have and do; absent where there are none. */
  others?: {
    /** From the first machine that has it. */
    inspect(reference: string): Promise<Image | undefined>;
    passOn: PassOn;
  };
}

/** Calls that are another machine's to answer. */
interface PassOn {
  /** The machine that has the job; undefined: this one. */
  hostOf(jobId: string, request: HttpRequest['raw']): Promise<string | undefined>;
  /** The host, unless it is this machine or the call was passed on already. */
  unlessHere(host: string | undefined, request: HttpRequest['raw']): string | undefined;
  isPassedOn(request: HttpRequest['raw']): boolean;
  call(host: string, request: HttpRequest, reply: HttpReply): Promise<HttpReply>;
}

export function registerImageRoutes(server: HttpServer, images: Images, deps: ImageHttpDeps): void {
  const passOn = deps.others?.passOn;
  acceptTars(server);
  registerReads(server, images, deps);
  registerArchive(server, images);
  registerCopies(server, images);
  registerBuild(server, images, deps);
  server.post(
    '/images/import',
    {
      schema: {
        summary: 'Read images in from a `docker save` stream',
        tags,
        response: { 200: Type.Array(imageSchema) },
      },
    },
    (request) => images.import(tarOf(request.body)),
  );
  server.post<{ Body: Static<typeof commitBody> }>(
    '/images/commit',
    {
      schema: {
        summary: "Keep an ended job's file system as an image",
        tags,
        body: commitBody,
        response: { 200: imageSchema },
      },
    },
    async (request, reply) => {
      const { job, options } = request.body;
      const elsewhere = await passOn?.hostOf(job, request.raw);
      if (elsewhere !== undefined) return passOn?.call(elsewhere, request, reply);
      return images.commit(job, options);
    },
  );
  server.post<{ Body: Static<typeof tagBody> }>(
    '/images/tag',
    {
      schema: {
        summary: 'Give an image a name',
        tags,
        body: tagBody,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await images.tag(request.body.id, request.body.reference);
      return reply.status(204).send();
    },
  );
}

function registerReads(server: HttpServer, images: Images, { others }: ImageHttpDeps): void {
  server.get(
    '/images',
    {
      schema: {
        summary: 'The images on this machine',
        tags,
        response: { 200: Type.Array(imageSchema) },
      },
    },
    () => images.list(),
  );
  server.get<{ Querystring: Static<typeof inspectQuery> }>(
    '/images/inspect',
    {
      schema: {
        summary: 'One image, by id or name: of this machine, or of another one that has it',
        tags,
        querystring: inspectQuery,
        response: { 200: imageSchema },
      },
    },
    async ({ query, raw }) => {
      try {
        return await images.inspect(query.reference);
      } catch (error) {
        if (!hasCode(error, 'images.notFound') || others?.passOn.isPassedOn(raw)) throw error;
        const image = await others?.inspect(query.reference);
        if (image) return image;
        throw error;
      }
    },
  );
}

function registerArchive(server: HttpServer, images: Images): void {
  server.get<{ Querystring: Static<typeof inspectQuery> }>(
    '/images/archive',
    {
      schema: {
        summary: 'One image as a `docker save` stream, by id or name',
        tags,
        querystring: inspectQuery,
        response: { 200: Type.Unknown({ description: 'A tar.' }) },
      },
    },
    async (request, reply) =>
      reply.type('application/x-tar').send(await images.archive(request.query.reference)),
  );
}

function registerCopies(server: HttpServer, images: Images): void {
  server.post<{ Body: Static<typeof imageBody> }>(
    '/images/ensure',
    {
      schema: {
        summary: 'Bring an image here from another machine that has it',
        tags,
        body: imageBody,
        response: { 200: Type.Object({ isHere: Type.Boolean() }) },
      },
    },
    async (request) => ({ isHere: await images.ensure(request.body.image) }),
  );
  server.post<{ Body: Static<typeof imageBody> }>(
    '/images/spread',
    {
      schema: {
        summary: 'See to it that a second machine holds an image of this one',
        tags,
        body: imageBody,
        response: { 200: Type.Object({ hosts: Type.Array(Type.String()) }) },
      },
    },
    async (request) => ({ hosts: await images.spread(request.body.image) }),
  );
}

/** The answer begins before the end is known, so a failure is its last line: `{"error": {...}}`. */
function registerBuild(server: HttpServer, images: Images, { clock, others }: ImageHttpDeps): void {
  const passOn = others?.passOn;
  server.post<{ Querystring: Static<typeof buildQuery> }>(
    '/images/build',
    {
      schema: {
        summary: 'Build a tar: NDJSON of `{line}`, then `{image}` or `{error}`',
        tags,
        querystring: buildQuery,
        response: { 200: Type.Unknown({ description: 'Lines of JSON: BuildOutput.' }) },
      },
    },
    async (request, reply) => {
      const elsewhere = passOn?.unlessHere(request.query.host, request.raw);
      if (elsewhere !== undefined) return passOn?.call(elsewhere, request, reply);
      const options = buildOptions.parse(parseJson(request.query.options), 'options');
      const abort = new AbortController();
      // Whoever asked is gone: nobody waits for this build any more.
      reply.raw.once('close', () => abort.abort());
      const output = images.build(tarOf(request.body), options, abort.signal);
      return reply.type('application/x-ndjson').send(toNdjson(withErrorLine(output), clock));
    },
  );
}

async function* withErrorLine(output: AsyncGenerator<BuildOutput>) {
  try {
    yield* output;
  } catch (error) {
    yield { error: toAppError(error).toBody() };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw coreErrors.invalid('options is not JSON', { cause });
  }
}

function acceptTars(server: HttpServer): void {
  for (const type of tarTypes)
    if (!server.hasContentTypeParser(type))
      server.addContentTypeParser(type, (_request, payload, done) => done(null, payload));
}

/**
 * The body as a stream of its own: whoever stops reading it early leaves the connection usable for the answer, and a
 * client that hangs up in the middle is an error, not the end of the tar.
 */
function tarOf(body: unknown): Readable {
  if (!isStream(body)) throw coreErrors.invalid(`the body must be a tar, sent as ${tarTypes[0]}`);
  let bytes = 0;
  const tar = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxTarBytes) done(null, chunk);
      else done(coreErrors.tooLarge(`the tar is larger than ${maxTarBytes} bytes`));
    },
  });
  // Whoever reads sees the error; while a build waits for its turn nobody does, and that must not end the process.
  tar.on('error', () => undefined);
  tar.once('close', () => {
    body.unpipe(tar);
    body.resume();
  });
  body.once('close', () => {
    if (!body.complete) tar.destroy(coreErrors.aborted('the tar was cut off by its sender'));
  });
  return body.pipe(tar);
}

function isStream(body: unknown): body is IncomingMessage {
  return typeof body === 'object' && body !== null && 'pipe' in body;
}
