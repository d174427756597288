// Traffic through a real HAProxy while instances, routers and proxies come and go: no request is lost.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type Load, type LoadMode, type LoadReport, startLoad } from './load/client.ts';
import { startFallingSilent } from './router/falling-silent.ts';
import {
  Harness,
  haproxyMissing,
  type ProxyProcess,
  type RunningInstance,
  waitFor,
} from './router/harness.ts';

const skip = haproxyMissing() ?? false;

/** One load of each kind at a host; slow requests last three seconds. */
function startLoads(harness: Harness, host: string, modes: LoadMode[]): Load[] {
  const clients = { 'keep-alive': 4, close: 2, websocket: 2, slow: 2, http2: 2, tcp: 2 };
  return modes.map((mode) =>
    startLoad({
      address: '127.0.0.1',
      port: harness.port,
      host,
      mode,
      clients: clients[mode],
      pauseMs: mode === 'slow' ? 0 : 5,
      messages: 20,
      slowMs: 3_000,
    }),
  );
}

async function stopLoads(loads: Load[]): Promise<LoadReport[]> {
  const reports = await Promise.all(loads.map((load) => load.stop()));
  for (const report of reports) {
    assert.ok(report.requests > 0, `${report.mode} sent nothing`);
    assert.equal(report.failed, 0, `${report.mode}: ${report.examples.join('; ')}`);
  }
  return reports;
}

const everyMode: LoadMode[] = ['keep-alive', 'close', 'websocket', 'slow'];

describe('the router with a real HAProxy', { skip }, () => {
  let harness: Harness;
  let proxy: ProxyProcess;

  before(async () => {
    harness = await Harness.create();
    proxy = await harness.startProxy();
    await harness.startRouter();
  });
  after(() => harness.close());

  /** What only a reload could have changed: the worker's process. */
  const workerPid = () => {
    const proxies = harness.routers[0]?.status().proxies as { worker: number }[] | undefined;
    return proxies?.[0]?.worker;
  };

  test('a route leads to its instance, and an unknown name to a page that says so', async () => {
    await harness.addRoute({ service: 'web.shop', domain: 'shop.test' });
    await harness.startInstance('web.shop', 1);
    await harness.answers('shop.test');
    const missing = await harness.get('nothing.test');
    assert.equal(missing.status, 404);
    assert.match(missing.body, /no route for nothing\.test/);
    assert.equal(missing.headers['cache-control'], 'no-store');
    const html = await harness.get('<b>.test', '/', { accept: 'text/html,*/*' });
    assert.match(String(html.headers['content-type']), /text\/html/);
    assert.doesNotMatch(html.body, /<b>/);
    const json = await harness.get('nothing.test', '/', { accept: 'application/json' });
    assert.match((JSON.parse(json.body) as { message: string }).message, /nothing\.test/);
  });

  test('an app without an instance answers 503 and names the service', async () => {
    await harness.addRoute({ service: 'web.empty', domain: 'empty.test' });
    await harness.answers('empty.test', 503);
    const { body, headers } = await harness.get('empty.test');
    assert.match(body, /No instance of web\.empty is up/);
    assert.equal(headers['cache-control'], 'no-store');
  });

  test('paths are prefixes of whole segments, the longest wins, and an exact name beats a wildcard', async () => {
    const routes: [string, string, string?][] = [
      ['web.root', 'site.test'],
      ['api.root', 'site.test', '/api'],
      ['v2.root', 'site.test', '/api/v2/'],
      ['any.root', '*.site.test'],
      ['one.root', 'one.site.test'],
    ];
    for (const [service, domain, path] of routes) {
      await harness.addRoute({ service, domain, ...(path ? { path } : {}) });
      await harness.startInstance(service, 1, { name: service });
    }
    const served = async (host: string, path: string) =>
      (await harness.get(host, path)).headers['x-instance'];
    await waitFor('all routes', async () => (await served('one.site.test', '/')) === 'one.root');
    assert.equal(await served('site.test', '/'), 'web.root');
    assert.equal(await served('SITE.test.:8080', '/apix'), 'web.root');
    assert.equal(await served('site.test', '/api'), 'api.root');
    assert.equal(await served('site.test', '/api?x=/api/v2'), 'api.root');
    assert.equal(await served('site.test', '/api/v2'), 'v2.root');
    assert.equal(await served('site.test', '/api/v2/users'), 'v2.root');
    assert.equal(await served('other.site.test', '/x'), 'any.root');
    assert.equal(await served('deep.other.site.test', '/'), undefined);
  });

  test('the app learns who asked, how, and under which request id; forged headers are replaced', async () => {
    const { body, headers } = await harness.get('shop.test', '/a?b=c', {
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-forwarded-prefix': '/elsewhere',
      'x-request-id': 'given-1',
      proxy: 'evil',
    });
    const seen = (JSON.parse(body) as { url: string; headers: Record<string, string> }).headers;
    assert.equal(seen['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen['x-forwarded-proto'], 'http');
    assert.equal(seen['x-forwarded-host'], 'shop.test');
    assert.equal(seen['x-forwarded-port'], String(harness.port));
    assert.equal(seen['x-request-id'], 'given-1');
    assert.equal(seen['x-forwarded-prefix'], undefined);
    assert.equal(seen.proxy, undefined);
    assert.equal(headers['x-request-id'], 'given-1');
    const insane = await harness.get('shop.test', '/', { 'x-request-id': 'a b"c' });
    assert.match(String(insane.headers['x-request-id']), /^[0-9a-f-]{36}$/);
  });

  test('the access log has the path without its query and how long each part took', async () => {
    await harness.get('shop.test', '/logged?secret=1', { 'x-request-id': 'logged-1' });
    const line = await waitFor('the line', async () =>
      (await readFile(proxy.logPath, 'utf8'))
        .split('\n')
        .find((text) => text.includes('id=logged-1')),
    );
    assert.match(line, /^method=GET host=shop\.test path="\/logged" app=shop service=web\.shop /);
    assert.match(line, / instance=1\.web\.shop:job-\S+ status=200 bytes=\d+ Tq=\d+ Tw=\d+ /);
    assert.doesNotMatch(line, /secret/);
  });

  test('instances come and go under load of every kind without a reload and without a failure', async () => {
    await harness.addRoute({ service: 'web.busy', domain: 'busy.test' });
    let running: RunningInstance[] = [await harness.startInstance('web.busy', 1)];
    await harness.answers('busy.test');
    const pid = workerPid();
    const loads = startLoads(harness, 'busy.test', everyMode);
    await waitFor('load', () => loads.every((load) => load.requests > 0));
    for (let round = 0; round < 5; round++) {
      const fresh = await harness.startInstance('web.busy', 1);
      await waitFor('the new one to serve', () => fresh.backend.served > 0);
      // A fast machine has moments without a request on its way: the switch waits for one of each kind.
      for (const load of loads)
        await waitFor('a request in flight', () => load.mark(`switch ${round}`).inFlight > 0);
      for (const old of running) await harness.stopInstance(old);
      running = [fresh];
    }
    await stopLoads(loads);
    assert.equal(workerPid(), pid, 'it was reloaded');
  });

  test('an instance with requests in flight is not stopped before they end', async () => {
    await harness.addRoute({ service: 'web.slow', domain: 'slow.test' });
    const only = await harness.startInstance('web.slow', 1);
    await harness.answers('slow.test');
    const answer = harness.get('slow.test', '/?ms=1500');
    await waitFor('the request to arrive', () => only.backend.active === 1);
    await harness.discovery.update(only.ref, { state: 'draining' });
    await waitFor('the router to call it busy', () =>
      harness.discovery.consumers().some(({ busy }) => busy.includes(only.ref.handle)),
    );
    assert.equal(harness.discovery.drainStatus(only.ref).mayStop, false);
    await harness.stopInstance(only);
    assert.equal((await answer).status, 200);
  });

  test('an instance that dies without a word is out of the way before discovery knows', async () => {
    await harness.addRoute({ service: 'web.dies', domain: 'dies.test' });
    const [first] = [
      await harness.startInstance('web.dies', 1),
      await harness.startInstance('web.dies', 2),
    ];
    await harness.answers('dies.test');
    const loads = startLoads(harness, 'dies.test', ['close']);
    await waitFor('both to serve', () => first.backend.served > 3);
    await first.backend.kill();
    await waitFor('HAProxy to take it out', async () =>
      (await readFile(proxy.logPath, 'utf8')).match(/Server b\d+\/1\.web\.dies:\S+ is DOWN/),
    );
    // Only what the killed process had begun may be lost: nothing that came after it.
    const reports = await Promise.all(loads.map((load) => load.stop()));
    for (const { failed, examples } of reports) assert.ok(failed <= 2, examples.join('; '));
    const after = startLoads(harness, 'dies.test', ['keep-alive', 'close']);
    await waitFor('requests', () => after.every((load) => load.requests > 50));
    await stopLoads(after);
    const log = await readFile(proxy.logPath, 'utf8');
    assert.equal(log.match(/Server b\d+\/1\.web\.dies:\S+ is DOWN/g)?.length, 1, 'said once');
  });

  test('a route that goes is gone, and its number is never given to another service', async () => {
    const route = await harness.addRoute({ service: 'web.brief', domain: 'brief.test' });
    await harness.startInstance('web.brief', 1);
    await harness.answers('brief.test');
    const map = `${harness.home}/proxy/maps/services.map`;
    const slot = (await readFile(map, 'utf8')).match(/^(b\d+) web\.brief$/m)?.[1];
    await harness.removeRoute(route);
    await harness.answers('brief.test', 404);
    await harness.addRoute({ service: 'web.later', domain: 'later.test' });
    await harness.answers('later.test', 503);
    assert.doesNotMatch(await readFile(map, 'utf8'), new RegExp(`^${slot} `, 'm'));
  });

  test('a router that is killed and started again finds what is there and reloads nothing', async () => {
    const pid = workerPid();
    const loads = startLoads(harness, 'shop.test', ['keep-alive', 'websocket']);
    await harness.stopRouters();
    await harness.answers('shop.test');
    await harness.startRouter();
    await waitFor('it to lead', () => harness.routers[0]?.status().passes);
    await harness.addRoute({ service: 'web.new', domain: 'new.test' });
    await harness.answers('new.test', 503);
    assert.equal(workerPid(), pid, 'it was reloaded');
    await stopLoads(loads);
  });

  test('a new proxy takes the sockets over while the old one finishes: nothing fails', async () => {
    const loads = startLoads(harness, 'shop.test', everyMode);
    await waitFor('load', () => loads.every((load) => load.requests > 0));
    for (let round = 0; round < 2; round++) {
      const next = await harness.startProxy();
      for (const load of loads) load.mark(`both run ${round}`);
      const fresh = await harness.startInstance('web.shop', 2);
      await waitFor('it to serve', () => fresh.backend.served > 0);
      const code = proxy.stopGently();
      await harness.stopInstance(fresh);
      assert.equal(await code, 0);
      for (const load of loads) load.mark(`one runs ${round}`);
      proxy = next;
    }
    await stopLoads(loads);
    await waitFor('one folder', async () => (await harness.runFolders()).length === 1);
  });

  test('a proxy that ends still says who is busy in it', async () => {
    await harness.addRoute({ service: 'web.late', domain: 'late.test' });
    const only = await harness.startInstance('web.late', 1);
    await harness.answers('late.test');
    const answer = harness.get('late.test', '/?ms=2500');
    await waitFor('the request to arrive', () => only.backend.active === 1);
    const next = await harness.startProxy();
    const code = proxy.stopGently();
    proxy = next;
    await harness.stopInstance(only);
    assert.equal((await answer).status, 200);
    assert.equal(await code, 0);
  });

  test('a proxy that is killed comes back with the whole table while no router runs', async () => {
    await harness.stopRouters();
    await proxy.kill();
    proxy = await harness.startProxy();
    assert.equal((await harness.runFolders()).length, 1, 'the dead one is not cleared away');
    assert.equal((await harness.get('shop.test')).status, 200);
    assert.equal((await harness.get('site.test', '/api/v2')).headers['x-instance'], 'v2.root');
    await harness.startRouter();
    await harness.addRoute({ service: 'web.shop', domain: 'again.test' });
    await harness.answers('again.test');
    await waitFor(
      'the dead one to be cleared away',
      async () => (await harness.runFolders()).length === 1,
    );
  });
});

describe('an instance on a machine that falls silent', { skip }, () => {
  test('keeps no request that may be sent twice: another instance answers it', async () => {
    await using harness = await Harness.create({ silentBoundMs: 500 });
    await harness.startProxy();
    await harness.startRouter();
    await harness.addRoute({ service: 'web.shop', domain: 'shop.test' });
    const silent = await startFallingSilent();
    const ended: number[] = [];
    harness.endConnections = async () => {
      const count = await silent.endConnections();
      ended.push(count);
      return count;
    };
    try {
      await harness.discovery.register({
        id: '1.web.shop',
        service: 'web.shop',
        job: 'job-silent',
        address: '::1',
        port: silent.port,
        ports: {},
        state: 'up',
        host: 'host-other',
        createdAt: 1,
        metadata: {},
      });
      let status = 0;
      await waitFor('the silent instance to be asked', async () => {
        const answered = harness.get('shop.test').then((answer) => {
          status = answer.status;
          return answer;
        });
        return (await Promise.race([answered, silent.asked])) === undefined;
      });
      await harness.startInstance('web.shop', 2);
      status = 0;
      silent.fall();
      await waitFor('the other one to answer', () => status === 200);
      assert.ok(
        ended.some((count) => count > 0),
        'it was the connection that ended, not the request',
      );
    } finally {
      await silent.stop();
    }
  });
});

describe('more services than there are spare backends', { skip }, () => {
  test('they arrive by reloads that fail no request', async () => {
    await using harness = await Harness.create({ spareBackends: 4 });
    await harness.startProxy();
    const router = await harness.startRouter();
    await harness.addRoute({ service: 'web.shop', domain: 'shop.test' });
    await harness.startInstance('web.shop', 1);
    await harness.answers('shop.test');
    const loads = startLoads(harness, 'shop.test', everyMode);
    for (let app = 0; app < 12; app++) {
      await harness.addRoute({ service: `web.app${app}`, domain: `app${app}.test` });
      await harness.startInstance(`web.app${app}`, 1);
      await harness.answers(`app${app}.test`);
    }
    await stopLoads(loads);
    const [proxy] = router.status().proxies as { reloads: number }[];
    assert.ok((proxy?.reloads ?? 0) >= 3, 'it must have reloaded for this test to show anything');
  });
});
