// What a Dockerfile build leaves in the engine has a name, by which the collector takes it; nothing else gets one.
// Needs Docker and /bin/busybox (Debian: busybox-static); makes its own images and removes all it made.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { tarOf } from '../src/layer0/host/runtime/contract-subject.ts';
import { createDockerRuntime } from '../src/layer0/host/runtime/docker/docker-runtime.ts';
import { unfinishedName } from '../src/layer0/images/wire.ts';
import { buildBusyboxImage } from './busybox-image.ts';

const socketPath = process.env.DOCKER_SOCKET ?? '/var/run/docker.sock';
const deps = { clock: systemClock, random: systemRandom, log: silentLog };
const runtime = createDockerRuntime({ socketPath, ...deps });
const name = `gantry-test-${randomBytes(4).toString('hex')}`;
let base: string;

before(async () => {
  base = await buildBusyboxImage(runtime, name);
});
after(async () => {
  for (const tag of [`${name}:${name}-multi`, ...(await leftovers()), base]) {
    const image = await runtime.image(tag);
    if (image) await runtime.removeImage(image.id);
  }
  runtime.close();
});

async function leftovers(): Promise<string[]> {
  const tags = (await runtime.images()).flatMap((image) => image.tags);
  return tags.filter((tag) => tag.startsWith(`${unfinishedName}:${name}-`)).sort();
}

async function build(tag: string, steps: string[]): Promise<void> {
  const options = {
    dockerfile: 'Dockerfile',
    tag: `${name}:${tag}`,
    labels: { 'gantry.test': name },
    buildArgs: {},
    memoryBytes: 128 * 1024 * 1024,
    timeoutMs: 60_000,
    networkMode: 'none',
  };
  const tar = tarOf({ Dockerfile: [...steps, ''].join('\n') });
  for await (const _ of runtime.build(tar, options, new AbortController().signal));
}

test('an earlier stage and a failed build stay by a name, and are removed by it', async () => {
  await build(`${name}-multi`, [
    ...[`FROM ${base} AS tools`, `RUN echo ${name} > /made`],
    ...[`FROM ${base}`, 'COPY --from=tools /made /made', 'RUN echo more > /more'],
  ]);
  assert.deepEqual(await leftovers(), [`${unfinishedName}:${name}-multi-0`]);
  // The output names the base, as if it were a layer.
  const { id } = (await runtime.image(base)) ?? assert.fail();
  const lie = `RUN echo " ---> ${id.slice('sha256:'.length, 19)}" && exit 3`;
  const failing = build(`${name}-fails`, [`FROM ${base}`, `RUN echo ${name} > /x`, lie]);
  await assert.rejects(failing, { code: 'images.buildFailed' });
  const left = await leftovers();
  assert.deepEqual(left, [
    `${unfinishedName}:${name}-fails-0`,
    `${unfinishedName}:${name}-multi-0`,
  ]);
  for (const tag of left)
    assert.equal(await runtime.removeImage((await runtime.image(tag))?.id ?? ''), true);
  assert.deepEqual([await leftovers(), (await runtime.image(base))?.tags], [[], [base]]);
});
