// Do the verbs that nobody types every day do what they say? Tokens and login, events that are broken off and resumed, limits,
// kill, routes with a certificate, deployments, and completion in a real bash.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import type {
  AppView,
  CertificateView,
  Deployment,
  Event,
  JobView,
} from '#layer1/controller/client';
import type { Route } from '#layer1/router/wire';
import { LoadApp } from './cluster/load-app.ts';
import { Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';

const platform = Platform.connect();
const { machine } = platform;
const name = 'verbs';
const folder = '/tmp/user-verbs';
const gantry = (...args: string[]) => platform.gantry(...args, '-a', name);
const json = <T>(...args: string[]) => platform.gantryJson<T>(...args, '-a', name);

let app: LoadApp;
before(async () => {
  app = await LoadApp.create(platform, name, 1);
  await machine.must(`rm -rf ${folder} && mkdir ${folder}`);
});
after(async () => {
  await app?.close();
  await machine.sh(`gantry token revoke ${name}; rm -rf ${folder}`);
});

test('a token lets somebody else in by login, and is refused at once when it is revoked', async () => {
  const as = `GANTRY_CONFIG=${folder}/config.json gantry`;
  const token = (await platform.gantry('token', 'create', name)).trim();
  const login = `${as} login http://api.gantry.localhost --address 127.0.0.1`;
  const wrong = await machine.sh(`${login} --token gantry_thisisnotatokenofanyone123`);
  assert.equal(wrong.code, 4);
  assert.match(wrong.stderr, /nothing was written/);
  assert.match(await machine.must(login, { input: token }), /^You are verbs at http:\/\/api/);
  assert.equal(await machine.must(`stat -c %a ${folder}/config.json`), '600\n');
  assert.match(await machine.must(`${as} info -a ${name}`), /^Name +verbs$/m);
  assert.match(await machine.must(`${as} token`), /^tok-\S+ +verbs .*this one$/m);
  assert.match(await platform.gantry('token', 'revoke', name), /^verbs \(tok-\S+\) is revoked$/m);
  const refused = await machine.sh(`${as} info -a ${name}`);
  assert.equal(refused.code, 4, refused.stdout);
  assert.match(refused.stderr, /refused the token .*`gantry login` sets a new one/);
  assert.ok(!(await platform.gantry('token')).includes(name));
});

/** `gantry events -f` of the app; resolves with the ids that it had shown when it was broken off. */
async function follow(
  until: (shown: Event[]) => Promise<boolean>,
  after: number,
): Promise<number[]> {
  const line = `echo $$ >${folder}/pid; exec gantry events -f --json -a ${name} --after ${after}`;
  const child = machine.spawn(['bash', '-c', line], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const shown = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((event) => JSON.parse(event) as Event);
  await waitFor('the events', () => until(shown()), { seen: () => text.slice(-500) });
  const ended = once(child, 'exit');
  await machine.must(`kill -9 "$(cat ${folder}/pid)"`);
  await ended;
  return shown().map(({ id }) => id);
}

test('events that are broken off go on after the last one: none is missed, none comes twice', async () => {
  const first = (await json<Event[]>('events', '-n', '1'))[0]?.id ?? 0;
  const scaled = (shown: Event[]) => shown.filter(({ type }) => type === 'app.scaled').length;
  await app.api.scale(name, { web: 2 });
  const before = await follow(async (shown) => scaled(shown) > 0, first);
  // Nobody looks.
  await app.api.scale(name, { web: 1 });
  let wasAsked = false;
  const later = await follow(async (shown) => {
    if (!wasAsked && scaled(shown) === 1) await app.api.scale(name, { web: 2 });
    wasAsked ||= scaled(shown) === 1;
    return scaled(shown) === 2;
  }, before.at(-1) ?? 0);
  const seen = [...before, ...later];
  const all = await json<Event[]>('events', '--after', String(first));
  const until = seen.at(-1) ?? 0;
  assert.deepEqual(
    seen,
    all.map(({ id }) => id).filter((id) => id <= until),
  );
});

describe('the processes', () => {
  test('may use what limit says, which is shown and reaches the container', async () => {
    assert.match(await gantry('limit'), /^web +512 MiB +1 cpu +512 +default$/m);
    const said = await gantry('limit', 'set', 'web', 'memory=200M', 'cpu=0.5');
    assert.match(said, /^verbs: web may use memory 200 MiB, 0\.5 cpu, 512 pids$/m);
    assert.match(await gantry('limit'), /^web +200 MiB +0\.5 cpu +512$/m);
    const [container] = Object.values(await platform.containers(name));
    const memory = await machine.must(
      `docker inspect -f '{{.HostConfig.Memory}}' ${container?.id}`,
    );
    assert.equal(Number(memory), 200 * 1024 ** 2);
    const unknown = await platform.tryGantry('limit', 'set', 'wrker', 'memory=1G', '-a', name);
    assert.equal(unknown.code, 3);
    assert.match(unknown.stderr, /has no process type wrker; it has web, run for one-offs/);
  });

  test('are signalled by kill, which names what it does not know', async () => {
    const [job] = (await app.api.listJobs(name)).filter(({ state }) => state === 'up');
    assert.ok(job);
    assert.match(await gantry('kill', job.name), /got SIGTERM; it is started again when it ends/);
    const isBack = async () =>
      (await app.api.listJobs(name)).some(({ id, attempt }) => id === job.id && attempt > 1);
    await waitFor('another attempt', isBack);
    const absent = await platform.tryGantry('kill', 'web.99', '-a', name);
    assert.deepEqual([absent.code, absent.stdout], [3, '']);
    const signal = await platform.tryGantry('kill', job.name, '-s', 'FOO', '-a', name);
    assert.equal(signal.code, 2);
    assert.match(signal.stderr, /the API refused that: signal must be one of SIGTERM,/);
  });

  test('and releases, rollouts and places of the app are shown alike to people and programs', async () => {
    const info = await json<AppView & { jobs: JobView[] }>('info');
    assert.equal(info.currentVersion, 2);
    assert.equal((await gantry('priority', 'high')).trim(), `${name}: high`);
    const shown = await gantry('info');
    assert.match(shown, /^Release +v2, .*Set limits of web$/m);
    assert.match(shown, /^Priority +high$/m);
    assert.match(await gantry('release'), /^v2 +current .*\nv1 +earlier /m);
    assert.match(await gantry('release', 'show', 'v2'), /^State +current$/m);
    const [newest] = await json<Deployment[]>('deployment');
    assert.equal(newest?.state, 'complete');
    assert.match(await gantry('deployment', 'show', newest.id), /^Release +v1 -> v2$/m);
    const absent = await platform.tryGantry('deployment', 'show', 'dep-none', '-a', name);
    assert.equal(absent.code, 3);
  });

  test('have a port of their machine, one at a time, and keep it over a rollout', async () => {
    const refused = await platform.tryGantry(
      ...['placement', 'set', 'web', '--host-port', '7443', '-a', name],
    );
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /port 7443 of the machines is for machines that talk/);
    await gantry('scale', 'web=1');
    const said = await gantry('placement', 'set', 'web', '--host-port', '9000:8080');
    assert.match(said, /web runs spread, with port 9000:8080 of its machine/);
    const url = `http://${machine.address}:9000/`;
    const answer = () => machine.must(`curl -s -o /dev/null -D - --max-time 5 ${url}`);
    assert.match(await answer(), /^x-instance: v3\r$/im);
    await gantry('env', 'set', 'AGAIN=1');
    assert.match(await answer(), /^x-instance: v4\r$/im);
    await gantry('scale', 'web=2', '--no-wait');
    await waitFor('the second one to say why it waits', async () =>
      /^web\.\d+ +pending .*port 9000\/tcp is taken on/m.test(await gantry('ps')),
    );
    await gantry('scale', 'web=1');
    await gantry('placement', 'clear', 'web');
    const isClosed = async () => (await machine.sh(`curl -s --max-time 5 ${url}`)).code !== 0;
    await waitFor('the port to be closed with the process that had it', isClosed);
  });
});

test('a route brings its certificate, is listed, and both can be removed', async () => {
  const domain = 'verbs.example.test';
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  await machine.must(
    `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=verbs -addext subjectAltName=DNS:${domain} -keyout ${key} -out ${cert} 2>&1`,
  );
  const add = ['route', 'add', 'http', domain, '--tls-cert', cert, '--tls-key', key, '--redirect'];
  assert.match(await gantry(...add), /with a certificate, redirects to HTTPS/);
  const routes = await json<Route[]>('route');
  assert.ok(routes.some((route) => route.domain === domain && route.redirectsToHttps));
  const known = await platform.gantryJson<CertificateView[]>('certificate');
  assert.ok(known.some((certificate) => certificate.domain === domain));
  assert.match(await platform.gantry('certificate'), /^verbs\.example\.test +\S+ +in 8 d$/m);
  const curl = `curl -sS --cacert ${cert} --resolve ${domain}:443:127.0.0.1 https://${domain}/`;
  await waitFor('it to be served', async () => (await machine.sh(curl)).stdout === 'begin-end');
  await gantry('route', 'remove', domain);
  await platform.gantry('certificate', 'remove', domain);
  await waitFor('it to be gone', async () => (await machine.sh(curl)).code !== 0);
  const again = await platform.tryGantry('certificate', 'remove', domain);
  assert.equal(again.code, 3);
});

test('bash completes verbs, apps and processes', async () => {
  // What bash does when the tab key is pressed at the end of a line.
  const press = `source <(gantry completion bash)
    press() {
      COMP_LINE=$1 COMP_POINT=\${#1} COMPREPLY=()
      read -r -a COMP_WORDS <<<"$1"; [[ $1 == *" " ]] && COMP_WORDS+=("")
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); "$(complete -p gantry | grep -o '_[a-z]*')"
      echo "\${COMPREPLY[*]}"
    }`;
  const lines = ['gantry depl', 'gantry info -a ver', `gantry kill -a ${name} web`];
  const script = `${press}\n${lines.map((line) => `press '${line}'`).join('\n')}`;
  const [verbs, apps, processes] = (await machine.must(script)).split('\n');
  assert.equal(verbs, 'deploy deployment');
  assert.equal(apps, name);
  assert.match(processes ?? '', /^web\.\d/);
});
