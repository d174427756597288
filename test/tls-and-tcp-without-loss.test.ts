// Does anyone who comes over HTTPS, HTTP/2 or a bare TCP port notice a deploy? Kept TLS connections, multiplexed ones, WebSockets
// over TLS and connections to TCP routes, with and without the PROXY header: none is lost, and every answer is whole.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Route } from '#layer1/router/wire';
import { failuresOf, LoadApp, type LoadKind, MixedLoad, requestsOf } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';
import { type Load, startLoad } from './load/client.ts';

const platform = Platform.connect();
const { address } = platform.machine;
const name = 'wires';
const ports = { plain: 3_411, proxied: 3_412 };
const deploys = 2;

const overTls: LoadKind[] = [
  { mode: 'keep-alive', clients: 3, pauseMs: 5 },
  { mode: 'keep-alive', clients: 3, pauseMs: 5, method: 'POST', body: 'order=1' },
  { mode: 'keep-alive', clients: 4, pauseMs: 400, method: 'POST', body: 'order=2' },
  { mode: 'close', clients: 1, pauseMs: 20, method: 'POST', body: 'order=3' },
  { mode: 'http2', clients: 3, pauseMs: 5, method: 'POST', body: 'order=4' },
  { mode: 'websocket', clients: 2, pauseMs: 50 },
  { mode: 'slow', clients: 2 },
].map((kind) => ({ ...kind, isTls: true }) as LoadKind);

let app: LoadApp;
before(async () => {
  const script = await readFile(join(import.meta.dirname, 'load/tcp-app.js'), 'utf8');
  const proxied = `process.env.PROXY = 'v2';\n${script}`;
  const program = (text: string) => ['node', '-e', text];
  app = await LoadApp.create(platform, name, 2, {
    plain: { entrypoint: program(script), port: 7_000 },
    proxied: { entrypoint: program(proxied), port: 7_001 },
  });
  const add = (...words: string[]) => platform.gantry('route', 'add', '-a', name, ...words);
  await add('tcp', String(ports.plain), '--process', 'plain');
  await add('tcp', String(ports.proxied), '--process', 'proxied', '--proxy-protocol');
});
after(async () => {
  await app?.close();
});

/** What the app says first on this port, and who connected. */
function greeting(port: number): Promise<{ said: string; self: string }> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 5_000 });
    let said = '';
    let self = '';
    socket.on('connect', () => {
      self = `${socket.localAddress}:${socket.localPort}`;
    });
    socket.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('\n')) socket.end();
    });
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve({ said: said.trim(), self }));
  });
}

describe('a TCP route', () => {
  test('leads to the process, which hears from the PROXY header who connected, if it was asked for', async () => {
    for (const port of Object.values(ports))
      await waitFor(`port ${port} to answer`, async () => (await greeting(port)).said !== '');
    const proxied = await greeting(ports.proxied);
    assert.match(proxied.said, / by PROXY v2$/);
    assert.ok(proxied.said.includes(` greets ${proxied.self} `), JSON.stringify(proxied));
    const plain = await greeting(ports.plain);
    assert.match(plain.said, / plainly$/);
    assert.ok(!plain.said.includes(plain.self), 'without the header it is the router that it sees');
  });

  test('is listed with what it sends, refused to another app, and closed when it is removed', async () => {
    const routes = await platform.gantryJson<Route[]>('route', '-a', name);
    const route = routes.find(({ port }) => port === ports.proxied);
    assert.deepEqual([route?.type, route?.sendsProxyProtocol], ['tcp', true]);
    const taken = ['route', 'add', 'tcp', String(ports.plain), '-a', 'hello'];
    const refused = await platform.tryGantry(...taken);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /3411 is a route of app wires/);
    await platform.gantry('route', 'add', 'tcp', '3413', '--process', 'plain', '-a', name);
    await waitFor('the port to answer', async () => (await greeting(3_413)).said !== '');
    await platform.gantry('route', 'remove', '3413', '-a', name);
    await waitFor('the port to be closed', async () => (await greeting(3_413)).self === '');
  });
});

test(`${deploys} deploys under load lose nothing over TLS, HTTP/2 and TCP`, async (t) => {
  const web = new MixedLoad(address, name, overTls);
  const tcp = Object.entries(ports).map(([what, port]) => tcpLoad(what, port));
  const loads = { web, tcp };
  try {
    for (let round = 1; round <= deploys; round++) await deployUnder(loads, String(round));
    const reports = [...(await web.stop()), ...(await Promise.all(tcp.map((load) => load.stop())))];
    assert.deepEqual(failuresOf(reports), []);
    for (const { mode, requests } of reports) assert.ok(requests > 0, `${mode} asked nothing`);
    t.diagnostic(`${requestsOf(reports)} requests and connections, 0 failed`);
  } finally {
    await web.stop();
    await Promise.all(tcp.map((load) => load.stop()));
  }
});

/** Connections of half a second, that greet as the route says. */
function tcpLoad(what: string, port: number): Load {
  const end = what === 'proxied' ? ' by PROXY v2' : ' plainly';
  const verify = ({ body }: { body: string }) => (body.endsWith(end) ? undefined : body);
  const kind = { mode: 'tcp' as const, clients: 6, pauseMs: 25, messages: 20 };
  return startLoad({ ...kind, address, port, host: name, timeoutMs: 30_000, verify });
}

/** One deploy; requests of every kind are under way while it goes on, and both releases answer. */
async function deployUnder({ web, tcp }: { web: MixedLoad; tcp: Load[] }, round: string) {
  web.take();
  const { id, oldVersion, newVersion } = await app.setEnv('ROUND', round);
  const newer = `v${newVersion}`;
  const isSeen = () => web.answersOf(newer) > 0 || web.failed > 0;
  await waitFor(`${newer} to answer`, isSeen, { timeoutMs: 120_000 });
  assert.ok(web.inFlight(newer) > 0, 'requests under way at the switch');
  for (const load of tcp) assert.ok(load.mark(newer).inFlight > 0, 'connections at the switch');
  const ended = await app.untilEnded(id);
  assert.equal(ended.state, 'complete', ended.reason);
  const { answers, overlaps } = web.take();
  assert.ok(answers[`v${oldVersion}`], `v${oldVersion} answered during the deploy`);
  assert.ok(answers[newer], `${newer} answered during its deploy`);
  assert.ok(overlaps > 0, 'the old release still answered after the new one had begun to');
}
