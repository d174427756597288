// The load client must be able to fail: against an instance that misbehaves it counts every single loss.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startBackend } from '../router/backend.ts';
import { type LoadMode, type LoadOptions, type LoadReport, startLoad } from './client.ts';

async function loadOf(fault: 'reset' | 'cut' | undefined, changes: Partial<LoadOptions> = {}) {
  const backend = await startBackend({ name: 'x', ...(fault ? { fault } : {}) });
  const base = { address: '127.0.0.1', port: backend.port, host: 'x.test', mode: 'keep-alive' };
  const load = startLoad({ ...base, clients: 2, timeoutMs: 500, ...changes } as LoadOptions);
  while (load.requests < 10) await new Promise((resolve) => setImmediate(resolve));
  const report = await load.stop();
  await backend.kill();
  return report;
}

for (const mode of ['keep-alive', 'close', 'websocket', 'slow'] as LoadMode[])
  test(`${mode}: a good instance fails nothing`, async () => {
    const report = await loadOf(undefined, { mode, slowMs: 20 });
    assert.equal(report.failed, 0, report.examples.join('; '));
    assert.equal(report.byInstance.x, report.requests);
    assert.ok(report.p50 > 0 && report.max >= report.p99);
  });

test('connections that are reset are counted, each one', async () => {
  const report = await loadOf('reset');
  assert.equal(report.failures.reset, report.requests);
  assert.equal(report.failed, report.requests);
});

test('bodies that are cut off are counted, each one', async () => {
  const report = await loadOf('cut');
  assert.equal(report.failures.truncated, report.requests);
});

test('answers that come too late are counted', async () => {
  const report = await loadOf(undefined, { mode: 'slow', slowMs: 200, timeoutMs: 20 });
  assert.equal(report.failures.timeout, report.requests);
});

test('wrong answers are counted, and a port without a listener', async () => {
  const wrong = await loadOf(undefined, { verify: () => 'not what was asked for' });
  assert.equal(wrong.failures.body, wrong.requests);
  const backend = await startBackend({ name: 'x' });
  await backend.kill();
  const refused = startLoad({
    address: '127.0.0.1',
    port: backend.port,
    host: 'x',
    mode: 'close',
    clients: 1,
  });
  while (refused.requests < 5) await new Promise((resolve) => setImmediate(resolve));
  const report = await refused.stop();
  assert.equal(report.failures.refused, report.requests);
});

/** A server that answers HTTP/1 and HTTP/2 over TLS, or cuts every third answer off; it counts connections. */
async function startSecure(isCutting = false) {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-load-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const args = ['req', '-x509', ...kind, '-subj', '/CN=x.test', '-keyout', key, '-out', cert];
  execFileSync('openssl', args, { stdio: 'ignore' });
  const pems = { key: readFileSync(key), cert: readFileSync(cert) };
  rmSync(folder, { recursive: true });
  const server = createSecureServer({ ...pems, allowHTTP1: true });
  const seen = { connections: 0, requests: 0 };
  server.on('secureConnection', () => seen.connections++);
  server.on('request', (_request, response) => {
    seen.requests++;
    response.setHeader('x-instance', 'secure');
    if (!isCutting || seen.requests % 3 !== 0) return void response.end('whole');
    response.write('begun');
    setImmediate(() => response.stream?.close(2));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, seen, close: () => server.close() };
}

async function run(changes: Partial<LoadOptions>): Promise<LoadReport> {
  const base = { address: '127.0.0.1', host: 'x.test', clients: 2, timeoutMs: 2_000 };
  const load = startLoad({ ...base, ...changes } as LoadOptions);
  while (load.requests < 12) await new Promise((resolve) => setImmediate(resolve));
  return load.stop();
}

for (const mode of ['keep-alive', 'http2'] as LoadMode[])
  test(`${mode} over TLS: a client keeps its one connection`, async () => {
    const { port, seen, close } = await startSecure();
    const report = await run({ mode, port, isTls: true });
    close();
    assert.equal(report.failed, 0, report.examples.join('; '));
    assert.equal(report.byInstance.secure, report.requests);
    assert.equal(seen.connections, 2);
  });

test('http2: answers that are cut off are counted, each one', async () => {
  const { port, seen, close } = await startSecure(true);
  const { failed, requests } = await run({ mode: 'http2', port });
  close();
  assert.equal(requests, seen.requests);
  assert.equal(failed, Math.floor(requests / 3));
});

/** The app of the cluster tests, as a process here. */
async function startTcpApp(env: Record<string, string>, release = 'v1') {
  const reserved = createServer();
  await once(reserved.listen(0, '127.0.0.1'), 'listening');
  const { port } = reserved.address() as AddressInfo;
  await new Promise((resolve) => reserved.close(resolve));
  const program = readFileSync(join(import.meta.dirname, 'tcp-app.js'), 'utf8');
  const child: ChildProcess = spawn(process.execPath, ['-e', program], {
    env: { ...env, PORT: String(port), GANTRY_RELEASE: release },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout) await once(child.stdout, 'data');
  return { port, child };
}

test('tcp: every line comes back, and the greeting says which instance', async () => {
  const { port, child } = await startTcpApp({});
  const report = await run({ mode: 'tcp', port });
  child.kill();
  assert.equal(report.failed, 0, report.examples.join('; '));
  assert.equal(report.byInstance.v1, report.requests);
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('tcp: a connection without the PROXY header that the app wants is counted', async () => {
  const { port, child } = await startTcpApp({ PROXY: 'v2' });
  const report = await run({ mode: 'tcp', port, timeoutMs: 50 });
  child.kill();
  assert.equal(report.failures.timeout, report.requests);
});

test('tcp: connections that the server ends are counted, each one', async () => {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.end('v1 greets and goes\n');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const report = await run({ mode: 'tcp', port: (server.address() as AddressInfo).port });
  server.close();
  assert.equal(report.failed, report.requests);
});
