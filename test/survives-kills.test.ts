// What does anyone notice when a process of the platform, or the engine, is killed without warning? Users' containers run on,
// under load no request fails (but while HAProxy itself is away), and soon everything works again by itself.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LoadApp } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { nameAnswers, processOf, untilPlatformWorks } from './cluster/system.ts';
import { waitFor } from './cluster/wait.ts';
import { type Load, startLoad } from './load/client.ts';

const platform = Platform.connect();
const { machine } = platform;
const victims = ['gantry-host', 'gantry-dns', 'router', 'controller', 'git-receiver', 'logs'];
const sleeper = { entrypoint: ['node', '-e', 'setInterval(() => {}, 1e6)'] };

describe('a platform whose processes are killed', () => {
  let app: LoadApp;
  before(async () => {
    await untilPlatformWorks(platform);
    app = await LoadApp.create(platform, 'survivor', 2);
    const { id } = await app.deploy({}, { sleeper });
    const ended = await app.untilEnded(id);
    assert.equal(ended.state, 'complete', ended.reason);
    const count = async () => Object.keys(await platform.containers(app.name)).length;
    await waitFor(
      'the containers of the first release to be gone',
      async () => (await count()) === 2,
    );
  });
  after(async () => {
    await app?.close();
  });

  function startPlainLoad(): Load {
    const host = `${app.name}.gantry.localhost`;
    const to = { address: machine.address, port: 80, host, timeoutMs: 30_000 };
    return startLoad({ ...to, mode: 'keep-alive', clients: 4, pauseMs: 10 });
  }

  /** Whatever a user may want next works: names, the API and its CLI, git, logs, and starting and stopping a process. */
  async function untilAllWorks(): Promise<void> {
    await platform.untilAnswers(app.name);
    await waitFor('names to answer in a container', () => nameAnswers(platform, app.name));
    for (const sleepers of [1, 0])
      await waitFor(`${sleepers} sleepers to be wanted and seen`, async () => {
        const isScaled = await app.api.scale(app.name, { sleeper: sleepers }).then(
          () => true,
          () => false,
        );
        if (!isScaled) return false;
        const running = Object.keys(await platform.containers(app.name));
        return running.some((name) => name.startsWith('sleeper.')) === (sleepers === 1);
      });
    await untilPlatformWorks(platform);
  }

  for (const victim of victims) {
    test(`${victim} killed: no request fails, no container of an app notices, all works again`, async (t) => {
      const before = await platform.containers(app.name);
      const { pid } = await processOf(platform, victim);
      const load = startPlainLoad();
      await waitFor('the load to be on', () => load.requests > 50);
      const startMs = performance.now();
      await machine.must(`kill -9 ${pid}`);
      await waitFor(`${victim} to be back`, async () => {
        const now = await processOf(platform, victim).catch(() => undefined);
        return now !== undefined && now.pid > 0 && now.pid !== pid;
      });
      const backMs = performance.now() - startMs;
      await untilAllWorks();
      const report = await load.stop();
      assert.deepEqual(
        { failed: report.failed, examples: report.examples },
        { failed: 0, examples: [] },
      );
      assert.deepEqual(await platform.containers(app.name), before);
      t.diagnostic(
        `process back after ${Math.round(backMs)} ms, all seen to work after ${Math.round(performance.now() - startMs)} ms; ${report.requests} requests, 0 failed, slowest ${Math.round(report.max)} ms`,
      );
    });
  }

  test('dockerd killed: no request fails, no container notices, all works when it is back', async (t) => {
    const before = {
      ...(await platform.containers(app.name)),
      ...(await platform.containers('gantry')),
    };
    const load = startPlainLoad();
    await waitFor('the load to be on', () => load.requests > 50);
    await machine.killDocker();
    const seen = load.requests;
    await waitFor('requests to go on without an engine', () => load.requests > seen + 200);
    const startMs = performance.now();
    await machine.startDocker();
    await untilAllWorks();
    const report = await load.stop();
    assert.deepEqual(
      { failed: report.failed, examples: report.examples },
      { failed: 0, examples: [] },
    );
    const now = {
      ...(await platform.containers(app.name)),
      ...(await platform.containers('gantry')),
    };
    assert.deepEqual(now, before);
    t.diagnostic(
      `all seen to work ${Math.round(performance.now() - startMs)} ms after its start; ${report.requests} requests, 0 failed`,
    );
  });

  test('HAProxy killed: requests fail until it is back, and it comes back by itself', async (t) => {
    const before = await platform.containers(app.name);
    const { pid } = await processOf(platform, 'proxy');
    const load = startPlainLoad();
    await waitFor('the load to be on', () => load.requests > 50);
    const startMs = performance.now();
    await machine.must(`kill -9 ${pid}`);
    await waitFor('the outage to be seen', () => load.failed > 0);
    await waitFor(
      'the app to answer again',
      () =>
        platform.ask(app.name).then(
          ({ status }) => status === 200,
          () => false,
        ),
      { everyMs: 10 },
    );
    const awayMs = performance.now() - startMs;
    await untilAllWorks();
    const report = await load.stop();
    assert.deepEqual(await platform.containers(app.name), before);
    t.diagnostic(
      `HAProxy was away for ${Math.round(awayMs)} ms; ${report.failed} of ${report.requests} requests failed`,
    );
  });

  test('the daemon and every system process killed at once: all come back, nothing of an app does anything', async (t) => {
    const before = await platform.containers(app.name);
    const all = await Promise.all([...victims, 'proxy'].map((name) => processOf(platform, name)));
    const startMs = performance.now();
    await machine.must(`kill -9 ${all.map(({ pid }) => pid).join(' ')}`);
    await untilAllWorks();
    assert.deepEqual(await platform.containers(app.name), before);
    t.diagnostic(`all seen to work after ${Math.round(performance.now() - startMs)} ms`);
  });
});
