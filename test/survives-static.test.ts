// How much does a running app need Gantry? Nothing but HAProxy: with every Node process of the platform frozen, or dead for a
// while, apps answer and log as before, names too while only the daemon is away, and afterwards no line is missing.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LoadApp } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { nameAnswers, untilPlatformWorks } from './cluster/system.ts';
import { waitFor } from './cluster/wait.ts';
import { type Load, startLoad } from './load/client.ts';

const platform = Platform.connect();
const { machine } = platform;
/** Every container of the platform but HAProxy's. */
const nodeContainers = `{ echo gantry-host; echo gantry-dns
  for type in router controller git-receiver logs; do
    docker ps --format '{{.Names}}' -f label=gantry.app-name=gantry -f label=gantry.type=$type
  done; }`;
/** One line every 20 ms: what the platform is away for is counted in them. */
const talker = {
  entrypoint: ['node', '-e', "let n = 0; setInterval(() => console.log('line ' + ++n), 20)"],
};
/** 12 s: longer than every lease, health time limit and election of the platform. */
const linesMeanwhile = 600;

describe('an app without its platform', () => {
  let app: LoadApp;
  let seen: Record<string, unknown>;
  before(async () => {
    await untilPlatformWorks(platform);
    app = await LoadApp.create(platform, 'alone', 2);
    const ended = await app.untilEnded((await app.deploy({}, { talker })).id);
    assert.equal(ended.state, 'complete', ended.reason);
    await app.api.scale(app.name, { talker: 1 }, { wait: true });
    await waitFor('the containers of the first release to be gone', async () => {
      seen = await platform.containers(app.name);
      return Object.keys(seen).length === 3;
    });
  });
  after(async () => {
    await app?.close();
  });

  function startPlainLoad(): Load {
    const host = `${app.name}.gantry.localhost`;
    const to = { address: machine.address, port: 80, host, timeoutMs: 30_000 };
    return startLoad({ ...to, mode: 'keep-alive', clients: 4, pauseMs: 20 });
  }

  /** Lines of the talker in the file that the engine writes. */
  async function linesSaid(): Promise<number> {
    const running = await platform.containers(app.name);
    const id = Object.entries(running).find(([name]) => name.startsWith('talker.'))?.[1].id;
    return Number(await machine.must(`wc -l </var/lib/docker/containers/${id}/${id}-json.log`));
  }

  /** The platform is away while the app answers and says that many lines; no request may fail. */
  async function runsMeanwhile(): Promise<string> {
    const load = startPlainLoad();
    const from = await linesSaid();
    await waitFor('the talker to go on', async () => (await linesSaid()) > from + linesMeanwhile, {
      everyMs: 500,
    });
    const report = await load.stop();
    assert.deepEqual(report.examples, []);
    assert.ok(report.requests > 100, `${report.requests} requests`);
    return `${report.requests} requests, 0 failed, ${linesMeanwhile} lines`;
  }

  async function untilBack(): Promise<void> {
    await untilPlatformWorks(platform);
    await platform.untilAnswers(app.name);
    await waitFor('names to answer', () => nameAnswers(platform, app.name));
  }

  /** Every line so far is in the log, once and in order. */
  async function hasEveryLine(): Promise<void> {
    const said = await linesSaid();
    const read = async () => {
      const lines = `-a ${app.name} -t talker -n 100000 --raw`.split(' ');
      const text = await platform.gantry('log', ...lines);
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => Number(/^line (\d+)/.exec(line)?.[1]));
    };
    const numbers = await waitFor('the log to catch up', async () => {
      const now = await read();
      return (now.at(-1) ?? 0) >= said ? now : undefined;
    });
    assert.deepEqual(numbers.filter((number, index) => number !== index + 1).slice(0, 5), []);
  }

  test('with the daemon stopped: names answer in its containers, and it answers and logs', async (t) => {
    await machine.must('docker stop gantry-host');
    try {
      assert.ok(await nameAnswers(platform, app.name));
      t.diagnostic(await runsMeanwhile());
      assert.ok(await nameAnswers(platform, app.name));
    } finally {
      await machine.must('docker start gantry-host');
    }
    await untilBack();
    assert.deepEqual(await platform.containers(app.name), seen);
    await hasEveryLine();
  });

  test('with every Node process of the platform frozen it answers and logs', async (t) => {
    const system = await platform.containers('gantry');
    const pids = await machine.must(
      `for name in $(${nodeContainers}); do docker top "$name" -eo pid | tail -n +2; done`,
    );
    const all = pids.trim().split(/\s+/).join(' ');
    await machine.must(`kill -STOP ${all}`);
    try {
      t.diagnostic(await runsMeanwhile());
    } finally {
      await machine.must(`kill -CONT ${all}`);
    }
    await untilBack();
    assert.deepEqual(await platform.containers(app.name), seen);
    await hasEveryLine();
    assert.deepEqual(await platform.containers('gantry'), system);
  });

  test('with every Node process of the platform dead it answers and logs', async (t) => {
    await machine.must(
      `docker stop gantry-host gantry-dns && docker kill $(${nodeContainers} | tail -n +3)`,
    );
    try {
      t.diagnostic(await runsMeanwhile());
    } finally {
      await machine.must('docker start gantry-dns gantry-host');
    }
    await untilBack();
    assert.deepEqual(await platform.containers(app.name), seen);
    await hasEveryLine();
  });
});
