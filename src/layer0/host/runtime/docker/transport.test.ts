// Does the connection survive an engine that dies, hangs, is upgraded or breaks off? A small HTTP server plays it.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { systemClock } from '#core/clock';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { createDockerRuntime } from './docker-runtime.ts';
import { createTransport } from './transport.ts';

const look = { method: 'GET', path: '/look', attempt: 'look' } as const;

describe('the connection to the engine', () => {
  let folder = '';
  let socketPath = '';
  let server: Server | undefined;
  const seen: string[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-engine-'));
    socketPath = join(folder, 'docker.sock');
    seen.length = 0;
  });
  afterEach(async () => {
    await stop();
    await rm(folder, { recursive: true });
  });

  async function stop(): Promise<void> {
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    server = undefined;
    await rm(socketPath, { force: true });
  }

  /** An engine that offers these API versions; `answer` serves everything else. */
  async function serve(apiVersion: string, answer: RequestListener): Promise<void> {
    server = createServer((request, response) => {
      seen.push(request.url ?? '');
      if (request.url !== '/version') return answer(request, response);
      response.end(JSON.stringify({ ApiVersion: apiVersion, MinAPIVersion: '1.12' }));
    });
    await new Promise<void>((resolve) => server?.listen(socketPath, resolve));
  }

  const says = (value: unknown, status = 200): RequestListener => {
    return (_request, response) => response.writeHead(status).end(JSON.stringify(value));
  };

  test('an engine that is not there is unavailable, and is found when it comes', async () => {
    const transport = createTransport({ socketPath, clock: systemClock });
    await assert.rejects(transport.json(look), {
      code: 'engine.unavailable',
      retry: true,
      message: /could not ask for its version: .*docker\.sock/,
    });
    await serve('1.41', says({ a: 1 }));
    assert.deepEqual(await transport.json(look), { a: 1 });
    transport.close();
  });

  test('an engine that was upgraded while it was away is spoken to in its new version', async () => {
    const transport = createTransport({ socketPath, clock: systemClock });
    await serve('1.41', says({}));
    await transport.json(look);
    await stop();
    await assert.rejects(transport.json(look), { code: 'engine.unavailable' });
    await serve('1.44', says({}));
    await transport.json(look);
    assert.deepEqual(seen, ['/version', '/v1.41/look', '/version', '/v1.44/look']);
    transport.close();
  });

  test('an answer that never comes is cut off by the clock', async () => {
    const clock = new FakeClock();
    const transport = createTransport({ socketPath, clock });
    const asked = new Promise<void>((resolve) => void serve('1.41', () => resolve()));
    while (!server?.listening) await new Promise((resolve) => setImmediate(resolve));
    const call = transport.json({ ...look, timeoutMs: 5000 });
    const error = { code: 'engine.timeout', retry: true, message: /could not look/ };
    const isCutOff = assert.rejects(call, error);
    await asked;
    await clock.advance(5000);
    await isCutOff;
    transport.close();
  });

  test('what the engine says is in the error, with a code by its status', async () => {
    const transport = createTransport({ socketPath, clock: systemClock });
    const codes = { 400: 'refused', 404: 'notFound', 409: 'conflict', 500: 'failed' };
    for (const [status, reason] of Object.entries(codes)) {
      await serve('1.41', says({ message: 'because' }, Number(status)));
      const error = { code: `engine.${reason}`, message: 'could not look: because' };
      await assert.rejects(transport.json(look), error);
      await stop();
      await assert.rejects(transport.json(look), { code: 'engine.unavailable' });
    }
    transport.close();
  });

  test('events go on with a resync after the engine was away', async () => {
    const runtime = createDockerRuntime({
      socketPath,
      clock: systemClock,
      random: () => 0.5,
      log: silentLog,
    });
    const start = {
      Type: 'container',
      Action: 'start',
      Actor: { ID: 'c1', Attributes: { image: 'a', 'gantry.job': 'j' } },
    };
    const answer: RequestListener = (_request, response) =>
      response.write(`${JSON.stringify(start)}\n`);
    await serve('1.41', answer);
    const abort = new AbortController();
    const events = runtime.events({ 'gantry.job': 'j' }, abort.signal);
    const next = async () => (await events.next()).value;
    const event = { type: 'container', action: 'start', id: 'c1', labels: { 'gantry.job': 'j' } };
    assert.deepEqual(await next(), { type: 'resync' });
    assert.deepEqual(await next(), event);
    const later = next();
    await stop();
    await serve('1.41', answer);
    assert.deepEqual(await later, { type: 'resync' });
    assert.deepEqual(await next(), event);
    abort.abort();
    assert.equal(await next(), undefined);
    runtime.close();
  });

  test('a wait that the engine broke off asks again and trusts the state of the container', async () => {
    const runtime = createDockerRuntime({
      socketPath,
      clock: systemClock,
      random: () => 0.5,
      log: silentLog,
    });
    const state = { Status: 'running', ExitCode: 0, OOMKilled: false, Pid: 1 };
    const times = { StartedAt: '2020-01-01T00:00:00Z', FinishedAt: '0001-01-01T00:00:00Z' };
    const container = {
      Id: 'c1',
      Name: '/c1',
      Image: 'sha256:a',
      Created: times.StartedAt,
      Config: { Labels: {} },
      HostConfig: { NetworkMode: 'none' },
      NetworkSettings: {},
    };
    let waits = 0;
    await serve('1.41', (request, response) => {
      const isWait = request.url?.includes('/wait') ?? false;
      if (!isWait) {
        response.end(JSON.stringify({ ...container, State: { ...state, ...times } }));
        return;
      }
      response.flushHeaders();
      waits++;
      if (waits === 2) Object.assign(state, { Status: 'exited', ExitCode: 42, Pid: 0 });
      setImmediate(() => response.destroy());
    });
    assert.equal(await runtime.wait('c1', new AbortController().signal), 42);
    assert.equal(waits, 2);
    runtime.close();
  });
});
