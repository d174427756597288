// Commands that change something: what is sent, what is said meanwhile, and with what the shell goes on.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Deployment, JobView, Released, ReleaseView } from '#layer1/controller/client';
import type { Input } from './io.ts';
import { FakeApi, lines, now, sendError, TestHome, token } from './test-bed.ts';

const deployment: Deployment = {
  id: 'dep-2',
  app: 'app-1',
  newRelease: 'rel-2',
  newVersion: 2,
  strategy: 'one-by-one',
  batchSize: 1,
  state: 'pending',
  createdAt: now,
  progressAt: now,
};
const release: ReleaseView = {
  id: 'rel-2',
  version: 2,
  env: {},
  processes: {},
  description: 'Set A',
  createdBy: 'ada',
  createdAt: now,
  isCurrent: false,
};
const released: Released = { release, deployment };
const app = {
  id: 'app-1',
  name: 'shop',
  currentVersion: 1,
  urls: ['http://shop.gantry.localhost/'],
  defaultLimits: { memoryBytes: 512 * 1024 ** 2, cpuMillis: 1000, pids: 512 },
  limits: {},
};
const stream = '/apps/shop/deployments/dep-2/stream';
const steps = [
  { type: 'line', text: 'v2 is rolled out in place of v1, one-by-one' },
  { type: 'line', text: 'web.2 is up (1/1)' },
];
const live = {
  type: 'result',
  release: 2,
  deployment: 'dep-2',
  url: 'http://shop.gantry.localhost/',
};
const rolledBack = {
  type: 'error',
  error: {
    code: 'controller.deploymentFailed',
    message: 'v2 was rolled back: web.2 exited with 1 three times; v1 runs',
    retry: false,
  },
};
const progress = `  v2 is rolled out in place of v1, one-by-one
  web.2 is up (1/1)
`;

let api: FakeApi;
let home: TestHome;
beforeEach(async () => {
  api = await FakeApi.start();
  home = new TestHome(api);
  api.on('GET /apps/shop', app).on(`GET ${stream}`, lines(...steps, live));
});
afterEach(async () => {
  home.remove();
  await api.stop();
});

function git(folder: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' }).trim();
}

function aRepository(name: string): string {
  const folder = join(home.folder, name);
  mkdirSync(folder);
  git(folder, 'init', '-q', '-b', 'trunk');
  return folder;
}

test('create in a repository names the app after the folder, adds the remote and the way to log in', async () => {
  api.on('POST /apps', { ...app, name: 'my-shop' });
  const cwd = aRepository('My Shop');
  const { code, stdout } = await home.gantry(['create'], { cwd });
  const url = `${api.gitUrl}/my-shop.git`;
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `App my-shop is there; it will answer at http://shop.gantry.localhost/
Remote gantry is ${url}; deploy with: git push gantry trunk
`,
  );
  assert.deepEqual(api.bodies('POST /apps'), [{ name: 'my-shop' }]);
  assert.equal(git(cwd, 'remote', 'get-url', 'gantry'), url);
  assert.equal(
    git(cwd, 'config', '--local', `credential.${api.gitUrl}.helper`),
    '!gantry git-credentials',
  );
});

test('create lets git trust the authority of the cluster', async () => {
  const caFile = join(home.folder, 'ca.pem');
  writeFileSync(caFile, 'not used over plain HTTP');
  const config = JSON.parse(readFileSync(home.configFile, 'utf8'));
  config.clusters.local.caFile = caFile;
  home.writeConfig(config);
  api.on('POST /apps', app);
  const cwd = aRepository('shop');
  assert.equal((await home.gantry(['create'], { cwd })).code, 0);
  assert.equal(git(cwd, 'config', '--local', `http.${api.gitUrl}.sslCAInfo`), caFile);
});

test('create leaves a remote of somebody else as it is, and says how to change it', async () => {
  api.on('POST /apps', app);
  const cwd = aRepository('shop');
  git(cwd, 'remote', 'add', 'gantry', 'http://example.com/x.git');
  const { code, stderr } = await home.gantry(['create', 'shop'], { cwd });
  assert.equal(code, 0);
  assert.match(
    stderr,
    /remote gantry is http:\/\/example.com\/x.git and stays so; `git remote set-url/,
  );
  assert.equal(git(cwd, 'remote', 'get-url', 'gantry'), 'http://example.com/x.git');
});

test('create outside of a repository needs a name, and says how to add the remote', async () => {
  const { code, stderr } = await home.gantry(['create']);
  assert.deepEqual([code, api.calls.length], [2, 0]);
  assert.match(stderr, /say what the app is called: gantry create NAME/);
  api.on('POST /apps', app);
  const { stdout } = await home.gantry(['create', 'shop']);
  assert.ok(stdout.includes(`  git remote add gantry ${api.gitUrl}/shop.git\n`), stdout);
  assert.ok(stdout.includes("'!gantry git-credentials'"), stdout);
});

test('the app comes from -a, else from the remote, else from GANTRY_APP, else the command is refused', async () => {
  const cwd = aRepository('shop');
  const jobsOf = async (words: string[], env = {}) => {
    const { code, stderr } = await home.gantry(['ps', '--json', ...words], { cwd, env });
    return code === 2 ? stderr : api.calls.at(-1)?.path;
  };
  for (const name of ['a', 'b', 'c']) api.on(`GET /apps/${name}/jobs`, { items: [] });
  assert.match(String(await jobsOf([])), /no app: say -a APP, set GANTRY_APP/);
  assert.equal(await jobsOf([], { GANTRY_APP: 'c' }), '/apps/c/jobs');
  git(cwd, 'remote', 'add', 'gantry', `${api.gitUrl}/b.git`);
  assert.equal(await jobsOf([], { GANTRY_APP: 'c' }), '/apps/b/jobs');
  assert.equal(await jobsOf(['-a', 'a'], { GANTRY_APP: 'c' }), '/apps/a/jobs');
});

test('a remote of a cluster that is not known is not mistaken for the app of that name here', async () => {
  const cwd = aRepository('shop');
  git(cwd, 'remote', 'add', 'gantry', 'https://git.elsewhere.example.com/shop.git');
  const { code, stderr } = await home.gantry(['ps'], { cwd });
  assert.deepEqual([code, api.calls.length], [2, 0]);
  assert.match(stderr, /which is no git host of local; say -a APP, or `gantry login` there/);
});

test('env set sends the values, and follows the rollout to its end', async () => {
  api.on('PATCH /apps/shop/env', released);
  const { code, stdout, stderr } = await home.gantry(['env', 'set', 'A=x=y', 'B=', '-a', 'shop']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(api.bodies('PATCH /apps/shop/env'), [{ set: { A: 'x=y', B: '' } }]);
  assert.equal(stdout, `shop v2: Set A\n${progress}v2 is live at http://shop.gantry.localhost/\n`);
});

test('a rollout that fails ends the command with 1 and the reason', async () => {
  api.on('PATCH /apps/shop/env', released).on(`GET ${stream}`, lines(...steps, rolledBack));
  const { code, stderr } = await home.gantry(['env:set', 'A=1', '-a', 'shop']);
  assert.equal(code, 1);
  assert.equal(stderr, `gantry: ${rolledBack.error.message}\n`);
});

test('a rollout is followed over a restart of the API, and nothing is said twice', async () => {
  let call = 0;
  api
    .on('PATCH /apps/shop/env', released)
    .on(`GET ${stream}`, (...args: Parameters<ReturnType<typeof lines>>) => {
      call++;
      if (call === 1) return lines(...steps)(...args);
      if (call === 2) return sendError(args[1], 503, { code: 'core.unreachable', message: 'gone' });
      return lines(
        ...steps,
        { type: 'line', text: 'web.1 of the old release stops' },
        live,
      )(...args);
    });
  const { code, stdout, stderr } = await home.gantry(['env', 'unset', 'A', '-a', 'shop']);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `shop v2: Set A\n${progress}  web.1 of the old release stops\nv2 is live at http://shop.gantry.localhost/\n`,
  );
  assert.equal(
    stderr,
    '-- connection lost; the rollout goes on, trying again --\n-- connected again --\n',
  );
});

test('Ctrl-C leaves a rollout to itself, says so and ends with 130', async () => {
  let send: (name: 'SIGINT') => void = () => undefined;
  api
    .on('PATCH /apps/shop/env', released)
    .on(`GET ${stream}`, (_call: unknown, response: import('node:http').ServerResponse) => {
      response.writeHead(200).write(`${JSON.stringify(steps[0])}\n`);
      setTimeout(() => send('SIGINT'), 20);
      return new Promise(() => undefined);
    });
  const { code, stderr } = await home.gantry(['env', 'set', 'A=1', '-a', 'shop'], {
    onStart(sender) {
      send = sender;
    },
  });
  assert.equal(code, 130);
  assert.equal(stderr, 'v2 goes on; see gantry deployment show dep-2 -a shop -f\n');
});

test('config of an app without code says that there is nothing to run yet', async () => {
  api.on('PATCH /apps/shop/env', { release });
  const { code, stdout } = await home.gantry(['env', 'set', 'A=1', '-a', 'shop']);
  assert.equal(code, 0);
  assert.match(stdout, /nothing to run yet/);
});

test('a secret is read from standard input, and never repeated in a message', async () => {
  api.on('PATCH /apps/shop/env', { release });
  const words = ['env', 'set', '--stdin', 'KEY', '-a', 'shop'];
  await home.gantry(words, { stdin: 'line 1\nline 2\n' });
  assert.deepEqual(api.bodies('PATCH /apps/shop/env'), [{ set: { KEY: 'line 1\nline 2' } }]);
  const { code, stderr } = await home.gantry(['env', 'unset', 'KEY=s3cret', '-a', 'shop']);
  assert.equal(code, 2);
  assert.doesNotMatch(stderr, /s3cret/);
});

test('deploy sends an image, with a key that makes a second try harmless', async () => {
  api.on('POST /apps/shop/deploy', released);
  const { code } = await home.gantry([
    'deploy',
    '--image',
    'acme/shop:2',
    '--port',
    '80',
    '-a',
    'shop',
  ]);
  assert.equal(code, 0);
  assert.deepEqual(api.bodies('POST /apps/shop/deploy'), [
    { image: 'acme/shop:2', processes: { web: { port: 80 } } },
  ]);
  const call = api.calls.find(({ path }) => path === '/apps/shop/deploy');
  assert.match(String(call?.headers['idempotency-key']), /^req-/);
});

test('deploy --image - imports what docker save wrote and deploys it', async () => {
  api
    .on('POST /images', { images: [{ id: 'sha256:1', tags: ['acme/shop:2'] }] })
    .on('POST /apps/shop/deploy', released);
  const words = ['deploy', '--image', '-', '-a', 'shop', '--no-wait'];
  const { code, stdout } = await home.gantry(words, { stdin: 'the tar' });
  assert.equal(code, 0);
  assert.match(stdout, /^Imported acme\/shop:2\nshop v2: /);
  assert.deepEqual(api.bodies('POST /images'), ['the tar']);
  assert.deepEqual(api.bodies('POST /apps/shop/deploy'), [{ image: 'sha256:1' }]);
});

test('deploy to an app that is not there says so before anything is uploaded', async () => {
  api.on('GET /apps/nope', (_call: unknown, response: import('node:http').ServerResponse) =>
    sendError(response, 404, {
      code: 'controller.appNotFound',
      message: 'there is no app named nope; `gantry apps` lists them',
    }),
  );
  const { code, stderr } = await home.gantry(['deploy', '--image', '-', '-a', 'nope']);
  assert.equal(code, 3);
  assert.equal(stderr, 'gantry: there is no app named nope; `gantry apps` lists them\n');
  assert.equal(api.bodies('POST /images').length, 0);
});

test('deploy without saying what, or with both, is refused', async () => {
  for (const words of [['deploy'], ['deploy', '--image', 'x', '--release', 'v1']]) {
    const { code, stderr } = await home.gantry([...words, '-a', 'shop']);
    assert.equal(code, 2);
    assert.match(stderr, /say what to deploy: --image REF, or --release VERSION/);
  }
});

test('rollback goes to the last good release, or to the one that is named', async () => {
  api.on('POST /apps/shop/rollback', released);
  await home.gantry(['rollback', '-a', 'shop']);
  await home.gantry(['releases:rollback', 'v4', '-a', 'shop']);
  assert.deepEqual(api.bodies('POST /apps/shop/rollback'), [{}, { version: 4 }]);
  assert.equal((await home.gantry(['rollback', 'latest', '-a', 'shop'])).code, 2);
});

function aJob(name: string, state: JobView['state'], reason?: string): JobView {
  const type = name.split('.')[0] ?? '';
  const own = { id: name, name, type, kind: 'service' as const };
  const base = { ...own, release: 'rel-1', version: 1, attempt: 1, createdAt: now };
  return { ...base, state, isHealthy: state === 'up', ...(reason === undefined ? {} : { reason }) };
}

test('scale waits until all of it is up, and says what happens meanwhile', async () => {
  const looks = [
    [aJob('web.1', 'up')],
    [aJob('web.1', 'up'), aJob('web.2', 'pending', 'no host has 1 GiB free')],
    [aJob('web.1', 'up'), aJob('web.2', 'starting', 'starting')],
    [aJob('web.1', 'up'), aJob('web.2', 'up')],
  ];
  let look = 0;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  api
    .on('GET /apps/shop/jobs', () => {
      const items = looks[Math.min(look++, looks.length - 1)];
      if (look > looks.length) finish();
      return { items };
    })
    .on('PATCH /apps/shop/formation', async ({ query }: { query: Record<string, string> }) => {
      if (query.wait === 'true') await done;
      return { quantities: { web: 2 } };
    });
  const { code, stdout } = await home.gantry(['scale', 'web=2', '-a', 'shop']);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `shop: web=2
  web.2 pending: no host has 1 GiB free
  web.2 starting
  web.2 up
`,
  );
  assert.deepEqual(api.bodies('PATCH /apps/shop/formation').at(-1), { quantities: { web: 2 } });
});

test('scale that is no TYPE=N is refused before anything is asked', async () => {
  for (const word of ['web', 'web=', 'web=-1', 'web=x', '=3', 'Web=1'])
    assert.equal((await home.gantry(['scale', word, '-a', 'shop'])).code, 2);
  assert.equal(api.calls.length, 0);
});

test('delete without a terminal refuses, and with --yes waits until all is gone', async () => {
  const refused = await home.gantry(['delete', '-a', 'shop']);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /without a terminal to ask at, say --yes/);
  assert.equal(api.bodies('DELETE /apps/shop').length, 0);
  let left = 3;
  api.on('DELETE /apps/shop', app);
  api.on('GET /apps/shop', (_call: unknown, response: import('node:http').ServerResponse) =>
    left-- > 0
      ? app
      : sendError(response, 404, { code: 'controller.appNotFound', message: 'it is gone' }),
  );
  const { code, stdout } = await home.gantry(['delete', '-a', 'shop', '-y']);
  assert.deepEqual([code, stdout], [0, 'shop is deleted\n']);
});

test('delete at a terminal wants the name typed', async () => {
  const { PassThrough } = await import('node:stream');
  const stdin = new PassThrough() as Input;
  stdin.push('shoo\n');
  const { code, stderr } = await home.gantry(['delete', '-a', 'shop'], { stdin, isTty: true });
  assert.equal(code, 2);
  assert.match(stderr, /that is not shop; nothing was deleted/);
  assert.equal(api.bodies('DELETE /apps/shop').length, 0);
});

test('kill takes a signal in any spelling', async () => {
  api.on('DELETE /apps/shop/jobs/web.1', aJob('web.1', 'up'));
  const { stdout } = await home.gantry(['kill', 'web.1', '-s', 'kill', '-a', 'shop']);
  assert.equal(stdout, 'web.1 of shop got SIGKILL; it is started again when it ends\n');
  assert.deepEqual(api.calls.at(-1)?.query, { signal: 'SIGKILL' });
});

test('strategy sends the name and the size of a batch, and refuses what is none', async () => {
  api.on('PATCH /apps/shop', { ...app, strategy: 'in-batches', batchSize: 3 });
  const { stdout } = await home.gantry(['strategy', 'in-batches=3', '-a', 'shop']);
  assert.equal(stdout, 'shop: in-batches=3\n');
  assert.deepEqual(api.bodies('PATCH /apps/shop'), [{ strategy: 'in-batches', batchSize: 3 }]);
  for (const wrong of ['canary', 'one-by-one=2', 'in-batches=0'])
    assert.equal((await home.gantry(['strategy', wrong, '-a', 'shop'])).code, 2);
});

test('placement set takes ports of the machine, and refuses what is none', async () => {
  api.on('GET /apps/shop/deployments', { items: [] });
  api.on('PATCH /apps/shop', app);
  const set = (...words: string[]) =>
    home.gantry(['placement', 'set', 'game', ...words, '-a', 'shop']);
  const { stdout } = await set('--host-port', '27015/udp', '--host-port', '9000:8080');
  assert.match(stdout, /^shop: game runs spread, with port 27015\/udp, 9000:8080 of its machine$/m);
  const hostPorts = [
    { hostPort: 27015, protocol: 'udp' },
    { hostPort: 9000, port: 8080, protocol: 'tcp' },
  ];
  assert.deepEqual(api.bodies('PATCH /apps/shop').at(-1), { placements: { game: { hostPorts } } });
  for (const wrong of ['0', '70000', 'http', '9000/sctp', '9000:0']) {
    const { code, stderr } = await set('--host-port', wrong);
    assert.deepEqual([code, /say 9000, 9000:8080 or 9000\/udp/.test(stderr)], [2, true], wrong);
  }
});

test('priority sends the word, and refuses what is none', async () => {
  api.on('PATCH /apps/shop', { ...app, priority: 'high' });
  const { stdout } = await home.gantry(['priority', 'high', '-a', 'shop']);
  assert.equal(stdout, 'shop: high\n');
  assert.deepEqual(api.bodies('PATCH /apps/shop').at(-1), { priority: 'high' });
  const wrong = await home.gantry(['priority', '7', '-a', 'shop']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /7 is no priority: there are low, normal, high/);
});

test('certificate remove names the domain', async () => {
  api.on('DELETE /certificates/a.example.com', {});
  const { stdout } = await home.gantry(['certificate', 'remove', 'a.example.com']);
  assert.equal(stdout, 'The certificate of a.example.com is removed.\n');
});

test('limit set sends sizes in bytes and follows the release it makes', async () => {
  let made = 0;
  api
    .on('GET /apps/shop/deployments', () => ({ items: made++ === 0 ? [] : [deployment] }))
    .on('PATCH /apps/shop', app);
  const { stdout } = await home.gantry([
    'limit',
    'set',
    'web',
    'memory=1G',
    'cpu=0.5',
    '-a',
    'shop',
  ]);
  assert.deepEqual(api.bodies('PATCH /apps/shop'), [
    { limits: { web: { memoryBytes: 1024 ** 3, cpuMillis: 500 } } },
  ]);
  assert.match(stdout, /^shop: web may use memory 512 MiB, 1 cpu, 512 pids\n(.*\n)+v2 is live/);
});

const route = { id: 'rte-1', type: 'http', domain: 'a.example.com', service: 'web.shop' };

test('route add sends the certificate first, then the route', async () => {
  const [cert, key] = [join(home.folder, 'c.pem'), join(home.folder, 'k.pem')];
  writeFileSync(cert, 'CERT');
  writeFileSync(key, 'KEY');
  api
    .on('PUT /certificates/a.example.com', {})
    .on('POST /apps/shop/routes', { ...route, redirectsToHttps: true });
  const words = ['route', 'add', 'http', 'a.example.com', '--redirect', '--tls-cert', cert];
  assert.equal((await home.gantry([...words, '-a', 'shop'])).code, 2);
  const { stdout } = await home.gantry([...words, '--tls-key', key, '-a', 'shop']);
  assert.equal(
    stdout,
    'a.example.com goes to web of shop (with a certificate, redirects to HTTPS); it is rte-1\n',
  );
  assert.deepEqual(
    api.calls.filter(({ method }) => method !== 'GET').map(({ path }) => path),
    ['/certificates/a.example.com', '/apps/shop/routes'],
  );
  assert.deepEqual(api.bodies('POST /apps/shop/routes'), [
    { type: 'http', domain: 'a.example.com', redirectsToHttps: true },
  ]);
});

test('route add tcp sends a port, and refuses what is for http', async () => {
  api.on('POST /apps/shop/routes', { id: 'rte-2', type: 'tcp', port: 5432, service: 'db.shop' });
  const words = ['route', 'add', 'tcp', '5432', '--process', 'db', '-a', 'shop'];
  const { stdout } = await home.gantry(words);
  assert.equal(stdout, 'port 5432 goes to db of shop; it is rte-2\n');
  assert.deepEqual(api.bodies('POST /apps/shop/routes'), [
    { type: 'tcp', port: 5432, processType: 'db', sendsProxyProtocol: false },
  ]);
  assert.equal((await home.gantry([...words, '--redirect'])).code, 2);
});

test('route remove takes what the list shows, and says what there is instead', async () => {
  api.on('GET /apps/shop/routes', { items: [route] }).on('DELETE /apps/shop/routes/rte-1', route);
  const { stdout } = await home.gantry(['route', 'remove', 'http://A.example.com/', '-a', 'shop']);
  assert.equal(stdout, 'a.example.com no longer goes to shop\n');
  const { code, stderr } = await home.gantry(['route', 'remove', 'b.example.com', '-a', 'shop']);
  assert.equal(code, 3);
  assert.equal(stderr, 'gantry: shop has no route b.example.com; it has a.example.com\n');
});

test('token create prints the token alone, so that a script can take it', async () => {
  api.on('POST /tokens', { id: 'tok-3', name: 'ci', createdAt: now, token: 'gty_new' });
  const { stdout, stderr } = await home.gantry(['token', 'create', 'ci']);
  assert.equal(stdout, 'gty_new\n');
  assert.match(stderr, /it is not shown again/);
});

test('token revoke by a name that two tokens have wants the id', async () => {
  api
    .on('GET /tokens', {
      items: ['tok-1', 'tok-2'].map((id) => ({ id, name: 'ci', createdAt: now })),
    })
    .on('DELETE /tokens/tok-2', undefined);
  assert.match((await home.gantry(['token', 'revoke', 'ci'])).stderr, /by id: tok-1, tok-2/);
  assert.equal((await home.gantry(['token', 'revoke', 'tok-2'])).code, 0);
});

test('login writes a cluster only after the API has accepted the token', async () => {
  api.on('GET /whoami', { id: 'tok-1', name: 'ada' });
  home.writeConfig({ current: '', clusters: {} });
  const words = ['login', `http://api.gantry.localhost:${api.port}`, '--name', 'new'];
  const refused = await home.gantry(words, { stdin: 'gty_wrong-token\n' });
  assert.equal(refused.code, 4);
  assert.match(
    refused.stderr,
    /refused the token of cluster new: no such token.*nothing was written/,
  );
  assert.equal(readFileSync(home.configFile, 'utf8'), '{"current":"","clusters":{}}');
  assert.equal((await home.gantry(words, { stdin: `${token}\n` })).code, 0);
  assert.deepEqual(JSON.parse(readFileSync(home.configFile, 'utf8')), {
    current: 'new',
    clusters: {
      new: {
        url: `http://api.gantry.localhost:${api.port}`,
        gitUrl: api.gitUrl,
        domain: 'gantry.localhost',
        address: '127.0.0.1',
        token,
      },
    },
  });
  assert.equal(statSync(home.configFile).mode & 0o777, 0o600);
});

test('a cluster can come from the environment alone', async () => {
  api.on('GET /apps', { items: [] });
  const env = {
    GANTRY_CONFIG: '/nonexistent/config.json',
    GANTRY_URL: `http://api.gantry.localhost:${api.port}`,
    GANTRY_TOKEN: token,
  };
  assert.equal((await home.gantry(['apps'], { env })).code, 0);
  const { GANTRY_TOKEN: _left, ...half } = env;
  assert.match(
    (await home.gantry(['apps'], { env: half })).stderr,
    /GANTRY_TOKEN is not; set both/,
  );
});

test('a configuration file that is broken is named', async () => {
  for (const text of ['{', '{"current":"x","clusters":{"x":{}}}', '[]', 'null']) {
    home.writeConfig(text);
    const { code, stderr } = await home.gantry(['apps']);
    assert.equal(code, 2);
    assert.ok(stderr.includes(home.configFile), stderr);
  }
});

test('an API that is not there ends with 5 and says which and what to do', async () => {
  await api.stop();
  const { code, stderr } = await home.gantry(['apps']);
  assert.equal(code, 5);
  assert.match(
    stderr,
    /^gantry: cannot reach the API at http:\/\/api.gantry.localhost:\d+ \(at 127.0.0.1\): connect ECONNREFUSED .*`script\/up` starts it\n$/,
  );
  api = await FakeApi.start();
});
