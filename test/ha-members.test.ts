// The copies of a store on real etcd follow the machines of the cluster: one that was removed loses its copy, and another
// machine learns, gets the vote, and is known to everybody.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { systemClock as clock } from '#core/clock';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { HaFiles } from '#layer0/ha/files';
import { Members } from '#layer0/ha/members';
import { nodeOf } from '#layer0/ha/mover';
import { StorePlace } from '#layer0/ha/place';
import type { MemberPlan, Place } from '#layer0/ha/wire';
import type { Peers } from '#layer0/membership/index';
import { waitFor } from './cluster/wait.ts';
import { EtcdCluster, type EtcdMember, makeTls } from './store/etcd-cluster.ts';

let cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  cleanUps = [];
});

/** Where `nodeOf` looks for the member of a machine whose peer door is at this port. */
async function machineOf(cluster: EtcdCluster, name: string, port: number) {
  const member = await cluster.name(name);
  const { clientUrl, peerUrl } = nodeOf({ hostId: name, address: '127.0.0.1', port });
  return Object.assign(member, { clientUrl, peerUrl });
}

test('a removed machine loses its copy of the store, another one learns and takes its place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-ha-'));
  cleanUps.push(() => rmSync(folder, { recursive: true }));
  const tls = makeTls(folder);
  const cluster = new EtcdCluster({ size: 0, tls });
  cleanUps.push(() => cluster.stop());
  const first = 20_000 + (process.pid % 4_000) * 10;
  const names = ['host-a', 'host-b', 'host-c', 'host-d'];
  const all: EtcdMember[] = [];
  for (const [place, name] of names.entries())
    all.push(await machineOf(cluster, name, first + 3 * place));
  cluster.members = all.slice(0, 3);
  for (const member of cluster.members) cluster.startMember(member);
  await cluster.ready(cluster.members);
  const store = await cluster.open();
  cleanUps.push(() => store.close());
  await store.txn({ compare: [], operations: [{ put: 'k/kept', value: 'yes' }] });

  let present = ['host-a', 'host-b', 'host-c'];
  const read = (path: string) => readFileSync(path, 'utf8');
  const identity = {
    hostId: 'host-a',
    authorityPem: read(tls.caFile),
    certificatePem: read(tls.certFile),
    keyPem: read(tls.keyFile),
  };
  const list = () =>
    present.map((hostId) => {
      const port = first + 3 * names.indexOf(hostId);
      return { hostId, name: hostId, address: '127.0.0.1', port, admittedAt: 0 };
    });
  const peers = { list, identity } as unknown as Peers;
  const files = new HaFiles(folder);
  const nodes = cluster.members.map(({ name: hostId, clientUrl, peerUrl }) => {
    return { hostId, clientUrl, peerUrl };
  });
  const place: Place = { token: 'etcd-test', incarnation: 'inc-test', nodes };
  await files.writePlace(place);
  const stored = new StorePlace(
    { peers, files, clock, random, log },
    { home: folder, hostId: 'host-a', storeHost: '' },
  );
  await stored.open();
  cleanUps.push(() => stored.close());

  const plans: MemberPlan[] = [];
  const ask = (hostId: string) => ({
    candidate: async () => ({ hostId, version: 'v', freeBytes: 2 ** 40 }),
    runMember: async (plan: MemberPlan) => {
      const fresh = all.find(({ name }) => name === hostId);
      assert.ok(fresh);
      const isNew = plans.length === 0;
      plans.push(plan);
      if (isNew) cluster.startMember(fresh, 'existing');
    },
  });
  const member = { plan: undefined, end: async () => undefined } as never;
  const members = new Members(
    { place: stored, member, peers, ask, clock, random, log, everyMs: 200 },
    { hostId: 'host-a' },
  );
  members.start();
  cleanUps.push(() => members.stop());

  const [, , lost] = cluster.members as [EtcdMember, EtcdMember, EtcdMember];
  await cluster.kill(lost);
  cluster.members = cluster.members.filter((each) => each !== lost);
  present = ['host-a', 'host-b', 'host-d'];
  const known = () => stored.place?.nodes.map(({ hostId }) => hostId).join(' ');
  await waitFor('the new copy to be known', () => known() === 'host-a host-b host-d', {
    timeoutMs: 90_000,
    seen: known,
  });
  assert.equal(plans[0]?.state, 'existing');
  assert.match(plans[0]?.data ?? '', /^etcd-test-\d+$/);
  assert.deepEqual((await files.readPlace())?.nodes, stored.place?.nodes);
  const [a] = all as [EtcdMember];
  await cluster.kill(a);
  const kept = () =>
    stored.store.get('k/kept').then(
      (entry) => entry?.value === 'yes',
      () => false,
    );
  await waitFor('the store to survive another loss', kept, { timeoutMs: 60_000 });
});
