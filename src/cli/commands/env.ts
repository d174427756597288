// `gantry env`, `env get`, `env set`, `env unset`

import { text } from 'node:stream/consumers';
import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { followReleased } from '../follow-deployment.ts';

export async function listEnv(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api, app } = await call.target();
  const env = await api.readEnv(app);
  if (args.has('json')) return out.json(env);
  const names = Object.keys(env).sort();
  if (names.length === 0)
    return out.note(`${app} has no config variables; gantry env set NAME=VALUE adds one.`);
  out.table(
    ['NAME', 'VALUE'],
    names.map((name) => [name, { text: env[name] ?? '', colour: 'dim' }]),
  );
}

export async function showEnvValue(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api, app } = await call.target();
  const [name = ''] = args.words;
  const value = await api.readEnvValue(app, name);
  if (args.has('json')) return out.json({ name, value });
  out.line(value);
}

export async function setEnv(call: Call): Promise<number | undefined> {
  const { args, io } = call;
  const set = args.has('stdin')
    ? { [onlyName(args.words)]: withoutLastNewline(await text(io.stdin)) }
    : parseAssignments(args.words);
  const target = await call.target();
  return await followReleased(call, target, await target.api.changeEnv(target.app, { set }));
}

export async function unsetEnv(call: Call): Promise<number | undefined> {
  const unset = [...call.args.words];
  const wrong = unset.find((name) => name.includes('='));
  if (wrong !== undefined)
    throw cliErrors.usage(`${wrong.split('=')[0]}= is no name: gantry env unset takes only names`);
  const target = await call.target();
  return await followReleased(call, target, await target.api.changeEnv(target.app, { unset }));
}

/** `A=1 B=x=y`; the value is all after the first `=`. Values are not repeated in messages: they may be secret. */
export function parseAssignments(words: readonly string[]): Record<string, string> {
  const set: Record<string, string> = {};
  for (const word of words) {
    const end = word.indexOf('=');
    if (end < 1)
      throw cliErrors.usage(`${word.slice(0, 40)} is not NAME=VALUE; for a secret: --stdin NAME`);
    const name = word.slice(0, end);
    if (Object.hasOwn(set, name)) throw cliErrors.usage(`${name} is given twice; say it once`);
    set[name] = word.slice(end + 1);
  }
  return set;
}

function onlyName(words: readonly string[]): string {
  const [name = ''] = words;
  if (words.length === 1 && name !== '' && !name.includes('=')) return name;
  throw cliErrors.usage('--stdin takes one name and no value: gantry env set --stdin NAME < file');
}

/** What `echo` and editors add at the end is not part of the value. */
function withoutLastNewline(value: string): string {
  return value.replace(/\r?\n$/, '');
}
