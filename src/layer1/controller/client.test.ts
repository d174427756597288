// Do the client and the API understand each other over a real socket: streams, upgrades, hang-ups?

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair, PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { BuildOutput } from '#layer1/builder/wire';
import { type ControllerClient, createControllerClient, type Run } from './client.ts';
import { TestBed, testToken } from './test-bed.ts';
import type { Event } from './wire.ts';

describe('the client, over a real socket', () => {
  let bed: TestBed;
  let client: ControllerClient;
  beforeEach(async () => {
    bed = new TestBed({ port: 0 });
    await bed.start();
    const baseUrl = `http://127.0.0.1:${bed.controller.port}`;
    client = createControllerClient({ baseUrl, token: testToken });
  });
  afterEach(async () => {
    client.close();
    await bed.stop();
  });

  test('makes an app, configures it, deploys it and follows the deployment', async () => {
    await client.createApp({ name: 'shop' });
    await client.changeEnv('shop', { set: { A: '1' } });
    assert.equal(await client.readEnvValue('shop', 'A'), '1');
    const { deployment, release } = await client.deploy('shop', { image: 'acme/shop:1' });
    assert.equal(release.version, 2);
    assert.ok(deployment);
    const last = await bed.finish(lastOf(client.followDeployment('shop', deployment.id)));
    assert.equal(last?.type, 'result');
    assert.deepEqual(
      (await client.listApps()).map(({ name }) => name),
      ['shop'],
    );
    await assert.rejects(client.readApp('nope'), { code: 'controller.appNotFound' });
  });

  test('that hangs up ends its build, and nothing was changed', async () => {
    await client.createApp({ name: 'shop' });
    let builderSignal: AbortSignal | undefined;
    bed.builder.build = async function* (_request, _tar, signal): AsyncGenerator<BuildOutput> {
      builderSignal = signal;
      yield { line: 'building' };
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      );
    };
    const push = new AbortController();
    const tar = new PassThrough();
    tar.write('half of a tar');
    const lines = client.build('shop', tar, { commit: 'c1', signal: push.signal });
    const first = await lines.next();
    assert.deepEqual(first.value, { type: 'line', text: 'building' });
    push.abort();
    await assert.rejects(lines.next());
    await bed.until('the end of the build', async () => builderSignal?.aborted === true);
    assert.equal((await client.listReleases('shop')).items.length, 0);
    const again = client.build('shop', Readable.from(['tar']), { commit: 'c2' });
    assert.equal((await again.next()).value?.type, 'line');
    await again.return(undefined);
  });

  test('gets the error of a build whose source was not read to its end', async () => {
    await client.createApp({ name: 'shop' });
    bed.builder.build = async function* (_request, tar): AsyncGenerator<BuildOutput> {
      for await (const _chunk of tar) throw new TypeError('not a tar');
      yield { line: 'never' };
    };
    const tar = Readable.from(Array.from({ length: 200 }, () => Buffer.alloc(64 * 1024)));
    const last = await bed.finish(lastOf(client.build('shop', tar, { commit: 'c1' })));
    assert.ok(last?.type === 'error');
    assert.match(last.error.message, /not a tar/);
  });

  test('attaches to a job: what it sends arrives, what is said comes back, an end is an end', async () => {
    await bed.deployShop();
    const echo = new PassThrough();
    bed.host.attach = async () => ({ socket: echo, tty: true });
    const { socket } = await client.attach('shop', 'web.1', { stdin: true });
    socket.end('hello');
    let said = '';
    for await (const chunk of socket) said += String(chunk);
    assert.equal(said, 'hello');
    await assert.rejects(client.attach('shop', 'web.9', { stdin: true }), {
      code: 'controller.jobNotFound',
    });
    const stranger = createControllerClient({
      baseUrl: `http://127.0.0.1:${bed.controller.port}`,
      token: 'wrong',
    });
    await assert.rejects(stranger.attach('shop', 'web.1', { stdin: true }), {
      code: 'controller.unauthorized',
    });
    stranger.close();
  });

  /** A client at a one-off, and the far end of what the host gave the controller for it. */
  async function attachTo(run: Partial<Run>) {
    await bed.deployShop();
    const [here, there] = duplexPair();
    bed.host.attach = async () => ({ socket: here, tty: run.tty === true });
    const { id } = await client.runJob('shop', { command: ['bash'], stdin: true, ...run });
    const { socket } = await bed.finish(client.attach('shop', id, { stdin: true }));
    there.resume().once('end', () => there.end());
    there.write('$ ');
    await once(socket, 'data');
    const record = async () => (await bed.grid.jobs()).find((job) => job.id === id);
    return { socket, there, isWanted: async () => (await record())?.desired === 'up' };
  }

  test('that is gone takes the one-off in its terminal along', async () => {
    const { socket, isWanted } = await attachTo({ tty: true });
    assert.ok(await isWanted());
    socket.destroy();
    await bed.until('its end', async () => !(await isWanted()));
  });

  test('that is gone leaves a one-off without a terminal alone, whose input has ended', async () => {
    const { socket, there, isWanted } = await attachTo({});
    socket.destroy();
    await once(there, 'close');
    await client.listJobs('shop');
    assert.ok(await isWanted());
  });

  test('whose terminal broke on the other side leaves the one-off alone', async () => {
    const { socket, there, isWanted } = await attachTo({ tty: true });
    there.destroy();
    await once(socket.resume(), 'close');
    await client.listJobs('shop');
    assert.ok(await isWanted());
  });

  test('follows events, and goes on after the last one it saw', async () => {
    const gone = new AbortController();
    const follow = client.followEvents({ after: 0 }, gone.signal);
    await client.createApp({ name: 'shop' });
    const first = (await bed.finish(follow.next())).value as Event;
    assert.equal(first.type, 'app.created');
    await client.createApp({ name: 'blog' });
    const resumed = client.followEvents({ after: first.id }, gone.signal);
    const second = (await bed.finish(resumed.next())).value as Event;
    assert.match(second.message, /blog/);
    await follow.return(undefined);
    await resumed.return(undefined);
  });

  test('reads the log, and an error of the log is an error, not an empty log', async () => {
    await client.createApp({ name: 'shop' });
    assert.equal(await lastOf(client.readLog('shop', {})), undefined);
    await assert.rejects(lastOf(client.readLog('nope', {})), { code: 'controller.appNotFound' });
  });
});

async function lastOf<T>(lines: AsyncIterable<T>): Promise<T | undefined> {
  let last: T | undefined;
  for await (const line of lines) last = line;
  return last;
}
