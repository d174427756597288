// Do the routes of images stream, refuse and cancel as they say?

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { FakeClock } from '#core/fake-clock';
import { createHttpClient, type HttpClient } from '#core/http-client';
import { createHttpServer, type HttpServer, listenTcp } from '#core/http-server';
import { silentLog } from '#core/log';
import { imageErrors } from './errors.ts';
import { anImage } from './fake.ts';
import { registerImageRoutes } from './http.ts';
import { createImages, type Images } from './index.ts';
import type { BuildOptions, Image } from './wire.ts';

const image = anImage({ tags: ['imported:1', 'shop:1'], createdAt: 1 });
const options: BuildOptions = {
  dockerfile: 'Dockerfile',
  tag: 'shop:1',
  labels: {},
  buildArgs: {},
  memoryBytes: 1,
  timeoutMs: 1000,
};
const headers = { 'content-type': 'application/x-tar' };

async function valuesOf<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

describe('the routes of images', () => {
  let server: HttpServer;
  let client: HttpClient;
  let images: Images;
  let port = 0;
  let loaded = 0;
  let onAborted = () => {};

  before(async () => {
    const clock = new FakeClock();
    const runtime = {
      image: async (reference: string) => (reference === 'shop:1' ? image : undefined),
      images: async () => [image],
      async load(tar: Readable) {
        loaded = 0;
        for await (const chunk of tar) loaded += (chunk as Buffer).length;
        return [image];
      },
      async *build(tar: Readable, { tag }: BuildOptions, signal: AbortSignal) {
        if (tag === 'fails:1') {
          tar.destroy();
          throw imageErrors.buildFailed('the build failed at Step 2/2 (RUN exit 1)');
        }
        yield { line: 'Step 1/1 : FROM scratch' };
        if (tag === 'hangs:1')
          await new Promise<void>((resolve) =>
            signal.addEventListener('abort', () => {
              onAborted();
              resolve();
            }),
          );
        yield { image };
      },
      commit: async () => image,
      tag: async () => {},
      removeImage: async () => true,
      save: async (reference: string) => Readable.from([`archive of ${reference}`]),
    };
    const containerOf = async (job: string) => (job === 'job-1' ? 'c1' : undefined);
    images = createImages({ runtime, clock, log: silentLog, containerOf });
    server = createHttpServer({ log: silentLog });
    registerImageRoutes(server, images, { clock });
    port = await listenTcp(server, '127.0.0.1', 0);
    client = createHttpClient({ baseUrl: `http://127.0.0.1:${port}` });
  });
  after(async () => {
    client.close();
    await server.close();
  });

  const build = (tag: string, bytes = 10) =>
    client.ndjson<{ line?: string; image?: Image; error?: { code: string } }>(
      'POST',
      '/images/build',
      {
        query: { options: JSON.stringify({ ...options, tag }) },
        headers,
        bodyStream: Readable.from([Buffer.alloc(bytes)]),
      },
    );

  test('list and inspect answer images; one that is not here is 404', async () => {
    assert.deepEqual(await client.json('GET', '/images'), [image]);
    const found = await client.json('GET', '/images/inspect', { query: { reference: 'shop:1' } });
    assert.deepEqual(found, image);
    const missing = client.json('GET', '/images/inspect', { query: { reference: 'no:1' } });
    await assert.rejects(missing, { code: 'images.notFound', status: 404 });
  });

  test('an archive comes as a stream, by the name that was asked for, also where the image has others', async () => {
    const query = { reference: 'shop:1' };
    const archive = await client.raw('GET', '/images/archive', { query });
    assert.equal(await text(archive), 'archive of shop:1');
    const none = client.raw('GET', '/images/archive', { query: { reference: 'no:1' } });
    await assert.rejects(none, { code: 'images.notFound' });
  });

  test('an import streams every byte', async () => {
    const bodyStream = Readable.from([Buffer.alloc(3_000_000), Buffer.alloc(5)]);
    assert.deepEqual(await client.json('POST', '/images/import', { headers, bodyStream }), [image]);
    assert.equal(loaded, 3_000_005);
  });

  test('an import that is no stream is refused', async () => {
    const sent = client.json('POST', '/images/import', { body: { a: 1 } });
    await assert.rejects(sent, { code: 'core.invalid' });
  });

  test('a build streams its lines and ends with the image', async () => {
    const values = await valuesOf(build('shop:1'));
    assert.deepEqual(values, [{ line: 'Step 1/1 : FROM scratch' }, { image }]);
  });

  test('a failing build ends with its error, also when it never read the tar', async () => {
    const [last] = await valuesOf(build('fails:1', 5_000_000));
    assert.equal(last?.error?.code, 'images.buildFailed');
  });

  test('build options that are malformed are refused before anything is built', async () => {
    const bad = (text: string) =>
      client.json('POST', '/images/build', {
        query: { options: text },
        headers,
        bodyStream: Readable.from(['']),
      });
    await assert.rejects(bad('{'), { code: 'core.invalid' });
    await assert.rejects(bad('{}'), { code: 'core.invalid' });
  });

  test('a client that hangs up cancels its build', async () => {
    const aborted = new Promise<void>((resolve) => {
      onAborted = resolve;
    });
    const query = new URLSearchParams({ options: JSON.stringify({ ...options, tag: 'hangs:1' }) });
    const path = `/images/build?${query}`;
    const sent = request({ port, path, method: 'POST', headers }, (response) => {
      response.once('data', () => sent.destroy());
      response.on('error', () => {});
    });
    sent.on('error', () => {});
    sent.end('tar');
    await aborted;
  });

  test('a client that hangs up while its build waits for its turn harms nobody', async () => {
    const waits = images.status().images as { builds: { waiting: number } };
    assert.equal(waits.builds.waiting, 0);
    const running = [build('hangs:1'), build('hangs:1')];
    for (const each of running) await each.next();
    const query = new URLSearchParams({ options: JSON.stringify({ ...options, tag: 'late:1' }) });
    const path = `/images/build?${query}`;
    const sent = request({
      port,
      path,
      method: 'POST',
      headers: { ...headers, 'content-length': 9 },
    });
    sent.on('error', () => {});
    sent.write('tar');
    const waiting = () => (images.status().images as typeof waits).builds.waiting;
    const deadline = performance.now() + 10_000;
    while (waiting() === 0 && performance.now() < deadline) await setImmediate();
    sent.destroy();
    while (waiting() === 1 && performance.now() < deadline) await setImmediate();
    assert.equal(waiting(), 0);
    for (const each of running) await each.return(undefined);
    assert.deepEqual(await client.json('GET', '/images'), [image]);
  });

  test('commit finds the container of the job, or says that there is none', async () => {
    const commit = { tag: 'a:1', labels: {}, command: [], entrypoint: [] };
    const rest = { user: '', workingDir: '', env: {} };
    const post = (job: string) =>
      client.json('POST', '/images/commit', { body: { job, options: { ...commit, ...rest } } });
    assert.deepEqual(await post('job-1'), image);
    await assert.rejects(post('job-2'), { code: 'images.noContainer', status: 404 });
  });

  test('tag answers nothing', async () => {
    const body = { id: 'sha256:a', reference: 'shop:2' };
    assert.equal(await client.json('POST', '/images/tag', { body }), undefined);
  });
});
