// The way to a registry: bytes both ways through another machine's door, and an end of both when one ends. Which machines have one.

import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { createHttpClient } from '#core/http-client';
import { createHttpServer, listenTcp, onUpgrade } from '#core/http-server';
import { silentLog } from '#core/log';
import type { Member } from '#layer0/membership/client';
import { registryHosts } from './registry-keeper.ts';
import { answerTunnel, TunnelPort } from './registry-tunnel.ts';

const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers) await close();
});

function listen(server: Server): Promise<number> {
  closers.push(() => server.close());
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Says `<name> <what it was told>`, and ends. */
const registry = (name: string) =>
  listen(
    createServer((socket) => {
      socket.once('data', (text) => socket.end(`${name} ${text}`));
      socket.on('error', () => socket.destroy());
    }),
  );

/** A machine whose door leads to a registry on this port; it is asked for by host id. */
async function farMachine(registryPort: number) {
  const server = createHttpServer({ log: silentLog });
  onUpgrade(server, [
    {
      path: /^\/images\/registry$/,
      handle: (_request, socket, head) => answerTunnel(registryPort, socket, head),
    },
  ]);
  const port = await listenTcp(server, '127.0.0.1', 0);
  const client = createHttpClient({ baseUrl: `http://127.0.0.1:${port}` });
  closers.push(
    () => client.close(),
    () => server.close(),
  );
  return { client: () => client };
}

function say(port: number): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write('hello'));
    socket.on('data', (text) => (said += text));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(said));
  });
}

describe('a port that leads to a registry', () => {
  test('ends at that of another machine, or at its own, and follows when another has it', async () => {
    const [own, far] = [await registry('own'), await registry('far')];
    const port = await freePort();
    const local = { hostId: 'host-a', port: own };
    const peers = await farMachine(far);
    const tunnel = new TunnelPort({ peers, local, port, log: silentLog });
    await tunnel.open('host-b');
    assert.equal(await say(port), 'far hello');
    await tunnel.open('host-a');
    assert.equal(await say(port), 'own hello');
    await tunnel.close();
    assert.equal(await say(port), '');
  });

  test('closes at once where there is no registry', async () => {
    const port = await freePort();
    const nobody = await freePort();
    const local = { hostId: 'host-a', port: nobody };
    const tunnel = new TunnelPort({ peers: await farMachine(nobody), local, port, log: silentLog });
    for (const host of ['host-a', 'host-b']) {
      await tunnel.open(host);
      assert.equal(await say(port), '');
    }
    await tunnel.close();
  });
});

describe('registries', () => {
  const member = (hostId: string, admittedAt: number): Member => ({
    hostId,
    name: hostId,
    address: '192.0.2.1',
    port: 7443,
    admittedAt,
  });

  test('are on the two that have been members longest, and on none that is alone', () => {
    const all = [member('host-c', 1), member('host-a', 3), member('host-b', 2)];
    assert.deepEqual(registryHosts(all), ['host-c', 'host-b']);
    assert.deepEqual(registryHosts(all.slice(0, 2)), ['host-c', 'host-a']);
    assert.deepEqual(registryHosts(all.slice(0, 1)), []);
    assert.deepEqual(registryHosts([]), []);
  });
});
