// The host agent on a real engine: a process comes up, is adopted, restarts, is spoken to, and ends.
// Needs Docker and /bin/busybox; makes its own image and removes everything that carries its cluster's label.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock as clock } from '#core/clock';
import { createHttpServer, listenUnix } from '#core/http-server';
import { newId } from '#core/ids';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createDiscovery, type DiscoveryClient } from '#layer0/discovery/client';
import { createHostClient } from '#layer0/host/client';
import { aJob } from '#layer0/host/fake';
import { registerHostRoutes } from '#layer0/host/http';
import { createHost, type Host } from '#layer0/host/index';
import type { JobStatus } from '#layer0/host/wire';
import { statusKey } from '#layer0/host/wire';
import { type Job, type JobSpec, jobKey } from '#layer0/scheduler/wire';
import { createMemoryStore } from '#layer0/store/fake';
import { createDockerRuntime } from '../src/layer0/host/runtime/docker/docker-runtime.ts';
import { buildBusyboxImage } from './busybox-image.ts';

const clusterId = newId('cluster');
const hostId = newId('host');
const runtime = createDockerRuntime({ socketPath: '/var/run/docker.sock', clock, random, log });
const store = createMemoryStore();
const web =
  'trap "exit 0" TERM; httpd -p 127.0.0.1:$PORT -h /bin; echo ready; while :; do sleep 0.1; done';

describe('the host agent on Docker', () => {
  let home = '';
  let imageId = '';
  let discovery: DiscoveryClient;
  let host: Host;

  async function boot(): Promise<void> {
    discovery = createDiscovery({ store, clock, random, log });
    const network = {
      ensureAppNetwork: () => Promise.reject(new Error('no app networks here')),
      allocate: () => Promise.reject(new Error('no app networks here')),
      release: async () => {},
      resync: () => {},
      claim: async () => {},
      heldBy: () => [],
    };
    host = createHost(
      { runtime, store, network, discovery, clock, random, log },
      {
        hostId,
        clusterId,
        name: 'test',
        address: '127.0.0.1',
        home,
        version: '0',
        portMin: 23_000,
        portMax: 23_099,
        memoryReserveBytes: 0,
        hostLeaseMs: 10_000,
      },
    );
    await host.start();
    await host.adopted();
  }

  async function halt(): Promise<void> {
    await host.stop();
    await discovery.abandon();
  }

  function aSystemJob(change: Partial<Job> = {}, spec: Partial<JobSpec> = {}): Job {
    const ports = [{ name: 'http', port: 0, protocol: 'tcp' as const }];
    const health = { intervalMs: 200, timeoutMs: 500, startTimeoutMs: 20_000, failures: 2 };
    return aJob({
      id: newId('job'),
      app: 'app-gantry',
      appName: `t${clusterId.slice(-6)}`,
      host: hostId,
      ...change,
      spec: {
        image: imageId,
        command: ['/bin/sh', '-c', web],
        network: 'host',
        ports,
        health: { type: 'http', path: '/sh', ...health },
        drainMs: 1_000,
        stopGraceMs: 3_000,
        ...spec,
      },
    });
  }

  const put = (job: Job) =>
    store.txn({ compare: [], operations: [{ put: jobKey(job.id), value: job }] });

  async function until(job: Job, what: string, holds: (status: JobStatus) => boolean) {
    const end = Date.now() + 60_000;
    for (;;) {
      const status = (await store.get<JobStatus>(statusKey(job.id)))?.value;
      if (status && holds(status)) return status;
      if (Date.now() > end) throw new Error(`not ${what}: ${JSON.stringify(status)}`);
      await delay(20);
    }
  }

  const isUp = (status: JobStatus) => status.state === 'up' && status.isHealthy;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'gantry-host-'));
    const tag = await buildBusyboxImage(runtime, `gantry-test/${clusterId}`);
    imageId = (await runtime.image(tag))?.id ?? '';
    await boot();
  });

  after(async () => {
    await halt();
    for (const { id } of await runtime.list({ 'gantry.cluster': clusterId }))
      await runtime.remove(id);
    await runtime.removeImage(imageId);
    runtime.close();
    await store.close();
    await rm(home, { recursive: true, force: true });
  });

  it('brings a process up, healthy by its HTTP path, and adopts it in the next life', async () => {
    const job = aSystemJob();
    await put(job);
    const first = await until(job, 'up', isUp);
    const answer = await fetch(`http://127.0.0.1:${first.ports.http}/sh`);
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
    await halt();
    await boot();
    await delay(500);
    const second = await until(job, 'up', isUp);
    assert.deepEqual(
      [second.containerId, second.startedAt, second.attempt, second.ports],
      [first.containerId, first.startedAt, 1, first.ports],
    );
    await put({ ...job, desired: 'down' });
    const end = await until(job, 'down', ({ state }) => state === 'down');
    assert.equal(end.exitCode, 0, 'it ended by SIGTERM');
  });

  it('starts a killed container again at once, as a new attempt', async () => {
    const job = aSystemJob({ index: 2 });
    await put(job);
    const { containerId = '' } = await until(job, 'up', isUp);
    await runtime.signal(containerId, 'SIGKILL');
    const again = await until(job, 'up again', (status) => isUp(status) && status.attempt === 2);
    assert.notEqual(again.containerId, containerId);
    assert.equal(again.restarts, 1);
    await put({ ...job, desired: 'down' });
    await until(job, 'down', ({ state }) => state === 'down');
  });

  it('backs off a crash loop and names the exit code', async () => {
    const job = aSystemJob({ index: 3 }, { command: ['/bin/sh', '-c', 'exit 7'] });
    await put(job);
    const status = await until(
      job,
      'backing off',
      ({ reason }) => reason === 'exit 7; restart 3 in 2 s',
    );
    assert.equal(status.exitCode, 7);
    await put({ ...job, desired: 'down' });
    await until(job, 'down', ({ state }) => state === 'down');
  });

  it('attaches, runs commands and finds the log through the HTTP door', async () => {
    const socketPath = join(home, 'host.sock');
    const server = createHttpServer({ log });
    registerHostRoutes(server, host, { here: 'host-1' });
    await listenUnix(server, socketPath);
    const client = createHostClient({ baseUrl: `unix:${socketPath}` });
    const command = ['/bin/sh', '-c', 'exit 0'];
    const health = aSystemJob().spec.health;
    const job = aSystemJob({ index: 4 }, { health: { ...health, type: 'command', command } });
    try {
      await put(job);
      await until(job, 'up', isUp);
      const attached = await client.attach(job.id, { stdin: false, replay: true });
      const [said] = (await once(attached.socket)) as [Buffer];
      assert.match(said.toString(), /ready/);
      attached.socket.destroy();
      const exec = await client.exec(job.id, { command: ['/bin/sh', '-c', 'exit 5'], tty: false });
      exec.socket.resume();
      await new Promise((resolve) => exec.socket.once('close', resolve).once('end', resolve));
      assert.equal(await client.execExitCode(exec.execId), 5);
      assert.equal((await client.logFiles(job.id)).length, 1);
      const sealed = await client.seal('app-a/KEY', 'value');
      assert.equal(await client.open('app-a/KEY', sealed), 'value');
    } finally {
      client.close();
      await server.close();
    }
  });
});

function once(stream: NodeJS.ReadableStream): Promise<unknown[]> {
  return new Promise((resolve, reject) =>
    stream.once('data', (...data: unknown[]) => resolve(data)).once('error', reject),
  );
}
