// A reader that does not read is let go; the sealed form opens only in its own context.

import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import { hasCode } from '#core/errors';
import type { Runtime } from './runtime/runtime.ts';
import { createSeal } from './seal.ts';
import { JobStreams, relay } from './streams.ts';

class Frozen extends Duplex {
  override _read(): void {}
  override _write(): void {}
}

class Talker extends Duplex {
  written = 0;
  override _read(): void {
    setImmediate(() => {
      this.written += 65_536;
      this.push(Buffer.alloc(65_536));
    });
  }
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

describe('an output-only attach', () => {
  it('lets a reader go that falls behind the limit, without holding the process up', async () => {
    const [engine, client] = [new Talker(), new Frozen()];
    relay(engine, client, { hasInput: false, limitBytes: 1_000_000 });
    await new Promise((resolve) => client.once('close', resolve));
    assert.ok(engine.written >= 1_000_000, `${engine.written} bytes were read`);
    assert.equal(engine.destroyed, true);
  });
});

describe('log sources', () => {
  it('are of every container that was started, and the engine is not asked', () => {
    const at = {
      name: 'web',
      image: '',
      state: 'exited',
      isOutOfMemory: false,
      createdAt: 0,
    } as const;
    const labels = { 'gantry.app': 'app-1', 'gantry.type': 'web', 'gantry.attempt': '2' };
    const streams = new JobStreams({
      runtime: {} as Runtime,
      containers: () => [
        { ...at, id: 'started', labels, logPath: '/logs/started' },
        { ...at, id: 'made', labels, state: 'created' },
      ],
      jobIds: () => ['job-1'],
      isTty: () => false,
    });
    const place = { job: 'job-1', app: 'app-1', type: 'web', index: 1, attempt: 2 };
    assert.deepEqual(streams.logSources(), [
      { containerId: 'started', path: '/logs/started', ...place },
    ]);
  });
});

describe('a seal', () => {
  const seal = createSeal(Buffer.alloc(32, 1));

  it('opens in its own context', () => {
    assert.equal(seal.open('app-a/KEY', seal.seal('app-a/KEY', 'grüße')), 'grüße');
  });

  for (const [what, context, change] of [
    ['in another context', 'app-b/KEY', (text: string) => text],
    ['when a byte was changed', 'app-a/KEY', (text: string) => `${text.slice(0, -2)}AA`],
    ['when it is cut short', 'app-a/KEY', (text: string) => text.slice(0, 20)],
    ['without its version', 'app-a/KEY', (text: string) => text.slice(3)],
  ] as const)
    it(`does not open ${what}`, () => {
      const sealed = change(seal.seal('app-a/KEY', 'a secret'));
      assert.throws(
        () => seal.open(context, sealed),
        (error) => hasCode(error, 'host.sealBroken') && !String(error).includes('a secret'),
      );
    });
});
