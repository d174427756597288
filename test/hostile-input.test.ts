// What does hostile input do to the platform? Over real HTTP and git: it is refused by a clear 4xx or a sentence from git,
// nothing of it is written down, and neither the answer nor a log tells what is nobody's business.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { connectApi, LoadApp } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { storeSnapshot } from './cluster/snapshot.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const api = await connectApi(platform);
const token = await readToken();
const app = 'hostile';
const badToken = `gantry_${'b'.repeat(32)}`;
const megabyte = 1024 * 1024;

const commitAll = 'git -c user.name=t -c user.email=t@x commit -qm change';

interface Answer {
  status: number;
  body: string;
}

let recorded: Record<string, unknown>;

before(async () => {
  await new LoadApp(app, platform, api).delete();
  await machine.must(
    'rm -rf /tmp/push-hostile && mkdir /tmp/push-hostile && cd /tmp/push-hostile && git init -q -b main && gantry create hostile',
  );
  await api.changeEnv(app, { set: { PASSWORD: 'open-sesame-4711' } });
  recorded = await storeSnapshot(machine);
});

after(async () => {
  await new LoadApp(app, platform, api).delete();
  await machine.sh('rm -rf /tmp/push-hostile');
  api.close();
});

describe('the API', () => {
  const names: unknown[] = [
    ...['', '.', '..', '../etc', 'A', '-a', 'a-', 'a b', 'a.b', 'ä', 'a\u0000b', 'a\n'],
    ...['a'.repeat(10_000), 'api', 'git', 'gantry', 'www', app, null, 5, {}, ['a'], true],
  ];
  const bodies: [string, string, unknown][] = [
    ...names.map((name): [string, string, unknown] => ['POST', '/apps', { name }]),
    ['POST', '/apps', { name: 'fine', isSystem: true }],
    ['POST', '/apps', { name: 'fine', batchSize: -1 }],
    ...['', 'a=b', 'a b', '1A', 'A\n', 'A\u0000', '__proto__', 'A'.repeat(5_000)].map(
      (name): [string, string, unknown] => [
        'PATCH',
        `/apps/${app}/env`,
        JSON.parse(`{"set":{${JSON.stringify(name)}:"v"}}`),
      ],
    ),
    ['PATCH', `/apps/${app}/env`, { set: { A: 'x\u0000y' } }],
    ['PATCH', `/apps/${app}/env`, { set: { A: 5 } }],
    ['PATCH', `/apps/${app}/env`, { set: { A: 'x'.repeat(megabyte) } }],
    ['PATCH', `/apps/${app}/env`, { set: manyValues(20_000) }],
    ['PATCH', `/apps/${app}/env`, { unset: ['x'.repeat(5_000)] }],
    ...[-1, 1.5, 1e9, '3', null].map((count): [string, string, unknown] => [
      'PATCH',
      `/apps/${app}/formation`,
      { quantities: { web: count } },
    ]),
    ['PATCH', `/apps/${app}/formation`, { quantities: { 'web;rm -rf /': 1 } }],
    ['PATCH', `/apps/${app}/formation`, { quantities: manyTypes(5_000) }],
    ...['', '--privileged', '../../etc/passwd', 'no/such:image', 'x'.repeat(5_000), 'a b'].map(
      (image): [string, string, unknown] => ['POST', `/apps/${app}/deploy`, { image }],
    ),
    ['POST', `/apps/${app}/deploy`, {}],
    ['POST', `/apps/${app}/deploy`, { release: 99 }],
    ['POST', `/apps/${app}/rollback`, { version: -1 }],
    ['POST', `/apps/${app}/jobs`, { command: ['x'.repeat(100_000)] }],
    ['POST', `/apps/${app}/jobs`, { command: Array(5_000).fill('x') }],
    ['POST', `/apps/${app}/jobs`, { command: ['true'] }],
    ...[
      '..',
      'a b',
      '*',
      'localhost',
      '10.0.0.1',
      'a..b',
      'api.gantry.localhost',
      '-a.example',
    ].map((domain): [string, string, unknown] => ['POST', `/apps/${app}/routes`, { domain }]),
    ...['api', '/../x', '/a b', '/a\nb', '/a|s', '/%', `/${'x'.repeat(2_000)}`].map(
      (path): [string, string, unknown] => [
        'POST',
        `/apps/${app}/routes`,
        { domain: 'shop.example.com', path },
      ],
    ),
    ...[0, 22, 80, 443, 5432, 70_000, -1, '80'].map((port): [string, string, unknown] => [
      'POST',
      `/apps/${app}/routes`,
      { type: 'tcp', port },
    ]),
    ['PUT', '/certificates/shop.example.com', { certificatePem: 'x', keyPem: 'y' }],
    ['PUT', '/certificates/..%2f..%2fx', { certificatePem: 'x', keyPem: 'y' }],
    ['POST', '/tokens', { name: '' }],
    ['POST', '/tokens', { name: 'a\nb' }],
  ];

  test(`refuses ${bodies.length} malformed bodies with a sentence`, async () => {
    await assertAllRefused(
      bodies.map(([method, path, body]) => {
        const text = JSON.stringify(body);
        return [`${method} ${path} ${text}`, () => call(method, path, { body: text })];
      }),
    );
  });

  test('refuses what is no JSON, or too much of it', async () => {
    const texts = [
      '',
      '{',
      'null',
      '[]',
      '"x"',
      `${'['.repeat(100_000)}`,
      '\u0000',
      '{"name":"a"}}',
    ];
    for (const body of [...texts, `{"name":"${'a'.repeat(3 * megabyte)}"}`])
      assertRefused(await call('POST', '/apps', { body }), `POST /apps ${body.slice(0, 40)}`);
    const type = { 'content-type': 'text/html' };
    assertRefused(await call('POST', '/apps', { body: '{"name":"x"}', headers: type }), 'html');
    const xml = { 'content-type': 'application/json; charset=utf-7' };
    assertRefused(await call('POST', '/apps', { body: '+AHs-', headers: xml }), 'utf-7');
  });

  test('knows no app by a path, whatever the route', async () => {
    const routes: [string, string][] = [
      ['GET', ''],
      ['PATCH', ''],
      ['DELETE', ''],
      ['GET', '/env'],
      ['GET', '/env/PATH'],
      ['PATCH', '/env'],
      ['GET', '/releases'],
      ['GET', '/releases/1'],
      ['POST', '/deploy'],
      ['POST', '/rollback'],
      ['POST', '/builds?commit=abc'],
      ['GET', '/deployments'],
      ['GET', '/deployments/x'],
      ['GET', '/formation'],
      ['PATCH', '/formation'],
      ['GET', '/jobs'],
      ['POST', '/jobs'],
      ['DELETE', '/jobs/web.1'],
      ['GET', '/routes'],
      ['POST', '/routes'],
      ['DELETE', '/routes/x'],
      ['GET', '/log'],
    ];
    const bodiesOf: Record<string, string> = { PATCH: '{}', POST: '{}' };
    const names = ['..%2f..%2fetc%2fpasswd', '%2e%2e', '..%5c..', 'a%00b', '%ff', 'no-such'];
    await assertAllRefused(
      names.flatMap((name) =>
        routes.map(([method, rest]): [string, () => Promise<Answer>] => {
          const path = `/apps/${name}${rest}`;
          return [`${method} ${path}`, () => call(method, path, { body: bodiesOf[method] })];
        }),
      ),
    );
  });

  test('answers nobody without a token, and says nothing about it', async () => {
    const wrong = [
      '',
      'Bearer',
      'Bearer x',
      `Bearer ${badToken}`,
      `Basic ${btoa('a:b')}`,
      'x'.repeat(4_000),
    ];
    for (const authorization of wrong)
      for (const path of ['/apps', `/apps/${app}/env/PASSWORD`, '/status', '/doctor', '/events']) {
        const answer = await call('GET', path, { headers: { authorization } });
        assert.equal(answer.status, 401, `${path} with ${authorization.slice(0, 20)}`);
        assertRefused(answer, `${path} without a token`);
      }
  });

  test('survives headers and requests that are none', async () => {
    assertRefused(await call('GET', '/apps', { headers: { 'x-big': 'x'.repeat(60_000) } }), 'big');
    const key = { 'idempotency-key': 'k'.repeat(5_000) };
    assertRefused(await call('POST', '/apps', { body: '{"name":"keyed"}', headers: key }), 'key');
    const host = 'Host: api.gantry.localhost\r\n';
    const raw = [
      'GARBAGE\r\n\r\n',
      '\u0000\u0001\u0002\r\n\r\n',
      'GET /apps HTTP/9.9\r\n\r\n',
      `GET /apps HTTP/1.1\r\n${host}Host: git.gantry.localhost\r\n\r\n`,
      `POST /apps HTTP/1.1\r\n${host}Content-Length: -5\r\n\r\n`,
      `POST /apps HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x`,
      `GET /apps HTTP/1.1\r\n${host} folded\r\nX\r\n\r\n`,
      `GET http://127.0.0.1:2375/info HTTP/1.1\r\nHost: 127.0.0.1:2375\r\n\r\n`,
    ];
    for (const text of raw) {
      const answer = await sendRaw(text);
      assert.match(
        answer,
        /^HTTP\/1\.[01] 4\d\d /,
        `${JSON.stringify(text)}: ${answer.slice(0, 80)}`,
      );
      assertQuiet(answer, text);
    }
  });

  test('wrote nothing down', assertNothingChanged);
});

describe('git', () => {
  const files = { 'package.json': '{"name":"x"}', 'index.js': '' };

  const procfiles: [string, string][] = [
    ['without a colon', 'web node index.js\n'],
    ['with a type that is none', 'We b!: node\n'],
    ['with a type twice', 'web: a\nweb: b\n'],
    ['that is binary', '\u0000\u0001\u0002'.repeat(1_000)],
  ];
  for (const [what, Procfile] of procfiles)
    test(`refuses a Procfile ${what}, and says so`, async () => {
      const push = await platform.push(app, { ...files, Procfile });
      assertPushRefused(push, /Procfile/);
    });

  const large: [string, string][] = [
    ['of 10,000 lines', "seq -f 'type%g: true' 10000"],
    ['that is one huge line', "printf 'web: '; head -c 2000000 /dev/zero | tr '\\0' x"],
  ];
  for (const [what, write] of large)
    test(`refuses a Procfile ${what}, and says so`, async () => {
      await inRepository(`(${write}) >Procfile && git add . && ${commitAll}`);
      assertPushRefused(await gitPush('HEAD:main'), /Procfile/);
    });

  test('refuses a branch that is not deployed, with the one that is', async () => {
    assertPushRefused(await platform.push(app, files, 'feature'), /main/);
  });

  test('refuses refs that look like options or paths', async () => {
    for (const ref of [
      'refs/heads/--upload-pack=x',
      'refs/heads/-x',
      'refs/notes/x',
      'refs/tags/v1',
    ])
      assertPushRefused(await gitPush(`HEAD:${ref}`), /./);
  });

  test('refuses trees with entries that climb out', async () => {
    for (const name of ['..', '.', '.git']) {
      const entry = `100644 blob $(git hash-object -w index.js)\\t${name}`;
      const tree = `printf "${entry}\\n" | git mktree`;
      const commit = `git -c user.name=t -c user.email=t@x commit-tree -m evil $(${tree})`;
      assertPushRefused(await inRepository(`git push gantry $(${commit}):refs/heads/main`), /./);
    }
  });

  test('a symbolic link that leads out of the source is refused or leads nowhere', async () => {
    const link = `printf /etc/shadow | git hash-object -w --stdin`;
    const tree = `printf "120000 blob $(${link})\\tProcfile\\n" | git mktree`;
    const commit = `git -c user.name=t -c user.email=t@x commit-tree -m link $(${tree})`;
    const push = await inRepository(`git push gantry $(${commit}):refs/heads/main`);
    assertPushRefused(push, /./);
    assert.doesNotMatch(push.stderr, /root:/);
  });

  test('refuses a source larger than a build takes, although the push is small', async () => {
    await inRepository(`truncate -s 600M big && git add big && ${commitAll}`);
    const push = await gitPush('HEAD:main');
    await inRepository('rm big && git reset -q --hard HEAD~1 && git gc -q --prune=now');
    assertPushRefused(push, /512 MB|larger/);
  });

  test('refuses garbage where a pack should be', async () => {
    const headers = {
      authorization: `Basic ${btoa(`x:${token}`)}`,
      'content-type': 'application/x-git-receive-pack-request',
    };
    const lines = `0000000000000000000000000000000000000000 ${'a'.repeat(40)} refs/heads/main\0report-status`;
    const framed = `${(lines.length + 4).toString(16).padStart(4, '0')}${lines}0000`;
    for (const body of [
      'garbage',
      'ffff',
      '0000',
      `${framed}PACK`,
      `${framed}PACK\0\0\0\u0002\0\0\0\u0001zzzz`,
    ]) {
      const path = `/${app}.git/git-receive-pack`;
      const answer = await call('POST', path, { host: 'git', body, headers });
      assert.ok(answer.status < 500, `${answer.status} for ${JSON.stringify(body.slice(0, 20))}`);
      assertQuiet(answer.body, body);
    }
  });

  test('answers 401 to a bad token and 404 to an app that is none', async () => {
    const refs = 'info/refs?service=git-receive-pack';
    const wrong = { authorization: `Basic ${btoa(`x:${badToken}`)}` };
    const right = { authorization: `Basic ${btoa(`x:${token}`)}` };
    const ask = (name: string, headers: Record<string, string>) =>
      call('GET', `/${name}.git/${refs}`, { host: 'git', headers });
    assert.equal((await ask(app, wrong)).status, 401);
    assert.equal((await ask(app, { authorization: '' })).status, 401);
    for (const name of ['no-such', '..%2f..%2fetc', '--upload-pack', 'a%00b', 'x'.repeat(500)]) {
      const answer = await ask(name, right);
      assert.ok([400, 404].includes(answer.status), `${name}: ${answer.status} ${answer.body}`);
      assertQuiet(answer.body, name);
    }
  });

  test('wrote nothing down', assertNothingChanged);
});

describe('a build', () => {
  const build = (script: string) => ({
    'package.json': JSON.stringify({ name: 'x', scripts: { build: 'node build.js' } }),
    'build.js': script,
    Procfile: 'web: node index.js\n',
    'index.js': '',
  });

  test('that takes all processes it can get fails alone', async () => {
    const script = `
      const { spawn } = require('node:child_process');
      const more = () => spawn('sleep', ['600']).on('error', (e) => { console.log(e.code); process.exit(3); }).on('spawn', more);
      more();`;
    assertPushRefused(await platform.push(app, build(script)), /EAGAIN|exit|fail/i);
    await platform.untilAnswers('hello');
  });

  test('that takes all memory it can get is ended, and the push says why', async () => {
    const script = 'const all = []; for (;;) all.push(Buffer.alloc(16 * 1024 * 1024, 1));';
    assertPushRefused(await platform.push(app, build(script)), /memory/i);
  });

  test('that prints for ever ends when its pusher hangs up, and leaves nothing', async () => {
    const script =
      "const line = 'x'.repeat(1000); (function say() { console.log(line); setTimeout(say, 1); })();";
    const pushing = platform.push(app, build(script));
    await waitFor('the build to run', async () => (await builds()).length > 0);
    await machine.sh("pkill -f 'git-remote-http gantry'; pkill -f 'git push gantry'");
    assert.notEqual((await pushing).code, 0);
    await waitFor('the build to be gone', async () => (await builds()).length === 0);
  });

  test('wrote nothing down', assertNothingChanged);
});

test('no log of the platform has a token or a value in it', async () => {
  const ids = 'docker ps -aq --filter label=gantry.app-name=gantry';
  const logs = await machine.must(
    `for id in gantry-host gantry-dns $(${ids}); do docker logs $id 2>&1; done | grep -c -e '${token}' -e '${badToken}' -e open-sesame-4711 || true`,
  );
  assert.equal(logs.trim(), '0');
});

async function builds(): Promise<string[]> {
  const text = await machine.must(
    `docker ps -q --filter label=gantry.app-name=${app} --filter label=gantry.type=build`,
  );
  return text.split('\n').filter(Boolean);
}

async function assertNothingChanged(): Promise<void> {
  const now = await storeSnapshot(machine);
  const keys = new Set([...Object.keys(now), ...Object.keys(recorded)]);
  const changed = [...keys].filter((key) => !isDeepStrictEqual(now[key], recorded[key]));
  assert.deepEqual(changed, []);
}

/** Every one of them is tried, and all that are not refused are named. */
async function assertAllRefused(calls: [string, () => Promise<Answer>][]): Promise<void> {
  const problems: string[] = [];
  for (const [what, send] of calls)
    try {
      assertRefused(await send(), what);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  assert.deepEqual(problems, []);
}

function assertRefused({ status, body }: Answer, what: string): void {
  const said = `${what.slice(0, 200)}: ${status} ${body.slice(0, 300)}`;
  assert.ok(status >= 400 && status < 500, said);
  assertQuiet(body, said);
  if (!body.startsWith('{')) return;
  const { code, message } = JSON.parse(body) as { code: string; message: string };
  assert.match(code, /^[a-z]+\.[a-zA-Z]+$/, said);
  assert.ok(message.length > 10 && message.length < 2_000, said);
}

/** No stack, no place in the source, no path of the machine, no token. */
function assertQuiet(text: string, what: string): void {
  assert.doesNotMatch(
    text,
    /\n\s+at |node:internal|\.ts\b|node_modules|\/var\/lib|\/repositories/,
    what,
  );
  assert.ok(!text.includes(token) && !text.includes('open-sesame-4711'), what);
}

function assertPushRefused(
  { code, stdout, stderr }: { code: number; stdout: string; stderr: string },
  reason: RegExp,
): void {
  const said = stdout + stderr;
  assert.notEqual(code, 0, said.slice(-2_000));
  assert.match(said, reason, said.slice(-2_000));
  assertQuiet(said.replaceAll('/tmp/push-hostile', ''), said.slice(-2_000));
}

const inRepository = (script: string) =>
  machine.sh(`cd /tmp/push-hostile && ${script}`, { timeoutMs: 300_000 });
const gitPush = (refs: string) => inRepository(`git push gantry '${refs}'`);

function call(
  method: string,
  path: string,
  options: { host?: string; body?: string | undefined; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const headers = {
    host: `${options.host ?? 'api'}.gantry.localhost`,
    authorization: `Bearer ${token}`,
    ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...options.headers,
  };
  return new Promise((resolve, reject) => {
    const sent = request({
      host: machine.address,
      port: 80,
      method,
      path,
      headers,
      timeout: 60_000,
    });
    let answer: Answer | undefined;
    sent.on('response', (response) => {
      const seen = { status: response.statusCode ?? 0, body: '' };
      answer = seen;
      response.setEncoding('utf8').on('data', (text: string) => {
        seen.body += text;
      });
      response.on('end', () => resolve(seen)).on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer`)));
    // A refusal may come before the whole body was taken.
    sent.on('error', (error) => (answer ? resolve(answer) : reject(error)));
    sent.end(options.body);
  });
}

function sendRaw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: machine.address, port: 80, timeout: 20_000 });
    let answer = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      answer += part;
    });
    socket.on('error', reject).on('timeout', () => socket.destroy(new Error(`no end: ${answer}`)));
    socket.on('close', () => resolve(answer));
    socket.end(text);
  });
}

function manyValues(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`K${n}`, 'v']));
}

function manyTypes(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`type${n}`, 0]));
}

async function readToken(): Promise<string> {
  const path = join(machine.root, 'root/.config/gantry/config.json');
  const { clusters } = JSON.parse(await readFile(path, 'utf8')) as {
    clusters: Record<string, { token: string }>;
  };
  return clusters['gantry.localhost']?.token ?? '';
}
