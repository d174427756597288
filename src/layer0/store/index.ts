// The door for the daemon and the tests: the store on this machine's disk.

import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from '#core/clock';
import { newId } from '#core/ids';
import type { Log } from '#core/log';
import { type Random, systemRandom } from '#core/random';
import type { EmbeddedStore } from './embedded-store.ts';
import { storeErrors } from './errors.ts';
import { LocalStore } from './local-store.ts';
import { type MoveMark, readMark } from './move/mark.ts';
import { Reserve } from './reserve.ts';
import { SqliteLedger } from './sqlite-ledger.ts';

export type { EmbeddedStore, Hold, StoreStatus } from './embedded-store.ts';
export type { EtcdStore, EtcdStoreOptions, EtcdStoreStatus } from './etcd/engine.ts';
export { type Credentials, EtcdClient } from './etcd/etcd-client.ts';
export { attachEtcdStore, openEtcdStore } from './etcd/etcd-store.ts';
export { createEtcdKeeper, type KeeperOptions } from './etcd/keeper.ts';
export {
  type Alarm,
  defragment,
  disarm,
  listAlarms,
  type MemberStatus,
  readStatus,
  saveSnapshot,
} from './etcd/maintenance.ts';
export {
  addLearner,
  askServing,
  type ClusterMember,
  listMembers,
  moveMember,
  promoteMember,
  removeMember,
} from './etcd/members.ts';
export {
  type EtcdMemberOptions,
  type EtcdTls,
  etcdArguments,
  type RestoreOptions,
  restoreArguments,
} from './etcd/server-options.ts';
export { registerStoreRoutes, type ServedStore, type StoreHttpDeps } from './http.ts';
export { findStore, type MoveRecord } from './move/decision.ts';
export type { MoveMark } from './move/mark.ts';
export { type Moving, moveStore, settleMove } from './move/move-store.ts';
export { SwitchingStore } from './switching-store.ts';

export interface SqliteStoreOptions {
  /** Made when absent; only this store writes into it. */
  folder: string;
  clock: Clock;
  log: Log;
  random?: Random;
  /** False: commits are not synced to the disk. Only for a store that may be lost. */
  isDurable?: boolean;
}

/** A store that may be moved to etcd: its file says how far that is. */
export interface MovableStore extends EmbeddedStore {
  readMove(): MoveMark | undefined;
  /** Durable when it returns. */
  writeMove(mark: MoveMark | undefined): void;
}

/**
 * Opens the store of a folder, or creates it. store.damaged when another process has it open; store.moved, its mark as
 * detail, when it was moved to etcd.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<MovableStore> {
  const { folder, clock, log, random = systemRandom, isDurable = true } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const reserve = new Reserve(join(folder, 'reserve'));
  const path = join(folder, 'store.sqlite');
  const ledger = new SqliteLedger({ path, incarnation: newId('inc'), isDurable, reserve });
  if (isDurable) for (const path of [folder, dirname(folder)]) syncFolder(path);
  const mark = readMark(ledger.readMove());
  if (mark?.state === 'moved') {
    ledger.close();
    throw storeErrors.moved(`the store in ${folder} was moved to etcd and answers no more`, {
      detail: mark.place,
    });
  }
  const store = new LocalStore({ ledger, clock, random, log, defer: setImmediate });
  if (mark?.state === 'deciding') store.hold();
  return Object.assign(store, {
    readMove: () => readMark(ledger.readMove()),
    writeMove: (next: MoveMark | undefined) => ledger.writeMove(next && JSON.stringify(next)),
  });
}

/** A new file's name is durable only when its folder is synced. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
