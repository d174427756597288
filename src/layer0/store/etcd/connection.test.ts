// A connection that is late, or cut in the middle of its handshake, fails the call that waits for it, and nothing else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { toAppError } from '#core/errors';
import { Connection } from './connection.ts';

/** Of nobody, for loopback, for a hundred years. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBSaCKkpFXLB8pYtR
D7zrZDshuFga2JTolWCL0CTzKTehRANCAARmkk2BV21OxsRpUf8E3iQ3O1EYqoS/
PZB7RfwMC/m0/Zjn2amF/jfOgYdVtLZMhHqOs5Hl7UxWRYddf5u5hEbT
-----END PRIVATE KEY-----`;
const cert = `-----BEGIN CERTIFICATE-----
MIIBizCCATCgAwIBAgIUcXJgs1TR140ZaDFOTInQWX8ZWP8wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMjA0MjMyMFoYDzIxMjYxMDI5MDQy
MzIwWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARmkk2BV21OxsRpUf8E3iQ3O1EYqoS/PZB7RfwMC/m0/Zjn2amF/jfOgYdVtLZM
hHqOs5Hl7UxWRYddf5u5hEbTo2QwYjAdBgNVHQ4EFgQU6fM8QqCQQ1bYgdT50PDV
aaJamk4wHwYDVR0jBBgwFoAU6fM8QqCQQ1bYgdT50PDVaaJamk4wDwYDVR0TAQH/
BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYCIQC6538l
eqbVFRM01NKx8ObS2X/KMY80tWDt9LsBLc2zEgIhAPl75lPpqDzJwwjrsANXGkvW
ny0V/PXgfiX07Hc7cv0W
-----END CERTIFICATE-----`;

describe('a connection to etcd over TLS', () => {
  let uncaught: unknown[] = [];
  let cleanUps: (() => void)[] = [];
  const onUncaught = (error: unknown) => uncaught.push(error);

  beforeEach(() => {
    uncaught = [];
    process.on('uncaughtException', onUncaught);
  });
  afterEach(() => {
    process.removeListener('uncaughtException', onUncaught);
    for (const cleanUp of cleanUps.reverse()) cleanUp();
    cleanUps = [];
    assert.deepEqual(uncaught, [], 'nothing but the call failed');
  });

  /** A server that takes connections and leaves them to the test. */
  async function listen(): Promise<{ connection: Connection; sockets: Socket[] }> {
    const sockets: Socket[] = [];
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => undefined);
      sockets.push(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address && typeof address === 'object');
    const connection = new Connection({
      url: `https://127.0.0.1:${address.port}`,
      credentials: () => ({ ca: cert, cert, key }),
    });
    cleanUps.push(() => {
      connection.close();
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return { connection, sockets };
  }

  const codeOf = (call: Promise<unknown>) =>
    call.then(
      () => 'answered',
      (error: unknown) => toAppError(error).code,
    );
  const ask = (connection: Connection, timeoutMs = 200) =>
    codeOf(connection.call('/x', [Buffer.from('x')], { timeoutMs }));
  /** A busy machine may be later with it than the call that it is for was given up. */
  const firstOf = async (sockets: readonly Socket[]): Promise<Socket> => {
    while (!sockets[0]) await new Promise((resolve) => setImmediate(resolve));
    return sockets[0];
  };
  /** What is to come in this process has come. */
  const settled = async (socket: Socket) => {
    if (!socket.destroyed) await once(socket, 'close');
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  /** Speaks TLS and HTTP/2 on a connection from now on, and ends it when the other side is there. */
  async function handshake(socket: Socket): Promise<void> {
    const server = createSecureServer({ key, cert });
    cleanUps.push(() => void server.close());
    const met = Promise.race([once(server, 'session'), once(socket, 'close')]);
    server.emit('connection', socket);
    socket.resume();
    await met;
    socket.destroy();
  }

  test('that handshakes after the call was given up harms nothing', async () => {
    const { connection, sockets } = await listen();
    assert.equal(await ask(connection), 'core.timeout');
    const late = await firstOf(sockets);
    await handshake(late);
    await settled(late);
  });

  test('that was closed before it handshakes harms nothing', async () => {
    const { connection, sockets } = await listen();
    const asked = ask(connection, 10_000);
    const late = await firstOf(sockets);
    connection.close();
    assert.equal(await asked, 'core.unreachable');
    await handshake(late);
    await settled(late);
  });

  test('that is reset in the middle of its handshake fails the call that waits', async () => {
    const { connection, sockets } = await listen();
    const asked = ask(connection, 10_000);
    const cut = await firstOf(sockets);
    cut.resetAndDestroy();
    assert.equal(await asked, 'core.unreachable');
    await settled(cut);
  });

  test('that is reset long after the call was given up harms nothing', async () => {
    const { connection, sockets } = await listen();
    assert.equal(await ask(connection), 'core.timeout');
    const cut = await firstOf(sockets);
    cut.resetAndDestroy();
    await settled(cut);
  });

  test('without what it should show fails the call, not the process', async () => {
    const connection = new Connection({
      url: 'https://127.0.0.1:1',
      credentials: () => {
        throw new Error('no certificate yet');
      },
    });
    assert.equal(await ask(connection), 'core.unreachable');
  });
});
