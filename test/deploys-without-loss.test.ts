// Does anyone notice a deploy? Ten of them under load from clients of every kind, and deploys in which each of Gantry's own
// processes is killed: no request may fail, none is sent twice, and both releases answer while one follows the other.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { failuresOf, LoadApp, MixedLoad, requestsOf } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const deploys = 10;

describe('deploys without loss', () => {
  let app: LoadApp;
  let load: MixedLoad | undefined;
  before(async () => {
    app = await LoadApp.create(platform, 'noloss', 3);
  });
  // Also of a test that failed: a load that goes on would keep the run from ending.
  afterEach(async () => {
    await load?.stop();
  });
  after(async () => {
    await app?.close();
  });

  function start(): MixedLoad {
    load = new MixedLoad(platform.machine.address, app.name);
    return load;
  }

  test(`${deploys} deploys under load lose no request of any client`, async (t) => {
    const load = start();
    const inFlight: number[] = [];
    await waitFor('the load to be on', () => load.answersOf('v1') > 50);
    for (let round = 1; round <= deploys; round++) {
      const [older, newer] = [`v${round}`, `v${round + 1}`];
      load.take();
      const { id } = await app.setEnv('ROUND', String(round));
      await waitFor(`${newer} to answer`, () => load.answersOf(newer) > 0 || load.failed > 0, {
        timeoutMs: 120_000,
      });
      inFlight.push(load.inFlight(newer));
      const ended = await app.untilEnded(id);
      assert.equal(ended.state, 'complete', ended.reason);
      const { answers, overlaps } = load.take();
      assert.ok(answers[older], `${older} answered during the deploy of ${newer}`);
      assert.ok(answers[newer], `${newer} answered during its deploy`);
      assert.ok(overlaps > 0, `${older} still answered after ${newer} had begun to`);
      t.diagnostic(`${newer}: ${JSON.stringify(answers)}, ${overlaps} of the old after the new`);
    }
    const reports = await load.stop();
    assert.deepEqual(failuresOf(reports), []);
    assert.ok(Math.min(...inFlight) > 0, `requests under way at each switch: ${inFlight}`);
    t.diagnostic(
      `${requestsOf(reports)} requests, 0 failed; in flight at the switches ${inFlight}`,
    );
  });

  test('an app that ends at once when asked to loses nothing either', async (t) => {
    await app.untilEnded((await app.setEnv('MANNERS', 'none')).id);
    const load = start();
    for (let round = 1; round <= 3; round++) {
      const { id } = await app.setEnv('RUDE_ROUND', String(round));
      const ended = await app.untilEnded(id);
      assert.equal(ended.state, 'complete', ended.reason);
    }
    const reports = await load.stop();
    assert.deepEqual(failuresOf(reports), []);
    t.diagnostic(`${requestsOf(reports)} requests, 0 failed`);
  });

  // HAProxy is not among them: it carries the requests. Its replacement is in platform-upgrade.test.ts.
  const victims = ['router', 'controller', 'git-receiver', 'logs', 'gantry-host', 'gantry-dns'];
  for (const victim of victims) {
    test(`${victim} killed in the middle of a deploy: nothing is lost, and the deploy completes`, async (t) => {
      const load = start();
      const { id, newVersion } = await app.setEnv('KILLED', `${victim} ${Date.now()}`);
      const newer = `v${newVersion}`;
      await waitFor(`${newer} to answer`, () => load.answersOf(newer) > 0 || load.failed > 0, {
        timeoutMs: 120_000,
      });
      const before = await processOf(victim);
      await platform.machine.must(`kill -9 ${before.pid}`);
      const ended = await app.untilEnded(id);
      assert.equal(ended.state, 'complete', ended.reason);
      await waitFor(`${victim} to be back`, async () => {
        const now = await processOf(victim).catch(() => undefined);
        return now !== undefined && now.pid !== before.pid && now.pid > 0;
      });
      const reports = await load.stop();
      assert.deepEqual(failuresOf(reports), []);
      t.diagnostic(`${requestsOf(reports)} requests, 0 failed`);
    });
  }

  test('gantry-host away for longer than a router may lead without it: nothing is lost', async (t) => {
    const load = start();
    const { id, newVersion } = await app.setEnv('AWAY', String(Date.now()));
    const newer = `v${newVersion}`;
    await waitFor(`${newer} to answer`, () => load.answersOf(newer) > 0 || load.failed > 0, {
      timeoutMs: 120_000,
    });
    await platform.machine.must('docker kill gantry-host');
    const killedMs = performance.now();
    await waitFor('8 s to pass', () => performance.now() - killedMs > 8_000);
    await platform.machine.must('docker start gantry-host');
    const ended = await app.untilEnded(id);
    assert.equal(ended.state, 'complete', ended.reason);
    const reports = await load.stop();
    assert.deepEqual(failuresOf(reports), []);
    t.diagnostic(`${requestsOf(reports)} requests, 0 failed`);
  });
});

async function processOf(name: string): Promise<{ pid: number }> {
  if (name.startsWith('gantry-')) {
    const pid = await platform.machine.must(`docker inspect -f '{{.State.Pid}}' ${name}`);
    return { pid: Number(pid) };
  }
  // Its number is another one after each upgrade.
  const running = Object.entries(await platform.containers('gantry'));
  const found = running.find(([process]) => process.startsWith(`${name}.`));
  if (!found) throw new Error(`no ${name} runs`);
  return found[1];
}
