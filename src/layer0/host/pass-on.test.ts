// Is a call about a job answered by the machine that has it, whichever daemon was asked? Two daemons' routes on real sockets.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { hasCode } from '#core/errors';
import { createHttpClient } from '#core/http-client';
import { createHttpServer, listenUnix } from '#core/http-server';
import { silentLog } from '#core/log';
import { createHostClient, type HostClient } from './client.ts';
import { hostErrors } from './errors.ts';
import { registerHostRoutes } from './http.ts';
import type { Host } from './index.ts';

/** A failure shows as this, not as a test that hangs. */
const limit = { timeout: 20_000 };
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

/** What a host was asked, in words. */
const asked: string[] = [];

/** Says back what it hears, and ends when nobody speaks any more. */
function anEcho(greeting: string): Duplex {
  const [input, output] = [new PassThrough(), new PassThrough()];
  output.write(greeting);
  input.on('data', (chunk) => output.write(chunk)).on('end', () => output.end('; over'));
  return Duplex.from({ readable: output, writable: input });
}

function aHost(name: string): Host {
  const say = (what: string) => {
    asked.push(`${name} ${what}`);
  };
  const streams = {
    async attach(job: string) {
      if (job === 'job-gone') throw hostErrors.notRunning(`${job} has ended`);
      return { socket: anEcho(`${name} has ${job}: `), tty: true };
    },
    exec: async (job: string) => ({
      socket: anEcho(`${name} runs in ${job}: `),
      tty: true,
      execId: 'e1',
    }),
    async execExitCode(exec: string) {
      say(`code of ${exec}`);
      return 7;
    },
    resize: async (target: object) => say(`resize ${JSON.stringify(target)}`),
    async signal(job: string, signal: string) {
      if (job === 'job-gone') throw hostErrors.notRunning(`${job} has ended`);
      say(`${signal} to ${job}`);
    },
    logFiles: async (job: string) => [{ containerId: name, path: `/${job}` }],
  };
  return { streams } as unknown as Host;
}

/** Jobs by name: job-b is on host-b; host-b itself would pass job-lost back. */
const places: Record<string, Record<string, string>> = {
  'host-a': { 'job-b': 'host-b', 'job-gone': 'host-b', 'job-lost': 'host-b', 'job-a': 'host-a' },
  'host-b': { 'job-lost': 'host-a', 'job-b': 'host-b' },
};

let host: HostClient;

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-pass-on-'));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const socketOf = (name: string) => join(folder, `${name}.sock`);
  for (const here of ['host-a', 'host-b']) {
    const server = createHttpServer({ log: silentLog });
    const others = {
      hostOf: async (job: string) => places[here]?.[job],
      client: (other: string) => createHttpClient({ baseUrl: `unix:${socketOf(other)}` }),
      guard: () => () => undefined,
      async carry(other: string, socket: Socket) {
        const far = connect({ path: socketOf(other), allowHalfOpen: true });
        socket.pipe(far).pipe(socket);
      },
    };
    registerHostRoutes(server, aHost(here), { here, others });
    await listenUnix(server, socketOf(here));
    closers.push(() => server.close());
  }
  host = createHostClient({ baseUrl: `unix:${socketOf('host-a')}` });
  closers.push(() => host.close());
});

describe('a call about a job', () => {
  test('of another machine is answered there', limit, async () => {
    assert.deepEqual(await host.logFiles('job-b'), [{ containerId: 'host-b', path: '/job-b' }]);
    await host.signal('job-b', 'SIGHUP');
    await host.resize({ jobId: 'job-b' }, 3, 4);
    assert.deepEqual(asked.splice(0), [
      'host-b SIGHUP to job-b',
      'host-b resize {"jobId":"job-b"}',
    ]);
  });

  test('of this one, and of nobody knows whom, is answered here', limit, async () => {
    for (const job of ['job-a', 'job-unknown'])
      assert.deepEqual(await host.logFiles(job), [{ containerId: 'host-a', path: `/${job}` }]);
  });

  test('fails with what the other machine says, and goes round no circle', limit, async () => {
    await assert.rejects(host.signal('job-gone', 'SIGHUP'), (error) =>
      hasCode(error, 'host.notRunning'),
    );
    await assert.rejects(host.attach('job-gone', { stdin: true, replay: false }), (error) =>
      hasCode(error, 'host.notRunning'),
    );
    const [file] = await host.logFiles('job-lost');
    assert.equal(file?.containerId, 'host-b');
  });

  test('that streams has the process at its other end: both ways, and the end', limit, async () => {
    const { socket, tty } = await host.attach('job-b', { stdin: true, replay: true });
    assert.equal(tty, true);
    socket.end('hello');
    assert.equal(await text(socket), 'host-b has job-b: hello; over');
  });

  test('names an exec so that its size and its end are asked of its machine', limit, async () => {
    asked.splice(0);
    const { socket, execId } = await host.exec('job-b', { command: ['ls'], tty: true });
    await host.resize({ execId }, 5, 6);
    socket.end();
    assert.equal(await text(socket), 'host-b runs in job-b: ; over');
    assert.equal(await host.execExitCode(execId), 7);
    assert.deepEqual(asked.splice(0), ['host-b resize {"execId":"e1"}', 'host-b code of e1']);
  });
});
