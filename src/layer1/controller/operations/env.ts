// Config variables: checked, sealed one by one, and made part of a new release. A value is opened for one reader at a time.

import type { Caller, Context } from '../context.ts';
import { checkEnv, checkSealedTotal } from '../decide/env.ts';
import { hidden } from '../decide/release-view.ts';
import { controllerErrors } from '../errors.ts';
import { readApp } from '../records.ts';
import type { App, Release } from '../wire.ts';
import {
  contentOf,
  emptyContent,
  makeRelease,
  type Released,
  readBase,
  refuseSystem,
} from './releases.ts';

/** Calls to the host for the values of one app. */
const callsAtOnce = 16;

export async function readEnvNames(context: Context, name: string) {
  const { value: app } = await readApp(context.store, name);
  const { base } = await readBase(context, app);
  const names = Object.keys(base?.sealedEnv ?? {}).sort();
  return Object.fromEntries(names.map((variable) => [variable, hidden]));
}

export async function openEnvValue(
  context: Context,
  name: string,
  variable: string,
): Promise<string> {
  const { value: app } = await readApp(context.store, name);
  const { base } = await readBase(context, app);
  const sealed = new Map(Object.entries(base?.sealedEnv ?? {})).get(variable);
  if (sealed === undefined || app.isSystem)
    throw controllerErrors.configNotFound(
      `app ${name} has no config variable ${variable}; \`gantry env -a ${name}\` lists the names`,
    );
  return await context.host.open(contextOf(app, variable), sealed);
}

/** All of it, for a build. */
export async function openEnv(
  context: Context,
  app: App,
  release: Release | undefined,
): Promise<Record<string, string>> {
  return mapValues(release?.sealedEnv ?? {}, (variable, text) =>
    context.host.open(contextOf(app, variable), text),
  );
}

export async function sealEnv(
  { host }: Context,
  app: App,
  values: Record<string, string>,
): Promise<Record<string, string>> {
  return mapValues(values, (variable, value) => host.seal(contextOf(app, variable), value));
}

/** Each is a call to the host: a few at a time, however many values there are. */
async function mapValues(
  values: Readonly<Record<string, string>>,
  apply: (variable: string, value: string) => Promise<string>,
): Promise<Record<string, string>> {
  const entries = Object.entries(values);
  const mapped: [string, string][] = [];
  for (let start = 0; start < entries.length; start += callsAtOnce) {
    const some = entries
      .slice(start, start + callsAtOnce)
      .map(
        async ([variable, value]): Promise<[string, string]> => [
          variable,
          await apply(variable, value),
        ],
      );
    mapped.push(...(await Promise.all(some)));
  }
  return Object.fromEntries(mapped);
}

export interface EnvChange {
  set: Record<string, string>;
  unset: string[];
}

export async function changeEnv(
  context: Context,
  request: { app: string; caller: Caller },
  { set, unset }: EnvChange,
): Promise<Released> {
  checkEnv(set);
  const { value: app } = await readApp(context.store, request.app);
  refuseSystem(app);
  const sealed = await sealEnv(context, app, set);
  return await makeRelease(context, {
    ...request,
    draft(base) {
      const content = base ? contentOf(base) : emptyContent;
      const sealedEnv = { ...content.sealedEnv, ...sealed };
      for (const name of unset) {
        if (!Object.hasOwn(sealedEnv, name))
          throw controllerErrors.configNotFound(
            `app ${request.app} has no config variable ${name.slice(0, 128)}; nothing was changed`,
          );
        delete sealedEnv[name];
      }
      checkSealedTotal(sealedEnv);
      return { content: { ...content, sealedEnv }, description: describe(set, unset) };
    },
  });
}

function describe(set: Record<string, string>, unset: string[]): string {
  const parts = [];
  if (Object.keys(set).length > 0) parts.push(`Set ${listed(Object.keys(set))}`);
  if (unset.length > 0) parts.push(`Unset ${listed(unset)}`);
  return parts.join('; ');
}

function listed(names: string[]): string {
  return names.length > 5
    ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`
    : names.join(', ');
}

function contextOf(app: App, variable: string): string {
  return `${app.id}/${variable}`;
}
