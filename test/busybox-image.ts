// The image of the tests and benchmarks that need a real engine: busybox from scratch, so that nothing is pulled.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tarOf } from '../src/layer0/host/runtime/contract-subject.ts';
import type { Runtime } from '../src/layer0/host/runtime/runtime.ts';

const busyboxPath = '/bin/busybox';
const buildLimitMs = 60_000;

/** Its tag, `<name>:1`; it carries the label `gantry.test=<name>`. */
export async function buildBusyboxImage(runtime: Runtime, name: string): Promise<string> {
  assert.ok(existsSync(busyboxPath), `${busyboxPath} is missing: apt-get install busybox-static`);
  const dockerfile = [
    'FROM scratch',
    'COPY busybox /bin/busybox',
    'RUN ["/bin/busybox", "--install", "/bin"]',
    '',
  ].join('\n');
  const tar = tarOf({ Dockerfile: dockerfile, busybox: await readFile(busyboxPath) });
  const options = {
    dockerfile: 'Dockerfile',
    tag: `${name}:1`,
    labels: { 'gantry.test': name },
    buildArgs: {},
    memoryBytes: 128 * 1024 * 1024,
    timeoutMs: buildLimitMs,
    networkMode: 'none',
  };
  const signal = AbortSignal.timeout(buildLimitMs);
  for await (const value of runtime.build(tar, options, signal))
    if ('image' in value) return value.image.tags[0] ?? value.image.id;
  throw new Error('the build ended without an image');
}
