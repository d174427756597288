// The load client must be able to fail: against an instance that misbehaves it counts every single loss.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackend } from '../router/backend.ts';
import { type LoadMode, type LoadOptions, startLoad } from './client.ts';

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
