// Everyone who is watched gets a look, also when many are and some leave the queue.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { maxProbesAtOnce } from '../config.ts';
import type { ProbeResult } from './probe.ts';
import { Prober } from './prober.ts';

test('who leaves the queue of probes does not take the turn of those behind', async () => {
  const looks: { container: string; end(result: ProbeResult): void }[] = [];
  const prober = new Prober({
    clock: new FakeClock(),
    random: () => 0.5,
    probe: ({ container }) =>
      new Promise((end) => {
        looks.push({ container, end });
      }),
  });
  const watch = (id: string) =>
    prober.watch(id, {
      target: { container: id, address: '127.0.0.1', port: 1 },
      check: { type: 'tcp', intervalMs: 1000, timeoutMs: 1000, startTimeoutMs: 1000, failures: 3 },
      wasHealthy: false,
      onVerdict: () => undefined,
    });
  for (let index = 0; index < maxProbesAtOnce; index++) watch(`first-${index}`);
  for (const id of ['left-1', 'left-2', 'stayed']) watch(id);
  for (const id of ['left-1', 'left-2']) prober.unwatch(id);
  assert.equal(looks.length, maxProbesAtOnce);
  looks[0]?.end(undefined);
  await new Promise(setImmediate);
  assert.equal(looks.at(-1)?.container, 'stayed');
  prober.stop();
});
