// Settings: one schema a component, read from the environment once, listed in docs/configuration.md.
// The only place besides bin/ that sees process.env.

import { coreErrors } from './errors.ts';

export interface Setting<T> {
  env: string;
  /** One sentence for docs/configuration.md. */
  doc: string;
  /** Undefined means: required. */
  fallback?: T;
  read(text: string): T;
}

interface SettingOptions<T> {
  env: string;
  doc: string;
  fallback?: T;
}

export function textSetting(options: SettingOptions<string>): Setting<string> {
  return { ...options, read: (text) => text };
}

/** A whole number within [min, max]. */
export function numberSetting(
  options: SettingOptions<number> & { min: number; max: number },
): Setting<number> {
  return {
    ...options,
    read(text) {
      const value = Number(text);
      if (Number.isInteger(value) && value >= options.min && value <= options.max) return value;
      throw coreErrors.config(
        `${options.env}=${text} is not a whole number from ${options.min} to ${options.max}`,
      );
    },
  };
}

export type SettingsOf<T> = { [K in keyof T]: T[K] extends Setting<infer V> ? V : never };

/** Reads every setting; a missing required one or a malformed one is core.config. */
export function readConfig<T extends Record<string, Setting<string> | Setting<number>>>(
  settings: T,
  env: Record<string, string | undefined> = process.env,
): SettingsOf<T> {
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const text = env[setting.env];
    if (text !== undefined && text !== '') values[name] = setting.read(text);
    else if (setting.fallback !== undefined) values[name] = setting.fallback;
    else throw coreErrors.config(`${setting.env} is not set: ${setting.doc}`);
  }
  return values as SettingsOf<T>;
}
