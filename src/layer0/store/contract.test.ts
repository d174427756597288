// Every engine there is, against the one contract.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#core/clock';
import { FakeClock } from '#core/fake-clock';
import { createHttpServer, listenUnix } from '#core/http-server';
import { silentLog as log } from '#core/log';
import { seededRandom } from '#core/random';
import { createRemoteStore } from './client.ts';
import { type ContractSubject, storeContract } from './contract.ts';
import { createMemoryStore } from './fake.ts';
import { type EmbeddedStore, openSqliteStore, registerStoreRoutes } from './index.ts';

const random = seededRandom(1);

function subjectOf(store: EmbeddedStore, clock: FakeClock, release: () => void): ContractSubject {
  return {
    store,
    passTime: (ms) => clock.advance(ms),
    compact: () => store.compact(),
    async close() {
      await store.close();
      release();
    },
  };
}

async function onDisk(): Promise<ContractSubject & { local: EmbeddedStore; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-store-'));
  const clock = new FakeClock();
  const local = await openSqliteStore({ folder: join(folder, 'store'), clock, log });
  const release = () => rmSync(folder, { recursive: true });
  return { ...subjectOf(local, clock, release), local, folder };
}

storeContract('memory', async () => {
  const clock = new FakeClock();
  return subjectOf(createMemoryStore({ clock, random }), clock, () => undefined);
});

storeContract('SQLite', onDisk);

storeContract('SQLite over a unix socket', async () => {
  const behind = await onDisk();
  const path = join(behind.folder, 'store.sock');
  const server = createHttpServer({ log });
  registerStoreRoutes(server, behind.local, { clock: systemClock });
  await listenUnix(server, path);
  const store = createRemoteStore({ baseUrl: `unix:${path}`, clock: systemClock, random, log });
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
