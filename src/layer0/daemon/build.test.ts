// Does giving a build up reach the engine, through every door on the way?

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { createHttpServer, type HttpServer, listenUnix } from '#core/http-server';
import { silentLog } from '#core/log';
import { createHostClient } from '#layer0/host/client';
import type { ImageEngine } from '#layer0/images/client';
import { registerImageRoutes } from '#layer0/images/http';
import { createImages } from '#layer0/images/index';

/** A failure shows as this, not as a test that hangs. */
const limit = { timeout: 20_000 };
const options = {
  dockerfile: 'Dockerfile',
  tag: 'shop:1',
  labels: {},
  buildArgs: {},
  memoryBytes: 1,
  timeoutMs: 60_000,
};

describe('a build through the host client', () => {
  const ended = Promise.withResolvers<void>();
  let folder: string;
  let server: HttpServer;
  let baseUrl: string;

  before(async () => {
    const clock = new FakeClock();
    const runtime = {
      async *build(_tar: Readable, _options: unknown, signal: AbortSignal) {
        yield { line: 'Step 1/1 : RUN sleep 600' };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        ended.resolve();
      },
    } as unknown as ImageEngine;
    folder = await mkdtemp(join(tmpdir(), 'gantry-build-test-'));
    server = createHttpServer({ log: silentLog });
    registerImageRoutes(server, createImages({ runtime, clock, log: silentLog }), { clock });
    await listenUnix(server, join(folder, 'host.sock'));
    baseUrl = `unix:${join(folder, 'host.sock')}`;
  });
  after(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('ends in the engine when the signal fires, while the engine is silent', limit, async () => {
    const host = createHostClient({ baseUrl });
    const caller = new AbortController();
    const output = host.build(Readable.from(['tar']), options, caller.signal);
    assert.deepEqual((await output.next()).value, { line: 'Step 1/1 : RUN sleep 600' });
    const silent = output.next();
    caller.abort();
    await assert.rejects(silent, { code: 'core.aborted' });
    await ended.promise;
    host.close();
  });
});
