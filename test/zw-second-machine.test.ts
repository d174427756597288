// Does a second, bare machine join by one command, and are the two one platform then? Can it leave by one, and join again? It stays
// for the files after this one.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { HostView, JobView } from '#layer1/controller/client';
import { Bed, gantryAt, untilServes } from './cluster/bed.ts';
import type { Machine } from './cluster/machine.ts';
import { checkout, Platform } from './cluster/platform.ts';
import { waitFor } from './cluster/wait.ts';
import { startLoad } from './load/client.ts';

const platform = Platform.connect();
const { machine: first } = platform;
let second: Machine;
const app = 'spread';

/** Says which instance it is, and at /peers what every instance of the app says by its address. */
const files = {
  'package.json': JSON.stringify({ name: app, scripts: { start: 'node server.js' } }),
  Procfile: 'web: node server.js\n',
  'server.js': `
    const { resolve4 } = require('node:dns/promises');
    const name = process.env.GANTRY_PROCESS;
    require('node:http').createServer(async (request, response) => {
      if (request.url !== '/peers') return response.end(name);
      try {
        const addresses = await resolve4('web.${app}.service.gantry');
        const said = addresses.map((ip) => fetch(\`http://\${ip}:8080/\`).then((one) => one.text()));
        response.end(JSON.stringify((await Promise.all(said)).sort()));
      } catch (error) {
        response.statusCode = 500;
        response.end(String(error.cause ?? error));
      }
    }).listen(process.env.PORT);
  `,
};

before(async () => {
  await Bed.of(1);
  second = await Bed.spare({ isBare: true });
});

after(() => platform.deleteApp(app));

const join = (token: string) =>
  second.sh(`cd ${checkout} && script/up --join '${token}'`, { timeoutMs: 600_000 });

/** What the app says at one machine's router. */
async function ask(machine: Machine, path = '/'): Promise<string> {
  const host = `Host: ${app}.gantry.localhost`;
  return first.must(`curl -sS -m 10 -H '${host}' http://${machine.address}${path}`);
}

describe('a second machine', () => {
  test('joins with a token that is good for it alone', async () => {
    const token = (await platform.gantry('host', 'join-token')).trim();
    const broken = await join(token.slice(0, -10));
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /no join token: a part of it is missing/);
    const joined = await join(token);
    assert.equal(joined.code, 0, joined.stdout + joined.stderr);
    assert.match(joined.stdout, /of the cluster now/);
    const again = await join(token);
    assert.match(again.stderr, /of a cluster already/);
    const hosts = await platform.gantryJson<HostView[]>('host', 'list');
    assert.deepEqual(
      hosts.map(({ state }) => state),
      ['up', 'up'],
    );
    const addresses = hosts.map(({ address }) => address).sort();
    assert.deepEqual(addresses, [first.address, second.address].sort());
  });

  test('runs what every machine runs, on the image it was handed', async () => {
    await untilServes(second);
    assert.equal((await second.sh('ls /usr/bin/mmdebstrap')).code, 2, 'it built nothing itself');
  });

  test('takes its part of an app, and both routers lead to all of it', async () => {
    const push = await platform.push(app, files);
    assert.equal(push.code, 0, push.stderr);
    await platform.gantry('scale', 'web=4', '-a', app);
    const jobs = await platform.gantryJson<JobView[]>('ps', '-a', app);
    const running = jobs.filter(({ type }) => type === 'web');
    const places = Map.groupBy(running, ({ host }) => host);
    assert.deepEqual(
      [...places.values()].map((there) => there.length),
      [2, 2],
    );
    const all = ['web.1', 'web.2', 'web.3', 'web.4'];
    for (const machine of [first, second]) {
      const heard = new Set<string>();
      await waitFor(
        `all instances to answer at ${machine.name}`,
        async () => heard.add(await ask(machine)).size === all.length,
        { seen: () => [...heard] },
      );
      assert.deepEqual([...heard].sort(), all);
    }
  });

  test('has containers that find those on the other one by name, and reach them', async () => {
    const all = ['web.1', 'web.2', 'web.3', 'web.4'];
    // Enough questions that an instance on each machine is asked.
    for (let question = 0; question < 8; question++)
      assert.deepEqual(JSON.parse(await ask(question % 2 ? first : second, '/peers')), all);
  });

  test('has a peer door that lets nobody in who is no member', async () => {
    const curl = `curl -sk -m 5 -o /dev/null -w '%{http_code}'`;
    const door = `https://${first.address}:7443`;
    assert.equal((await second.sh(`${curl} ${door}/store/list?prefix=`)).stdout, '404');
    const cert = '/var/lib/gantry/membership/host';
    const asMember = `${curl} --cert ${cert}.crt --key ${cert}.key ${door}/membership/members`;
    assert.equal((await second.sh(asMember)).stdout, '200');
    const container = `docker exec $(docker ps -q --filter label=gantry.app-name=${app} | head -1)`;
    const dial = `node -e "require('net').connect(7443,'${first.address}').on('connect',()=>console.log('in')).on('error',()=>console.log('refused'))"`;
    assert.equal((await first.must(`${container} ${dial}`)).trim(), 'refused');
  });

  test('leaves by one command and loses no request, keeps nothing, and can join again', async (t) => {
    const { hostId } = JSON.parse(await second.must('cat /var/lib/gantry/host.json'));
    const load = startLoad({
      address: first.address,
      port: 80,
      host: `${app}.gantry.localhost`,
      mode: 'close',
      clients: 2,
      pauseMs: 20,
    });
    const left = await gantryAt(second)('host leave');
    assert.equal(left.code, 0, left.stdout + left.stderr);
    assert.match(left.stdout, /is no machine of this cluster any more/);
    const jobs = await platform.gantryJson<JobView[]>('ps', '-a', app);
    const running = jobs.filter(({ state }) => state === 'up');
    assert.deepEqual([running.length, new Set(running.map(({ host }) => host)).size], [4, 1]);
    const { requests, failed, examples } = await load.stop();
    assert.equal(failed, 0, examples.join('\n'));
    t.diagnostic(`${requests} requests, 0 failed`);

    await second.must(`cd ${checkout} && script/down --yes`);
    const look = `docker ps -aq; ip -o link | grep -E 'vxlan|[0-9]: g[a-z]' | grep -v eth0
      iptables-save | grep -i gantry; ls -d /var/lib/gantry /run/gantry 2>/dev/null`;
    assert.equal((await second.sh(look)).stdout, '');

    const token = (await platform.gantry('host', 'join-token')).trim();
    const joined = await join(token);
    assert.equal(joined.code, 0, joined.stdout + joined.stderr);
    await untilServes(second);
    const hosts = await platform.gantryJson<HostView[]>('host', 'list');
    assert.deepEqual(
      hosts.map(({ state }) => state),
      ['up', 'up'],
    );
    assert.ok(!hosts.some(({ id }) => id === hostId));
  });
});
