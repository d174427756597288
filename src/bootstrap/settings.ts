// Settings of Gantry's own processes that somebody chose with `script/up --set`: kept in host.json, given to the processes that
// read them. A name that nobody reads, or a value out of range, is refused before anything is changed.

import type { Setting } from '#core/config';
import { toAppError } from '#core/errors';
import { discoverySettings } from '#layer0/discovery/config';
import { hostSettings } from '#layer0/host/config';
import { networkSettings } from '#layer0/network/config';
import { schedulerSettings } from '#layer0/scheduler/config';
import { builderSettings } from '#layer1/builder/config';
import { controllerSettings } from '#layer1/controller/config';
import { gitReceiverSettings } from '#layer1/git-receiver/config';
import { logsSettings } from '#layer1/logs/config';
import { routerSettings } from '#layer1/router/config';
import { bootstrapErrors } from './errors.ts';

/** Values as text, by the name of the environment variable. */
export type ChosenSettings = Record<string, string>;

const readers = {
  daemon: [discoverySettings, hostSettings, networkSettings, schedulerSettings],
  platform: [
    builderSettings,
    controllerSettings,
    gitReceiverSettings,
    logsSettings,
    routerSettings,
  ],
};
export type Reader = keyof typeof readers;

/** What script/up sets itself, from other options and from what it makes. */
const own = [
  'GANTRY_HOME',
  'GANTRY_HOST_URL',
  'GANTRY_DOMAIN',
  'GANTRY_SCHEME',
  'GANTRY_HTTP_PORT',
  'GANTRY_HTTPS_PORT',
  'GANTRY_STACK_IMAGE',
  'GANTRY_REPOSITORIES',
];

function settingsOf(reader: Reader): Setting<string | number>[] {
  const all = readers[reader].flatMap((group): Setting<string | number>[] => Object.values(group));
  return all.filter(({ env, fallback }) => fallback !== undefined && !own.includes(env));
}

/** `NAME=VALUE`; an empty value means the default again. */
export function parseSetting(text: string): [name: string, value: string] {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (name === '')
    throw bootstrapErrors.option(`--set ${text}: say NAME=VALUE, or NAME= for the default`);
  const setting = [...settingsOf('daemon'), ...settingsOf('platform')].find(
    ({ env }) => env === name,
  );
  if (!setting)
    throw bootstrapErrors.option(
      `--set ${name}: there is no such setting, or script/up sets it itself; docs/configuration.md lists them`,
    );
  try {
    if (value !== '') setting.read(value);
  } catch (cause) {
    throw bootstrapErrors.option(`--set ${toAppError(cause).message}`, { cause });
  }
  return [name, value];
}

/** What an earlier run chose, changed by what is chosen now; undefined when all are as they come. */
export function mergeSettings(
  earlier: ChosenSettings = {},
  now: ChosenSettings = {},
): ChosenSettings | undefined {
  const merged = Object.entries({ ...earlier, ...now }).filter(([, value]) => value !== '');
  return merged.length === 0 ? undefined : Object.fromEntries(merged);
}

/** Those that these processes read. */
export function chosenFor(reader: Reader, chosen: ChosenSettings = {}): ChosenSettings {
  const names = new Set(settingsOf(reader).map(({ env }) => env));
  return Object.fromEntries(Object.entries(chosen).filter(([name]) => names.has(name)));
}
