// Commands that stay: run with its streams and exit code, and followers that outlive a restart of the API.

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import type { JobView } from '#layer1/controller/client';
import type { Input, SignalName } from './io.ts';
import { type ApiCall, FakeApi, lines, now, sendError, TestHome } from './test-bed.ts';

const job: JobView = {
  id: 'job-9',
  name: 'run.1',
  type: 'run',
  kind: 'ephemeral',
  release: 'rel-1',
  version: 1,
  state: 'pending',
  isHealthy: false,
  attempt: 1,
  createdAt: now,
};
const jobPath = '/apps/shop/jobs/job-9';

let api: FakeApi;
let home: TestHome;
beforeEach(async () => {
  api = await FakeApi.start();
  home = new TestHome(api);
  api.on('POST /apps/shop/jobs', job).on(`GET ${jobPath}/exit`, ended(0));
});
afterEach(async () => {
  home.remove();
  await api.stop();
});

function ended(exitCode: number) {
  return lines({ ...job, state: 'down', exitCode });
}

function frame(stream: number, data: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(data), 4);
  return Buffer.concat([header, Buffer.from(data)]);
}

test('run without a terminal pipes stdin, keeps the outputs apart and ends with the exit code', async () => {
  api.on(`GET ${jobPath}/exit`, ended(3)).onUpgrade(`POST ${jobPath}/attach`, (_call, socket) => {
    text(socket).then(
      (stdin) => socket.end(Buffer.concat([frame(1, `got ${stdin}`), frame(2, 'oh no')])),
      () => socket.destroy(),
    );
  });
  const words = ['run', '-a', 'shop', '-e', 'A=1', '--', 'wc', '-l'];
  const { code, stdout, stderr } = await home.gantry(words, { stdin: 'input' });
  assert.deepEqual([code, stdout, stderr], [3, 'got input', 'oh no']);
  assert.deepEqual(api.bodies('POST /apps/shop/jobs'), [
    { command: ['wc', '-l'], tty: false, stdin: true, env: { A: '1' } },
  ]);
});

test('run in a terminal is raw while it lasts, sends its size, and gives the terminal back', async () => {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (isRaw: boolean) => modes.push(isRaw),
  }) as Input;
  api
    .on(`POST ${jobPath}/resize`, undefined)
    .onUpgrade(`POST ${jobPath}/attach`, (_call, socket) => {
      socket.once('data', (key: Buffer) => socket.end(`you pressed ${key}`));
      stdin.push('\u0003');
    });
  const { code, stdout } = await home.gantry(['run', '-a', 'shop', 'bash'], { stdin, isTty: true });
  assert.deepEqual([code, stdout, modes], [0, 'you pressed \u0003', [true, false]]);
  const [sent] = api.bodies('POST /apps/shop/jobs') as { tty: boolean; env: object }[];
  assert.deepEqual([sent?.tty, sent?.env], [true, { TERM: 'xterm' }]);
});

test('run says why a one-off did not end by itself', async () => {
  api.on(`GET ${jobPath}/exit`, lines({ ...job, state: 'failed', reason: 'out of memory' }));
  api.onUpgrade(`POST ${jobPath}/attach`, (_call, socket) => socket.end());
  const { code, stderr } = await home.gantry(['run', '-a', 'shop', 'true']);
  assert.equal(code, 1);
  assert.match(stderr, /run.1 did not end by itself: out of memory/);
});

test('run says what a one-off waits for, and takes one back that never started', async () => {
  const looked = Promise.withResolvers<void>();
  api
    .on('GET /apps/shop/jobs', () => {
      looked.resolve();
      return { items: [{ ...job, reason: 'no host has 1 GiB free' }] };
    })
    .on(`DELETE ${jobPath}`, job)
    .refuseUpgrades(looked.promise, {
      code: 'controller.jobNotRunning',
      message: 'it did not start',
    });
  const { code, stderr } = await home.gantry(['run', '-a', 'shop', 'true']);
  assert.equal(code, 1);
  assert.match(stderr, /^-- run.1 is pending: no host has 1 GiB free --\n/);
  assert.match(stderr, /gantry: it did not start\n$/);
  assert.equal(api.bodies(`DELETE ${jobPath}`).length, 1);
});

test('run waits for the exit code over a restart of the API', async () => {
  let call = 0;
  api
    .onUpgrade(`POST ${jobPath}/attach`, (_call, socket) => socket.end())
    .on(`GET ${jobPath}/exit`, (apiCall: ApiCall, response: ServerResponse) =>
      ++call === 1
        ? sendError(response, 503, { code: 'core.unreachable', message: 'gone' })
        : ended(7)(apiCall, response),
    );
  assert.equal((await home.gantry(['run', '-a', 'shop', 'true'])).code, 7);
});

test('run -d prints the id and returns', async () => {
  const { code, stdout, stderr } = await home.gantry(['run', '-d', '-a', 'shop', 'sleep', '9']);
  assert.deepEqual([code, stdout], [0, 'job-9\n']);
  assert.match(stderr, /gantry log -i run.1 -f -a shop/);
  const [sent] = api.bodies('POST /apps/shop/jobs') as { stdin: boolean }[];
  assert.equal(sent?.stdin, false);
});

for (const [what, name] of [
  ['Ctrl-C', 'SIGINT'],
  ['a terminal that is closed', 'SIGHUP'],
] as const)
  test(`${what} ends the one-off there, and here with 130`, async () => {
    let send: (name: SignalName) => void = () => undefined;
    let end: () => void = () => undefined;
    api.onUpgrade(`POST ${jobPath}/attach`, (_call, socket) => {
      end = () => socket.end();
      setTimeout(() => send(name), 10);
    });
    api.on(`DELETE ${jobPath}`, () => {
      end();
      return job;
    });
    const { code, stderr } = await home.gantry(['run', '-T', '-a', 'shop', 'sleep', '99'], {
      onStart(sender) {
        send = sender;
      },
    });
    assert.equal(code, 130);
    assert.match(stderr, /run.1 is being ended; Ctrl-C again leaves it alone/);
  });

function aLine(said: string, cursor: string) {
  return {
    time: '2026-01-02T02:00:01.1Z',
    app: 'app-1',
    type: 'web',
    instance: 'web.1',
    job: 'j1',
    stream: 'stdout',
    text: said,
    cursor,
  };
}

test('log -f goes on over a restart of the API after the last place it was told, and marks the break', async () => {
  let send: (name: SignalName) => void = () => undefined;
  let call = 0;
  api.on('GET /apps/shop/log', (apiCall: ApiCall, response: ServerResponse) => {
    call++;
    if (call === 1)
      return lines(aLine('line 1', '1.10'), aLine('line 2', '1.20'))(apiCall, response);
    if (call === 2) return sendError(response, 503, { code: 'core.unreachable', message: 'gone' });
    if (call === 3) return lines({ cursor: '2.0' })(apiCall, response);
    response.write(`${JSON.stringify(aLine('line 3', '2.10'))}\n`);
    setTimeout(() => send('SIGINT'), 30);
    return new Promise(() => undefined);
  });
  const { code, stdout, stderr } = await home.gantry(
    ['log', '-f', '--raw', '-n', '2', '-a', 'shop'],
    {
      onStart(sender) {
        send = sender;
      },
    },
  );
  assert.equal(stdout, 'line 1\nline 2\nline 3\n');
  const broken = '-- connection lost; trying again --\n-- connected again --\n';
  assert.equal(stderr, broken + broken);
  assert.equal(code, 130);
  assert.deepEqual(
    api.calls.map(({ query }) => [query.lines, query.after]),
    [
      ['2', undefined],
      [undefined, '1.20'],
      [undefined, '1.20'],
      [undefined, '2.0'],
    ],
  );
});

test('log --after begins behind that place, and is not mixed with -n', async () => {
  api.on('GET /apps/shop/log', lines(aLine('line 3', '2.10')));
  const { code, stdout } = await home.gantry(['log', '--raw', '--after', '1.20', '-a', 'shop']);
  assert.deepEqual([code, stdout], [0, 'line 3\n']);
  assert.deepEqual(
    api.calls.map(({ query }) => [query.lines, query.after]),
    [[undefined, '1.20']],
  );
  const both = await home.gantry(['log', '--after', '1.20', '-n', '5', '-a', 'shop']);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /-n and --after do not go together/);
});

test('events -f where nothing has happened yet misses nothing when the connection breaks', async () => {
  let send: (name: SignalName) => void = () => undefined;
  const asked: unknown[] = [];
  api.on('GET /events', ({ query }: ApiCall, response: ServerResponse) => {
    if (query.follow === undefined)
      return { items: query.app === undefined ? [{ id: 7, message: 'of another app' }] : [] };
    asked.push(query.after);
    if (asked.length === 1) return response.writeHead(200).end();
    setTimeout(() => send('SIGINT'), 5);
    response.writeHead(200).flushHeaders();
    return new Promise(() => undefined);
  });
  const { code } = await home.gantry(['events', '-f', '-a', 'shop'], {
    onStart(sender) {
      send = sender;
    },
  });
  assert.deepEqual([code, asked], [130, ['7', '7']]);
});

test('events --after pages through all that came after, and refuses a number of lines with it', async () => {
  api.on('GET /events', ({ query }: ApiCall) => {
    const id = Number(query.after) + 1;
    return { items: [{ id, type: 'x', message: 'y', time: now }], ...(id < 6 ? { next: id } : {}) };
  });
  const { stdout } = await home.gantry(['events', '--after', '3', '--json']);
  assert.deepEqual(
    (JSON.parse(stdout) as { id: number }[]).map(({ id }) => id),
    [4, 5, 6],
  );
  const both = await home.gantry(['events', '--after', '3', '-n', '5']);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /-n and --after do not go together/);
});

test('events -f goes on after the last event that was seen', async () => {
  let send: (name: SignalName) => void = () => undefined;
  const event = (id: number) => ({
    id,
    time: now,
    type: 'app.scaled',
    object: 'a',
    message: `n${id}`,
  });
  let call = 0;
  api.on('GET /events', ({ query }: ApiCall, response: ServerResponse) => {
    if (query.follow === undefined) return { items: [event(1), event(2)] };
    call++;
    response.write(
      `: events follow\n\ndata: ${JSON.stringify(event(Number(query.after) + 1))}\n\n`,
    );
    if (call === 1) return response.end();
    setTimeout(() => send('SIGINT'), 30);
    return new Promise(() => undefined);
  });
  const { code, stdout } = await home.gantry(['events', '-f', '--json'], {
    onStart(sender) {
      send = sender;
    },
  });
  const ids = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: number }).id);
  assert.deepEqual([code, ids], [130, [1, 2, 3, 4]]);
});
