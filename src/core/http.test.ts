// Server and client together: errors keep their code, a hung peer is noticed, sockets of the dead are taken over.

import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { systemClock } from './clock.ts';
import { AppError, coreErrors, defineErrors } from './errors.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';
import {
  createHttpServer,
  type HttpServer,
  listenTcp,
  listenUnix,
  onUpgrade,
} from './http-server.ts';
import { silentLog } from './log.ts';
import { Type } from './schema.ts';
import { toNdjson } from './stream.ts';

const testErrors = defineErrors('httptest', {
  teapot: { status: 418, retry: true, doc: 'Only for this test.' },
});

let folder: string;
let server: HttpServer;
let client: HttpClient;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-http-'));
  server = createHttpServer({ log: silentLog });
  const body = Type.Object({ name: Type.String({ maxLength: 5 }) });
  const querystring = Type.Object({ n: Type.Optional(Type.Integer({ maximum: 10 })) });
  server.post('/things', { schema: { body } }, (request) => request.body);
  server.get('/things', { schema: { querystring } }, (request) => request.query);
  server.get('/teapot', () => {
    throw testErrors.teapot('short and stout', { detail: { handle: 1 } });
  });
  server.get('/bug', () => {
    throw new TypeError('secret internals');
  });
  server.get('/numbers', (_request, reply) => reply.send(toNdjson(count(3), systemClock)));
  onUpgrade(server, [
    {
      path: /^\/echo$/,
      handle: async (_request, socket) => {
        socket.write(`HTTP/1.1 101 Upgraded\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n`);
        socket.pipe(socket);
      },
    },
  ]);
  onUpgrade(server, [
    {
      path: /^\/second$/,
      handle: async (_request, socket) => {
        socket.end('HTTP/1.1 101 Upgraded\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n');
      },
    },
  ]);
  await listenUnix(server, join(folder, 'run', 'test.sock'));
  client = createHttpClient({
    baseUrl: `unix:${join(folder, 'run', 'test.sock')}`,
    timeoutMs: 2000,
  });
});

afterEach(async () => {
  client.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function* count(to: number) {
  for (let number = 1; number <= to; number++) yield { number };
}

function rejectsWith(code: string) {
  return (error: unknown) => error instanceof AppError && error.code === code;
}

describe('HTTP between components', () => {
  test('answers JSON and validates bodies without changing their types', async () => {
    assert.deepEqual(await client.json('POST', '/things', { body: { name: 'abc' } }), {
      name: 'abc',
    });
    await assert.rejects(
      client.json('POST', '/things', { body: { name: 'too long' } }),
      rejectsWith('core.invalid'),
    );
    await assert.rejects(
      client.json('POST', '/things', { body: { name: 1 } }),
      rejectsWith('core.invalid'),
    );
  });

  test('reads numbers of a query string', async () => {
    assert.deepEqual(await client.json('GET', '/things', { query: { n: 3 } }), { n: 3 });
    await assert.rejects(
      client.json('GET', '/things', { query: { n: 'x' } }),
      rejectsWith('core.invalid'),
    );
    await assert.rejects(
      client.json('GET', '/things', { query: { n: 11 } }),
      rejectsWith('core.invalid'),
    );
  });

  test('carries code, detail and retry of an error, and nothing of a bug but its message', async () => {
    await assert.rejects(client.json('GET', '/teapot'), (error: unknown) => {
      assert(error instanceof AppError);
      assert.deepEqual(
        [error.code, error.status, error.retry, error.detail],
        ['httptest.teapot', 418, true, { handle: 1 }],
      );
      return true;
    });
    await assert.rejects(client.json('GET', '/bug'), rejectsWith('core.internal'));
    await assert.rejects(client.json('GET', '/nothing'), rejectsWith('core.notFound'));
  });

  test('refuses a body that is not JSON or larger than the limit', async () => {
    const headers = { 'content-type': 'application/json' };
    const { Readable } = await import('node:stream');
    const send = (text: string) =>
      client.json('POST', '/things', { bodyStream: Readable.from([text]), headers });
    await assert.rejects(send('{"name":'), rejectsWith('core.invalid'));
    await assert.rejects(send(`{"name":"${'x'.repeat(3 * 1024 * 1024)}"}`), (error: unknown) => {
      return rejectsWith('core.tooLarge')(error) || rejectsWith('core.unreachable')(error);
    });
  });

  test('refuses a URL that cannot be decoded with the usual error body', async () => {
    const server = createHttpServer({ log: silentLog });
    server.get('/things/:name', async () => ({}));
    const answer = await server.inject('/things/%ff');
    assert.equal(answer.statusCode, 400);
    assert.equal(answer.json<{ code: string }>().code, 'core.invalid');
    await server.close();
  });

  test('upgrades to the routes of every component on the server', async () => {
    for (const path of ['/echo', '/second']) (await client.upgrade(path)).socket.destroy();
    await assert.rejects(client.upgrade('/third'), rejectsWith('core.notFound'));
  });

  test('streams values and upgrades to a raw socket', async () => {
    const numbers = [];
    for await (const value of client.ndjson<{ number: number }>('GET', '/numbers'))
      numbers.push(value.number);
    assert.deepEqual(numbers, [1, 2, 3]);
    const { socket } = await client.upgrade('/echo');
    socket.write('hello');
    const echoed = await new Promise((resolve) => socket.once('data', resolve));
    assert.equal(String(echoed), 'hello');
    socket.destroy();
    await assert.rejects(client.upgrade('/nowhere'), rejectsWith('core.notFound'));
  });

  test('says that nobody listens, or that the answer does not come in time', async () => {
    const nobody = createHttpClient({ baseUrl: `unix:${join(folder, 'none.sock')}` });
    await assert.rejects(nobody.json('GET', '/'), rejectsWith('core.unreachable'));
    nobody.close();
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const hung = createHttpClient({ baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 50 });
    await assert.rejects(hung.json('GET', '/'), rejectsWith('core.timeout'));
    hung.close();
    silent.closeAllConnections();
    silent.close();
  });

  test('finds a server again whose machine lost its power, by its second call', async () => {
    let isBack = false;
    const waiting = new Set<Socket>();
    const known = new WeakSet<Socket>();
    // What was connected before is answered with a reset by the machine that is back.
    const machine = createTcpServer((socket) => {
      if (!isBack) known.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('data', () => {
        if (isBack && known.has(socket)) socket.resetAndDestroy();
        else waiting.add(socket);
        if (!isBack && waiting.size < 3) return;
        for (const one of waiting) one.write('HTTP/1.1 204 No Content\r\n\r\n');
        waiting.clear();
      });
    });
    await new Promise<void>((resolve) => machine.listen(0, '127.0.0.1', resolve));
    const { port } = machine.address() as { port: number };
    const caller = createHttpClient({ baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 5_000 });
    await Promise.all([1, 2, 3].map(() => caller.json('GET', '/')));
    isBack = true;
    await assert.rejects(caller.json('GET', '/'), rejectsWith('core.unreachable'));
    await caller.json('GET', '/');
    caller.close();
    machine.close();
  });

  test('takes over the socket of a server that died, and refuses one that is answered', async () => {
    const path = join(folder, 'run', 'test.sock');
    assert.equal((await stat(path)).mode & 0o777, 0o660);
    const second = createHttpServer({ log: silentLog });
    await assert.rejects(listenUnix(second, path), rejectsWith('core.config'));
    await second.close();
    const stale = join(folder, 'run', 'stale.sock');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(stale, '');
    const third = createHttpServer({ log: silentLog });
    await listenUnix(third, stale);
    await third.close();
  });

  test('lets the system choose a TCP port', async () => {
    const other = createHttpServer({ log: silentLog });
    other.get('/', () => ({ ok: true }));
    const port = await listenTcp(other, '127.0.0.1', 0);
    const tcp = createHttpClient({
      baseUrl: `http://name.invalid:${port}`,
      dialAddress: '127.0.0.1',
    });
    assert.deepEqual(await tcp.json('GET', '/'), { ok: true });
    tcp.close();
    await other.close();
  });
});

test('an error of another process keeps its code; an unknown one is a bug with its cause', () => {
  const known = coreErrors.timeout('late', { detail: 1 });
  assert.deepEqual(known.toBody(), {
    code: 'core.timeout',
    message: 'late',
    detail: 1,
    retry: true,
  });
});

describe('a server that is closed', () => {
  /** Answers when it is told to. */
  async function aSlowServer(answerMs: number) {
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()];
    const slow = createHttpServer({ log: silentLog, answerMs });
    slow.post('/slow', async () => {
      asked.resolve();
      return { said: await answer.promise };
    });
    async function* endless() {
      yield { first: true };
      await answer.promise;
    }
    slow.get('/follow', (_request, reply) => reply.send(toNdjson(endless(), systemClock)));
    onUpgrade(slow, [
      {
        path: /^\/echo$/,
        handle: async (_request, socket) => {
          socket.write('HTTP/1.1 101 Upgraded\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n');
          socket.pipe(socket);
        },
      },
    ]);
    const baseUrl = `http://127.0.0.1:${await listenTcp(slow, '127.0.0.1', 0)}`;
    return { slow, asked: asked.promise, answer, http: createHttpClient({ baseUrl }) };
  }

  test('first answers what it was asked, and takes no more', async () => {
    const { slow, asked, answer, http } = await aSlowServer(60_000);
    const answered = http.json('POST', '/slow');
    await asked;
    const closed = slow.close();
    await assert.rejects(http.json('POST', '/slow'), { code: 'core.unreachable' });
    answer.resolve('at last');
    assert.deepEqual(await answered, { said: 'at last' });
    await closed;
    http.close();
  });

  test('gives up what takes too long', async () => {
    const { slow, asked, http } = await aSlowServer(20);
    const cut = assert.rejects(http.json('POST', '/slow'), { code: 'core.unreachable' });
    await asked;
    await slow.close();
    await cut;
    http.close();
  });

  test('waits neither for who follows nor for who was upgraded', async () => {
    const { slow, http } = await aSlowServer(60_000);
    const follows = http.ndjson('GET', '/follow');
    assert.deepEqual((await follows.next()).value, { first: true });
    const { socket } = await http.upgrade('/echo');
    const cut = new Promise((resolve) => socket.once('close', resolve));
    await slow.close();
    await assert.rejects(follows.next(), { code: 'core.unreachable' });
    await cut;
    http.close();
  });
});
