// A backup brings back what people had asked for, and no container is removed by it: what runs runs on, what was deleted comes
// back, and what was made since is named and left alone.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Check, ClusterView, JobView } from '#layer1/controller/client';
import { Platform, sampleFiles } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const file = '/root/state.ndjson';

after(async () => {
  for (const app of ['deleted', 'newer']) await platform.deleteApp(app);
  await machine.sh(
    `rm -f ${file}; docker ps -aq --filter label=gantry.app-name=newer | xargs -r docker rm -f`,
  );
});

const failedChecks = async () => {
  const { stdout } = await platform.tryGantry('doctor', '--json');
  return (JSON.parse(stdout) as Check[]).filter(({ isOk }) => !isOk);
};
const push = async (app: string) => {
  const { code, stderr } = await platform.push(app, await sampleFiles());
  assert.equal(code, 0, stderr);
  await platform.untilAnswers(app);
};

test('a restore takes wishes back and leaves what runs alone', { timeout: 480_000 }, async () => {
  await platform.untilAnswers('hello');
  await push('deleted');
  await platform.gantry('cluster', 'backup', '--with-keys', file);
  assert.equal((await machine.must(`stat -c %a ${file}`)).trim(), '600');
  await platform.gantry('delete', '-a', 'deleted', '--yes');
  await push('newer');
  const before = {
    hello: await platform.containers('hello'),
    newer: await platform.containers('newer'),
  };
  assert.ok(Object.keys(before.hello).length > 0 && Object.keys(before.newer).length > 0);

  const said = await machine.sh(`gantry cluster restore ${file} --yes`);
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stderr, /newer is not in it: what runs of it runs on/);
  const apps = await platform.gantry('apps');
  assert.match(apps, /^deleted /m);
  assert.doesNotMatch(apps, /^newer /m);

  // What was built for the deleted app went with it: it says what to do, and a push brings it up.
  let jobs: JobView[] = [];
  await waitFor(
    'the app that is back to run, or to say that its image is gone',
    async () => {
      jobs = await platform.gantryJson<JobView[]>('ps', '-a', 'deleted');
      return jobs.some(({ isHealthy, reason = '' }) => isHealthy || /image/.test(reason));
    },
    { timeoutMs: 120_000, seen: () => jobs },
  );
  await push('deleted');

  let unknown: Check | undefined;
  await waitFor(
    'doctor to name what was made since',
    async () => {
      const failed = await failedChecks();
      unknown = failed.find(({ message }) => message.includes('gantry-newer-web'));
      return unknown !== undefined;
    },
    { seen: () => unknown },
  );
  assert.match(unknown?.message ?? '', /leaves them alone/);
  assert.deepEqual(await platform.containers('hello'), before.hello);
  assert.deepEqual(await platform.containers('newer'), before.newer);

  await platform.gantry('cluster', 'backup', file);
  assert.equal((await machine.sh(`gantry cluster restore ${file} --yes`)).code, 0, 'again');
  assert.deepEqual(await platform.containers('hello'), before.hello);
  await platform.untilAnswers('hello');
});

test('the cluster is well again when what was left over is removed', {
  timeout: 240_000,
}, async () => {
  await machine.must(
    'docker ps -aq --filter label=gantry.app-name=newer | xargs -r docker rm -f; gantry delete -a deleted --yes',
  );
  let seen: unknown;
  await waitFor(
    'status and doctor to find nothing',
    async () => {
      const { stdout } = await platform.tryGantry('cluster', 'status', '--json');
      const view = JSON.parse(stdout) as ClusterView;
      const failed = await failedChecks();
      seen = { short: view.short, pending: view.pending, failed };
      return view.short.length + view.pending.length + failed.length === 0;
    },
    { timeoutMs: 180_000, seen: () => seen },
  );
});
