// The image half of the runtime contract.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { BuildOptions, Image } from '#layer0/images/wire';
import { type ContractSubject, contractSpec, tarOf } from './contract-subject.ts';

function optionsFor(subject: ContractSubject, name: string): BuildOptions {
  return {
    dockerfile: 'Dockerfile',
    tag: `${subject.name}-${name}:1`,
    labels: { 'gantry.test': subject.name },
    buildArgs: {},
    memoryBytes: 64 * 1024 * 1024,
    timeoutMs: 60_000,
    networkMode: 'none',
  };
}

async function build(
  subject: ContractSubject,
  options: BuildOptions,
  steps: string[],
  signal = new AbortController().signal,
) {
  const lines: string[] = [];
  let image: Image | undefined;
  const dockerfile = [`FROM ${subject.image}`, ...steps, ''].join('\n');
  const tar = tarOf({ Dockerfile: dockerfile });
  for await (const value of subject.runtime.build(tar, options, signal)) {
    if ('line' in value) lines.push(value.line);
    else image = value.image;
  }
  return { lines, image };
}

/** What `docker save` writes for an image with one empty layer. */
export function archiveOf(tag: string, label: string): Readable {
  const layer = Buffer.alloc(1024);
  const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    created: '2020-01-01T00:00:00Z',
    config: { Cmd: ['run'], User: 'app', ExposedPorts: { '80/tcp': {} }, Labels: { label } },
    rootfs: { type: 'layers', diff_ids: [diffId] },
  });
  const manifest = [{ Config: 'config.json', RepoTags: [tag], Layers: ['layer.tar'] }];
  const files = { 'config.json': config, 'manifest.json': JSON.stringify(manifest) };
  return tarOf({ ...files, 'layer.tar': layer });
}

export function registerImageContract(get: () => ContractSubject): void {
  registerBuildContract(get);

  test('a committed image has exactly the configuration that was asked for', async () => {
    const { runtime, name, settle } = get();
    const id = await runtime.create(contractSpec(get(), 'commit', { kind: 'exits', code: 0 }));
    await settle(runtime.start(id));
    await settle(runtime.wait(id, new AbortController().signal));
    const options = {
      tag: `${name}-commit:1`,
      labels: { 'gantry.kind': 'app' },
      command: ['serve'],
      entrypoint: ['/bin/entry'],
      user: 'app',
      workingDir: '/app',
      env: { PATH: '/bin' },
    };
    const image = await settle(runtime.commit(id, options));
    const { id: _id, createdAt: _at, sizeBytes: _size, ...seen } = image;
    const { env: _env, tag, ...config } = options;
    assert.deepEqual(seen, { ...config, tags: [tag], exposedPorts: [] });
    assert.equal(await runtime.removeImage(image.id), true);
  });

  test('what is saved is loaded as the same image', async () => {
    const { runtime, name, settle } = get();
    const [image] = await settle(runtime.load(archiveOf(`${name}-save:1`, name)));
    const archive = await settle(runtime.save(`${name}-save:1`));
    const bytes: Buffer[] = [];
    for await (const chunk of archive) bytes.push(chunk as Buffer);
    assert.equal(await runtime.removeImage(image?.id ?? ''), true);
    const [again] = await settle(runtime.load(Readable.from(bytes)));
    assert.deepEqual([again?.id, again?.tags], [image?.id, image?.tags]);
    assert.equal(await runtime.removeImage(image?.id ?? ''), true);
    await assert.rejects(settle(runtime.save(`${name}-none:1`)), { code: 'images.notFound' });
  });

  test('an archive is loaded with its names, and its id is the digest of its configuration', async () => {
    const { runtime, name, settle } = get();
    const [image] = await settle(runtime.load(archiveOf(`${name}-load:1`, name)));
    assert.deepEqual(image?.tags, [`${name}-load:1`]);
    assert.deepEqual(image?.command, ['run']);
    assert.deepEqual(image?.exposedPorts, [80]);
    assert.match(image?.id ?? '', /^sha256:[0-9a-f]{64}$/);
    await runtime.tag(image?.id ?? '', `${name}-load:2`);
    const byTag = await runtime.image(`${name}-load:2`);
    assert.equal(byTag?.id, image?.id);
    assert.deepEqual(byTag?.tags.sort(), [`${name}-load:1`, `${name}-load:2`]);
    assert.ok((await runtime.images()).some(({ id }) => id === image?.id));
    assert.equal(await runtime.removeImage(image?.id ?? ''), true);
    assert.equal(await runtime.image(`${name}-load:2`), undefined);
    assert.equal(await runtime.removeImage(image?.id ?? ''), true);
  });

  test('bytes that are no archive are refused as such', async () => {
    const { runtime, settle } = get();
    const garbage = Readable.from([Buffer.from('not a tar '.repeat(1000))]);
    await assert.rejects(settle(runtime.load(garbage)), { code: 'images.badArchive' });
    await assert.rejects(settle(runtime.load(tarOf({ 'a.txt': 'a' }))), {
      code: 'images.badArchive',
    });
  });

  test('an image that a container uses is kept with all its names', async () => {
    const { runtime, name, settle } = get();
    const [image] = await settle(runtime.load(archiveOf(`${name}-used:1`, `${name} used`)));
    assert.ok(image);
    await runtime.tag(image.id, `${name}-used:2`);
    const spec = { ...contractSpec(get(), 'uses', { kind: 'runs' }), image: image.id };
    const container = await runtime.create(spec);
    assert.equal(await runtime.removeImage(image.id), false);
    assert.equal((await runtime.image(image.id))?.tags.length, 2);
    await runtime.remove(container);
    assert.equal(await runtime.removeImage(image.id), true);
  });

  test('a name that is none, and an image that is not there, are told apart', async () => {
    const { runtime, image } = get();
    await assert.rejects(runtime.tag(image, 'Not A Name'), { code: 'images.badReference' });
    await assert.rejects(runtime.tag('not-here:1', 'some:1'), { code: 'images.notFound' });
    assert.equal(await runtime.image('not-here:1'), undefined);
  });
}

function registerBuildContract(get: () => ContractSubject): void {
  test('a build says its steps and ends with a labelled, tagged image', async () => {
    const options = optionsFor(get(), 'build');
    const { lines, image } = await get().settle(build(get(), options, ['ENV BUILT=yes']));
    assert.ok(lines.some((line) => line.startsWith('Step 2/')));
    assert.deepEqual(image?.tags, [options.tag]);
    assert.equal(image?.labels['gantry.test'], get().name);
    assert.equal(await get().runtime.removeImage(image?.id ?? ''), true);
  });

  test('a failing step ends the build with the step and its exit code', async () => {
    const options = optionsFor(get(), 'failing');
    const failing = build(get(), options, ['RUN exit 3', 'RUN exit 0']);
    await assert.rejects(get().settle(failing), (error: { code: string; detail?: unknown }) => {
      assert.equal(error.code, 'images.buildFailed');
      const detail = error.detail as { step: string; exitCode: number };
      assert.match(detail.step, /RUN exit 3$/);
      assert.equal(detail.exitCode, 3);
      return true;
    });
    assert.equal(await get().runtime.image(options.tag), undefined);
  });

  test('a build without its Dockerfile fails as a build', async () => {
    const options = { ...optionsFor(get(), 'lost'), dockerfile: 'elsewhere/Dockerfile' };
    await assert.rejects(get().settle(build(get(), options, [])), { code: 'images.buildFailed' });
  });

  test('a build over its time limit is stopped and says so', async () => {
    const options = { ...optionsFor(get(), 'slow'), timeoutMs: 3000 };
    const slow = build(get(), options, ['RUN sleep 600']);
    await assert.rejects(get().settle(slow), {
      code: 'images.buildFailed',
      message: /limit of 3 s/,
    });
  });

  test('a build is cancelled by its signal', async () => {
    const abort = new AbortController();
    const tar = tarOf({ Dockerfile: `FROM ${get().image}\nRUN sleep 601\n` });
    const values = get().runtime.build(tar, optionsFor(get(), 'cancelled'), abort.signal);
    const whole = (async () => {
      for await (const value of values)
        if ('line' in value && value.line.startsWith('Step 2/')) abort.abort();
    })();
    await assert.rejects(get().settle(whole), { code: 'core.aborted' });
  });
}
