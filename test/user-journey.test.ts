// Does the way of a user work from beginning to end? Create, push, scale, look, set, roll back, run, route, kill, delete: each by
// the command that people type, on a repository of each kind; afterwards nothing of the app is left.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Platform } from './cluster/platform.ts';
import { storeSnapshot } from './cluster/snapshot.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const app = 'journey';
const others = { site: 'journey-site', docker: 'journey-docker', image: 'journey-image' };
const secret = 'a secret of the journey: 0xC0FFEE';
const tcpPort = 3_432;

const server = (release: string) => `
const { createServer } = require('node:http');
const answer = (request, response) => {
  console.log('asked for ' + request.url);
  response.end(['${release}', request.url, process.env.COLOUR || 'no colour'].join(' '));
};
createServer(answer).listen(process.env.PORT, () => console.log('web of ${release} listens'));
process.on('SIGTERM', () => process.exit(0));
`;
const files = (release: string) => ({
  'package.json': JSON.stringify({ name: app, scripts: { start: 'node server.js' } }),
  'server.js': server(release),
  'worker.js': "console.log('the worker works'); setInterval(() => {}, 60000);",
  Procfile: 'web: node server.js\nworker: node worker.js\n',
});

const left: Record<string, string> = {};

before(async () => {
  for (const name of [app, ...Object.values(others)]) await platform.deleteApp(name);
});

after(async () => {
  for (const name of [app, ...Object.values(others)]) await platform.deleteApp(name);
  // A container that is still going holds it for a moment.
  const gone = '! docker image inspect journey/thing:1 >/dev/null 2>&1';
  await waitFor('the image of the test to be removable', async () => {
    return (await machine.sh(`docker rmi journey/thing:1 >/dev/null 2>&1; ${gone}`)).code === 0;
  });
});

describe('an app with a Procfile', () => {
  test('is created in its repository, pushed, and answers', async () => {
    const push = await platform.push(app, files('one'));
    assert.equal(push.code, 0, push.stderr);
    assert.match(push.stderr, /remote: -----> Node\.js/);
    assert.match(push.stderr, /remote: -----> Release v1 of journey is running/);
    assert.match(push.stderr, /remote:\s+http:\/\/journey\.gantry\.localhost/);
    const { body } = await platform.untilAnswers(app);
    assert.equal(body, 'one / no colour');
  });

  test('is scaled and listed', async () => {
    await platform.gantry('scale', 'web=3', 'worker=1', '-a', app);
    const table = await platform.gantry('ps', '-a', app);
    const rows = table
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.split(/\s+/).slice(0, 2).join(' '));
    assert.deepEqual(rows, ['web.1 up', 'web.2 up', 'web.3 up', 'worker.1 up']);
    assert.equal((await platform.gantry('scale', '-a', app)).trim(), 'web=3 worker=1');
  });

  test('says what it said, of one type too', async () => {
    const said = async (...args: string[]) => platform.gantry('log', '-a', app, ...args);
    await waitFor('the log to have the worker', async () =>
      (await said()).includes('the worker works'),
    );
    const ofWorker = await said('-t', 'worker', '-n', '5');
    assert.match(ofWorker, /worker\.1 .*the worker works/);
    assert.doesNotMatch(ofWorker, /web\.\d/);
    assert.equal((await said('-n', '1')).trim().split('\n').length, 1);
    const ofBuild = await said('-t', 'build');
    assert.match(ofBuild, /-----> Built: /);
    assert.doesNotMatch(ofBuild, /gantry-result-/);
  });

  test('takes config values, which nobody but it sees', async () => {
    await platform.gantry('env', 'set', 'COLOUR=green', `SECRET=${secret}`, '-a', app);
    await platform.untilAnswers(app, 'green');
    assert.equal((await platform.gantry('env', 'get', 'SECRET', '-a', app)).trim(), secret);
    const list = await platform.gantry('env', '-a', app);
    assert.match(list, /SECRET\s+\*\*\*/);
    await platform.gantry('env', 'unset', 'COLOUR', '-a', app);
    await platform.untilAnswers(app, 'no colour');
    const files = await machine.must(
      `grep -rlaF '${secret}' /var/lib/gantry/store /var/lib/gantry/logs | wc -l`,
    );
    assert.equal(files.trim(), '0', 'files of the store and of logs that have the value');
    const system = 'docker ps -q --filter label=gantry.app-name=gantry';
    const logs = `for id in gantry-host $(${system}); do docker logs $id 2>&1; done | grep -cF '${secret}' || true`;
    assert.equal(
      (await machine.must(logs)).trim(),
      '0',
      'lines of the platform that have the value',
    );
  });

  test('is changed by a push and rolled back', async () => {
    const push = await platform.push(app, files('two'));
    assert.equal(push.code, 0, push.stderr);
    await platform.untilAnswers(app, 'two');
    const list = await platform.gantry('release', '-a', app);
    assert.match(list.split('\n')[1] ?? '', /v4 .*Deploy/);
    assert.match(list, /v2 .*Set COLOUR, SECRET/);
    await platform.gantry('release', 'rollback', '-a', app);
    await platform.untilAnswers(app, 'one');
    assert.match(await platform.gantry('release', '-a', app), /v5 .*[Rr]oll(ed)? back to v3/);
  });

  test('runs a one-off with its config, its stdin and its exit code', async () => {
    const run = (command: string, input = '') =>
      machine.sh(`gantry run -a ${app} -- ${command}`, { input });
    const seven = await run("sh -c 'echo out; echo err >&2; exit 7'");
    assert.deepEqual([seven.code, seven.stdout, seven.stderr], [7, 'out\n', 'err\n']);
    const piped = await run('sort', 'b\na\nc\n');
    assert.deepEqual([piped.code, piped.stdout], [0, 'a\nb\nc\n']);
    const env = await run(`sh -c 'echo "$SECRET"'`);
    assert.equal(env.stdout.trim(), secret);
  });

  test('answers at another domain and path, and on a TCP port', async () => {
    await platform.gantry('route', 'add', 'http', 'shop.example.test', '--path', '/api', '-a', app);
    await platform.gantry('route', 'add', 'tcp', String(tcpPort), '-a', app);
    const list = await platform.gantry('route', '-a', app);
    for (const part of ['journey.gantry.localhost', 'shop.example.test/api', String(tcpPort)])
      assert.ok(list.includes(part), list);
    const headers = { host: 'shop.example.test' };
    const ask = (path: string) => platform.ask(app, { path, headers });
    await waitFor('the path to answer', async () => (await ask('/api/x')).body.includes('/api/x'));
    assert.equal((await ask('/other')).status, 404);
    await waitFor('the port to answer', async () => (await askTcp()).includes('one /tcp'));
  });

  test('gets another process for one that was killed', async () => {
    const before = (await platform.containers(app))['web.2'];
    await platform.gantry('kill', 'web.2', '-s', 'KILL', '-a', app);
    await waitFor('another web.2', async () => {
      const now = (await platform.containers(app))['web.2'];
      return now !== undefined && now.id !== before?.id;
    });
  });

  test('is shown whole by info and apps', async () => {
    const info = await platform.gantry('info', '-a', app);
    assert.match(info, /^URL\s+http:\/\/journey\.gantry\.localhost\/$/m);
    assert.match(info, /^Git\s+http:\/\/git\.gantry\.localhost\/journey\.git$/m);
    assert.match(info, /web: \d of 3 up/);
    assert.match(await platform.gantry('apps'), /^journey\s+v5\s+web=3 worker=1/m);
  });

  test('is deleted, and nothing of it is left', async () => {
    const { id } = await platform.gantryJson<{ id: string }>('info', '-a', app);
    const images = `docker images -q --filter label=gantry.app=${id}`;
    assert.notEqual((await machine.must(images)).trim(), '', 'it had an image');
    await platform.gantry('delete', '-a', app, '--yes');
    const question = {
      containers: `docker ps -aq --filter label=gantry.app=${id}`,
      networks: `docker network ls -q --filter label=gantry.app=${id}`,
      images,
      volumes: `ls -d /var/lib/gantry/volumes/${id} 2>/dev/null`,
      history: `ls -d /var/lib/gantry/logs/${id} 2>/dev/null`,
    };
    const isClean = async () => {
      for (const [what, command] of Object.entries(question))
        left[what] = (await machine.sh(command)).stdout.trim();
      left.records = Object.entries(await storeSnapshot(machine))
        .filter(([key, value]) => `${key} ${JSON.stringify(value)}`.includes(id))
        .map(([key]) => key)
        .join(' ');
      return Object.values(left).every((text) => text === '');
    };
    await waitFor('nothing to be left', isClean, { everyMs: 500, seen: () => left });
    // HAProxy hears of it a moment after the store.
    const isUnknown = async () => (await platform.ask(app)).status === 404;
    await waitFor('the router to know nothing of the app', isUnknown);
    const again = await platform.tryGantry('info', '-a', app);
    assert.equal(again.stdout, '');
    assert.match(again.stderr, /no app named journey/);
  });
});

describe('other kinds of apps', () => {
  test('a static site', async () => {
    const push = await platform.push(others.site, {
      'public/index.html': '<h1>the site</h1>',
      'public/about/index.html': 'about it',
    });
    assert.equal(push.code, 0, push.stderr);
    await platform.untilAnswers(others.site, 'the site');
    const { body } = await platform.ask(others.site, { path: '/about/' });
    assert.match(body, /about it/);
  });

  test('a Dockerfile on the stack image', async () => {
    const push = await platform.push(others.docker, {
      Dockerfile: [
        'FROM gantry/stack:latest',
        'COPY server.js /app/server.js',
        'EXPOSE 8080',
        'ENTRYPOINT ["node", "/app/server.js"]',
        '',
      ].join('\n'),
      'server.js': server('docker'),
    });
    assert.equal(push.code, 0, push.stderr);
    await platform.untilAnswers(others.docker, 'docker /');
  });

  test("an image of the machine's engine, then the same by a docker save stream", async () => {
    const program = server('image').replaceAll('\n', ' ');
    await machine.must(
      `docker build -q -t journey/thing:1 - <<'E'\nFROM gantry/stack:latest\nENTRYPOINT ["node", "-e", ${JSON.stringify(program)}]\nE`,
    );
    await platform.gantry('create', others.image, '--no-remote');
    await platform.gantry('deploy', '--image', 'journey/thing:1', '-a', others.image);
    await platform.untilAnswers(others.image, 'image /');
    const stream = `docker save journey/thing:1 | gantry deploy --image - -a ${others.image}`;
    const printed = await machine.must(stream, { timeoutMs: 300_000 });
    assert.match(printed, /Imported journey\/thing:1/);
    assert.match(await platform.gantry('release', '-a', others.image), /v2 /);
    const absent = await platform.tryGantry('deploy', '--image', 'no/such:9', '-a', others.image);
    assert.notEqual(absent.code, 0);
    assert.match(absent.stderr, /no\/such:9/);
  });
});

/** One HTTP request over the bare TCP port. */
function askTcp(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: machine.address, port: tcpPort, timeout: 5_000 });
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => resolve(text)).on('close', () => resolve(text));
    socket.write('GET /tcp HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  });
}
