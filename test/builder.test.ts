// The buildpacks of the stack image, in real containers with a build job's limits: what they build runs, answers, and ends on SIGTERM.
// Needs Docker, and a package registry for the apps that have dependencies.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { pack } from 'tar-stream';
import { ensureImages } from '#bootstrap/images';
import { createProgress } from '#bootstrap/progress';
import { systemClock } from '#core/clock';

const run = `gantry-builder-test-${randomBytes(4).toString('hex')}`;
const label = `gantry.test=${run}`;
const examples = join(import.meta.dirname, '../examples');
/** What a build job and an app get from the host agent. */
const limits = [
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--memory=1g',
  '--pids-limit=512',
];

let stack: string;
let cache: string;

interface Ran {
  status: number | null;
  output: string;
}

async function docker(args: string[], input?: Buffer): Promise<Ran> {
  const child = spawn('docker', args);
  child.stdin.on('error', () => undefined).end(input);
  const [out, err, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ]);
  return { status, output: out + err };
}

async function sourceOf(files: Record<string, string>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  archive.finalize();
  return await buffer(archive);
}

async function exampleSource(name: string): Promise<Buffer> {
  const child = spawn('tar', ['-cf', '-', '-C', join(examples, name), '.']);
  return await buffer(child.stdout);
}

interface Built extends Ran {
  container: string;
  /** Fields of the result line. */
  result: string[];
}

let builds = 0;

async function build(source: Buffer, env: Record<string, string> = {}): Promise<Built> {
  const container = `${run}-build-${builds++}`;
  const settings = {
    GANTRY_SOURCE_BYTES: String(source.length),
    GANTRY_RESULT_MARK: 'RESULT',
    ...env,
  };
  const ran = await docker(
    [
      ...[
        'run',
        '-i',
        '--name',
        container,
        '--label',
        label,
        ...limits,
        '-v',
        `${cache}:/gantry/cache`,
      ],
      ...Object.entries(settings).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
      ...['--init', '--entrypoint', 'timeout', stack, '200', '/gantry/buildpacks/build.sh'],
    ],
    source,
  );
  const line = ran.output.split('\n').find((one) => one.startsWith('RESULT ')) ?? '';
  return { ...ran, container, result: line.split(' ').slice(1) };
}

/** Commits the build as the builder does and runs `command`; answers where it listens. */
async function start(built: Built, command: string): Promise<{ name: string; url: string }> {
  const image = `${run}:${built.container}`;
  const change = ['-c', 'ENTRYPOINT ["/gantry/run"]', '-c', `LABEL ${label}`];
  await docker(['commit', ...change, built.container, image]);
  const name = `${built.container}-web`;
  const started = await docker([
    ...['run', '-d', '--name', name, '--label', label, ...limits, '-e', 'PORT=8080'],
    ...['-p', '127.0.0.1::8080', image, command],
  ]);
  assert.equal(started.status, 0, started.output);
  const { output } = await docker(['port', name, '8080']);
  const url = `http://${output.trim()}`;
  const end = Date.now() + 30_000;
  for (;;) {
    const answer = await fetch(url, { method: 'HEAD' }).catch(() => undefined);
    if (answer) return { name, url };
    if (Date.now() > end)
      assert.fail(`no answer in 30 s: ${(await docker(['logs', name])).output}`);
    await systemClock.sleep(50);
  }
}

async function stop(name: string): Promise<number> {
  await docker(['stop', '-t', '10', name]);
  const { output } = await docker(['inspect', '-f', '{{.State.ExitCode}}', name]);
  return Number(output);
}

const base64 = (field: string | undefined) => Buffer.from(field ?? '', 'base64').toString();

describe('buildpacks', { timeout: 600_000 }, () => {
  before(async () => {
    cache = await mkdtemp(join(tmpdir(), `${run}-`));
    const checkout = join(import.meta.dirname, '..');
    stack = (await ensureImages(checkout, createProgress(process.stderr))).stack;
    await chown(cache, 1000, 1000);
  });

  after(async () => {
    const { output } = await docker(['ps', '-aq', '--filter', `label=${label}`]);
    const ids = output.split('\n').filter(Boolean);
    if (ids.length > 0) await docker(['rm', '-f', ...ids]);
    const images = (await docker(['images', '-q', run])).output.split('\n').filter(Boolean);
    if (images.length > 0) await docker(['rmi', '-f', ...images]);
    await rm(cache, { recursive: true, force: true });
  });

  test('hello-node builds, answers, is not root and ends on SIGTERM', async () => {
    const built = await build(await exampleSource('hello-node'));
    assert.equal(built.status, 0, built.output);
    assert.equal(built.result[0], 'nodejs');
    assert.equal(base64(built.result[1]), 'web: node server.js\n');
    const { name, url } = await start(built, 'node server.js');
    assert.match(await (await fetch(url)).text(), /^Hello from hello, release/);
    assert.equal((await docker(['exec', name, 'id', '-u'])).output.trim(), '1000');
    assert.equal(await stop(name), 0);
    assert.match((await docker(['logs', name])).output, /SIGTERM: finishing/);
  });

  test('npm start ends on SIGTERM too', async () => {
    const built = await build(await exampleSource('hello-node'));
    assert.match(base64(built.result[2]), /web: npm start/);
    const { name } = await start(built, 'npm start');
    await stop(name);
    assert.match((await docker(['logs', name])).output, /SIGTERM: finishing/);
  });

  test('dependencies come by the lockfile, development ones only for the build, and from the cache the second time', async () => {
    const manifest = {
      name: 'shop',
      version: '1.0.0',
      dependencies: { wrappy: '1.0.2' },
      devDependencies: { ms: '2.1.3' },
      scripts: {
        'heroku-prebuild': 'echo prebuild-ran',
        build: "node -e \"require('ms'); fs.writeFileSync('built', process.env.CONFIG_VALUE)\"",
        'heroku-postbuild': 'echo postbuild-ran',
        start: 'node .',
      },
    };
    const lock = {
      name: 'shop',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: {
        '': manifest,
        'node_modules/wrappy': { version: '1.0.2' },
        'node_modules/ms': { version: '2.1.3', dev: true },
      },
    };
    const source = await sourceOf({
      'package.json': JSON.stringify(manifest),
      'package-lock.json': JSON.stringify(lock),
      'index.js':
        "require('wrappy'); require('http').createServer((q, s) => s.end(fs.readdirSync('node_modules') + ' ' + fs.readFileSync('built'))).listen(process.env.PORT); const fs = require('fs');",
      '.gantry-build/env/CONFIG_VALUE': 'from-config',
    });
    const first = await build(source);
    assert.equal(first.status, 0, first.output);
    assert.match(first.output, /npm ci \(package-lock\.json\)/);
    assert.match(first.output, /prebuild-ran[\s\S]*npm run build[\s\S]*postbuild-ran/);
    const { url } = await start(first, 'npm start');
    const answer = await (await fetch(url)).text();
    assert.match(answer, /wrappy from-config$/);
    assert.doesNotMatch(answer, /\bms\b/);
    const second = await build(source);
    assert.equal(second.status, 0, second.output);
    assert.match(second.output, /Dependencies from the cache/);
    const kept = await docker(['diff', second.container]);
    assert.doesNotMatch(kept.output, /gantry-build/, 'config values are not left in the image');
  });

  test('another Node is fetched where engines asks for it', async () => {
    const manifest = { name: 'old', engines: { node: '22.x' }, scripts: { start: 'node .' } };
    const built = await build(await sourceOf({ 'package.json': JSON.stringify(manifest) }));
    assert.equal(built.status, 0, built.output);
    assert.match(built.output, /Node v22\.\d+\.\d+ \(engines: 22\.x\)/);
  });

  test('what cannot be built says why and ends with an error', async () => {
    const cases: [Record<string, string>, RegExp, Record<string, string>?][] = [
      [{ 'README.md': 'x' }, /No buildpack fits this source\. Looked for/],
      [{ 'package.json': '{ broken' }, /package\.json is not valid JSON/],
      [
        { 'package.json': '{"engines":{"node":"lots"}}' },
        /asks for Node "lots", which is not a version/,
      ],
      [{ 'package.json': '{}' }, /Nothing says what to run/],
      [
        { 'package.json': '{"scripts":{"start":"x","build":"exit 3"}}' },
        /npm run build ended with an error/,
      ],
      [{ 'static.json': '{"root":"../../etc"}' }, /outside of the source/],
      [{ 'package.json': '{}' }, /There is no buildpack named ruby/, { GANTRY_BUILDPACK: 'ruby' }],
      [{ 'index.html': 'x'.repeat(5000) }, /the limit is 0 MB/, { GANTRY_MAX_BYTES: '1000' }],
    ];
    for (const [files, sentence, env] of cases) {
      const built = await build(await sourceOf(files), env);
      assert.match(built.output, sentence);
      assert.equal(built.status, 1, built.output);
      assert.deepEqual(built.result, [], 'no result line');
    }
  });

  test('a build that nobody waits for ends at once', async () => {
    const manifest = { scripts: { start: 'x', build: 'echo begun; sleep 300' } };
    const source = await sourceOf({ 'package.json': JSON.stringify(manifest) });
    const built = await build(source, { GANTRY_END_WITH_INPUT: '1' });
    assert.equal(built.status, 137, built.output);
  });

  test('static-site serves with ETag, ranges and gzip, a page for 404, and nothing it should not', async () => {
    const large = `<!doctype html>${'<p>text</p>'.repeat(1000)}`;
    const built = await build(
      await sourceOf({
        'index.html': large,
        'about.html': 'about',
        '404.html': 'nothing here',
        'docs/index.html': 'docs',
        '.env': 'SECRET=1',
        'Procfile.txt': 'fine',
        'static.json': '{"root":"."}',
      }),
    );
    assert.equal(built.status, 0, built.output);
    assert.equal(built.result[0], 'static');
    const { name, url } = await start(built, 'node .gantry-static/server.mjs');
    const home = await fetch(url, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(home.headers.get('content-encoding'), 'gzip');
    assert.equal(await home.text(), large);
    const plain = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
    assert.equal(plain.headers.get('content-encoding'), null);
    const etag = plain.headers.get('etag') ?? '';
    const same = await fetch(url, {
      headers: { 'if-none-match': etag, 'accept-encoding': 'identity' },
    });
    assert.equal(same.status, 304);
    const part = await fetch(url, { headers: { range: 'bytes=2-8' } });
    assert.equal(part.status, 206);
    assert.equal(await part.text(), 'doctype');
    assert.equal((await fetch(url, { headers: { range: 'bytes=999999-' } })).status, 416);
    assert.equal(await (await fetch(`${url}/about`)).text(), 'about');
    assert.equal(await (await fetch(`${url}/docs`)).text(), 'docs');
    for (const path of [
      '/nothing',
      '/.env',
      '/static.json',
      '/.gantry-static/server.mjs',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/..%2f..%2fetc/passwd',
      '/%00',
    ]) {
      const answer = await fetch(url + path);
      assert.equal(answer.status, 404, path);
      assert.equal(await answer.text(), 'nothing here', path);
    }
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    assert.equal(await stop(name), 0);
  });
});
