// Apps: made with a name, a default route and nothing to run; deleted by a mark that the loop acts on.

import { newId } from '#core/ids';
import type { Entry } from '#layer0/store/client';
import { type Route, routeKey } from '#layer1/router/wire';
import type { AppView, CreateApp } from '../api.ts';
import { type Context, urlOf } from '../context.ts';
import { defaultLimits } from '../decide/job-spec.ts';
import { claimOf, reservedNames } from '../decide/route.ts';
import { controllerErrors } from '../errors.ts';
import { eventOperation, type NewEvent } from '../events.ts';
import { change, idPattern, readApp, readLivingApp } from '../records.ts';
import { type App, appKey, appNameKey, type NameClaim } from '../wire.ts';
import { claimKey, findMade, type IdempotencyKey } from './idempotency.ts';
import { readRoutes } from './routes.ts';

const defaults = { strategy: 'rolling', batchSize: 2 } as const;

export async function createApp(
  context: Context,
  wanted: CreateApp,
  idempotency: IdempotencyKey | undefined,
): Promise<App> {
  const { store, clock } = context;
  const { name } = wanted;
  if (reservedNames.includes(name) || idPattern.test(name))
    throw controllerErrors.nameReserved(`${name} is a name of Gantry's own; choose another`);
  const app: App = {
    ...defaults,
    ...wanted,
    id: newId('app'),
    quantities: {},
    limits: {},
    isSystem: false,
    isDeleting: false,
    createdAt: clock.now(),
  };
  const route = defaultRoute(context, app);
  const { result } = await change(store, `create app ${name}`, async () => {
    const made = await findMade(store, idempotency);
    const existing = made && (await store.get<App>(appKey(made.app)));
    if (existing) return { result: existing.value, compare: [], operations: [] };
    await refuseTaken(context, name, route);
    const claim = claimKey(idempotency, { app: app.id, createdAt: app.createdAt });
    return {
      result: app,
      compare: [
        { key: appNameKey(name), is: 'absent' as const },
        { key: claimOf(route), is: 'absent' as const },
        ...claim.compare,
      ],
      operations: [
        { put: appKey(app.id), value: app },
        { put: appNameKey(name), value: { app: app.id } },
        { put: routeKey(route.id), value: route },
        { put: claimOf(route), value: { route: route.id } },
        ...claim.operations,
        eventOperation(
          { app: app.id, type: 'app.created', object: app.id, message: `app ${name}` },
          context,
        ),
      ],
    };
  });
  return result;
}

function defaultRoute({ settings, clock }: Context, app: App): Route {
  return {
    id: newId('rte'),
    app: app.id,
    appName: app.name,
    service: `web.${app.name}`,
    type: 'http',
    domain: `${app.name}.${settings.domain}`,
    sendsProxyProtocol: false,
    redirectsToHttps: false,
    isSystem: false,
    createdAt: clock.now(),
  };
}

async function refuseTaken({ store }: Context, name: string, route: Route): Promise<void> {
  const taken = await store.get<NameClaim>(appNameKey(name));
  if (taken) {
    const app = await store.get<App>(appKey(taken.value.app));
    const why = app?.value.isDeleting ? 'is still being deleted' : 'exists';
    throw controllerErrors.nameTaken(`app ${name} ${why}; choose another name`);
  }
  if (await store.get(claimOf(route)))
    throw controllerErrors.nameTaken(
      `the domain ${route.domain} is a route of another app; choose another name`,
    );
}

export async function readAppView(context: Context, name: string): Promise<AppView> {
  const { value } = await readApp(context.store, name);
  const routes = await readRoutes(context, value.id);
  const byAge = routes.sort((a, b) => a.createdAt - b.createdAt);
  const urls = byAge.flatMap(({ domain, path }) =>
    domain === undefined ? [] : `${urlOf(context.settings, domain)}${(path ?? '').slice(1)}`,
  );
  return { ...value, urls, defaultLimits };
}

export async function updateApp(
  context: Context,
  name: string,
  update: (app: App) => App,
  tell: (app: App) => NewEvent[] = () => [],
): Promise<App> {
  const { store } = context;
  const { result } = await change(store, `change app ${name}`, async () => {
    const entry = await readLivingApp(store, name);
    const app = update(entry.value);
    return replaceApp(context, entry, app, tell(app));
  });
  return result;
}

function replaceApp(context: Context, entry: Entry<App>, app: App, events: NewEvent[]) {
  const { key, modRevision } = entry;
  const told = events.map((event) => eventOperation(event, context));
  const operations = [{ put: key, value: app }, ...told];
  return { result: app, compare: [{ key, modRevision }], operations };
}

/** The loop stops what runs and removes every trace; a second delete is no error. */
export async function deleteApp(context: Context, name: string): Promise<App> {
  const { store } = context;
  const { result } = await change(store, `delete app ${name}`, async () => {
    const entry = await readApp(store, name);
    if (entry.value.isSystem)
      throw controllerErrors.systemApp(
        `app ${name} is Gantry itself; \`script/down\` removes Gantry`,
      );
    const { id, isDeleting } = entry.value;
    if (isDeleting) return { result: entry.value, compare: [], operations: [] };
    const message = `app ${name} is being deleted`;
    const event = { app: id, type: 'app.deleting', object: id, message };
    return replaceApp(context, entry, { ...entry.value, isDeleting: true }, [event]);
  });
  return result;
}
