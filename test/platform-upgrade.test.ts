// Is an upgrade of the platform a deploy like any other? With a changed source `script/up` replaces every process, HAProxy
// too, and no request is lost; a version that does not come up never takes over, and the one before it can be put back.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { failuresOf, LoadApp, MixedLoad, requestsOf } from './cluster/load-app.ts';
import { checkout, Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
/** Part of every process of app `gantry`'s image, and run by one of them. */
const source = `${checkout}/bin/gantry-controller.ts`;

describe('an upgrade of the platform', () => {
  let app: LoadApp;
  let users: Record<string, { id: string; startedAt: string }>;
  before(async () => {
    app = await LoadApp.create(platform, 'upgrade', 2);
    users = await platform.containers(app.name);
    await machine.must(`cp ${source} /tmp/good-source`);
  });
  after(async () => {
    const isChanged = (await machine.sh(`cmp -s ${source} /tmp/good-source`)).code !== 0;
    if (isChanged) await machine.sh(`cp /tmp/good-source ${source} && ${up}`, { timeoutMs });
    await app?.close();
  });

  /** Under load: nothing of it may fail, and no container of a user may notice. */
  async function underLoad(action: () => Promise<void>): Promise<string> {
    const load = new MixedLoad(machine.address, app.name);
    try {
      await action();
    } finally {
      await load.stop();
    }
    const reports = await load.stop();
    assert.deepEqual(failuresOf(reports), []);
    assert.deepEqual(await platform.containers(app.name), users);
    return `${requestsOf(reports)} requests, 0 failed`;
  }

  test('replaces every process under load, HAProxy too, and loses no request', async (t) => {
    const old = await platform.containers('gantry');
    await machine.must(`echo '// changed' >>${source}`);
    const said = await underLoad(async () => {
      const { code, stdout, stderr } = await machine.sh(up, { timeoutMs });
      assert.equal(code, 0, stdout + stderr);
      await untilGone(old);
    });
    const types = (names: object) => Object.keys(names).map((name) => name.split('.')[0]);
    const now = await platform.containers('gantry');
    assert.deepEqual(types(now).sort(), types(old).sort());
    t.diagnostic(said);
  });

  test('to a version that does not come up says why, and the old one serves', async (t) => {
    const good = await imagesOfGantry();
    await machine.must(`sed -i '2i process.exit(3);' ${source}`);
    const said = await underLoad(async () => {
      const { code, stderr } = await machine.sh(up, { timeoutMs });
      assert.equal(code, 1, stderr);
      assert.match(stderr, /rolled back: controller\.\d failed 3 times: .*3/);
      await waitFor('only the old version to run', async () => {
        return (await imagesOfGantry()).join() === good.join();
      });
    });
    assert.match(
      await platform.gantry('deployment', '-a', 'gantry'),
      /failed .*controller\.\d failed 3 times/,
    );
    t.diagnostic(said);
  });

  test('is undone by script/up of the good version', async (t) => {
    const said = await underLoad(async () => {
      await machine.must(`cp /tmp/good-source ${source}`);
      const { code, stdout, stderr } = await machine.sh(up, { timeoutMs });
      assert.equal(code, 0, stdout + stderr);
    });
    const images = await imagesOfGantry();
    const host = await machine.must("docker inspect -f '{{.Image}}' gantry-host");
    await waitFor('one version to run', async () => {
      return (await imagesOfGantry()).every((image) => image === host.trim());
    });
    assert.ok(images.length > 0);
    t.diagnostic(said);
  });
});

const up = `cd ${checkout} && script/up`;
const timeoutMs = 400_000;

async function untilGone(old: Record<string, { id: string }>): Promise<void> {
  const ids = new Set(Object.values(old).map(({ id }) => id));
  let left: string[] = [];
  const check = async () => {
    const now = Object.entries(await platform.containers('gantry'));
    left = now.filter(([, { id }]) => ids.has(id)).map(([name]) => name);
    return left.length === 0;
  };
  await waitFor('the old processes to go', check, { timeoutMs: 120_000, seen: () => left });
}

/** Image ids of what runs of app `gantry`, one for each process. */
async function imagesOfGantry(): Promise<string[]> {
  const running = 'docker ps -q --filter label=gantry.app-name=gantry';
  const text = await machine.must(`${running} | xargs docker inspect -f '{{.Image}}'`);
  return text.split('\n').filter(Boolean);
}
