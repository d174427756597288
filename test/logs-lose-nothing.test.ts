// Is every line that an app says kept, once and in order? Apps write far more than the engine keeps in one file, and the process
// that collects the lines is killed meanwhile; only what the engine itself deleted may be missing, and then it is said.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import type { LogLine } from '#layer1/logs/wire';
import { connectApi, LoadApp } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const api = await connectApi(platform);
const apps = ['logs-a', 'logs-b', 'logs-c'];
const rounds = 3;
const linesPerRound = 24_000;
/** With what the engine adds, a file of it (10 MB) holds fewer than an app writes. */
const padding = 'x'.repeat(80);
const linesPerApp = rounds * linesPerRound;

/** Asked for `/FROM/COUNT/SIZE`, it writes so many numbered lines as fast as they are taken. */
const writer = `
const { once } = require('node:events');
require('node:http').createServer(async (request, response) => {
  const [, from, count, size] = request.url.split('/').map(Number);
  response.end('writing');
  const padding = 'x'.repeat(size || 0);
  for (let n = from; n < from + count; n++)
    if (!process.stdout.write('line ' + n + ' ' + padding + '\\n')) await once(process.stdout, 'drain');
}).listen(process.env.PORT);
`;

before(async () => {
  for (const name of apps) {
    await new LoadApp(name, platform, api).delete();
    await api.createApp({ name });
    await api.deploy(name, {
      image: 'gantry/stack:latest',
      processes: { web: { entrypoint: ['node', '-e', writer] } },
    });
  }
  for (const name of apps) await platform.untilAnswers(name, 'writing');
});

after(async () => {
  for (const name of apps) await new LoadApp(name, platform, api).delete();
  api.close();
});

describe('logs lose nothing', () => {
  test(`${apps.length * linesPerApp} lines through rotation and two kills are all there, once and in order`, async (t) => {
    for (let round = 0; round < rounds; round++) {
      const sizeBefore = await historyBytes();
      for (const app of apps)
        await say(app, 1 + round * linesPerRound, linesPerRound, padding.length);
      if (round === rounds - 1) break;
      const isBeingRead = async () => (await historyBytes()) > sizeBefore;
      await waitFor('the history to grow', isBeingRead, { everyMs: 5 });
      await killLogs();
    }
    for (const app of apps) {
      await untilSaid(app, linesPerApp);
      const lines = await readAll(app);
      const numbers = lines.map(numberOf).filter((number) => number !== undefined);
      assert.equal(numbers.length, linesPerApp, `lines of ${app}`);
      const wrong = numbers.findIndex((number, index) => number !== index + 1);
      const around = numbers.slice(Math.max(0, wrong - 3), wrong + 5);
      assert.equal(wrong, -1, `order of ${app} after ${wrong} lines: ${around.join(' ')}`);
      assert.deepEqual(
        lines.filter(({ isGap }) => isGap),
        [],
      );
    }
    const files = await machine.must(`ls ${await logFolder(apps[0] ?? '')} | wc -l`);
    assert.ok(Number(files) > 1, 'the engine rotated its file');
    t.diagnostic(`${apps.length * linesPerApp} lines`);
  });

  test('log -f shows a line when it is said, from one instance as from all', async () => {
    const [app = ''] = apps;
    const child = machine.spawn(['gantry', 'log', '-f', '-n', '1', '--raw', '-a', app], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    assert.ok(child.stdout);
    const seen: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => seen.push(line));
    const exited = new Promise((resolve) => child.once('exit', resolve));
    try {
      await waitFor('the last line', () =>
        seen.some((line) => line.includes(`line ${linesPerApp} `)),
      );
      await say(app, 1_000_001, 3);
      await waitFor('what is said now', () => seen.some((line) => line.includes('line 1000003')), {
        seen: () => seen.slice(-5),
      });
      assert.deepEqual(
        seen.slice(-3).map((line) => line.trim()),
        ['line 1000001', 'line 1000002', 'line 1000003'],
      );
    } finally {
      await machine.sh(`pkill -INT -f 'log -f -n 1 --raw -a ${app}'`);
      await exited;
    }
  });

  test('log -f goes on exactly where it was when the process that serves it is killed, also after 24,000 lines', async () => {
    const [app = ''] = apps;
    const child = machine.spawn(['gantry', 'log', '-f', '-n', '0', '--raw', '-a', app], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    assert.ok(child.stdout && child.stderr);
    const seen: number[] = [];
    const said: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) =>
      line.startsWith('-- ') ? said.push(line) : seen.push(numberOfText(line)),
    );
    createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const first = 3_000_001;
    const last = first + 2 * linesPerRound - 1;
    try {
      // Until it follows, nothing of what is said is promised to it.
      await waitFor('the follower to be there', async () => {
        await say(app, 1, 1);
        return seen.length > 0;
      });
      await say(app, first, linesPerRound, padding.length);
      await waitFor('the follower to be in the middle', () =>
        seen.some((number) => number > first),
      );
      await killLogs();
      await say(app, first + linesPerRound, linesPerRound, padding.length);
      await waitFor('the last line', () => seen.at(-1) === last, {
        timeoutMs: 120_000,
        seen: () => [seen.at(-1), said],
      });
    } finally {
      await machine.sh(`pkill -INT -f 'log -f -n 0 --raw -a ${app}'`);
      await exited;
    }
    const numbers = seen.filter((number) => number >= first);
    assert.equal(numbers.length, 2 * linesPerRound);
    const wrong = numbers.findIndex((number, index) => number !== first + index);
    assert.equal(wrong, -1, `order after ${wrong} lines: ${numbers.slice(wrong - 3, wrong + 5)}`);
    const away = /lines of machine .+ are missing here, until it is back: /;
    assert.ok(
      said.some((line) => away.test(line)),
      said.join('; '),
    );
  });

  test('what an app said is there after its container is gone', async () => {
    const [app = ''] = apps;
    const { 'web.1': container } = await platform.containers(app);
    await api.scale(app, { web: 0 }, { wait: true });
    await machine.must(`docker rm -f ${container?.id} || true`);
    const gone = async () => (await machine.sh(`docker inspect ${container?.id}`)).code !== 0;
    await waitFor('the container to be gone', gone);
    const lines = await readAll(app, 2_000);
    assert.equal(numberOf(lines.at(-1)), 3_000_000 + 2 * linesPerRound);
    assert.ok(lines.length >= 2_000);
  });

  test('lines that the engine deleted before they were read are shown as a gap', async () => {
    const app = apps[1] ?? '';
    const process = await logsProcess();
    assert.ok(process);
    await machine.must(`docker pause ${process.id}`);
    try {
      // Four files of the engine: it keeps three.
      await say(app, 2_000_001, 4_500, 9_000);
      const last = `tail -c 20000 $(ls -t ${await logFolder(app)}/*-json.log | head -1) | grep -c 'line 2004500 '`;
      const isWritten = async () => Number((await machine.sh(last)).stdout) > 0;
      await waitFor('the engine to have written it all', isWritten, { timeoutMs: 120_000 });
    } finally {
      await machine.sh(`docker unpause ${process.id}`);
    }
    const lines = await waitFor('the last line to be read', async () => {
      const all = await readAll(app, 5_000).catch(() => []);
      return numberOf(all.at(-1)) === 2_004_500 && all;
    });
    const gap = lines.findIndex(({ isGap }) => isGap);
    assert.notEqual(gap, -1, 'a gap is shown');
    const before = lines.slice(0, gap).map(numberOf);
    const after = lines.slice(gap + 1).map(numberOf);
    const missing = (after[0] ?? 0) - (before.at(-1) ?? 0) - 1;
    assert.ok(missing > 0, `${before.at(-1)}, gap, ${after[0]}`);
    assert.deepEqual(
      after.filter((number, index) => number !== (after[0] ?? 0) + index),
      [],
    );
    const shown = await platform.gantry('log', '-a', app, '-n', '5000');
    assert.match(shown, /^-- .*lines are missing here/m);
  });
});

async function say(app: string, from: number, count: number, size = 0): Promise<void> {
  const { status, body } = await platform.ask(app, { path: `/${from}/${count}/${size}` });
  assert.equal(status, 200, body);
}

/** Of a line as the follower prints it; of any other line none. */
function numberOfText(text: string): number {
  return Number(/^line (\d+) /.exec(text)?.[1]);
}

function numberOf(line: LogLine | undefined): number | undefined {
  const found = line?.text.match(/^line (\d+) /)?.[1];
  return found === undefined ? undefined : Number(found);
}

async function readAll(app: string, lines = 100_000): Promise<LogLine[]> {
  const all: LogLine[] = [];
  for await (const line of api.readLog(app, { lines })) all.push(line);
  return all;
}

/** The log is away for a moment while its process is started again. */
async function untilSaid(app: string, number: number): Promise<void> {
  let last: unknown;
  const isThere = async () => {
    const [line] = await readAll(app, 1).catch((error: Error) => {
      last = error.message;
      return [];
    });
    last = line?.text.slice(0, 40) ?? last;
    return numberOf(line) === number;
  };
  await waitFor(`${app} to have said line ${number}`, isThere, {
    timeoutMs: 120_000,
    seen: () => last,
  });
}

/** Each release of the platform has another index. */
async function logsProcess() {
  const running = Object.entries(await platform.containers('gantry'));
  return running.find(([name]) => name.startsWith('logs.'))?.[1];
}

async function killLogs(): Promise<void> {
  const before = await logsProcess();
  assert.ok(before);
  await machine.must(`kill -9 ${before.pid}`);
  await waitFor('the log process to be back', async () => {
    const now = await logsProcess();
    return now !== undefined && now.id !== before.id;
  });
}

async function historyBytes(): Promise<number> {
  return Number((await machine.must('du -sb /var/lib/gantry/logs | cut -f1')).trim());
}

/** Where the engine keeps the files of the app's process. */
async function logFolder(app: string): Promise<string> {
  const { 'web.1': container } = await platform.containers(app);
  assert.ok(container, `${app} runs`);
  return `/var/lib/docker/containers/${container.id}`;
}
