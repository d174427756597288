// What goes into a build and what comes out, with a scripted job instead of a container.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { extract, type Pack, pack } from 'tar-stream';
import { systemClock } from '#core/clock';
import { readConfig } from '#core/config';
import { FakeClock } from '#core/fake-clock';
import { silentLog } from '#core/log';
import { outputLines } from './act/output-lines.ts';
import { type BuildRequest, createBuilder } from './client.ts';
import { builderSettings } from './config.ts';
import { anImage, type FakeBuild, fakeBuild, framed } from './fake-job.ts';

let spoolFolder: string;

before(async () => {
  spoolFolder = await mkdtemp(join(tmpdir(), 'gantry-builder-test-'));
});
after(() => rm(spoolFolder, { recursive: true, force: true }));

function aRequest(change: Partial<BuildRequest> = {}): BuildRequest {
  return { app: 'app-1', appName: 'shop', commit: 'abc', env: {}, timeoutMs: 60_000, ...change };
}

function aTar(files: Record<string, string>, extra: (archive: Pack) => void = () => {}): Readable {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  extra(archive);
  archive.finalize();
  return Readable.from(archive);
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const release = base64('default_process_types:\n  web: npm start\n');

async function build(
  fake: FakeBuild,
  tar: Readable,
  options: { request?: BuildRequest; signal?: AbortSignal; env?: Record<string, string> } = {},
) {
  const config = readConfig(builderSettings, { GANTRY_BUILD_SPOOL: spoolFolder, ...options.env });
  const builder = createBuilder({ ...fake.deps, clock: systemClock, log: silentLog }, config);
  const signal = options.signal ?? new AbortController().signal;
  const lines: string[] = [];
  for await (const output of builder.build(options.request ?? aRequest(), tar, signal)) {
    if ('line' in output) lines.push(output.line);
    else return { lines, result: output.result };
  }
  return { lines, result: undefined };
}

async function filesIn(tar: Buffer): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const reader = extract();
  reader.end(tar);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    if (entry.header.type === 'file') files[entry.header.name] = Buffer.concat(chunks).toString();
  }
  return files;
}

describe('a buildpack build', () => {
  const output = (mark: string) => [`${mark} nodejs - ${release}`];

  test('runs on the machine that is wanted, and says which one it was', async () => {
    const fake = fakeBuild({ output });
    const request = aRequest({ host: 'host-1' });
    const { result } = await build(fake, aTar({ 'package.json': '{}' }), { request });
    assert.deepEqual(fake.pinned, [['host-1']]);
    assert.equal(result?.host, 'host-1');
  });

  test('runs on any machine when the wanted one has no room', async () => {
    const fake = fakeBuild({ output, isFull: true });
    const request = aRequest({ host: 'host-9' });
    const { result } = await build(fake, aTar({ 'package.json': '{}' }), { request });
    assert.deepEqual(fake.pinned, [['host-9'], undefined]);
    assert.deepEqual(fake.stopped, ['job-1']);
    assert.equal(result?.host, 'host-1');
  });

  test('shows the lines of its job, commits it and takes the process types from its last line', async () => {
    const output = (mark: string) => ['-----> Node.js', `${mark} nodejs - ${release}`];
    const fake = fakeBuild({ output });
    const { lines, result } = await build(fake, aTar({ 'package.json': '{}' }));
    assert.deepEqual(lines, ['-----> Node.js']);
    assert.equal(result?.buildpack, 'nodejs');
    assert.deepEqual(result?.processes, { web: { command: ['npm start'] } });
    const [commit] = fake.commits;
    assert.deepEqual(commit?.entrypoint, ['/gantry/run']);
    assert.equal(commit?.user, '1000:1000');
    assert.equal(commit?.labels['gantry.app'], 'app-1');
    assert.deepEqual(fake.stopped, []);
    assert.deepEqual(await readdir(spoolFolder), []);
  });

  test('gets config by its input and never by its stored spec', async () => {
    let whole: Buffer = Buffer.alloc(0);
    const output = (mark: string, source: Buffer) => {
      whole = source;
      return [`${mark} nodejs - ${release}`];
    };
    const fake = fakeBuild({ output });
    const request = aRequest({ env: { SECRET: 'tops3cret', EMPTY: '' } });
    await build(fake, aTar({ 'package.json': '{}' }), { request });
    assert.deepEqual(await filesIn(whole), {
      '.gantry-build/env/SECRET': 'tops3cret',
      '.gantry-build/env/EMPTY': '',
      'package.json': '{}',
    });
    assert.ok(!JSON.stringify(fake.specs).includes('tops3cret'));
  });

  test('that ends with an error makes no image', async () => {
    const fake = fakeBuild({ output: () => ['npm error'], exitCode: 1 });
    const failing = build(fake, aTar({ 'package.json': '{}' }));
    await assert.rejects(failing, { code: 'builder.failed', message: /exit status 1/ });
    assert.deepEqual(fake.commits, []);
  });

  test('that says nothing at the end, or nonsense, makes no image', async () => {
    for (const output of [() => [], (mark: string) => [`${mark} ../x - -`]]) {
      const fake = fakeBuild({ output });
      const failing = build(fake, aTar({ 'package.json': '{}' }));
      await assert.rejects(failing, { code: 'builder.failed' });
      assert.deepEqual(fake.commits, []);
    }
  });

  test('is stopped when its caller gives up', async () => {
    const fake = fakeBuild({ hangs: true });
    const caller = new AbortController();
    const building = build(fake, aTar({ 'package.json': '{}' }), { signal: caller.signal });
    while (fake.specs.length === 0) await systemClock.sleep(1);
    caller.abort();
    await assert.rejects(building, { code: 'core.aborted' });
    assert.deepEqual(fake.stopped, ['job-1']);
    assert.deepEqual(await readdir(spoolFolder), []);
  });

  test('is stopped when its time is over', async () => {
    const fake = fakeBuild({ hangs: true });
    const clock = new FakeClock();
    const config = readConfig(builderSettings, { GANTRY_BUILD_SPOOL: spoolFolder });
    const builder = createBuilder({ ...fake.deps, clock, log: silentLog }, config);
    const output = builder.build(aRequest(), aTar({ a: '' }), new AbortController().signal);
    const next = output.next();
    while (fake.specs.length === 0) await systemClock.sleep(1);
    await clock.advance(60_000);
    await assert.rejects(next, { code: 'builder.timeout', message: /longer than 60 s/ });
    assert.deepEqual(fake.stopped, ['job-1']);
  });

  test('whose image is too large is refused', async () => {
    const output = (mark: string) => [`${mark} nodejs - ${release}`];
    const fake = fakeBuild({ output }, anImage({ sizeBytes: 1024 ** 4 }));
    const env = { GANTRY_BUILD_MAX_APP_BYTES: String(1024 ** 2) };
    const failing = build(fake, aTar({ a: '' }), { env });
    await assert.rejects(failing, { code: 'builder.imageTooLarge', message: /the limit is 1 MB/ });
  });
});

describe('a Dockerfile build', () => {
  test('runs what the image runs, on the port that it declares', async () => {
    const fake = fakeBuild({}, anImage({ exposedPorts: [3000] }));
    const { lines, result } = await build(fake, aTar({ './Dockerfile': 'FROM scratch' }));
    assert.deepEqual(lines, ['-----> Dockerfile', 'Step 1/1 : FROM scratch']);
    assert.deepEqual(result?.processes, { web: { port: 3000 } });
    assert.equal(fake.specs.length, 0);
  });

  test('with a Procfile runs its lines by a shell', async () => {
    const fake = fakeBuild({});
    const files = { Dockerfile: 'FROM scratch', Procfile: 'web: ./serve\nworker: ./work' };
    const { result } = await build(fake, aTar(files));
    assert.deepEqual(result?.processes, {
      web: { entrypoint: ['/bin/sh', '-c'], command: ['./serve'] },
      worker: { entrypoint: ['/bin/sh', '-c'], command: ['./work'] },
    });
  });

  test('that is silent does not keep a caller who gives up', async () => {
    const fake = fakeBuild({ hangs: true });
    const caller = new AbortController();
    const building = build(fake, aTar({ Dockerfile: '' }), { signal: caller.signal });
    while (fake.builds.length === 0) await systemClock.sleep(1);
    caller.abort();
    await assert.rejects(building, { code: 'core.aborted' });
  });
});

describe('source', () => {
  const cases: [string, () => Readable, RegExp][] = [
    ['that is no archive', () => Readable.from([Buffer.alloc(2048, 'x')]), /not a complete tar/],
    ['that is empty', () => aTar({}), /the source is empty/],
    ['that climbs out', () => aTar({ '../evil': 'x' }), /\.\.\/evil lies outside/],
    ['with an absolute path', () => aTar({ '/etc/passwd': 'x' }), /lies outside/],
    [
      'in our folder',
      () => aTar({ '.gantry-build/env/X': 'x' }),
      /the name \.gantry-build is taken/,
    ],
    [
      'with a device',
      () => aTar({}, (archive) => archive.entry({ name: 'dev', type: 'block-device' })),
      /dev is a block-device/,
    ],
  ];
  for (const [name, tar, message] of cases)
    test(`${name} is refused before anything runs`, async () => {
      const fake = fakeBuild({});
      await assert.rejects(build(fake, tar()), { code: 'builder.badSource', message });
      assert.deepEqual(fake.specs, []);
      assert.deepEqual(await readdir(spoolFolder), []);
    });

  test('larger than the limit is refused, and nothing of it stays', async () => {
    const env = { GANTRY_BUILD_MAX_SOURCE_BYTES: String(1024 ** 2) };
    const tar = aTar({ large: 'x'.repeat(2 * 1024 ** 2) });
    await assert.rejects(build(fakeBuild({}), tar, { env }), { code: 'builder.sourceTooLarge' });
    assert.deepEqual(await readdir(spoolFolder), []);
  });
});

test('output is read whatever the pieces are it comes in', async () => {
  const whole = Buffer.concat([framed('one\ntw'), framed('o\r\n'), framed('three')]);
  for (const size of [1, 3, 9, whole.length]) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < whole.length; at += size) pieces.push(whole.subarray(at, at + size));
    const lines: string[] = [];
    for await (const line of outputLines(Readable.from(pieces), () => false)) lines.push(line);
    assert.deepEqual(lines, ['one', 'two', 'three']);
  }
});
