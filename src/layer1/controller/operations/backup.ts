// The whole state of the store as a file, and back. What is under a lease is left out of the file; a restore keeps what is
// there, so that instances stay known and machines alive, but for who leads.

import { hasCode } from '#core/errors';
import { parser } from '#core/schema';
import { hostReportSchema } from '#layer0/host/wire';
import { formationPrefix } from '#layer0/scheduler/wire';
import { type Compare, type Entry, listAll, listPages } from '#layer0/store/client';
import { maxTxnOperations } from '#layer0/store/wire';
import type { RestoreResult } from '../backup-api.ts';
import { type Backup, type BackupHeader, backupFormat, writeBackup } from '../backup-file.ts';
import type { Context } from '../context.ts';
import { planRestore, type RestoreMode } from '../decide/restore.ts';
import { controllerErrors } from '../errors.ts';
import { eventOperation } from '../events.ts';
import { appPrefix, systemAppId, tokenPrefix } from '../wire.ts';
import { readReports } from './cluster.ts';

/** How often a restore is planned anew because machines or tokens changed under it. */
const maxAttempts = 5;
const statusParser = parser(hostReportSchema);

/** Lines; fails in the middle when the history of its revision is gone before all was read. */
export async function* backUp(context: Context): AsyncGenerator<string> {
  const pages = listPages(context.store, '');
  const first = await pages.next();
  if (first.done) return;
  const { revision, incarnation } = first.value.revision;
  const header: BackupHeader = {
    gantry: 'backup',
    format: backupFormat,
    ...(await identify(context)),
    incarnation,
    revision,
    createdAt: context.clock.now(),
  };
  async function* entries() {
    yield* withoutLease(first.value.entries);
    for await (const page of pages) yield* withoutLease(page.entries);
  }
  yield* writeBackup(header, entries());
}

/** The machine that has an embedded store is the one that others look for it at. */
async function identify(context: Context) {
  const { host } = context;
  const { cluster, host: own, version } = statusParser.parse(await host.status(), 'layer 0');
  const reports = await readReports(context);
  const holder = reports.find(({ report }) => 'historyBytes' in (report?.store ?? {}));
  const hostId = holder?.hostId ?? own;
  if (cluster === undefined || hostId === undefined)
    throw controllerErrors.unavailable(
      "the daemon of this machine is too old for a backup: upgrade it with the platform's version",
    );
  return { clusterId: cluster, hostId, version: version ?? 'unknown' };
}

function* withoutLease(entries: readonly Entry[]) {
  for (const { key, value, createRevision, lease } of entries)
    if (lease === undefined) yield { key, value, createRevision };
}

/** All of it in one step, or nothing. Containers are never touched by it. */
export async function restore(
  context: Context,
  { header, entries }: Backup,
  mode: RestoreMode,
): Promise<RestoreResult> {
  const { clusterId } = await identify(context);
  if (header.clusterId !== clusterId)
    throw controllerErrors.badBackup(
      `this backup is of ${header.clusterId}, and this is ${clusterId}: nothing was changed; on a fresh machine use script/up --restore`,
    );
  for (let attempt = 1; ; attempt++) {
    const now = await listAll(context.store, '');
    const plan = planRestore(entries, now, mode);
    try {
      const revision = await context.store.replaceAll(plan.entries, unchanged(now));
      // Whoever asks next is to be told of what is there now.
      const { signal } = new AbortController();
      await context.observer.caughtUp(revision, [appPrefix, formationPrefix], signal);
      const { incarnation } = revision;
      const message = `the state of ${new Date(header.createdAt).toISOString()} was restored`;
      const event = { type: 'cluster.restored', object: 'cluster', message };
      await context.store.txn({ compare: [], operations: [eventOperation(event, context)] });
      context.log.warn({ of: header.createdAt, incarnation, ...plan, entries: undefined }, message);
      const { apps, forgotten } = plan;
      return { createdAt: header.createdAt, entries: plan.entries.length, apps, forgotten };
    } catch (error) {
      const isOld = hasCode(error, 'store.conflict') || hasCode(error, 'store.leaseNotFound');
      if (!isOld || attempt >= maxAttempts) throw error;
    }
  }
}

/** What must not have changed since it was read: who belongs to the cluster, who may call, and which platform runs. */
function unchanged(now: readonly Entry[]): Compare[] {
  const isGuarded = ({ key }: Entry) =>
    key.startsWith('membership/') || key.startsWith(tokenPrefix) || key.endsWith(`/${systemAppId}`);
  return now
    .filter(isGuarded)
    .slice(0, maxTxnOperations - 1)
    .map(({ key, modRevision }) => ({ key, modRevision }));
}
