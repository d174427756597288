// The store on etcd keeps every promise of the interface: on one member, behind the routes, and with one of three members
// gone. Real etcd processes on loopback; each test has a prefix of its own.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { systemClock as clock } from '#core/clock';
import { createHttpServer, listenUnix } from '#core/http-server';
import { silentLog as log } from '#core/log';
import { systemRandom as random } from '#core/random';
import { createRemoteStore } from '#layer0/store/client';
import { type ContractSubject, storeContract } from '#layer0/store/contract';
import { registerStoreRoutes } from '#layer0/store/index';
import { EtcdCluster } from './store/etcd-cluster.ts';

const one = new EtcdCluster({ size: 1 });
const three = new EtcdCluster({ size: 3 });
before(async () => {
  await Promise.all([one.start(), three.start()]);
  for (const member of three.members.slice(0, 1)) await three.kill(member);
});
after(() => Promise.all([one.stop(), three.stop()]));

async function open(cluster: EtcdCluster) {
  const store = await cluster.open({ prefix: `${randomUUID()}/` });
  const subject: ContractSubject = {
    store,
    passTime: (ms) => clock.sleep(ms),
    compact: () => store.compact(),
    close: () => store.close(),
  };
  return { ...subject, etcd: store };
}

storeContract('etcd, one member', () => open(one));
storeContract('etcd, two of three members', () => open(three));
storeContract('etcd over a unix socket', async () => {
  const behind = await open(one);
  const path = join(one.folder, `${randomUUID()}.sock`);
  const server = createHttpServer({ log });
  registerStoreRoutes(server, behind.etcd, { clock });
  await listenUnix(server, path);
  const store = createRemoteStore({ baseUrl: `unix:${path}`, clock, random, log });
  return {
    ...behind,
    store,
    async close() {
      await store.close();
      await server.close();
      await behind.close();
    },
  };
});
