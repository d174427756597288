// Is any subnet or address ever given twice? Cases, then seeded runs with crashes and concurrent callers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '#core/fake-clock';
import { createHttpServer } from '#core/http-server';
import { type Log, silentLog } from '#core/log';
import { type Random, seededRandom } from '#core/random';
import { memberKey } from '#layer0/membership/wire';
import { listAll, type Store } from '#layer0/store/client';
import { createMemoryStore } from '#layer0/store/fake';
import { createNetwork, type EngineNetwork, type Network } from './client.ts';
import { type NetworkConfig, readPorts } from './config.ts';
import type { OverlayWanted } from './decide/overlay.ts';
import { registerNetworkRoutes } from './http.ts';
import { Ledger } from './ledger.ts';
import { parseRoutes } from './machine.ts';
import { type Address, addressPrefix, appNetworkKey } from './wire.ts';

const config: NetworkConfig = {
  cluster: 'cluster-a',
  host: 'host-1',
  address: '10.1.1.1',
  pool: '10.64.0.0/12',
  prefixLength: 24,
  mtu: 1450,
  domain: 'gantry',
};

/** The machines of the cluster, by host id; a test may let one go. */
const bothMachines = { 'host-1': '10.1.1.1', 'host-2': '10.1.1.2' };

interface Bench {
  network: Network;
  engine: EngineNetwork[];
  /** What the tunnels were last told. */
  tunnels: OverlayWanted[];
  clock: FakeClock;
}

interface Surroundings {
  routes?: string[];
  machines?: Record<string, string>;
  jobs?: number;
  /** What the kernel differs in, look by look. */
  differences?: string[][];
  /** Who is refused, look by look. */
  refused?: string[][];
  log?: Log;
}

function aNetwork(
  store: Store,
  overrides: Partial<NetworkConfig> = {},
  {
    routes = [],
    machines = bothMachines,
    jobs = 0,
    differences = [],
    refused = [],
    log = silentLog,
  }: Surroundings = {},
): Bench {
  const engine: EngineNetwork[] = [];
  const tunnels: OverlayWanted[] = [];
  const clock = new FakeClock();
  const { host } = { ...config, ...overrides };
  const network = createNetwork(
    {
      store,
      runtime: {
        ensureNetwork: async (wanted) => {
          if (!engine.some(({ name }) => name === wanted.name)) engine.push(wanted);
        },
        listNetworks: async () => engine,
        removeNetwork: async (name) => {
          engine.splice(0, engine.length, ...engine.filter((other) => other.name !== name));
        },
      },
      firewall: {
        ensure: async () => {},
        refused: async () => refused.shift() ?? [],
        remove: async () => {},
        status: () => ({}),
      },
      overlay: {
        ensure: async (wanted) => {
          tunnels.push(wanted);
        },
        follow: async (wanted) => {
          tunnels.push(wanted);
        },
        differences: async () => differences.shift() ?? [],
        endConnections: async () => 2,
      },
      others: () => new Map(Object.entries(machines).filter(([id]) => id !== host)),
      jobsOf: async () => jobs,
      clock,
      random: seededRandom(1),
      log,
      routes: async () => routes,
    },
    { ...config, ...overrides },
  );
  return { network, engine, tunnels, clock };
}

test('builds have a network of their own, behind the firewall, in which none reaches another', async () => {
  const { network, engine } = aNetwork(createMemoryStore());
  const app = await network.ensureAppNetwork('app-1', 'shop');
  const name = await network.ensureBuildNetwork();
  assert.equal(name, await network.ensureBuildNetwork());
  const [ofApp, ofBuilds] = engine;
  assert.deepEqual([ofApp?.isApart, ofBuilds?.isApart], [undefined, true]);
  assert.equal(ofBuilds?.name, name);
  assert.equal(ofBuilds?.bridge.slice(0, 8), app.bridge.slice(0, 8), 'the rule of the firewall');
});

test('an app has one network, however often it is asked for, and a rename keeps it', async () => {
  const { network, engine } = aNetwork(createMemoryStore());
  const first = await network.ensureAppNetwork('app-000111', 'shop');
  assert.deepEqual(first, await network.ensureAppNetwork('app-000111', 'shop'));
  assert.equal(first.subnet, '10.64.0.0/24');
  assert.equal(first.networkName, 'gantry-shop-000111');
  const renamed = await network.ensureAppNetwork('app-000111', 'store');
  assert.deepEqual(renamed, { ...first, appName: 'store' });
  assert.deepEqual(
    engine.map(({ name, gateway, bridge }) => ({ name, gateway, bridge })),
    [{ name: 'gantry-shop-000111', gateway: '10.64.0.1', bridge: first.bridge }],
  );
  assert.ok(first.bridge.length <= 15);
});

test('ranges that the machine routes elsewhere are left out', async () => {
  const { network } = aNetwork(
    createMemoryStore(),
    {},
    { routes: ['10.64.0.0/16', '10.65.0.0/24'] },
  );
  assert.equal((await network.ensureAppNetwork('app-1', 'one')).subnet, '10.65.1.0/24');
});

test('a job keeps its address until it is released, with names and MAC to match', async () => {
  const { network } = aNetwork(createMemoryStore());
  await network.ensureAppNetwork('app-1', 'shop');
  const attachment = await network.allocate('app-1', 'job-1', 'host-1');
  assert.deepEqual(attachment, {
    networkName: 'gantry-shop-app-1',
    ip: '10.64.0.2',
    mac: '02:42:0a:40:00:02',
    dns: ['10.64.0.1'],
    dnsSearch: ['shop.service.gantry'],
    dnsOptions: ['ndots:1'],
  });
  assert.deepEqual(await network.allocate('app-1', 'job-1', 'host-1'), attachment);
  await network.release('job-1');
  await network.release('job-1');
  assert.equal((await network.allocate('app-1', 'job-2', 'host-1')).ip, '10.64.0.3');
});

test('a full subnet says so, and then gives what is free the longest', async () => {
  const { network } = aNetwork(createMemoryStore(), { prefixLength: 28 });
  await network.ensureAppNetwork('app-1', 'shop');
  for (let job = 0; job < 13; job++) await network.allocate('app-1', `job-${job}`, 'host-1');
  await assert.rejects(network.allocate('app-1', 'job-x', 'host-1'), {
    code: 'network.subnetFull',
  });
  await network.release('job-7');
  assert.equal((await network.allocate('app-1', 'job-x', 'host-1')).ip, '10.64.0.9');
});

test('a network is made large enough for its app and for those that replace its jobs', async () => {
  const store = createMemoryStore();
  const { network } = aNetwork(store, {}, { jobs: 200 });
  assert.equal((await network.ensureAppNetwork('app-1', 'large')).subnet, '10.64.0.0/23');
  const { network: small } = aNetwork(store, {}, { jobs: 3 });
  assert.equal((await small.ensureAppNetwork('app-2', 'small')).subnet, '10.64.2.0/24');
  const { network: huge } = aNetwork(store, {}, { jobs: 1_000_000 });
  const most = 'a sixteenth of the pool';
  assert.equal((await huge.ensureAppNetwork('app-3', 'huge')).subnet, '10.65.0.0/16', most);
  const tiny = aNetwork(store, { pool: '10.1.0.0/22' }, { jobs: 1_000 });
  assert.equal((await tiny.network.ensureAppNetwork('app-4', 'tiny')).subnet, '10.1.0.0/24');
});

test('a pool without room says so', async () => {
  const { network } = aNetwork(createMemoryStore(), { pool: '10.64.0.0/23' });
  await network.ensureAppNetwork('app-1', 'one');
  await network.ensureAppNetwork('app-2', 'two');
  await assert.rejects(network.ensureAppNetwork('app-3', 'three'), { code: 'network.poolFull' });
});

test('a network goes only when nobody holds an address in it', async () => {
  const { network, engine } = aNetwork(createMemoryStore());
  await network.ensureAppNetwork('app-1', 'shop');
  await network.allocate('app-1', 'job-1', 'host-1');
  await assert.rejects(network.removeAppNetwork('app-1'), { code: 'network.inUse' });
  assert.equal((await network.allocate('app-1', 'job-2', 'host-1')).ip, '10.64.0.3');
  await network.release('job-1');
  await network.release('job-2');
  await network.removeAppNetwork('app-1');
  await network.removeAppNetwork('app-1');
  assert.deepEqual(engine, []);
  assert.deepEqual(await network.addresses('app-1'), []);
  await assert.rejects(network.allocate('app-1', 'job-3', 'host-1'), { code: 'network.notFound' });
});

test('a network that is wanted again while it is forgotten keeps what it gives', async () => {
  const store = createMemoryStore();
  const small = { prefixLength: 30 };
  const { network: other } = aNetwork(store, small);
  await other.ensureAppNetwork('app-1', 'shop');
  await other.allocate('app-1', 'job-1', 'host-1');
  await other.release('job-1');
  let lists = 0;
  const meddled: Pick<Store, 'get' | 'list' | 'txn'> = {
    get: (key) => store.get(key),
    txn: (txn) => store.txn(txn),
    list: async <T>(prefix: string) => {
      const listed = await store.list<T>(prefix);
      if (prefix.startsWith('network/addresses/') && ++lists === 2) {
        await other.ensureAppNetwork('app-1', 'shop');
        await other.allocate('app-1', 'job-2', 'host-1');
      }
      return listed;
    },
  };
  const { network } = aNetwork(meddled as Store, small);
  await network.removeAppNetwork('app-1');
  await assert.rejects(other.allocate('app-1', 'job-3', 'host-1'), { code: 'network.subnetFull' });
});

test('whoever watches hears of every network', async () => {
  const { network } = aNetwork(createMemoryStore());
  const heard: string[][] = [];
  const stop = network.watch((networks) => heard.push(networks.map(({ appName }) => appName)));
  await network.ensureAppNetwork('app-1', 'one');
  await network.ensureAppNetwork('app-2', 'two');
  await network.removeAppNetwork('app-1');
  stop();
  await network.removeAppNetwork('app-2');
  assert.deepEqual(heard, [[], ['one'], ['one', 'two'], ['two']]);
});

test('each further machine has a gateway of its own, and containers there ask it', async () => {
  const store = createMemoryStore();
  const { network: first } = aNetwork(store);
  const { network: second, engine } = aNetwork(store, { host: 'host-2', address: '10.1.1.2' });
  await first.ensureAppNetwork('app-1', 'shop');
  await second.ensureAppNetwork('app-1', 'shop');
  assert.equal(engine[0]?.gateway, '10.64.0.2');
  assert.deepEqual((await first.allocate('app-1', 'job-1', 'host-1')).dns, ['10.64.0.1']);
  const there = await second.allocate('app-1', 'job-2', 'host-2');
  assert.deepEqual([there.ip, there.dns], ['10.64.0.4', ['10.64.0.2']]);
  assert.deepEqual(
    [await first.carried(), await second.carried()].map(([one]) => one?.gateway),
    ['10.64.0.1', '10.64.0.2'],
  );
});

test('a machine is told where containers and gateways of its networks are on others', async () => {
  const store = createMemoryStore();
  const { network: first, tunnels, clock } = aNetwork(store);
  const { network: second } = aNetwork(store, { host: 'host-2', address: '10.1.1.2' });
  await first.start();
  await first.ensureAppNetwork('app-1', 'shop');
  await second.ensureAppNetwork('app-1', 'shop');
  await second.ensureAppNetwork('app-2', 'not carried by the first');
  await second.allocate('app-1', 'job-2', 'host-2');
  await first.allocate('app-1', 'job-1', 'host-1');
  const member = '10.1.1.2';
  const wanted = [
    { ip: '10.64.0.2', member },
    { ip: '10.64.0.3', member },
  ];
  while (tunnels.at(-1)?.networks[0]?.endpoints.length !== 2) await clock.advance(1);
  const last = tunnels.at(-1);
  assert.deepEqual(
    last?.networks.map(({ endpoints }) => endpoints),
    [wanted],
  );
  assert.deepEqual([last?.local, last?.networks[0]?.gateway], ['10.1.1.1', '10.64.0.1']);
  await second.release('job-2');
  while (tunnels.at(-1)?.networks[0]?.endpoints.length !== 1) await clock.advance(1);
  await first.stop();
});

test('a network that goes takes its tunnel along at once', async () => {
  const { network, tunnels, clock } = aNetwork(createMemoryStore());
  await network.start();
  await network.ensureAppNetwork('app-1', 'shop');
  for (let turn = 0; turn < 100; turn++) await clock.advance(1);
  assert.equal(tunnels.at(-1)?.networks.length, 1);
  assert.ok(await network.removeAppNetwork('app-1'));
  for (let turn = 0; turn < 100; turn++) await clock.advance(1);
  assert.equal(tunnels.at(-1)?.networks.length, 0);
  await network.stop();
});

test('who was refused is told with its job when the address is let go, not when it is forgotten', async () => {
  const told: unknown[] = [];
  const log = { ...silentLog, warn: (what: unknown) => told.push(what) } as Log;
  const refused: string[][] = [];
  const { network, clock } = aNetwork(createMemoryStore(), {}, { refused, log });
  await network.start();
  await network.ensureAppNetwork('app-1', 'shop');
  const { ip } = await network.allocate('app-1', 'job-1', 'host-1');
  for (let turn = 0; turn < 100; turn++) await clock.advance(1);
  refused.push([ip]);
  await network.release('job-1');
  for (let turn = 0; turn < 100; turn++) await clock.advance(1);
  assert.deepEqual(told, [{ address: ip, job: 'job-1' }]);
  await network.stop();
});

test('what differs from the records is told when it is not mended', async () => {
  const [kept, mended] = ['ip neigh replace a', 'bridge fdb replace b'];
  const differences = [[kept, mended], [kept]];
  const { network, tunnels, clock } = aNetwork(createMemoryStore(), {}, { differences });
  await network.start();
  while (tunnels.length === 0) await clock.advance(1);
  const before = tunnels.length;
  const told = network.differences();
  for (let turn = 0; turn < 1_100; turn++) await clock.advance(1);
  assert.deepEqual(await told, [kept]);
  assert.ok(tunnels.length > before, 'it is mended at once');
  assert.deepEqual(await network.differences(), []);
  await network.stop();
});

test("connections to a job on another machine can be ended, and to nobody else's address", async () => {
  const store = createMemoryStore();
  const { network, clock } = aNetwork(store);
  await network.start();
  await network.ensureAppNetwork('app-1', 'shop');
  const own = await network.allocate('app-1', 'job-1', 'host-1');
  const other = await network.allocate('app-1', 'job-2', 'host-2');
  for (let turn = 0; turn < 100; turn++) await clock.advance(1);
  const server = createHttpServer({ log: silentLog });
  registerNetworkRoutes(server, { network });
  const end = async (ip: string) =>
    (await server.inject({ method: 'DELETE', url: `/network/connections/${ip}` })).json();
  assert.deepEqual(await end(other.ip), { ended: 2 });
  for (const ip of [own.ip, '10.1.1.2', '127.0.0.1', 'dport'])
    assert.equal((await end(ip)).code, 'network.notElsewhere', ip);
  await server.close();
  await network.stop();
});

const isMember = (host: string) => ({ put: memberKey(host), value: { hostId: host } });

/** Waits until the machine's loop has done what it does when it starts. */
async function onePass({ network, clock }: Bench): Promise<void> {
  await network.start();
  for (let turn = 0; turn < 200; turn++) await clock.advance(1);
  await network.stop();
}

test('each machine has an address among the machines, by which the others reach its containers', async () => {
  const store = createMemoryStore();
  const [first, second] = [
    aNetwork(store),
    aNetwork(store, { host: 'host-2', address: '10.1.1.2' }),
  ];
  await second.network.ensureAppNetwork('app-1', 'not carried by the first');
  const { ip } = await second.network.allocate('app-1', 'job-1', 'host-2');
  await onePass(second);
  await onePass(first);
  const routes = first.tunnels.at(-1)?.routes;
  assert.deepEqual(routes?.peers, [{ ip: '10.64.16.2', member: '10.1.1.2' }]);
  assert.deepEqual(routes?.places, [{ ip, via: '10.64.16.2' }]);
  assert.equal(routes?.address, '10.64.16.3/20');
  assert.deepEqual(await first.network.carried(), [], 'nobody asks DNS or is attached there');
});

test('what a removed machine held is free again, and its part of a network that goes', async () => {
  const store = createMemoryStore();
  const gone = aNetwork(store, { host: 'host-2', address: '10.1.1.2' });
  await gone.network.ensureAppNetwork('app-1', 'made there');
  const left = aNetwork(store);
  await left.network.ensureAppNetwork('app-1', 'made there');
  await gone.network.allocate('app-1', 'job-2', 'host-2');
  await store.txn({ compare: [], operations: [isMember('host-1'), isMember('host-2')] });
  const alone = aNetwork(store, {}, { machines: { 'host-1': '10.1.1.1' } });
  await onePass(alone);
  await assert.rejects(alone.network.removeAppNetwork('app-1'), { code: 'network.inUse' });
  await store.txn({ compare: [], operations: [{ delete: memberKey('host-2') }] });
  await onePass(alone);
  const held = (await alone.network.addresses('app-1')).filter(({ freedAt }) => !freedAt);
  assert.deepEqual(
    held.map(({ job }) => job),
    ['gateway/app-1/host-1'],
  );
  assert.equal(await alone.network.removeAppNetwork('app-1'), false, "the other's first address");
  await onePass(alone);
  assert.equal(await alone.network.removeAppNetwork('app-1'), true);
});

test('a machine that no record says was removed keeps what it holds', async () => {
  const store = createMemoryStore();
  const other = aNetwork(store, { host: 'host-2', address: '10.1.1.2' });
  await other.network.ensureAppNetwork('app-1', 'shop');
  await other.network.allocate('app-1', 'job-2', 'host-2');
  const alone = aNetwork(store, {}, { machines: { 'host-1': '10.1.1.1' } });
  await onePass(alone);
  const held = (await alone.network.addresses('app-1')).filter(({ freedAt }) => !freedAt);
  assert.deepEqual(
    held.map(({ job }) => job),
    ['job-2'],
  );
});

test('a network is forgotten when the last machine has let it go', async () => {
  const store = createMemoryStore();
  const { network: first, engine } = aNetwork(store);
  const { network: second } = aNetwork(store, { host: 'host-2', address: '10.1.1.2' });
  await first.ensureAppNetwork('app-1', 'shop');
  await second.ensureAppNetwork('app-1', 'shop');
  await first.removeAppNetwork('app-1');
  assert.deepEqual([engine, await first.carried()], [[], []]);
  assert.equal((await second.list()).length, 1);
  await second.removeAppNetwork('app-1');
  assert.deepEqual([await second.list(), await second.addresses('app-1')], [[], []]);
});

test("a network that was made when there was one machine is that machine's", async () => {
  const store = createMemoryStore();
  const { network: earlier } = aNetwork(store);
  const { gatewayHost: _, ...record } = await earlier.ensureAppNetwork('app-1', 'shop');
  const operations = [{ put: appNetworkKey('app-1'), value: record }];
  await store.txn({ compare: [], operations });
  const { network } = aNetwork(store);
  await network.start();
  while ((await network.carried()).length === 0) await new Promise(setImmediate);
  await network.stop();
  assert.equal((await network.carried())[0]?.gateway, '10.64.0.1');
});

/** A store whose calls take a random number of turns, some of which die before or after they have happened. */
function shaky(store: Store, random: Random): Store {
  const turns = async () => {
    for (let left = Math.floor(random() * 4); left > 0; left--) await null;
  };
  const crash = (when: string) => {
    if (random() < 0.03) throw new Error(`crashed ${when} the call`);
  };
  const around = async <T>(call: () => Promise<T>): Promise<T> => {
    await turns();
    crash('before');
    const result = await call();
    await turns();
    crash('after');
    return result;
  };
  const calls: Pick<Store, 'get' | 'list' | 'txn'> = {
    get: (key) => around(() => store.get(key)),
    list: (prefix, options) => around(() => store.list(prefix, options)),
    txn: (txn) => around(() => store.txn(txn)),
  };
  return calls as Store;
}

async function churn(seed: number): Promise<string[]> {
  const store = createMemoryStore({ random: seededRandom(seed) });
  const random = seededRandom(seed);
  const broken: string[] = [];
  /** What each job was told it holds, until it says that it lets go. */
  const held = new Map<string, string>();
  const hosts = ['host-1', 'host-2', 'host-3'];
  await store.txn({ compare: [], operations: hosts.map(isMember) });
  const daemons = hosts.map(
    (host) =>
      aNetwork(shaky(store, random), { pool: '10.64.0.0/25', prefixLength: 28, host }).network,
  );
  const worker = async (index: number) => {
    const [network, twin] = [daemons[index % 3], daemons[(index + 1) % 3]];
    const host = hosts[index % 3] ?? '';
    if (!network || !twin) return;
    for (let step = 0; step < 12; step++) {
      const app = `app-${Math.floor(random() * 3)}`;
      const job = `job-${index}-${step % 3}-${app}`;
      try {
        await network.ensureAppNetwork(app, app);
        const [first, second] = await Promise.allSettled([
          network.allocate(app, job, host),
          twin.allocate(app, job, host),
        ]);
        if (first.status === 'rejected') throw first.reason;
        const { ip } = first.value;
        if (second.status === 'fulfilled' && second.value.ip !== ip)
          broken.push(`seed ${seed}: ${job} got ${ip} and ${second.value.ip}`);
        for (const [other, theirs] of held)
          if (other !== job && theirs === ip)
            broken.push(`seed ${seed}: ${ip} to ${job} and ${other}`);
        const before = held.get(job);
        if (before !== undefined && before !== ip)
          broken.push(`seed ${seed}: ${job} moved from ${before} to ${ip}`);
        held.set(job, ip);
        if (random() < 0.8) {
          held.delete(job);
          await network.release(job);
        }
        if (random() < 0.5) await network.removeAppNetwork(app);
      } catch {
        // A crash or a full pool: the next step is the daemon that came back.
      }
    }
  };
  await Promise.all(Array.from({ length: 6 }, (_, index) => worker(index)));
  const { network } = aNetwork(store);
  const networks = await network.list();
  const recorded = (await Promise.all(networks.map(({ app }) => network.addresses(app)))).flat();
  for (const [job, ip] of held)
    if (!recorded.some((entry) => entry.ip === ip && entry.job === job && !entry.freedAt))
      broken.push(`seed ${seed}: ${job} holds ${ip} and the store does not know`);
  const subnets = networks.map(({ subnet }) => subnet);
  if (new Set(subnets).size !== subnets.length) broken.push(`seed ${seed}: subnets ${subnets}`);
  if (new Set(networks.map(({ vni }) => vni)).size !== networks.length)
    broken.push(`seed ${seed}: two networks have one VNI`);
  return [...broken, ...(await removeHost(store, 'host-3', shaky(store, random)))];
}

/** What is wrong after a machine was removed: each of its addresses is free then, and none of another machine's. */
async function removeHost(store: Store, host: string, crashing: Store): Promise<string[]> {
  const held = async () =>
    (await listAll<Address>(store, addressPrefix)).flatMap(({ value }) =>
      value.freedAt === undefined ? [value] : [],
    );
  const kept = (await held()).filter((address) => address.host !== host);
  await store.txn({ compare: [], operations: [{ delete: memberKey(host) }] });
  const ledgers = ['host-1', 'host-2'].map((one) => {
    const deps = { store: crashing, clock: new FakeClock(), routes: async () => [] };
    return new Ledger({ ...deps, wantedAddresses: async () => 0 }, { ...config, host: one });
  });
  const isLeft = async () => (await held()).some((address) => address.host === host);
  for (let round = 0; round < 50 && (round === 0 || (await isLeft())); round++)
    await Promise.allSettled(
      ledgers.map((ledger) => ledger.collectRemoved(new Set([host, 'host-2']))),
    );
  const after = new Set((await held()).map(({ ip }) => ip));
  const lost = kept.filter(({ ip }) => !after.has(ip));
  if (await isLeft()) return [`what ${host} held is not free`];
  return lost.map(({ ip }) => `${ip} of a member was freed`);
}

test('nothing is given twice, through crashes and concurrent callers and the loss of a machine, in 150 seeded runs', async () => {
  for (let seed = 1; seed <= 150; seed++) assert.deepEqual(await churn(seed), []);
});

test('the routes of the machine are read as the kernel prints them, ours left out', () => {
  const table = [
    'Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT',
    'eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0',
    'eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0',
    'docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0',
    'gtabcde-1 0000400A 00000000 0001 0 0 0 00FFFFFF 0 0 0',
    'grabcde 0200400A 00000000 0005 0 0 0 FFFFFFFF 0 0 0',
  ].join('\n');
  assert.deepEqual(parseRoutes(table, ['gtabcde-', 'grabcde']), ['192.0.2.0/24', '172.17.0.0/16']);
});

test('router ports are ports or ranges, and nothing that iptables would read otherwise', () => {
  assert.deepEqual(readPorts('80, 443,10000:10999'), ['80', '443', '10000:10999']);
  for (const text of ['0', '70000', '9:8', '1:2:3', '80 -j ACCEPT', 'http'])
    assert.throws(() => readPorts(text), { code: 'network.badPorts' }, text);
});

test('networks and addresses are listed over HTTP', async () => {
  const { network } = aNetwork(createMemoryStore());
  await network.ensureAppNetwork('app-1', 'shop');
  await network.allocate('app-1', 'job-1', 'host-1');
  const server = createHttpServer({ log: silentLog });
  registerNetworkRoutes(server, { network });
  const [listed] = (await server.inject('/network/apps')).json();
  assert.equal(listed.gateway, '10.64.0.1');
  assert.equal(listed.held, 1);
  const [address] = (await server.inject('/network/apps/app-1/addresses')).json();
  assert.equal(address.job, 'job-1');
  const missing = await server.inject('/network/apps/app-2/addresses');
  assert.equal(missing.json().code, 'network.notFound');
  await server.close();
});
