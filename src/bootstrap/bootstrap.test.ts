// What script/up decides: options, the plan for app gantry, how its two containers are made, which certificate serves.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createMemoryStore } from '#layer0/store/fake';
import type { App, Release } from '#layer1/controller/wire';
import type { Route } from '#layer1/router/wire';
import { run } from './command.ts';
import { dnsPlan, hostPlan } from './containers.ts';
import { missingRoutes, type SeenRoutes } from './domain.ts';
import { aMachine } from './fake.ts';
import { planInstall, type Seen, specsOf } from './install.ts';
import { chooseMachine, readMachine, writeMachine } from './machine-file.ts';
import { parseDown, parseUp } from './options.ts';
import { mergeSettings } from './settings.ts';
import { hashOf } from './source-hash.ts';
import { systemAppId, systemProcesses } from './system-app.ts';
import { ensureCliConfig, forgetMachine, installCommand, removeCommand } from './user.ts';
import { waitForDeployment } from './wait.ts';

const machine = aMachine();

function processes(image = 'sha256:one') {
  const context = { machine, image, stackImage: 'sha256:stack', engineDataRoot: '/var/lib/docker' };
  return systemProcesses({ ...context, sealedInternalKey: 'v1.sealed' });
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-bootstrap-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('the options of script/up', () => {
  test('have defaults, and each one is read', () => {
    assert.deepEqual(parseUp([]), { home: '/var/lib/gantry', isBare: false });
    const all = [
      '--bare',
      '--domain',
      'Apps.Example.com',
      '--http-port',
      '8080',
      '--https-port',
      '8443',
      '--home',
      '/srv/g',
    ];
    assert.deepEqual(parseUp([...all, '--cert', 'c.pem', '--key', 'k.pem', '--ca', 'a.pem']), {
      home: '/srv/g',
      isBare: true,
      domain: 'apps.example.com',
      httpPort: 8080,
      httpsPort: 8443,
      certificateFile: 'c.pem',
      keyFile: 'k.pem',
      caFile: 'a.pem',
    });
    assert.equal(parseUp(['--help']), undefined);
    assert.deepEqual(parseDown(['--yes']), { home: '/var/lib/gantry', isYes: true });
  });

  test('that are wrong end with a sentence that says which', () => {
    assert.throws(
      () => parseUp(['--domain', 'no spaces here']),
      /no spaces here is not a domain name/,
    );
    assert.throws(() => parseUp(['--http-port', '0']), /--http-port 0 is not a port/);
    assert.throws(() => parseUp(['--cert', 'c.pem']), /--cert and --key go together/);
    const both = ['--join', 'x', '--restore', 'f'];
    assert.throws(() => parseUp(both), /--join and --restore do not go together/);
    assert.throws(() => parseUp(['--ca', 'a.pem']), /--ca is the authority of --cert/);
    const set = (text: string) => () => parseUp(['--set', text]);
    assert.throws(set('GANTRY_BUILD_TIMEOUT_MS'), /say NAME=VALUE, or NAME= for the default/);
    assert.throws(set('GANTRY_BUILD_TIMEOUT=5'), /there is no such setting.*configuration\.md/);
    assert.throws(set('GANTRY_DOMAIN=x.example.com'), /script\/up sets it itself/);
    assert.throws(set('GANTRY_INTERNAL_KEY=mine'), /script\/up sets it itself/);
    assert.throws(set('GANTRY_BUILD_TIMEOUT_MS=5'), /is not a whole number from 1000 to/);
    assert.throws(() => parseUp(['--frobnicate']), /--frobnicate.*see --help/);
  });
});

describe('the plan for app gantry', () => {
  const release = (version: number, image: string): Release => ({
    id: `rel-${version}`,
    app: systemAppId,
    version,
    sealedEnv: {},
    processes: {},
    systemSpecs: specsOf(processes(image)),
    description: '',
    createdBy: 'script/up',
    createdAt: 0,
  });
  const seen = (current: string | undefined, change: Partial<Seen> = {}): Seen => ({
    app: {
      id: systemAppId,
      name: 'gantry',
      strategy: 'one-by-one',
      batchSize: 1,
      ...(current ? { currentRelease: current } : {}),
      quantities: {},
      limits: {},
      isSystem: true,
      isDeleting: false,
      createdAt: 0,
    },
    releases: [release(1, 'sha256:one')],
    formations: [
      {
        app: systemAppId,
        appName: 'gantry',
        release: 'rel-1',
        releaseVersion: 1,
        priority: 1000,
        processes: {},
      },
    ],
    hasController: true,
    ...change,
  });

  test('is to install into an empty store', () => {
    assert.deepEqual(
      planInstall(
        { app: undefined, releases: [], formations: [], hasController: false },
        processes(),
      ),
      {
        kind: 'install',
      },
    );
  });

  test('is nothing when this very version runs', () => {
    assert.deepEqual(planInstall(seen('rel-1'), processes()), { kind: 'nothing' });
  });

  test('is a deployment for another version', () => {
    assert.deepEqual(planInstall(seen('rel-1'), processes('sha256:two')), {
      kind: 'deploy',
      version: 2,
    });
  });

  test('is to put the formation back when no controller is there to deploy, also for the same version', () => {
    const dead = { hasController: false };
    assert.deepEqual(planInstall(seen('rel-1', dead), processes('sha256:two')), {
      kind: 'restore',
      version: 2,
    });
    assert.deepEqual(planInstall(seen('rel-1', dead), processes()), {
      kind: 'restore',
      version: 2,
    });
  });

  test('is a deployment when a release that failed is the newest one', () => {
    const releases = [release(1, 'sha256:one'), release(2, 'sha256:broken')];
    assert.deepEqual(planInstall(seen('rel-1', { releases }), processes('sha256:three')), {
      kind: 'deploy',
      version: 3,
    });
    assert.deepEqual(planInstall(seen('rel-1', { releases }), processes()), { kind: 'nothing' });
  });
});

describe('the containers outside of app gantry', () => {
  test('have the rights they need and no more, and find the engine by its folder', () => {
    const { binds, command, capabilities } = hostPlan(machine, 'gantry/system:1', 'v');
    assert.deepEqual(command, ['node', 'bin/gantry-host.ts']);
    assert.deepEqual(binds, [
      '/var/lib/gantry:/var/lib/gantry',
      '/run:/gantry/engine',
      '/run/gantry:/run/gantry',
    ]);
    assert.ok(capabilities.includes('NET_ADMIN') && !capabilities.includes('SYS_ADMIN'));
    const dns = dnsPlan(machine, 'gantry/system:1');
    assert.deepEqual(dns.binds, [
      '/var/lib/gantry/dns:/var/lib/gantry/dns:ro',
      '/run/gantry:/run/gantry:ro',
    ]);
    assert.deepEqual(dns.capabilities, ['NET_BIND_SERVICE', 'KILL']);
  });

  test('have more memory for garbage than the processes that mostly wait', () => {
    for (const { env } of [hostPlan(machine, 'i', 'v'), dnsPlan(machine, 'i')])
      assert.equal(env.NODE_OPTIONS, '--max-semi-space-size=16');
  });

  test('are upgraded by hand where script/up is run, and by themselves where a machine joined', () => {
    const joined = { ...machine, storeHost: 'host-0' };
    assert.equal(hostPlan(machine, 'i', 'v').env.GANTRY_UPGRADED_BY, 'hand');
    assert.equal(hostPlan(joined, 'i', 'v').env.GANTRY_UPGRADED_BY, undefined);
  });

  test('are not taken for jobs: they lack the label of the cluster', () => {
    assert.equal(hostPlan(machine, 'i', 'v').labels['gantry.cluster'], undefined);
  });
});

describe('system processes', () => {
  test('run each in a container of its own, on loopback, with the rights they need', () => {
    const all = processes();
    assert.deepEqual(Object.keys(all).sort(), [
      'controller',
      'git-receiver',
      'logs',
      'proxy',
      'router',
    ]);
    for (const [type, { spec }] of Object.entries(all)) {
      assert.equal(spec.network, 'host', type);
      assert.deepEqual(spec.capabilities, type === 'proxy' ? ['NET_BIND_SERVICE'] : []);
      assert(
        !spec.mounts.some(({ hostPath }) => hostPath?.endsWith('.sock')),
        'folders are mounted, never sockets',
      );
    }
    assert(all.proxy?.isOnePerHost && all.router?.isOnePerHost && all.logs?.isOnePerHost);
  });
});

describe('settings that are chosen', () => {
  const chosen = { GANTRY_BUILD_TIMEOUT_MS: '60000', GANTRY_HOST_LOSS_GRACE_MS: '9000' };

  test('reach the processes that read them, and no others', () => {
    assert.deepEqual(parseUp(['--set', 'GANTRY_BUILD_TIMEOUT_MS=60000'])?.settings, {
      GANTRY_BUILD_TIMEOUT_MS: '60000',
    });
    const context = {
      machine: { ...machine, settings: chosen },
      engineDataRoot: '/var/lib/docker',
    };
    const all = systemProcesses({
      ...context,
      image: 'sha256:one',
      stackImage: 'sha256:stack',
      sealedInternalKey: 'v1.sealed',
    });
    const { env = {} } = all.controller?.spec ?? {};
    assert.equal(env.GANTRY_BUILD_TIMEOUT_MS, '60000');
    assert.equal(env.GANTRY_HOST_LOSS_GRACE_MS, undefined);
    const daemon = hostPlan(context.machine, 'gantry/system', 'v');
    assert.equal(daemon.env.GANTRY_HOST_LOSS_GRACE_MS, '9000');
    assert.equal(daemon.env.GANTRY_BUILD_TIMEOUT_MS, undefined);
  });

  test('say how long a HAProxy that is replaced may finish what it has', () => {
    const graceMs = (settings?: Record<string, string>) =>
      systemProcesses({
        machine: settings ? { ...machine, settings } : machine,
        engineDataRoot: '/var/lib/docker',
        image: 'sha256:one',
        stackImage: 'sha256:stack',
        sealedInternalKey: 'v1.sealed',
      }).proxy?.spec.stopGraceMs;
    assert.equal(graceMs(), 60_000);
    assert.equal(graceMs({ GANTRY_PROXY_GRACE_MS: '1800000' }), 1_800_000);
  });

  test('stay until they are taken back, and leave nothing behind', () => {
    assert.deepEqual(mergeSettings(chosen, { GANTRY_BUILD_TIMEOUT_MS: '' }), {
      GANTRY_HOST_LOSS_GRACE_MS: '9000',
    });
    assert.deepEqual(mergeSettings(chosen), chosen);
    assert.equal(mergeSettings({}, { GANTRY_BUILD_TIMEOUT_MS: '' }), undefined);
  });
});

describe('the machine file', () => {
  test('is written whole and keeps what was chosen until an option says otherwise', async () => {
    await inFolder(async (home) => {
      await writeMachine({ ...machine, home });
      assert.deepEqual(await readMachine(home), { ...machine, home });
      await writeFile(join(home, 'host.json'), '{"half":');
      await assert.rejects(readMachine(home));
      assert.equal(await readMachine(join(home, 'nothing')), undefined);
    });
  });

  test('chooses a port that is free when 80 is taken', {
    skip: !hasEngineSocket() && 'no engine here',
  }, async () => {
    await inFolder(async (home) => {
      const chosen = await chooseMachine({
        home,
        isBare: true,
        httpPort: 8099,
        domain: 'apps.example.com',
      });
      assert.equal(chosen.httpPort, 8099);
      assert.equal(chosen.isTls, true);
      assert.match(chosen.hostId, /^host-/);
    });
  });
});

function hasEngineSocket(): boolean {
  return (
    process.getuid?.() === 0 && process.platform === 'linux' && existsSync('/var/run/docker.sock')
  );
}

describe('another domain', () => {
  const app = (name: string, more: Partial<App> = {}) =>
    ({ id: `app-${name}`, name, isSystem: false, isDeleting: false, ...more }) as App;
  const route = (owner: string, domain: string, path?: string) =>
    ({ type: 'http', app: `app-${owner}`, domain, ...(path ? { path } : {}) }) as Route;
  const other = { ...machine, domain: 'apps.example.com', isTls: true };
  const domain = machine.domain;
  const missing = (seen: SeenRoutes, wanted = other) =>
    missingRoutes(seen, wanted, 1).map((one) => [one.service, one.domain, one.redirectsToHttps]);
  const ofSystem = [
    ['controller.gantry', 'api.apps.example.com', true],
    ['git-receiver.gantry', 'git.apps.example.com', true],
  ];

  test('gives API, git and the apps that answer at their name a route below it', () => {
    const apps = [app('shop'), app('hidden'), app('going', { isDeleting: true })];
    const routes = [
      route('shop', 'shop.gantry.localhost'),
      route('hidden', 'hidden.gantry.localhost', '/only'),
      route('going', 'going.gantry.localhost'),
    ];
    assert.deepEqual(missing({ apps, routes, domain }), [
      ...ofSystem,
      ['web.shop', 'shop.apps.example.com', false],
    ]);
  });

  test('takes no name that somebody has, and gives nothing twice', () => {
    const routes = [route('shop', 'shop.gantry.localhost'), route('blog', 'shop.apps.example.com')];
    assert.deepEqual(missing({ apps: [app('shop')], routes, domain }), ofSystem);
    const all = missingRoutes({ apps: [app('shop')], routes, domain }, other, 1);
    assert.deepEqual(missing({ apps: [app('shop')], routes: [...routes, ...all], domain }), []);
  });

  test('that is the same one brings back nothing that people removed', () => {
    const routes = [route('gantry', `api.${domain}`), route('gantry', `git.${domain}`)];
    assert.deepEqual(missing({ apps: [app('shop')], routes, domain }, machine), []);
  });
});

test('the command-line tool gets a token that the store knows only by its hash, and keeps it', async () => {
  await inFolder(async (home) => {
    const store = createMemoryStore();
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const person = { name: 'ann', home, uid, gid };
    const first = await ensureCliConfig(person, machine, store);
    assert.equal(first.url, 'http://api.gantry.localhost');
    assert.match(first.token, /^gantry_/);
    const stored = JSON.stringify((await store.list('')).entries);
    assert(!stored.includes(first.token));
    assert.deepEqual(await ensureCliConfig(person, machine, store), first);
    assert.equal((await stat(join(home, '.config/gantry/config.json'))).mode & 0o777, 0o600);
    assert.equal(first.caFile, undefined);
    const trusting = await ensureCliConfig(person, machine, store, 'PEM of an authority');
    assert.equal(await readFile(trusting.caFile ?? '', 'utf8'), 'PEM of an authority');
    assert.deepEqual(await ensureCliConfig(person, machine, store), first);
    // Another platform on this machine: its store does not know the token.
    const second = await ensureCliConfig(person, machine, createMemoryStore());
    assert.notEqual(second.token, first.token);
  });
});

test('script/down takes its own cluster out of the configuration, and its own command from the path', async () => {
  await inFolder(async (home) => {
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    const person = { name: 'ann', home, uid, gid };
    const path = join(home, '.config/gantry/config.json');
    // Once it had another domain: that name is an entry of its own.
    const former = { ...machine, domain: 'apps.example.com' };
    for (const each of [former, machine])
      await ensureCliConfig(person, each, createMemoryStore(), 'PEM');
    const config = JSON.parse(await readFile(path, 'utf8'));
    const elsewhere = { url: 'https://api.team.example', domain: 'team.example', token: 'x' };
    config.clusters['team.example'] = elsewhere;
    await writeFile(path, JSON.stringify(config));
    await forgetMachine(person);
    const left = JSON.parse(await readFile(path, 'utf8'));
    assert.deepEqual(left, { current: 'team.example', clusters: { 'team.example': elsewhere } });
    assert(!existsSync(join(home, '.config/gantry/apps.example.com.ca.pem')));
    await writeFile(path, JSON.stringify({ current: machine.domain, clusters: {} }));
    await ensureCliConfig(person, machine, createMemoryStore());
    await forgetMachine(person);
    assert(!existsSync(join(home, '.config/gantry')));
    const command = join(home, 'gantry');
    await installCommand('/opt/checkout', command);
    await removeCommand(command);
    assert(!existsSync(command));
    await writeFile(command, 'another program of that name');
    await removeCommand(command);
    assert(existsSync(command));
  });
});

test('the hash of sources changes with a file, its name and its place, and not with a test', async () => {
  await inFolder(async (folder) => {
    await mkdir(join(folder, 'src'));
    await writeFile(join(folder, 'src/a.ts'), 'one');
    const first = await hashOf(folder, ['src']);
    await writeFile(join(folder, 'src/a.test.ts'), 'a test');
    assert.equal(await hashOf(folder, ['src']), first);
    await writeFile(join(folder, 'src/a.ts'), 'two');
    assert.notEqual(await hashOf(folder, ['src']), first);
  });
});

test('a program that fails says how it was called and what it said', async () => {
  await assert.rejects(run('sh', ['-c', 'echo why >&2; exit 3']), /sh -c echo why.*: exit 3\nwhy/s);
  await assert.rejects(run('no-such-program', []), /no-such-program could not be started/);
});

describe('following a deployment of the platform', () => {
  const key = 'controller/deployments/app-gantry/dep-1';
  const put = (store: ReturnType<typeof createMemoryStore>, at: string, value: unknown) =>
    store.txn({ compare: [], operations: [{ put: at, value }] });

  test('ends when nobody is left to roll it out', async () => {
    const store = createMemoryStore();
    await put(store, key, { state: 'pending' });
    assert.equal(await waitForDeployment(store, 'dep-1', () => undefined, 0), false);
  });

  test('goes on with a leader that was away for a moment', async () => {
    const store = createMemoryStore();
    await put(store, key, { state: 'pending' });
    const states: string[] = [];
    const ended = waitForDeployment(store, 'dep-1', (state) => states.push(state));
    while (states.length === 0) await new Promise(setImmediate);
    await put(store, 'elections/controller/deployments', {});
    await put(store, key, { state: 'complete' });
    assert.equal(await ended, true);
  });

  test('ends with the reason when it failed, and well when it is complete', async () => {
    const store = createMemoryStore();
    await put(store, 'elections/controller/deployments', {});
    await put(store, key, { state: 'failed', reason: 'router.1 exited with 1' });
    await assert.rejects(
      waitForDeployment(store, 'dep-1', () => undefined),
      /rolled back: router.1/,
    );
    await put(store, key, { state: 'complete' });
    assert.equal(await waitForDeployment(store, 'dep-1', () => undefined), true);
  });
});
