// What a pusher sees, with a real git on both ends and a scripted controller behind.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { extract } from 'tar-stream';
import { systemClock } from '#core/clock';
import { readConfig } from '#core/config';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import type { ProgressLine } from '#layer1/controller/wire';
import { gitReceiverSettings } from './config.ts';
import { type FakeController, knownToken, startFakeController } from './fake-controller.ts';
import { createGitReceiver, createPlatform, type GitReceiver } from './index.ts';

interface Ran {
  status: number | null;
  output: string;
}

let folder: string;
let work: string;
let controller: FakeController;
let receiver: GitReceiver;

const gitEnv = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.com',
};

function startClient(cwd: string, ...args: string[]) {
  return spawn('git', args, { cwd, env: gitEnv, detached: true });
}

async function git(cwd: string, ...args: string[]): Promise<Ran> {
  const child = startClient(cwd, ...args);
  const [out, err, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ]);
  return { status, output: out + err };
}

function remote(app = 'shop', token = knownToken): string {
  return `http://any:${token}@127.0.0.1:${receiver.port()}/${app}.git`;
}

function repository(): string {
  return join(folder, 'repositories', 'app-1.git');
}

async function commit(message: string, files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(work, name), content);
  await git(work, 'add', '-A');
  assert.equal((await git(work, 'commit', '-qm', message)).status, 0);
}

async function serverHead(branch = 'main'): Promise<string> {
  const { status, output } = await git(repository(), 'rev-parse', '-q', '--verify', branch);
  return status === 0 ? output.trim() : '';
}

async function until(isReached: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await isReached())) {
    if (Date.now() > end) assert.fail(`${what} did not happen within 10 s`);
    await systemClock.sleep(10);
  }
}

async function namesIn(tar: Buffer): Promise<string[]> {
  const reader = extract();
  const names: string[] = [];
  reader.end(tar);
  for await (const entry of reader) {
    names.push(entry.header.name);
    entry.resume();
  }
  return names.sort();
}

async function startReceiver(env: Record<string, string> = {}): Promise<void> {
  const config = readConfig(gitReceiverSettings, {
    PORT: '0',
    GANTRY_INTERNAL_KEY: 'internal',
    GANTRY_HOST_URL: 'unix:/nonexistent',
    GANTRY_HOST_ID: 'host-1',
    GANTRY_REPOSITORIES: join(folder, 'repositories'),
    ...env,
  });
  const { internalKey, buildTimeoutMs } = config;
  const controllerUrl = () => controller.url;
  const platform = createPlatform({ controllerUrl, internalKey, buildTimeoutMs });
  receiver = createGitReceiver(
    { platform, clock: systemClock, random: systemRandom, log: silentLog },
    config,
  );
  await receiver.start();
}

describe('a push', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gantry-git-test-'));
    work = join(folder, 'work');
    controller = await startFakeController();
    await startReceiver();
    await mkdir(work);
    await git(work, 'init', '-q', '-b', 'main');
    await commit('first', { 'package.json': '{}', Procfile: 'web: node .\n' });
  });

  afterEach(async () => {
    await receiver.stop();
    await controller.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('builds the commit with the token of the pusher and shows the output as it comes', async () => {
    const pushed = await git(work, 'push', remote(), 'main');
    assert.equal(pushed.status, 0, pushed.output);
    assert.match(pushed.output, /remote: -----> Node\.js/);
    assert.match(pushed.output, /remote: -----> Release v1 of shop is running/);
    const [build] = controller.builds;
    assert.ok(build);
    assert.equal(build.token, knownToken);
    assert.deepEqual(await namesIn(build.tar), ['Procfile', 'package.json']);
    assert.equal(await serverHead(), build.commit);
  });

  test('shows a line before the build has ended', async () => {
    const held = Promise.withResolvers<void>();
    controller.script = async function* () {
      yield { type: 'line', text: 'first words' };
      await held.promise;
      yield { type: 'result', release: 1, deployment: 'dep-1' };
    };
    const child = startClient(work, 'push', remote(), 'main');
    let seen = '';
    child.stderr.on('data', (chunk) => {
      seen += chunk;
    });
    await until(() => seen.includes('first words'), 'the first line');
    held.resolve();
    assert.equal(await new Promise((resolve) => child.once('close', resolve)), 0);
  });

  test('is rejected when the build fails, and the branch stays where it was', async () => {
    await git(work, 'push', remote(), 'main');
    const before = await serverHead();
    await commit('second', { 'package.json': '{ broken' });
    controller.script = async function* (): AsyncGenerator<ProgressLine> {
      yield { type: 'line', text: ' !     package.json is not valid JSON.' };
      const message = 'the build failed: exit status 1';
      yield { type: 'error', error: { code: 'builder.failed', message, retry: false } };
    };
    const pushed = await git(work, 'push', remote(), 'main');
    assert.notEqual(pushed.status, 0);
    assert.match(pushed.output, /package\.json is not valid JSON/);
    assert.match(pushed.output, /The build failed: exit status 1\./);
    assert.match(pushed.output, /pre-receive hook declined/);
    assert.equal(await serverHead(), before);
  });

  test('of master deploys too, and a clone checks out what was deployed last', async () => {
    assert.equal((await git(work, 'push', remote(), 'main:master')).status, 0);
    const cloned = await git(folder, 'clone', '-q', remote(), 'clone');
    assert.equal(cloned.status, 0, cloned.output);
    assert.deepEqual((await readdir(join(folder, 'clone'))).sort(), [
      '.git',
      'Procfile',
      'package.json',
    ]);
  });

  test('of another branch, of a tag, of both branches and of a deletion is refused with a sentence', async () => {
    await git(work, 'push', remote(), 'main');
    await commit('second', { a: 'a' });
    await git(work, 'tag', 'v1');
    const cases: [string[], RegExp][] = [
      [['main:feature'], /The branch feature is not deployed: only main and master are/],
      [['v1'], /refs\/tags\/v1 is not a branch/],
      [['main', 'main:master'], /push either main or master, not both/],
      [['main', 'v1'], /refs\/tags\/v1 is not a branch/],
      [[':main'], /The branch main cannot be deleted/],
    ];
    for (const [refs, sentence] of cases) {
      const pushed = await git(work, 'push', remote(), ...refs);
      assert.notEqual(pushed.status, 0, refs.join(' '));
      assert.match(pushed.output, sentence);
      assert.match(pushed.output, /Nothing has changed/);
    }
    assert.equal(controller.builds.length, 1);
    assert.notEqual(await serverHead(), (await git(work, 'rev-parse', 'main')).output.trim());
  });

  test('without a token or with a wrong one is 401 with a sentence, and makes no repository', async () => {
    const wrong = await git(work, 'push', remote('shop', 'wrong'), 'main');
    assert.notEqual(wrong.status, 0);
    assert.match(wrong.output, /Authentication failed|could not read Username/);
    const url = `http://127.0.0.1:${receiver.port()}/shop.git/info/refs?service=git-receive-pack`;
    const none = await fetch(url);
    assert.equal(none.status, 401);
    assert.match(none.headers.get('www-authenticate') ?? '', /^Basic /);
    assert.match(await none.text(), /This push has no token/);
    await assert.rejects(readdir(join(folder, 'repositories')), { code: 'ENOENT' });
  });

  test('with a wrong token counts against the address of the pusher, which the controller is told', async () => {
    const url = `http://127.0.0.1:${receiver.port()}/shop.git/info/refs?service=git-receive-pack`;
    const authorization = `Basic ${Buffer.from('any:wrong').toString('base64')}`;
    const headers = { authorization, 'x-forwarded-for': '203.0.113.7' };
    assert.equal((await fetch(url, { headers })).status, 401);
    assert.deepEqual(controller.visitors, ['203.0.113.7']);
  });

  test('to an app that does not exist says so', async () => {
    const pushed = await git(work, 'push', remote('nothing'), 'main');
    assert.notEqual(pushed.status, 0);
    assert.match(pushed.output, /there is no app named nothing/);
  });

  test('of an app that is being deployed is refused at once, and the first goes on', async () => {
    const held = Promise.withResolvers<void>();
    controller.script = async function* () {
      yield { type: 'line', text: 'first words' };
      await held.promise;
      yield { type: 'result', release: 1, deployment: 'dep-1' };
    };
    const first = git(work, 'push', remote(), 'main');
    await until(() => controller.builds.length === 1, 'the first build');
    const second = await git(work, 'push', remote(), 'main');
    assert.notEqual(second.status, 0);
    assert.match(second.output, /Another push of shop has been under way for \d+ s/);
    held.resolve();
    assert.equal((await first).status, 0);
    assert.equal(controller.builds.length, 1);
    controller.script = async function* () {
      yield { type: 'result', release: 2, deployment: 'dep-2' };
    };
    await commit('second', { a: 'a' });
    assert.equal((await git(work, 'push', remote(), 'main')).status, 0, 'the app is free again');
  });

  test('whose pusher hangs up ends its build, changes nothing and frees the app', async () => {
    controller.script = async function* (build) {
      yield { type: 'line', text: 'first words' };
      await new Promise((resolve) => build.signal.addEventListener('abort', resolve));
    };
    const child = startClient(work, 'push', remote(), 'main');
    await until(() => controller.builds.length === 1, 'the build');
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await until(() => controller.builds[0]?.signal.aborted === true, 'the end of the build');
    await until(() => receiver.status().pushes === 0, 'the end of the push');
    assert.equal(await serverHead(), '');
  });

  test('from a shallow clone deploys', async () => {
    await commit('second', { a: 'a' });
    await git(folder, 'clone', '-q', '--depth=1', `file://${work}`, 'shallow');
    const pushed = await git(join(folder, 'shallow'), 'push', remote(), 'main');
    assert.equal(pushed.status, 0, pushed.output);
    const [build] = controller.builds;
    assert.ok(build);
    assert.deepEqual(await namesIn(build.tar), ['Procfile', 'a', 'package.json']);
  });

  test('larger than the limit is refused and nothing of it is kept', async () => {
    await receiver.stop();
    await startReceiver({ GANTRY_GIT_MAX_PACK_BYTES: '20000' });
    const noise = Buffer.from(Array.from({ length: 60_000 }, () => Math.random() * 256));
    await commit('large', { noise: noise.toString('base64') });
    const pushed = await git(work, 'push', remote(), 'main');
    assert.notEqual(pushed.status, 0);
    assert.match(pushed.output, /pack exceeds maximum allowed size/);
    assert.equal(await serverHead(), '');
    assert.equal(controller.builds.length, 0);
  });

  test('after a restart of the receiver finds the repository again', async () => {
    await git(work, 'push', remote(), 'main');
    await receiver.stop();
    await startReceiver();
    await commit('second', { a: 'a' });
    const pushed = await git(work, 'push', remote(), 'main');
    assert.equal(pushed.status, 0, pushed.output);
    assert.equal(controller.builds.length, 2);
  });

  test('never runs a hook that lies in the repository', async () => {
    await git(work, 'push', remote(), 'main');
    const hooks = join(repository(), 'hooks');
    await mkdir(hooks, { recursive: true });
    const proof = join(folder, 'proof');
    for (const name of ['pre-receive', 'update', 'post-receive', 'post-update'])
      await writeFile(join(hooks, name), `#!/bin/sh\ntouch '${proof}'\n`, { mode: 0o755 });
    await commit('second', { a: 'a' });
    assert.equal((await git(work, 'push', remote(), 'main')).status, 0);
    assert.ok(!(await readdir(folder)).includes('proof'));
  });

  test('of more than git sends in one piece deploys: it asks with an empty request first', async () => {
    const noise = randomBytes(2 * 1024 * 1024).toString('base64');
    await commit('large', { noise });
    const pushed = await git(work, 'push', remote(), 'main');
    assert.equal(pushed.status, 0, pushed.output);
    assert.equal(controller.builds.length, 1);
  });

  test('of garbage is a 400 with what git made of it', async () => {
    await git(work, 'push', remote(), 'main');
    const answer = await fetch(`http://127.0.0.1:${receiver.port()}/shop.git/git-receive-pack`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`x:${knownToken}`).toString('base64')}`,
        'content-type': 'application/x-git-receive-pack-request',
      },
      body: 'garbage that is no packet line',
    });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /did not understand the request.*bad line length/);
    assert.equal(receiver.status().pushes, 0);
  });

  test('cut off in the middle leaves no process and no push behind', async () => {
    await git(work, 'push', remote(), 'main');
    const socket = connect(receiver.port(), '127.0.0.1');
    const authorization = `Basic ${Buffer.from(`x:${knownToken}`).toString('base64')}`;
    socket.write(
      `POST /shop.git/git-receive-pack HTTP/1.1\r\nhost: git\r\nauthorization: ${authorization}\r\n` +
        'content-type: application/x-git-receive-pack-request\r\ncontent-length: 1000\r\n\r\n00',
    );
    await until(() => receiver.status().pushes === 1, 'the push');
    socket.destroy();
    await until(() => receiver.status().pushes === 0, 'the end of the push');
  });

  test('whose controller dies in the middle is not accepted, and says what to look at', async () => {
    controller.script = async function* (): AsyncGenerator<ProgressLine> {
      yield { type: 'line', text: 'first words' };
      throw new Error('the process is gone');
    };
    const pushed = await git(work, 'push', remote(), 'main');
    assert.notEqual(pushed.status, 0);
    assert.match(pushed.output, /The controller went away before the end/);
    assert.match(pushed.output, /gantry deployment/);
    assert.equal(await serverHead(), '');
  });

  test('to a controller that is away is refused with a sentence', async () => {
    await controller.close();
    const pushed = await git(work, 'push', remote(), 'main');
    assert.notEqual(pushed.status, 0);
    assert.match(pushed.output, /GET \/apps\/shop/);
    controller = await startFakeController();
  });
});
