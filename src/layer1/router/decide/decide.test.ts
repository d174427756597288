// From routes and instances to maps, servers, steps and commands: all of it without HAProxy.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '#core/random';
import type { Instance } from '#layer0/discovery/client';
import type { Route } from '../wire.ts';
import { commandsOf } from './commands.ts';
import { assignSlots, noSlots, parseSlots, renderServicesMap } from './slots.ts';
import { type ObservedServer, parseHealth, type WorkerState } from './state.ts';
import {
  applyStep,
  decideReload,
  decideRemovals,
  decideSilent,
  decideSteps,
  doubtfulBackends,
  holdServer,
  type Step,
} from './steps.ts';
import { makeTable, planRoutes, routeMapKey, type Table } from './table.ts';

function aRoute(changes: Partial<Route> & { service: string }): Route {
  return {
    id: `rte-${changes.service}`,
    app: 'app-1',
    appName: 'shop',
    type: 'http',
    sendsProxyProtocol: false,
    redirectsToHttps: false,
    isSystem: false,
    createdAt: 1,
    ...changes,
  };
}

function anInstance(service: string, job: string, changes: Partial<Instance> = {}): Instance {
  return {
    id: `1.${service}`,
    service,
    job,
    address: '10.0.0.2',
    port: 8080,
    ports: {},
    state: 'up',
    host: 'host-1',
    createdAt: 1,
    metadata: {},
    ...changes,
  };
}

function aTable(routes: Route[], instances: Instance[] = []): Table {
  const services = new Map<string, Instance[]>();
  for (const instance of instances)
    services.set(instance.service, [...(services.get(instance.service) ?? []), instance]);
  const tcpPorts = { min: 3000, max: 3010 };
  return makeTable(
    planRoutes({ host: 'host-1', routes, slots: noSlots, spares: 8, tcpPorts }),
    services,
  );
}

/** A worker that has all of this table. */
function aWorker(table: Table): WorkerState {
  const backends = new Set(table.backends.keys());
  for (let slot = table.slots.next; slot <= table.slots.end; slot++) backends.add(`b${slot}`);
  const servers = new Map<string, Map<string, ObservedServer>>();
  for (const [backend, wanted] of table.backends) {
    const observed = new Map<string, ObservedServer>();
    for (const { name, address, port, isDraining } of wanted.values())
      observed.set(name, { address, port, isDraining, isMaint: false });
    servers.set(backend, observed);
  }
  return {
    pid: 1,
    shape: 'same',
    isStopping: false,
    backends,
    routes: new Map(table.routes),
    services: new Map(table.services),
    servers,
    certificates: new Map(),
  };
}

const none = { byPath: new Map() };
const shopRoute = aRoute({ service: 'web.shop', domain: 'shop.test' });

describe('the numbers of backends', () => {
  test('a number is given once: a service that comes after another left gets a new one', () => {
    const first = assignSlots(noSlots, ['a', 'b'], 4);
    assert.deepEqual(
      [...first.byService],
      [
        ['a', 1],
        ['b', 2],
      ],
    );
    const second = assignSlots(first, ['b'], 4);
    const third = assignSlots(second, ['b', 'c'], 4);
    assert.equal(third.byService.get('c'), 3);
    assert.equal(third.byService.get('b'), 2);
  });

  test('nothing new is the same object, so that nothing is written', () => {
    const slots = assignSlots(noSlots, ['a'], 4);
    assert.equal(assignSlots(slots, ['a'], 4), slots);
  });

  test('spares are topped up before they are used up', () => {
    let slots = assignSlots(noSlots, ['s0'], 8);
    const wanted = ['s0'];
    for (let index = 1; index < 30; index++) {
      wanted.push(`s${index}`);
      slots = assignSlots(slots, wanted, 8);
      assert.ok(slots.end - slots.next + 1 >= 2, `only ${slots.end - slots.next + 1} left`);
    }
  });

  test('they survive the file they are kept in, also when every service has gone', () => {
    const slots = assignSlots(assignSlots(noSlots, ['a', 'b'], 4), [], 4);
    assert.deepEqual(parseSlots(renderServicesMap(slots, new Map())), slots);
    assert.equal(parseSlots('b7 web.shop\n').next, 8);
  });
});

describe('the table', () => {
  test('a prefix ends where a path segment ends', () => {
    assert.equal(routeMapKey('Shop.Test', '/'), 'shop.test/');
    assert.equal(routeMapKey('shop.test', '/api'), 'shop.test/api/');
    assert.equal(routeMapKey('shop.test', '/api/'), 'shop.test/api/');
  });

  test('of two routes for one name the system one wins, then the older one', () => {
    const table = aTable([
      aRoute({ service: 'web.new', domain: 'x.test', createdAt: 9 }),
      aRoute({ service: 'web.old', domain: 'x.test', createdAt: 2 }),
      aRoute({ service: 'api.gantry', domain: 'x.test', createdAt: 10, isSystem: true }),
    ]);
    assert.equal(table.services.get(table.routes.get('x.test/') ?? ''), 'api.gantry');
  });

  test('a name that could end a line or a command never reaches HAProxy', () => {
    const hostile = ['a b.test', 'a\nb.test', 'a.test;shutdown', 'a.test#', ''];
    const table = aTable(hostile.map((domain) => aRoute({ service: 'web.x', domain })));
    assert.deepEqual([...table.routes], []);
    const line = aRoute({ service: 'web.x\nserver y', type: 'tcp', port: 3001 });
    assert.deepEqual(aTable([line]).tcp, []);
  });

  test('an instance whose address is none is left out: one would make the whole configuration invalid', () => {
    const serversWith = (address: string) =>
      aTable([shopRoute], [anInstance('web.shop', 'job-1', { address })]).backends.get('b1')?.size;
    for (const odd of ['1.2.3.4:80 weight 9', '10.0.0.256', '10.0.0', '010.0.0.1', 'abc', ':::1'])
      assert.equal(serversWith(odd), 0, odd);
    for (const plain of ['10.0.0.255', 'fd00::1', '::ffff:10.0.0.1'])
      assert.equal(serversWith(plain), 1, plain);
  });

  test('what HAProxy will not let go yet is out of use, and tried again', () => {
    const state = aWorker(aTable([shopRoute], [anInstance('web.shop', 'job-1')]));
    const at = { backend: 'b1', name: '1.web.shop:job-1' };
    holdServer(state, { do: 'remove', at });
    const clock = { nowMs: 0, goneBoundMs: 1_000 };
    const idle = new Map([['b1/1.web.shop:job-1', 0]]);
    assert.deepEqual(decideSteps(aTable([shopRoute]), none, state), []);
    assert.deepEqual(decideRemovals(aTable([shopRoute]), state, idle, clock).steps, [
      { do: 'remove', at },
    ]);
    const again = aTable([shopRoute], [anInstance('web.shop', 'job-1')]);
    assert.deepEqual(decideSteps(again, none, state), [{ do: 'ready', at }]);
  });

  test('a TCP port outside of the range is left out', () => {
    const tcp = (port: number) => aRoute({ service: 'db.shop', type: 'tcp', port, id: `r${port}` });
    assert.deepEqual(
      aTable([tcp(22), tcp(3001)]).tcp.map(({ port }) => port),
      [3001],
    );
  });
});

describe('the steps', () => {
  const one = anInstance('web.shop', 'job-1');
  const two = anInstance('web.shop', 'job-2', { address: '10.0.0.3' });

  test('a worker that has the table gets none', () => {
    const table = aTable([shopRoute], [one]);
    assert.deepEqual(decideSteps(table, none, aWorker(table)), []);
    assert.equal(decideReload(table, 'same', aWorker(table)), undefined);
  });

  test('servers come before the route to them', () => {
    const state = { ...aWorker(aTable([])), backends: new Set(['b1', 'b8']) };
    const steps = decideSteps(aTable([shopRoute], [one]), none, state);
    assert.deepEqual(
      steps.map((step) => (step.do === 'set-map' ? step.map : step.do)),
      ['services', 'add-server', 'routes'],
    );
  });

  test('a new instance is in before the old one drains', () => {
    const state = aWorker(aTable([shopRoute], [one]));
    const table = aTable([shopRoute], [{ ...one, state: 'draining' }, two]);
    assert.deepEqual(
      decideSteps(table, none, state).map((step) => step.do),
      ['add-server', 'drain'],
    );
  });

  test('an instance that drains before it was known is never added', () => {
    const state = aWorker(aTable([shopRoute]));
    const table = aTable([shopRoute], [{ ...one, state: 'draining' }]);
    assert.deepEqual(decideSteps(table, none, state), []);
  });

  test('an instance that moved is readdressed, one that is back is ready again', () => {
    const state = aWorker(aTable([shopRoute], [one, { ...two, state: 'draining' }]));
    const table = aTable([shopRoute], [{ ...one, port: 9090 }, two]);
    assert.deepEqual(
      decideSteps(table, none, state).map((step) => step.do),
      ['readdress', 'ready'],
    );
  });

  test('a draining server stays while its instance is known, busy or not', () => {
    const table = aTable([shopRoute], [{ ...one, state: 'draining' }]);
    const sessions = new Map([['b1/1.web.shop:job-1', 2]]);
    const clock = { nowMs: 1e6, goneBoundMs: 1_000 };
    const busy = decideRemovals(table, aWorker(table), sessions, clock);
    assert.deepEqual(busy.steps, []);
    assert.equal(busy.busy.length, 1);
    const idle = decideRemovals(
      table,
      aWorker(table),
      new Map([...sessions.keys()].map((key) => [key, 0])),
      clock,
    );
    assert.deepEqual(idle, { steps: [], busy: [] });
  });

  test('a server whose instance is gone waits for its requests, but not for ever', () => {
    const state = aWorker(aTable([shopRoute], [one]));
    const server = state.servers.get('b1')?.get('1.web.shop:job-1');
    assert.ok(server);
    server.goneSinceMs = 0;
    const table = aTable([shopRoute]);
    const removals = (nowMs: number, inFlight: number) =>
      decideRemovals(table, state, new Map([['b1/1.web.shop:job-1', inFlight]]), {
        nowMs,
        goneBoundMs: 1_000,
      }).steps.map((step) => step.do);
    assert.deepEqual(removals(500, 1), []);
    assert.deepEqual(removals(500, 0), ['remove']);
    assert.deepEqual(removals(1_000, 1), ['cut-sessions', 'remove']);
  });

  test('what waits for a machine that says nothing is ended in time, and nothing else is', () => {
    const there = { ...two, host: 'host-2' };
    const table = aTable([shopRoute], [one, there]);
    assert.ok(table.hasElsewhere && !aTable([shopRoute], [one, two]).hasElsewhere);
    assert.deepEqual(doubtfulBackends(table, new Map([['b1', 1]])), ['b1']);
    assert.deepEqual(doubtfulBackends(table, new Map([['b1', 2]])), []);
    const silent = { sessions: 1, isSilent: true, sinceMs: 4_000 };
    const [here, elsewhere] = ['1.web.shop:job-1', '1.web.shop:job-2'];
    const judge = (name: string, changes: Partial<typeof silent> = {}) => {
      const health = new Map([['b1', new Map([[name, { ...silent, ...changes }]])]]);
      const { over, isWaiting } = decideSilent(table, health, 4_000);
      return [over.length, isWaiting];
    };
    assert.deepEqual(judge(elsewhere), [1, false]);
    assert.deepEqual(judge(elsewhere, { sinceMs: 3_000 }), [0, true], 'a pause of a link');
    assert.deepEqual(judge(elsewhere, { isSilent: false }), [0, false], 'it refused, or is up');
    assert.deepEqual(judge(elsewhere, { sessions: 0 }), [0, false]);
    assert.deepEqual(judge(here), [0, false], 'an instance of this machine is busy, not lost');
  });

  test('what HAProxy says of servers that its checks find silent is understood', () => {
    const row = (name: string, status: string, check: string) =>
      ['b1', name, 0, 0, 3, ...Array(12).fill(0), status, 1, 1, 0, 0, 0, 7]
        .concat(Array(12).fill(0), check, 0)
        .join(',');
    const said = ['# pxname,...', row('a', 'DOWN', 'L4TOUT'), row('b', 'DOWN 1/2', '* L4TOUT')];
    said.push(row('c', 'DOWN', 'L4CON'), row('d', 'UP', 'L4OK'));
    const health = parseHealth(`${said.join('\n')}\n`);
    assert.deepEqual(health.get('a'), { sessions: 3, isSilent: true, sinceMs: 7_000 });
    assert.deepEqual(
      [...health.values()].map(({ isSilent }) => isSilent),
      [true, true, false, false],
    );
  });

  test('a server whose requests are not known is left alone', () => {
    const state = aWorker(aTable([shopRoute], [one]));
    const clock = { nowMs: 0, goneBoundMs: 0 };
    assert.deepEqual(decideRemovals(aTable([shopRoute]), state, new Map(), clock).steps, []);
  });

  test('after its steps a worker needs no more steps', () => {
    const state = { ...aWorker(aTable([])), backends: new Set(['b1', 'b8']) };
    const table = aTable([shopRoute], [one, two]);
    for (const step of decideSteps(table, none, state)) applyStep(state, step);
    assert.deepEqual(decideSteps(table, none, state), []);
  });

  test('what a worker had from the table before is not looked at, and makes no difference', () => {
    const chance = seededRandom(7);
    const tcpPorts = { min: 3000, max: 3010 };
    const services = new Map<string, Instance[]>();
    const backends = new Set(Array.from({ length: 400 }, (_, slot) => `b${slot}`));
    const state = { ...aWorker(aTable([])), backends };
    let routes: Route[] = [];
    let plan = planRoutes({ host: 'host-1', routes, slots: noSlots, spares: 8, tcpPorts });
    let had: Table | undefined;
    for (let change = 0; change < 300; change++) {
      const app = `web.app${Math.floor(chance() * 3)}`;
      const index = Math.floor(chance() * 3);
      if (chance() < 0.2) {
        const without = routes.filter(({ service }) => service !== app);
        const route = aRoute({ service: app, domain: `${app}.test` });
        routes = without.length === routes.length ? [...routes, route] : without;
        plan = planRoutes({ host: 'host-1', routes, slots: plan.slots, spares: 8, tcpPorts });
      } else {
        const others = (services.get(app) ?? []).filter(({ job }) => job !== `job-${index}`);
        const states = [
          { state: 'up' },
          { state: 'draining' },
          { state: 'up', port: 9090 },
        ] as const;
        const next = states[Math.floor(chance() * 4)];
        const arrived = next ? [anInstance(app, `job-${index}`, next)] : [];
        services.set(app, [...others, ...arrived]);
      }
      const table = makeTable(plan, services);
      const steps = decideSteps(table, none, state, had);
      assert.deepEqual(steps, decideSteps(table, none, state), `change ${change}`);
      for (const step of steps) applyStep(state, step);
      had = table;
    }
  });

  test('another shape or a missing backend needs a reload at once, few spares only later', () => {
    const table = aTable([shopRoute], [one]);
    const state = aWorker(table);
    assert.equal(decideReload(table, 'other', state), 'shape');
    assert.equal(decideReload(table, 'same', { ...state, backends: new Set(['b8']) }), 'backends');
    assert.equal(decideReload(table, 'same', { ...state, backends: new Set(['b1']) }), 'spares');
  });
});

test('every step is exactly these runtime commands', () => {
  const context = { routesMap: '/r', servicesMap: '/s', certificateList: '/l', checkMs: 500 };
  const at = { backend: 'b1', name: 'x' };
  const server = {
    name: 'x',
    address: 'fd00::1',
    port: 80,
    isDraining: false,
    sendsProxyProtocol: true,
    isElsewhere: false,
  };
  const certificate = { path: '/c.pem', pem: 'PEM\n', fingerprint: 'F', isNew: true };
  const steps: Step[] = [
    { do: 'set-map', map: 'routes', key: 'a/', value: 'b1', isNew: true },
    { do: 'set-map', map: 'services', key: 'b1', value: 'web.a', isNew: false },
    { do: 'delete-map', map: 'routes', key: 'a/' },
    { do: 'add-server', backend: 'b1', server },
    { do: 'readdress', at, address: '10.0.0.9', port: 81 },
    { do: 'drain', at },
    { do: 'remove', at },
    { do: 'end-sessions', at },
    { do: 'put-certificate', ...certificate },
    { do: 'delete-certificate', path: '/c.pem' },
  ];
  assert.deepEqual(
    steps.flatMap((step) => commandsOf(step, context)),
    [
      'add map /r a/ b1',
      'set map /s b1 web.a',
      'del map /r a/',
      'add server b1/x [fd00::1]:80 check inter 500ms fastinter 200ms downinter 500ms fall 2 rise 1 ' +
        'observe layer4 error-limit 1 on-error sudden-death pool-max-conn -1 pool-purge-delay 2s send-proxy-v2',
      'enable health b1/x',
      'enable server b1/x',
      'set server b1/x addr 10.0.0.9 port 81',
      'set server b1/x state ready',
      'set server b1/x state drain',
      'set server b1/x state maint',
      'del server b1/x',
      'shutdown sessions server b1/x',
      'new ssl cert /c.pem',
      'set ssl cert /c.pem <<\nPEM\n',
      'commit ssl cert /c.pem',
      'add ssl crt-list /l /c.pem',
      'del ssl crt-list /l /c.pem',
      'del ssl cert /c.pem',
    ],
  );
});
