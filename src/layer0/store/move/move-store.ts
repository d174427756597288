// A live embedded store moves into an etcd that has none. Until the decisive commit the embedded one is in charge, after it etcd
// is; while nobody can know, nobody writes. Every step may be the last one of a life: `settleMove` is what the next one does.

import type { Clock } from '#core/clock';
import { toAppError } from '#core/errors';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { type Backoff, backoffMs, isWorthTelling } from '#core/retry';
import type { Hold } from '../embedded-store.ts';
import { storeErrors } from '../errors.ts';
import type { EtcdClient } from '../etcd/etcd-client.ts';
import type { MovableStore } from '../index.ts';
import { copyInto } from './copy.ts';
import { beginCopy, decide, giveUp, type MoveRecord } from './decision.ts';

/** Writes are held no longer than this while entries are copied, milliseconds. */
const maxHoldMs = 30_000;
/** Between questions to an etcd that alone knows whether the move was decided. */
const settling: Backoff = { minMs: 200, maxMs: 5_000 };

export interface Moving {
  source: MovableStore;
  client: EtcdClient;
  /** What the mark in the store's file keeps: where the store is, once it has moved. */
  place: unknown;
  clock: Clock;
  random: Random;
  log: Log;
  /** This life ends: what is not known is left to the next one. */
  signal: AbortSignal;
}

/** True: etcd is in charge and the embedded store answers no more. Throws when the embedded one is in charge, and goes on. */
export async function moveStore(moving: Moving, record: MoveRecord): Promise<void> {
  const { source, client, place, clock, log } = moving;
  await beginCopy(client, record);
  const begunAtMs = clock.monotonicMs();
  const hold = source.hold();
  const checkTime = () => {
    if (clock.monotonicMs() - begunAtMs > maxHoldMs)
      throw storeErrors.unavailable(`the copy took longer than ${maxHoldMs / 1000} s`);
  };
  try {
    const count = await copyInto(client, { source, leases: hold.leases, checkTime });
    checkTime();
    source.writeMove({ state: 'deciding', place });
    log.info({ entries: count, revision: hold.revision }, 'the store is copied to etcd');
  } catch (error) {
    hold.release();
    throw error;
  }
  await decide(client, record, hold.revision).catch((error: unknown) =>
    log.warn({ err: error }, 'whether the store was handed over to etcd is not known yet'),
  );
  if (!(await settleMove(moving, hold)))
    throw storeErrors.unavailable('etcd did not take the store over');
}

/**
 * Finds out how a move ended that may have been decided: asks until etcd says. True: etcd is in charge. False: the embedded
 * store is, and writes go on. core.aborted when this life ends before.
 */
export async function settleMove(moving: Moving, hold: Hold): Promise<boolean> {
  const { source, client, place, clock, random, log, signal } = moving;
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    try {
      const incarnation = await giveUp(client, random);
      source.writeMove(incarnation === undefined ? undefined : { state: 'moved', place });
      log.info({ incarnation }, incarnation ? 'etcd is in charge' : 'the move was given up');
      if (incarnation === undefined) hold.release();
      return incarnation !== undefined;
    } catch (error) {
      failures++;
      if (isWorthTelling(failures))
        log.warn(
          { err: toAppError(error), failures },
          'etcd alone knows whether it is in charge: nothing is written until it answers',
        );
      await clock.sleep(backoffMs(failures, settling, random), signal);
    }
  }
}
