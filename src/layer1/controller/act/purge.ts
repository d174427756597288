// Takes away everything that is written down about an app that no longer runs. The app's record goes last, so that a
// purge that was interrupted is found and taken up again; its name is free only then.

import type { Operation } from '#layer0/store/client';
import { type Route, routeKey, routePrefix } from '#layer1/router/wire';
import { claimOf } from '../decide/route.ts';
import { eventOperation } from '../events.ts';
import {
  appKey,
  appNameKey,
  deploymentPrefix,
  networkTombstoneKey,
  releasePrefix,
} from '../wire.ts';
import type { ActContext } from './act-context.ts';
import { collectImageMarks } from './collect.ts';
import type { Acted } from './steps.ts';

/** Keys deleted by one transaction, within the store's limit of operations. */
const chunkSize = 80;

export async function purge(context: ActContext): Promise<Acted> {
  const { app, store, fence } = context;
  const { id, name } = app.value;
  const doomed = await keysOf(context);
  for (let start = 0; start < doomed.length; start += chunkSize) {
    const operations = doomed.slice(start, start + chunkSize).map((key) => ({ delete: key }));
    const { ok } = await store.txn({ compare: [fence], operations });
    if (!ok) return { ok: false };
  }
  // Before the tombstone: layer 0 removes the images that nobody else's release needs with it.
  await collectImageMarks(context);
  const last: Operation[] = [
    { put: networkTombstoneKey(id), value: { appName: name, at: context.clock.now() } },
    { delete: appNameKey(name) },
    { delete: appKey(id) },
    eventOperation(
      { app: id, type: 'app.deleted', object: id, message: `app ${name} is gone` },
      context,
    ),
  ];
  const { ok, revision } = await store.txn({
    compare: [fence, { key: app.key, modRevision: app.modRevision }],
    operations: last,
  });
  return { ok, revision, keys: [appKey(id)] };
}

async function keysOf({ app, store }: ActContext): Promise<string[]> {
  const { id } = app.value;
  const routes = await store.list<Route>(routePrefix);
  const keys: string[] = [];
  for (const { value } of routes.entries)
    if (value.app === id) keys.push(routeKey(value.id), claimOf(value));
  for (const prefix of [releasePrefix(id), deploymentPrefix(id)])
    for (const { key } of (await store.list(prefix)).entries) keys.push(key);
  return keys;
}
