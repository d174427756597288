// The door of upgrade: a version is asked for here, and how far the hosts are is read.

import type { Clock } from '#core/clock';
import { newId } from '#core/ids';
import { type Host, hostAlivePrefix, hostPrefix } from '#layer0/host/wire';
import { listAll, type Store } from '#layer0/store/client';
import { type Turn, turnKey, type Wanted, wantedKey } from './wire.ts';

export type { CopyState } from './decide/next-step.ts';
export { type Outcome, outcomeFile, type Turn, type Wanted, wantedKey } from './wire.ts';

/** Asks every host for this version; asked again after a failure, everybody tries again. */
export async function askForVersion(
  store: Store,
  wish: Pick<Wanted, 'version' | 'image' | 'tag'>,
  clock: Clock,
): Promise<Wanted> {
  const wanted: Wanted = { ...wish, id: newId('upg'), askedAt: clock.now() };
  await store.txn({ compare: [], operations: [{ put: wantedKey, value: wanted }] });
  return wanted;
}

export interface UpgradeProgress {
  /** Names of hosts that are alive and have another version, or whose turn it is: without a daemon they are silent, too. */
  waiting: string[];
  /** Names of hosts that are silent and have another version: they follow when they are back. */
  silent: string[];
  /** The host that went back to its old daemon, and why. */
  failure: { host: string; reason: string } | undefined;
}

export async function readProgress(store: Store, wanted: Wanted): Promise<UpgradeProgress> {
  const [hosts, alive, turn] = await Promise.all([
    listAll<Host>(store, hostPrefix),
    listAll(store, hostAlivePrefix),
    store.get<Turn>(turnKey),
  ]);
  const { upgrade, host = '', failure } = turn?.value ?? {};
  const isOfThis = upgrade === wanted.id;
  // Its turn ends when its copy of the store has followed. One that was lost after its daemon had is done.
  const isAlive = new Set(alive.map(({ key }) => key.slice(hostAlivePrefix.length)));
  const isAtIt = ({ id }: Host) =>
    isOfThis && failure === undefined && id === host && isAlive.has(id);
  const isHeardOf = new Set([...isAlive, ...(isOfThis && failure === undefined ? [host] : [])]);
  const behind = hosts
    .map(({ value }) => value)
    .filter((each) => each.version !== wanted.version || isAtIt(each));
  const nameOf = (id: string) => hosts.find(({ value }) => value.id === id)?.value.name ?? id;
  return {
    waiting: behind.filter(({ id }) => isHeardOf.has(id)).map(({ name }) => name),
    silent: behind.filter(({ id }) => !isHeardOf.has(id)).map(({ name }) => name),
    failure:
      isOfThis && failure !== undefined ? { host: nameOf(host), reason: failure } : undefined,
  };
}
