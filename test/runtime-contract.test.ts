// The container runtime over a real Docker Engine keeps the same contract as the scripted one.
// Needs Docker and /bin/busybox (Debian: busybox-static); makes its own image and removes all it made.

import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'node:test';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import {
  type ContractSubject,
  type Program,
  runtimeContract,
} from '../src/layer0/host/runtime/contract.ts';
import { contractSpec } from '../src/layer0/host/runtime/contract-subject.ts';
import { createDockerRuntime } from '../src/layer0/host/runtime/docker/docker-runtime.ts';
import { createTransport } from '../src/layer0/host/runtime/docker/transport.ts';
import type { Runtime } from '../src/layer0/host/runtime/runtime.ts';
import { buildBusyboxImage } from './busybox-image.ts';

const socketPath = process.env.DOCKER_SOCKET ?? '/var/run/docker.sock';
const hangLimitMs = 60_000;

/** Keeps what it was given in memory until the limit ends it. */
const exhaust = 'x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done';

function command(program: Program): string[] {
  switch (program.kind) {
    case 'runs':
      return ['sleep', '600'];
    case 'ignoresTerm':
      return ['sh', '-c', 'trap "" TERM; while true; do sleep 1; done'];
    case 'exits':
      return ['sh', '-c', `exit ${program.code}`];
    case 'says':
      return ['sh', '-c', `printf '${program.stdout}'; printf '${program.stderr}' >&2`];
    case 'echoes':
      return ['cat'];
    case 'exhaustsMemory':
      return ['sh', '-c', exhaust];
    case 'isMissing':
      return ['/no/such/program'];
    case 'cannotStart':
      return ['true'];
  }
}

async function removeAll(runtime: Runtime, name: string): Promise<void> {
  const labels = { 'gantry.test': name };
  for (const { id } of await runtime.list(labels)) await runtime.remove(id);
  for (const network of await runtime.listNetworks(labels))
    await runtime.removeNetwork(network.name);
  for (const image of await runtime.images())
    if (image.tags.some((tag) => tag.startsWith(name))) await runtime.removeImage(image.id);
}

function withDeadline<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`not settled within ${hangLimitMs} ms`)),
      hangLimitMs,
    );
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function makeSubject(): Promise<ContractSubject> {
  const name = `gantry-contract-${randomBytes(4).toString('hex')}`;
  const runtime = createDockerRuntime({
    socketPath,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  const net = `10.${randomInt(200, 250)}.${randomInt(0, 250)}`;
  return {
    runtime,
    image: await buildBusyboxImage(runtime, name),
    command,
    name,
    network: {
      subnet: `${net}.0/24`,
      gateway: `${net}.1`,
      bridge: `gc${name.slice(-8)}`,
      ip: `${net}.7`,
      mac: '02:42:0a:01:02:07',
    },
    settle: withDeadline,
    async release() {
      await removeAll(runtime, name);
      runtime.close();
    },
  };
}

runtimeContract('Docker keeps the runtime contract', makeSubject);

test('nothing that the container knew is in what was committed from it', async () => {
  const subject = await makeSubject();
  const { runtime, name } = subject;
  const transport = createTransport({ socketPath, clock: systemClock });
  try {
    const spec = contractSpec(subject, 'secret', { kind: 'exits', code: 0 });
    const id = await runtime.create({ ...spec, env: { DATABASE_PASSWORD: 'hunter2' } });
    await runtime.start(id);
    await runtime.wait(id, AbortSignal.timeout(hangLimitMs));
    const config = { command: ['run'], entrypoint: [], user: '', workingDir: '', labels: {} };
    const env = { PATH: '/bin' };
    const image = await runtime.commit(id, { ...config, env, tag: `${name}-clean:1` });
    const path = `/images/${image.id}/json`;
    const call = { method: 'GET', path, attempt: 'read the committed configuration' } as const;
    const seen = await transport.json<{ Config: { Env: string[]; Labels: unknown } }>(call);
    assert.deepEqual(seen.Config.Env, ['PATH=/bin']);
    assert.doesNotMatch(JSON.stringify(seen), /hunter2|gantry\.job/);
    const left = (await runtime.images()).filter(
      ({ labels, tags }) => labels['gantry.test'] === name && tags.length === 0,
    );
    assert.deepEqual(left, []);
  } finally {
    transport.close();
    await subject.release();
  }
});
