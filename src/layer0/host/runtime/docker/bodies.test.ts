// The pure pieces of the Docker client: versions, frames, bodies, build output, image configurations.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ContainerSpec } from '../runtime.ts';
import { negotiate } from './api-version.ts';
import { BuildProgress } from './build.ts';
import { BuildLayers } from './build-layers.ts';
import { configOnlyArchive, imageConfig } from './commit.ts';
import { containerBody, toContainer } from './container-body.ts';
import { encodeFrame, FrameDecoder } from './frames.ts';
import { toImage } from './image-body.ts';

describe('the API version', () => {
  test('is the newest that both know', () => {
    assert.deepEqual(negotiate({ newest: '1.41', oldest: '1.12' }), { major: 1, minor: 41 });
    assert.deepEqual(negotiate({ newest: '1.52', oldest: '1.44' }), { major: 1, minor: 47 });
  });

  test('is an error that says what to upgrade when there is none', () => {
    const tooOld = { code: 'engine.unsupported', message: /upgrade the engine/ };
    assert.throws(() => negotiate({ newest: '1.40', oldest: '1.12' }), tooOld);
    const tooNew = { code: 'engine.unsupported', message: /upgrade Gantry/ };
    assert.throws(() => negotiate({ newest: '2.3', oldest: '2.0' }), tooNew);
  });
});

describe('frames', () => {
  const bytes = Buffer.concat([
    encodeFrame('stdout', Buffer.from('hello')),
    encodeFrame('stderr', Buffer.from('')),
    encodeFrame('stderr', Buffer.from('oh')),
  ]);

  test('are found wherever the bytes are cut', () => {
    for (let size = 1; size <= bytes.length; size++) {
      const decoder = new FrameDecoder();
      const text = { stdin: '', stdout: '', stderr: '' };
      for (let at = 0; at < bytes.length; at += size)
        for (const { stream, data } of decoder.push(bytes.subarray(at, at + size)))
          text[stream] += data.toString();
      assert.deepEqual(text, { stdin: '', stdout: 'hello', stderr: 'oh' });
      assert.equal(decoder.isComplete, true);
    }
  });

  test('that are cut off are seen as such, and what is no frame is refused', () => {
    const decoder = new FrameDecoder();
    decoder.push(bytes.subarray(0, 10));
    assert.equal(decoder.isComplete, false);
    assert.throws(() => new FrameDecoder().push(Buffer.from('plain text')), RangeError);
  });
});

const spec: ContainerSpec = {
  name: 'gantry-shop-web-1',
  image: 'sha256:a',
  command: ['node', 'server.js'],
  env: { PORT: '8080' },
  labels: { 'gantry.job': 'job-1' },
  user: 'app',
  network: { kind: 'app', name: 'gantry-shop', ip: '10.1.0.7', mac: '02:42:0a:01:00:07' },
  dns: { servers: ['10.1.0.1'], search: ['shop.service.gantry'], options: ['ndots:1'] },
  binds: [{ source: '/var/lib/gantry/run', target: '/run/gantry', isReadOnly: true }],
  memoryBytes: 512,
  cpuMillis: 500,
  pids: 64,
  tty: false,
  openStdin: false,
  capabilities: ['NET_BIND_SERVICE'],
  logMaxBytes: 1000,
  logMaxFiles: 3,
};

describe('the body of a new container', () => {
  const body = containerBody(spec, { major: 1, minor: 41 });

  test('is exactly this', () => {
    assert.deepEqual(body, {
      Image: 'sha256:a',
      Cmd: ['node', 'server.js'],
      Env: ['PORT=8080'],
      Labels: { 'gantry.job': 'job-1' },
      User: 'app',
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Healthcheck: { Test: ['NONE'] },
      MacAddress: '02:42:0a:01:00:07',
      HostConfig: {
        NetworkMode: 'gantry-shop',
        Dns: ['10.1.0.1'],
        DnsSearch: ['shop.service.gantry'],
        DnsOptions: ['ndots:1'],
        Mounts: [
          {
            Type: 'bind',
            Source: '/var/lib/gantry/run',
            Target: '/run/gantry',
            ReadOnly: true,
          },
        ],
        CapDrop: ['ALL'],
        CapAdd: ['NET_BIND_SERVICE'],
        SecurityOpt: ['no-new-privileges'],
        PidsLimit: 64,
        Memory: 512,
        MemorySwap: 512,
        CpuShares: 512,
        Init: true,
        RestartPolicy: { Name: 'no' },
        LogConfig: { Type: 'json-file', Config: { 'max-size': '1000', 'max-file': '3' } },
      },
      NetworkingConfig: {
        EndpointsConfig: { 'gantry-shop': { IPAMConfig: { IPv4Address: '10.1.0.7' } } },
      },
    });
  });

  test('publishes the ports of the machine that the process has, and no other', () => {
    const publish = [
      { hostPort: 9000, port: 8080, protocol: 'tcp' as const },
      { hostPort: 9001, port: 8080, protocol: 'tcp' as const },
      { hostPort: 53_000, port: 53_000, protocol: 'udp' as const },
    ];
    const open = containerBody({ ...spec, publish }, { major: 1, minor: 41 });
    assert.deepEqual(open.ExposedPorts, { '8080/tcp': {}, '53000/udp': {} });
    assert.deepEqual((open.HostConfig as { PortBindings: unknown }).PortBindings, {
      '8080/tcp': [{ HostPort: '9000' }, { HostPort: '9001' }],
      '53000/udp': [{ HostPort: '53000' }],
    });
  });

  test('has the MAC address at the endpoint from API 1.44 on', () => {
    const newer = containerBody(spec, { major: 1, minor: 44 });
    assert.equal('MacAddress' in newer, false);
    assert.deepEqual(newer.NetworkingConfig, {
      EndpointsConfig: {
        'gantry-shop': {
          IPAMConfig: { IPv4Address: '10.1.0.7' },
          MacAddress: '02:42:0a:01:00:07',
        },
      },
    });
  });
});

test('the end of a container is never before its start, whatever the engine writes', () => {
  const state = { Status: 'exited', ExitCode: 1, OOMKilled: false, Pid: 0 };
  const container = toContainer({
    Id: 'c1',
    Name: '/c1',
    Image: 'sha256:a',
    Created: '2020-01-01T00:00:00Z',
    Config: { Labels: null, Image: 'a' },
    HostConfig: { NetworkMode: 'none' },
    NetworkSettings: {},
    State: {
      ...state,
      StartedAt: '2020-01-01T00:00:01.005Z',
      FinishedAt: '2020-01-01T00:00:01.001Z',
    },
  });
  assert.equal(container.finishedAt, container.startedAt);
});

describe('build output', () => {
  test('becomes whole lines, wherever it is cut', () => {
    const progress = new BuildProgress();
    const pieces = ['Step 1/1 : FR', 'OM a\n ---> 1', '2\r\nrest'];
    const lines = pieces.flatMap((stream) => progress.take({ stream }));
    assert.deepEqual(lines, ['Step 1/1 : FROM a', ' ---> 12']);
    assert.deepEqual(progress.flush(), ['rest']);
  });

  test('only layers that it made are its own: no base image and none that was there', () => {
    const layers = new BuildLayers();
    const output = [
      ...['Step 1/5 : FROM base AS tools', ' ---> aaaaaaaaaaaa', 'Step 2/5 : RUN make'],
      ...[' ---> Using cache', ' ---> bbbbbbbbbbbb', 'Step 3/5 : COPY . .', ' ---> cccccccccccc'],
      ...['Step 4/5 : FROM scratch', ' ---> ', 'Step 5/5 : RUN x', ' ---> Running in dddddddddddd'],
      ...['Removing intermediate container dddddddddddd', ' ---> eeeeeeeeeeee'],
    ];
    assert.deepEqual(
      output.flatMap((line) => layers.take(line) ?? []),
      [
        { stage: 0, id: 'cccccccccccc' },
        { stage: 1, id: 'eeeeeeeeeeee' },
      ],
    );
  });

  test('an error names the step it happened in', () => {
    const progress = new BuildProgress();
    progress.take({ stream: 'Step 3/4 : RUN make\n' });
    const errorDetail = { code: 2, message: 'make failed' };
    assert.throws(() => progress.take({ errorDetail }), {
      code: 'images.buildFailed',
      message: /at Step 3\/4 .*RUN make.*: make failed/,
      detail: { step: 'Step 3/4 : RUN make', exitCode: 2 },
    });
  });
});

describe('images', () => {
  const seen = {
    Id: 'sha256:a',
    RepoTags: ['shop:1'],
    Created: '2020-01-01T00:00:00Z',
    Size: 5,
    Architecture: 'amd64',
    Os: 'linux',
    Config: {
      Env: ['SECRET=hunter2'],
      Labels: { 'gantry.job': 'job-1' },
      ExposedPorts: { '8080/tcp': {}, '53/udp': {}, '80/tcp': {} },
      Healthcheck: { Test: ['CMD-SHELL', 'curl localhost'] },
    },
    RootFS: { Layers: ['sha256:l1', 'sha256:l2'] },
  };

  test('tell their TCP ports and their health check as a command', () => {
    const image = toImage(seen);
    assert.deepEqual(image.exposedPorts, [80, 8080]);
    assert.deepEqual(image.healthCommand, ['/bin/sh', '-c', 'curl localhost']);
    const none = { ...seen, Config: { Healthcheck: { Test: ['NONE'] } } };
    assert.equal(toImage(none).healthCommand, undefined);
  });

  test('a committed configuration has the layers of the container and nothing else of it', () => {
    const wanted = { tag: 'shop:2', labels: { a: 'b' }, command: ['run'], entrypoint: [] };
    const config = imageConfig(seen, {
      ...wanted,
      user: 'app',
      workingDir: '/app',
      env: { B: 'c' },
    });
    assert.deepEqual(JSON.parse(config.toString()), {
      architecture: 'amd64',
      os: 'linux',
      created: '2020-01-01T00:00:00Z',
      config: {
        Cmd: ['run'],
        Entrypoint: null,
        User: 'app',
        WorkingDir: '/app',
        Env: ['B=c'],
        Labels: { a: 'b' },
      },
      rootfs: { type: 'layers', diff_ids: ['sha256:l1', 'sha256:l2'] },
    });
    const { id, archive } = configOnlyArchive(config, 2);
    archive.destroy();
    assert.match(id, /^sha256:[0-9a-f]{64}$/);
  });
});
