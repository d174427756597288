// What becomes of a deploy that does not work out, or that something else comes in the way of? The old release serves all
// the while, the reason is told where people look, and nothing is left behind.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectApi, failuresOf, LoadApp, MixedLoad, requestsOf } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();

describe('a deploy that fails', () => {
  let app: LoadApp;
  before(async () => {
    app = await LoadApp.create(platform, 'goesback', 2);
  });
  after(async () => {
    await app?.close();
  });

  /** Runs the action under load: no request may fail. The releases that answered. */
  async function underLoad(action: () => Promise<void>): Promise<string[]> {
    const load = new MixedLoad(platform.machine.address, app.name);
    try {
      await action();
    } finally {
      await load.stop();
    }
    const reports = await load.stop();
    assert.deepEqual(failuresOf(reports), []);
    assert.ok(requestsOf(reports) > 0);
    return Object.keys(load.take().answers).sort();
  }

  test('exits at once: rolled back, the command fails and says the exit code', async () => {
    const answered = await underLoad(async () => {
      const { code, stdout, stderr } = await platform.tryGantry(
        ...['env', 'set', '-a', app.name, 'BREAK=exit'],
      );
      assert.equal(code, 1, stdout + stderr);
      assert.match(stderr, /web\.\d failed 3 times: .*exit(ed with)?( code)? 7/);
    });
    assert.deepEqual(answered, ['v1']);
    const list = await platform.gantry('deployment', '-a', app.name);
    assert.match(list, /v1 -> v2 +failed .*web\.\d failed 3 times: .*7/);
    const { currentVersion } = await app.api.readApp(app.name);
    assert.equal(currentVersion, 1);
  });

  test('listens on another port: rolled back, and the reason names the port', async () => {
    const answered = await underLoad(async () => {
      const web = {
        entrypoint: ['node', '-e', "require('node:net').createServer().listen(9999)"],
        health: {
          type: 'tcp' as const,
          intervalMs: 1000,
          timeoutMs: 2000,
          startTimeoutMs: 2000,
          failures: 3,
        },
      };
      const ended = await app.untilEnded((await app.deploy(web)).id);
      assert.equal(ended.state, 'failed');
      assert.match(ended.reason ?? '', /not healthy on port 8080/);
    });
    assert.deepEqual(answered, ['v1']);
    const shown = await platform.gantry('deployment', 'show', '-a', app.name);
    assert.match(shown, /Reason .*not healthy on port 8080/);
  });

  test('a newer deploy comes before one that is failing, which says what became of it', async () => {
    let brokenVersion = 0;
    const answered = await underLoad(async () => {
      const broken = await app.setEnv('BREAK', 'exit');
      brokenVersion = broken.newVersion;
      await waitFor('the broken release to be tried', async () => {
        const jobs = await app.api.listJobs(app.name);
        return jobs.some(({ version, attempt }) => version === broken.newVersion && attempt > 1);
      });
      const { deployment: newer } = await app.api.changeEnv(app.name, { unset: ['BREAK'] });
      assert.ok(newer);
      const [first, second] = [await app.untilEnded(broken.id), await app.untilEnded(newer.id)];
      assert.ok(['superseded', 'failed'].includes(first.state), first.state);
      assert.match(first.reason ?? '', new RegExp(`v${newer.newVersion}`));
      assert.equal(second.state, 'complete', second.reason);
    });
    assert.ok(!answered.includes(`v${brokenVersion}`), answered.join());
  });

  test('a process that crashes again and again backs off, and ps says so', async () => {
    const worker = { entrypoint: ['node', '-e', 'setTimeout(() => process.exit(5), 8000)'] };
    const deployment = await app.deploy({}, { worker });
    await app.untilEnded(deployment.id);
    await app.api.scale(app.name, { worker: 1 });
    let seen = '';
    await waitFor(
      'ps to say when the worker starts again',
      async () => {
        seen = await platform.gantry('ps', '-a', app.name);
        return /worker\.1 +failed .*exit(ed with)?( code)? 5; restart [2-9] in \d+ s/.test(seen);
      },
      { timeoutMs: 120_000, seen: () => seen },
    );
    await app.api.scale(app.name, { worker: 0 });
  });

  test('a process that no machine has room for stays pending, and ps says what is missing', async () => {
    await platform.gantry('limit', 'set', '-a', app.name, 'worker', 'memory=8T');
    await platform.gantry('scale', '-a', app.name, '--no-wait', 'worker=1');
    let seen = '';
    await waitFor(
      'ps to say what is missing',
      async () => {
        seen = await platform.gantry('ps', '-a', app.name);
        return /worker\.1 +pending .*not enough memory: needs 8 TB, .* free on /.test(seen);
      },
      { seen: () => seen },
    );
  });

  test('deleted in the middle of a deploy, an app leaves nothing', async () => {
    const { id } = await app.api.readApp(app.name);
    await app.setEnv('ROUND', '1');
    await waitFor('the deploy to move', async () => {
      const jobs = await app.api.listJobs(app.name);
      return new Set(jobs.filter(({ type }) => type === 'web').map((job) => job.release)).size > 1;
    });
    await platform.gantry('delete', '-a', app.name, '--yes');
    let left: string[] = [];
    await waitFor(
      'everything of the app to be gone',
      async () => {
        left = await leftovers(id, app.name);
        return left.length === 0;
      },
      { timeoutMs: 60_000, seen: () => left },
    );
  });
});

describe('pushes', () => {
  const name = 'pushes';
  after(() => platform.deleteApp(name));

  test('of one app at once: the second is told so and changes nothing, the first completes', async () => {
    const first = platform.push(name, filesOf('slow'));
    const api = await connectApi(platform);
    await waitFor('the first push to be deployed', async () => {
      const jobs = await api.listJobs(name).catch(() => []);
      return jobs.some(({ type, state }) => type === 'web' && state === 'starting');
    });
    api.close();
    const second = await platform.machine.sh(
      `rm -rf /tmp/second && cp -r /tmp/push-${name} /tmp/second && cd /tmp/second && ${commit} &&
       git push gantry HEAD:main; code=$?; rm -rf /tmp/second; exit $code`,
    );
    assert.equal(second.code, 1, second.stderr);
    assert.match(second.stderr, /Another push of pushes has been under way for \d+ s/);
    const { code, stderr } = await first;
    assert.equal(code, 0, stderr);
    assert.equal((await platform.ask(name)).body, 'slow');
  });

  test('of a release that exits at once: git says why and fails, the old release serves', async () => {
    const { code, stderr } = await platform.push(name, filesOf('broken'));
    assert.equal(code, 1, stderr);
    assert.match(stderr, /web\.\d failed 3 times: .*exit(ed with)?( code)? 7/);
    assert.match(stderr, /remote rejected/);
    assert.equal((await platform.ask(name)).body, 'slow');
    const again = await platform.push(name, filesOf('mended'));
    assert.equal(again.code, 0, again.stderr);
    assert.equal((await platform.ask(name)).body, 'mended');
  });

  test('are forgotten with the app: no image, no mark that keeps one', async () => {
    const { machine } = platform;
    const listed = await machine.must(`docker images -q --no-trunc gantry/app-${name}`);
    const ids = listed.split('\n').filter(Boolean);
    assert.ok(ids.length >= 2);
    const { id } = await platform.gantryJson<{ id: string }>('info', '-a', name);
    await platform.gantry('delete', '-a', name, '--yes');
    const list = 'http://x/store/list?prefix=images/kept/';
    const curl = `curl -sS --unix-socket /var/lib/gantry/run/host.sock '${list}'`;
    const left = async () => {
      const marks = await machine.must(curl);
      // The record of a build stays for an hour, for whoever asks how it went.
      const others = (await leftovers(id, name)).filter(
        (key) => !key.includes('scheduler/claims/'),
      );
      return [...ids.filter((image) => marks.includes(image)), ...others];
    };
    let seen: string[] = [];
    const isGone = async () => {
      seen = await left();
      return seen.length === 0;
    };
    await waitFor('all of it to be gone', isGone, { timeoutMs: 60_000, seen: () => seen });
  });
});

const commit = 'git -c user.name=t -c user.email=t@localhost commit -qm second --allow-empty';

/** A web process by how it starts: `slow` listens after a while, `broken` exits. */
function filesOf(start: string): Record<string, string> {
  const answer = `require('node:http').createServer((_, response) => response.end('${start}'))`;
  const listen = `${answer}.listen(process.env.PORT)`;
  const starts: Record<string, string> = {
    slow: `setTimeout(() => ${listen}, 8000)`,
    broken: 'process.exit(7)',
  };
  return {
    'package.json': JSON.stringify({ name: 'pushes', version: '1.0.0', private: true }),
    Procfile: 'web: node server.js\n',
    'server.js': `${starts[start] ?? listen};\nprocess.once('SIGTERM', () => process.exit(0));\n`,
  };
}

/** What there is of an app: containers that run, its network, its keys in the store, its routes in HAProxy's files. */
async function leftovers(id: string, name: string): Promise<string[]> {
  const { machine } = platform;
  const text = await machine.must(`
    docker ps --filter label=gantry.app=${id} --format 'container {{.Names}} {{.Status}}'
    docker network ls --filter name=gantry-${name} --format 'network {{.Name}}'
    for prefix in controller scheduler host network images router discovery; do
      curl -sS --unix-socket /var/lib/gantry/run/host.sock "http://x/store/list?prefix=$prefix/" |
        grep -oE '"key":"[^"]*(${id}|[./]${name})[^"]*"'
    done
    grep -s '${name}\\.gantry' /var/lib/gantry/proxy/maps/routes.map
    true`);
  return text.split('\n').filter(Boolean);
}
